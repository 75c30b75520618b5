"""Every case of bad input is refused with its message, within limits of time and memory, and leaves no files.

Nothing is executed: some cases try to create the file `canary`.
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

MODULE_NAMES = "planes", "volumes", "zarrs", "headers", "labels", "sheets", "configs", "models"
MODULES = [import_module(f"bad_input.{name}") for name in MODULE_NAMES]
CASES = {name: case for module in MODULES for name, case in module.CASES.items()}
# Lines of Snakemake around errors, and folders that it creates in the working folder.
OTHER_LINES = re.compile(r"WorkflowError:$|WorkflowError in file|  File \"|Using workflow specific profile|host: |\s*$")
ALLOWED = (".snakemake", "logs")


def test_more_than_a_hundred_cases_have_distinct_names():
    assert len(CASES) == sum(len(module.CASES) for module in MODULES)
    assert len(CASES) > 100


@pytest.fixture(scope="session")
def valid_models(tmp_path_factory) -> dict[str, str]:
    """The folders of valid models, by their placeholders in commands."""
    folder = tmp_path_factory.mktemp("models")
    description = Description(
        2, 1, Labels(), ContextSettings(width=1, dilations=[1]), Prepare("none"), ONCE, None, [1.0, 1.0]
    )
    save_model(folder / PLANES, description.make_network(), description, {})
    save_right_of_bright(folder / VOLUMES)
    return {name: str(folder / name) for name in (PLANES, VOLUMES)}


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with an empty working folder and a folder for temporary files."""
    for name in ("work", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("PATH", os.environ["PATH"])  # some cases change it
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_and_leaves_nothing(name, place, valid_models, repository, capfd, caplog):
    case = CASES[name]
    case.make()
    before = files_in(place)
    with limits():
        status = run([valid_models.get(word, word) for word in case.command], repository)
    logged = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    output = capfd.readouterr().err + "\n".join(logged)
    assert status == 1, output
    assert "Traceback" not in output
    if case.command[0] == "snakemake":
        message = "\n".join(line for line in output.splitlines() if not OTHER_LINES.match(line))
    else:  # libraries may have written other lines
        message = "\n".join(line.removeprefix("error: ") for line in output.splitlines() if line.startswith("error: "))
    expected = re.escape(case.message).replace(re.escape("..."), ".*")
    assert re.fullmatch(expected, message, re.DOTALL), f"\n{message}\n  instead of\n{case.message}"
    assert files_in(place) == before


def run(command: list[str], repository: Path) -> int:
    """Run a command in this process, and return its exit code."""
    if command[0] == "check":
        options = ["--sheet", "s.tsv", "--settings", command[1]]
        assert main(["inspect", *options, "--output", "logs/test-0000.json"]) == 0
        return main(["check", *options, "--inspected", "logs", "--output", "check.tsv"])
    if command[0] != "snakemake":
        return main(command)
    options = ["--snakefile", repository / "Snakefile", "--directory", ".", "--dry-run", "--configfile", command[1]]
    return run_snakemake(options)


def files_in(place: Path) -> dict[str, tuple]:
    """Return all files and links with their sizes, times and inodes."""
    files = {}
    for path in place.rglob("*"):
        status = path.lstat()
        if not (path.is_dir() and not path.is_symlink()) and path.relative_to(place / "work").parts[0] not in ALLOWED:
            files[str(path)] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return files


def test_troubleshooting_page_lists_every_message(repository):
    """The page lists all messages except those of Snakemake itself."""
    page = (repository / "docs/how-to/troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)
    quotes = [re.escape(quote).replace(re.escape("..."), ".*") for row in rows for quote in re.findall("`(.*?)`", row)]
    messages = {
        line for case in CASES.values() for line in re.split(r"\n(?=\S+: )", case.message) if ": found " in line
    }
    missing = [line for line in messages if not any(re.search(quote, line, re.DOTALL) for quote in quotes)]
    assert not missing, "\n".join(sorted(missing))
