"""With few groups no difference can be significant, and the sentences say so."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from snakeseg.evaluation.comparison import NOT_SHOWN, SIGNIFICANCE_LEVEL, compare, describe_pairs
from snakeseg.evaluation.statistics import holm, signed_rank, smallest_p


@pytest.mark.parametrize("groups", range(1, 9))
def test_smallest_p_of_all_patterns_of_signs(groups):
    """Enumerated: no pattern of signs gives a smaller p, with distinct, tied or zero differences."""
    sizes = np.arange(1.0, groups + 1), np.ones(groups), np.minimum(np.arange(groups), 2.0)
    values = [signed_rank(np.array(signs) * size)[0] for signs in product((-1, 1), repeat=groups) for size in sizes]
    assert min(values) == pytest.approx(smallest_p(groups)) == pytest.approx(min(1, 2 / 2**groups))


def test_holm_multiplies_the_smallest_p_by_the_number_of_tests():
    rng = np.random.default_rng(0)
    for groups, tests in product(range(2, 11), (1, 2, 3, 6)):
        lowest = 2 / 2**groups
        assert holm([lowest] * tests) == pytest.approx(smallest_p(groups, tests))
        for _ in range(20):  # whatever the other tests give
            adjusted = holm([lowest, *np.maximum(lowest, rng.random(tests - 1) ** 8)])
            assert adjusted.min() >= smallest_p(groups, tests) - 1e-12


def sentences(groups: int, experiments: int) -> tuple[pd.DataFrame, list[str]]:
    """Comparison of experiments, each clearly better than the one before it on every image."""
    base = np.random.default_rng(0).uniform(0.3, 0.4, groups)
    tables = [
        pd.DataFrame({
            "experiment": "abcd"[index], "subset": "test", "sample": [f"s{i}" for i in range(groups)],
            "group": [f"g{i}" for i in range(groups)], "status": "scored",
            "pixel_error": 0.5 - index / 10, "dice": base * (1 + 0.2 * index),
        })
        for index in range(experiments)
    ]  # fmt: skip
    pairs = compare(pd.concat(tables, ignore_index=True))
    return pairs, describe_pairs(pairs, "dice")["test"]


# Smallest numbers of groups with p = pairs * 2 / 2^n of at most 0.05, worked out by hand: 2/64, 6/128, 12/256.
@pytest.mark.parametrize(("experiments", "needed", "word"), [(2, 6, "six"), (3, 7, "seven"), (4, 8, "eight")])
def test_the_sentence_itself_says_so(experiments, needed, word):
    number = experiments * (experiments - 1) // 2
    family = f" for {number} pairs of experiments" if number > 1 else ""
    for groups in range(2, needed + 1):
        pairs, texts = sentences(groups, experiments)
        dice = pairs[pairs["metric"] == "dice"]
        assert len(texts) == number
        limit = f"; with fewer than {word} groups{family}, no difference can be significant, however large"
        assert [limit in sentence for sentence in texts] == [groups < needed] * number
        if groups < needed:
            assert (dice["verdict"] == NOT_SHOWN).all()
            smallest = number * 2 / 2**groups
            assert smallest > SIGNIFICANCE_LEVEL
            assert texts[0].endswith(f"(here, the smallest possible p is {min(1, smallest):.2g})")
            assert dice["p_holm"].min() == pytest.approx(min(1, smallest))
        else:  # the same differences with one group more
            assert (dice["verdict"] == "B better").all()
