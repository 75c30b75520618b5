"""Surface distances agree with closed forms, brute force and MONAI."""

import numpy as np
import pytest
import torch
from label_pairs import PAIRS
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from scipy.spatial.distance import cdist

from snakeseg.evaluation.metrics.surface import surface_distances, surface_scores

SPACINGS = {2: (0.7, 1.9), 3: (2.5, 0.4, 1.1)}
# No distance between pixels equals this.
TOLERANCE = 1.234
MASKS = [(a > 0, b > 0) for a, b in PAIRS]


def surface_by_neighbours(mask):
    """Return the mask pixels that have a face neighbour outside the mask, pixel by pixel."""
    padded = np.pad(mask, 1)
    surface = []
    for pixel in np.argwhere(padded):
        neighbours = [pixel + sign * step for step in np.eye(mask.ndim, dtype=int) for sign in (-1, 1)]
        if not all(padded[tuple(neighbour)] for neighbour in neighbours):
            surface.append(pixel - 1)
    return np.array(surface)


def scores_by_all_distances(truth, predicted, spacing, tolerance):
    """Compute the scores from the distances between all surface pixels."""
    distances = cdist(surface_by_neighbours(truth) * spacing, surface_by_neighbours(predicted) * spacing)
    directed = distances.min(axis=1), distances.min(axis=0)
    both = [*directed[0], *directed[1]]
    return {
        "hd95": max(np.percentile(distance, 95) for distance in directed),
        "assd": sum(both) / len(both),
        "nsd": sum(distance <= tolerance for distance in both) / len(both),
    }


def test_scores_equal_those_of_all_pairwise_distances():
    for truth, predicted in MASKS:
        if truth.any() and predicted.any():
            spacing = SPACINGS[truth.ndim]
            expected = scores_by_all_distances(truth, predicted, spacing, TOLERANCE)
            assert surface_scores(truth, predicted, spacing, TOLERANCE) == pytest.approx(expected, abs=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_scores_equal_those_of_monai():
    """They agree up to MONAI's single precision; MONAI has no distance if one mask is empty."""
    for truth, predicted in MASKS:
        if not (truth.any() and predicted.any()):
            continue
        spacing = SPACINGS[truth.ndim]
        own = surface_scores(truth, predicted, spacing, TOLERANCE)
        y, y_pred = (torch.from_numpy(mask)[None, None] for mask in (truth, predicted))
        kwargs = {"y_pred": y_pred, "y": y, "include_background": True, "spacing": spacing}
        theirs = {
            "hd95": compute_hausdorff_distance(**kwargs, percentile=95),
            "assd": compute_average_surface_distance(**kwargs, symmetric=True),
            "nsd": compute_surface_dice(**kwargs, class_thresholds=[TOLERANCE]),
        }
        assert own == pytest.approx({name: float(value) for name, value in theirs.items()}, rel=1e-5, abs=1e-5)


def box(shape, low, high):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


def test_shifted_rectangle_has_known_distances():
    """A rectangle of 10 rows and 6 columns is shifted by 2 columns; a column is 3 units wide.

    Of its 28 surface pixels, 8 lie on the surface of the other rectangle, 10 are two columns away from it, and 2 are
    one column away. The other 8 lie inside the other rectangle, at most 4 rows from its top or bottom.
    """
    truth, moved = box((20, 20), (4, 4), (14, 10)), box((20, 20), (4, 6), (14, 12))
    scores = surface_scores(truth, moved, (1.0, 3.0), tolerance=3.0)
    inner = [min(6.0, row) for row in (1, 2, 3, 4, 4, 3, 2, 1)]
    expected = [*[0.0] * 8, *inner, *[6.0] * 10, *[3.0] * 2]
    assert sorted(surface_distances(truth, moved, (1.0, 3.0))[0]) == sorted(expected)
    assert scores == pytest.approx({"hd95": 6, "assd": np.mean(expected), "nsd": np.mean(np.array(expected) <= 3)})


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("pixels", [1, 2])
def test_shifted_block_has_the_distance_of_the_shift(axis, pixels):
    """The largest distance equals the shift along the axis."""
    spacing = (2.5, 0.4, 1.1)
    truth = box((24, 24, 24), (6, 6, 6), (16, 18, 14))
    start, stop = [6, 6, 6], [16, 18, 14]
    start[axis], stop[axis] = start[axis] + pixels, stop[axis] + pixels
    moved = box((24, 24, 24), start, stop)
    distances = surface_distances(truth, moved, spacing)
    assert [directed.max() for directed in distances] == pytest.approx([pixels * spacing[axis]] * 2)
    assert surface_scores(truth, moved, spacing, pixels * spacing[axis])["nsd"] == 1


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 0.5, 1.0)])
def test_concentric_spheres_have_the_distance_of_their_radii(spacing):
    """With radii 12 and 8 around one point, every distance is 4 within half a pixel."""
    radius = np.sqrt(sum(((np.arange(-13, 13.1, step)) ** 2).reshape(shape) for step, shape in zip(
        spacing, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True)))  # fmt: skip
    scores = surface_scores(radius <= 12, radius <= 8, spacing, tolerance=4 + max(spacing))
    assert scores == pytest.approx({"hd95": 4, "assd": 4, "nsd": 1}, abs=max(spacing))
    assert surface_scores(radius <= 12, radius <= 8, spacing, tolerance=3)["nsd"] < 0.2


@pytest.mark.parametrize("spacing", [0.1, 0.3, 0.7])
def test_shift_of_one_pixel_is_within_a_tolerance_of_one_pixel(spacing):
    """The tolerance allows for rounding: 4 x 0.3 - 3 x 0.3 exceeds 0.3 in floating point."""
    truth, predicted = box((9, 9), (2, 2), (6, 6)), box((9, 9), (2, 2), (7, 6))
    assert surface_scores(truth, predicted, (spacing, spacing), spacing)["nsd"] == 1


def test_scores_of_empty_masks():
    """Two empty masks have an NSD of 1 but no distance; with one empty mask, the distance is the image's diagonal."""
    empty, pixel = np.zeros((30, 40), bool), box((30, 40), (5, 5), (6, 6))
    both_empty = {"hd95": np.nan, "assd": np.nan, "nsd": 1}
    assert surface_scores(empty, empty, (2.0, 2.0), 1) == pytest.approx(both_empty, nan_ok=True)
    one_empty = {"hd95": 100, "assd": 100, "nsd": 0}
    assert surface_scores(pixel, empty, (2.0, 2.0), 1) == surface_scores(empty, pixel, (2.0, 2.0), 1) == one_empty
    assert surface_scores(pixel, pixel, (2.0, 2.0), 0) == {"hd95": 0, "assd": 0, "nsd": 1}
