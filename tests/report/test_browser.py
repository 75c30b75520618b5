"""The report page in a browser: offline, with mouse and keyboard, on desktop and phone."""

import re
from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace

import pytest
from browsing import DESKTOP, PHONE, violations
from made_run import ODD, make_run

from snakeseg.report.tables import MISSING, NOTHING

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    with chdir(tmp_path_factory.mktemp("report")):
        return make_run(Path.cwd())


@pytest.fixture
def open_page(open_offline, report):
    return lambda *options: open_offline(report, *options)


@pytest.fixture
def page(open_page):
    return open_page()


def visible_samples(page) -> list[str]:
    """Return the samples of the visible rows of the table of images."""
    return page.locator("#table-of-images tbody tr:visible th").all_inner_texts()


def visible_column(page, head: str) -> list[str]:
    heads = [text.strip() for text in page.locator("#table-of-images thead th").all_inner_texts()]
    return page.locator(
        f"#table-of-images tbody tr:visible :is(th, td):nth-child({heads.index(head) + 1})"
    ).all_inner_texts()


def number_of(text: str) -> float:
    return 1.0 if text == NOTHING else float(text)


def viewer_of(page):
    dialog = page.locator("#viewer")
    return SimpleNamespace(
        dialog=dialog, title=dialog.locator("h2"), zoom=dialog.locator("output"),
        layer=lambda name: dialog.locator(f"img[data-name={name}]"), sheet=dialog.locator(".sheet"),
    )  # fmt: skip


def test_every_image_is_a_row_with_a_reason(page):
    """Failures come first, then the worst scores; names and reasons are shown as text, even if they look like HTML."""
    assert page.locator("output[name=count]").inner_text() == "24 of 24 rows"
    rows = page.locator("#table-of-images tbody tr")
    status = {
        name: rows.nth(index).locator("td").nth(2).inner_text() for index, name in enumerate(visible_samples(page))
    }
    assert status[ODD].startswith("unreadable")
    assert "no such file" in status[ODD]
    assert "damaged file" in status["damaged"]
    assert status["missed"] == "missed objects in the label, none predicted"
    assert status["empty"] == "empty no objects in the label"
    assert status["unlabelled"] == "unlabelled no label in the sample sheet"
    assert visible_samples(page)[0] in (ODD, "damaged")
    scores = [
        float(text)
        for text, state in zip(visible_column(page, "AP 0.50"), visible_column(page, "status"), strict=True)
        if state == "scored"
    ]
    assert scores == sorted(scores)


def test_the_verdict_comes_first(page):
    verdict = page.locator(".verdict").inner_text()
    assert page.locator("main > section").first.get_attribute("id") == "verdict"
    assert re.search(
        r"On 6 test images, not used in training, the best of 2 experiments is \w+, with a mean AP 0.50 of 0\.\d{3}",
        verdict,
    )
    assert "6 predictions failed: 4 could not be scored, 2 missed" in verdict
    page.get_by_role("link", name="2 missed").click()
    assert visible_samples(page) == ["missed", "missed"]


def test_the_head_of_a_column_sorts_the_table(page):
    head = page.locator("#table-of-images thead th", has_text="AP 0.50")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    up = visible_column(page, "AP 0.50")
    numbers = [number_of(text) for text in up if text != MISSING]
    assert up.count(NOTHING) == 2  # sorted as the perfect score that it stands for
    assert numbers == sorted(numbers)
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    down = visible_column(page, "AP 0.50")
    assert [number_of(text) for text in down if text != MISSING] == numbers[::-1]
    assert up[-1] == down[-1] == MISSING  # rows without a score are last in both directions


def test_filters_select_rows(page):
    page.get_by_label("Name").fill("T-1")
    assert visible_samples(page) == ["t-1", "t-1"]
    page.get_by_label("Experiment").select_option("wide")
    assert page.locator("output[name=count]").inner_text() == "1 of 24 rows"
    page.get_by_label("Name").fill("nobody")
    assert visible_samples(page) == []


def test_keys_control_the_viewer(page):
    """From the worst image in the table: layers, zoom, next image, and closing returns the focus."""
    page.get_by_label("State").select_option("scored")
    worst = page.locator("#table-of-images tbody tr:visible button.open").first
    worst.focus()
    page.keyboard.press("Enter")
    viewer = viewer_of(page)
    assert viewer.title.inner_text().startswith(worst.inner_text())
    assert viewer.layer("image").is_visible()
    assert viewer.layer("errors").is_hidden()
    for key, layer in (("4", "errors"), ("4", "errors"), ("2", "truth")):
        before = viewer.layer(layer).is_visible()
        page.keyboard.press(key)
        assert viewer.layer(layer).is_visible() != before
    before = viewer.sheet.get_attribute("style")
    page.keyboard.press("+")
    assert viewer.zoom.inner_text() == "150 %"
    zoomed = viewer.sheet.get_attribute("style")
    page.keyboard.press("ArrowRight")
    assert len({before, zoomed, viewer.sheet.get_attribute("style")}) == 3
    page.keyboard.press("0")
    assert viewer.sheet.get_attribute("style") == before
    first = viewer.title.inner_text()
    page.keyboard.press("j")
    assert viewer.title.inner_text() != first
    page.keyboard.press("k")
    assert viewer.title.inner_text() == first
    page.keyboard.press("Escape")
    assert viewer.dialog.is_hidden()
    assert worst.evaluate("button => button === document.activeElement")


def test_the_mouse_controls_the_viewer(page):
    """The wheel zooms at the mouse, dragging pans, buttons toggle layers, and kinds of objects are counted."""
    page.locator(".strip button").first.click()
    viewer = viewer_of(page)
    box = viewer.dialog.locator(".stage").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.wheel(0, -400)
    page.wait_for_function("document.querySelector('#viewer output').value === '272 %'")
    before = viewer.sheet.get_attribute("style")
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 180)
    page.mouse.up()
    assert viewer.sheet.get_attribute("style") != before
    viewer.dialog.get_by_role("button", name="Errors").click()
    assert viewer.layer("errors").is_visible()
    counts = [int(text) for text in viewer.dialog.locator("[data-kind]").all_inner_texts()]
    assert sum(counts[:4]) > 0
    viewer.dialog.get_by_role("button", name="Close").click()
    assert viewer.dialog.is_hidden()


def test_all_links_have_a_target(page, report):
    """Targets are sections of the page or existing files."""
    page.locator("button.open").first.click()
    links = [link.get_attribute("href") for link in page.locator("a").all()]
    assert any("images/" in link for link in links)
    for link in links:
        assert page.locator(link).count() if link.startswith("#") else (report.parent / link).exists(), link


def test_a_mark_of_a_chart_opens_its_image(page):
    page.locator("#chart-scores-0 path[aria-roledescription], #chart-scores-0 .mark-symbol path").first.click(
        force=True
    )
    assert viewer_of(page).dialog.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_is_accessible_and_fits_the_screen(open_page, viewport, scheme, tmp_path):
    """axe-core finds no violation of WCAG A or AA in page or viewer; nothing is wider than the screen."""
    page = open_page(viewport, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    for state in ("page", "viewer"):
        if state == "viewer":
            page.locator("button.open").first.click()
        page.screenshot(path=tmp_path / f"{state}.png")
        assert not violations(page)


def test_the_page_runs_nothing_but_its_own_scripts(report, browser, tmp_path):
    """The content security policy blocks injected scripts, handlers, styles, external pictures and `eval`."""
    injected = (
        '<script>document.title = "run"</script><img src="x" onerror="document.title = \'run\'">'
        '<style>h1 { visibility: hidden }</style><form action="https://example.org"></form>'
        "<script>new Function(\"document.title = 'run'\")()</script>"
    )
    path = tmp_path / "injected.html"
    path.write_text(report.read_text(encoding="utf-8").replace("<main>", f"<main>{injected}"), encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    messages = []
    page.on("console", lambda message: messages.append(message.text))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-charts=drawn]")
    assert page.title() != "run"
    assert page.locator("h1").is_visible()
    assert sum("Content Security Policy" in text for text in messages) >= 4
    context.close()
