"""Volume files in the workflow: bad files, one file per channel, and several images in one file."""

import os
import re

import nibabel
import numpy as np
import pytest
import tifffile
import yaml
from microscope_files import write_lif
from nifti_files import save_nifti, save_right_of_bright

from snakeseg.cli import main

pytestmark = pytest.mark.slow

AFFINE = np.diag([1.0, 1, 2, 1])
SHAPE = (16, 17, 18)


def volume(folder, name, affine=AFFINE, shape=SHAPE, seed=0):
    rng = np.random.default_rng([seed, *name.encode()])
    return save_nifti(folder / name, rng.integers(0, 2, shape).astype(np.uint8), affine)


def spoil(path, **fields):
    header = nibabel.Nifti1Header(path.read_bytes()[:348])
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.binaryblock + path.read_bytes()[348:])


def test_all_bad_volumes_are_reported_at_once(tmp_path, snakemake, write_run):
    """Eleven rows with eleven different faults are reported by one run."""
    rows = [["sample", "image", "label", "subset"]]
    for i in range(11):
        volume(tmp_path, f"i{i}.nii", seed=i)
        volume(tmp_path, f"l{i}.nii", seed=i)
        rows.append([f"s{i}", f"i{i}.nii", f"l{i}.nii", "train"])
    paths = [tmp_path / f"i{i}.nii" for i in range(11)]
    paths[0].write_bytes(paths[0].read_bytes()[:-1])
    paths[1].write_bytes(paths[1].read_bytes() + b"trailing")
    spoil(paths[2], dim=[3, 16, 18, 18, 1, 1, 1, 1])
    spoil(paths[3], pixdim=[1, 1, 0, 2, 0, 0, 0, 0])
    spoil(paths[4], pixdim=[1, 1, -1, 2, 0, 0, 0, 0])
    spoil(paths[5], srow_x=[np.nan] * 4)
    spoil(paths[6], sform_code=0, qform_code=0)
    spoil(paths[7], dim=[3, 32767, 32767, 32767, 1, 1, 1, 1])
    volume(tmp_path, "l8.nii", AFFINE + np.eye(4, k=3))
    volume(tmp_path, "l9.nii", shape=(16, 17, 19))
    rows[11][1] = "i10.nii;i9.nii;i11.nii"
    write_run(tmp_path, {"simulate": None, "data": None, "spatial_dims": 3}, rows)
    done = snakemake(tmp_path, "--configfile", "config.yaml", "--cores", "1")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    for name, problem in (
        ("i0.nii", "5247 bytes; expected 5248 for 16x17x18"),
        ("i1.nii", "5256 bytes; expected 5248 for 16x17x18"),
        ("i2.nii", "5248 bytes; expected 5536 for 16x18x18"),
        ("i3.nii", "pixels of 1 x 0 x 2; expected positive sizes"),
        ("i4.nii", "pixels of 1 x -1 x 2; expected positive sizes"),
        ("i5.nii", "the affine nan nan nan nan / 0 1 0 0 / 0 0 2 0; expected finite numbers"),
        ("i6.nii", "neither sform nor qform (their codes are 0); expected one"),
        ("i7.nii", "5248 bytes; expected 35181150962015 for 32767x32767x32767"),
        ("l8.nii", "pixels up to 1 mm away from those of i8.nii; expected the same position"),
        ("l9.nii", "shape (16, 17, 19); expected (16, 17, 18), the shape of i9.nii"),
        ("i11.nii", "no such file"),
    ):
        lines = [line for line in done.stdout.splitlines() if f"error: {name}: found {problem}" in line]
        assert lines, (name, done.stdout)
        assert all(line.count("; ") >= 2 for line in lines)
    assert not (tmp_path / "results/small/check.tsv").exists()
    assert not (tmp_path / "results/small/prepared").exists()


def test_channels_can_be_separate_files(tmp_path, snakemake):
    """Images with a file per channel are predicted again if any file changes; labels have the first one's format."""
    save_right_of_bright(tmp_path / "model", channels=2)
    rows = ["sample\timage\tsubset"]
    for name in "ab":
        for channel in (1, 2):
            volume(tmp_path, f"{name}{channel}.nii")
        rows.append(f"{name}\t{name}1.nii;{name}2.nii\tpredict")
    (tmp_path / "samples.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    config = {"name": "run", "model": "model", "sheet": "samples.tsv", "spatial_dims": 3}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    arguments = ["predict", "data_report", "--configfile", "config.yaml", "--cores", "1"]
    done = snakemake(tmp_path, *arguments)
    assert done.returncode == 0, done.stdout
    for name in "ab":
        image = np.asarray(nibabel.load(tmp_path / f"{name}1.nii").dataobj)
        written = nibabel.load(tmp_path / f"results/run/predictions/model/predict-0000/{name}.nii")
        np.testing.assert_array_equal(np.asarray(written.dataobj)[1:], image[:-1])
        np.testing.assert_array_equal(written.affine, AFFINE)
    assert "\t2\t" in (tmp_path / "results/run/data.tsv").read_text(encoding="utf-8")
    assert "Nothing to be done" in snakemake(tmp_path, *arguments).stdout
    os.utime(tmp_path / "b2.nii")
    again = snakemake(tmp_path, *arguments, "--dry-run").stdout
    assert set(re.findall(r"^(?:local)?rule (\w+):", again, re.MULTILINE)) >= {"inspect", "infer", "instances"}


def test_images_in_one_file_are_predicted_separately(tmp_path, snakemake):
    """The sheet names each image by its number, and all are predicted again if the file changes."""
    save_right_of_bright(tmp_path / "model")
    arrays = [np.random.default_rng(n).integers(0, 2, (1, 10, 12, 14)).astype(np.uint8) for n in range(2)]
    write_lif(tmp_path / "plate.lif", *arrays)
    rows = "".join(f"p{number}\tplate.lif#{number}\tpredict\n" for number in (1, 2))
    (tmp_path / "my samples.tsv").write_text(f"sample\timage\tsubset\n{rows}", encoding="utf-8")
    config = {"name": "run", "model": "model", "sheet": "my samples.tsv", "spatial_dims": 3}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    arguments = ["predict", "data_report", "--configfile", "config.yaml", "--cores", "1"]
    done = snakemake(tmp_path, *arguments)
    assert done.returncode == 0, done.stdout
    for number, array in enumerate(arrays, 1):
        written = tifffile.imread(tmp_path / f"results/run/predictions/model/predict-0000/p{number}.ome.tif")
        np.testing.assert_array_equal(written[1:], array[0, :-1])  # the first axis of a stack is z
    assert "Nothing to be done" in snakemake(tmp_path, *arguments).stdout
    # A job requests the memory of one image, estimated by its share of the file.
    os.truncate(tmp_path / "plate.lif", 2 * 10**9)
    again = snakemake(tmp_path, *arguments, "--dry-run").stdout
    assert set(re.findall(r"^(?:local)?rule (\w+):", again, re.MULTILINE)) >= {"inspect", "infer", "instances"}
    assert re.search(r"rule instances:.*?mem_mb=(\d+)", again, re.DOTALL)[1] == str(2000 + 80 * 1000)


def test_files_of_a_microscope_need_a_sheet(tmp_path, snakemake, monkeypatch):
    """`snakeseg sheet` lists the images in a microscope's file, which the workflow cannot."""
    monkeypatch.chdir(tmp_path)
    save_right_of_bright(tmp_path / "model")
    write_lif(tmp_path / "plate.lif", *[np.zeros((1, 2, 8, 9), np.uint8)] * 11)
    refused = snakemake(tmp_path, "predict", "--dry-run", "--config", "model=model", "images=.")
    assert refused.returncode != 0
    message = "plate.lif, which may hold several images; expected files that hold one image; run snakeseg sheet ."
    assert message in refused.stdout
    assert main(["sheet", ".", "--output", "samples.tsv"]) == 0
    lines = (tmp_path / "samples.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[1:] == [f"plate-{n}\tplate.lif#{n}\tpredict" for n in range(1, 12)]
    sheet = ["--config", "model=model", "sheet=samples.tsv", "spatial_dims=3"]
    assert snakemake(tmp_path, "predict", "--dry-run", *sheet).returncode == 0
