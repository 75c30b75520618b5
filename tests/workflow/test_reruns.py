"""Which jobs run again after a change of a file, the config or the version; nothing is computed."""

import os
import re
import shutil
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow

# Two batches to train on, two to predict.
BATCHES = {"a": ("s0", "s1"), "b": ("s2", "s3"), "c": ("s4",), "d": ("s5",)}
ROWS = [["sample", "image", "label", "subset", "batch"]] + [
    [sample, f"{sample}.tif", f"{sample}-label.tif", "train" if batch in "ab" else "test", batch]
    for batch, samples in BATCHES.items()
    for sample in samples
]
TABLES = {"check", "summarise", "compare", "report"}
# Of the one batch alone.
PREDICTED = TABLES | {f"{rule} c" for rule in ("inspect", "infer", "instances", "evaluate")}
# `prepare` and `augment` of the one; balanced classes weigh those of all; then the training, and all that it predicts.
TRAINED = (
    TABLES
    | {"statistics", "train", "measure", "validate", "tune", "weigh a", "weigh b", "infer c", "infer d"}
    | {f"{rule} a" for rule in ("inspect", "prepare", "augment")}
    | {f"{rule} {part}" for rule in ("instances", "evaluate") for part in ("c", "d", "fold-0")}
)
# What comes with `tune`, which needs the temporary probabilities again, and what with `train`.
CUT = {"validate", "infer c", "infer d", "tune", "summarise", "compare", "report"} | {
    f"{rule} {part}" for rule in ("instances", "evaluate") for part in ("c", "d", "fold-0")
}
LEARNED = CUT | {"check", "train", "measure"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory, repository) -> Path:
    """Return a copy of the workflow, for the edits of a later version."""
    folder = tmp_path_factory.mktemp("installed")
    for name in ("workflow", "src", "profiles", "config"):
        shutil.copytree(repository / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("Snakefile", "environment.yml"):
        shutil.copy(repository / name, folder)
    return folder


@pytest.fixture(scope="module")
def again(tmp_path_factory, snakemake, write_run, installed):
    """Write a run that looks finished to Snakemake; return a function that gives the jobs that would run again."""
    folder = tmp_path_factory.mktemp("own")
    write_run(folder, {"data": "own", "simulate": None, "experiments": {"plain": {}}}, ROWS)
    (folder / "own").mkdir()
    for _, image, label, *_ in ROWS[1:]:
        (folder / "own" / image).write_text("an image", encoding="utf-8")
        (folder / "own" / label).write_text("a label", encoding="utf-8")
    asked = ["--configfile", "config.yaml", "--cores", "1"]

    def said() -> str:
        done = snakemake(folder, *asked, "--dry-run", snakefile=installed / "Snakefile")
        assert done.returncode == 0, done.stdout
        return done.stdout

    def planned() -> set[str]:
        """Return the rules, with the batch or part of those that have one."""
        blocks = re.findall(r"^(?:local)?rule (\w+):\n((?: .*\n)+)", said(), re.MULTILINE)
        parts = [re.search(r"wildcards: .*?(?:batch|part)=([^,\n]+)", text) for _, text in blocks]
        return {f"{rule} {part[1]}" if part else rule for (rule, _), part in zip(blocks, parts, strict=True)}

    for outputs in re.findall(r"^    output: (.*)$", said(), re.MULTILINE):
        for path in map(folder.joinpath, outputs.split(", ")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch() if path.suffix else path.mkdir(exist_ok=True)
    done = snakemake(folder, *asked, "--touch", "--forceall", snakefile=installed / "Snakefile")
    assert done.returncode == 0, done.stdout
    return folder / "own", planned


def touched(path: Path) -> None:
    path.touch()


def other_bytes(path: Path) -> None:
    """As old as before."""
    before = path.stat()
    path.write_text("another image", encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("s4.tif", touched, PREDICTED),
        ("s4.tif", other_bytes, PREDICTED),
        ("s4-label.tif", touched, PREDICTED),
        ("s0.tif", touched, TRAINED),
        ("s0-label.tif", other_bytes, TRAINED),
    ],
)
def test_a_changed_file_reruns_what_hangs_on_it(name, change, expected, again):
    data, planned = again
    path, before = data / name, (data / name).stat()
    text = path.read_text(encoding="utf-8")
    change(path)
    found = planned()
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert found - {"default"} == expected


def test_files_put_back_as_they_were_rerun_nothing(again):
    _, planned = again
    assert planned() == set()


@pytest.fixture
def rewritten():
    """Change a YAML file for the duration of a test."""
    before = {}

    def rewrite(path: Path, change) -> None:
        before.setdefault(path, path.read_text(encoding="utf-8"))
        content = yaml.safe_load(before[path])
        change(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    yield rewrite
    for path, content in before.items():
        path.write_text(content, encoding="utf-8")


def with_a_new_key(schema: dict) -> None:
    """Add a key with a default to every section, every network and the top level."""
    sections = [schema, *schema["properties"].values(), schema["properties"]["simulate"]["anyOf"][1]]
    networks = [branch["then"] for branch in schema["properties"]["network"]["allOf"]]
    for section in [*sections, *networks]:
        if "properties" in section:
            section["properties"]["later"] = {"description": "of a later version", "type": "integer", "default": 3}


def set_key(section: str, key: str, value):
    return lambda config: config.setdefault(section, {}).update({key: value})


def test_a_key_of_a_later_version_reruns_nothing(again, installed, rewritten):
    data, planned = again
    rewritten(installed / "workflow/schemas/config.schema.yaml", with_a_new_key)
    assert planned() == set()
    rewritten(data.parent / "config.yaml", set_key("train", "later", 3))
    assert planned() == set()
    rewritten(data.parent / "config.yaml", set_key("train", "later", 4))
    assert planned() - {"default"} == LEARNED


def test_a_default_that_is_written_out_reruns_nothing(again, rewritten):
    data, planned = again
    rewritten(data.parent / "config.yaml", set_key("train", "momentum", 0.99))
    assert planned() == set()


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("train", "momentum", 0.9, LEARNED),
        ("weigh", "sigma", 4.0, LEARNED - {"check"} | {"weigh a", "weigh b"}),
        ("augment", "grid", 4, LEARNED | {f"{rule} {batch}" for rule in ("augment", "weigh") for batch in "ab"}),
        ("instances", "fill_holes", True, CUT),
        ("export", "title", "Cells of mice", {"report"}),
        ("predict", "keep_probabilities", True, CUT - {"validate", "tune", "instances fold-0", "evaluate fold-0"}),
    ],
)
def test_a_changed_value_reruns_what_depends_on_it(section, key, value, expected, again, rewritten):
    data, planned = again
    rewritten(data.parent / "config.yaml", set_key(section, key, value))
    assert planned() - {"default"} == expected
