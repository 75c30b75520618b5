"""A running Slurm, and runs prepared for it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from slurm_cluster import missing_daemons, slurm, wait_until
from slurm_training import CHANGES, MODEL, SECONDS, WEIGHTS, Training


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.slurm)


@pytest.fixture(scope="session")
def cluster():
    if missing_daemons():
        reason = f"no {', '.join(missing_daemons())}: apt-get install slurm-wlm munge"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with slurm() as running:
        yield running


@pytest.fixture
def submit(cluster, repository):
    """Start snakemake in a folder with a Slurm profile; after the test, end it and its jobs."""
    with submitting(cluster, repository) as start:
        yield start


@pytest.fixture(scope="session")
def demo_through_slurm(cluster, repository, write_demo, tmp_path_factory) -> Path:
    """Run the demo through Slurm; return its folder."""
    folder = write_demo(tmp_path_factory.mktemp("slurm"))
    with submitting(cluster, repository) as start:
        assert start(folder).wait(2 * SECONDS) == 0, (folder / "snakemake.log").read_text(encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def local_demo(snakemake, write_demo, tmp_path_factory) -> Path:
    """Run the demo on this machine; return its folder."""
    folder = write_demo(tmp_path_factory.mktemp("demo"))
    done = snakemake(folder, "--configfile", "config.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="session")
def write_demo(repository):
    """Write the demo's config and sheet into a folder, with a quarter of the steps and with one thread."""

    def write(folder: Path) -> Path:
        (folder / "config").mkdir()
        shutil.copy(repository / "config/samples.tsv", folder / "config")
        text = (repository / "config/config.yaml").read_text(encoding="utf-8").replace("steps: 400", "steps: 100")
        (folder / "config.yaml").write_text(f"{text}\nthreads: 1\n", encoding="utf-8")
        return folder

    return write


@contextmanager
def submitting(cluster, repository: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Yield a function that starts snakemake in a folder; in the end, kill the processes and cancel all jobs."""
    started = []

    def start(folder: Path, *options: str, profile: Path = repository / "profiles/slurm") -> subprocess.Popen:
        polling = repository / "tests/helpers/snakemake_polling.py"
        command = [sys.executable, polling, "--snakefile", repository / "Snakefile", "--workflow-profile", profile,
                   "--slurm-status-command", "squeue", *options, "--latency-wait", "5",
                   "--configfile", "config.yaml"]  # fmt: skip
        environment = {**cluster.environment, "PATH": f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"}
        with (folder / "snakemake.log").open("a") as log:
            started.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()
        cluster.cancel_all()


@pytest.fixture(scope="session")
def write_small(write_run, sheet_rows):
    """Write config and sheet of the small run, without images to predict, into a folder."""
    return lambda folder, changes=CHANGES: write_run(folder, changes, sheet_rows[:-1])


@pytest.fixture(scope="session")
def local(snakemake, write_small, tmp_path_factory) -> Path:
    """Run the small workflow on this machine; return its folder."""
    folder = tmp_path_factory.mktemp("local")
    write_small(folder)
    done = snakemake(folder, "--configfile", "config.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def untrained(local, tmp_path) -> Path:
    """Return a copy of the local run without its model."""
    folder = shutil.copytree(local, tmp_path / "run")
    shutil.rmtree(folder / MODEL)
    return folder


@pytest.fixture
def training(local, untrained, submit) -> Training:
    """Start a training through Slurm and suspend it, so that a fault occurs before it ends."""
    training = Training(untrained, submit(untrained, WEIGHTS), (local / WEIGHTS).read_bytes())
    wait_until(lambda: training.process.poll() is not None or list((untrained / MODEL / "state").glob("0*")), SECONDS)
    training.suspend()
    assert training.process.poll() is None, training.log_text()
    return training
