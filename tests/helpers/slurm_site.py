"""The project's Slurm profile as a site would edit it."""

from pathlib import Path

import yaml


def site_profile(repository: Path, folder: Path, **variables) -> Path:
    """Write the profile with other `__variables__` into a folder, which is returned."""
    profile = yaml.safe_load((repository / "profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    assert set(variables) <= set(profile["__variables__"])
    profile["__variables__"] |= variables
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(profile, sort_keys=False), encoding="utf-8")
    return folder
