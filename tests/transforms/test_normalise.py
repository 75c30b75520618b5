"""Normalisation of intensities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakeseg.arrays import iterate_blocks
from snakeseg.settings import Prepare
from snakeseg.transforms.normalise import content_box, intensity_statistics, normalise, quantiles
from snakeseg.transforms.resample import resampled


def ramp():
    """Return 0..100 in the first channel, and ten times that plus 5 in the second."""
    return np.stack([np.arange(101.0).reshape(1, 101), np.arange(101.0).reshape(1, 101) * 10 + 5])


def test_percentiles_map_to_zero_and_one():
    offset, scale = intensity_statistics(ramp(), Prepare(low=10, high=90))
    np.testing.assert_allclose(offset, [10, 105])
    np.testing.assert_allclose(scale, [80, 800])
    image = normalise(ramp(), Prepare(low=10, high=90), None)[:]
    assert image.dtype == np.float32
    np.testing.assert_allclose(image[:, 0, [0, 10, 90, 100]], [[-0.125, 0, 1, 1.125]] * 2, atol=1e-6)


def test_zscore_gives_mean_zero_and_deviation_one():
    image = normalise(ramp(), Prepare("zscore"), None)[:]
    np.testing.assert_allclose(image.mean(axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(image.std(axis=(1, 2)), 1, rtol=1e-6)


def test_none_keeps_the_values():
    np.testing.assert_array_equal(normalise(ramp(), Prepare("none"), None)[:], ramp())


@pytest.mark.parametrize("kind", ["percentile", "zscore", "none"])
def test_a_constant_image_stays_finite(kind):
    image = normalise(np.full((1, 4, 4), 7.0), Prepare(kind), None)[:]
    assert (image == (7 if kind == "none" else 0)).all()


def test_a_nearly_constant_image_is_scaled_by_its_range():
    """If the percentiles coincide, the brightest pixel becomes 1."""
    image = np.zeros((1, 100, 100))
    image[0, 0, 0] = 50
    assert normalise(image, Prepare(), None)[:].max() == 1


def test_integers_do_not_overflow():
    image = np.array([[[0, 65535]]], np.uint16)
    np.testing.assert_allclose(normalise(image, Prepare(low=0, high=100), None)[:], [[[0, 1]]])


def test_normalisation_per_image_removes_brightness_and_contrast():
    image = np.random.default_rng(0).normal(size=(2, 20, 20))
    for kind in ("percentile", "zscore"):
        expected = normalise(image, Prepare(kind), None)[:]
        np.testing.assert_allclose(normalise(image * 30 + 400, Prepare(kind), None)[:], expected, atol=1e-4)


def test_statistics_of_the_data_set_are_applied():
    """With the scope dataset, the image's own intensities have no effect."""
    statistics = {"offset": [10, 0], "scale": [2, 5]}
    image = normalise(ramp(), Prepare(scope="dataset"), statistics)[:]
    np.testing.assert_allclose(image[0, 0, :3], [-5, -4.5, -4])
    np.testing.assert_allclose(image[1, 0, :2], [1, 3])


def test_volumes_are_normalised_per_channel():
    image = np.random.default_rng(0).normal(size=(2, 4, 5, 6)) * np.array([1, 9]).reshape(2, 1, 1, 1)
    np.testing.assert_allclose(normalise(image, Prepare("zscore"), None)[:].std(axis=(1, 2, 3)), 1, rtol=1e-5)


def test_an_unknown_normalisation_is_an_error():
    with pytest.raises(ValueError, match=r"prepare.normalise 'minmax'; expected"):
        intensity_statistics(ramp(), Prepare("minmax"))


@settings(deadline=None, max_examples=60)
@given(
    dtype=st.sampled_from(["bool", "uint8", "int8", "uint16", "int16", "int32", "float16", "float32", "float64"]),
    size=st.integers(1, 300),
    seed=st.integers(0, 99),
    pieces=st.integers(1, 4),
)
def test_quantiles_equal_those_of_numpy(dtype, size, seed, pieces):
    """Quantiles equal NumPy's bitwise, for negative and repeated values and any division into arrays."""
    values = (np.random.default_rng(seed).normal(size=size) * 60).astype(dtype)
    percents = [0.0, 1.0, 37.3, 50.0, 99.8, 100.0]
    actual = quantiles(lambda: iter(np.array_split(values, pieces)), size, values.dtype, percents)
    assert actual == np.percentile(values.astype(np.float64), percents).tolist()


@pytest.mark.parametrize("edge", [0, -1024.0, 7])
def test_the_foreground_box_excludes_a_constant_edge(edge):
    image = np.full((2, 30, 41, 20), edge, np.float32)
    image[0, 4, 7:9, 3], image[1, 11, 5, 19] = 50, 60  # each in a single channel
    assert content_box(image, Prepare(crop=True)) == (slice(4, 12), slice(5, 9), slice(3, 20))
    assert content_box(image, Prepare()) == (slice(0, 30), slice(0, 41), slice(0, 20))
    assert content_box(image * 0 + edge, Prepare(crop=True)) == (slice(0, 30), slice(0, 41), slice(0, 20))


def test_the_foreground_box_excludes_a_resampled_constant_edge():
    image = np.full((1, 40, 60), -1000.7, np.float32)
    image[0, 10:20, 30:45] = 80
    finer = resampled(image, (57, 83))
    assert np.ptp(finer[:, :5]) > 0  # by rounding
    rows, columns = content_box(finer, Prepare(crop=True))
    np.testing.assert_allclose([rows.start, rows.stop], [10 * 57 / 40, 20 * 57 / 40], atol=2)
    np.testing.assert_allclose([columns.start, columns.stop], [30 * 83 / 60, 45 * 83 / 60], atol=2)


def test_statistics_are_those_of_the_box():
    image = np.zeros((1, 50, 50))
    image[0, 20:30, 10:21] = np.random.default_rng(0).normal(5, 3, (10, 11))
    settings = Prepare("zscore", crop=True)
    box = content_box(image, settings)
    normalised = normalise(image, settings, None, box)[(slice(None), *box)]
    np.testing.assert_allclose([normalised.mean(), normalised.std()], [0, 1], atol=1e-6)
    assert normalised.shape == (1, 10, 11)


def test_statistics_do_not_depend_on_the_blocks(monkeypatch):
    image = np.random.default_rng(0).normal(size=(2, 40, 50)).astype(np.float32)
    whole = [intensity_statistics(image, Prepare(kind)) for kind in ("percentile", "zscore")]
    monkeypatch.setattr(
        "snakeseg.transforms.normalise.iterate_blocks", lambda shape, chunks: iterate_blocks(shape, (7, 13), 100)
    )
    for kind, expected in zip(("percentile", "zscore"), whole, strict=True):
        np.testing.assert_allclose(
            intensity_statistics(image, Prepare(kind)), expected, rtol=0 if kind != "zscore" else 1e-12
        )
