"""`snakeseg init` writes sheets and configs for Decathlon, nnU-Net, BIDS and Cell Tracking folders."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import tifffile
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
    """Write two cases with labels and one without."""
    for name in ("p_001", "p_003"):
        save_volume(tmp_path / f"Task09/imagesTr/{name}.nii.gz", range(99))
        save_volume(tmp_path / f"Task09/labelsTr/{name}.nii.gz", (0, 1, 2))
    save_volume(tmp_path / "Task09/imagesTs/p_002.nii.gz")
    training = [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in ("p_001", "p_003")
    ]
    description = {
        "name": "P", "modality": {"0": "MRI"}, "labels": {"0": "background", "2": "edge: inner", "1": "core"},
        "training": training, "test": ["./imagesTs/p_002.nii.gz"],
    }  # fmt: skip
    (tmp_path / "Task09/dataset.json").write_text(json.dumps(description), encoding="utf-8")
    return tmp_path


@pytest.fixture
def study(tmp_path):
    """Write three subjects, one with two sessions, one without a segmentation; and T2-weighted images."""
    for stem in (
        "sub-1/anat/sub-1",
        "sub-2/ses-a/anat/sub-2_ses-a",
        "sub-2/ses-b/anat/sub-2_ses-b",
        "sub-3/anat/sub-3",
    ):
        save_volume(tmp_path / f"study/{stem}_T1w.nii.gz", range(99))
        save_volume(tmp_path / f"study/{stem}_T2w.nii.gz", range(99))
        if "sub-3" not in stem:
            save_volume(tmp_path / f"study/derivatives/manual/{stem}_desc-m_dseg.nii.gz", (0, 3, 7))
    return tmp_path


def run(folder, monkeypatch, *options):
    monkeypatch.chdir(folder)
    return main(["init", *options])


def test_a_decathlon_folder_is_read(task, monkeypatch):
    assert run(task, monkeypatch, "Task09") == 0
    config = yaml.safe_load((task / "Task09.yaml").read_text(encoding="utf-8"))
    assert (config["name"], config["sheet"], config["data"]) == ("Task09", "Task09.tsv", "Task09")
    assert config["labels"]["values"] == {"background": 0, "core": 1, "edge: inner": 2}
    assert list(config["labels"]["values"]) == ["background", "core", "edge: inner"]
    sheet = read_sheet(task / config["sheet"], config["data"])
    assert sheet[["sample", "subset", "group"]].to_numpy().tolist() == [
        ["p_001", "train", "p_001"], ["p_003", "train", "p_003"], ["p_002", "predict", "p_002"],
    ]  # fmt: skip
    assert sheet["image"].tolist()[0] == "Task09/imagesTr/p_001.nii.gz"
    assert sheet["label"].tolist() == ["Task09/labelsTr/p_001.nii.gz", "Task09/labelsTr/p_003.nii.gz", ""]


def test_a_bids_folder_is_read(study, monkeypatch):
    """A subject with several sessions is one group; a label has all entities of its image."""
    assert run(study, monkeypatch, "study", "-o", "my.yaml") == 0
    config = yaml.safe_load((study / "my.yaml").read_text(encoding="utf-8"))
    assert config["labels"]["values"] == {"background": 0, "class-3": 3, "class-7": 7}
    sheet = pd.read_csv(study / "my.tsv", sep="\t", keep_default_na=False)
    assert sheet["group"].tolist() == ["sub-1", "sub-2", "sub-2", "sub-3"]
    assert sheet["subset"].tolist() == ["train", "train", "train", "predict"]
    assert sheet["sample"].tolist()[1] == "sub-2_ses-a_T1w"
    assert sheet["label"].tolist()[1] == "derivatives/manual/sub-2/ses-a/anat/sub-2_ses-a_desc-m_dseg.nii.gz"


def test_class_names_are_read_from_the_table_of_bids(study, monkeypatch):
    (study / "study/derivatives/manual/dseg.tsv").write_text("index\tname\n3\tleft\n7\tright\n", encoding="utf-8")
    assert run(study, monkeypatch, "study") == 0
    text = (study / "study.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["labels"]["values"] == {"background": 0, "left": 3, "right": 7}
    assert "# Labels: classes of derivatives/manual/dseg.tsv." in text


def test_class_names_are_read_from_the_masks_of_bids(tmp_path, monkeypatch):
    """Classes have the names of the masks; masks without the entity label are ignored."""
    for subject in "12":
        save_volume(tmp_path / f"s/sub-{subject}/anat/sub-{subject}_T1w.nii", range(99))
        for name, values in (("label-lesion_mask", (0, 255)), ("desc-brain_mask", (0, 1))):
            save_volume(tmp_path / f"s/derivatives/x/sub-{subject}/anat/sub-{subject}_{name}.nii", values)
    assert run(tmp_path, monkeypatch, "s") == 0
    assert yaml.safe_load((tmp_path / "s.yaml").read_text(encoding="utf-8"))["labels"]["values"] == {
        "background": 0,
        "lesion": 255,
    }


@pytest.mark.parametrize("existing", ["Task09.yaml", "Task09.tsv", "Task09.png"])
def test_nothing_is_overwritten(task, monkeypatch, capsys, existing):
    (task / existing).write_text("mine", encoding="utf-8")
    assert run(task, monkeypatch, "Task09") == 1
    assert (
        f"{existing}: found an existing file; expected no file, since nothing is overwritten; move it"
        in capsys.readouterr().err
    )
    assert (task / existing).read_text(encoding="utf-8") == "mine"
    assert len(list(task.glob("Task09.*"))) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"training": []}', "KeyError 'labels'"),
        ('{"labels": {"x": "y"}}', r'found labels \{"x": "y"\}; expected labels, as'),
        ('{"labels": {"background": 0, "whole": [1, 2]}}', r'found labels .*"whole": \[1, 2\]\}; expected labels, as'),
        ('{"labels": {"0": "background"}}', r"found classes \['background'\]; expected background and"),
    ],
)
def test_an_invalid_description_is_an_error(task, monkeypatch, capsys, text, message):
    (task / "Task09/dataset.json").write_text(text, encoding="utf-8")
    assert run(task, monkeypatch, "Task09") == 1
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert "Task09" in error
    assert "; expected " in error
    assert not (task / "Task09.yaml").exists()


def test_folders_of_other_layouts_are_errors(study, monkeypatch, capsys):
    (study / "empty").mkdir()
    assert run(study, monkeypatch, "study", "--layout", "nnunet") == 1
    assert run(study, monkeypatch, "empty", "--layout", "bids") == 1
    assert run(study, monkeypatch, "empty", "--layout", "ctc") == 1
    errors = capsys.readouterr().err.splitlines()
    assert (
        "study/imagesTr: found no images; expected at least one image; give the folder that contains imagesTr"
        in errors[0]
    )
    assert "empty: found no sub-*/[ses-*/]anat/*_T1w.nii.gz; expected at least one such image" in errors[1]
    assert "empty: found no frames 01/t*.tif; expected at least one frame" in errors[2]


def test_channels_of_nnunet_are_separate_files(tmp_path, monkeypatch):
    """Channel numbers are not part of the name; cases of imagesTs with labels are test rows; `ignore` is no class."""
    root = tmp_path / "nnUNet_raw/Dataset004_X"  # found below a folder that holds nothing else
    for part, names in (("Tr", ("c1", "c2")), ("Ts", ("c3", "c4"))):
        for name in names:
            for channel in (0, 1):
                save_volume(root / f"images{part}/{name}_{channel:04d}.nii.gz", range(99))
            if name != "c4":
                save_volume(root / f"labels{part}/{name}.nii.gz", (0, 1, 2))
    description = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "tumour": 1, "ignore": 2}}
    (root / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    assert run(tmp_path, monkeypatch, "nnUNet_raw", "-o", "x.yaml") == 0
    config = yaml.safe_load((tmp_path / "x.yaml").read_text(encoding="utf-8"))
    assert config["labels"] == {"kind": "semantic", "values": {"background": 0, "tumour": 1}, "ignore": 2}
    assert config["data"] == "nnUNet_raw/Dataset004_X"
    sheet = pd.read_csv(tmp_path / "x.tsv", sep="\t", keep_default_na=False)
    assert sheet["image"].tolist()[0] == "imagesTr/c1_0000.nii.gz;imagesTr/c1_0001.nii.gz"
    assert sheet[["sample", "subset"]].to_numpy().tolist() == [
        ["c1", "train"], ["c2", "train"], ["c3", "test"], ["c4", "predict"],
    ]  # fmt: skip


def test_several_data_sets_are_an_error(task, monkeypatch, capsys):
    (task / "Task09").rename(task / "Task01")
    for name in ("Task02", "Task03"):
        (task / name / "imagesTr").mkdir(parents=True)
    assert run(task, monkeypatch, ".") == 1
    assert (
        "found 3 data sets (Task01, Task02, Task03); expected one data set; give the folder" in capsys.readouterr().err
    )


def test_a_cell_tracking_folder_is_read(tmp_path, monkeypatch, capsys):
    """Gold truth precedes silver truth; a sequence is a group; frames without labels are to be predicted."""
    rng = np.random.default_rng(0)
    label = np.zeros((64, 64), np.uint16)
    label[8:20, 8:20], label[30:50, 30:44] = 3, 7

    def save(path, array):
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, array)

    for sequence in ("01", "02"):
        for frame in range(3):
            save(tmp_path / f"C/{sequence}/t{frame:03d}.tif", rng.integers(0, 999, (64, 64)).astype(np.uint16))
            save(tmp_path / f"C/{sequence}_GT/TRA/man_track{frame:03d}.tif", label)
        save(tmp_path / f"C/{sequence}_GT/SEG/man_seg000.tif", label)
        for frame in (0, 1):
            save(tmp_path / f"C/{sequence}_ST/SEG/man_seg{frame:03d}.tif", label)
    save(tmp_path / "C/01_GT/SEG/man_seg_002_004.tif", label)
    assert run(tmp_path, monkeypatch, "C") == 0
    sheet = pd.read_csv(tmp_path / "C.tsv", sep="\t", keep_default_na=False, dtype=str)
    assert sheet["label"].tolist()[:3] == ["01_GT/SEG/man_seg000.tif", "01_ST/SEG/man_seg001.tif", ""]
    assert sheet["subset"].tolist() == ["train", "train", "predict"] * 2
    assert sheet["group"].unique().tolist() == ["sequence-01", "sequence-02"]
    config = yaml.safe_load((tmp_path / "C.yaml").read_text(encoding="utf-8"))
    assert (config["folds"], config["fold"], config["labels"]["kind"]) == (2, 0, "instance")
    assert "man_seg_002_004.tif; expected one label for a whole frame" in capsys.readouterr().err


def test_two_segmentations_of_one_image_are_an_error(study, monkeypatch, capsys):
    save_volume(study / "study/derivatives/other/sub-1/anat/sub-1_dseg.nii.gz")
    assert run(study, monkeypatch, "study") == 1
    error = capsys.readouterr().err
    assert "sub-1_T1w.nii.gz: found 2 segmentations (" in error
    assert "derivatives/other/sub-1/anat/sub-1_dseg.nii.gz" in error


def test_missing_segmentations_are_an_error(study, monkeypatch, capsys):
    for path in (study / "study/derivatives").rglob("*.nii.gz"):
        path.unlink()
    assert run(study, monkeypatch, "study") == 1
    assert "derivatives: found no *_dseg.nii.gz or *label*_mask.nii.gz" in capsys.readouterr().err


@pytest.mark.slow
def test_the_workflow_accepts_the_written_config(task, monkeypatch, snakemake):
    """The written config passes the check of the workflow without changes."""
    assert run(task, monkeypatch, "Task09", "-o", "my.yaml") == 0
    done = snakemake(task, "--cores", "1", "--configfile", "my.yaml", "--", "results/Task09/check.tsv")
    assert done.returncode == 0, done.stdout
