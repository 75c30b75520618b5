"""Decathlon and BIDS folders become a sheet and a config that the workflow takes as they are."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import yaml
from nifti_files import save_nifti

from snakeseg.cli import main
from snakeseg.io.sheet import read_sheet

AFFINE = np.diag([1.0, 1, 2, 1])


def save_volume(path, values=(0, 1)):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(list(path.as_posix().encode())).choice(values, (16, 17, 18)).astype(np.uint8)
    save_nifti(path, array, AFFINE)


@pytest.fixture
def task(tmp_path):
    """Two cases with labels and one without."""
    for name in ("p_001", "p_003"):
        save_volume(tmp_path / f"Task09/imagesTr/{name}.nii.gz", range(99))
        save_volume(tmp_path / f"Task09/labelsTr/{name}.nii.gz", (0, 1, 2))
    save_volume(tmp_path / "Task09/imagesTs/p_002.nii.gz")
    training = [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in ("p_001", "p_003")
    ]
    told = {
        "name": "P", "modality": {"0": "MRI"}, "labels": {"0": "background", "2": "edge: inner", "1": "core"},
        "training": training, "test": ["./imagesTs/p_002.nii.gz"],
    }  # fmt: skip
    (tmp_path / "Task09/dataset.json").write_text(json.dumps(told))
    return tmp_path


@pytest.fixture
def study(tmp_path):
    """Three subjects, one of two sessions, one without a segmentation; distractions beside."""
    for where in (
        "sub-1/anat/sub-1",
        "sub-2/ses-a/anat/sub-2_ses-a",
        "sub-2/ses-b/anat/sub-2_ses-b",
        "sub-3/anat/sub-3",
    ):
        save_volume(tmp_path / f"study/{where}_T1w.nii.gz", range(99))
        save_volume(tmp_path / f"study/{where}_T2w.nii.gz", range(99))
        if "sub-3" not in where:
            save_volume(tmp_path / f"study/derivatives/manual/{where}_desc-m_dseg.nii.gz", (0, 3, 7))
    return tmp_path


def run(folder, monkeypatch, *options):
    monkeypatch.chdir(folder)
    return main(["init", *options])


def test_decathlon(task, monkeypatch):
    assert run(task, monkeypatch, "--msd", "Task09") == 0
    config = yaml.safe_load((task / "Task09.yaml").read_text())
    assert (config["name"], config["sheet"], config["data"]) == ("Task09", "Task09.tsv", "Task09")
    assert config["labels"]["values"] == {"background": 0, "core": 1, "edge: inner": 2}
    assert list(config["labels"]["values"]) == ["background", "core", "edge: inner"]
    sheet = read_sheet(task / config["sheet"], config["data"])
    assert sheet[["sample", "subset", "group"]].to_numpy().tolist() == [
        ["p_001", "train", "p_001"], ["p_003", "train", "p_003"], ["p_002", "predict", "p_002"],
    ]  # fmt: skip
    assert sheet["image"].tolist()[0] == "Task09/imagesTr/p_001.nii.gz"
    assert sheet["label"].tolist() == ["Task09/labelsTr/p_001.nii.gz", "Task09/labelsTr/p_003.nii.gz", ""]


def test_bids(study, monkeypatch):
    """One group per subject, however many sessions; labels are those that say all that the image does."""
    assert run(study, monkeypatch, "--bids", "study", "-o", "my.yaml") == 0
    config = yaml.safe_load((study / "my.yaml").read_text())
    assert config["labels"]["values"] == {"background": 0, "class-3": 3, "class-7": 7}
    sheet = pd.read_csv(study / "my.tsv", sep="\t", keep_default_na=False)
    assert sheet["group"].tolist() == ["sub-1", "sub-2", "sub-2", "sub-3"]
    assert sheet["subset"].tolist() == ["train", "train", "train", "predict"]
    assert sheet["sample"].tolist()[1] == "sub-2_ses-a_T1w"
    assert sheet["label"].tolist()[1] == "derivatives/manual/sub-2/ses-a/anat/sub-2_ses-a_desc-m_dseg.nii.gz"


def test_classes_of_a_table(study, monkeypatch):
    (study / "study/derivatives/manual/dseg.tsv").write_text("index\tname\n3\tleft\n7\tright\n")
    assert run(study, monkeypatch, "--bids", "study") == 0
    text = (study / "study.yaml").read_text()
    assert yaml.safe_load(text)["labels"]["values"] == {"background": 0, "left": 3, "right": 7}
    assert "# From derivatives/manual/dseg.tsv." in text


def test_masks(tmp_path, monkeypatch):
    """Named by what they are of; those that are of no label, such as a brain's, are left alone."""
    for subject in "12":
        save_volume(tmp_path / f"s/sub-{subject}/anat/sub-{subject}_T1w.nii", range(99))
        for name, values in (("label-lesion_mask", (0, 255)), ("desc-brain_mask", (0, 1))):
            save_volume(tmp_path / f"s/derivatives/x/sub-{subject}/anat/sub-{subject}_{name}.nii", values)
    assert run(tmp_path, monkeypatch, "--bids", "s") == 0
    assert yaml.safe_load((tmp_path / "s.yaml").read_text())["labels"]["values"] == {"background": 0, "lesion": 255}


@pytest.mark.parametrize("there", ["Task09.yaml", "Task09.tsv"])
def test_nothing_is_overwritten(task, monkeypatch, capsys, there):
    (task / there).write_text("mine")
    assert run(task, monkeypatch, "--msd", "Task09") == 1
    assert f"{there}: found a file; expected none: nothing is overwritten; move it" in capsys.readouterr().err
    assert (task / there).read_text() == "mine"
    assert len(list(task.glob("Task09.*"))) == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "JSONDecodeError"),
        ('{"labels": {"background": 0}, "training": []}', "ValueError invalid literal"),
        ('{"labels": {"0": "background", "1": "x"}}', "KeyError 'training'"),
        ('{"labels": {"0": "background"}, "training": []}', r"found classes \['background'\]; expected background and"),
        ("[]", "TypeError"),
    ],
)
def test_a_description_that_is_not_understood(task, monkeypatch, capsys, text, found):
    (task / "Task09/dataset.json").write_text(text)
    assert run(task, monkeypatch, "--msd", "Task09") == 1
    error = capsys.readouterr().err
    assert re.search(found, error), error
    assert "Task09" in error
    assert "; expected " in error
    assert not (task / "Task09.yaml").exists()


def test_folders_of_other_layouts(study, monkeypatch, capsys):
    assert run(study, monkeypatch, "--msd", "study") == 1
    assert run(study, monkeypatch, "--bids", ".") == 1
    errors = capsys.readouterr().err.splitlines()
    assert "study/dataset.json: found no such file; expected the Decathlon's description" in errors[0]
    assert ".: found no sub-*/[ses-*/]anat/*_T1w.nii.gz; expected some" in errors[1]


def test_two_segmentations_of_one_image(study, monkeypatch, capsys):
    save_volume(study / "study/derivatives/other/sub-1/anat/sub-1_dseg.nii.gz")
    assert run(study, monkeypatch, "--bids", "study") == 1
    error = capsys.readouterr().err
    assert "sub-1_T1w.nii.gz: found 2 segmentations (" in error
    assert "derivatives/other/sub-1/anat/sub-1_dseg.nii.gz" in error


def test_no_segmentations(study, monkeypatch, capsys):
    for path in (study / "study/derivatives").rglob("*.nii.gz"):
        path.unlink()
    assert run(study, monkeypatch, "--bids", "study") == 1
    assert "derivatives: found no *_dseg.nii.gz or *label*_mask.nii.gz" in capsys.readouterr().err


@pytest.mark.slow
def test_the_workflow_takes_what_is_written(task, monkeypatch, snakemake):
    """With the config unchanged, nothing is found that would stop the workflow."""
    assert run(task, monkeypatch, "--msd", "Task09", "-o", "my.yaml") == 0
    done = snakemake(task, "--cores", "1", "--configfile", "my.yaml", "--", "results/Task09/check.tsv")
    assert done.returncode == 0, done.stdout
