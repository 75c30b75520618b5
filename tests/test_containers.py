"""Dockerfile and apptainer.def make the same, of the lock alone. They are built where there is an engine, not here."""

import json
import re
import shlex
import subprocess
import tomllib

import pytest
import yaml


@pytest.fixture
def docker(repository) -> list[tuple[str, str]]:
    """Instructions of the Dockerfile, each in one line."""
    text = (repository / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line and not line.startswith("#")]


@pytest.fixture
def apptainer(repository) -> dict[str, list[str]]:
    """Lines of apptainer.def by section; those of its head under the empty name."""
    head, *parts = re.split(
        r"^%(?=\w+$)", (repository / "apptainer.def").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    sections = {"": head, **dict(part.split("\n", 1) for part in parts)}
    return {name: [line.strip() for line in text.splitlines() if line.strip()] for name, text in sections.items()}


def of(docker, name: str) -> str:
    """What the one instruction of a name says."""
    (found,) = (rest for instruction, rest in docker if instruction == name)
    return found


def commands(lines: list[str]) -> list[list[str]]:
    """Words of commands."""
    return [shlex.split(line) for line in lines]


def test_both_make_the_same(docker, apptainer, repository):
    assert f"From: {of(docker, 'FROM')}" in apptainer[""]
    assert [f"{of(docker, 'ARG')}="] == apptainer["arguments"] == ["TORCH_INDEX="]
    (folder, index, *steps) = commands(apptainer["post"])
    assert (folder, index) == (["cd", "/opt/snakeseg"], ["TORCH_INDEX={{ TORCH_INDEX }}"])
    assert commands(re.split(r"\s+&&\s+", of(docker, "RUN"))) == steps
    assert apptainer["runscript"] == [f'exec {" ".join(json.loads(of(docker, "ENTRYPOINT")))} "$@"']
    let_in = {
        line[1:]
        for line in (repository / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    assert [line.split() for line in apptainer["files"]] == [
        [line.split()[0], f"/opt/snakeseg/{line.split()[0]}"] for line in apptainer["files"]
    ]
    assert {line.split()[0] for line in apptainer["files"]} == let_in
    assert all((repository / name).exists() for name in let_in)


def test_versions_are_those_of_the_lock(docker, repository):
    """Every package by constraints.txt, none by a version of its own; Python is the oldest that is supported."""
    installs = [words for words in commands(of(docker, "RUN").split("&&")) if words[:2] == ["pip", "install"]]
    assert len(installs) == 2
    for words in installs:
        assert words[words.index("--constraint") + 1] == "constraints.txt"
        assert not re.search(r"[=<>~]=|==", " ".join(words))
    torch, rest = installs
    assert torch[-1] == "torch"
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.fullmatch(r"\.\[(.+)\]", rest[-1])[1].split(",")
    assert set(extras) <= set(project["optional-dependencies"])
    python = re.fullmatch(r"python:(3\.\d+)-slim-\w+", of(docker, "FROM"))[1]
    assert project["requires-python"] == f">={python}"
    tested = yaml.safe_load((repository / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]["test"]
    assert python in tested["strategy"]["matrix"]["python"]


def test_it_is_not_run_by_root(docker):
    names = [name for name, _ in docker]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", of(docker, "USER"))
    assert names.index("USER") > names.index("RUN")


def test_the_linter_has_nothing_to_say(repository):
    done = subprocess.run(["hadolint", repository / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
