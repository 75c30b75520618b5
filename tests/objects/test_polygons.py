"""Conversion of objects to outlines and back, as GeoJSON and ImageJ's ROI."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import roifile
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from microscope_files import write_lif

from snakeseg.cli import main
from snakeseg.errors import BadInput
from snakeseg.io.images import read_label
from snakeseg.io.rois import read_shapes, write_shapes
from snakeseg.objects.polygons import rasterise_polygons, trace_outlines


def rasterise(outlines: dict, shape: tuple[int, int]) -> np.ndarray:
    """Rasterise outlines, each piece of an object separately."""
    return rasterise_polygons(
        [(number, polygon) for number, polygons in outlines.items() for polygon in polygons], shape
    )


@settings(deadline=None, max_examples=60)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 0, 3, 7])))
def test_outlines_of_any_labels_give_the_same_labels(labels):
    """Labels have holes, objects in holes, several pieces, corners that touch, and objects at the edge of the image."""
    np.testing.assert_array_equal(rasterise(trace_outlines(labels), labels.shape), labels)


def test_coordinates_start_at_the_corner_of_the_image():
    """A pixel's outline surrounds its centre, at (0.5, 0.5) for the first pixel; x comes first."""
    ((ring,),) = trace_outlines(np.pad(np.ones((1, 1), int), ((2, 5), (4, 1))))[1]
    np.testing.assert_allclose(ring.mean(axis=0), (4.5, 2.5), atol=0.2)
    np.testing.assert_array_equal(ring[0], ring[-1])
    assert ring.min(axis=0).tolist() == [4, 2]
    assert ring.max(axis=0).tolist() == [5, 3]


def test_a_rectangle_covers_the_pixels_between_its_corners():
    """The rectangle from (2, 1) to (5, 3) has 3 x 2 pixels; a polygon outside the image has none."""
    corners = np.array([[2, 1], [5, 1], [5, 3], [2, 3]], float)
    expected = np.zeros((6, 8), int)
    expected[1:3, 2:5] = 9
    np.testing.assert_array_equal(rasterise_polygons([(9, [corners])], (6, 8)), expected)
    assert not rasterise_polygons([(9, [corners + 100])], (6, 8)).any()
    np.testing.assert_array_equal(rasterise_polygons([(9, [corners - 100, corners + 100])], (6, 8)), 0)


def test_overlapping_pixels_belong_to_the_first_polygon():
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], float)
    assert rasterise_polygons([(1, [square]), (2, [square + 2])], (6, 6)).tolist()[3] == [1, 1, 1, 1, 2, 2]


@pytest.fixture
def labels(tmp_path, monkeypatch):
    """Write an image and its labels into the working folder; return the labels."""
    monkeypatch.chdir(tmp_path)
    array = np.zeros((20, 30), np.uint16)
    array[2:9, 3:12], array[10:18, 5:25], array[0:3, 20:30] = 5, 70, 300
    tifffile.imwrite("labels.tif", array, resolution=(3, 3))
    tifffile.imwrite("image.tif", (array > 0).astype(np.uint8))
    return array


@pytest.mark.parametrize("name", ["a.geojson", "a.zip"])
def test_the_command_converts_labels_to_outlines_and_back(labels, name):
    assert main(["convert", "labels.tif", "--output", name]) == 0
    assert main(["convert", name, "--like", "image.tif", "--output", "back.tif"]) == 0
    np.testing.assert_array_equal(read_label("back.tif", 2).array, labels)


def test_geojson_keeps_holes_and_pieces(labels):
    labels[4:6, 5:8], labels[19, 29] = 0, 5
    tifffile.imwrite("labels.tif", labels)
    assert main(["convert", "labels.tif", "--output", "a.geojson"]) == 0
    assert main(["convert", "a.geojson", "--like", "image.tif", "--output", "back.tif"]) == 0
    np.testing.assert_array_equal(read_label("back.tif", 2).array, labels)
    features = json.loads(Path("a.geojson").read_text(encoding="utf-8"))["features"]
    geometries = {feature["properties"]["name"]: feature["geometry"]["type"] for feature in features}
    assert geometries == {"5": "MultiPolygon", "70": "Polygon", "300": "Polygon"}


def test_objects_with_holes_are_refused_as_roi(labels, tmp_path):
    labels[4:6, 5:8] = 0
    with pytest.raises(BadInput, match=r"a.zip: found object 5 in 1 pieces with 1 holes; expected one piece without"):
        write_shapes(tmp_path / "a.zip", trace_outlines(labels))
    assert not (tmp_path / "a.zip").exists()


def test_shapes_whose_names_are_no_numbers_are_numbered(tmp_path):
    square = np.array([[1, 1], [1, 4], [4, 4], [4, 1]])
    for index, name in enumerate(("cell", "cell")):
        roifile.ImagejRoi.frompoints(square + 5 * index, name=name).tofile(tmp_path / "a.zip")
    assert [number for number, _ in read_shapes(tmp_path / "a.zip")] == [1, 2]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.geojson", "{", "no outlines (Expecting property name"),
        ("a.geojson", '{"features": [{}]}', "no outlines ('geometry')"),
        ("a.geojson", '[{"geometry": {"type": "Point", "coordinates": [1, 2]}}]', "a Point; expected Polygon"),
        (
            "a.geojson",
            '[{"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1e99], [2, 2]]]}}]',
            "three or more",
        ),
        (
            "a.geojson",
            '[{"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, NaN], [2, 2]]]}}]',
            "three or more",
        ),
        ("a.geojson", '[{"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}]', "three or more"),
        ("a.roi", "text", "no outlines"),
        ("a.zip", "text", "no outlines (File is not a zip file)"),
    ],
)
def test_invalid_outlines_are_errors(tmp_path, name, content, message):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(BadInput) as error:
        read_shapes(tmp_path / name)
    assert message in str(error.value)
    assert "expected GeoJSON or ImageJ's ROI; save the shapes again, as polygons or masks" in str(error.value)


def test_an_archive_that_unpacks_to_too_many_bytes_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.roi", "w") as file:
        for _ in range(300):
            file.write(bytes(2**20))
    with pytest.raises(BadInput, match=r"a.zip: found no outlines \(314572800 bytes when unpacked; expected at most"):
        read_shapes(tmp_path / "a.zip")


def test_masks_of_single_objects_become_one_label_image(labels):
    """Ids follow the order of file names; a pixel of two masks belongs to the first; masks may have any value."""
    for name, value, corner in (("a", 1, 0), ("b", 255, 2), ("c", 7, 20)):
        mask = np.zeros((40, 50), np.uint8)
        mask[corner : corner + 5, corner : corner + 5] = value
        tifffile.imwrite(f"masks-{name}.tif", mask)
    Path("masks").mkdir()
    for path in Path().glob("masks-*.tif"):
        path.rename(Path("masks", path.name))
    Path("masks/notes.txt").write_text("by hand", encoding="utf-8")
    tifffile.imwrite("image.tif", np.zeros((40, 50), np.uint8))
    assert main(["convert", "masks", "--like", "image.tif", "--output", "labels.tif"]) == 0
    expected = np.zeros((40, 50), np.uint32)
    expected[20:25, 20:25], expected[2:7, 2:7], expected[:5, :5] = 3, 2, 1
    np.testing.assert_array_equal(tifffile.imread("labels.tif"), expected)


def test_masks_that_add_no_object_cause_a_warning(labels, capsys):
    Path("masks").mkdir()
    for name in ("a", "b", "._b"):
        tifffile.imwrite(f"masks/{name}.tif", np.ones((40, 50), np.uint8))
    write_lif(Path("plate.lif"), *[np.zeros((1, 1, 40, 50), np.uint8)] * 2)
    assert main(["convert", "masks", "--like", "plate.lif#2", "--output", "labels.ome.tif"]) == 0
    assert set(np.unique(read_label("labels.ome.tif", 2).array)) == {1}
    assert (
        "warning: masks/b.tif: the mask adds no object; earlier masks cover all of its pixels"
        in capsys.readouterr().err
    )
    assert main(["convert", "masks", "--like", "plate.lif#2", "--output", "labels.lif"]) == 1
    assert "labels.lif: found another format than that of --like; expected .ome.tif" in capsys.readouterr().err


def test_problems_of_all_masks_are_reported_at_once(labels, capsys):
    Path("masks").mkdir()
    tifffile.imwrite("image.tif", np.zeros((40, 50), np.uint8))
    command = ["convert", "masks", "--like", "image.tif", "--output", "b.tif"]
    Path("masks/a.png").write_bytes(b"torn")
    assert main(["convert", "masks", "--output", "b.tif"]) == 1
    assert "masks: found no --like; expected the image on which outlines or masks were drawn" in capsys.readouterr().err
    tifffile.imwrite("masks/b.tif", np.zeros((9, 9), np.uint8))
    assert main(command) == 1
    errors = capsys.readouterr().err
    assert "masks/a.png: found a damaged file" in errors
    assert "masks/b.tif: found shape (9, 9); expected (40, 50), the shape of image.tif" in errors
    assert not Path("b.tif").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["a.zip", "--output", "b.tif"],
            "a.zip: found no --like; expected the image on which outlines or masks were drawn; add --like",
        ),
        (["a.zip", "--like", "image.tif", "--output", "b.png"], "b.png: found another format than that of --like"),
        (
            ["labels.tif", "--output", "b.svg"],
            "b.svg: found outlines as '.svg'; expected .geojson or .zip; change --output",
        ),
        (["none.zip", "--like", "image.tif", "--output", "b.tif"], "none.zip: found no such file; expected outlines"),
    ],
)
def test_invalid_arguments_are_errors(labels, capsys, arguments, message):
    assert main(["convert", *arguments]) == 1
    assert message in capsys.readouterr().err
