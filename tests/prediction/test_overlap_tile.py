"""Overlap-tile inference: tiles equal one pass over the mirrored whole; averages; model folders."""

import json
from functools import partial

import narrow
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from snakeseg.errors import BadInput
from snakeseg.io.images import open_image, read_label
from snakeseg.models.checkpoint import save_model
from snakeseg.models.description import Description
from snakeseg.networks.geometry import combine, magnified, uniform
from snakeseg.networks.registry import geometry_of
from snakeseg.objects.components import ComponentFilter
from snakeseg.objects.label_files import write_label_file
from snakeseg.objects.parameters import load_parameters
from snakeseg.objects.segment import InstanceParameters
from snakeseg.prediction import overlap_tile as inference
from snakeseg.prediction.images import fit_to_model
from snakeseg.prediction.overlap_tile import (
    assemble,
    likeliest_class,
    make_tile_function,
    predict_logits,
    run_tiles,
    tile_logits_at_scales,
    tile_probabilities,
)
from snakeseg.prediction.predict import predict_tiles
from snakeseg.prediction.predictor import load_predictor
from snakeseg.prediction.tiles import fixed_stride
from snakeseg.settings import Labels, Predict, Prepare, UNetSettings
from snakeseg.transforms.flips import Symmetry, any_symmetry

random_network = partial(narrow.random_network, classes=3)


def without_halo(dims):
    return uniform(dims, halo=0, multiple=1)


def probabilities(models, image, average, geometry=None, tile=10_000):
    geometry = geometry or without_halo(image.ndim - 1)
    stride = fixed_stride(image.shape[1:], geometry, tile)
    symmetry = any_symmetry(image.ndim - 1) if average else Symmetry()
    return assemble(run_tiles(tile_probabilities(models, symmetry), image, geometry, stride), image.shape[1:])


def softmax(logits):
    """Compute the softmax of an array over axis 0."""
    return torch.softmax(torch.from_numpy(np.ascontiguousarray(logits)), dim=0).numpy()


def one_pass_logits(network, image, geometry):
    """Compute the logits of one pass over the image that NumPy pads with its reflection."""
    shape = image.shape[1:]
    axes = zip(geometry.halo, geometry.input_size(shape), shape, strict=True)
    pad = [(halo, size - n - halo) for halo, size, n in axes]
    framed = np.pad(image, [(0, 0), *pad], mode="reflect")
    with torch.inference_mode():
        out = network(torch.from_numpy(framed)[None])[0].numpy()
    return out[(slice(None), *(slice(n) for n in shape))]


@pytest.mark.parametrize("normalisation", ["none", "batch"])
@pytest.mark.parametrize(
    ("depth", "shape"),
    [
        (1, (37, 53)),
        (2, (37, 53)),
        (3, (51, 30)),
        (2, (5, 9)),
        (3, (1, 40)),
        (1, (1, 1)),
        (1, (9, 12, 7)),
        (2, (3, 10, 7)),
    ],
)
def test_tiles_equal_the_whole(normalisation, depth, shape):
    """They agree to 1e-9 in float64, in 2D and 3D, at three tile sizes, also for images smaller than the halo."""
    settings = UNetSettings(width=3, depth=depth, normalisation=normalisation)
    geometry = geometry_of(len(shape), settings)
    assert geometry.tile_exact
    network = random_network(len(shape), settings)
    image = np.random.default_rng(1).normal(size=(1, *shape))
    expected = one_pass_logits(network, image, geometry)
    if min(shape) > 1:
        assert expected.std(axis=tuple(range(1, expected.ndim))).max() > 1e-3
    for tile in (2**depth, 3 * 2**depth, 10_000):
        logits = predict_logits(network, image, geometry, tile)
        assert logits.dtype == np.float64
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-9)
        np.testing.assert_array_equal(logits.argmax(axis=0), expected.argmax(axis=0))


def test_tiles_equal_the_whole_at_the_papers_depth():
    settings = UNetSettings(width=1, depth=4)
    geometry = geometry_of(2, settings)
    network = random_network(2, settings, channels=2)
    image = np.random.default_rng(1).normal(size=(2, 70, 45))
    for tile in (32, 64, 512):
        logits = predict_logits(network, image, geometry, tile)
        np.testing.assert_allclose(logits, one_pass_logits(network, image, geometry), rtol=0, atol=1e-9)


def test_tiles_equal_the_whole_in_float32():
    settings = UNetSettings(width=4, depth=2)
    geometry = geometry_of(2, settings)
    network = random_network(2, settings).float()
    image = np.random.default_rng(1).normal(size=(1, 60, 44)).astype(np.float32)
    logits = predict_logits(network, image, geometry, 16)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, one_pass_logits(network, image, geometry), rtol=0, atol=1e-4)


@pytest.mark.parametrize("scales", [[1.5], [2], [1, 1.5], [1, 1.5, 2]])
@pytest.mark.parametrize(
    ("depth", "padded", "shape"), [(2, False, (70, 45)), (2, True, (37, 90)), (1, True, (13, 6, 9))]
)
def test_tiles_equal_the_whole_at_other_scales(depth, padded, shape, scales):
    settings = UNetSettings(width=2, depth=depth, padded=padded)
    geometry = geometry_of(len(shape), settings)
    common = combine([magnified(geometry, scale) for scale in scales])
    compute_tile = tile_logits_at_scales(scales, random_network(len(shape), settings), geometry, common)
    image = np.random.default_rng(1).normal(size=(1, *shape))
    expected, *tiled = (
        assemble(run_tiles(compute_tile, image, common, fixed_stride(shape, common, tile)), shape)
        for tile in (1000, 8, 32)
    )
    assert expected.std(axis=tuple(range(1, expected.ndim))).max() > 1e-3
    for logits in tiled:
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("scale", [1.5, 2])
@pytest.mark.parametrize("dims", [2, 3])
def test_logits_of_magnified_tiles_are_neither_shifted_nor_blurred(scale, dims):
    """A network that doubles its input doubles a ramp."""
    image = np.indices((24,) * dims, dtype=float).sum(axis=0)[None]
    geometry = uniform(dims, halo=0, multiple=4, padded=True)
    common = magnified(geometry, scale)
    compute_tile = tile_logits_at_scales([scale], lambda x: 2 * x, geometry, common)
    logits = assemble(run_tiles(compute_tile, image, common, (8,) * dims), image.shape[1:])
    inner = (slice(None), *(slice(3, -3),) * dims)  # at the edge the ramp is mirrored
    np.testing.assert_allclose(logits[inner], 2 * image[inner], rtol=0, atol=1e-9)


def test_probabilities_of_the_scales_are_averaged():
    image, logits = np.zeros((1, 4, 4)), iter([[2.0, 0.0], [0.0, 1.0]])

    def network(x):
        return torch.tensor(next(logits), dtype=x.dtype)[None, :, None, None].expand(1, 2, *x.shape[2:])

    geometry = uniform(2, halo=0, multiple=1, padded=True)
    common = combine([geometry, magnified(geometry, 2)])
    compute_tile = tile_probabilities([tile_logits_at_scales([1, 2], network, geometry, common)], Symmetry())
    expected = (softmax(np.array([2.0, 0.0])) + softmax(np.array([0.0, 1.0]))) / 2
    average = assemble(run_tiles(compute_tile, image, common, (4, 4)), (4, 4))
    np.testing.assert_allclose(average, np.broadcast_to(expected[:, None, None], (2, 4, 4)), rtol=0, atol=1e-9)


def test_strides_that_are_no_multiple_of_the_period_are_detected(monkeypatch):
    """Counter-example: at a stride that is no multiple of 2**depth, tiles differ from the whole."""
    settings = UNetSettings(width=3, depth=2)
    geometry = geometry_of(2, settings)
    network = random_network(2, settings)
    image = np.random.default_rng(1).normal(size=(1, 30, 30))
    expected = one_pass_logits(network, image, geometry)
    np.testing.assert_allclose(predict_logits(network, image, geometry, 8), expected, rtol=0, atol=1e-9)
    monkeypatch.setattr(inference, "fixed_stride", lambda shape, geometry, largest: (6, 6))
    assert np.abs(predict_logits(network, image, geometry, 8) - expected).max() > 1e-3


def test_tiles_are_no_larger_than_requested():
    sizes = []

    class Spy(nn.Module):
        def forward(self, x):
            sizes.append(max(x.shape[2:]))
            return x[..., 8:-8, 8:-8]

    geometry = geometry_of(2, UNetSettings(depth=1))
    image = np.random.default_rng(0).normal(size=(1, 100, 70))
    np.testing.assert_array_equal(predict_logits(Spy(), image, geometry, 20), image)
    assert max(sizes) == max(geometry.input_size(20))


def test_tiles_of_the_same_constant_are_computed_once():
    """Of 36 tiles, 4 in a corner are not constant; each of two constants takes one pass, with the same output."""
    calls = []

    def compute_tile(tile_input):
        calls.append(1)
        return torch.cat([tile_input, tile_input.cumsum(-1)])

    image = np.zeros((1, 60, 60), np.float32)
    image[0, :15, :15] = np.random.default_rng(0).integers(0, 9, (15, 15))
    image[0, 40:] = 3
    output = assemble(run_tiles(compute_tile, image, without_halo(2), (10, 10)), (60, 60))
    assert len(calls) == 4 + 2
    np.testing.assert_array_equal(output[0], image[0])
    np.testing.assert_array_equal(output[1], image[0].reshape(60, 6, 10).cumsum(-1).reshape(60, 60))


def orientation_dependent_logits(image):
    """Return logits of two classes; they change with every flip and turn."""
    slope = torch.cumsum(image[0], -1) + 2 * torch.cumsum(image[0] ** 2, -2)
    return torch.stack([torch.zeros_like(slope), 0.1 * slope])


@pytest.mark.parametrize("shape", [(6, 9), (7, 7)])
def test_average_is_over_the_eight_orientations(shape):
    """It is the mean over all turns and flips of the probabilities, turned and flipped back."""
    image = np.random.default_rng(0).normal(size=(1, *shape))
    expected = []
    for flip in (False, True):
        for turns in range(4):
            view = np.rot90(image[:, :, ::-1] if flip else image, turns, (1, 2))
            logits = orientation_dependent_logits(torch.from_numpy(view.copy())).numpy()
            back = np.rot90(softmax(logits), -turns, (1, 2))
            expected.append(back[:, :, ::-1] if flip else back)
    average = probabilities([orientation_dependent_logits], image, average=True)
    np.testing.assert_allclose(average, np.mean(expected, axis=0), atol=1e-3)
    assert np.abs(average - expected[0]).max() > 0.05
    np.testing.assert_allclose(
        probabilities([orientation_dependent_logits], image, average=False), expected[0], atol=1e-3
    )


@pytest.mark.parametrize("shape", [(37, 53), (16, 32), (5, 9), (5, 6, 4)])
@pytest.mark.parametrize("padded", [False, True])
def test_averages_do_not_depend_on_the_tiles(shape, padded):
    """They agree to 1e-9 in float64, over all orientations, and over two networks."""
    settings = UNetSettings(width=2, depth=2, padded=padded)
    geometry = geometry_of(len(shape), settings)
    network = random_network(len(shape), settings)
    other = random_network(len(shape), settings)
    with torch.no_grad():
        for value in other.parameters():
            value.mul_(0.9)
    models = [make_tile_function(n, geometry) for n in (network, other)]
    image = np.random.default_rng(1).normal(size=(1, *shape))
    expected = probabilities(models, image, True, geometry)
    for tile in (4, 12):
        average = probabilities(models, image, True, geometry, tile)
        np.testing.assert_allclose(average, expected, rtol=0, atol=1e-9)
    single = probabilities(models[:1], image, False, geometry)
    assert np.abs(expected - single).max() > 1e-3


def test_averaging_does_not_change_an_equivariant_predictor():
    image = np.random.default_rng(0).normal(size=(1, 5, 6, 7))

    def local(x):
        return torch.stack([x[0], -(x[0] ** 2)])

    with_flips, without = (probabilities([local], image, average) for average in (True, False))
    np.testing.assert_allclose(with_flips, without, rtol=1e-12)  # float64; the order of a sum may differ


def test_probabilities_of_the_models_are_averaged():
    """The mean of the probabilities 0.9 and 0.5 is 0.7; that of their logits is not."""
    image = np.zeros((1, 2, 2))
    confident, undecided = (
        lambda x, v=v: torch.stack([torch.zeros_like(x[0]), torch.full_like(x[0], v)]) for v in (np.log(9), 0)
    )
    average = probabilities([confident, undecided], image, False)
    np.testing.assert_allclose(average[1], 0.7, atol=1e-3)
    np.testing.assert_allclose(average.sum(axis=0), 1, atol=1e-3)


def labels_of(folder, arrays, labels, parameters):
    """Write the label file of an image with one row of pixels, and return its values as a list."""
    Image.fromarray(np.zeros((1, arrays["probabilities"].shape[-1]), np.uint8)).save(folder / "image.png")
    write_label_file(folder / "labels.png", arrays, labels, parameters, open_image(folder / "image.png", 2))
    return read_label(folder / "labels.png", 2).array.tolist()


def test_semantic_labels_are_written_as_their_values(tmp_path):
    labels = Labels("semantic", {"sky": 10, "cell": 3, "border": 7})
    probability = np.array([[[0.5, 0.2]], [[0.3, 0.2]], [[0.2, 0.6]]])
    arrays = {"probabilities": probability}
    assert labels_of(tmp_path, arrays, labels, {}) == [[10, 7]]
    arrays["classes"] = probability.argmax(axis=0)[None].astype(np.uint8)
    assert labels_of(tmp_path, arrays, labels, {"cell": ComponentFilter()}) == [[10, 7]]
    # A border of one pixel is below the smallest size of two pixels.
    assert labels_of(tmp_path, arrays, labels, {"border": ComponentFilter(smallest=2)}) == [[10, 10]]


@pytest.mark.parametrize("kind", ["instance", "binary"])
def test_the_parameters_segment_the_objects(tmp_path, kind):
    foreground = np.array([[0.9, 0.1, 0.6, 0.6, 0.1, 0.9]])
    arrays = {"probabilities": np.stack([1 - foreground, foreground])}
    for parameters, expected in [
        (InstanceParameters(threshold=0.5), [[1, 0, 2, 2, 0, 3]]),
        (InstanceParameters(threshold=0.7, smallest=1), [[1, 0, 0, 0, 0, 2]]),
        (InstanceParameters(smallest=2), [[0, 0, 1, 1, 0, 0]]),
    ]:
        assert labels_of(tmp_path, arrays, Labels(kind), parameters) == expected


SETTINGS = UNetSettings(width=2, depth=1)


def save_random(folder, seed, channels=1):
    torch.manual_seed(seed)
    description = Description(2, channels, Labels(), SETTINGS, Prepare("none"), Predict(average=False, tile=16), None)
    network = description.make_network()
    save_model(folder, network, description, {})
    return network.eval(), description


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 9, (21, 34)).astype(np.uint8)).save(tmp_path / "image.png")
    return open_image(tmp_path / "image.png", 2)


def predict_picture(folder, picture):
    """Predict a picture by the mean of a folder's models; return the predictor and the probabilities."""
    predictor = load_predictor([folder], torch.device("cpu"))
    shape = picture.array.shape[1:]
    return predictor, assemble(predict_tiles(predictor, picture, fixed_stride(shape, predictor.geometry, 16)), shape)


def test_a_folder_of_folds_predicts_their_mean(tmp_path, picture):
    """fold-10 comes after fold-2; the object parameters are those of the first fold."""
    networks = [save_random(tmp_path / "e" / f"fold-{fold}", fold)[0] for fold in (0, 2, 10)]
    (tmp_path / "e" / "fold-0" / "instances.json").write_text(
        json.dumps({"chosen": {"threshold": 0.7}}), encoding="utf-8"
    )
    geometry = geometry_of(2, SETTINGS)
    image = picture.array[:].astype(np.float32)
    expected = np.mean([softmax(predict_logits(n, image, geometry, 64)) for n in networks], axis=0)
    predictor, average = predict_picture(tmp_path / "e", picture)
    assert average.dtype == np.float16
    np.testing.assert_allclose(average, expected, atol=1e-3)
    assert load_parameters(predictor.folders[0], predictor.description.labels) == InstanceParameters(threshold=0.7)
    assert np.abs(predict_picture(tmp_path / "e" / "fold-0", picture)[1] - expected).max() > 0.01


def test_images_with_other_channels_are_rejected(tmp_path, picture):
    save_random(tmp_path / "m", 0, channels=3)
    with pytest.raises(BadInput, match=r"image.png: found 1 channels; expected 3"):
        fit_to_model(load_predictor([tmp_path / "m"], torch.device("cpu")).description, picture)


def test_a_folder_without_model_is_rejected(tmp_path):
    with pytest.raises(BadInput, match=r"model.json: found no such file"):
        load_predictor([tmp_path], torch.device("cpu"))


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_likeliest_class_is_the_first_of_equal_maxima(classes):
    values = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (classes, 30, 20))).half()
    np.testing.assert_array_equal(likeliest_class(values).numpy(), values.numpy().argmax(0)[None].astype(np.uint8))
