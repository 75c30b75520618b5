"""Every command of the documentation runs as it is typed: here, after `make demo`, or in the named test."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from pages import commands

pytestmark = pytest.mark.slow

# Commands that run here, in this order, in a clean copy of the repository.
TYPED_COMMANDS = [
    "make demo",
    ". .venv/bin/activate",
    "snakemake --cores all",
    "snakemake --dry-run",
    "snakeseg status",
    "snakeseg status my-cells",
    "snakeseg predict results/demo/models/default results/demo/simulated/images/cells-20.tif -o labelled",
    "snakeseg predict results/my-cells/models/default IMAGES... -o FOLDER",
    "snakemake --cores all --configfile my.yaml",
    "snakemake --cores all --configfile my.yaml --dry-run",
    "snakemake check --cores all --configfile my.yaml",
    "snakemake data_report --cores all --configfile my.yaml",
    "snakemake predict --cores all --configfile my.yaml --batch predict=1/10",
    "snakemake results/RUN/predictions/EXPERIMENT/predict-0003 --cores all --configfile my.yaml",
    "snakemake --cores all --configfile my.yaml --until weigh",
    "snakemake --cores all results/demo/models/default/fold-0/learning-rate.png",
    "snakemake predict --cores all --config model=results/demo/models/default images=FOLDER",
    "snakeseg compare --images both.tsv --output compared",
    "snakeseg convert results/my-cells/predictions/default/predict-0000/plate1.tif --output plate1.geojson",
    "snakeseg convert RoiSet.zip --like plate1.tif --output labels/plate1.tif",
    "snakeseg convert stage1_train/plate1/masks --like stage1_train/plate1/images/plate1.png"
    " --output labels/plate1.png",
    'for folder in stage1_train/*/; do name=$(basename "$folder"); snakeseg convert "$folder/masks"'
    ' --like "$folder/images/$name.png" --output "labels/$name.png"; done',
    "snakeseg export results/demo/models/default/fold-0 --format bioimageio -o cells.zip",
    "snakeseg predict cells.zip IMAGES... -o FOLDER",
    "snakemake export --cores all --configfile my.yaml",
    "snakemake --workflow-profile profiles/slurm --dry-run",
    "snakeseg init my-cells",
    'eval "$(snakeseg --completion bash)"',
]
# The other commands, and the test of each.
TESTED_ELSEWHERE = {
    "make test": "workflow/test_commands.py::test_every_command_has_a_test",  # it runs this test
    "git clone URL snakeseg && cd snakeseg": "workflow/test_commands.py::test_commands_run_as_typed",
    # The environment that it installs runs all tests.
    "make setup": "workflow/test_commands.py::test_make_targets_run_their_commands",
    "pip install onnx onnxruntime bioimageio.core 'pydantic<2.14'": (
        "test_environment.py::test_every_dependency_is_pinned"
    ),
    "python -m monai.bundle run --config_file configs/inference.json --bundle_root . --images \"['a.png', 'b.png']\"": (
        "models/test_export.py::test_monai_loads_the_bundle_and_runs_it"
    ),
    "snakeseg doctor --profile profiles/slurm": (
        "monitor/test_doctor.py::test_profiles_of_the_repository_have_no_problem"
    ),
    "snakeseg doctor --profile profiles/slurm --submit": (
        "slurm/test_doctor_submit.py::test_doctor_reports_the_result_of_the_test_job"
    ),
    **dict.fromkeys(
        (
            "snakemake --workflow-profile profiles/slurm",
            "snakemake --workflow-profile profiles/slurm --configfile my.yaml",
        ),
        "slurm/test_same_bytes.py::test_results_are_byte_identical",
    ),
    # These download gigabytes; the tests compare the versions and digests of the files.
    **dict.fromkeys(
        (
            "python3.11 -m venv locked && . locked/bin/activate",
            "pip install --no-deps --no-build-isolation --require-hashes --requirement requirements.lock",
            "pip install --no-deps --require-hashes --requirement torch.lock",
            "pip install --no-deps --no-build-isolation --editable .",
        ),
        "test_environment.py::test_locks_have_the_versions_of_the_constraints",
    ),
    # Without a container engine, the tests check the definitions, and run jobs with a stand-in.
    **dict.fromkeys(
        (
            "apptainer build snakeseg.sif apptainer.def",
            "apptainer run --nv snakeseg.sif --cores all --configfile my.yaml",
            'docker run --rm --network none --user "$(id -u):$(id -g)" --gpus all --volume "$PWD:/data" snakeseg'
            " --cores all --configfile my.yaml",
            "snakemake --workflow-profile profiles/slurm --sdm apptainer --apptainer-args=--nv --configfile my.yaml",
        ),
        "workflow/test_container.py::test_jobs_run_in_the_image",
    ),
}
# Commands of a site.
SITE_COMMANDS = {'sinfo -o "%P %l %G %f"', "sacct -n | head -1", "tmux"}
# Replacements of what users fill in.
PLACEHOLDERS = {
    "IMAGES...": "results/demo/simulated/images/cells-20.tif results/demo/simulated/images/cells-21.tif",
    "images=FOLDER": "images=results/demo/simulated/images",
    "-o FOLDER": "-o out",
    "results/RUN/predictions/EXPERIMENT/predict-0003": "results/demo/predictions/default/predict-0000",
    "results/my-cells/predictions/default/predict-0000/plate1.tif": "plate1.tif",
    "results/my-cells": "results/demo",
    "status my-cells": "status demo",
    "predict=1/10": "predict=1/1",  # the demo has one batch
}
# Commands that write the input files of the typed commands.
PREPARATION = """
cp config/config.yaml my.yaml
python -c "
import numpy, tifffile
tifffile.imwrite('plate1.tif', numpy.diag([1, 2]).astype('uint16').repeat(9, 0).repeat(9, 1))"
snakeseg convert plate1.tif --output RoiSet.zip
{ cat results/demo/evaluation/images.tsv; sed '1d; s/^default/other/' results/demo/evaluation/images.tsv; } > both.tsv
cp -r results/demo/simulated my-cells
mkdir -p stage1_train/plate1/images stage1_train/plate1/masks
python -c "from PIL import Image; Image.new('L', (64, 48)).save('stage1_train/plate1/images/plate1.png')"
python -c "from PIL import Image; Image.new('L', (64, 48), 255).save('stage1_train/plate1/masks/0.png')"
"""
# Files that the typed commands must write.
WRITTEN_FILES = [
    "labelled/cells-20.tif", "out/cells-21.tif", "plate1.geojson", "labels/plate1.tif", "labels/plate1.png",
    "cells.zip", "my-cells.yaml",
    "results/demo/data-report.html", "results/demo/models/default/fold-0/learning-rate.png", "compared/comparison.tsv",
]  # fmt: skip


def test_every_command_has_a_test(repository):
    """A new command on a page needs a test."""
    assert set(commands(repository)) == {*TYPED_COMMANDS, *TESTED_ELSEWHERE, *SITE_COMMANDS}
    for named_test in TESTED_ELSEWHERE.values():
        path, _, test = named_test.partition("::")
        assert f"def {test}(" in (repository / "tests" / path).read_text(encoding="utf-8"), named_test


def test_make_targets_run_their_commands(repository):
    volumes = "snakemake --cores all --configfile config/examples/demo-3d.yaml"
    commands_of_targets = {"demo": "snakemake --cores all", "demo-3d": volumes, "test": "pytest", "setup": ""}
    for target, command in commands_of_targets.items():
        done = subprocess.run(["make", "--dry-run", target], cwd=repository, capture_output=True, text=True, check=True)
        assert command in done.stdout


def test_commands_run_as_typed(repository, tmp_path):
    """The commands run in a clean copy, with the current environment in place of the one that `make setup` installs.

    The demo is trained for a tenth of its steps, on smaller patches, because its quality is not tested here.
    """
    subprocess.run(["git", "clone", "--quiet", repository, tmp_path / "clone"], check=True)
    clone = tmp_path / "clone"
    environment = Path(sys.prefix)
    (clone / ".venv").mkdir()
    (clone / ".venv" / "pyvenv.cfg").write_bytes((environment / "pyvenv.cfg").read_bytes())
    for name in ("bin", "lib"):
        (clone / ".venv" / name).symlink_to(environment / name)
    (clone / ".venv" / "ready").touch()
    config = clone / "config" / "config.yaml"
    text = config.read_text(encoding="utf-8")
    for old, new in (("steps: 400", "steps: 40"), ("patch: 196", "patch: 100")):
        assert old in text
        text = text.replace(old, new)
    config.write_text(text, encoding="utf-8")
    # Variables of the make that runs these tests would change the output of this one.
    variables = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    run = partial(subprocess.run, cwd=clone, env=variables, capture_output=True, text=True, check=False)
    done = run(["make", "demo"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"The report: {clone}/results/demo/report.html"
    assert (clone / "results" / "demo" / "report.html").is_file()
    again = run(["make", "demo"])
    assert "Nothing to be done" in again.stdout + again.stderr
    typed = "\n".join(TYPED_COMMANDS[1:])
    for old, replacement in PLACEHOLDERS.items():
        assert old in typed
        typed = typed.replace(old, replacement)
    done = run(
        ["bash", "-c", f"set -eux\nexport PATH={environment}/bin:$PATH\n{PREPARATION}\n{typed}\ncomplete -p snakeseg"]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert [name for name in WRITTEN_FILES if not (clone / name).is_file()] == []
    assert list((clone / "results").rglob("*.zip"))
