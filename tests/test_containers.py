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
    sections = {name: text.replace("\\\n", " ") for name, text in sections.items()}
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


def test_files_are_those_of_the_locks(docker):
    """Every file by its SHA-256, but those of another index of torch, which the locks do not know."""
    installs = [
        words[words.index("pip") :] for words in commands(re.split("&&|;", of(docker, "RUN"))) if "pip" in words
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


def test_the_base_is_pinned(docker, repository):
    """By its digest; its Python is the oldest that is supported."""
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python = re.fullmatch(r"python:(3\.\d+)-slim-\w+@sha256:[0-9a-f]{64}", of(docker, "FROM"))[1]
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
