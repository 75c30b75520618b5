"""The comparison of networks: scores, ranking, example image."""

import json

import pandas as pd
import pytest

from snakeseg.report.comparison import comparison_image, comparison_rows, split_into_rows


@pytest.fixture
def run(tmp_path):
    for name in ("a.seed-0", "a.seed-1", "b"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "measures.json").write_text(
            json.dumps({"network": "unet", "parameters": 3}), encoding="utf-8"
        )
    return tmp_path


def summary(values):
    rows = []
    for experiment, (mean, pooled) in values.items():
        rows.append((experiment, "validation", "mean_iu", 4, mean, pooled))
        rows.append((experiment, "validation", "adapted_rand_error", 4, mean / 2, float("nan")))
        rows.append((experiment, "predict", "mean_iu", 0, float("nan"), float("nan")))
    return pd.DataFrame(rows, columns=["experiment", "subset", "metric", "n", "mean", "pooled"])


VALUES = {"a.seed-0": (0.1, 0.5), "a.seed-1": (0.2, 0.7), "b": (0.3, 0.9)}


def test_rows_are_ranked_by_pooled_scores_if_there_are_any(run):
    rows = comparison_rows(run, summary(VALUES), {"a": "b"})
    assert [(r["experiment"], r["mean_iu"], r["start_from"]) for r in rows] == [
        ("b", 0.9, ""), ("a.seed-1", 0.7, "b"), ("a.seed-0", 0.5, "b"),
    ]  # fmt: skip
    assert rows[0]["adapted_rand_error"] == 0.15
    assert {r["subset"] for r in rows} == {"validation"}


def test_the_example_is_the_median_validation_image():
    images = pd.DataFrame({
        "sample": ["x", "y", "z", "t"] * 2, "subset": (["validation"] * 3 + ["test"]) * 2,
        "status": ["scored"] * 8, "dice": [0.1, 0.9, 0.2, 0.5, 0.3, 0.9, 0.5, 0.5],
    })  # fmt: skip
    assert comparison_image(images, "dice") == "z"
    assert comparison_image(images, "iou") is None
    assert comparison_image(images[images["subset"] == "test"], "dice") is None


def test_pictures_are_split_into_rows():
    assert split_into_rows(list("abcde"), 2) == [["a", "b"], ["c", "d"], ["e"]]
