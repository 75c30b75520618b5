"""`snakeseg doctor`: measurements have a verdict, problems have a remedy and set the exit code."""

import builtins
import json
import os
import tempfile

import pytest
import yaml
from snakemake_logs import STARTED, SUBMITTED

from snakeseg.cli import main
from snakeseg.errors import BadInput
from snakeseg.monitor.doctor import cluster, disk, machine
from snakeseg.monitor.doctor.check import Check, graded
from snakeseg.monitor.doctor.cluster import check_profile, check_snakemake, submit_probe

SINFO = "gpu|up|2-00:00:00|64000|gpu:a100:4|2\ncpu|up|1-00:00:00|32000|(null)|9"


def verdicts(checks) -> dict[str, str]:
    return {check.what: check.verdict for check in checks}


def write_profile(folder, **settings):
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return folder


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Put stand-ins for Slurm's commands on PATH; return a function that writes a stand-in."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    (tmp_path / "bin").mkdir()

    def write(name: str, script: str = "true") -> None:
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)

    for name in ("sbatch", "squeue", "scancel", "sacct"):
        write(name)
    write("sinfo", f"echo '{SINFO}'")
    return write


@pytest.mark.parametrize(("value", "verdict"), [(1, "ok"), (5, "warning"), (99, "warning"), (100, "problem")])
def test_limits_give_the_verdict_of_a_number(value, verdict):
    check = graded("cost", value, 5, 100, f"{value} ms", "do it")
    assert check.verdict == verdict
    assert str(check) == f"{verdict:<8} cost: {value} ms" + ("" if verdict == "ok" else "; do it")


def test_this_machine_has_no_problem(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--json"]) == 0
    checks = {check["what"]: check for check in json.loads(capsys.readouterr().out)}
    assert {"Python", "torch", "device", "Snakemake", "write access", "free space", "latency", "cost of files"} <= set(
        checks
    )
    assert checks["torch"]["verdict"] == checks["Snakemake"]["verdict"] == "ok"
    assert "executors: " in checks["Snakemake"]["found"]
    assert list(tmp_path.iterdir()) == []


def test_a_problem_sets_the_exit_code(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(disk, "check_space", lambda folder: Check("free space", "problem", "0.1 GB", "free some"))
    assert main(["doctor"]) == 1
    assert "problem  free space: 0.1 GB; free some\n" in capsys.readouterr().out


def test_a_torch_that_cannot_be_imported_is_a_problem(monkeypatch):
    """The check reports the message of the failed import."""

    def refuse(name, *rest):
        if name == "torch":
            raise ImportError("libcudart.so.12: cannot open shared object file")
        return original_import(name, *rest)

    original_import = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    check = machine.check_torch()
    assert (check.verdict, "libcudart.so.12" in check.found) == ("problem", True)


def test_an_unwritable_folder_is_a_problem(tmp_path, monkeypatch):
    """The error is simulated, because permissions do not apply if root runs the tests."""
    (tmp_path / "results").mkdir()

    def refuse(dir):
        if dir.name == "results":
            raise PermissionError(13, "Permission denied")
        return original(dir=dir)

    original = tempfile.TemporaryFile
    monkeypatch.setattr(disk.tempfile, "TemporaryFile", refuse)
    checks = list(disk.check_disk(tmp_path))
    assert verdicts(checks)["write access"] == "problem"
    assert "results (Permission denied)" in checks[0].found
    assert "latency" not in verdicts(checks)


def test_a_file_system_without_locks_is_a_problem(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(disk.fcntl, "flock", refuse)
    check = disk.check_lock(tmp_path)
    assert (check.verdict, check.found) == ("problem", "cannot lock files (No locks available)")


def test_clocks_that_differ_are_a_problem(tmp_path, monkeypatch):
    now = disk.time.time
    monkeypatch.setattr(disk.time, "time", lambda: now() - 90)
    check = disk.check_clock(tmp_path)
    assert check.verdict == "problem"
    assert 85 < float(check.found.split()[0]) < 95


def test_a_slow_file_system_is_a_warning(tmp_path, monkeypatch):
    """Each flush takes 60 ms."""
    monkeypatch.setattr(disk.os, "fsync", lambda file: disk.time.sleep(0.06))
    monkeypatch.setattr(disk, "WRITES", 3)
    check = disk.check_latency(tmp_path)
    assert (check.verdict, "latency-wait" in check.remedy) == ("warning", True)


def test_too_few_free_inodes_are_a_problem(tmp_path, monkeypatch):
    status = os.statvfs(tmp_path)

    class Full:
        f_files, f_favail = status.f_files or 1, 100

    monkeypatch.setattr(disk.os, "statvfs", lambda folder: Full)
    assert disk.check_inodes(tmp_path).verdict == "problem"


def test_an_old_snakemake_is_a_problem(monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: "9.11.2")
    check = check_snakemake()
    assert (check.verdict, check.found, check.remedy) == (
        "problem",
        "9.11.2",
        "run: pip install 'snakemake>=9.12'",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no config.yaml"),
        ("executor: [", "invalid YAML"),
        ("- a", "no settings"),
        ("executor: nowhere", "nowhere is not"),
    ],
)
def test_an_unusable_profile_is_a_problem(text, words, tmp_path):
    if text:
        (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    (check,) = check_profile(tmp_path)
    assert (check.verdict, words in check.found) == ("problem", True), check


def test_profiles_of_the_repository_have_no_problem(repository, slurm):
    assert verdicts(check_profile(repository / "profiles" / "default")) == {"profile": "ok"}
    checks = list(check_profile(repository / "profiles" / "slurm"))
    assert "problem" not in verdicts(checks).values(), checks
    assert any(check.found == "partitions cpu, gpu" for check in checks)


def test_an_unknown_partition_in_a_profile_is_a_problem(tmp_path, slurm):
    requests = {"train": {"slurm_partition": "gpus"}, "infer": {"slurm_partition": "gpu,cpu"}}
    profile = write_profile(tmp_path / "p", executor="slurm", **{"set-resources": requests})
    check = list(check_profile(profile))[-1]
    assert (check.verdict, check.found) == ("problem", "Slurm does not have gpus")
    assert check.remedy == "set slurm_partition in the profile to one of cpu, gpu"


def test_a_missing_or_failing_slurm_is_a_problem(tmp_path, slurm):
    profile = write_profile(tmp_path / "p", executor="slurm")
    slurm("sinfo", "echo 'Unable to contact slurm controller' >&2; exit 1")
    check = list(check_profile(profile))[-1]
    assert (check.verdict, "Unable to contact slurm controller" in check.found) == ("problem", True)
    (tmp_path / "bin" / "sbatch").unlink()
    assert list(check_profile(profile))[-1].found == "commands not found: sbatch"


def test_missing_gpus_or_accounting_are_warnings(tmp_path, slurm):
    slurm("sinfo", "echo 'cpu|up|1:00|1|(null)|1'")
    (tmp_path / "bin" / "sacct").unlink()
    profile = write_profile(tmp_path / "p", executor="slurm")
    verdict_of = verdicts(check_profile(profile))
    assert (verdict_of["GPUs"], verdict_of["accounting"]) == ("warning", "warning")
    profile = write_profile(tmp_path / "p", executor="slurm", **{"slurm-status-command": "squeue"})
    assert "accounting" not in verdicts(check_profile(profile))


def test_submit_needs_a_profile(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="found no working profile"):
        main(["--debug", "doctor", "--submit"])


def test_the_reason_of_a_waiting_job_is_logged(tmp_path, slurm, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "QUERY_INTERVAL_S", 0.1)
    slurm("squeue", "echo '28|PENDING|0:00|5:00|Resources||0|'")
    log = (STARTED + SUBMITTED).format(name="a", number=1, slurm=28, log="28.log", second=1)
    (tmp_path / "output").write_text(log, encoding="utf-8")
    command = ["/bin/sh", "-c", f"/bin/cat {tmp_path / 'output'}; /bin/sleep 1; exit 3"]
    assert cluster._run_and_report(command) == (3, log)
    assert capsys.readouterr().err == "Slurm job 28 pending (Resources); press Ctrl-C to cancel it\n"


@pytest.mark.slow
def test_a_submitted_test_job_reports_its_result(tmp_path, monkeypatch):
    """It runs with the resources of a training; if Slurm refuses it, the check reports the reason."""
    monkeypatch.chdir(tmp_path)
    profile = write_profile(tmp_path / "p", **{"set-resources": {"train": {"mem_mb": 100, "runtime": 480}}})
    check = submit_probe(profile)
    assert check.verdict in ("ok", "warning"), check
    assert check.found.startswith(f"{os.uname().nodename}: ")
    settings = {"jobs": 1, "slurm-status-command": "squeue", "slurm-init-seconds-before-status-checks": 1}
    profile = write_profile(tmp_path / "p", executor="slurm", **settings)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    (tmp_path / "bin").mkdir()
    refused = "echo invalid partition specified: gpus >&2; exit 1"
    for name, script in (("sbatch", refused), ("sinfo", "echo cpu*"), ("scontrol", "exit 1"), ("sacct", "exit 1")):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    check = submit_probe(profile)
    assert check.verdict == "problem", check
    assert "not submitted" in check.found
    assert "invalid partition specified: gpus" in check.found
    assert "partition" in check.remedy
