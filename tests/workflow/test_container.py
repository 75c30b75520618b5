"""Jobs in a container, with a stand-in for Apptainer that records its arguments and runs the command."""

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

STAND_IN = """#!/bin/sh
[ "$1" = --version ] && echo apptainer version 1.4.0 && exit
echo "$@" > called
while [ "$1" != snakeseg.sif ]; do shift; done
shift
exec "$@"
"""


def test_jobs_run_in_the_image(snakemake, write_run, tmp_path, monkeypatch):
    write_run(tmp_path)
    program = tmp_path / "bin" / "apptainer"
    program.parent.mkdir()
    program.write_text(STAND_IN, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    arguments = ["results/small/simulated", "--configfile", "config.yaml", "--cores", "1"]
    done = snakemake(tmp_path, *arguments, "--sdm", "apptainer", "--apptainer-args=--nv")
    assert done.returncode == 0, done.stdout
    call = Path(tmp_path, "called").read_text(encoding="utf-8")
    assert "--nv" in call.split()
    assert " snakeseg.sif bash -c " in call
    assert "python -m snakeseg simulate" in call
    assert len(list((tmp_path / "results/small/simulated/images").iterdir())) == 9
