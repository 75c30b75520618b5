"""No text of a config or a sheet becomes shell code: it is refused, or it is passed to a command as one argument."""

import copy
import logging
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from planning import run_snakemake
from snakemake.logging import get_event
from snakemake_interface_logger_plugins.common import LogEvent

HOSTILE = (
    "a; touch canary & touch canary && touch canary | touch canary > canary",
    "a'; touch canary; '",
    'a"$(touch canary)`touch canary`',
    "a\\",
    "evil.sh",
    "a\ntouch canary\n",
    "bash\n",
    "a\rtouch canary",
    "{touch}",
    "{",
    "--help",
)
CONFIG = {"name": "run", "sheet": "samples.tsv", "experiments": {"one": {}, "two": {"start_from": "one"}}}
HEADER = ("sample", "image", "label", "subset", "group", "batch", "parts", "spacing")


def test_every_value_in_every_shell_command_is_quoted(repository):
    paths = [*repository.glob("workflow/**/*.smk"), *repository.glob("workflow/Snakefile"), repository / "Snakefile"]
    blocks = [block for path in paths for block in shell_blocks(path.read_text(encoding="utf-8"))]
    assert len(blocks) > 20
    for block in blocks:
        assert unquoted(block) == [], block


def test_an_unquoted_value_is_detected():
    rule = 'rule a:\n    output:\n        "b",\n    shell:\n        "c {output:q} {params.d}"\n        " {log:u}"\n'
    assert unquoted(shell_blocks(rule)[0]) == ["params.d", "log:u"]
    assert unquoted('"awk {{print}} {input:q}"') == []


def shell_blocks(text: str) -> list[str]:
    """Return the shell commands of a Snakemake file, as text."""
    blocks = []
    for match in re.finditer(r"^( *)shell:(.*(?:\n(?:\1 +.*)?)*)", text, re.MULTILINE):
        blocks.append(match[2])
    return blocks


def unquoted(block: str) -> list[str]:
    """Return the fields of a shell command that Snakemake does not quote."""
    fields = re.findall(r"\{([^{}]*)\}", block.replace("{{", "").replace("}}", ""))
    return [field for field in fields if not field.endswith(":q")]


def strings_in(schema: dict, path: tuple = ()) -> Iterator[tuple]:
    """Yield the paths of text in the config: keys, `[]` for an entry of a list, `{}` for a key of the user."""
    if "properties" in schema:
        for key, value in schema["properties"].items():
            yield from strings_in(value, (*path, key))
    if isinstance(schema.get("additionalProperties"), dict):
        yield (*path, "{}")
        yield from strings_in(schema["additionalProperties"], (*path, "one"))
    if "items" in schema:
        yield from strings_in(schema["items"], (*path, "[]"))
    for part in [*schema.get("anyOf", []), *schema.get("oneOf", [])]:
        yield from strings_in(part, path)
    for rule in schema.get("allOf", []):
        yield from strings_in(rule["then"], path)
    if "string" in schema.get("type", ()) and "enum" not in schema:
        yield path


SCHEMA = yaml.safe_load((Path(__file__).parents[2] / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
TEXT_PATHS = sorted(set(strings_in(SCHEMA)))
# Tested separately, because these files must exist.
PATHS_TO_MODELS = (("images",), ("model",))


def test_all_text_of_the_config_is_tested():
    """The paths include keys, lists, keys that users choose, and settings of a single network."""
    examples = {("data",), ("validation", "[]"), ("labels", "values", "{}"), ("network", "pretrained"),
                ("experiments", "{}"), ("experiments", "one", "start_from"), ("export", "authors", "[]")}  # fmt: skip
    assert examples < set(TEXT_PATHS)
    assert len(TEXT_PATHS) > 12


def with_text(config: dict, path: tuple, text: str) -> dict:
    """Return the config with a text at one of `TEXT_PATHS`."""
    changed = copy.deepcopy(config)
    parent = changed
    *before, last = path
    for key, after in zip(before, path[1:], strict=True):
        parent = parent.setdefault(key, [] if after == "[]" else {})
    if last == "[]":
        parent.append(text)
    elif last == "{}":
        parent[text] = {} if path[0] == "experiments" else 1
        parent.setdefault("background", 0) if path[0] == "labels" else None
    else:
        parent[last] = text
    return changed


@pytest.fixture
def calls(tmp_path, monkeypatch, repository, caplog):
    """Return a function that records the arguments of the commands of a config, or returns None if it is refused."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text('#!/bin/bash\nprintf "%s\\0" "$@" >> "$CALLS"; printf "\\1" >> "$CALLS"\n', encoding="utf-8")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in ("bash", "one", "b"):
        Path(name).write_text("touch canary\n", encoding="utf-8")

    def run(config: dict, rows: list[list[str]], *targets: str) -> list[list[str]] | None:
        Path("config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        sheet = config.get("sheet", "samples.tsv")
        if isinstance(sheet, str) and "\n" not in sheet:
            lines = ["\t".join(quote_cell(cell) for cell in row) for row in [list(HEADER), *rows]]
            Path(sheet).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        planned = plan(repository, targets, caplog)
        if planned is None:
            message = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"][-1]
            assert ": found " in message, message
            assert "Traceback" not in message
            return None
        return execute(planned, tmp_path)

    yield run
    assert not Path("canary").exists()


def quote_cell(cell: str) -> str:
    """Return a cell as a tab-separated file contains it."""
    return '"' + cell.replace('"', '""') + '"' if re.search('["\n\t\r]', cell) else cell


def plan(repository: Path, targets: tuple[str, ...], caplog) -> list[str] | None:
    """Return the shell commands of all jobs, or None if the input is refused; make the folders of their logs."""
    options = [
        "--snakefile",
        repository / "Snakefile",
        "--directory",
        ".",
        "--dry-run",
        "--printshellcmds",
        "--forceall",
    ]
    caplog.clear()
    with caplog.at_level(logging.INFO):
        code = run_snakemake([*options, "--configfile", "config.yaml", "--", *targets])
    for record in caplog.records:
        for path in getattr(record, "log", None) or []:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
    commands = [record.shellcmd for record in caplog.records if get_event(record) == LogEvent.SHELLCMD]
    return None if code else [command for command in commands if command]


def execute(commands: list[str], folder: Path) -> list[list[str]]:
    """Run commands in one shell, which takes a tenth of the time; return the arguments of every call of `python`."""
    command = "\n".join(f"(\n{command}\n)" for command in commands)
    record = folder / "calls"
    record.unlink(missing_ok=True)
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "CALLS": str(record)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, (command, done.stderr)
    return [call.split("\0")[:-1] for call in record.read_text(encoding="utf-8").split("\1")[:-1]]


def rows_with(column: str = "", text: str = "") -> list[list[str]]:
    """Return rows to train, test and predict, one of them in two parts; the first row has the text in a column."""
    subsets = ["train"] * 6 + ["test", "predict"]
    rows = [[f"a{i}", f"a{i}.tif", f"b{i}.tif", subset, "", "", "", ""] for i, subset in enumerate(subsets)]
    rows[-1][HEADER.index("parts")] = "2"
    if column:
        rows[0][HEADER.index(column)] = text
    return rows


def argument_counts(recorded: list[list[str]]) -> list[tuple[str, int]]:
    """Return the subcommand and the number of arguments of every call."""
    return sorted((call[2], len(call)) for call in recorded)


def targets_of(config: dict) -> list[str]:
    folder = f"results/{config['name']}"
    return [
        "all",
        "data_report",
        f"{folder}/export/one/fold-0.onnx.zip",
        f"{folder}/models/one/fold-0/learning-rate.png",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in TEXT_PATHS if path not in PATHS_TO_MODELS], ids=".".join)
def test_text_of_the_config_is_not_executed(path, calls):
    shapes = {tuple(argument_counts(calls(CONFIG, rows_with(), *targets_of(CONFIG))))}
    accepted = 0
    for text in HOSTILE:
        config = with_text(CONFIG, path, text)
        recorded = calls(config, rows_with(), *(["all"] if path == ("name",) else targets_of(CONFIG)))
        accepted += recorded is not None
        if recorded is not None and path not in (("experiments", "{}"), ("name",)):
            assert tuple(argument_counts(recorded)) in shapes, text
        for call in recorded or []:
            assert call[:2] == ["-m", "snakeseg"]
    if path in (("data",), ("sheet",), ("validation", "[]"), ("network", "pretrained")):
        assert accepted > 3  # otherwise quoting would not be tested


@pytest.mark.slow
@pytest.mark.parametrize("column", HEADER)
def test_text_of_the_sheet_is_not_executed(column, calls):
    expected = tuple(argument_counts(calls(CONFIG, rows_with(), "all")))
    for text in HOSTILE:
        recorded = calls(CONFIG, rows_with(column, text), "all")
        if recorded is not None and column not in ("subset", "batch", "parts"):
            assert tuple(argument_counts(recorded)) == expected, text


@pytest.mark.slow
@pytest.mark.parametrize("key", ["model", "images"])
def test_paths_of_model_and_images_are_not_executed(key, calls):
    """The model and the images exist under any name."""
    shapes = set()
    for text in ["plain", *HOSTILE]:
        config = {"model": "model", "images": "pictures", key: text}
        for folder, name in ((config["model"], "model.json"), (config["images"], "a.tif")):
            Path(folder).mkdir(exist_ok=True)
            Path(folder, name).touch()
        recorded = calls(config, [], "all")
        if recorded is not None:
            shapes.add(tuple(argument_counts(recorded)))
            assert any(text in call for call in recorded), recorded
    assert len(shapes) == 1


def test_executed_text_creates_a_canary_and_arguments_are_recorded(calls, tmp_path):
    """The other tests rely on this: text that is executed creates `canary`."""
    execute(["python -m snakeseg x; touch canary"], tmp_path)
    assert Path("canary").exists()
    Path("canary").unlink()
    assert execute(["python -m snakeseg 'a b' \"c\""], tmp_path) == [["-m", "snakeseg", "a b", "c"]]
