"""Scores of objects: results computed by hand, brute force, and other implementations."""

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
FOUND = [overlaps(*pair) for pair in PAIRS]


def matched(truth, predicted, threshold=0.5):
    """Pairs of matched ids."""
    found = overlaps(np.array(truth), np.array(predicted))
    partner, iou = match(found)
    ids = found.predicted_ids[partner] if len(found.predicted_ids) else partner
    return {int(t): int(p) for t, p, o in zip(found.true_ids, ids, iou, strict=True) if o >= threshold}


def masks(labels):
    return [labels == i for i in np.unique(labels) if i]


def iou_of_masks(truth, predicted):
    """IoU of all pairs, shape (true objects, predicted objects)."""
    values = [[(a & b).sum() / (a | b).sum() for b in masks(predicted)] for a in masks(truth)]
    return np.reshape(values, (len(masks(truth)), len(masks(predicted))))


@quick
@given(truth=small_labels, predicted=other_ids)
def test_overlaps_are_those_of_masks(truth, predicted):
    """The table holds exactly the pairs that share a pixel; ids may be large and have gaps."""
    found = overlaps(truth, predicted)
    assert found.true_ids.tolist() == sorted(set(truth.ravel().tolist()) - {0})
    assert found.predicted_ids.tolist() == sorted(set(predicted.ravel().tolist()) - {0})
    assert found.true_sizes.tolist() == [(truth == i).sum() for i in found.true_ids]
    assert found.predicted_sizes.tolist() == [(predicted == i).sum() for i in found.predicted_ids]
    iou = iou_of_masks(truth, predicted)
    assert list(zip(found.pair_true, found.pair_predicted, strict=True)) == list(zip(*np.nonzero(iou), strict=True))
    np.testing.assert_allclose(found.pair_iou, iou[iou > 0], rtol=1e-12)
    assert found.pixels == truth.size


@quick
@given(truth=small_labels, predicted=small_labels)
def test_runs_cover_the_image_once(truth, predicted):
    starts, lengths = constant_stretches(truth, predicted)
    np.testing.assert_array_equal(np.repeat(truth.ravel()[starts], lengths), truth.ravel())
    np.testing.assert_array_equal(np.repeat(predicted.ravel()[starts], lengths), predicted.ravel())
    assert (starts // 5 == (starts + lengths - 1) // 5).all()


def test_memory_grows_with_overlaps_not_with_their_possible_number():
    """100,000 objects of one pixel each: a full table of pairs would have 10^10 entries."""
    many = np.arange(1, 100_001).reshape(400, 250)
    found = overlaps(many, many[::-1])
    assert len(found.pair_true) == 100_000
    assert (match(found)[1] == 1).all()


def test_as_many_are_matched_as_possible_at_every_threshold():
    for (truth, predicted), found in zip(PAIRS, FOUND, strict=True):
        partner, iou = match(found)
        whole = iou_of_masks(truth, predicted)
        chosen = np.flatnonzero(partner >= 0)
        assert len(set(partner[chosen])) == len(chosen)
        np.testing.assert_allclose(iou[chosen], whole[chosen, partner[chosen]], rtol=1e-12)
        for threshold in THRESHOLDS:
            best = (maximum_bipartite_matching(csr_array(whole >= threshold), "column") >= 0).sum() if whole.size else 0
            assert (iou >= threshold).sum() == best


def test_iou_of_exactly_one_half_matches():
    """A half of an object, and an object of twice the size: both have IoU 2 / 4."""
    assert matched([[1, 1, 1, 1, 0]], [[5, 5, 0, 0, 0]]) == {1: 5}
    assert matched([[1, 1, 0, 0, 0]], [[5, 5, 5, 5, 0]]) == {1: 5}
    assert matched([[1, 1, 1, 1, 0]], [[5, 5, 0, 0, 0]], 0.5000001) == {}
    assert matched([[1, 1, 1, 1, 1]], [[5, 5, 0, 0, 0]]) == {}


def test_a_tie_is_won_by_one():
    """Both halves of a split object, and both objects of a merge, have IoU 0.5: one match, not two."""
    cut = matched([[1, 1, 1, 1]], [[5, 5, 6, 6]])
    assert cut == {1: 5}
    merged = matched([[1, 1, 2, 2]], [[5, 5, 5, 5]])
    assert merged == {1: 5}
    assert detection_scores(1, 1, 2)["ap"] == detection_scores(1, 2, 1)["ap"] == 0.5


@pytest.mark.parametrize("hits", range(10, 21))
def test_thresholds_are_reached_exactly(hits):
    """An object of 20 pixels of which 10, 11, ... are predicted has IoU 0.5, 0.55, ... without rounding errors."""
    truth, predicted = np.ones((1, 20), int), (np.arange(20) < hits)[None].astype(int)
    _, iou = match(overlaps(truth, predicted))
    assert [t for t in THRESHOLDS if (iou >= t).any()] == [t for t in THRESHOLDS if t <= hits / 20]


def test_thresholds():
    assert THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def test_worked_example():
    """Three true and three predicted objects: one match, one reduced to a quarter, one missed, one false."""
    truth = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2, 0, 3, 3, 0, 0]])
    predicted = np.array([[4, 4, 4, 0, 0, 5, 0, 0, 0, 0, 0, 0, 6, 6]])
    assert matched(truth, predicted) == {1: 4}
    assert detection_scores(1, 3, 3) == {"precision": 1 / 3, "recall": 1 / 3, "f1": 1 / 3, "ap": 1 / 5}
    found = overlaps(truth, predicted)
    assert panoptic_scores(0.75, 1, 3, 3) == {"pq": 0.25, "sq": 0.75, "rq": 1 / 3}
    assert segmentation_accuracy(found) == 0.75 / 3
    assert aggregated_jaccard(found) == (3 + 1) / (4 + 4 + 2 + 2)
    assert count_errors(found) == (0, 0)
    became = [each.tolist() for each in classify_objects(found, match(found)[0])]
    assert became == [["match", "miss", "miss"], ["match", "false", "false"]]


@pytest.mark.parametrize(
    ("counts", "precision", "recall", "f1", "ap"),
    [((0, 0, 0), 1, 1, 1, 1), ((0, 3, 0), 0, 0, 0, 0), ((0, 0, 3), 0, 0, 0, 0), ((2, 2, 2), 1, 1, 1, 1),
     ((2, 4, 2), 1, 0.5, 2 / 3, 0.5), ((2, 2, 8), 0.25, 1, 0.4, 0.25)],
)  # fmt: skip
def test_detection_scores(counts, precision, recall, f1, ap):
    found = detection_scores(*counts)
    assert found == pytest.approx({"precision": precision, "recall": recall, "f1": f1, "ap": ap})


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 4)])
def test_nothing_to_match(shape):
    empty, full = np.zeros(shape, int), np.ones(shape, int)
    assert match(overlaps(empty, empty))[0].tolist() == []
    assert match(overlaps(empty, full))[0].tolist() == []
    assert match(overlaps(full, empty))[0].tolist() == [-1]
    assert match(overlaps(full, full))[0].tolist() == [0]


def test_nothing_to_score():
    """Empty truth and prediction are right; only one of them empty is wrong; a mean over no true objects is NaN."""
    empty, full = np.zeros((2, 2), int), np.ones((2, 2), int)
    neither, missed, invented = overlaps(empty, empty), overlaps(full, empty), overlaps(empty, full)
    assert [aggregated_jaccard(found) for found in (neither, missed, invented)] == [1, 0, 0]
    assert segmentation_accuracy(missed) == 0
    assert np.isnan([segmentation_accuracy(neither), segmentation_accuracy(invented), count_errors(invented)[1]]).all()
    assert (count_errors(missed), count_errors(invented)[0]) == ((-1, -1), 1)
    assert panoptic_scores(0, 0, 0, 0) == pytest.approx({"pq": 1, "sq": np.nan, "rq": 1}, nan_ok=True)
    assert panoptic_scores(0, 0, 1, 0) == pytest.approx({"pq": 0, "sq": np.nan, "rq": 0}, nan_ok=True)
    assert overlaps(empty[:0, 0], empty[:0, 0]).pixels == 0


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "uint32", "int64", "uint64"])
def test_any_integer_type(dtype):
    truth, predicted = np.array([[1, 1, 2, 0]]), np.array([[3, 3, 0, 4]])
    for a, b in zip(overlaps(truth.astype(dtype), predicted.astype(dtype)), overlaps(truth, predicted), strict=True):
        np.testing.assert_array_equal(a, b)


@quick
@given(truth=small_labels, predicted=small_labels, smallest=st.integers(0, 8))
def test_dropping_small_objects_from_the_overlaps(truth, predicted, smallest):
    """The table equals that with small predicted objects set to background."""
    sizes = np.bincount(predicted.ravel(), minlength=5)
    expected = overlaps(truth, np.where(sizes[predicted] >= smallest, predicted, 0))
    table = overlaps(truth, predicted)
    for found, wanted in zip(keep_predicted(table, table.predicted_sizes >= smallest), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def jaccard_by_masks(truth, predicted):
    """Algorithm 1 of Kumar et al. 2017, mask by mask."""
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
    values = []
    for mask in masks(truth):
        covering = [other for other in masks(predicted) if (mask & other).sum() > 0.5 * mask.sum()]
        values.append(sum((mask & other).sum() / (mask | other).sum() for other in covering))
    return np.mean(values) if values else np.nan


def test_scores_of_objects_equal_those_of_masks():
    for (truth, predicted), found in zip(PAIRS, FOUND, strict=True):
        assert aggregated_jaccard(found) == pytest.approx(jaccard_by_masks(truth, predicted), abs=1e-9)
        assert segmentation_accuracy(found) == pytest.approx(seg_by_masks(truth, predicted), abs=1e-9, nan_ok=True)
        related = iou_of_masks(truth, predicted) > 0.1
        split, merging = split_and_merging(found)
        assert split.tolist() == (related.sum(axis=1) > 1).tolist()
        assert merging.tolist() == (related.sum(axis=0) > 1).tolist()
        assert count_errors(found)[0] == len(masks(predicted)) - len(masks(truth))


def test_panoptic_quality_equals_monais():
    """MONAI computes in single precision, adds 1e-6 to denominators, and matches above 0.5, not at it."""
    for (truth, predicted), found in zip(PAIRS, FOUND, strict=True):
        _, iou = match(found)
        if (iou == 0.5).any() or not (truth.any() and predicted.any()):
            continue
        ours = panoptic_scores(iou.sum(), int((iou > 0).sum()), len(found.true_ids), len(found.predicted_ids))
        for name, value in ours.items():
            theirs = compute_panoptic_quality(torch.from_numpy(predicted), torch.from_numpy(truth), metric_name=name)
            assert np.nan_to_num(value) == pytest.approx(float(theirs), abs=2e-6)


@pytest.fixture(scope="module")
def peer():
    """StarDist's module of matching alone: other parts of the package are compiled for NumPy 1."""
    package = importlib.util.find_spec("csbdeep") and importlib.util.find_spec("stardist")
    if not package:
        pytest.skip("no stardist")
    path = Path(package.origin).with_name("matching.py")
    spec = importlib.util.spec_from_file_location("stardist_matching", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_matching_equals_stardists(peer):
    """Up to its single precision of IoU; it scores 0 if truth and prediction are empty."""
    for (truth, predicted), found in zip(PAIRS, FOUND, strict=True):
        _, iou = match(found)
        true, called = len(found.true_ids), len(found.predicted_ids)
        for threshold, theirs in zip(THRESHOLDS, peer.matching(truth, predicted, THRESHOLDS), strict=True):
            hits = int((iou >= threshold).sum())
            assert (hits, true, called) == (theirs.tp, theirs.n_true, theirs.n_pred)
            if true + called:
                ours = detection_scores(hits, true, called)
                ours |= panoptic_scores(iou[iou >= threshold].sum(), hits, true, called)
                exact = {"precision": theirs.precision, "recall": theirs.recall, "f1": theirs.f1, "ap": theirs.accuracy}
                assert {name: ours[name] for name in exact} == pytest.approx(exact, abs=1e-9)
                means = {"pq": theirs.panoptic_quality, "sq": theirs.mean_matched_score}
                assert {name: np.nan_to_num(ours[name]) for name in means} == pytest.approx(means, abs=1e-6)


def test_what_became_of_objects():
    """One match; one split; two merged; one missed; one false; and a speck, which is not a piece of its object."""
    truth = np.array([[1, 1, 1, 0, 2, 2, 2, 2, 2, 0, 3, 3, 4, 4, 4, 0, 5, 5, 0, 0, 0, *[6] * 12]])
    predicted = np.array([[1, 1, 1, 0, 2, 2, 2, 8, 8, 0, 4, 4, 4, 4, 4, 0, 0, 0, 0, 7, 0, *[6] * 11, 9]])
    found = overlaps(truth, predicted)
    true, called = classify_objects(found, match(found)[0])
    assert dict(zip(found.true_ids.tolist(), true, strict=True)) == {
        1: "match", 2: "split", 3: "merge", 4: "merge", 5: "miss", 6: "match",
    }  # fmt: skip
    assert dict(zip(found.predicted_ids.tolist(), called, strict=True)) == {
        1: "match", 2: "split", 4: "merge", 6: "match", 7: "false", 8: "split", 9: "false",
    }  # fmt: skip


def test_kinds_count_what_the_scores_count():
    for found in FOUND:
        split, merging = split_and_merging(found)
        partner, _ = match(found)
        true, called = classify_objects(found, partner)
        assert (true == "split").sum() == split.sum()
        assert (called == "merge").sum() == merging.sum()
        assert (partner[true == "match"] >= 0).all()
        assert (partner[true == "miss"] < 0).all()
        assert not np.isin(partner[partner >= 0], np.flatnonzero(called == "false")).any()
