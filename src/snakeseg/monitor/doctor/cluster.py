"""Check Snakemake, its profile and Slurm, and submit a test job."""

import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml
from yte import process_yaml
from yte.exceptions import YteError

from snakeseg.monitor.causes import diagnose, next_step
from snakeseg.monitor.doctor.check import Check
from snakeseg.monitor.slurm import query_slurm
from snakeseg.monitor.snakemake_log import read_session
from snakeseg.monitor.status_text import describe_slurm_job
from snakeseg.progress import log

MIN_SNAKEMAKE = (9, 12)
SINFO_TIMEOUT_S = 20
# Interval at which Slurm is queried while the test job waits.
QUERY_INTERVAL_S = 10
# Resources of a training that the test job does not take from the profile.
IGNORED_RESOURCES = ("runtime", "nodes", "tasks", "mpi")
RUNTIME_MIN = 5
SNAKEFILE = Path(__file__).resolve().parents[4] / "workflow" / "probe.smk"
PROBE_RESULT = Path(".snakemake/doctor/probe.json")


def check_snakemake() -> Check:
    """Check that Snakemake is installed and recent enough, and list its executor plugins."""
    try:
        version = importlib.metadata.version("snakemake")
    except importlib.metadata.PackageNotFoundError:
        return Check("Snakemake", "problem", "not installed", "run: pip install -e .")
    if tuple(int(part) for part in version.split(".")[:2]) < MIN_SNAKEMAKE:
        minimum = ".".join(map(str, MIN_SNAKEMAKE))
        return Check("Snakemake", "problem", version, f"run: pip install 'snakemake>={minimum}'")
    plugins = [
        f"{package.metadata['Name'].removeprefix('snakemake-executor-plugin-')} {package.version}"
        for package in importlib.metadata.distributions()
        if (package.metadata["Name"] or "").startswith("snakemake-executor-plugin-")
    ]
    return Check("Snakemake", "ok", f"{version}; executors: {', '.join(sorted(plugins)) or 'local only'}")


def read_profile(folder: Path) -> dict:
    """Read the settings of a Snakemake profile from its `config.v9+.yaml`, else from its `config.yaml`.

    Parameters
    ----------
    folder : path
        Folder of the profile.

    Returns
    -------
    dict
        Settings, with the expressions of YTE evaluated.

    Raises
    ------
    OSError
        If the folder has no such file, or it cannot be read.
    ValueError
        If the file is not valid YAML, or not a mapping.
    """
    files = sorted(folder.glob("config*.yaml"), reverse=True)
    if not files:
        raise OSError(f"no config.yaml in {folder}")
    try:
        settings = process_yaml(files[0].read_text(encoding="utf-8"), require_use_yte=True)  # like Snakemake
    except (yaml.YAMLError, YteError) as error:
        raise ValueError(f"invalid YAML in {files[0]}: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"no settings in {files[0]}")
    return settings


def check_profile(folder: Path) -> Iterator[Check]:
    """Check that a profile can be read, that its executor is installed, and that Slurm responds."""
    try:
        profile = read_profile(folder)
    except (OSError, ValueError) as error:
        yield Check("profile", "problem", str(error), "give the folder of a profile: --profile profiles/slurm")
        return
    executor = profile.get("executor", "local")
    module = f"snakemake_executor_plugin_{executor.replace('-', '_')}"
    if executor not in ("local", "dryrun", "touch") and importlib.util.find_spec(module) is None:
        name = module.replace("_", "-")
        yield Check("profile", "problem", f"{folder}: executor {executor} is not installed", f"run: pip install {name}")
        return
    yield Check("profile", "ok", f"{folder}: executor {executor}")
    if executor == "slurm":
        yield from check_slurm(profile)


def check_slurm(profile: dict) -> Iterator[Check]:
    """Check that the commands of Slurm are installed and respond, and that the partitions of the profile exist.

    Parameters
    ----------
    profile : dict
        From `read_profile`.

    Yields
    ------
    Check
        Slurm, partitions, GPUs and accounting.
    """
    missing = [command for command in ("sbatch", "squeue", "scancel", "sinfo") if not shutil.which(command)]
    if missing:
        yield Check(
            "Slurm",
            "problem",
            f"commands not found: {', '.join(missing)}",
            "log in to a node from which jobs are submitted",
        )
        return
    command = ["sinfo", "--noheader", "--format=%R|%a|%l|%m|%G|%D"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=SINFO_TIMEOUT_S, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        message = (getattr(error, "stderr", None) or str(error)).strip()
        yield Check("Slurm", "problem", f"sinfo failed ({message[:200]})", "ask the administrators of the cluster")
        return
    partitions = {line.split("|")[0] for line in output.splitlines() if line}
    yield Check("Slurm", "ok", f"partitions {', '.join(sorted(partitions))}")
    unknown = set(_partitions(profile)) - partitions
    if unknown:
        remedy = f"set slurm_partition in the profile to one of {', '.join(sorted(partitions))}"
        yield Check("partitions", "problem", f"Slurm does not have {', '.join(sorted(unknown))}", remedy)
    if not any("gpu" in line.split("|")[4] for line in output.splitlines() if line.count("|") >= 4):
        yield Check(
            "GPUs", "warning", "sinfo lists none",
            "add --submit to test whether the profile maps gpu=1 to the GPUs of this site",
        )  # fmt: skip
    if not shutil.which("sacct") and not profile.get("slurm-status-command"):
        yield Check("accounting", "warning", "sacct not found", "set slurm-status-command: squeue in the profile")


def _partitions(profile: dict) -> Iterator[str]:
    """Yield the partitions that the profile names, except in expressions."""
    requests = [profile.get("default-resources"), *(profile.get("set-resources") or {}).values()]
    for request in requests:
        names = request.get("slurm_partition", "") if isinstance(request, dict) else ""
        yield from (name for name in str(names).split(",") if name.replace("-", "").replace("_", "").isalnum())


def submit_probe(folder: Path) -> Check:
    """Submit a test job with the resources of a training, for at most `RUNTIME_MIN` minutes.

    Snakemake submits it from the working folder without locking the folder, so that a run may continue.

    Parameters
    ----------
    folder : path
        Folder of a profile.

    Returns
    -------
    Check
        With node, device, memory and cores of the job, or the reason for its failure.
    """
    if not SNAKEFILE.is_file():
        return Check(
            "test job",
            "problem",
            "workflow/probe.smk not found",
            "install SnakeSeg from a clone of the repository: pip install -e .",
        )
    PROBE_RESULT.unlink(missing_ok=True)
    request = (read_profile(folder).get("set-resources") or {}).get("train") or {}
    resources = [f"probe:{name}={value}" for name, value in request.items() if name not in IGNORED_RESOURCES]
    command = [sys.executable, "-P", "-m", "snakemake", "--snakefile", SNAKEFILE, "--workflow-profile", folder,
               "--nolock", "--retries", "0", "--set-resources", *resources, f"probe:runtime={RUNTIME_MIN}"]  # fmt: skip
    if read_profile(folder).get("executor", "local") == "local":
        command += ["--cores", "1"]
    code, output = _run_and_report(command)
    if code or not PROBE_RESULT.is_file():
        return _failure(output)
    node = json.loads(PROBE_RESULT.read_text(encoding="utf-8"))
    found = f"{node['node']}: {node['name']}, {node['memory_gb']} GB, {node['cores']} cores"
    found += f", Slurm job {node['slurm_job']}" if node["slurm_job"] else ""
    if node["device"] == "cpu":
        return Check(
            "test job", "warning", f"{found}; torch finds no GPU there",
            "map gpu=1 in the profile to the GPUs of this site, and install a torch built for CUDA",
        )  # fmt: skip
    return Check("test job", "ok", found)


def _run_and_report(command: list) -> tuple[int, str]:
    """Run snakemake and log why its job waits in Slurm; returns exit code and output."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "output").open("w+", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        logged = ""
        while process.poll() is None:
            try:
                process.wait(QUERY_INTERVAL_S)
            except subprocess.TimeoutExpired:
                reason = _waiting_reason(Path(output.name).read_text(encoding="utf-8"))
                if reason and reason != logged:
                    log(f"{reason}; press Ctrl-C to cancel it")
                logged = reason
            except KeyboardInterrupt:
                process.wait()  # Snakemake receives the same signal and cancels its job.
                raise
        return process.returncode, Path(output.name).read_text(encoding="utf-8")


def _waiting_reason(output: str) -> str:
    """Return the reason for which Slurm lets the job wait; "" if it does not wait."""
    job_ids = [job.external for job in read_session(output.splitlines()).jobs.values() if job.external]
    pending = [(job_id, job) for job_id, job in (query_slurm(job_ids) or {}).items() if job.state == "PENDING"]
    return ", ".join(describe_slurm_job({"job": job_id, **job._asdict()}) for job_id, job in pending)


def _failure(output: str) -> Check:
    """Determine why the test job failed."""
    failed = [job for job in read_session(output.splitlines()).jobs.values() if job.failures]
    job = failed[-1] if failed else None
    verdict = diagnose(job.failures[-1].said, [job.failures[-1].shown]) if job else diagnose("", [output])
    lines = " / ".join(verdict.lines[-3:])
    remedy = next_step("probe", verdict.cause, job.resources if job else {}, job.log if job else "")
    return Check("test job", "problem", f"failed: {verdict.cause}: {lines}", remedy)
