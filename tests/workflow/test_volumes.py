"""Volumes in the whole workflow: resampling of thick slices, one fold of two, classes and objects."""

import json

import nibabel
import numpy as np
import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.slow
NAMES = [f"cells-{index:02d}" for index in range(12)]


@pytest.fixture(scope="module")
def run(snakemake, repository, tmp_path_factory):
    """Run the demo in three dimensions, with smaller volumes."""
    folder = tmp_path_factory.mktemp("volumes")
    config = yaml.safe_load((repository / "config/examples/demo-3d.yaml").read_text(encoding="utf-8"))
    (folder / "samples.tsv").write_text(
        (repository / "config/examples/demo-3d.tsv").read_text(encoding="utf-8"), encoding="utf-8"
    )
    config |= {"sheet": "samples.tsv", "threads": 1, "folds": 2, "fold": 1}
    config["simulate"] |= {"size": 32, "cells": 40}
    config["augment"]["copies"] = 1
    config["network"] |= {"width": 6, "depth": 1}
    config["train"] |= {"steps": 150, "patch": [16, 20, 16], "learning_rate": 0.01}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    done = snakemake(folder, "--configfile", "config.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout
    return folder / "results" / "demo-3d"


def test_labels_lie_on_the_grid_of_their_source(run):
    for name in NAMES[10:]:
        source = nibabel.load(run / f"simulated/images/{name}.nii.gz")
        prediction = nibabel.load(run / f"predictions/default/test-0000/{name}.nii.gz")
        assert source.header.get_zooms() == (1, 1, 2)
        assert prediction.shape == source.shape == (32, 32, 16)
        np.testing.assert_array_equal(prediction.affine, source.affine)
        assert prediction.get_data_dtype().kind == "u"


def test_objects_are_where_the_cells_are(run):
    """A short training finds most cells on the right slices; mirrored predictions would overlap by a tenth."""
    images = pd.read_csv(run / "evaluation/images.tsv", sep="\t")
    assert (images["status"] == "scored").all()
    assert images["dice"].min() > 0.4


def test_volumes_are_resampled_to_one_pixel_size(run):
    description = json.loads((run / "models/default/fold-1/model.json").read_text(encoding="utf-8"))
    assert description["spacing"] == [1.5, 1.5, 1.5]
    assert description["symmetry"] == {"flips": [0, 1, 2], "plane": [0, 2]}


def test_one_fold_is_trained_and_scored(run):
    assert [folder.name for folder in (run / "models/default").glob("fold-*")] == ["fold-1"]
    images = pd.read_csv(run / "evaluation/images.tsv", sep="\t")
    validation = images[images["subset"] == "validation"]
    assert set(validation["fold"]) == {1}
    assert sorted(validation["sample"]) == NAMES[1:10:2]
    assert "(fold 1 of folds 0 to 1)" in (run / "report.html").read_text("utf-8")


def test_another_fold_is_trained_alone(run, snakemake):
    done = snakemake(run.parents[1], "--configfile", "config.yaml", "--config", "fold=0", "--dry-run")
    assert "models/default/fold-0/model.safetensors" in done.stdout
    assert not any("fold-1" in line for line in done.stdout.splitlines() if line.strip().startswith("output:"))


def test_fold_all_trains_all_folds(run, snakemake):
    """A comment of the example names `--config fold=all`."""
    done = snakemake(run.parents[1], "--configfile", "config.yaml", "--config", "fold=all", "--dry-run")
    assert done.returncode == 0, done.stdout
    assert "models/default/fold-0/model.safetensors" in done.stdout
    assert "validation/default/fold-1" in done.stdout


def test_a_fold_beyond_the_last_is_an_error(run, snakemake):
    done = snakemake(run.parents[1], "--configfile", "config.yaml", "--config", "fold=2", "--dry-run")
    assert done.returncode != 0
    assert "config.fold: found 2 of 2 folds" in done.stdout


def test_classes_keep_the_components_that_validation_chose(run, snakemake, tmp_path):
    """With semantic labels of the same volumes, every class has a filter of its components and the trials behind it."""
    config = yaml.safe_load((run.parents[1] / "config.yaml").read_text(encoding="utf-8"))
    rows = pd.read_csv(run.parents[1] / "samples.tsv", sep="\t")
    for name in NAMES:
        source = nibabel.load(run / f"simulated/labels/{name}.nii.gz")
        classes = (np.asarray(source.dataobj) > 0).astype(np.uint8)
        (tmp_path / "labels").mkdir(exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(classes, source.affine), tmp_path / f"labels/{name}.nii.gz")
    rows["image"] = [str(run / "simulated" / path) for path in rows["image"]]
    rows.to_csv(tmp_path / "samples.tsv", sep="\t", index=False)
    del config["simulate"], config["network"]["border"]
    config |= {"labels": {"kind": "semantic", "values": {"background": 0, "cell": 1}}, "loss": {"name": "dice"}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    done = snakemake(tmp_path, "--configfile", "config.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout
    results = tmp_path / "results/demo-3d"
    rules = json.loads((results / "models/default/fold-1/instances.json").read_text(encoding="utf-8"))["classes"][
        "cell"
    ]
    best = max(rules["trials"], key=lambda trial: trial["score"])
    assert rules["chosen"] == {"smallest": best["smallest"], "largest_only": best["largest_only"]}
    assert "<h3>Pieces of classes</h3>" in (results / "report.html").read_text("utf-8")
    images = pd.read_csv(results / "evaluation/images.tsv", sep="\t")
    validation_dice = images.loc[images["subset"] == "validation", "dice"]
    assert validation_dice.mean() == pytest.approx(best["score"], abs=1e-6)
