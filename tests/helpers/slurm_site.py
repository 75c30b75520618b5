"""Write the Slurm profile of the project with the changes of a site."""

from pathlib import Path

import yaml


def site_profile(repository: Path, folder: Path, **variables) -> Path:
    """Write the profile with other `__variables__` into a folder, and return the folder."""
    profile = yaml.safe_load((repository / "profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    assert set(variables) <= set(profile["__variables__"])
    profile["__variables__"] |= variables
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(profile, sort_keys=False), encoding="utf-8")
    return folder
