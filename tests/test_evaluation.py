"""Scores of files against files: nothing is missed in silence."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from snakeseg.evaluation import evaluate_rows, score
from snakeseg.settings import Labels

INSTANCE = Labels()
TRUTH = np.array([[1, 1, 1, 1, 0], [0, 0, 0, 0, 0], [5, 5, 5, 5, 0]])
FOUND = np.array([[2, 2, 2, 0, 0], [0, 0, 0, 0, 0], [0, 0, 9, 9, 9]])  # IoU 3/4 and 2/5


def test_worked_example():
    scores, objects = score(TRUTH, FOUND, INSTANCE)
    assert (scores["pixels"], scores["wrong_pixels"], scores["pixel_error"]) == (15, 4, 4 / 15)
    assert (scores["dice"], scores["iou"]) == pytest.approx((10 / 14, 5 / 9))
    assert (scores["true_objects"], scores["predicted_objects"]) == (2, 2)
    assert (scores["tp_0.50"], scores["tp_0.75"], scores["tp_0.80"]) == (1, 1, 0)
    assert (scores["ap_0.50"], scores["f1_0.50"], scores["precision_0.50"], scores["recall_0.50"]) == pytest.approx(
        (1 / 3, 1 / 2, 1 / 2, 1 / 2)
    )
    assert (scores["missed"], scores["empty"]) == (0, 0)
    assert [(o["side"], o["size"], o["iou"]) for o in objects] == [
        ("true", 4, 0.75), ("true", 4, 0.4), ("predicted", 3, 0.75), ("predicted", 3, 0.4),
    ]  # fmt: skip
    assert [o["partner"] for o in objects] == [2, "", 1, ""]


def test_perfect():
    scores, objects = score(TRUTH, TRUTH, INSTANCE)
    for key in ("dice", "iou", "ap_0.50", "ap_0.90", "precision_0.70", "recall_0.70", "f1_0.70"):
        assert scores[key] == 1
    for key in ("pixel_error", "adapted_rand_error", "voi_split", "voi_merge"):
        assert scores[key] == pytest.approx(0, abs=1e-12)
    assert all(o["iou"] == 1 for o in objects)


def test_a_miss_is_marked():
    scores, _ = score(TRUTH, np.zeros_like(TRUTH), INSTANCE)
    assert (scores["missed"], scores["empty"]) == (1, 0)
    assert scores["ap_0.50"] == scores["dice"] == 0
    assert scores["adapted_rand_error"] == 1


def test_an_empty_image_is_marked():
    """Nothing there and nothing found is right; nothing there and something found is wrong."""
    empty = np.zeros_like(TRUTH)
    scores, objects = score(empty, empty, INSTANCE)
    assert (scores["empty"], scores["missed"], scores["ap_0.50"], scores["dice"]) == (1, 0, 1, 1)
    assert objects == []
    assert np.isnan(scores["adapted_rand_error"])
    scores, _ = score(empty, FOUND, INSTANCE)
    assert (scores["empty"], scores["ap_0.50"], scores["dice"]) == (1, 0, 0)


def test_ignored_pixels_do_not_count():
    """Whatever is predicted there changes no score; an object wholly there is none."""
    truth = TRUTH.copy()
    truth[1:, 2:] = 99
    labels = Labels(ignore=99)
    expected, _ = score(truth, np.where(truth == 99, 0, FOUND), labels)
    for there in (3, 9, FOUND):
        found, objects = score(truth, np.where(truth == 99, there, FOUND), labels)
        assert found == pytest.approx(expected, nan_ok=True)
    assert expected["pixels"] == 9
    assert expected["true_objects"] == 2
    assert {o["id"] for o in objects if o["side"] == "predicted"} == {2}


def test_binary_truth_has_components_as_objects():
    truth = np.array([[255, 255, 0, 7]])
    scores, _ = score(truth, np.array([[1, 1, 0, 2]]), Labels("binary"))
    assert (scores["true_objects"], scores["ap_0.90"], scores["pixel_error"]) == (2, 1, 0)


def test_semantic_scores_are_of_every_class():
    labels = Labels("semantic", {"sky": 4, "cell": 1, "wall": 2})
    truth, found = np.array([[4, 1, 1, 2, 2, 4]]), np.array([[4, 1, 4, 2, 2, 2]])
    scores, _ = score(truth, found, labels)
    assert (scores["iou_cell"], scores["iou_wall"], scores["iou"]) == pytest.approx((1 / 2, 2 / 3, 7 / 12))
    assert scores["dice_cell"] == pytest.approx(2 / 3)
    assert scores["pixel_error"] == pytest.approx(1 / 3)


def test_ids_that_float32_could_not_tell_apart():
    truth = np.array([[2**24, 2**24, 2**24 + 1, 2**24 + 1]])
    scores, _ = score(truth, np.array([[1, 1, 2, 2]]), INSTANCE)
    assert (scores["true_objects"], scores["ap_0.90"]) == (2, 1)


@pytest.fixture
def files(tmp_path):
    """Labels and predictions as PNG; rows of a sheet."""
    predictions = tmp_path / "predictions"
    predictions.mkdir()

    def row(name, truth, found):
        label = tmp_path / f"{name}-label.png"
        for path, array in ((label, truth), (predictions / f"{name}.png", found)):
            if array is not None:
                Image.fromarray(array.astype(np.uint8)).save(path)
        return {"sample": name, "group": "g", "image": f"{name}.png", "label": "" if truth is None else str(label)}

    return SimpleNamespace(folder=predictions, row=row)


def test_every_row_is_accounted_for(files):
    """Scored, unlabelled or unreadable, the last with its reason: a lost file, a damaged one, another shape."""
    rows = [files.row("good", TRUTH, FOUND), files.row("unlabelled", None, FOUND), files.row("lost", TRUTH, None),
            files.row("damaged", TRUTH, FOUND)]  # fmt: skip
    (files.folder / "damaged.png").write_bytes(b"no image")
    images, objects = evaluate_rows(pd.DataFrame(rows), files.folder, 2, INSTANCE)
    assert [i["status"] for i in images] == ["scored", "unlabelled", "unreadable", "unreadable"]
    assert all(bool(i["reason"]) == (i["status"] != "scored") for i in images)
    assert "no such file" in images[2]["reason"]
    assert images[0]["ap_0.50"] == pytest.approx(1 / 3)
    assert {o["sample"] for o in objects} == {"good"}


def test_a_prediction_of_another_shape_is_a_row_with_a_reason(files):
    rows = [files.row("other", TRUTH, FOUND[:2]), files.row("good", TRUTH, FOUND)]
    images, _ = evaluate_rows(pd.DataFrame(rows), files.folder, 2, INSTANCE)
    assert [i["status"] for i in images] == ["unreadable", "scored"]
    assert "shape" in images[0]["reason"]


def test_a_label_of_unknown_classes_is_a_row_with_a_reason(files):
    rows = [files.row("odd", TRUTH, TRUTH), files.row("good", TRUTH > 0, TRUTH > 0)]
    labels = Labels("semantic", {"background": 0, "cell": 1})
    images, _ = evaluate_rows(pd.DataFrame(rows), files.folder, 2, labels)
    assert [i["status"] for i in images] == ["unreadable", "scored"]
    assert "[5]" in images[0]["reason"]
