"""Draw the picture of docs/how-to/from-python.md by running the page: `python docs/images/from_python.py`."""

import json
import re
import shutil
import tempfile
from contextlib import chdir
from io import BytesIO
from pathlib import Path

import matplotlib

matplotlib.use("agg")
from PIL import Image

from snakeseg.cli import main

ROOT = Path(__file__).resolve().parents[2]
# Where the page expects what the demo leaves; a model that is kept for tests takes the place of the demo's.
IMAGES, MODEL = "results/demo/simulated", "results/demo/models/default/fold-0"
KEPT_MODEL = ROOT / "tests/fixtures/version_0.1.0/model"
SIMULATE = {"images": 1, "size": 256, "cells": 60}
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def make_demo(folder: Path) -> None:
    """Write the first image of the demo with its labels, and a model, to the places that the demo writes to."""
    settings = json.dumps({"simulate": SIMULATE})
    assert main(["simulate", "--settings", settings, "--output", str(folder / IMAGES)]) == 0
    shutil.copytree(KEPT_MODEL, folder / MODEL)


def run_page(page: Path, folder: Path) -> dict:
    """Run the Python blocks of a page in order, in a folder; return their variables."""
    variables: dict = {}
    with chdir(folder):
        for block in CODE.findall(page.read_text(encoding="utf-8")):
            exec(compile(block, page.name, "exec"), variables)
    return variables


def draw(folder: Path) -> None:
    """Write the picture, in 128 colours, which makes a small file."""
    with tempfile.TemporaryDirectory() as scratch:
        make_demo(Path(scratch))
        figure = run_page(ROOT / "docs/how-to/from-python.md", Path(scratch))["figure"]
    drawn = BytesIO()
    figure.savefig(drawn, dpi=80)
    Image.open(drawn).convert("RGB").quantize(128).save(folder / "from-python.png", optimize=True)


if __name__ == "__main__":
    draw(Path(__file__).parent)
