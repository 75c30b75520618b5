"""A config and a model of version 0.1.0 give the same results as in that version.

That version made the fixtures: the model by a run of 300 steps on simulated cells, `label.tif` by `snakeseg predict`,
and `jobs.tsv` by a dry run.
"""

import re
import shutil
from pathlib import Path

import pytest

from snakeseg.cli import main

FIXTURE = Path(__file__).parents[1] / "fixtures" / "version_0.1.0"


def test_an_earlier_config_plans_the_same_jobs(snakemake, tmp_path):
    """Except that statistics of a data set are those of each fold, and so are the images normalised by them."""
    for name in ("config.yaml", "samples.tsv"):
        shutil.copy(FIXTURE / name, tmp_path)
    done = snakemake(tmp_path, "--configfile", "config.yaml", "--dry-run", "--workflow-profile", "none")
    assert done.returncode == 0, done.stdout
    blocks = re.findall(r"^(?:local)?rule (\w+):\n((?: .*\n)+)", done.stdout, re.MULTILINE)
    outputs = [re.search(r"^    output: (.*)$", text, re.MULTILINE) for _, text in blocks]
    jobs = sorted(f"{rule}\t{output[1] if output else ''}" for (rule, _), output in zip(blocks, outputs, strict=True))
    expected = []
    for job in (FIXTURE / "jobs.tsv").read_text(encoding="utf-8").splitlines():
        folder, name = job.rsplit("/", 1) if "/" in job else ("", job)
        if job.startswith("statistics"):
            expected += [f"{folder}/statistics/fold-{fold}.json" for fold in range(2)]
        elif job.startswith(("prepare", "augment", "weigh")):
            expected += [f"{folder}/fold-{fold}/{name}" for fold in range(2)]
        else:
            expected.append(job)
    assert jobs == sorted(expected)


@pytest.mark.parametrize("folder", ["model", "experiment"])
def test_an_earlier_model_predicts_the_same_bytes(folder, tmp_path):
    """The model is given by its folder, or as the only fold of an experiment."""
    model = tmp_path / folder if folder == "model" else tmp_path / folder / "fold-0"
    shutil.copytree(FIXTURE / "model", model)
    image, output = FIXTURE / "image.tif", tmp_path / "labels"
    assert main(["predict", str(tmp_path / folder), str(image), "-o", str(output), "--gpus", "0"]) == 0
    assert (output / "image.tif").read_bytes() == (FIXTURE / "label.tif").read_bytes()
