"""Constraints, environment.yml and pyproject.toml name the same packages in the same versions."""

import re
import tomllib
from itertools import chain

import pytest
import yaml

# Where conda's name differs from PyPI's.
CONDA_NAMES = {"torch": "pytorch", "opencv-python-headless": "py-opencv", "matplotlib": "matplotlib-base"}


def normalise_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture
def constraints(repository) -> dict[str, str]:
    lines = (repository / "constraints.txt").read_text(encoding="utf-8").split()
    return {normalise_name(name): version for name, _, version in (line.partition("==") for line in lines)}


@pytest.fixture
def read_lock(repository):
    """Read versions and SHA-256 digests by package from a lock."""

    def read(name: str) -> dict[str, tuple[str, list[str]]]:
        text = (repository / name).read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        matches = [
            re.fullmatch(r"([\w.-]+)==(\S+)( ; [^#]*?)?((?: +--hash=sha256:[0-9a-f]{64})+)", line) for line in lines
        ]
        assert all(matches), [line[:80] for line, match in zip(lines, matches, strict=True) if not match]
        return {normalise_name(match[1]): (match[2], match[4].split()) for match in matches}

    return read


@pytest.fixture
def project(repository) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_dependency_is_pinned(constraints, project):
    dependencies = list(chain(project["dependencies"], *project["optional-dependencies"].values()))
    assert {normalise_name(name) for name in dependencies} <= set(constraints)


def test_constraints_name_no_hosts_or_builds(repository):
    text = (repository / "constraints.txt").read_text(encoding="utf-8")
    assert not re.search(r"https?:|@|--|\+", text)


def test_the_environment_file_has_the_pinned_versions(repository, constraints, project):
    environment = yaml.safe_load((repository / "environment.yml").read_text(encoding="utf-8"))
    pinned = dict(entry.split(" =") for entry in environment["dependencies"] if not entry.startswith("python "))
    expected = {CONDA_NAMES.get(name, name) for name in project["dependencies"]}
    assert set(pinned) == expected
    for name in project["dependencies"]:
        # PyPI's OpenCV wheels carry a build number as a fourth part.
        version = ".".join(constraints[normalise_name(name)].split(".")[:3])
        assert pinned[CONDA_NAMES.get(name, name)] == version, name


def test_the_environment_file_has_the_supported_python(repository, project):
    environment = yaml.safe_load((repository / "environment.yml").read_text(encoding="utf-8"))
    assert f"python {project['requires-python']}" in environment["dependencies"]


def test_locks_have_the_versions_of_the_constraints(read_lock, constraints, project):
    """Every file has a SHA-256. Packages that only torch needs, such as CUDA libraries, are only in torch.lock."""
    locked, torch = read_lock("requirements.lock"), read_lock("torch.lock")
    assert {name: version for name, (version, _) in locked.items()}.items() <= constraints.items()
    assert torch["torch"][0] == constraints["torch"]
    only_torch = set(torch) - set(locked)
    assert all(re.match("torch$|triton$|nvidia-|cuda-", name) for name in only_torch), only_torch
    assert all(torch[name] == locked[name] for name in set(torch) & set(locked))
    extras = project["optional-dependencies"]
    required = {*project["dependencies"], *chain(*(extras[name] for name in ("slurm", "cluster-generic", "parquet")))}
    assert {normalise_name(name) for name in required} <= set(locked) | {"torch"}
    assert "setuptools" in locked  # needed by builds without isolation


def test_actions_are_pinned_and_may_only_read(repository):
    """Tags of actions can be moved; commits cannot."""
    for path in repository.glob(".github/workflows/*.y*ml"):
        text = path.read_text(encoding="utf-8")
        assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
        uses = re.findall(r"uses: *(.*)", text)
        assert uses
        assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in uses), uses
