"""What all tests share: one compute thread a process, the folder of real data, a small run's config."""

import os
import shutil
import subprocess
import sys

# Two test processes on two cores: one thread each, or they fight.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest
import torch
from browsing import DESKTOP

REPOSITORY = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]  # fmt: skip
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


@pytest.fixture(scope="session")
def browser():
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None and not os.environ.get("CI"):
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    from playwright.sync_api import sync_playwright

    assert path, f"none of {', '.join(BROWSERS)} is installed"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_offline(browser):
    """Open a page; what goes wrong or out into the network is gathered, and must be nothing in the end."""
    troubles, contexts = [], []

    def open_in(path: Path, viewport=DESKTOP, scheme="light"):
        context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or troubles.append(request.url))
        page.on("console", lambda message: message.type in ("error", "warning") and troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-charts=drawn]")
        return page

    yield open_in
    for context in contexts:
        context.close()
    assert troubles == []
