"""The data report: complete, self-contained, with hostile text escaped."""

import re

import numpy as np
import pandas as pd
import pytest
import tifffile
from browsing import DESKTOP, PHONE, violations

from snakeseg.checks.findings.finding import Finding
from snakeseg.checks.findings.object_sizes import describe_experiments, overview
from snakeseg.checks.findings.table import build_facts_table
from snakeseg.checks.inspect import inspect_rows
from snakeseg.io.sheet import SHEET_COLUMNS
from snakeseg.report.data_page import MAX_TABLE_ROWS, RING_COLOUR, DataReport, data_page, draw_ring
from snakeseg.settings import Experiment, Labels, Train, UNetSettings
from snakeseg.transforms.simulate import simulate_cells

HOSTILE = "<script>alert(1)</script>"
FINDINGS = [
    Finding("error", HOSTILE, ("s1",), HOSTILE, HOSTILE, HOSTILE),
    Finding("warning", "alike", ("s0", "s2"), "s0 and s2 are one", "means", "do"),
    *(Finding("note", "odd", (f"s{i % 3}",), f"found {i}", "means", "do", "30 60") for i in range(20)),
]


def page_of(folder, findings, rows=3, read=True, deleted=None):
    sheet = []
    for i in range(rows):
        if read:
            image, label = simulate_cells(np.random.default_rng(i), (64, 64), 8)
            tifffile.imwrite(folder / f"i{i}.tif", image)
            tifffile.imwrite(folder / f"l{i}.tif", label)
        subset = "test" if i == 2 else "train"
        sheet.append((f"s{i}", str(folder / f"i{i}.tif"), str(folder / f"l{i}.tif"), subset, "g", "b", 1, ""))
    sheet = pd.DataFrame(sheet, columns=SHEET_COLUMNS)
    facts = pd.DataFrame(inspect_rows(sheet, 2, Labels())[0]) if read else sheet[["sample"]]
    if deleted:
        (folder / deleted).unlink()
    table = build_facts_table(sheet, facts, sheet["subset"])
    experiments = describe_experiments({HOSTILE: Experiment(network=UNetSettings(depth=2), train=Train(patch=40))}, 2)
    data_overview = overview(table, Labels(), experiments)
    return data_page(DataReport(HOSTILE, 2, sheet, table, findings, data_overview), folder / "data-report.html")


def without_vega(page):
    """Return the page without the script of the Vega library."""
    return re.sub(r"<script>(?:(?!</script>).)*vegaEmbed.*?</script>", "", page, flags=re.DOTALL)


def test_findings_come_with_pictures_and_text_is_escaped(tmp_path):
    page = page_of(tmp_path, FINDINGS)
    own_html = without_vega(page)
    assert "<script>alert" not in own_html
    assert own_html.count("&lt;script&gt;alert") >= 7  # name, title, topic, found, means, remedy, experiment
    assert "Findings of 3 kinds: 1 error, 1 warning, 20 notes" in own_html
    assert "around y 30, x 60" in own_html
    assert "found 5" in own_html
    assert "found 6" not in own_html
    assert "14 more" in own_html
    assert own_html.count('class="place"') == 6
    assert own_html.count('<button data-sample="s1"') == 1 + 2  # one of the error, two of places
    html = re.sub(r"<script.*?</script>", "", own_html, flags=re.DOTALL)
    assert not re.search(r"""(src|href)\s*=\s*(?!["']?(data:|#|data\.tsv|findings\.tsv))""", html)
    assert len(own_html) < 300_000


def test_a_place_in_a_deleted_image_has_no_picture(tmp_path):
    assert without_vega(page_of(tmp_path, FINDINGS, deleted="i1.tif")).count('class="place"') == 4


def test_a_page_without_findings_says_that_the_data_is_ready(tmp_path):
    assert "The data is ready for training" in page_of(tmp_path, [])


def test_a_page_of_many_unreadable_images_stays_small(tmp_path):
    findings = [Finding("error", "gone", (f"s{i}",), "no such file", "", "mend it") for i in range(5000)]
    page = without_vega(page_of(tmp_path, findings, rows=5000, read=False))
    assert page.count("<tr ") == MAX_TABLE_ROWS
    assert "3000 more" in page
    assert "4994 more" in page
    assert len(page) < 2_000_000


@pytest.mark.slow
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_works_offline_in_a_browser(tmp_path, open_offline, viewport):
    """The page is accessible and fits the screen; keys open pictures, toggle labels and sort the table."""
    path = tmp_path / "data-report.html"
    path.write_text(page_of(tmp_path, FINDINGS), encoding="utf-8")
    page = open_offline(path, viewport)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert not violations(page)
    names = page.locator("#table-of-images tbody tr:visible th")
    assert names.all_inner_texts() == ["s1", "s0", "s2"]
    page.get_by_role("link", name="with warnings").click()
    assert names.all_inner_texts() == ["s0", "s2"]
    page.locator("#findings .strip button").nth(1).press("Enter")
    dialog = page.locator("#viewer")
    assert dialog.locator("h2").inner_text() == "s0 train"
    assert dialog.locator("img[data-name=truth]").is_visible()
    page.keyboard.press("2")
    assert dialog.locator("img[data-name=truth]").is_hidden()
    assert not violations(page)
    page.keyboard.press("j")
    assert dialog.locator("h2").inner_text() == "s2 test"
    page.keyboard.press("Escape")
    head = page.locator("#table-of-images thead th", has_text="sample").get_by_role("button")
    head.press("Enter")
    head.press("Enter")
    assert names.all_inner_texts() == ["s2", "s0"]


def test_images_that_are_only_examples_have_no_finding_in_the_table(tmp_path):
    """Trial of the demo: three examples of touching objects looked like the only images with touching objects."""
    examples = Finding("note", "touching", ("s0", "s2"), "many touch", "means", "do", has_examples=True)
    page = without_vega(page_of(tmp_path, [examples, Finding("note", "odd", ("s1",), "found", "means", "do")]))
    rows = dict(re.findall(r'<tr data-sample="(s\d)".*?data-state="(\w*)"', page))
    assert rows == {"s0": "", "s1": "note", "s2": ""}
    assert "Examples:" in page


@pytest.mark.parametrize("place", [(0, 0), (5, 299), (299, 150), (150, 150)])
def test_the_ring_around_a_place_is_whole(place):
    """Trial of the data report: near the edge of an image, the ring left the picture."""
    ringed = draw_ring(np.zeros((300, 300, 3), np.uint8), *place)
    whole = draw_ring(np.zeros((300, 300, 3), np.uint8), 150, 150)
    assert (ringed == RING_COLOUR).all(axis=2).sum() == (whole == RING_COLOUR).all(axis=2).sum() > 300
    assert whole.shape == (300, 300, 3)
