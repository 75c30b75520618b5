"""Component filters: blockwise filtering equals that of the whole image; the choice of the filter."""

import numpy as np
import pytest
from skimage.measure import label

from snakeseg.arrays import as_lazy
from snakeseg.objects.components import ComponentFilter, candidate_filters, filter_components
from snakeseg.objects.tune import Sample, tune_parameters
from snakeseg.settings import Instances, Labels


def random_classes(shape, seed):
    """Blobs of two classes that touch each other."""
    noise = np.random.default_rng(seed).random(shape)
    return np.where(noise < 0.35, 1, np.where(noise < 0.6, 2, 0)).astype(np.uint8)


def choose_filters(pairs, names, smallest):
    """Filters that `tune_parameters` chooses; each pair is predicted and true classes."""
    labels = Labels("semantic", {name: index for index, name in enumerate(names)}, ignore=255)
    samples = [Sample(str(i), str(i), {"classes": classes[None]}, truth) for i, (classes, truth) in enumerate(pairs)]
    return tune_parameters(samples, labels, Instances(smallest=smallest))["classes"]


def filter_with_skimage(classes, number, rule):
    """Filter components one by one with scikit-image, as a reference."""
    components = label(classes == number, connectivity=1)
    sizes = np.bincount(components.ravel())[1:]
    kept = [i for i, size in enumerate(sizes, 1) if size >= max(rule.smallest, 1)]
    if rule.largest_only:
        kept = [1 + int(sizes.argmax())] if kept and 1 + int(sizes.argmax()) in kept else []
    return np.where((classes == number) & ~np.isin(components, kept), 0, classes)


def filter_by_blocks(classes, number, rule, block):
    read = filter_components(as_lazy(classes), number, rule, block, np.zeros(classes.shape, np.uint32))
    return read(tuple(slice(0, size) for size in classes.shape))


@pytest.mark.parametrize(("shape", "block"), [((40, 51), (16, 16)), ((13, 17, 15), (5, 8, 4)), ((20, 20), (20, 20))])
@pytest.mark.parametrize(
    "rule",
    [
        ComponentFilter(),
        ComponentFilter(4),
        ComponentFilter(9, True),
        ComponentFilter(0, True),
        ComponentFilter(10_000),
    ],
)
def test_filtered_components_do_not_depend_on_the_blocks(shape, block, rule):
    for seed in range(3):
        classes = random_classes(shape, seed)
        expected = filter_with_skimage(classes, 1, rule)
        np.testing.assert_array_equal(filter_by_blocks(classes, 1, rule, block), expected)
        # The other class is unchanged.
        np.testing.assert_array_equal(expected == 2, classes == 2)


def test_the_first_of_equally_large_components_is_kept():
    classes = np.zeros((5, 9), np.uint8)
    classes[1, 6:8] = classes[3, 1:3] = 1
    filtered = filter_by_blocks(classes, 1, ComponentFilter(largest_only=True), (2, 3))
    assert filtered.sum() == 2
    assert filtered[1, 6:8].all()


def test_an_absent_class_has_no_components():
    assert not filter_by_blocks(np.zeros((4, 4), np.uint8), 1, ComponentFilter(largest_only=True), (2, 2)).any()


def scene(specks):
    """Return a prediction and its truth: an exact square of 100 pixels, and false specks of these sizes in pixels."""
    truth = np.zeros((30, 30), np.uint8)
    truth[5:15, 5:15] = 1
    predicted = truth.copy()
    for index, size in enumerate(specks):
        predicted[20 + 2 * index, :size] = 1
    return predicted, truth


def test_the_filter_with_the_best_dice_is_chosen():
    """A minimum size removes specks of 3 and 6 pixels; if the truth has two parts, the largest alone would lose one."""
    choice = choose_filters(iter([scene([3]), scene([3, 6])]), ["background", "square"], [0, 5, 8])["square"]
    assert choice["chosen"] == {"smallest": 8, "largest_only": False}
    scores = {(t["smallest"], t["largest_only"]): t["score"] for t in choice["trials"]}
    assert scores[8, False] == scores[0, True] == 1
    assert scores[0, False] == pytest.approx((200 / 203 + 200 / 209) / 2)
    assert scores[5, False] == pytest.approx((1 + 200 / 206) / 2)
    predicted, truth = scene([])
    truth[20:29, 20:29] = predicted[20:29, 20:29] = 1
    assert choose_filters(iter([(predicted, truth)]), ["background", "square"], [5])["square"]["chosen"] == {
        "smallest": 0, "largest_only": False,
    }  # fmt: skip


def test_ignored_pixels_do_not_affect_the_choice():
    """The false specks lie at ignored pixels."""
    predicted, truth = scene([6])
    truth[20] = 255
    choice = choose_filters(iter([(predicted, truth)]), ["background", "square"], [8])["square"]
    assert [trial["score"] for trial in choice["trials"]] == [1, 1, 1]
    assert choice["chosen"]["smallest"] == 0


def test_an_empty_prediction_of_an_empty_truth_has_the_score_1():
    empty = np.zeros((5, 5), np.uint8)
    choices = choose_filters(iter([(empty, empty)]), ["background", "a", "b"], [])
    assert [trial["score"] for trial in choices["b"]["trials"]] == [1] * len(candidate_filters([]))
