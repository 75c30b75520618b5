"""Simulated images: bright, touching cells, for any number of cells."""

import numpy as np
import pytest
from scipy import ndimage

from snakeseg.transforms.simulate import keep_largest_pieces, number_from_one, simulate_cells


def draw(seed=0, shape=(128, 96), cells=30):
    return simulate_cells(np.random.default_rng(seed), shape, cells)


def test_the_same_seed_gives_the_same_image():
    for first, second in zip(draw(3), draw(3), strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(draw(3)[0], draw(4)[0])


@pytest.mark.parametrize("shape", [(128, 96), (24, 40, 44)])
def test_ids_are_consecutive_and_types_are_fixed(shape):
    image, labels = draw(shape=shape)
    assert image.shape == labels.shape == shape
    assert (image.dtype, labels.dtype) == (np.uint8, np.uint16)
    assert np.unique(labels).tolist() == list(range(labels.max() + 1))
    assert labels.max() > 3
    assert (labels == 0).any()


def test_cells_are_bright_and_some_touch():
    """Cells are brighter than the background, and in most images some touch without background between them."""
    touching = 0
    for seed in range(5):
        image, labels = draw(seed)
        background = image[labels == 0].mean()
        means = ndimage.mean(image, labels, range(1, labels.max() + 1))
        assert (means > background).mean() > 0.9
        assert image.std() > 10
        grown = ndimage.grey_dilation(labels, size=3)
        touching += ((labels > 0) & (grown != labels) & (grown > 0)).any()
    assert touching >= 4


def test_images_have_about_the_requested_number_of_cells():
    counts = [draw(seed, (256, 256), 60)[1].max() for seed in range(5)]
    assert 15 < np.mean(counts) <= 60


@pytest.mark.parametrize(("cells", "seeds"), [(1, 12), (2, 12), (1000, 1)])
def test_any_number_of_cells_gives_a_valid_image(cells, seeds):
    """Images with few cells, which may all lie outside, or with more cells than fit, are valid."""
    for seed in range(seeds):
        image, labels = draw(seed, (32, 32), cells)
        assert labels.max() <= cells
        assert image.shape == (32, 32)


@pytest.mark.parametrize("shape", [(256, 256), (24, 40, 44)])
def test_each_cell_is_one_piece(shape):
    """Trial of the demo: its own labels got 13 warnings "Objects in several pieces"."""
    for seed in range(4):
        _, labels = draw(seed, shape, 60)
        pieces = [ndimage.label(labels == number)[1] for number in range(1, labels.max() + 1)]
        assert pieces == [1] * labels.max()


def test_the_largest_piece_of_each_id_is_kept():
    labels = np.array([[1, 0, 2, 2], [0, 1, 0, 0], [1, 1, 0, 2]])
    assert keep_largest_pieces(labels).tolist() == [[0, 0, 2, 2], [0, 1, 0, 0], [1, 1, 0, 0]]
    assert not keep_largest_pieces(np.zeros((3, 3), int)).any()


def test_ids_are_renumbered_from_one():
    assert number_from_one(np.array([[0, 7], [3, 7]])).tolist() == [[0, 2], [1, 2]]
