"""Border-aware weights against a direct computation with one distance transform per object in float64."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from snakeseg.transforms import border_weights as weights
from snakeseg.transforms.border_weights import border_weights, class_weights

TOLERANCE = 2e-6


def direct_weights(objects, w0, sigma, spacing):
    """Compute equation 2 of the paper directly, with zero inside objects."""
    ids = np.setdiff1d(objects, 0)
    if len(ids) < 2:
        return np.zeros(objects.shape)
    distances = np.sort([ndimage.distance_transform_edt(objects != i, sampling=spacing) for i in ids], axis=0)
    border = w0 * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2))
    return np.where(objects == 0, border, 0)


def draw_objects(seed, shape, count):
    """Draw overlapping balls: some ids may be missing, some objects touch or are fragmented."""
    rng = np.random.default_rng(seed)
    objects = np.zeros(shape, np.int32)
    coordinates = np.indices(shape)
    for identity in range(1, count + 1):
        centre = rng.uniform(0, shape).reshape(-1, *(1,) * len(shape))
        objects[((coordinates - centre) ** 2).sum(axis=0) < rng.uniform(1, 6) ** 2] = identity
    return objects


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((90, 70), (1, 1)), ((90, 70), (0.5, 0.5)), ((60, 50), (2.5, 1)), ((26, 28, 24), (1, 1, 1)),
     ((16, 34, 30), (2, 1, 1)), ((16, 24, 30), (3, 1, 0.7))],
)  # fmt: skip
@pytest.mark.parametrize("sigma", [1.0, 5.0])
def test_weights_equal_the_direct_computation(shape, spacing, sigma):
    objects = draw_objects(0, shape, 15)
    expected = direct_weights(objects, 10.0, sigma, spacing)
    assert expected.max() > 1
    np.testing.assert_allclose(border_weights(objects, 10.0, sigma, spacing), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("shape", "block"), [((100, 80), 17), ((100, 80), 64), ((30, 26, 28), 9)])
def test_weights_do_not_depend_on_the_blocks(monkeypatch, shape, block):
    """Blocks smaller than the reach of the border term give the same weights as a single block."""
    monkeypatch.setattr(weights, "BLOCK_SIDE", {2: block, 3: block})
    objects = draw_objects(1, shape, 20)
    expected = direct_weights(objects, 10.0, 2.0, (1,) * len(shape))
    np.testing.assert_allclose(border_weights(objects, sigma=2.0), expected, rtol=0, atol=TOLERANCE)


def test_blocks_support_anisotropic_spacing(monkeypatch):
    monkeypatch.setattr(weights, "BLOCK_SIDE", {2: 16})
    objects = draw_objects(2, (60, 90), 20)
    expected = direct_weights(objects, 10.0, 2.0, (2.0, 0.5))
    np.testing.assert_allclose(border_weights(objects, 10, 2, (2.0, 0.5)), expected, rtol=0, atol=TOLERANCE)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    count=st.integers(0, 12),
    w0=st.floats(0.1, 50),
    sigma=st.floats(0.5, 8),
    spacing=st.tuples(st.floats(0.3, 3), st.floats(0.3, 3)),
)
def test_weights_of_random_objects_equal_the_direct_computation(seed, shape, count, w0, sigma, spacing):
    objects = draw_objects(seed, shape, count)
    expected = direct_weights(objects, w0, sigma, spacing)
    actual = border_weights(objects, w0, sigma, spacing)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE * max(1, w0 / 10))


def test_the_weight_between_two_walls_equals_the_formula():
    """In the middle of a gap of 3 pixels, d1 = d2 = 2 and the weight is 10 exp(-16 / 50)."""
    objects = np.zeros((5, 9), int)
    objects[:, :3], objects[:, 6:] = 1, 2
    assert border_weights(objects)[2, 4] == pytest.approx(10 * np.exp(-16 / 50), abs=1e-6)


@pytest.mark.parametrize("objects", [np.zeros((20, 20), int), np.pad(np.ones((4, 4), int), 8)])
def test_fewer_than_two_objects_have_no_weights(objects):
    assert not border_weights(objects).any()


def test_weights_are_zero_inside_objects():
    objects = draw_objects(3, (64, 64), 12)
    assert not border_weights(objects)[objects > 0].any()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "uint32", "int64", "uint64"])
def test_objects_can_have_any_integer_type(dtype):
    objects = draw_objects(4, (40, 40), 6)
    np.testing.assert_allclose(border_weights(objects.astype(dtype)), border_weights(objects), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("shape", [(40, 40), (12, 14, 16)])
def test_weights_do_not_depend_on_memory_addresses(shape):
    """Vectorised square roots round differently at the ends of a row; the weights have the same bits at any address."""
    objects = draw_objects(4, shape, 6)
    results = [(np.empty(37 * k % 1999 + 1, np.uint8), border_weights(objects)) for k in range(60)]
    assert len({weight.tobytes() for _, weight in results}) == 1


def test_a_border_term_of_zero_gives_no_weights():
    assert not border_weights(draw_objects(0, (30, 30), 5), w0=0).any()


@pytest.mark.parametrize(
    ("objects", "kwargs"),
    [
        (np.zeros((4, 4)), {}),
        (np.zeros((4, 4), bool), {}),
        (np.zeros((4, 4), int), {"sigma": 0}),
        (np.zeros((4, 4), int), {"spacing": (1, -1)}),
        (np.zeros((4, 4), int), {"spacing": (1,)}),
    ],
)
def test_invalid_arguments_are_errors(objects, kwargs):
    with pytest.raises(ValueError, match="expected"):
        border_weights(objects, **kwargs)


def peak_memory(objects):
    tracemalloc.start()
    border_weights(objects, sigma=3.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_number_of_objects():
    """Memory is at most 24 bytes per pixel, and the same for 16 and 4096 squares on a grid."""
    few, many = (
        np.kron(np.arange(1, n * n + 1).reshape(n, n), np.pad(np.ones((s // 2, s // 2), int), (0, s // 2)))
        for n, s in ((4, 128), (64, 8))
    )
    assert few.shape == many.shape == (512, 512)
    assert few.max() == 16
    assert many.max() == 4096
    border_weights(few)
    bytes_of_few, bytes_of_many = peak_memory(few.astype(np.int32)), peak_memory(many.astype(np.int32))
    assert bytes_of_many < 1.25 * bytes_of_few
    assert bytes_of_many < 28 * few.size


def test_class_weights_balance_the_classes():
    """Balanced weights are total / (classes * count), with a mean of 1 over all pixels."""
    np.testing.assert_allclose(class_weights([300, 100]), [2 / 3, 2.0])
    np.testing.assert_allclose(class_weights([10, 0, 30]), [2.0, 0.0, 2 / 3])


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=6).filter(any))
def test_class_weights_have_mean_one(counts):
    assert np.average(class_weights(counts).astype(float), weights=counts) == pytest.approx(1, rel=1e-5)
