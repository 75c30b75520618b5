"""Pictures for the viewer: content, cropping of large images, limit on bytes."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
import zarr
from PIL import Image

from snakeseg.report.images import gallery as module
from snakeseg.report.images.gallery import gallery, link
from snakeseg.report.images.pictures import KIND_COLOURS, shrink_labels
from snakeseg.report.images.views import KINDS, READ_SIDE_PIXELS, Views, middle_region
from snakeseg.settings import Labels

TRUTH = np.kron(np.array([[1, 0, 2, 2], [0, 0, 0, 0], [4, 3, 0, 5]]), np.ones((8, 8), int))
PREDICTION = np.kron(np.array([[1, 0, 2, 3], [0, 9, 0, 0], [6, 6, 0, 0]]), np.ones((8, 8), int))
OBJECTS = [
    ("true", 1, "match"), ("true", 2, "split"), ("true", 3, "merge"), ("true", 4, "merge"), ("true", 5, "miss"),
    ("predicted", 1, "match"), ("predicted", 2, "split"), ("predicted", 3, "split"), ("predicted", 6, "merge"),
    ("predicted", 9, "false"),
]  # fmt: skip


@pytest.fixture
def make_views(tmp_path, monkeypatch):
    """Return a function that makes the views of a scored image "a" and a damaged one, in a working folder."""
    monkeypatch.chdir(tmp_path)
    for name, array in (("image", TRUTH * 20), ("label", TRUTH), ("run/predictions/x/test-0000/a", PREDICTION)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array.astype(np.uint8)).save(f"{name}.png")
    sheet = pd.DataFrame({"sample": ["a", "damaged"], "image": ["image.png", "no.png"], "label": ["label.png", ""]})
    sheet["batch"] = "test-0000"
    images = pd.DataFrame(
        {"experiment": "x", "subset": "test", "sample": ["a", "damaged"], "status": ["scored", "unreadable"]}
    )
    objects = pd.DataFrame(OBJECTS, columns=["side", "id", "kind"]).assign(experiment="x", sample="a", partner="")
    return lambda objects=objects: Views(tmp_path / "run", sheet, images, objects, 2, Labels())


def decoded(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGBA"))


def test_objects_are_coloured_by_the_kind_of_their_error(make_views, tmp_path):
    entry = gallery(make_views(), ["a"], tmp_path / "run" / "report.html")["a"]
    errors = decoded(entry["shown"]["x"]["errors"])
    assert errors.shape[:2] == (entry["height"], entry["width"]) == TRUTH.shape
    expected = {(0, 0): "match", (0, 2): "split", (0, 3): "split", (1, 1): "false", (2, 0): "merge", (2, 1): "merge",
                (2, 3): "miss"}  # fmt: skip
    for cell in np.ndindex(3, 4):
        y, x = 8 * cell[0] + 4, 8 * cell[1] + 4
        if cell in expected:
            assert tuple(errors[y, x, :3]) == KIND_COLOURS[expected[cell]], cell
            assert 0 < errors[y, x, 3] < 255
        else:
            assert errors[y, x, 3] == 0, cell
    assert entry["shown"]["x"]["counts"] == {"match": 1, "split": 1, "merge": 2, "miss": 1, "false": 1}


def test_matches_are_coloured_without_a_column_of_kinds(make_views):
    objects = pd.DataFrame(
        [("true", 1, "1"), ("true", 5, ""), ("predicted", 1, "1"), ("predicted", 9, "")],
        columns=["side", "id", "partner"],
    ).assign(experiment="x", sample="a")
    errors = make_views(objects).view("a").errors["x"]
    names = dict(enumerate(KINDS, start=1))
    assert [names.get(errors[y, x]) for y, x in ((4, 4), (12, 12), (20, 28), (4, 20))] == [
        "match",
        "false",
        "miss",
        None,
    ]


def test_outlines_lie_on_the_objects(make_views, tmp_path):
    entry = gallery(make_views(), ["a"], tmp_path / "run" / "report.html")["a"]
    for url, labels in ((entry["truth"], TRUTH), (entry["shown"]["x"]["prediction"], PREDICTION)):
        edge = decoded(url)[..., 3] > 0
        assert edge.any()
        assert not edge[labels == 0].any()


def test_an_unreadable_image_has_a_note_instead_of_pictures(make_views, tmp_path):
    entry = gallery(make_views(), ["damaged"], tmp_path / "run" / "report.html")["damaged"]
    assert "no such file" in entry["note"]
    assert "picture" not in entry


def test_only_files_in_the_working_folder_are_linked(make_views, tmp_path):
    entry = gallery(make_views(), ["a"], tmp_path / "run" / "report.html")["a"]
    assert entry["files"]["image"] == {"text": "image.png", "href": "../image.png"}
    assert entry["shown"]["x"]["file"]["href"] == "predictions/x/test-0000/a.png"
    assert "href" not in link(tmp_path.parent / "elsewhere.png", tmp_path)
    assert link(tmp_path / "a b#:c.png", tmp_path)["href"] == "a%20b%23%3Ac.png"


def test_samples_share_the_limit_on_bytes(make_views, tmp_path, monkeypatch):
    """Each sample gets the largest size that fits its share; only the first samples get pictures."""
    noise = np.random.default_rng(0).integers(0, 255, (600, 600), np.uint8)
    for name in ("image", "label", "run/predictions/x/test-0000/a"):
        Image.fromarray(noise if name == "image" else noise // 128).save(tmp_path / f"{name}.png")
    page = tmp_path / "run" / "report.html"
    assert gallery(make_views(), ["a"], page)["a"]["width"] == 512
    monkeypatch.setattr(module, "BUDGET_BYTES", 80_000)
    small = gallery(make_views(), ["a"], page)["a"]
    assert small["width"] < 512
    assert module.encoded_bytes(small) <= 80_000
    monkeypatch.setattr(module, "MAX_SAMPLES", 1)
    assert list(gallery(make_views(), ["damaged", "damaged", "a"], page)) == ["damaged"]


def test_only_the_middle_of_a_large_image_is_read(tmp_path):
    """All chunks but those in the middle are missing; their fill value would change the mean."""
    array = zarr.create_array(tmp_path / "large.zarr", shape=(40_000, 30_000), chunks=(500, 500), dtype=np.uint16)
    part = middle_region(array.shape)
    assert [region.stop - region.start for region in part] == [READ_SIDE_PIXELS, READ_SIDE_PIXELS]
    array[part] = 7
    (tmp_path / "run" / "predictions" / "x" / "test-0000").mkdir(parents=True)
    (tmp_path / "run" / "predictions" / "x" / "test-0000" / "large.zarr").symlink_to(tmp_path / "large.zarr")
    sheet = pd.DataFrame({"sample": ["large"], "image": [str(tmp_path / "large.zarr")], "label": [""]})
    sheet["batch"] = "test-0000"
    images = pd.DataFrame({"experiment": ["x"], "subset": "predict", "sample": "large", "status": "unlabelled"})
    view = Views(tmp_path / "run", sheet, images, pd.DataFrame(columns=["sample"]), 2, Labels()).view("large")
    assert view.mean_intensity == 7
    assert (view.predicted["x"] == 7).all()
    assert view.note == "the middle 2048 x 2048 of 40000 x 30000 pixels"


def test_shrunken_labels_keep_their_ids():
    labels = np.kron(np.array([[0, 70_000], [3, 0]]), np.ones((100, 100), int))
    small = shrink_labels(labels, 20)
    assert small.shape == (20, 20)
    np.testing.assert_array_equal(small[::10, ::10], [[0, 70_000], [3, 0]])
    assert shrink_labels(labels, 500) is not None
