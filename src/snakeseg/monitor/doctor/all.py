"""All checks of what a run needs, from this process outwards."""

from collections.abc import Iterator
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.monitor.doctor.check import Check
from snakeseg.monitor.doctor.cluster import check_profile, check_snakemake, submit_probe
from snakeseg.monitor.doctor.disk import check_disk
from snakeseg.monitor.doctor.machine import check_device, check_python, check_torch


def all_checks(profile: Path | None, submit: bool) -> Iterator[Check]:
    """Yield each check as it is made.

    Parameters
    ----------
    profile : path, optional
        Folder of a Snakemake profile.
    submit : bool
        Whether to send a short GPU job with the profile.

    Raises
    ------
    BadInput
        If a job is to be sent without a profile that works.
    """
    yield check_python()
    yield (torch := check_torch())
    if torch.verdict != "problem":
        yield check_device()
    yield check_snakemake()
    of_profile = list(check_profile(profile)) if profile else []
    yield from of_profile
    yield from check_disk(Path())
    if submit:
        if not of_profile or any(check.verdict == "problem" for check in of_profile):
            raise BadInput("--submit", "no profile that works", "one to send a job with", "name it by --profile")
        yield submit_probe(profile)
