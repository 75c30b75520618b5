"""Dockerfile and apptainer.def define the same image, from the locks alone. Tests do not build it."""

import json
import re
import shlex
import subprocess
import tomllib

import pytest
import yaml


@pytest.fixture
def docker(repository) -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile and their arguments, in one line each."""
    text = (repository / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line and not line.startswith("#")]


@pytest.fixture
def apptainer(repository) -> dict[str, list[str]]:
    """Return the lines of apptainer.def by section; those of its head have the empty name."""
    head, *parts = re.split(
        r"^%(?=\w+$)", (repository / "apptainer.def").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    sections = {"": head, **dict(part.split("\n", 1) for part in parts)}
    sections = {name: text.replace("\\\n", " ") for name, text in sections.items()}
    return {name: [line.strip() for line in text.splitlines() if line.strip()] for name, text in sections.items()}


def arguments_of(docker, name: str) -> str:
    """Return the arguments of the only instruction of a name."""
    (arguments,) = (words for instruction, words in docker if instruction == name)
    return arguments


def split_commands(lines: list[str]) -> list[list[str]]:
    """Split commands into words."""
    return [shlex.split(line) for line in lines]


def test_both_definitions_give_the_same_image(docker, apptainer, repository):
    assert f"From: {arguments_of(docker, 'FROM')}" in apptainer[""]
    assert [f"{arguments_of(docker, 'ARG')}="] == apptainer["arguments"] == ["TORCH_INDEX="]
    (folder, index, *steps) = split_commands(apptainer["post"])
    assert (folder, index) == (["cd", "/opt/snakeseg"], ["TORCH_INDEX={{ TORCH_INDEX }}"])
    assert split_commands(re.split(r"\s+&&\s+", arguments_of(docker, "RUN"))) == steps
    assert apptainer["runscript"] == [f'exec {" ".join(json.loads(arguments_of(docker, "ENTRYPOINT")))} "$@"']
    copied = {
        line[1:]
        for line in (repository / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    assert [line.split() for line in apptainer["files"]] == [
        [line.split()[0], f"/opt/snakeseg/{line.split()[0]}"] for line in apptainer["files"]
    ]
    assert {line.split()[0] for line in apptainer["files"]} == copied
    assert all((repository / name).exists() for name in copied)


def test_packages_are_installed_from_the_locks(docker):
    """pip checks the SHA-256 of every file, except for another index of torch, which the locks do not contain."""
    installs = [
        words[words.index("pip") :]
        for words in split_commands(re.split("&&|;", arguments_of(docker, "RUN")))
        if "pip" in words
    ]
    locked, torch, other_torch, project = installs
    for words, lock in ((locked, "requirements.lock"), (torch, "torch.lock")):
        assert {"--no-deps", "--require-hashes"} <= set(words)
        assert words[-2:] == ["--requirement", lock]
    assert other_torch[3:] == [
        "--constraint", "constraints.txt", "--index-url", "$TORCH_INDEX", "torch",
    ]  # fmt: skip
    assert {"--no-deps", "--no-build-isolation"} <= set(project)
    assert project[-2:] == ["--editable", "."]


def test_the_base_image_is_pinned(docker, repository):
    """The base has a digest; its Python is the oldest supported version."""
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python = re.fullmatch(r"python:(3\.\d+)-slim-\w+@sha256:[0-9a-f]{64}", arguments_of(docker, "FROM"))[1]
    assert project["requires-python"] == f">={python}"
    tested = yaml.safe_load((repository / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]["test"]
    assert python in tested["strategy"]["matrix"]["python"]


def test_the_image_does_not_run_as_root(docker):
    names = [name for name, _ in docker]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", arguments_of(docker, "USER"))
    assert names.index("USER") > names.index("RUN")


def test_the_linter_reports_nothing(repository):
    done = subprocess.run(["hadolint", repository / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
