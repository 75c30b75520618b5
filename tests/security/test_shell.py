"""No text of a config or a sheet becomes shell code: it is refused, or it reaches a command as one argument."""

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


def test_an_unquoted_value_is_found():
    rule = 'rule a:\n    output:\n        "b",\n    shell:\n        "c {output:q} {params.d}"\n        " {log:u}"\n'
    assert unquoted(shell_blocks(rule)[0]) == ["params.d", "log:u"]
    assert unquoted('"awk {{print}} {input:q}"') == []


def shell_blocks(text: str) -> list[str]:
    """All that stands under `shell:`, whatever follows it."""
    found = []
    for match in re.finditer(r"^( *)shell:(.*(?:\n(?:\1 +.*)?)*)", text, re.MULTILINE):
        found.append(match[2])
    return found


def unquoted(block: str) -> list[str]:
    """Fields of a shell command that Snakemake does not quote."""
    fields = re.findall(r"\{([^{}]*)\}", block.replace("{{", "").replace("}}", ""))
    return [field for field in fields if not field.endswith(":q")]


def strings_in(schema: dict, path: tuple = ()) -> Iterator[tuple]:
    """Places of the config that hold text: keys, `[]` for an entry of a list, `{}` for a key of the user's own."""
    if "properties" in schema:
        for key, of in schema["properties"].items():
            yield from strings_in(of, (*path, key))
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
PLACES = sorted(set(strings_in(SCHEMA)))
# These have a test of their own: they must name what is there.
OF_MODELS = (("images",), ("model",))


def test_the_places_of_text_are_found():
    """Keys, lists, names of one's own, and settings that a single network has."""
    known = {("data",), ("validation", "[]"), ("labels", "values", "{}"), ("network", "pretrained"),
             ("experiments", "{}"), ("experiments", "one", "start_from"), ("export", "authors", "[]")}  # fmt: skip
    assert known < set(PLACES)
    assert len(PLACES) > 12


def put(config: dict, path: tuple, text: str) -> dict:
    """The config with a text at one of `PLACES`."""
    made = copy.deepcopy(config)
    at = made
    *before, last = path
    for key, after in zip(before, path[1:], strict=True):
        at = at.setdefault(key, [] if after == "[]" else {})
    if last == "[]":
        at.append(text)
    elif last == "{}":
        at[text] = {} if path[0] == "experiments" else 1
        at.setdefault("background", 0) if path[0] == "labels" else None
    else:
        at[last] = text
    return made


@pytest.fixture
def calls(tmp_path, monkeypatch, repository, caplog):
    """Plan a config and run its commands with a `python` that writes down its arguments; None if it is refused."""
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
            lines = ["\t".join(quoted(cell) for cell in row) for row in [list(HEADER), *rows]]
            Path(sheet).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        planned = plan(repository, targets, caplog)
        if planned is None:
            said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"][-1]
            assert ": found " in said, said
            assert "Traceback" not in said
            return None
        return execute(planned, tmp_path)

    yield run
    assert not Path("canary").exists()


def quoted(cell: str) -> str:
    """A cell as text with tabs has it."""
    return '"' + cell.replace('"', '""') + '"' if re.search('["\n\t\r]', cell) else cell


def plan(repository: Path, targets: tuple[str, ...], caplog) -> list[str] | None:
    """The shell commands of all jobs; None if the workflow refuses its input. The folders of their logs are made."""
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
    """The arguments of every `python` that commands call; all in one shell, which takes a tenth of the time."""
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
    """Images to train, test and predict, one of them in two parts; the first has the text in a column."""
    subsets = ["train"] * 6 + ["test", "predict"]
    rows = [[f"a{i}", f"a{i}.tif", f"b{i}.tif", subset, "", "", "", ""] for i, subset in enumerate(subsets)]
    rows[-1][HEADER.index("parts")] = "2"
    if column:
        rows[0][HEADER.index(column)] = text
    return rows


def counts(found: list[list[str]]) -> list[tuple[str, int]]:
    """Subcommand and number of arguments of every call."""
    return sorted((call[2], len(call)) for call in found)


def targets_of(config: dict) -> list[str]:
    folder = f"results/{config['name']}"
    return [
        "all",
        "data_report",
        f"{folder}/export/one/fold-0.onnx.zip",
        f"{folder}/models/one/fold-0/learning-rate.png",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("place", [place for place in PLACES if place not in OF_MODELS], ids=".".join)
def test_text_of_the_config_is_no_code(place, calls):
    shapes = {tuple(counts(calls(CONFIG, rows_with(), *targets_of(CONFIG))))}
    accepted = 0
    for text in HOSTILE:
        config = put(CONFIG, place, text)
        found = calls(config, rows_with(), *(["all"] if place == ("name",) else targets_of(CONFIG)))
        accepted += found is not None
        if found is not None and place not in (("experiments", "{}"), ("name",)):
            assert tuple(counts(found)) in shapes, text
        for call in found or []:
            assert call[:2] == ["-m", "snakeseg"]
    if place in (("data",), ("sheet",), ("validation", "[]"), ("network", "pretrained")):
        assert accepted > 3  # a test that all is refused would say nothing of quoting


@pytest.mark.slow
@pytest.mark.parametrize("column", HEADER)
def test_text_of_the_sheet_is_no_code(column, calls):
    before = tuple(counts(calls(CONFIG, rows_with(), "all")))
    for text in HOSTILE:
        found = calls(CONFIG, rows_with(column, text), "all")
        if found is not None and column not in ("subset", "batch", "parts"):
            assert tuple(counts(found)) == before, text


@pytest.mark.slow
@pytest.mark.parametrize("key", ["model", "images"])
def test_text_of_a_model_and_of_images_is_no_code(key, calls):
    """Both are given and are there, whatever they are called."""
    shapes = set()
    for text in ["plain", *HOSTILE]:
        config = {"model": "model", "images": "pictures", key: text}
        for folder, name in ((config["model"], "model.json"), (config["images"], "a.tif")):
            Path(folder).mkdir(exist_ok=True)
            Path(folder, name).touch()
        found = calls(config, [], "all")
        if found is not None:
            shapes.add(tuple(counts(found)))
            assert any(text in call for call in found), found
    assert len(shapes) == 1


def test_a_python_that_notes_its_arguments_notes_a_canary(calls, tmp_path):
    """What these tests rely on: text that is code leaves `canary`."""
    execute(["python -m snakeseg x; touch canary"], tmp_path)
    assert Path("canary").exists()
    Path("canary").unlink()
    assert execute(["python -m snakeseg 'a b' \"c\""], tmp_path) == [["-m", "snakeseg", "a b", "c"]]
