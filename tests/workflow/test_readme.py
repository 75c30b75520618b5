"""The README's commands work: each is run here, or is the command that runs these tests."""

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def commands(repository) -> list[str]:
    text = (repository / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


def test_the_commands_are_those_tested_here(repository):
    """A new command in the README needs a test here."""
    assert commands(repository) == [
        "make demo",
        "make test",
        ". .venv/bin/activate",
        "snakemake --cores all --configfile my.yaml",
        "snakeseg predict results/my-cells/models/default IMAGES... -o FOLDER",
        "snakemake --workflow-profile profiles/slurm --configfile my.yaml",
    ]


def test_make_knows_both_commands(repository):
    volumes = "snakemake --cores all --configfile config/examples/demo-3d.yaml"
    for target, command in {"demo": "snakemake --cores all", "demo-3d": volumes, "test": "pytest"}.items():
        done = subprocess.run(["make", "--dry-run", target], cwd=repository, capture_output=True, text=True, check=True)
        assert command in done.stdout


def test_make_demo(repository, tmp_path):
    """A clean copy; the environment at hand stands in for the one that `make setup` would install."""
    subprocess.run(["git", "clone", "--quiet", repository, tmp_path / "clone"], check=True)
    clone = tmp_path / "clone"
    here = Path(sys.prefix)
    (clone / ".venv").mkdir()
    (clone / ".venv" / "pyvenv.cfg").write_bytes((here / "pyvenv.cfg").read_bytes())
    for name in ("bin", "lib"):
        (clone / ".venv" / name).symlink_to(here / name)
    (clone / ".venv" / "ready").touch()
    # The make that runs these tests would have this one announce its folders.
    plain = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    make_demo = partial(subprocess.run, ["make", "demo"], cwd=clone, env=plain, capture_output=True, text=True)
    done = make_demo(check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"The report: {clone}/results/demo/report.html"
    assert (clone / "results" / "demo" / "report.html").is_file()
    again = make_demo(check=False)
    assert "Nothing to be done" in again.stdout + again.stderr
