"""Run all checks: Python, torch, device, Snakemake, profile, cluster and file system."""

from collections.abc import Iterator
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.monitor.doctor.check import Check
from snakeseg.monitor.doctor.cluster import check_profile, check_snakemake, submit_probe
from snakeseg.monitor.doctor.disk import check_disk
from snakeseg.monitor.doctor.machine import check_device, check_python, check_torch


def all_checks(profile: Path | None, submit: bool) -> Iterator[Check]:
    """Run all checks of this machine, the working folder and a profile.

    Parameters
    ----------
    profile : path, optional
        Folder of a Snakemake profile.
    submit : bool
        If True, submit a short GPU job with the profile.

    Yields
    ------
    Check
        Result of each check, as soon as it is known.

    Raises
    ------
    BadInput
        If `submit` is True without a working profile.
    """
    yield check_python()
    yield (torch := check_torch())
    if torch.verdict != "problem":
        yield check_device()
    yield check_snakemake()
    profile_checks = list(check_profile(profile)) if profile else []
    yield from profile_checks
    yield from check_disk(Path())
    if submit:
        if not profile_checks or any(check.verdict == "problem" for check in profile_checks):
            raise BadInput(
                "--submit", "no working profile", "a profile to submit a job with", "add --profile profiles/slurm"
            )
        yield submit_probe(profile)
