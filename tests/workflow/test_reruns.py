"""Jobs that run again after a change of a file, the config or the version. Nothing is computed."""

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
# Jobs after a change of test images: those of their batch, and the tables.
PREDICTED = TABLES | {f"{rule} c" for rule in ("inspect", "infer", "instances", "evaluate")}
# Jobs after a change of training images: of their batch, the training and all predictions.
TRAINED = (
    TABLES
    | {"train", "measure", "validate", "tune", "infer c", "infer d"}
    | {f"{rule} a" for rule in ("inspect", "prepare", "augment", "weigh")}
    | {f"{rule} {part}" for rule in ("instances", "evaluate") for part in ("c", "d", "fold-0")}
)
# Jobs after a change of `tune`, which needs the temporary probabilities again, and after a change of `train`.
TUNED = {"validate", "infer c", "infer d", "tune", "summarise", "compare", "report"} | {
    f"{rule} {part}" for rule in ("instances", "evaluate") for part in ("c", "d", "fold-0")
}
RETRAINED = TUNED | {"check", "train", "measure"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory, repository) -> Path:
    """Copy the workflow, so that tests can edit it as a later version would."""
    folder = tmp_path_factory.mktemp("installed")
    for name in ("workflow", "src", "profiles", "config"):
        shutil.copytree(repository / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("Snakefile", "environment.yml"):
        shutil.copy(repository / name, folder)
    return folder


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory, snakemake, write_run, installed):
    """Make a run that looks finished to Snakemake; return its data and a function that gives the jobs to rerun."""
    folder = tmp_path_factory.mktemp("own")
    write_run(folder, {"data": "own", "simulate": None, "experiments": {"plain": {}}}, ROWS)
    (folder / "own").mkdir()
    for _, image, label, *_ in ROWS[1:]:
        (folder / "own" / image).write_text("an image", encoding="utf-8")
        (folder / "own" / label).write_text("a label", encoding="utf-8")
    arguments = ["--configfile", "config.yaml", "--cores", "1"]

    def output() -> str:
        done = snakemake(folder, *arguments, "--dry-run", snakefile=installed / "Snakefile")
        assert done.returncode == 0, done.stdout
        return done.stdout

    def planned() -> set[str]:
        """Return the rules, with the batch or part of those that have one."""
        blocks = re.findall(r"^(?:local)?rule (\w+):\n((?: .*\n)+)", output(), re.MULTILINE)
        parts = [re.search(r"wildcards: .*?(?:batch|part)=([^,\n]+)", text) for _, text in blocks]
        return {f"{rule} {part[1]}" if part else rule for (rule, _), part in zip(blocks, parts, strict=True)}

    for outputs in re.findall(r"^    output: (.*)$", output(), re.MULTILINE):
        for path in map(folder.joinpath, outputs.split(", ")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch() if path.suffix else path.mkdir(exist_ok=True)
    done = snakemake(folder, *arguments, "--touch", "--forceall", snakefile=installed / "Snakefile")
    assert done.returncode == 0, done.stdout
    return folder / "own", planned


def touch_file(path: Path) -> None:
    path.touch()


def change_bytes(path: Path) -> None:
    """Change the content of a file, but not its times."""
    before = path.stat()
    path.write_text("another image", encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("s4.tif", touch_file, PREDICTED),
        ("s4.tif", change_bytes, PREDICTED),
        ("s4-label.tif", touch_file, PREDICTED),
        ("s0.tif", touch_file, TRAINED),
        ("s0-label.tif", change_bytes, TRAINED),
    ],
)
def test_a_changed_file_reruns_the_jobs_that_depend_on_it(name, change, expected, finished_run):
    data, planned = finished_run
    path, before = data / name, (data / name).stat()
    text = path.read_text(encoding="utf-8")
    change(path)
    jobs = planned()
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert jobs - {"default"} == expected


def test_restored_files_rerun_nothing(finished_run):
    _, planned = finished_run
    assert planned() == set()


@pytest.fixture
def rewritten():
    """Return a function that changes a YAML file for the duration of a test."""
    before = {}

    def rewrite(path: Path, change) -> None:
        before.setdefault(path, path.read_text(encoding="utf-8"))
        content = yaml.safe_load(before[path])
        change(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    yield rewrite
    for path, content in before.items():
        path.write_text(content, encoding="utf-8")


def add_later_key(schema: dict) -> None:
    """Add a key with a default to every section, every network and the top level."""
    sections = [schema, *schema["properties"].values(), schema["properties"]["simulate"]["anyOf"][1]]
    networks = [branch["then"] for branch in schema["properties"]["network"]["allOf"]]
    for section in [*sections, *networks]:
        if "properties" in section:
            section["properties"]["later"] = {"description": "of a later version", "type": "integer", "default": 3}


def set_key(section: str, key: str, value):
    return lambda config: config.setdefault(section, {}).update({key: value})


def test_a_key_of_a_later_version_reruns_nothing(finished_run, installed, rewritten):
    data, planned = finished_run
    rewritten(installed / "workflow/schemas/config.schema.yaml", add_later_key)
    assert planned() == set()
    rewritten(data.parent / "config.yaml", set_key("train", "later", 3))
    assert planned() == set()
    rewritten(data.parent / "config.yaml", set_key("train", "later", 4))
    assert planned() - {"default"} == RETRAINED


def test_an_explicit_default_reruns_nothing(finished_run, rewritten):
    data, planned = finished_run
    rewritten(data.parent / "config.yaml", set_key("train", "momentum", 0.99))
    assert planned() == set()


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("train", "momentum", 0.9, RETRAINED),
        ("weigh", "sigma", 4.0, RETRAINED - {"check"} | {"weigh a", "weigh b"}),
        ("weigh", "classes", "equal", RETRAINED - {"check"} | {"weigh a", "weigh b"}),
        ("augment", "grid", 4, RETRAINED | {f"{rule} {batch}" for rule in ("augment", "weigh") for batch in "ab"}),
        ("instances", "fill_holes", True, TUNED),
        ("export", "title", "Cells of mice", {"report"}),
        ("predict", "keep_probabilities", True, TUNED - {"validate", "tune", "instances fold-0", "evaluate fold-0"}),
    ],
)
def test_a_changed_value_reruns_the_jobs_that_depend_on_it(section, key, value, expected, finished_run, rewritten):
    data, planned = finished_run
    rewritten(data.parent / "config.yaml", set_key(section, key, value))
    assert planned() - {"default"} == expected
