"""Predicted label files are scored; an image without scores is a row with a reason."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from snakeseg.evaluation import evaluate as evaluation
from snakeseg.evaluation.evaluate import evaluate_rows, score_table
from snakeseg.evaluation.scores import score
from snakeseg.settings import Labels

INSTANCE = Labels()
TRUTH = np.array([[1, 1, 1, 1, 0], [0, 0, 0, 0, 0], [5, 5, 5, 5, 0]])
PREDICTED = np.array([[2, 2, 2, 0, 0], [0, 0, 0, 0, 0], [0, 0, 9, 9, 9]])  # IoU 3/4 and 2/5


def test_worked_example_of_instances():
    scores, objects = score(TRUTH, PREDICTED, INSTANCE)
    assert (scores["pixels"], scores["wrong_pixels"], scores["pixel_error"]) == (15, 4, 4 / 15)
    assert (scores["dice"], scores["iou"]) == pytest.approx((10 / 14, 5 / 9))
    assert (scores["true_objects"], scores["predicted_objects"]) == (2, 2)
    assert (scores["tp_0.50"], scores["tp_0.75"], scores["tp_0.80"]) == (1, 1, 0)
    assert (scores["ap_0.50"], scores["f1_0.50"], scores["precision_0.50"], scores["recall_0.50"]) == pytest.approx(
        (1 / 3, 1 / 2, 1 / 2, 1 / 2)
    )
    assert (scores["missed"], scores["empty"]) == (0, 0)
    assert (scores["pq_0.50"], scores["sq_0.50"], scores["rq_0.50"]) == (0.75 / 2, 0.75, 1 / 2)
    assert (scores["seg"], scores["aji"]) == pytest.approx((0.75 / 2, (3 + 2) / (4 + 5)))
    assert (scores["count_error"], scores["relative_count_error"], scores["splits"], scores["merges"]) == (0, 0, 0, 0)
    # All pixels are surface; the last pixel of the first row is 1 away, two of the last row 2 and 1.
    assert (scores["hd95"], scores["nsd"]) == pytest.approx((np.percentile([0, 0, 0, 0, 0, 1, 1, 2], 95), 13 / 14))
    assert [(o["side"], o["pixels"], o["iou"], o["kind"]) for o in objects] == [
        ("true", 4, 0.75, "match"), ("true", 4, 0.4, "miss"),
        ("predicted", 3, 0.75, "match"), ("predicted", 3, 0.4, "false"),
    ]  # fmt: skip
    assert [o["partner"] for o in objects] == [2, "", 1, ""]


def test_areas_lengths_and_intensities_have_units():
    """Areas and lengths are in units of the spacing, centroids in pixels."""
    image = np.arange(15.0).reshape(3, 5)
    scores, objects = score(TRUTH, PREDICTED, INSTANCE, (2.0, 0.5), image)
    assert [o["area"] for o in objects] == [4, 4, 3, 3]
    assert [o["intensity_mean"] for o in objects] == [1.5, 11.5, 1, 13]
    assert [(o["centroid_0"], o["centroid_1"]) for o in objects] == [(0, 1.5), (2, 1.5), (0, 1), (2, 3)]
    assert scores["assd"] == pytest.approx(0.5 * (1 + 2 + 1 + 1) / 14)
    assert "intensity_mean" not in score(TRUTH, PREDICTED, INSTANCE)[1][0]


def test_volumes_have_no_warping_error_and_no_eccentricity():
    """Volumes have all scores but the warping error; their objects have no eccentricity."""
    truth, predicted = np.stack([TRUTH, TRUTH]), np.stack([TRUTH, PREDICTED])
    scores, objects = score(truth, predicted, INSTANCE, (3.0, 1.0, 1.0))
    plane_scores, _ = score(TRUTH, PREDICTED, INSTANCE)
    assert set(plane_scores) - set(scores) == {"warping_error"}
    assert set(objects[0]) >= {"area", "axis_major_length", "centroid_2", "kind"}
    assert [o["area"] for o in objects[:2]] == [24, 24]


def test_touching_objects_are_separated_for_the_warping_error():
    """Touching objects are separated by a border; without it, merging them would not change the topology."""
    truth = np.zeros((9, 12), int)
    truth[1:8, 1:6], truth[1:8, 6:11] = 1, 2
    scores, _ = score(truth, (truth > 0).astype(int), INSTANCE)
    assert (scores["warping_error"], scores["merges"]) == (7 / truth.size, 1)
    assert score(truth, truth, INSTANCE)[0]["warping_error"] == 0


def test_perfect_prediction_has_perfect_scores():
    scores, objects = score(TRUTH, TRUTH, INSTANCE)
    for key in ("dice", "iou", "nsd", "v_rand", "v_info", "seg", "aji", "pq_0.50", "ap_0.50", "ap_0.95", "f1_0.70"):
        assert scores[key] == 1
    for key in ("pixel_error", "hd95", "assd", "rand_error", "adapted_rand_error", "voi_split", "voi_merge",
                "warping_error", "count_error", "splits", "merges"):  # fmt: skip
        assert scores[key] == pytest.approx(0, abs=1e-12)
    assert all(o["iou"] == 1 for o in objects)


def test_empty_prediction_is_marked_as_missed():
    scores, _ = score(TRUTH, np.zeros_like(TRUTH), INSTANCE)
    assert (scores["missed"], scores["empty"]) == (1, 0)
    for key in ("ap_0.50", "dice", "nsd", "v_rand", "v_info", "seg", "aji", "pq_0.50"):
        assert scores[key] == 0
    assert scores["adapted_rand_error"] == 1
    assert scores["hd95"] == pytest.approx(np.hypot(3, 5))


def test_image_without_objects_is_marked_as_empty():
    """Without true objects, an empty prediction is correct and any predicted object is wrong."""
    empty = np.zeros_like(TRUTH)
    scores, objects = score(empty, empty, INSTANCE)
    assert (scores["empty"], scores["missed"], scores["ap_0.50"], scores["dice"]) == (1, 0, 1, 1)
    assert objects == []
    assert scores["nsd"] == scores["aji"] == scores["pq_0.50"] == 1
    undefined = {key for key, value in scores.items() if np.isnan(value)}
    assert undefined >= {"adapted_rand_error", "voi_split", "v_rand", "v_info", "seg", "sq_0.50", "hd95", "assd"}
    scores, _ = score(empty, PREDICTED, INSTANCE)
    assert (scores["empty"], scores["ap_0.50"], scores["dice"]) == (1, 0, 0)


def test_ignored_pixels_change_no_score():
    """Predictions at ignored pixels change no score; an object with only ignored pixels does not count."""
    truth = TRUTH.copy()
    truth[1:, 2:] = 99
    labels = Labels(ignore=99)
    expected, _ = score(truth, np.where(truth == 99, 0, PREDICTED), labels)
    for ignored_values in (3, 9, PREDICTED):
        scores, objects = score(truth, np.where(truth == 99, ignored_values, PREDICTED), labels)
        assert scores == pytest.approx(expected, nan_ok=True)
    assert expected["pixels"] == 9
    assert expected["true_objects"] == 2
    assert {o["id"] for o in objects if o["side"] == "predicted"} == {2}


def test_objects_of_binary_truth_are_its_components():
    truth = np.array([[255, 255, 0, 7]])
    scores, _ = score(truth, np.array([[1, 1, 0, 2]]), Labels("binary"))
    assert (scores["true_objects"], scores["ap_0.90"], scores["pixel_error"]) == (2, 1, 0)


def test_semantic_scores_include_every_class():
    labels = Labels("semantic", {"sky": 4, "cell": 1, "wall": 2})
    truth, predicted = np.array([[4, 1, 1, 2, 2, 4]]), np.array([[4, 1, 4, 2, 2, 2]])
    scores, _ = score(truth, predicted, labels)
    assert (scores["iou_cell"], scores["iou_wall"], scores["iou"]) == pytest.approx((1 / 2, 2 / 3, 7 / 12))
    assert scores["dice_cell"] == pytest.approx(2 / 3)
    assert scores["pixel_error"] == pytest.approx(1 / 3)
    assert (scores["assd_cell"], scores["assd_wall"]) == pytest.approx((1 / 3, 1 / 5))
    assert scores["assd"] == pytest.approx((1 / 3 + 1 / 5) / 2)


def test_absent_class_is_left_out_of_distances():
    labels = Labels("semantic", {"sky": 0, "cell": 1, "wall": 2})
    scores, _ = score(np.array([[0, 1, 1]]), np.array([[0, 0, 1]]), labels)
    assert (scores["assd"], scores["assd_cell"], scores["nsd_wall"]) == pytest.approx((1 / 3, 1 / 3, 1))
    assert np.isnan(scores["assd_wall"])


def test_large_ids_are_distinguished():
    truth = np.array([[2**24, 2**24, 2**24 + 1, 2**24 + 1]])
    scores, _ = score(truth, np.array([[1, 1, 2, 2]]), INSTANCE)
    assert (scores["true_objects"], scores["ap_0.90"]) == (2, 1)


@pytest.fixture
def files(tmp_path):
    """The folder of predictions, and a function that writes the PNG files of a row and returns the row."""
    predictions = tmp_path / "predictions"
    predictions.mkdir()

    def row(name, truth, predicted, spacing=""):
        label, image = tmp_path / f"{name}-label.png", tmp_path / f"{name}.png"
        intensity = None if truth is None else 10 + truth
        for path, array in ((label, truth), (image, intensity), (predictions / f"{name}.png", predicted)):
            if array is not None:
                Image.fromarray(array.astype(np.uint8)).save(path)
        return {"sample": name, "group": "g", "image": str(image), "label": "" if truth is None else str(label),
                "spacing": spacing}  # fmt: skip

    return SimpleNamespace(folder=predictions, row=row)


def test_every_row_has_a_status(files):
    """The status is scored, unlabelled or unreadable; missing and damaged files have a reason."""
    rows = [files.row("good", TRUTH, PREDICTED), files.row("unlabelled", None, PREDICTED),
            files.row("lost", TRUTH, None), files.row("damaged", TRUTH, PREDICTED)]  # fmt: skip
    (files.folder / "damaged.png").write_bytes(b"no image")
    images, objects = evaluate_rows(pd.DataFrame(rows), files.folder, 2, INSTANCE)
    assert [i["status"] for i in images] == ["scored", "unlabelled", "unreadable", "unreadable"]
    assert all(bool(i["reason"]) == (i["status"] != "scored") for i in images)
    assert "no such file" in images[2]["reason"]
    assert images[0]["ap_0.50"] == pytest.approx(1 / 3)
    assert {o["sample"] for o in objects} == {"good"}


def test_objects_have_the_spacing_of_the_sheet_and_intensities_of_the_image(files, monkeypatch):
    rows = pd.DataFrame([files.row("good", TRUTH, PREDICTED, "2 0.5")])
    _, objects = evaluate_rows(rows, files.folder, 2, INSTANCE)
    assert [(o["area"], o["intensity_mean"]) for o in objects] == [
        (4, 11),
        (4, 15),
        (3, 11),
        (3, pytest.approx(40 / 3)),
    ]
    monkeypatch.setattr(evaluation, "MAX_INTENSITY_PIXELS", 14)
    _, objects = evaluate_rows(rows, files.folder, 2, INSTANCE)
    assert "intensity_mean" not in objects[0]


def test_prediction_of_another_shape_is_a_row_with_a_reason(files):
    rows = [files.row("other", TRUTH, PREDICTED[:2]), files.row("good", TRUTH, PREDICTED)]
    images, _ = evaluate_rows(pd.DataFrame(rows), files.folder, 2, INSTANCE)
    assert [i["status"] for i in images] == ["unreadable", "scored"]
    assert "shape" in images[0]["reason"]


def test_label_of_unknown_classes_is_a_row_with_a_reason(files):
    rows = [files.row("odd", TRUTH, TRUTH), files.row("good", TRUTH > 0, TRUTH > 0)]
    labels = Labels("semantic", {"background": 0, "cell": 1})
    images, _ = evaluate_rows(pd.DataFrame(rows), files.folder, 2, labels)
    assert [i["status"] for i in images] == ["unreadable", "scored"]
    assert "[5]" in images[0]["reason"]


def test_tables_have_experiment_subset_and_fold_of_each_row():
    rows = pd.DataFrame({"sample": ["a", "b"], "subset": ["train", "test"]})
    table = score_table([{"sample": "b", "dice": 1.0}, {"sample": "a", "dice": 0.5}], rows, "unet", 0)
    assert list(table) == ["experiment", "subset", "fold", "sample", "dice"]
    assert table["subset"].tolist() == ["test", "validation"]
    assert list(score_table([], rows, "unet", 0)) == ["experiment", "subset", "fold", "sample"]
