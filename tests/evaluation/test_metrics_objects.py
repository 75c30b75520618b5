"""Scores of objects agree with results computed by hand, brute force and other implementations."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from label_pairs import PAIRS
from monai.metrics import compute_panoptic_quality
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from snakeseg.evaluation.metrics.contingency import constant_stretches, keep_predicted, overlaps
from snakeseg.evaluation.metrics.matching import THRESHOLDS, detection_scores, match, panoptic_scores
from snakeseg.evaluation.metrics.objects import (
    aggregated_jaccard,
    classify_objects,
    count_errors,
    segmentation_accuracy,
    split_and_merging,
)

quick = settings(deadline=None, max_examples=60)
small_labels = arrays(np.int32, (4, 5), elements=st.integers(0, 4))
other_ids = arrays(np.int64, (4, 5), elements=st.sampled_from([0, 2, 7, 10**9]))
OVERLAPS = [overlaps(*pair) for pair in PAIRS]


def matched_ids(truth, predicted, threshold=0.5):
    """Return the matched predicted id of each matched true id."""
    table = overlaps(np.array(truth), np.array(predicted))
    partner, iou = match(table)
    ids = table.predicted_ids[partner] if len(table.predicted_ids) else partner
    return {int(t): int(p) for t, p, o in zip(table.true_ids, ids, iou, strict=True) if o >= threshold}


def masks(labels):
    """Return the mask of each object."""
    return [labels == i for i in np.unique(labels) if i]


def iou_of_masks(truth, predicted):
    """Compute the IoU of all pairs, shape (true objects, predicted objects)."""
    values = [[(a & b).sum() / (a | b).sum() for b in masks(predicted)] for a in masks(truth)]
    return np.reshape(values, (len(masks(truth)), len(masks(predicted))))


@quick
@given(truth=small_labels, predicted=other_ids)
def test_overlaps_equal_those_of_masks(truth, predicted):
    """The table holds exactly the pairs that share a pixel; ids may be large and have gaps."""
    table = overlaps(truth, predicted)
    assert table.true_ids.tolist() == sorted(set(truth.ravel().tolist()) - {0})
    assert table.predicted_ids.tolist() == sorted(set(predicted.ravel().tolist()) - {0})
    assert table.true_sizes.tolist() == [(truth == i).sum() for i in table.true_ids]
    assert table.predicted_sizes.tolist() == [(predicted == i).sum() for i in table.predicted_ids]
    iou = iou_of_masks(truth, predicted)
    assert list(zip(table.pair_true, table.pair_predicted, strict=True)) == list(zip(*np.nonzero(iou), strict=True))
    np.testing.assert_allclose(table.pair_iou, iou[iou > 0], rtol=1e-12)
    assert table.pixels == truth.size


@quick
@given(truth=small_labels, predicted=small_labels)
def test_runs_cover_the_image_once(truth, predicted):
    starts, lengths = constant_stretches(truth, predicted)
    np.testing.assert_array_equal(np.repeat(truth.ravel()[starts], lengths), truth.ravel())
    np.testing.assert_array_equal(np.repeat(predicted.ravel()[starts], lengths), predicted.ravel())
    assert (starts // 5 == (starts + lengths - 1) // 5).all()


def test_memory_grows_with_overlaps_not_with_their_possible_number():
    """With 100,000 objects of one pixel each, a full table of pairs would have 10^10 entries."""
    many = np.arange(1, 100_001).reshape(400, 250)
    table = overlaps(many, many[::-1])
    assert len(table.pair_true) == 100_000
    assert (match(table)[1] == 1).all()


def test_number_of_matches_is_maximal_at_every_threshold():
    for (truth, predicted), table in zip(PAIRS, OVERLAPS, strict=True):
        partner, iou = match(table)
        all_iou = iou_of_masks(truth, predicted)
        matched = np.flatnonzero(partner >= 0)
        assert len(set(partner[matched])) == len(matched)
        np.testing.assert_allclose(iou[matched], all_iou[matched, partner[matched]], rtol=1e-12)
        for threshold in THRESHOLDS:
            graph = csr_array(all_iou >= threshold)
            best = (maximum_bipartite_matching(graph, "column") >= 0).sum() if all_iou.size else 0
            assert (iou >= threshold).sum() == best


def test_iou_of_exactly_one_half_matches():
    """Half of an object and an object of twice the size both have IoU 2 / 4."""
    assert matched_ids([[1, 1, 1, 1, 0]], [[5, 5, 0, 0, 0]]) == {1: 5}
    assert matched_ids([[1, 1, 0, 0, 0]], [[5, 5, 5, 5, 0]]) == {1: 5}
    assert matched_ids([[1, 1, 1, 1, 0]], [[5, 5, 0, 0, 0]], 0.5000001) == {}
    assert matched_ids([[1, 1, 1, 1, 1]], [[5, 5, 0, 0, 0]]) == {}


def test_tie_gives_one_match():
    """Both halves of a split object, and both objects of a merge, have IoU 0.5; only one of them matches."""
    split = matched_ids([[1, 1, 1, 1]], [[5, 5, 6, 6]])
    assert split == {1: 5}
    merged = matched_ids([[1, 1, 2, 2]], [[5, 5, 5, 5]])
    assert merged == {1: 5}
    assert detection_scores(1, 1, 2)["ap"] == detection_scores(1, 2, 1)["ap"] == 0.5


@pytest.mark.parametrize("hits", range(10, 21))
def test_thresholds_are_reached_exactly(hits):
    """An object of 20 pixels of which 10, 11, ... are predicted has IoU 0.5, 0.55, ... without rounding errors."""
    truth, predicted = np.ones((1, 20), int), (np.arange(20) < hits)[None].astype(int)
    _, iou = match(overlaps(truth, predicted))
    assert [t for t in THRESHOLDS if (iou >= t).any()] == [t for t in THRESHOLDS if t <= hits / 20]


def test_thresholds_are_0_50_to_0_95():
    assert THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def test_worked_example_of_object_scores():
    """Three true and three predicted objects: one match, one reduced to a quarter, one missed, one false."""
    truth = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2, 0, 3, 3, 0, 0]])
    predicted = np.array([[4, 4, 4, 0, 0, 5, 0, 0, 0, 0, 0, 0, 6, 6]])
    assert matched_ids(truth, predicted) == {1: 4}
    assert detection_scores(1, 3, 3) == {"precision": 1 / 3, "recall": 1 / 3, "f1": 1 / 3, "ap": 1 / 5}
    table = overlaps(truth, predicted)
    assert panoptic_scores(0.75, 1, 3, 3) == {"pq": 0.25, "sq": 0.75, "rq": 1 / 3}
    assert segmentation_accuracy(table) == 0.75 / 3
    assert aggregated_jaccard(table) == (3 + 1) / (4 + 4 + 2 + 2)
    assert count_errors(table) == (0, 0)
    classes = [side.tolist() for side in classify_objects(table, match(table)[0])]
    assert classes == [["match", "miss", "miss"], ["match", "false", "false"]]


@pytest.mark.parametrize(
    ("counts", "precision", "recall", "f1", "ap"),
    [((0, 0, 0), 1, 1, 1, 1), ((0, 3, 0), 0, 0, 0, 0), ((0, 0, 3), 0, 0, 0, 0), ((2, 2, 2), 1, 1, 1, 1),
     ((2, 4, 2), 1, 0.5, 2 / 3, 0.5), ((2, 2, 8), 0.25, 1, 0.4, 0.25)],
)  # fmt: skip
def test_detection_scores_of_counts(counts, precision, recall, f1, ap):
    scores = detection_scores(*counts)
    assert scores == pytest.approx({"precision": precision, "recall": recall, "f1": f1, "ap": ap})


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 4)])
def test_empty_images_have_no_match(shape):
    empty, full = np.zeros(shape, int), np.ones(shape, int)
    assert match(overlaps(empty, empty))[0].tolist() == []
    assert match(overlaps(empty, full))[0].tolist() == []
    assert match(overlaps(full, empty))[0].tolist() == [-1]
    assert match(overlaps(full, full))[0].tolist() == [0]


def test_scores_of_empty_images():
    """Two empty images score 1; a single empty one scores 0; a mean over no true objects is NaN."""
    empty, full = np.zeros((2, 2), int), np.ones((2, 2), int)
    neither, missed, false = overlaps(empty, empty), overlaps(full, empty), overlaps(empty, full)
    assert [aggregated_jaccard(table) for table in (neither, missed, false)] == [1, 0, 0]
    assert segmentation_accuracy(missed) == 0
    assert np.isnan([segmentation_accuracy(neither), segmentation_accuracy(false), count_errors(false)[1]]).all()
    assert (count_errors(missed), count_errors(false)[0]) == ((-1, -1), 1)
    assert panoptic_scores(0, 0, 0, 0) == pytest.approx({"pq": 1, "sq": np.nan, "rq": 1}, nan_ok=True)
    assert panoptic_scores(0, 0, 1, 0) == pytest.approx({"pq": 0, "sq": np.nan, "rq": 0}, nan_ok=True)
    assert overlaps(empty[:0, 0], empty[:0, 0]).pixels == 0


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "uint32", "int64", "uint64"])
def test_overlaps_do_not_depend_on_the_integer_type(dtype):
    truth, predicted = np.array([[1, 1, 2, 0]]), np.array([[3, 3, 0, 4]])
    for a, b in zip(overlaps(truth.astype(dtype), predicted.astype(dtype)), overlaps(truth, predicted), strict=True):
        np.testing.assert_array_equal(a, b)


@quick
@given(truth=small_labels, predicted=small_labels, smallest=st.integers(0, 8))
def test_small_objects_are_removed_from_the_overlaps(truth, predicted, smallest):
    """The table equals that of a prediction without its small objects."""
    sizes = np.bincount(predicted.ravel(), minlength=5)
    expected = overlaps(truth, np.where(sizes[predicted] >= smallest, predicted, 0))
    table = overlaps(truth, predicted)
    kept = keep_predicted(table, table.predicted_sizes >= smallest)
    for values, expected_values in zip(kept, expected, strict=True):
        np.testing.assert_array_equal(values, expected_values)


def jaccard_by_masks(truth, predicted):
    """Compute AJI by algorithm 1 of Kumar et al. 2017, mask by mask."""
    shared = either = 0
    used = set()
    for mask in masks(truth):
        iou = [(mask & other).sum() / (mask | other).sum() for other in masks(predicted)]
        if not iou or max(iou) == 0:
            either += mask.sum()
            continue
        best = int(np.argmax(iou))
        used.add(best)
        shared, either = shared + (mask & masks(predicted)[best]).sum(), either + (mask | masks(predicted)[best]).sum()
    either += sum(other.sum() for k, other in enumerate(masks(predicted)) if k not in used)
    return shared / either if either else 1.0


def seg_by_masks(truth, predicted):
    """Compute SEG mask by mask: the mean IoU of the prediction that covers more than half of a true object."""
    values = []
    for mask in masks(truth):
        covering = [other for other in masks(predicted) if (mask & other).sum() > 0.5 * mask.sum()]
        values.append(sum((mask & other).sum() / (mask | other).sum() for other in covering))
    return np.mean(values) if values else np.nan


def test_scores_of_objects_equal_those_of_masks():
    for (truth, predicted), table in zip(PAIRS, OVERLAPS, strict=True):
        assert aggregated_jaccard(table) == pytest.approx(jaccard_by_masks(truth, predicted), abs=1e-9)
        assert segmentation_accuracy(table) == pytest.approx(seg_by_masks(truth, predicted), abs=1e-9, nan_ok=True)
        related = iou_of_masks(truth, predicted) > 0.1
        split, merging = split_and_merging(table)
        assert split.tolist() == (related.sum(axis=1) > 1).tolist()
        assert merging.tolist() == (related.sum(axis=0) > 1).tolist()
        assert count_errors(table)[0] == len(masks(predicted)) - len(masks(truth))


def test_panoptic_quality_equals_that_of_monai():
    """MONAI computes in single precision, adds 1e-6 to denominators, and matches above 0.5, not at it."""
    for (truth, predicted), table in zip(PAIRS, OVERLAPS, strict=True):
        _, iou = match(table)
        if (iou == 0.5).any() or not (truth.any() and predicted.any()):
            continue
        own = panoptic_scores(iou.sum(), int((iou > 0).sum()), len(table.true_ids), len(table.predicted_ids))
        for name, value in own.items():
            theirs = compute_panoptic_quality(torch.from_numpy(predicted), torch.from_numpy(truth), metric_name=name)
            assert np.nan_to_num(value) == pytest.approx(float(theirs), abs=2e-6)


@pytest.fixture(scope="module")
def stardist_matching():
    """Import only StarDist's matching module: other parts of the package are compiled for NumPy 1."""
    package = importlib.util.find_spec("csbdeep") and importlib.util.find_spec("stardist")
    if not package:
        pytest.skip("no stardist")
    path = Path(package.origin).with_name("matching.py")
    spec = importlib.util.spec_from_file_location("stardist_matching", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_matching_equals_that_of_stardist(stardist_matching):
    """They agree up to StarDist's single-precision IoU; its score of two empty images is 0."""
    for (truth, predicted), table in zip(PAIRS, OVERLAPS, strict=True):
        _, iou = match(table)
        true_count, predicted_count = len(table.true_ids), len(table.predicted_ids)
        for threshold, theirs in zip(THRESHOLDS, stardist_matching.matching(truth, predicted, THRESHOLDS), strict=True):
            hits = int((iou >= threshold).sum())
            assert (hits, true_count, predicted_count) == (theirs.tp, theirs.n_true, theirs.n_pred)
            if true_count + predicted_count:
                own = detection_scores(hits, true_count, predicted_count)
                own |= panoptic_scores(iou[iou >= threshold].sum(), hits, true_count, predicted_count)
                exact = {"precision": theirs.precision, "recall": theirs.recall, "f1": theirs.f1, "ap": theirs.accuracy}
                assert {name: own[name] for name in exact} == pytest.approx(exact, abs=1e-9)
                means = {"pq": theirs.panoptic_quality, "sq": theirs.mean_matched_score}
                assert {name: np.nan_to_num(own[name]) for name in means} == pytest.approx(means, abs=1e-6)


def test_objects_are_classified():
    """One match, one split, two merged, one missed, one false, and a speck that is too small to count as a piece."""
    truth = np.array([[1, 1, 1, 0, 2, 2, 2, 2, 2, 0, 3, 3, 4, 4, 4, 0, 5, 5, 0, 0, 0, *[6] * 12]])
    predicted = np.array([[1, 1, 1, 0, 2, 2, 2, 8, 8, 0, 4, 4, 4, 4, 4, 0, 0, 0, 0, 7, 0, *[6] * 11, 9]])
    table = overlaps(truth, predicted)
    true_classes, predicted_classes = classify_objects(table, match(table)[0])
    assert dict(zip(table.true_ids.tolist(), true_classes, strict=True)) == {
        1: "match", 2: "split", 3: "merge", 4: "merge", 5: "miss", 6: "match",
    }  # fmt: skip
    assert dict(zip(table.predicted_ids.tolist(), predicted_classes, strict=True)) == {
        1: "match", 2: "split", 4: "merge", 6: "match", 7: "false", 8: "split", 9: "false",
    }  # fmt: skip


def test_object_classes_agree_with_the_scores():
    for table in OVERLAPS:
        split, merging = split_and_merging(table)
        partner, _ = match(table)
        true_classes, predicted_classes = classify_objects(table, partner)
        assert (true_classes == "split").sum() == split.sum()
        assert (predicted_classes == "merge").sum() == merging.sum()
        assert (partner[true_classes == "match"] >= 0).all()
        assert (partner[true_classes == "miss"] < 0).all()
        assert not np.isin(partner[partner >= 0], np.flatnonzero(predicted_classes == "false")).any()
