"""The catalogue of bad input: each is refused with its message, quickly, and leaves nothing behind.

Nothing is written and nothing executed (entries try to make a file `canary`), and no more memory and time are taken
than a small input needs.
"""

import os
import re
import tempfile
from importlib import import_module
from pathlib import Path

import pytest
from bad_input.case import PLANES, VOLUMES
from limits import limits
from nifti_files import ONCE, save_right_of_bright
from planning import run_snakemake

from snakeseg.cli import main
from snakeseg.models.checkpoint import save_model
from snakeseg.models.description import Description
from snakeseg.settings import ContextSettings, Labels, Prepare

NAMES = "planes", "volumes", "zarrs", "headers", "labels", "sheets", "configs", "models"
ROOMS = [import_module(f"bad_input.{name}") for name in NAMES]
CASES = {name: case for room in ROOMS for name, case in room.CASES.items()}
# What Snakemake says around errors, and what it leaves in any folder where it runs.
AROUND = re.compile(r"WorkflowError:$|WorkflowError in file|  File \"|Using workflow specific profile|host: |\s*$")
LEFT = (".snakemake", "logs")


def test_there_are_enough_of_them():
    assert len(CASES) == sum(len(room.CASES) for room in ROOMS)
    assert len(CASES) > 100


@pytest.fixture(scope="session")
def sound(tmp_path_factory) -> dict[str, str]:
    """Models that nothing is wrong with, by the words that stand for them."""
    folder = tmp_path_factory.mktemp("sound")
    description = Description(
        2, 1, Labels(), ContextSettings(width=1, dilations=[1]), Prepare("none"), ONCE, None, [1.0, 1.0]
    )
    save_model(folder / PLANES, description.make_network(), description, {})
    save_right_of_bright(folder / VOLUMES)
    return {name: str(folder / name) for name in (PLANES, VOLUMES)}


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """An empty working folder, and a place for temporary files beside it."""
    for name in ("work", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("PATH", os.environ["PATH"])  # some change it
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name, place, sound, repository, capfd, caplog):
    case = CASES[name]
    case.make()
    before = files_in(place)
    with limits():
        status = run([sound.get(word, word) for word in case.command], repository)
    said = capfd.readouterr().err + "\n".join(each.getMessage() for each in caplog.records if each.levelname == "ERROR")
    assert status == 1, said
    assert "Traceback" not in said
    if case.command[0] == "snakemake":
        told = "\n".join(line for line in said.splitlines() if not AROUND.match(line))
    else:  # libraries may have said things before
        told = "\n".join(line.removeprefix("error: ") for line in said.splitlines() if line.startswith("error: "))
    expected = re.escape(case.told).replace(re.escape("..."), ".*")
    assert re.fullmatch(expected, told, re.DOTALL), f"\n{told}\n  instead of\n{case.told}"
    assert files_in(place) == before


def run(command: list[str], repository: Path) -> int:
    """The exit code of a command, in this process."""
    if command[0] == "check":
        inspected = ["--sheet", "s.tsv", "--settings", command[1]]
        assert main(["inspect", *inspected, "--output", "logs/test-0000.json"]) == 0
        return main(["check", *inspected, "--inspected", "logs", "--output", "check.tsv"])
    if command[0] != "snakemake":
        return main(command)
    options = ["--snakefile", repository / "Snakefile", "--directory", ".", "--dry-run", "--configfile", command[1]]
    return run_snakemake(options)


def files_in(place: Path) -> dict[str, tuple]:
    """All but empty folders, with what tells that they were written to."""
    found = {}
    for path in place.rglob("*"):
        status = path.lstat()
        if not (path.is_dir() and not path.is_symlink()) and path.relative_to(place / "work").parts[0] not in LEFT:
            found[str(path)] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def test_every_message_is_found_in_the_docs(repository):
    """By its text, on the page that says what to do; but for Snakemake's own."""
    page = (repository / "docs/how-to/troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)
    quotes = [re.escape(quote).replace(re.escape("..."), ".*") for row in rows for quote in re.findall("`(.*?)`", row)]
    told = {line for case in CASES.values() for line in re.split(r"\n(?=\S+: )", case.told) if ": found " in line}
    missing = [line for line in told if not any(re.search(quote, line, re.DOTALL) for quote in quotes)]
    assert not missing, "\n".join(sorted(missing))
