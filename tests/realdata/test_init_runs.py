"""As a new user would: `snakeseg init` on a folder, then the workflow with the config as it was written, to a report.

The folders hold a few small cuts of real images, so that what is proposed for them is short.
"""

import json
import shutil

import nibabel
import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from microscope_files import write_lif
from PIL import Image

from snakeseg.cli import main

pytestmark = [pytest.mark.realdata, pytest.mark.slow]
SIDE = 64


def some(folder, count: int) -> list:
    """So many files of a folder, evenly spread."""
    files = sorted(folder.iterdir())
    return files[:: len(files) // count][:count]


def save(path, array: np.ndarray, like=None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".nii.gz"):
        nibabel.save(nibabel.Nifti1Image(array, like.affine, like.header), path)
    elif path.suffix == ".png":
        Image.fromarray(array).save(path)
    else:
        tifffile.imwrite(path, array)


def isbi(realdata, folder):
    for part, kind, count in (("train", "images", 6), ("train", "labels", 6), ("test", "images", 1)):
        for path in some(realdata / "isbi2012" / part / kind, count):
            save(folder / part / kind / path.name, np.asarray(Image.open(path))[:SIDE, :SIDE])


def nuclei(realdata, folder, image="images/{}.tif", label="labels/{}.tif"):
    for path in some(realdata / "dsb2018/images", 8):
        crop = slice(20, 20 + SIDE), slice(20, 20 + SIDE)
        save(folder / image.format(path.stem), tifffile.imread(path)[crop])
        save(folder / label.format(path.stem), tifffile.imread(realdata / "dsb2018/labels" / path.name)[crop])


def cellpose(realdata, folder):
    """Images and labels side by side, in `train` and `test`; what Cellpose leaves is there too."""
    nuclei(realdata, folder / "train", "{}_img.png", "{}_masks.png")
    for path in sorted((folder / "train").iterdir())[:4]:
        (folder / "test").mkdir(exist_ok=True)
        path.rename(folder / "test" / path.name)
    save(folder / "train/x_flows.tif", np.zeros((9, 9), np.float32))


def volumes(realdata, folder, image="images/{}.nii.gz", label="labels/{}.nii.gz", count=5):
    for path in some(realdata / "hippocampus/images", count):
        for kind, name in (("images", image), ("labels", label)):
            volume = nibabel.load(realdata / "hippocampus" / kind / path.name)
            name = name.format(path.name.split(".")[0])
            save(folder / name, np.asarray(volume.dataobj)[8:32, 8:40, 8:32], volume)


def nnunet(realdata, folder):
    volumes(realdata, folder, "imagesTr/{}_0000.nii.gz", "labelsTr/{}.nii.gz")
    path = sorted((folder / "imagesTr").iterdir())[0]
    (folder / "imagesTs").mkdir()
    path.rename(folder / "imagesTs" / path.name)
    (folder / "labelsTr" / path.name.replace("_0000", "")).rename(folder / "imagesTs/../gone")
    (folder / "gone").unlink()
    told = {"labels": {"background": 0, "anterior": 1, "posterior": 2}, "channel_names": {"0": "MRI"}}
    (folder / "dataset.json").write_text(
        json.dumps({**told, "file_ending": ".nii.gz", "numTraining": 4}), encoding="utf-8"
    )


def microscope(realdata, folder):
    """Two files of a microscope, of four images each, and a label for every image."""
    nuclei(realdata, folder)
    cuts = [tifffile.imread(path)[None, None] for path in sorted((folder / "images").iterdir())]
    for number, of in enumerate((cuts[:4], cuts[4:])):
        write_lif(folder / f"plate{number}.lif", *of)
    for index, path in enumerate(sorted((folder / "labels").iterdir())):
        path.rename(folder / f"plate{index // 4}-{index % 4 + 1}_masks.tif")
    shutil.rmtree(folder / "images")


# What is made, and what must have been understood.
FOLDERS = {
    "isbi": (isbi, 2, "binary", {"train": 6, "predict": 1}),
    "nuclei": (nuclei, 2, "instance", {"train": 8}),
    "hippocampus": (volumes, 3, "semantic", {"train": 5}),
    "cellpose": (cellpose, 2, "instance", {"train": 6, "test": 2}),
    "nnunet": (nnunet, 3, "semantic", {"train": 4, "predict": 1}),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_becomes_a_report(name, realdata, snakemake, tmp_path, monkeypatch):
    make, dims, kind, subsets = FOLDERS[name]
    make(realdata, tmp_path / f"my {name}")
    monkeypatch.chdir(tmp_path)
    name = f"my-{name}"
    assert main(["init", name.replace("-", " "), "--yes"]) == 0
    written = (tmp_path / f"{name}.yaml").read_bytes()
    config = yaml.safe_load(written)
    assert (config["spatial_dims"], config["labels"]["kind"]) == (dims, kind)
    sheet = pd.read_csv(f"{name}.tsv", sep="\t", dtype=str)
    assert sheet["subset"].value_counts().to_dict() == subsets
    done = snakemake(tmp_path, "--cores", "1", "--configfile", f"{name}.yaml")
    assert done.returncode == 0, done.stdout
    assert (tmp_path / f"{name}.yaml").read_bytes() == written
    results = tmp_path / "results" / name
    assert "</html>" in (results / "report.html").read_text(encoding="utf-8")
    images = pd.read_csv(results / "evaluation/images.tsv", sep="\t")
    scored = images[images["status"] == "scored"]
    assert len(scored) == sum(images["subset"] == "validation") + subsets.get("test", 0) > 0
    metric = "dice" if "dice" in scored else "foreground_dice"
    assert scored[metric].mean() > 0.3, scored


def test_files_of_a_microscope_become_rows(realdata, snakemake, tmp_path, monkeypatch):
    """One for each image, with its label; the files are groups, and the workflow reads them."""
    microscope(realdata, tmp_path / "plates")
    monkeypatch.chdir(tmp_path)
    assert main(["init", "plates", "--yes"]) == 0
    sheet = pd.read_csv("plates.tsv", sep="\t", dtype=str)
    named = [(file, number) for file in (0, 1) for number in range(1, 5)]
    assert sheet["image"].tolist() == [f"plate{file}.lif#{number}" for file, number in named]
    assert sheet["label"].tolist() == [f"plate{file}-{number}_masks.tif" for file, number in named]
    assert sheet["group"].tolist() == ["plate0"] * 4 + ["plate1"] * 4
    done = snakemake(tmp_path, "check", "--cores", "1", "--configfile", "plates.yaml")
    assert done.returncode == 0, done.stdout
