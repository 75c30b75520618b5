"""`snakeseg init` on folders of real images, then the workflow with the written config, up to the report.

The folders hold a few small crops, so that the proposed training is short.
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


def evenly_spaced_files(folder, count: int) -> list:
    """Return `count` files of a folder, evenly spaced."""
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


def write_isbi(realdata, folder):
    for part, kind, count in (("train", "images", 6), ("train", "labels", 6), ("test", "images", 1)):
        for path in evenly_spaced_files(realdata / "isbi2012" / part / kind, count):
            save(folder / part / kind / path.name, np.asarray(Image.open(path))[:SIDE, :SIDE])


def write_nuclei(realdata, folder, image="images/{}.tif", label="labels/{}.tif"):
    for path in evenly_spaced_files(realdata / "dsb2018/images", 8):
        crop = slice(20, 20 + SIDE), slice(20, 20 + SIDE)
        save(folder / image.format(path.stem), tifffile.imread(path)[crop])
        save(folder / label.format(path.stem), tifffile.imread(realdata / "dsb2018/labels" / path.name)[crop])


def write_cellpose(realdata, folder):
    """Write images and labels side by side in `train` and `test`, and a file that Cellpose leaves beside them."""
    write_nuclei(realdata, folder / "train", "{}_img.png", "{}_masks.png")
    for path in sorted((folder / "train").iterdir())[:4]:
        (folder / "test").mkdir(exist_ok=True)
        path.rename(folder / "test" / path.name)
    save(folder / "train/x_flows.tif", np.zeros((9, 9), np.float32))


def write_volumes(realdata, folder, image="images/{}.nii.gz", label="labels/{}.nii.gz", count=5):
    for path in evenly_spaced_files(realdata / "hippocampus/images", count):
        for kind, name in (("images", image), ("labels", label)):
            volume = nibabel.load(realdata / "hippocampus" / kind / path.name)
            name = name.format(path.name.split(".")[0])
            save(folder / name, np.asarray(volume.dataobj)[8:32, 8:40, 8:32], volume)


def write_nnunet(realdata, folder):
    write_volumes(realdata, folder, "imagesTr/{}_0000.nii.gz", "labelsTr/{}.nii.gz")
    path = sorted((folder / "imagesTr").iterdir())[0]
    (folder / "imagesTs").mkdir()
    path.rename(folder / "imagesTs" / path.name)
    (folder / "labelsTr" / path.name.replace("_0000", "")).rename(folder / "imagesTs/../gone")
    (folder / "gone").unlink()
    description = {"labels": {"background": 0, "anterior": 1, "posterior": 2}, "channel_names": {"0": "MRI"}}
    (folder / "dataset.json").write_text(
        json.dumps({**description, "file_ending": ".nii.gz", "numTraining": 4}), encoding="utf-8"
    )


def write_microscope(realdata, folder):
    """Write two microscope files of four images each, and a label for every image."""
    write_nuclei(realdata, folder)
    crops = [tifffile.imread(path)[None, None] for path in sorted((folder / "images").iterdir())]
    for number, file_crops in enumerate((crops[:4], crops[4:])):
        write_lif(folder / f"plate{number}.lif", *file_crops)
    for index, path in enumerate(sorted((folder / "labels").iterdir())):
        path.rename(folder / f"plate{index // 4}-{index % 4 + 1}_masks.tif")
    shutil.rmtree(folder / "images")


# The function that writes a folder, and what `init` must infer: dimensions, kind of labels, rows per subset.
FOLDERS = {
    "isbi": (write_isbi, 2, "binary", {"train": 6, "predict": 1}),
    "nuclei": (write_nuclei, 2, "instance", {"train": 8}),
    "hippocampus": (write_volumes, 3, "semantic", {"train": 5}),
    "cellpose": (write_cellpose, 2, "instance", {"train": 6, "test": 2}),
    "nnunet": (write_nnunet, 3, "semantic", {"train": 4, "predict": 1}),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_init_and_the_workflow_turn_a_folder_into_a_report(name, realdata, snakemake, tmp_path, monkeypatch):
    write_folder, dims, kind, subsets = FOLDERS[name]
    write_folder(realdata, tmp_path / f"my {name}")
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


def test_init_writes_a_row_for_each_image_of_a_microscope_file(realdata, snakemake, tmp_path, monkeypatch):
    """Every row has the label of its image; the files are groups, and the workflow reads them."""
    write_microscope(realdata, tmp_path / "plates")
    monkeypatch.chdir(tmp_path)
    assert main(["init", "plates", "--yes"]) == 0
    sheet = pd.read_csv("plates.tsv", sep="\t", dtype=str)
    numbered = [(file, number) for file in (0, 1) for number in range(1, 5)]
    assert sheet["image"].tolist() == [f"plate{file}.lif#{number}" for file, number in numbered]
    assert sheet["label"].tolist() == [f"plate{file}-{number}_masks.tif" for file, number in numbered]
    assert sheet["group"].tolist() == ["plate0"] * 4 + ["plate1"] * 4
    done = snakemake(tmp_path, "check", "--cores", "1", "--configfile", "plates.yaml")
    assert done.returncode == 0, done.stdout
