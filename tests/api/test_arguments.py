"""Wrong arguments of the Python interface raise BadInput; the troubleshooting page lists each message."""

import re

import numpy as np
import pytest
import tifffile
import torch

import snakeseg
from snakeseg.api.prediction import OUTPUTS
from snakeseg.io.store import write_store
from snakeseg.models.checkpoint import save_model
from snakeseg.models.description import Description
from snakeseg.settings import Augment, Labels, Predict, Prepare, UNetSettings
from snakeseg.training.prepare import elastic_copies

IMAGE, LABELS = np.ones((1, 20, 16)), np.ones((20, 16), np.int32)
NAN = np.where(np.arange(16) == 3, np.nan, IMAGE)
SEMANTIC = Labels("semantic", {"sky": 3, "sea": 9})
NETWORK = UNetSettings(width=2, depth=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    description = Description(2, 1, Labels(), NETWORK, Prepare(), Predict(average=False), None, spacing=[0.5, 0.5])
    save_model(folder, description.make_network(), description, {})
    return snakeseg.load_model(folder, gpus=0)


@pytest.fixture
def source(tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", np.zeros((20, 16), np.uint8))
    return snakeseg.read_image(tmp_path / "image.tif")


WRONG = {
    "array of four axes": (lambda f: f.predict(np.ones((1, 1, 8, 8))), "array: found shape (1, 1, 8, 8); expected"),
    "array of one axis": (lambda f: f.predict(np.ones(8)), "array: found shape (8,); expected axes"),
    "array without pixels": (lambda f: f.predict(np.ones((0, 8))), "array: found shape (0, 8); expected axes"),
    "array of text": (lambda f: f.predict(np.array([["a"]])), "array: found dtype <U1; expected an integer or float"),
    "array with NaN": (lambda f: f.predict(NAN), "array: found 20 pixels that are NaN or infinite"),
    "array with channels": (lambda f: f.predict(np.ones((3, 8, 8))), "array: found 3 channels; expected 1, as in"),
    "spacing of three": (lambda f: f.predict(IMAGE, (1, 1, 1)), "spacing: found 3 numbers; expected 2"),
    "spacing of zero": (lambda f: f.predict(IMAGE, (1, 0)), "spacing: found 0; expected a positive number"),
    "spacing unlike training's": (lambda f: f.predict(IMAGE, (2, 2)), "array: found pixels of 2 x 2; expected about"),
    "other output": (lambda f: f.predict(IMAGE, output="masks"), "output: found 'masks'; expected one of labels, cl"),
    "no memory": (lambda f: f.predict(IMAGE, memory_gb=-1), "memory_gb: found -1; expected a positive number"),
    "no model": (lambda f: snakeseg.load_model(f.folder), "model.json: found no such file; expected a model folder"),
    "one axis to read": (lambda f: snakeseg.read_image(f.path, 1), "spatial_dims: found 1; expected 2 or 3; change"),
    "no image": (lambda f: snakeseg.read_image(f.folder / "a.tif"), "a.tif: found no such file; expected an image"),
    "labels of floats": (lambda f: f.write(LABELS * 0.5), "labels: found dtype float64; expected an integer dtype"),
    "negative labels": (lambda f: f.write(-LABELS), "labels: found the negative value -1; expected 0 for background"),
    "labels of four axes": (lambda f: f.write(LABELS[None, None]), "labels: found shape (1, 1, 20, 16); expected axes"),
    "other image's labels": (lambda f: f.write(LABELS[:5]), "labels: found shape (5, 16); expected (20, 16), as "),
    "other format": (lambda f: f.write(LABELS, "a.png"), "a.png: found format '.png'; expected '.tif', the format of"),
    "weights of negative ids": (lambda f: snakeseg.border_weights(-LABELS), "labels: found the negative value -1"),
    "sigma of zero": (lambda f: snakeseg.border_weights(LABELS, sigma=0), "sigma: found 0; expected a positive"),
    "negative w0": (lambda f: snakeseg.border_weights(LABELS, w0=-1), "w0: found -1; expected a number of at least 0"),
    "weights' spacing": (lambda f: snakeseg.border_weights(LABELS, spacing=[1]), "spacing: found 1 numbers; expected"),
    "deformed NaN": (lambda f: snakeseg.elastic_deform(NAN, LABELS), "image: found 20 pixels that are NaN"),
    "channels last": (lambda f: snakeseg.elastic_deform(np.ones((20, 16, 3)), LABELS), "image: found shape (20, 16,"),
    "one point": (lambda f: snakeseg.elastic_deform(IMAGE, LABELS, points=1), "points: found 1; expected a number of"),
    "truth of another shape": (lambda f: snakeseg.score(LABELS[:9], LABELS), "prediction: found shape (20, 16); expec"),
    "negative prediction": (lambda f: snakeseg.score(LABELS, -LABELS), "prediction: found the negative value -1"),
    "unknown class": (lambda f: snakeseg.score(LABELS, LABELS, SEMANTIC), "truth: found values [1]; expected the"),
}  # fmt: skip


class Functions:
    """The functions under test, with valid values for all arguments but the wrong one."""

    def __init__(self, model, source):
        self.model, self.source, self.path, self.folder = model, source, source.path, source.path.parent

    def predict(self, *args, **kwargs):
        return snakeseg.predict(self.model, *args, **kwargs)

    def write(self, labels, name="a.tif"):
        snakeseg.write_labels(self.folder / name, labels, like=self.source)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_raise_bad_input(name, model, source, repository):
    call, expected = WRONG[name]
    with pytest.raises(snakeseg.BadInput) as raised:
        call(Functions(model, source))
    error = raised.value
    assert expected in str(error)
    assert all((error.where, error.found, error.expected, error.remedy))
    assert list(source.path.parent.iterdir()) == [source.path]
    page = (repository / "docs/how-to/troubleshooting.md").read_text(encoding="utf-8")
    quotes = [
        quote for row in re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE) for quote in re.findall("`(.*?)`", row)
    ]
    assert any(re.search(re.escape(quote).replace(re.escape("..."), ".*"), str(error)) for quote in quotes)


def test_valid_arguments_are_accepted(model, source):
    functions = Functions(model, source)
    for output in OUTPUTS:
        assert functions.predict(IMAGE, (0.5, 0.5), output=output, memory_gb=1).shape[-2:] == (20, 16)
    functions.write(LABELS)
    assert snakeseg.read_labels(source.path.with_name("a.tif")).array.dtype == np.uint8


def test_ignored_pixels_may_be_negative():
    truth = np.array([[-1, 0], [1, 1]])
    scores, _ = snakeseg.score(truth, np.array([[5, 0], [2, 2]]), Labels(ignore=-1))
    assert (scores["pixels"], scores["ap_0.50"]) == (3, 1)
    with pytest.raises(snakeseg.BadInput, match="truth: found the negative value -2"):
        snakeseg.score(truth * 2, truth, Labels(ignore=-1))


@pytest.mark.parametrize(("shape", "spacing"), [((40, 30), (1.0, 1.0)), ((14, 30, 20), (3.0, 1.0, 1.0))])
def test_elastic_deform_equals_the_copies_of_the_workflow(shape, spacing, tmp_path):
    """`elastic_deform` with the random generator of a sample's copy returns that copy."""
    rng = np.random.default_rng(0)
    image, objects = rng.random((2, *shape), np.float32), rng.integers(0, 9, shape).astype(np.int32)
    arrays = {"image": image, "classes": (objects > 0).astype(np.uint8), "objects": objects}
    write_store(tmp_path / "a.zarr.zip", [("cells", {"spacing": spacing}, arrays)])
    ((_, _, copy),) = elastic_copies(tmp_path / "a.zarr.zip", Augment(copies=1, grid=4, std=3.0, seed=7))
    deformed = snakeseg.elastic_deform(image, objects, 3.0, 4, spacing, np.random.default_rng([7, 1, *b"cells"]))
    np.testing.assert_array_equal(deformed[0], copy["image"])
    np.testing.assert_array_equal(deformed[1], copy["objects"])
    assert not np.array_equal(deformed[1], objects)
