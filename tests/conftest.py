"""What all tests share: one compute thread a process, the folder of real data, a small run's config."""

import os
import subprocess
import sys

# Two test processes on two cores: one thread each, or they fight.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Folder of the real data sets; where SNAKESEG_REALDATA names it, it must be there."""
    named = os.environ.get("SNAKESEG_REALDATA")
    folder = (REPOSITORY / (named or "../shared/data")).resolve()
    if not folder.is_dir():
        if named:
            pytest.fail(f"SNAKESEG_REALDATA={named} is no folder")
        pytest.skip(f"no real data in {folder}")
    return folder


@pytest.fixture(scope="session")
def snakemake(repository):
    """Run snakemake on the project in a working folder; returns the finished process, output as text."""

    def run(
        folder: Path, *options: str, snakefile: str = "Snakefile", programs: Path = Path(sys.executable).parent
    ) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        command = [sys.executable, "-m", "snakemake", "--snakefile", repository / snakefile, *options]
        return subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return run
