"""Lazy resampling against scikit-image and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakeseg.transforms.resample import nearest, resampled


@pytest.mark.parametrize(("old", "new"), [((40, 30), (80, 90)), ((40, 30), (57, 31)), ((9, 7, 5), (18, 7, 11))])
def test_finer_grids_are_interpolated_between_pixel_centres(old, new):
    """A linear image is interpolated exactly, but within half an old pixel of the border, which is constant."""
    axes = np.meshgrid(*[(np.arange(n) + 0.5) / n for n in old], indexing="ij")
    plane = sum((i + 1) * axis for i, axis in enumerate(axes))
    positions = np.meshgrid(
        *[np.clip((np.arange(n) + 0.5) / n, 0.5 / m, 1 - 0.5 / m) for n, m in zip(new, old, strict=True)], indexing="ij"
    )
    expected = sum((i + 1) * axis for i, axis in enumerate(positions))
    np.testing.assert_allclose(resampled(plane[None], new)[:][0], expected, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_coarser_grids_average_all_pixels(factor):
    """A single bright pixel keeps its integral on coarser grids, and a checkerboard becomes constant."""
    image = np.zeros((1, 24, 24), np.float32)
    image[0, 11, 13] = 1
    coarse = resampled(image, (24 // factor, 24 // factor))[:]
    assert coarse.sum() * factor**2 == pytest.approx(1, rel=1e-5)
    board = (np.indices((24, 24)).sum(axis=0) % 2).astype(np.float32)[None]
    inner = resampled(board, (24 // factor, 24 // factor))[:][0, 1:-1, 1:-1]
    assert np.abs(inner - 0.5).max() < 0.07


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_regions_equal_those_of_the_whole_image(data):
    old = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    new = data.draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    image = np.random.default_rng(0).normal(size=(2, *old)).astype(np.float32)
    ids = np.random.default_rng(0).integers(0, 2**31, old)
    region = tuple(slice(a := data.draw(st.integers(0, n - 1)), data.draw(st.integers(a + 1, n))) for n in new)
    intensities, labels = resampled(image, new), nearest(ids, new)
    np.testing.assert_allclose(intensities[(slice(1, 2), *region)], intensities[:][(slice(1, 2), *region)], atol=1e-5)
    np.testing.assert_array_equal(labels[region], labels[:][region])


@given(size=st.integers(1, 50), factor=st.integers(1, 5))
@settings(deadline=None, max_examples=40)
def test_labels_are_restored_from_a_finer_grid(size, factor):
    ids = np.arange(size * 3).reshape(size, 3)
    fine = nearest(ids, (size * factor, 3 * factor))
    np.testing.assert_array_equal(fine[:], ids.repeat(factor, 0).repeat(factor, 1))
    np.testing.assert_array_equal(nearest(fine, ids.shape)[:], ids)


def test_resampling_to_the_same_grid_changes_nothing():
    image = np.random.default_rng(0).normal(size=(1, 20, 30)).astype(np.float32)
    np.testing.assert_array_equal(resampled(image, (20, 30))[:], image)
