"""A run that is killed while it trains, and run again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
from slurm_training import training_processes

from snakeseg.cli import main
from snakeseg.monitor import jobs

pytestmark = pytest.mark.slow
MODEL = "results/small/models/plain/fold-0/model.safetensors"
CHANGES = {
    "experiments": {"plain": {}},
    "train": {"steps": 400, "patch": 40, "optimiser": "adamw", "learning_rate": 0.01, "state_seconds": 0},
}


@pytest.fixture(scope="module")
def alone(snakemake, write_run, tmp_path_factory):
    """Return the folder of an undisturbed run, up to its model."""
    folder = tmp_path_factory.mktemp("alone")
    write_run(folder, CHANGES)
    done = snakemake(folder, MODEL, "--configfile", "config.yaml", "--cores", "1")
    assert done.returncode == 0, done.stdout
    return folder


@pytest.mark.parametrize("with_jobs", [True, False], ids=["with its jobs", "without its jobs"])
def test_a_killed_run_gives_the_same_bits_when_run_again(
    with_jobs, alone, tmp_path, snakemake, repository, monkeypatch, capsys
):
    """SIGKILL ends snakemake with its jobs, or snakemake alone; then its job continues as an orphan or dies."""
    folder = shutil.copytree(alone, tmp_path / "run")
    monkeypatch.chdir(folder)
    model = (folder / MODEL).parent
    shutil.rmtree(model)
    command = [sys.executable, "-m", "snakemake", "--snakefile", repository / "Snakefile", "--configfile",
               "config.yaml", "--cores", "1"]  # fmt: skip
    with (folder / "log").open("w") as log:
        running = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        while not list(model.glob("state/0000000[1-9]*")):
            assert running.poll() is None, (folder / "log").read_text(encoding="utf-8")
            time.sleep(0.02)
        training = training_processes(folder)
        for process in training:
            process.suspend()
        assert main(["status", "--json"]) == 0
        status = json.loads(capsys.readouterr().out)
        assert status["controller"] == f"runs (process {running.pid})"
        assert [(case["case"], case["state"]) for case in status["cases"]] == [("train/plain/fold-0", "running")]
        os.killpg(running.pid, signal.SIGKILL) if with_jobs else running.kill()
        running.wait()
    assert not (model / "model.safetensors").exists()
    monkeypatch.setattr(jobs, "MAX_LOG_AGE_S", -1)  # whether its log is fresh depends on how quick this machine is
    assert main(["status"]) == 1
    assert "; snakemake was killed\n\ninterrupted: train experiment=plain, fold=0\n" in capsys.readouterr().out
    assert snakemake(folder, "--configfile", "config.yaml", "--unlock").returncode == 0
    for process in training:
        with suppress(psutil.NoSuchProcess):
            process.resume()
    targets = [] if with_jobs else [MODEL]
    done = snakemake(folder, *targets, "--configfile", "config.yaml", "--rerun-incomplete", "--cores", "1")
    assert done.returncode == 0, done.stdout
    assert (model / "model.safetensors").read_bytes() == (alone / MODEL).read_bytes()
    assert not (model / "state").exists()
    if with_jobs:
        assert "training goes on from step" in (folder / "logs/small/train/plain/fold-0.log").read_text(
            encoding="utf-8"
        )
