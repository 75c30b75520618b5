"""Snakemake, its profile and the cluster behind it; and a job that is sent there to see what comes back."""

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

from snakeseg.monitor.causes import judge, next_step
from snakeseg.monitor.doctor.check import Check
from snakeseg.monitor.slurm import ask_slurm
from snakeseg.monitor.snakemake_log import read_session
from snakeseg.monitor.text import slurm_in_words
from snakeseg.progress import tell

SNAKEMAKE = (9, 12)
PATIENCE = 20  # seconds
SECONDS_BETWEEN_LOOKS = 10
# What the probe does not take over from the profile's requests for a training.
OWN = ("runtime", "nodes", "tasks", "mpi")
MINUTES = 5
SNAKEFILE = Path(__file__).resolve().parents[4] / "workflow" / "probe.smk"
PROBE = Path(".snakemake/doctor/probe.json")


def check_snakemake() -> Check:
    """If Snakemake is there, and new enough."""
    try:
        version = importlib.metadata.version("snakemake")
    except importlib.metadata.PackageNotFoundError:
        return Check("Snakemake", "problem", "not installed", "install it: pip install -e .")
    if tuple(int(part) for part in version.split(".")[:2]) < SNAKEMAKE:
        return Check("Snakemake", "problem", version, f"install {'.'.join(map(str, SNAKEMAKE))} or newer")
    plugins = [
        f"{found.metadata['Name'].removeprefix('snakemake-executor-plugin-')} {found.version}"
        for found in importlib.metadata.distributions()
        if (found.metadata["Name"] or "").startswith("snakemake-executor-plugin-")
    ]
    return Check("Snakemake", "ok", f"{version}; executors: {', '.join(sorted(plugins)) or 'local only'}")


def read_profile(folder: Path) -> dict:
    """The settings of a profile: of its `config.yaml`, or of the `config.v9+.yaml` in its place.

    Raises
    ------
    OSError, ValueError
        If there is none, or it is no mapping.
    """
    files = sorted(folder.glob("config*.yaml"), reverse=True)
    if not files:
        raise OSError(f"no config.yaml in {folder}")
    try:
        settings = process_yaml(files[0].read_text(encoding="utf-8"), require_use_yte=True)  # as Snakemake does
    except (yaml.YAMLError, YteError) as error:
        raise ValueError(f"no YAML in {files[0]}: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"no settings in {files[0]}")
    return settings


def check_profile(folder: Path) -> Iterator[Check]:
    """If a profile can be read, its executor is installed, and its cluster answers."""
    try:
        profile = read_profile(folder)
    except (OSError, ValueError) as error:
        yield Check("profile", "problem", str(error), "name the folder of a profile, such as profiles/slurm")
        return
    executor = profile.get("executor", "local")
    module = f"snakemake_executor_plugin_{executor.replace('-', '_')}"
    if executor not in ("local", "dryrun", "touch") and importlib.util.find_spec(module) is None:
        name = module.replace("_", "-")
        yield Check("profile", "problem", f"{folder}: executor {executor} is not installed", f"pip install {name}")
        return
    yield Check("profile", "ok", f"{folder}: executor {executor}")
    if executor == "slurm":
        yield from check_slurm(profile)


def check_slurm(profile: dict) -> Iterator[Check]:
    """If Slurm's commands are here and answer, and have the partitions that the profile names."""
    missing = [command for command in ("sbatch", "squeue", "scancel", "sinfo") if not shutil.which(command)]
    if missing:
        yield Check("Slurm", "problem", f"no {', '.join(missing)}", "go to a node that jobs are submitted from")
        return
    command = ["sinfo", "--noheader", "--format=%R|%a|%l|%m|%G|%D"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()
        yield Check("Slurm", "problem", f"sinfo does not answer ({said[:200]})", "ask the cluster's administrators")
        return
    partitions = {line.split("|")[0] for line in answer.splitlines() if line}
    yield Check("Slurm", "ok", f"partitions {', '.join(sorted(partitions))}")
    named = set(_partitions(profile)) - partitions
    if named:
        choice = f"choose of {', '.join(sorted(partitions))}"
        yield Check("partitions", "problem", f"the profile names {', '.join(sorted(named))}", choice)
    if not any("gpu" in line.split("|")[4] for line in answer.splitlines() if line.count("|") >= 4):
        yield Check(
            "GPUs", "warning", "sinfo names none", "see with --submit if gpu=1 is mapped to what this site calls them"
        )
    if not shutil.which("sacct") and not profile.get("slurm-status-command"):
        yield Check("accounting", "warning", "no sacct", "set slurm-status-command: squeue in the profile")


def _partitions(profile: dict) -> Iterator[str]:
    """Those named plainly, not by an expression."""
    requests = [profile.get("default-resources"), *(profile.get("set-resources") or {}).values()]
    for request in requests:
        named = request.get("slurm_partition", "") if isinstance(request, dict) else ""
        yield from (one for one in str(named).split(",") if one.replace("-", "").replace("_", "").isalnum())


def submit_probe(folder: Path) -> Check:
    """Send a job that asks for what the profile gives to a training, for five minutes at most; what came back.

    It is sent by Snakemake from the working folder, without its lock, so that a run may go on meanwhile.
    """
    if not SNAKEFILE.is_file():
        return Check("test job", "problem", "no workflow/probe.smk", "run it in a clone of the project")
    PROBE.unlink(missing_ok=True)
    request = (read_profile(folder).get("set-resources") or {}).get("train") or {}
    asked = [f"probe:{name}={value}" for name, value in request.items() if name not in OWN]
    command = [sys.executable, "-P", "-m", "snakemake", "--snakefile", SNAKEFILE, "--workflow-profile", folder,
               "--nolock", "--retries", "0", "--set-resources", *asked, f"probe:runtime={MINUTES}"]  # fmt: skip
    if read_profile(folder).get("executor", "local") == "local":
        command += ["--cores", "1"]
    code, output = _sent(command)
    if code or not PROBE.is_file():
        return _refused(output)
    told = json.loads(PROBE.read_text(encoding="utf-8"))
    found = f"{told['node']}: {told['name']}, {told['memory_gb']} GB, {told['cores']} cores"
    found += f", Slurm job {told['slurm_job']}" if told["slurm_job"] else ""
    if told["device"] == "cpu":
        return Check(
            "test job", "warning", f"{found}; no GPU there that torch can use",
            "have the profile turn gpu=1 into what this site calls a GPU, and install a torch with CUDA",
        )  # fmt: skip
    return Check("test job", "ok", found)


def _sent(command: list) -> tuple[int, str]:
    """Exit code and output of a snakemake; while its job waits at Slurm, stderr tells why."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "said").open("w+", encoding="utf-8") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        told = ""
        while process.poll() is None:
            try:
                process.wait(SECONDS_BETWEEN_LOOKS)
            except subprocess.TimeoutExpired:
                now = _waiting(Path(said.name).read_text(encoding="utf-8"))
                if now and now != told:
                    tell(f"{now}; Ctrl-C takes it back")
                told = now
            except KeyboardInterrupt:
                process.wait()  # it has heard of it, too, and takes its job back
                raise
        return process.returncode, Path(said.name).read_text(encoding="utf-8")


def _waiting(output: str) -> str:
    """What Slurm says of the job that waits there; nothing if none does."""
    jobs = [job.external for job in read_session(output.splitlines()).jobs.values() if job.external]
    waiting = [(job, said) for job, said in (ask_slurm(jobs) or {}).items() if said.state == "PENDING"]
    return ", ".join(slurm_in_words({"job": job, **said._asdict()}) for job, said in waiting)


def _refused(output: str) -> Check:
    """Why no answer came."""
    failed = [job for job in read_session(output.splitlines()).jobs.values() if job.failures]
    job = failed[-1] if failed else None
    verdict = judge(job.failures[-1].said, [job.failures[-1].shown]) if job else judge("", [output])
    lines = " / ".join(verdict.lines[-3:])
    remedy = next_step("probe", verdict.cause, job.resources if job else {}, job.log if job else "")
    return Check("test job", "problem", f"did not come back: {verdict.cause}: {lines}", remedy)
