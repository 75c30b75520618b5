"""The report of volumes in a browser: three linked planes, offline, on desktop and phone."""

from contextlib import chdir
from pathlib import Path

import pytest
from browsing import DESKTOP, PHONE, violations
from made_volumes import make_volumes

pytestmark = pytest.mark.slow
AXIAL, CORONAL, SAGITTAL = range(3)
# JavaScript: values of all pixels of a plane (red, green, blue, opacity).
PIXELS = """const pixels = canvas => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
  copy.drawImage(canvas, 0, 0);
  return copy.getImageData(0, 0, canvas.width, canvas.height).data; };"""
# JavaScript: colour of the pixel at a relative position from the left and top; number of bright values.
COLOUR = f"""(canvas, [x, y]) => {{ {PIXELS}
  const start = 4 * (Math.floor(y * canvas.height) * canvas.width + Math.floor(x * canvas.width));
  return [...pixels(canvas).slice(start, start + 3)]; }}"""
PAINTED = f"""canvas => {{ {PIXELS}
  return pixels(canvas).filter((value, index) => index % 4 < 3 && value > 150).length; }}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    with chdir(tmp_path_factory.mktemp("volumes")):
        return make_volumes(Path.cwd())


@pytest.fixture
def open_volume(open_offline, report):
    """Open the page with a volume in its viewer."""

    def opened(name="test-0", *options):
        page = open_offline(report, *options)
        page.locator("#table-of-images").get_by_role("button", name=name, exact=True).click()
        page.wait_for_selector(".planes[aria-busy=false]")
        return page

    return opened


def go_to(page, numbers: tuple[int, int, int]) -> None:
    """Move the sliders to the slices of these numbers, with keys."""
    for axis, number in enumerate(numbers):
        slider = page.locator(".plane input").nth(axis)
        slider.press("Home")
        for _ in range(number - 1):
            slider.press("ArrowUp")


def numbers(page) -> list[str]:
    return page.locator(".plane output").all_inner_texts()


def colour(page, axis: int, x: float, y: float) -> list[int]:
    return page.locator(".plane canvas").nth(axis).evaluate(COLOUR, [x, y])


def test_a_box_is_drawn_at_its_anatomical_position(open_volume):
    """Planes follow the radiological convention: right, front and above are at the left and top of every plane."""
    page = open_volume()
    for key in "23":
        page.keyboard.press(key)  # without outlines
    # The centre of the 16th voxel from the left, the 20th from the back, the 8th from below.
    go_to(page, (8, 20, 16))
    assert numbers(page) == ["8 of 10", "20 of 24", "16 of 20"]
    right, front, above = (20 - 15 - 0.4) / 20, (24 - 19 - 0.4) / 24, (10 - 7 - 0.4) / 10
    for axis, place in ((AXIAL, (right, front)), (CORONAL, (right, above)), (SAGITTAL, (front, above))):
        assert min(colour(page, axis, *place)) > 180, axis
        for mirrored in ((1 - place[0], place[1]), (place[0], 1 - place[1])):
            assert max(colour(page, axis, *mirrored)) < 80, axis
    letters = [plane.locator("i").all_inner_texts() for plane in page.locator(".plane").all()]
    assert letters == [["A", "P", "R", "L"], ["S", "I", "R", "L"], ["S", "I", "A", "P"]]
    assert "Radiological convention" in page.locator(".planes").inner_text()


def test_planes_have_the_proportions_of_the_body(open_volume):
    """The volume is 20 x 24 x 30 mm with 10 slices; all planes have one scale."""
    page = open_volume()
    sizes = [plane.bounding_box() for plane in page.locator(".plane canvas").all()]
    scale = sizes[0]["width"] / 20
    expected = [(20, 24), (20, 30), (24, 30)]
    assert [(size["width"] / scale, size["height"] / scale) for size in sizes] == [
        pytest.approx(pair, rel=0.01) for pair in expected
    ]


def test_sliders_wheel_keys_and_clicks_change_the_slices(open_volume):
    """The viewer starts in the middle of an object; arrow keys, the wheel and clicks change the slices."""
    page = open_volume()
    assert page.locator(".plane input").first.evaluate("slider => slider === document.activeElement")
    start = numbers(page)
    page.keyboard.press("ArrowUp")
    assert numbers(page)[0] == f"{int(start[0].split()[0]) + 1} of 10"
    page.locator(".plane canvas").nth(SAGITTAL).hover()
    page.mouse.wheel(0, 120)
    page.wait_for_function("text => document.querySelectorAll('.plane output')[2].value !== text", arg=start[2])
    box = page.locator(".plane canvas").nth(AXIAL).bounding_box()
    page.mouse.click(box["x"] + 0.175 * box["width"], box["y"] + 0.15 * box["height"])
    assert numbers(page)[1:] == ["21 of 24", "17 of 20"]
    page.locator(".plane input").nth(AXIAL).fill("0")
    assert numbers(page)[0] == "1 of 10"


def test_keys_and_buttons_toggle_layers(open_volume):
    """A missed object has an outline of the truth and an error, but no prediction."""
    page = open_volume("test-1")
    go_to(page, (8, 20, 16))
    coronal = page.locator(".plane canvas").nth(CORONAL)
    before = coronal.evaluate(PAINTED)
    page.keyboard.press("1")
    outlined = coronal.evaluate(PAINTED)
    assert 0 < outlined < before
    page.keyboard.press("3")  # the prediction has nothing here
    assert coronal.evaluate(PAINTED) == outlined
    page.get_by_role("button", name="Truth").click()
    assert coronal.evaluate(PAINTED) == 0
    page.keyboard.press("4")
    red, green, blue = colour(page, CORONAL, 0.23, 0.26)
    assert red > 2 * green > 2 * blue  # the colour of missed objects
    assert page.locator("[data-kind=miss]").inner_text() == "1"
    page.keyboard.press("j")
    page.wait_for_selector(".planes[aria-busy=false]")
    assert not page.locator("#viewer h2").inner_text().startswith("test-1")


def test_surfaces_and_class_scores_are_on_the_page(open_volume):
    page = open_volume("new")
    pictures = page.locator(".surface img:visible")
    assert pictures.count() == 1  # it has no label
    assert pictures.first.evaluate("image => image.naturalWidth") == 160
    page.keyboard.press("Escape")
    assert page.locator(".strip img").count() == page.locator(".strip button").count() > 0
    assert {"Dice front", "Dice back"} <= set(page.locator(".cards .name").all_inner_texts())
    assert "The pieces of a class to keep were chosen on " in page.locator("#scores").inner_text()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_viewer_is_accessible_and_fits_the_screen(open_volume, viewport, tmp_path):
    """Planes are side by side on a desktop and stacked on a phone; axe-core finds no violation of WCAG."""
    page = open_volume("test-0", viewport)
    page.screenshot(path=tmp_path / "viewer.png")
    boxes = [plane.bounding_box() for plane in page.locator(".plane").all()]
    first, second = ("y", "x") if viewport is DESKTOP else ("x", "y")
    assert boxes[0][first] == boxes[1][first] == boxes[2][first]
    assert boxes[0][second] < boxes[1][second] < boxes[2][second]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= viewport["width"] for box in boxes)
    assert page.locator(".planes").evaluate("planes => planes.scrollWidth <= planes.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert not violations(page)
