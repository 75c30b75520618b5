"""Settings and fixtures of all tests: number of threads, order of tests, real data, a small run, a browser."""

import os
import shutil
import subprocess
import sys

# One compute thread per test process, because several test processes share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Threads of processes that tests start wait asleep, and leave the cores to others.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from pathlib import Path

import pytest
import torch
import yaml
from browsing import DESKTOP
from forked_programs import forked_programs

REPOSITORY = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]  # fmt: skip
# Sufficient on a busy machine.
BROWSER_TIMEOUT_MS = 180_000
torch.set_num_threads(1)
# Files whose tests take long and share nothing, so that each test may run in another worker.
SPLIT_FILES = ("test_bad_input.py", "test_init_runs.py", "test_predict_only.py", "test_realdata.py",
         "test_shell.py")  # fmt: skip
# Folders with the longest tests, which start first; then all other files with slow tests, then the rest.
FIRST_FOLDERS = ("slurm", "training", "workflow", "realdata", "security")
# A small run of the whole workflow.
SMALL = {
    "name": "small",
    "data": "results/small/simulated",
    "simulate": {"images": 9, "size": 64, "cells": 12},
    "threads": 1,
    "augment": {"copies": 1},
    "network": {"width": 4, "depth": 2, "normalisation": "batch", "dropout": 0.2},
    "train": {"steps": 8, "patch": 40, "optimiser": "adamw", "learning_rate": 0.01},
    "instances": {"thresholds": [0.4, 0.5], "cores": [0.7], "depths": [1.0], "smallest": [0, 10]},
    "experiments": {"plain": {}, "online": {"train": {"elastic": "online"}, "predict": {"average": False}}},
}


def pytest_collection_modifyitems(items):
    """Put the files of long tests first, so that no worker is idle at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def rank(item) -> int:
        ranks = {name: index for index, name in enumerate(FIRST_FOLDERS)}
        return ranks.get(item.path.parent.name, len(FIRST_FOLDERS)) if item.path in slow else len(FIRST_FOLDERS) + 1

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Send the tests of a file, which may share a run, to one worker, and all tests of Slurm, which share a cluster."""
    from xdist.scheduler import LoadScopeScheduling

    class FileScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            path = Path(nodeid.partition("::")[0])
            return nodeid if path.name in SPLIT_FILES else "slurm" if path.parent.name == "slurm" else path.as_posix()

    return FileScheduling(config, log)


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Folder of the real data sets; if SNAKESEG_REALDATA names it, it must exist."""
    configured = os.environ.get("SNAKESEG_REALDATA")
    folder = (REPOSITORY / (configured or "../shared/data")).resolve()
    if not folder.is_dir():
        if configured:
            pytest.fail(f"SNAKESEG_REALDATA={configured} is no folder")
        pytest.skip(f"no real data in {folder}")
    return folder


@pytest.fixture(scope="session")
def programs() -> Path:
    """Folder of a `python` that runs Snakemake and the package in a tenth of the usual time."""
    with forked_programs() as folder:
        yield folder


@pytest.fixture(scope="session")
def snakemake(repository, programs):
    """Function that runs Snakemake in a working folder and returns the finished process with its output as text."""

    def run(
        folder: Path, *options: str, snakefile: str = "Snakefile", programs_first: Path = programs
    ) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PATH": f"{programs_first}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
        command = [programs / "python", "-m", "snakemake", "--snakefile", repository / snakefile, *options]
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


@pytest.fixture(scope="session")
def small_config() -> dict:
    return SMALL


@pytest.fixture(scope="session")
def sheet_rows() -> list[list[str]]:
    """Rows of a sheet with six training images, two test images and one to predict."""
    subsets = ["train"] * 6 + ["test"] * 2 + ["predict"]
    rows = [["sample", "image", "label", "subset"]]
    for index, subset in enumerate(subsets):
        label = "" if subset == "predict" else f"labels/cells-{index:02d}.tif"
        rows.append([f"cells-{index:02d}", f"images/cells-{index:02d}.tif", label, subset])
    return rows


@pytest.fixture(scope="session")
def write_run(sheet_rows):
    """Function that writes config and sheet of the small run into a folder, with changes or other rows."""

    def write(folder: Path, changes: dict | None = None, rows: list[list[str]] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join("\t".join(row) + "\n" for row in (sheet_rows if rows is None else rows))
        (folder / "samples.tsv").write_text(text, encoding="utf-8")
        (folder / "config.yaml").write_text(
            yaml.safe_dump({"sheet": "samples.tsv", **SMALL, **(changes or {})}), encoding="utf-8"
        )

    return write


@pytest.fixture(scope="session")
def small_run(snakemake, write_run):
    """Function that writes the small run into a folder, runs it, and returns the folder of its results."""

    def run(folder: Path, *options: str) -> Path:
        write_run(folder)
        done = snakemake(folder, "--configfile", "config.yaml", *options)
        assert done.returncode == 0, done.stdout
        return folder / "results" / "small"

    return run


@pytest.fixture(scope="session")
def browser():
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None and not os.environ.get("CI"):
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    from playwright.sync_api import sync_playwright

    assert path, f"none of {', '.join(BROWSERS)} is installed"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=BROWSER_TIMEOUT_MS)
        yield browser
        browser.close()


@pytest.fixture
def open_offline(browser):
    """Function that opens a page; requests to the network, warnings, errors and dialogs fail the test."""
    problems, contexts = [], []

    def open_in(path: Path, viewport=DESKTOP, scheme="light"):
        context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True)
        contexts.append(context)
        context.set_default_timeout(BROWSER_TIMEOUT_MS)
        page = context.new_page()
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or problems.append(request.url))
        page.on("console", lambda message: message.type in ("error", "warning") and problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-charts=drawn]")
        return page

    yield open_in
    for context in contexts:
        context.close()
    assert problems == []
