"""Constraints, environment.yml and pyproject.toml name the same packages in the same versions."""

import re
import tomllib
from itertools import chain

import pytest
import yaml

# Where conda's name differs from PyPI's.
CONDA_NAMES = {"torch": "pytorch", "opencv-python-headless": "py-opencv", "matplotlib": "matplotlib-base"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture
def constraints(repository) -> dict[str, str]:
    lines = (repository / "constraints.txt").read_text(encoding="utf-8").split()
    return {normal(name): version for name, _, version in (line.partition("==") for line in lines)}


@pytest.fixture
def project(repository) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_dependency_is_pinned(constraints, project):
    wanted = list(chain(project["dependencies"], *project["optional-dependencies"].values()))
    assert {normal(name) for name in wanted} <= set(constraints)


def test_constraints_name_no_hosts_or_builds(repository):
    text = (repository / "constraints.txt").read_text(encoding="utf-8")
    assert not re.search(r"https?:|@|--|\+", text)


def test_environment_agrees(repository, constraints, project):
    environment = yaml.safe_load((repository / "environment.yml").read_text(encoding="utf-8"))
    pinned = dict(entry.split(" =") for entry in environment["dependencies"] if not entry.startswith("python "))
    expected = {CONDA_NAMES.get(name, name) for name in project["dependencies"]}
    assert set(pinned) == expected
    for name in project["dependencies"]:
        # PyPI's OpenCV wheels carry a build number as a fourth part.
        version = ".".join(constraints[normal(name)].split(".")[:3])
        assert pinned[CONDA_NAMES.get(name, name)] == version, name


def test_python_agrees(repository, project):
    environment = yaml.safe_load((repository / "environment.yml").read_text(encoding="utf-8"))
    assert f"python {project['requires-python']}" in environment["dependencies"]
