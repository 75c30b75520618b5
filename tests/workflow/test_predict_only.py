"""Prediction with only a model and images, and prediction of images in parts."""

import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import yaml
from cli_process import end, start

from snakeseg.models.checkpoint import save_model
from snakeseg.models.description import Description
from snakeseg.settings import Labels, Predict, Prepare, UNetSettings

pytestmark = pytest.mark.slow
CONFIG = {"name": "run", "model": "model", "sheet": "samples.tsv", "predict": {"keep_probabilities": True}}


@pytest.fixture
def folder(tmp_path):
    """Write a model of random weights and three images."""
    torch.manual_seed(0)
    network = UNetSettings(width=2, depth=2, normalisation="batch")
    description = Description(2, 1, Labels("binary"), network, Prepare(), Predict(average=False, tile=32), None)
    (tmp_path / "model").mkdir()
    save_model(tmp_path / "model", description.make_network(), description, {})
    (tmp_path / "images").mkdir()
    for index in range(3):
        image = np.random.default_rng(index).integers(0, 255, (150 + index, 90)).astype(np.uint8)
        tifffile.imwrite(tmp_path / "images" / f"cell-{index}.tif", image)
    return tmp_path


def rules(done) -> list[str]:
    """Return the jobs of a run or a dry run."""
    assert done.returncode == 0, done.stdout
    return re.findall(r"^(?:local)?rule (\w+):", done.stdout, re.MULTILINE)


def test_a_folder_of_images_and_a_model_are_enough(folder, snakemake):
    arguments = ["predict", "--cores", "2", "--config", "model=model", "images=images"]
    assert sorted(rules(snakemake(folder, *arguments))) == ["infer", "instances", "predict", "write_sheet"]
    written = sorted((folder / "results/prediction/predictions/model/predict-0000").glob("*.tif"))
    assert [path.name for path in written] == [f"cell-{index}.tif" for index in range(3)]
    assert [tifffile.imread(path).shape for path in written] == [(150 + index, 90) for index in range(3)]
    assert "Nothing to be done" in snakemake(folder, *arguments).stdout


def test_a_missing_model_or_missing_images_are_errors(folder, snakemake):
    for config, message in [
        ("model=none images=images", "no model.json in none"),
        ("model=model images=none", "no image"),
    ]:
        done = snakemake(folder, "predict", "--cores", "1", "--config", *config.split())
        assert done.returncode != 0
        assert message in done.stdout


def test_parts_give_the_same_bytes_and_only_a_lost_part_is_predicted_again(folder, snakemake):
    def run(parts):
        rows = [
            "sample\timage\tsubset\tparts",
            f"a\timages/cell-0.tif\tpredict\t{parts}",
            "b\timages/cell-1.tif\tpredict\t1",
        ]
        (folder / "samples.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        done = rules(snakemake(folder, "predict", "--cores", "2", "--configfile", "config.yaml"))
        batch = "predict-a" if parts > 1 else "predict-0000"
        labels = folder / "results/run/predictions/model" / batch / "a.tif"
        return done, labels, labels.read_bytes()

    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    whole = run(1)[2]
    done, labels, parted = run(3)
    assert done.count("infer") == 4  # three parts of one image, and the other image
    assert done.count("plan") == 1
    assert parted == whole
    stores = sorted((folder / "results/run/probabilities/predictions/model/predict-a").iterdir())
    assert [path.name for path in stores] == [f"{index}-of-3.zarr.zip" for index in range(3)]
    before = [path.read_bytes() for path in stores]
    stores[1].unlink()
    shutil.rmtree(labels.parent)
    done, _, again = run(3)
    assert sorted(done) == ["infer", "instances", "predict"]
    assert again == whole
    assert [path.read_bytes() for path in stores] == before


def test_a_killed_part_gives_the_same_bytes_when_run_again(folder, monkeypatch):
    """The job is killed three times while it writes."""
    monkeypatch.chdir(folder)
    Path("samples.tsv").write_text("sample\timage\tsubset\na\timages/cell-0.tif\tpredict\n", encoding="utf-8")
    whole, part = Path("whole.zarr.zip"), Path("part.zarr.zip")

    def begin(output):
        return start(["predict", "model", "--sheet", "samples.tsv", "--part", "1/3", "--probabilities", str(output)])

    assert end(begin(whole)) == 0
    killed = 0
    for _ in range(60):
        process = begin(part)
        while not (open_files := list(Path().glob(".*.part.zarr.zip"))) and process.exitcode is None:
            time.sleep(0.002)
        process.kill()
        code = end(process)
        if part.exists():  # the job ended before
            assert part.read_bytes() == whole.read_bytes()
            part.unlink()
            continue
        assert code < 0
        assert open_files
        killed += 1
        for path in open_files:
            path.unlink()
        if killed == 3:
            break
    assert killed == 3
    assert end(begin(part)) == 0
    assert part.read_bytes() == whole.read_bytes()
