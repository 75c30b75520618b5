"""Texts of the report: order and state of images, names of scores, numbers, the verdict, citations."""

from dataclasses import replace

import pandas as pd
import pytest

from snakeseg.report.choices import Choices
from snakeseg.report.citation import works_to_cite
from snakeseg.report.images.examples import rank_images
from snakeseg.report.methods import methods_paragraph
from snakeseg.report.tables import MISSING, format_value, format_whole, image_rows, ranking_metric, readable_name
from snakeseg.report.verdict import describe_training, headline_part, verdict
from snakeseg.settings import read_config

IMAGES = pd.DataFrame(
    [
        ("b", "test", "scored", "", 0.9, 0, 0),
        ("a", "test", "scored", "", 0.5, 0, 0),
        ("e", "test", "scored", "", 1.0, 0, 1),
        ("m", "test", "scored", "", 0.0, 1, 0),
        ("u", "test", "unreadable", "u.png: a damaged file", None, None, None),
        ("p", "predict", "unlabelled", "no label in the sample sheet", None, None, None),
        ("v", "validation", "scored", "", 0.7, 0, 0),
    ],
    columns=["sample", "subset", "status", "reason", "ap_0.50", "missed", "empty"],
).assign(experiment="x")

# A single held-out group.
CHOICES = Choices(is_semantic=False, is_cross_fitted=False, groups=1, models=1)


def config_of(**sections):
    return read_config({"name": "run", "sheet": "samples.tsv", **sections})


def summary(subset, mean, n=3, **interval):
    return {"experiment": "x", "subset": subset, "metric": "ap_0.50", "n": n, "mean": mean, **interval}


def test_failures_come_first_then_the_worst_scores():
    rows = image_rows(IMAGES, "ap_0.50")
    assert rows["sample"].tolist() == ["u", "m", "a", "v", "b", "e", "p"]
    assert rows["state"].tolist() == ["unreadable", "missed", *["scored"] * 3, "empty", "unlabelled"]
    reasons = dict(zip(rows["sample"], rows["reason"], strict=True))
    assert reasons["u"] == "u.png: a damaged file"
    assert reasons["m"] == "objects in the label, none predicted"
    assert reasons["a"] == ""


def test_the_highest_error_ranks_worst():
    rows = image_rows(IMAGES.rename(columns={"ap_0.50": "pixel_error"}), "pixel_error")
    assert rows.loc[rows["state"] == "scored", "sample"].tolist() == ["b", "v", "a"]
    assert rank_images(rows, "pixel_error")[0]["sample"] == "e"


def test_images_without_scores_are_rows():
    rows = image_rows(IMAGES[IMAGES["status"] != "scored"].drop(columns=["ap_0.50", "missed", "empty"]), "ap_0.50")
    assert rows["state"].tolist() == ["unreadable", "unlabelled"]
    assert [row["rank"] for row in rank_images(rows, "ap_0.50")] == ["not scored"]


def test_no_image_is_ranked_twice():
    rows = image_rows(IMAGES, "ap_0.50")
    ranked = rank_images(rows, "ap_0.50")
    assert [(row["sample"], row["rank"]) for row in ranked] == [
        ("m", "1 of 5"), ("a", "2 of 5"), ("v", "3 of 5"), ("b", "4 of 5"), ("e", "5 of 5"),
    ]  # fmt: skip


def test_the_first_the_middle_and_the_last_images_are_chosen():
    images = [{**IMAGES.iloc[0], "sample": f"{i:02}", "ap_0.50": i / 20} for i in range(20)]
    rows = image_rows(pd.DataFrame(images), "ap_0.50")
    ranked = rank_images(rows, "ap_0.50")
    assert [row["sample"] for row in ranked] == ["00", "01", "02", "08", "09", "10", "17", "18", "19"]
    assert ranked[3]["rank"] == "9 of 20"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.98765, "0.988"), (float("nan"), MISSING), (None, MISSING), ("", MISSING), (65536, "65,536"), (12.345, "12.35"),
     (1e6, "1,000,000"), ("unet", "unet"), (0, "0")],
)  # fmt: skip
def test_numbers_are_formatted(value, text):
    assert format_value(value) == text


def test_names_of_metrics_are_readable():
    assert [readable_name(name) for name in ("ap_0.50", "mean_iu", "true_objects")] == [
        "AP 0.50",
        "mean IU",
        "true objects",
    ]
    assert (format_whole(3.0), format_whole(float("nan"))) == ("3", MISSING)


def test_images_are_ranked_by_the_score_that_chose_the_thresholds():
    assert ranking_metric(config_of(instances={"select_by": "adapted_rand_error"})) == "adapted_rand_error"
    assert ranking_metric(config_of(instances={"select_by": "ap"})) == "ap_0.50"
    assert ranking_metric(config_of(labels={"kind": "semantic"})) == "dice"


def test_the_verdict_states_training_score_and_failures():
    rows = image_rows(IMAGES, "ap_0.50")
    table = pd.DataFrame(
        [summary("validation", 0.7, 1), summary("test", 0.6, 4, low=0.2, high=0.9), summary("predict", None, 0)]
    )
    texts = verdict(rows, table, "ap_0.50", CHOICES)
    assert texts["good"].startswith(
        "On 4 test images, not used in training, the mean AP 0.50 is 0.600 (95 % interval 0.200 to 0.900)"
    )
    assert texts["failed"].startswith("2 predictions failed: 1 could not be scored, 1 missed")
    assert texts["others"] == "1 image has no objects in the label. 1 image has no label: not scored."


@pytest.mark.parametrize(
    ("names", "settings", "trained", "total", "text"),
    [
        ("x", {}, [13], 16, "A network (unet, width 4) was trained on 13 images; 3 more are for validation."),
        ("x", {}, [1], 2, "A network (unet, width 4) was trained on 1 image; 1 more is for validation."),
        ("xy", {}, [13], 16, "2 experiments (x, y) were trained on 13 images; 3 more are for validation."),
        ("x", {"folds": 5, "fold": 1}, [8], 10,
         "A network (unet, width 4) was trained on 8 images; 2 more are for validation (fold 1 of folds 0 to 4)."),
        ("x", {"folds": 3}, [10, 11, 11], 16,
         "In each of 3 folds, a network (unet, width 4) was trained on 10 to 11 of 16 images;"
         " the others are for validation."),
        ("xy", {"folds": 2}, [8, 8], 16,
         "In each of 2 folds, 2 experiments (x, y) were trained on 8 of 16 images; the others are for validation."),
    ],
)  # fmt: skip
def test_the_sentence_on_training_counts_the_images_trained_on(names, settings, trained, total, text):
    """Trial of the report: the first sentence lacked the number of images that the network was trained on."""
    networks = dict.fromkeys(names, "unet, width 4")
    assert describe_training(networks, config_of(**settings), trained, total) == text


def test_the_verdict_states_that_scores_are_of_validation_images():
    table = pd.DataFrame([summary("validation", 0.7, 1)])
    rows = image_rows(IMAGES[IMAGES["subset"] == "validation"], "ap_0.50")
    texts = verdict(rows, table, "ap_0.50", CHOICES)
    assert "held out of training but used to choose thresholds, the mean" in texts["good"]
    assert texts["good"].endswith(" 1 validation image is few: label 10 or more.")
    assert (
        "On 1 validation image, held out of training but used to choose which pieces to keep, the"
        in verdict(rows, table, "ap_0.50", replace(CHOICES, is_semantic=True))["good"]
    )
    assert texts["failed"] == "No image failed."
    assert "others" not in texts
    unscored = pd.DataFrame([summary("validation", None, 0)])
    assert "the quality of the predictions is unknown" in verdict(rows, unscored, "ap_0.50", CHOICES)["good"]


def test_the_headline_is_the_best_experiment_on_test_images():
    rows = [summary("test", 0.6), {**summary("test", 0.8), "experiment": "y"}, summary("validation", 0.9)]
    assert headline_part(pd.DataFrame(rows), "ap_0.50")["experiment"] == "y"
    errors = pd.DataFrame([{**row, "metric": "pixel_error"} for row in rows])
    assert headline_part(errors, "pixel_error")["experiment"] == "x"


def test_methods_in_use_are_cited():
    train = {"steps": 5, "minutes": None, "optimiser": "sgd", "learning_rate": 0.1, "schedule": "poly", "batch": 1,
             "patch": 8, "seed": 0}  # fmt: skip
    model = {"network": {"name": "fcn8s"}, "predict": {"average": True}, "provenance": {"train": train}}
    config = config_of(experiments={"x": {"loss": {"name": "plain"}}}, augment={"std": 7})
    citations = " ".join(works_to_cite({"x": model}, config, "ap_0.50"))
    for author in ("Long", "Ronneberger", "Schmidt", "Paszke"):
        assert author in citations
    assert "Loshchilov" not in citations
    text = methods_paragraph(
        {"x.seed-1": model}, {"x.seed-1": "fcn8s, width 64"}, config, {"snakeseg": "1.2", "torch": "3.4"}, "Trained."
    )
    for part in (
        "SnakeSeg 1.2 (PyTorch 3.4)",
        "3 x 3 control points, displaced at random with a standard deviation of 7 pixels",
        "Training: 5 steps of SGD",
        ", one patch of 8 x 8 pixels per step",
        "loss: cross entropy;",
    ):
        assert part in text
