"""Surface distances, compared with closed forms, brute force, and MONAI."""

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
    """Mask pixels with a face neighbour outside the mask, one by one."""
    padded = np.pad(mask, 1)
    found = []
    for where in np.argwhere(padded):
        around = [where + sign * step for step in np.eye(mask.ndim, dtype=int) for sign in (-1, 1)]
        if not all(padded[tuple(each)] for each in around):
            found.append(where - 1)
    return np.array(found)


def scores_by_all_distances(truth, predicted, spacing, tolerance):
    distances = cdist(surface_by_neighbours(truth) * spacing, surface_by_neighbours(predicted) * spacing)
    directed = distances.min(axis=1), distances.min(axis=0)
    both = [*directed[0], *directed[1]]
    return {
        "hd95": max(np.percentile(each, 95) for each in directed),
        "assd": sum(both) / len(both),
        "nsd": sum(each <= tolerance for each in both) / len(both),
    }


def test_equal_all_distances_between_all_pixels():
    for truth, predicted in MASKS:
        if truth.any() and predicted.any():
            spacing = SPACINGS[truth.ndim]
            expected = scores_by_all_distances(truth, predicted, spacing, TOLERANCE)
            assert surface_scores(truth, predicted, spacing, TOLERANCE) == pytest.approx(expected, abs=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_equal_monais():
    """Up to its single precision; it defines no distance if one mask is empty."""
    for truth, predicted in MASKS:
        if not (truth.any() and predicted.any()):
            continue
        spacing = SPACINGS[truth.ndim]
        ours = surface_scores(truth, predicted, spacing, TOLERANCE)
        y, y_pred = (torch.from_numpy(mask)[None, None] for mask in (truth, predicted))
        given = {"y_pred": y_pred, "y": y, "include_background": True, "spacing": spacing}
        theirs = {
            "hd95": compute_hausdorff_distance(**given, percentile=95),
            "assd": compute_average_surface_distance(**given, symmetric=True),
            "nsd": compute_surface_dice(**given, class_thresholds=[TOLERANCE]),
        }
        assert ours == pytest.approx({name: float(value) for name, value in theirs.items()}, rel=1e-5, abs=1e-5)


def box(shape, low, high):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


def test_a_shifted_rectangle():
    """10 rows and 6 columns, moved by 2 columns of 3 each.

    Of the 28 pixels of its surface 8 lie on the other's, 10 two columns and 2 one column from it; 8 lie inside it, its
    top or bottom at most 4 rows away.
    """
    truth, moved = box((20, 20), (4, 4), (14, 10)), box((20, 20), (4, 6), (14, 12))
    scores = surface_scores(truth, moved, (1.0, 3.0), tolerance=3.0)
    inner = [min(6.0, row) for row in (1, 2, 3, 4, 4, 3, 2, 1)]
    expected = [*[0.0] * 8, *inner, *[6.0] * 10, *[3.0] * 2]
    assert sorted(surface_distances(truth, moved, (1.0, 3.0))[0]) == sorted(expected)
    assert scores == pytest.approx({"hd95": 6, "assd": np.mean(expected), "nsd": np.mean(np.array(expected) <= 3)})


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("pixels", [1, 2])
def test_a_shifted_block(axis, pixels):
    """Moved along one axis: the face left behind is as far from its new place as the block was moved."""
    spacing = (2.5, 0.4, 1.1)
    truth = box((24, 24, 24), (6, 6, 6), (16, 18, 14))
    start, stop = [6, 6, 6], [16, 18, 14]
    start[axis], stop[axis] = start[axis] + pixels, stop[axis] + pixels
    moved = box((24, 24, 24), start, stop)
    away = surface_distances(truth, moved, spacing)
    assert [each.max() for each in away] == pytest.approx([pixels * spacing[axis]] * 2)
    assert surface_scores(truth, moved, spacing, pixels * spacing[axis])["nsd"] == 1


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 0.5, 1.0)])
def test_spheres_in_each_other(spacing):
    """Radii 12 and 8 around one point: every distance is 4, to half a pixel."""
    away = np.sqrt(sum(((np.arange(-13, 13.1, step)) ** 2).reshape(shape) for step, shape in zip(
        spacing, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True)))  # fmt: skip
    scores = surface_scores(away <= 12, away <= 8, spacing, tolerance=4 + max(spacing))
    assert scores == pytest.approx({"hd95": 4, "assd": 4, "nsd": 1}, abs=max(spacing))
    assert surface_scores(away <= 12, away <= 8, spacing, tolerance=3)["nsd"] < 0.2


@pytest.mark.parametrize("spacing", [0.1, 0.3, 0.7])
def test_one_pixel_off_is_within_a_tolerance_of_one_pixel(spacing):
    """Although 4 x 0.3 - 3 x 0.3 exceeds 0.3 in floating point."""
    truth, predicted = box((9, 9), (2, 2), (6, 6)), box((9, 9), (2, 2), (7, 6))
    assert surface_scores(truth, predicted, (spacing, spacing), spacing)["nsd"] == 1


def test_empty_masks():
    """Two empty masks are right but have no distance; with one empty mask, the distance is the image's diagonal."""
    empty, some = np.zeros((30, 40), bool), box((30, 40), (5, 5), (6, 6))
    nothing = {"hd95": np.nan, "assd": np.nan, "nsd": 1}
    assert surface_scores(empty, empty, (2.0, 2.0), 1) == pytest.approx(nothing, nan_ok=True)
    missed = {"hd95": 100, "assd": 100, "nsd": 0}
    assert surface_scores(some, empty, (2.0, 2.0), 1) == surface_scores(empty, some, (2.0, 2.0), 1) == missed
    assert surface_scores(some, some, (2.0, 2.0), 0) == {"hd95": 0, "assd": 0, "nsd": 1}
