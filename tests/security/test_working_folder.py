"""No process that the workflow or a command starts imports modules from the working folder, where others may write."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import tifffile

from snakeseg.models.checkpoint import save_model
from snakeseg.models.description import Description
from snakeseg.settings import ContextSettings, Labels, Predict, Prepare

pytestmark = pytest.mark.slow
PROGRAMS = Path(sysconfig.get_path("scripts"))
# Modules that are imported early: of the standard library, of other packages, and of this one.
PLANTED = ("json.py", "pickle.py", "signal.py", "numpy/__init__.py", "torch/__init__.py", "yaml.py", "snakemake.py",
           "snakeseg/__init__.py", "snakeseg/__main__.py", "multiprocessing/__init__.py")  # fmt: skip
SPAWNING_PROGRAM = """
import multiprocessing
import sys
from snakeseg.cli import main

if __name__ == "__main__":
    main(["sheet", "nothing", "--output", sys.argv[1]])
    process = multiprocessing.get_context("spawn").Process(target=print)
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""


@pytest.fixture
def work(tmp_path):
    """Return a working folder with planted modules, and check that none of them runs."""
    folder = tmp_path / "work"
    for name in PLANTED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"open({str(tmp_path / 'canary')!r}, 'a').write({name!r})\n", encoding="utf-8")
    yield folder
    canary = tmp_path / "canary"
    assert not canary.exists(), canary.read_text(encoding="utf-8")


def run(folder: Path, *command, **environment) -> str:
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env={**os.environ, **environment}, check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("entries", ["", ":", ".:", "here::"], ids=["none", "empty", "relative", "several"])
def test_jobs_of_the_workflow_import_nothing_from_the_working_folder(entries, work, write_run, repository, tmp_path):
    """This holds for any PYTHONPATH. Snakemake itself starts in another folder."""
    write_run(work)
    (tmp_path / "elsewhere").mkdir()
    run(
        tmp_path / "elsewhere", PROGRAMS / "snakemake", "--snakefile", repository / "Snakefile", "--directory", work,
        "--configfile", work / "config.yaml", "--cores", "1", "results/small/simulated", PYTHONPATH=entries,
    )  # fmt: skip
    assert (work / "results/small/simulated/images").is_dir()


def test_the_job_of_the_doctor_imports_nothing_from_the_working_folder(work, repository, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    run(
        tmp_path / "elsewhere", PROGRAMS / "snakemake", "--snakefile", repository / "workflow/probe.smk",
        "--directory", work, "--cores", "1", PYTHONPATH=":",
    )  # fmt: skip
    assert (work / ".snakemake/doctor/probe.json").is_file()


def test_the_measurement_of_tiles_imports_nothing_from_the_working_folder(work, tmp_path):
    description = Description(
        2, 1, Labels(), ContextSettings(width=1, dilations=[1]), Prepare("none"), Predict(), None, [1.0, 1.0]
    )
    save_model(tmp_path / "model", description.make_network(), description, {})
    tifffile.imwrite(tmp_path / "image.tif", np.zeros((700, 700), np.uint8))
    output = run(
        work, PROGRAMS / "snakeseg", "plan", tmp_path / "model", tmp_path / "image.tif", "--skip-golden",
        XDG_CACHE_HOME=str(tmp_path / "cache"),
    )  # fmt: skip
    assert "tiles of" in output
    assert list((tmp_path / "cache").rglob("*.json"))


def test_spawned_processes_import_nothing_from_the_working_folder(work, tmp_path):
    """A program that is started by its path spawns them."""
    (tmp_path / "program.py").write_text(SPAWNING_PROGRAM, encoding="utf-8")
    run(work, sys.executable, tmp_path / "program.py", tmp_path / "sheet.tsv")
