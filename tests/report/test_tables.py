"""Texts of the report: order and state of images, names of scores, numbers, the verdict, citations."""

from dataclasses import replace

import pandas as pd
import pytest

from snakeseg.report.choices import Choices
from snakeseg.report.citation import works_to_cite
from snakeseg.report.images.examples import rank_images
from snakeseg.report.methods import methods_paragraph
from snakeseg.report.tables import MISSING, format_value, format_whole, image_rows, ranking_metric, readable_name
from snakeseg.report.verdict import headline_part, verdict
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
        ("m", "worst"), ("a", "worst"), ("v", "worst"), ("b", "median"), ("e", "best"),
    ]  # fmt: skip


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
    texts = verdict(rows, table, {"x": "unet, width 4"}, config_of(), "ap_0.50", CHOICES)
    assert texts["trained"] == "The network (unet, width 4) was trained with 1 image held out for validation."
    assert texts["good"].startswith(
        "On 4 test images, not used in training, the mean AP 0.50 is 0.600 (95 % interval 0.200 to 0.900)"
    )
    assert texts["failed"].startswith("2 predictions failed: 1 could not be scored, 1 missed")
    assert texts["others"] == "Other predictions: 1 without objects in the label, 1 without a label (not scored)."


def test_the_verdict_states_that_scores_are_of_validation_images():
    table = pd.DataFrame([summary("validation", 0.7, 1)])
    rows = image_rows(IMAGES[IMAGES["subset"] == "validation"], "ap_0.50")
    texts = verdict(rows, table, {"x": "unet"}, config_of(), "ap_0.50", CHOICES)
    assert "held out of training but used to choose thresholds, the mean" in texts["good"]
    assert texts["good"].endswith("So few images say little about others: label 5 or more.")
    classes = config_of(labels={"kind": "semantic"})
    assert (
        "On 1 validation image, held out of training but used to choose which pieces to keep, the"
        in verdict(rows, table, {"x": "unet"}, classes, "ap_0.50", replace(CHOICES, is_semantic=True))["good"]
    )
    assert texts["failed"] == "No prediction failed."
    assert "others" not in texts
    unscored = pd.DataFrame([summary("validation", None, 0)])
    assert (
        "the quality of the predictions is unknown"
        in verdict(rows, unscored, {"x": "unet"}, config_of(folds=5), "ap_0.50", CHOICES)["good"]
    )


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
        "of 7 pixels at 3 x 3",
        "fcn8s, width 64: 5 steps of sgd",
        "loss: cross entropy;",
    ):
        assert part in text
