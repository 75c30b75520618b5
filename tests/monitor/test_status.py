"""`snakeseg status`: the state of a run according to logs of Snakemake and Slurm."""

import json
import os
import platform
import subprocess
import sys
import textwrap

import pytest
from snakemake_logs import AGAIN, ENDED, FAILED, FINISHED, HEAD, SLURMSTEPD, STARTED, SUBMITTED

from snakeseg.cli import main
from snakeseg.monitor.causes import diagnose, next_step, progress_of
from snakeseg.monitor.snakemake_log import read_session
from snakeseg.monitor.usage import Usage, advise, device_share, read_usage
from snakeseg.progress import progress

SLURM_LOG = ".snakemake/slurm_logs/rule_train/a_0/28.log"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Make the working folder of a run on this machine, without Slurm."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / ".snakemake/log").mkdir(parents=True)
    (tmp_path / "logs/mine").mkdir(parents=True)
    return tmp_path


def write_log(folder, *parts: str, host: str = "", name: str = "2026-11-21T210510.100285", **values) -> None:
    defaults = {"name": "a", "number": 1, "slurm": 28, "log": SLURM_LOG, "status": "FAILED", "said": "", "second": 10}
    text = "".join(part.format(**{**defaults, "host": host or platform.node(), **values}) for part in parts)
    (folder / f".snakemake/log/{name}.snakemake.log").write_text(text, encoding="utf-8")


def write_job_log(folder, text: str, path: str = "logs/mine/train/a/fold-0.log", age: float = 3600) -> None:
    """Write the log of a job, last modified an hour ago."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text, encoding="utf-8")
    modified = (folder / path).stat().st_mtime - age
    os.utime(folder / path, (modified, modified))


def write_squeue(folder, output: str) -> None:
    (folder / "bin").mkdir()
    (folder / "bin/squeue").write_text(f"#!/bin/sh\necho '{output}'\n", encoding="utf-8")
    (folder / "bin/squeue").chmod(0o755)


def status_of(capsys, *options: str) -> tuple[dict, int]:
    """Run `snakeseg status --json`; returns the output and the exit code."""
    code = main(["--debug", "status", "--json", *options])
    return json.loads(capsys.readouterr().out), code


@pytest.mark.parametrize(("cause", "line"), [(cause, line) for cause, lines in SLURMSTEPD.items() for line in lines])
def test_messages_of_slurm_give_the_cause(cause, line):
    """The matching line is shown; progress and lines of Snakemake are not."""
    noise = "training: 3/9, 0:00:10 left loss 0.5\nBuilding DAG of jobs...\n"
    assert diagnose("", [noise, f"{line}\n"]) == (cause, [line])


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        ("TIMEOUT", "time limit"), ("OUT_OF_MEMORY", "out of memory"), ("NODE_FAIL", "node failure"),
        ("CANCELLED", "cancelled"), ("PREEMPTED", "preempted"), ("FAILED", "exception"),
    ],
)  # fmt: skip
def test_states_of_slurm_give_the_cause(state, cause):
    assert diagnose(f"SLURM-job '28' failed, SLURM status is: '{state}'.", [""]).cause == cause


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("error: a.tif: found no such file; expected an image; correct the path", "bad input"),
        (
            "error: training step 3, images a: the loss is nan; expected a finite number; lower train.learning_rate",
            "exception",
        ),
        (
            "error: results/x: found a full disk; expected space for this file; free disk space and run again",
            "file system",
        ),
        ("error: [Errno 13] Permission denied: 'results'", "file system"),
        ("error: OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "out of GPU memory"),
        ("error: MemoryError: ; this should not happen", "out of memory"),
        ("error: RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory", "out of memory"),
        ("Traceback (most recent call last):\nKeyError: 'TIMEOUT'", "exception"),
    ],
)
def test_messages_of_snakeseg_give_the_cause(text, cause):
    verdict = diagnose("returned non-zero exit status 1", [text])
    assert verdict.cause == cause
    assert verdict.lines[-1] == text.splitlines()[-1]


def test_a_kill_without_a_message_is_most_likely_out_of_memory():
    assert (
        diagnose("returned non-zero exit status 137", ["training: 3/9, 0:00:10 left"]).cause
        == "out of memory, most likely"
    )


def test_many_problems_are_counted():
    """Six of nine lines are shown."""
    lines = diagnose(
        "", ["\n".join(f"error: {i}.tif: found no such file; expected an image; x" for i in range(9))]
    ).lines
    assert len(lines) == 7
    assert lines[-1] == "(and 3 more lines of this kind)"


def test_next_step_doubles_the_request():
    requested = {"mem_mb": "4000", "runtime": "60"}
    assert "{train: {mem_mb: 8000}} in the profile (it was 4000)" in next_step("train", "out of memory", requested, "")
    assert "{train: {runtime: 120}} in the profile (it was 60)" in next_step("train", "time limit", requested, "")


def test_progress_is_parsed(capsys):
    list(progress(range(12), 12, "training", lambda: "loss 0.5"))
    parsed = progress_of(capsys.readouterr().err)
    assert parsed == {"what": "training", "done": 12, "total": 12, "left": "0:00:00", "note": "loss 0.5"}
    list(progress(range(3), None, "training", share=iter([0.0, 0.5, 0.7, 1.0]).__next__))
    assert progress_of(capsys.readouterr().err)["total"] is None
    assert progress_of("error: training failed\n") is None


def test_an_included_log_is_not_parsed():
    message = SLURMSTEPD["out of memory"][1]
    values = {"name": "a", "number": 3, "slurm": 28, "log": SLURM_LOG, "status": "OUT_OF_MEMORY", "second": 10}
    text = (HEAD + STARTED + SUBMITTED + FAILED + AGAIN + STARTED + ENDED).format(**values, said=message, host="h")
    session = read_session(text.splitlines(keepends=True))
    assert (session.host, session.ended, session.planned["train"], session.complaint) == ("h", True, 2, [])
    assert list(session.jobs) == ["3"]
    job = session.jobs["3"]
    assert (job.state, job.rule, job.log) == ("running", "train", "logs/mine/train/a/fold-0.log")
    assert job.wildcards == {"experiment": "a", "fold": "0"}
    assert (job.resources["mem_mb"], job.resources["gpu"]) == ("4000", "1")
    assert f"{job.started:%H:%M:%S}" == "21:05:10"
    (failure,) = job.failures
    assert "status is: 'OUT_OF_MEMORY'" in failure.said
    assert message in failure.shown
    assert "Shutting down" not in failure.shown


def test_a_job_array_has_an_id_for_every_job():
    jobs = "".join(STARTED.format(name=name, number=number, second=number) for number, name in ((4, "a"), (7, "b")))
    line = "Submitted array job with Snakemake IDs 4,7 and SLURM job ID 30. The individual task IDs are 1-2.\n"
    session = read_session((jobs + line).splitlines())
    assert [job.external for job in session.jobs.values()] == ["30_1", "30_2"]


def test_a_job_that_was_not_submitted_has_failed():
    """The message of the plugin has lines of any form."""
    error = (
        "[Sat Nov 21 21:40:40 2026]\nError in rule train:\n"
        "    message: SLURM sbatch failed. The error message was 'invalid partition specified: gpus'.\n"
        "    sbatch call:\n        sbatch -p gpus\nFor further error details see the log.\n"
        "    jobid: 4\n    log: a.log (check log file(s) for error details)\n"
    )
    (job,) = read_session((STARTED.format(name="a", number=4, second=1) + error).splitlines()).jobs.values()
    verdict = diagnose(job.failures[0].said, [""])
    assert (job.state, verdict.cause) == ("failed", "not submitted")
    assert "invalid partition specified: gpus" in verdict.lines[0]


def test_missing_outputs_are_a_problem_of_the_file_system(folder, capsys):
    """The command succeeded, as its benchmark file shows, and there is no error of the rule."""
    missing = "results/mine/models/a/fold-0/model.safetensors (missing locally, parent dir contents: )\n"
    error = (
        "Waiting at most 5 seconds for missing files:\n"
        f"{missing}MissingOutputException in rule train in file x, line 1:\n"
        "Job 1  completed successfully, but some output files are missing. Missing files after 5 seconds. This might be"
        f" due to filesystem latency. If that is the case, consider to increase the wait time:\n{missing}"
    )
    write_job_log(folder, "s\n1\n", "benchmarks/mine/train/a/fold-0.tsv", age=-3600)
    write_log(folder, HEAD, STARTED, error, ENDED)
    status, _ = status_of(capsys)
    (case,) = status["cases"]
    assert (case["state"], case["cause"], status["complaint"]) == ("failed", "file system", [])
    assert "some output files are missing" in case["lines"][0]


def test_a_failed_group_fails_its_jobs(folder, capsys):
    """Snakemake lists the group with the log of Slurm, which holds the causes, then each job without it."""
    jobs = "".join(STARTED.format(name=name, number=n, second=n) for n, name in ((4, "a"), (7, "b")))
    info = "[Sat Nov 21 21:05:00 2026] Group job 0b3f-1 (jobs in lexicogr. order):\n" + textwrap.indent(jobs, "    ")
    rules = "".join(f"        rule train:\n            jobid: {n}\n            output: x\n" for n in (4, 7))
    group = f"    message: Error in group 0b3f-1\n    log: {SLURM_LOG} (check log file(s) for error details)\n"
    job_errors = "".join(
        f"    [Sat Nov 21 21:06:00 2026]\n    Error in rule train:\n        message: None\n        jobid: {n}\n"
        f"        log: logs/mine/train/{name}/fold-0.log (check log file(s) for error details)\n"
        for n, name in ((4, "a"), (7, "b"))
    )
    error = f"[Sat Nov 21 21:06:00 2026]\n{group}    jobs:\n{rules}{job_errors}"
    submitted = SUBMITTED.format(number="0b3f-1", slurm=28, log=SLURM_LOG)
    write_job_log(folder, f"{SLURMSTEPD['time limit'][0]}\n", SLURM_LOG)
    write_log(folder, HEAD, "{info}", "{submitted}", "{error}", ENDED, info=info, submitted=submitted, error=error)
    cases = status_of(capsys)[0]["cases"]
    assert [case["case"] for case in cases] == ["train/a/fold-0", "train/b/fold-0"]
    for case in cases:
        assert (case["state"], case["cause"], case["before"]) == ("failed", "time limit", [])
        assert case["slurm"] == {"job": "28"}
    write_log(
        folder, "{info}", "{submitted}", "{error}", AGAIN, info=info, submitted=submitted, error=error, number="0b3f-1"
    )
    assert [case["before"] for case in status_of(capsys)[0]["cases"]] == [["time limit"]] * 2


def test_a_failed_job_has_a_next_step(folder, capsys):
    """The log of the job may be missing, because the log of Snakemake includes it."""
    write_log(folder, HEAD, STARTED, SUBMITTED, FAILED, ENDED, status="TIMEOUT", said=SLURMSTEPD["time limit"][0])
    status, code = status_of(capsys)
    (case,) = status["cases"]
    assert code == 1
    assert (status["name"], status["controller"]) == ("mine", "ended")
    assert (case["case"], case["state"], case["cause"]) == ("train/a/fold-0", "failed", "time limit")
    assert case["lines"] == [SLURMSTEPD["time limit"][0]]
    assert "{runtime: 120}" in case["next"]
    assert status["waiting"] == {"train": 1, "validate": 1, "report": 1}
    assert main(["status", "results/mine"]) == 1
    text = capsys.readouterr().out
    assert "failed: train experiment=a, fold=0: time limit" in text
    assert "  next: set of_rule: {train: {runtime: 120}} in the profile" in text


def test_the_cause_of_an_earlier_attempt_is_shown(folder, capsys):
    message = SLURMSTEPD["out of memory"][0]
    write_log(folder, HEAD, STARTED, FAILED, AGAIN, STARTED, host="elsewhere", status="OUT_OF_MEMORY", said=message)
    status, code = status_of(capsys)
    assert (status["cases"][0]["state"], status["cases"][0]["before"], code) == ("running", ["out of memory"], 0)
    assert status["controller"].startswith("runs on elsewhere")


def test_the_cause_of_an_earlier_attempt_is_read_from_the_log_of_slurm(folder, capsys):
    """Snakemake includes no further log after an empty one."""
    shown = FAILED[: FAILED.index("Logfile")] + "Logfile logs/mine/train/a/fold-0.log: empty file\n"
    again = SUBMITTED.replace("{slurm}", "29").replace("{log}", SLURM_LOG.replace("28", "29"))
    write_log(folder, HEAD, STARTED, SUBMITTED, shown, AGAIN, STARTED, again, host="elsewhere")
    write_job_log(folder, f"{SLURMSTEPD['node failure'][0]}\n", SLURM_LOG)
    (case,) = status_of(capsys)[0]["cases"]
    assert (case["state"], case["before"], case["slurm"]["job"]) == ("running", ["node failure"], "29")


def test_a_job_of_a_killed_run_is_interrupted_unless_it_still_logs(folder, capsys):
    write_log(folder, HEAD, STARTED)
    write_job_log(folder, "training: 20/400, 0:09:30 left loss 0.8\n")
    status, code = status_of(capsys)
    assert (status["controller"], code) == ("was killed", 1)
    assert (status["cases"][0]["state"], status["cases"][0]["progress"]["done"]) == ("interrupted", 20)
    write_job_log(folder, "training: 30/400, 0:09:00 left loss 0.7\n", age=0)
    status, code = status_of(capsys)
    assert (status["cases"][0]["state"], status["cases"][0]["progress"]["done"], code) == ("running", 30, 0)


@pytest.mark.parametrize(
    ("queue", "state", "cause"),
    [
        ("28 |PENDING|0:00|1:00:00|Resources||0|", "queued", ""),
        ("28|RUNNING|10:00|50:00|None|node1|0|", "running", ""),
        ("28|TIMEOUT|1:00:00|0:00|TimeLimit|node1|0|", "failed", "time limit"),
        ("28|NODE_FAIL|1:00|59:00|NodeDown|node1|0|", "failed", "node failure"),
        ("29|RUNNING|10:00|50:00|None|node1|0|", "lost", "lost"),
    ],
)
def test_a_job_has_the_state_that_slurm_reports(queue, state, cause, folder, capsys):
    """A job that Slurm no longer lists is lost; Snakemake would wait for it without end."""
    write_log(folder, HEAD, STARTED, SUBMITTED, host="elsewhere")
    write_squeue(folder, queue)
    (case,) = status_of(capsys)[0]["cases"]
    assert (case["state"], case["cause"], case["slurm"]["job"]) == (state, cause, "28")


@pytest.mark.parametrize(
    ("queue", "log_lines", "state", "before"),
    [
        ("28|PENDING|0:00|1:00:00|BeginTime||1|", SLURMSTEPD["node failure"], "requeued", ["node failure"]),
        ("28|PENDING|0:00|1:00:00|BeginTime||2|", SLURMSTEPD["preempted"], "requeued", ["requeued", "preempted"]),
        ("28|PENDING|0:00|1:00:00|BeginTime||1|", ["the power went"], "requeued", ["requeued"]),
        ("28|RUNNING|0:10|59:50|None|node2|1|", ["begun anew"], "running", ["requeued"]),
    ],
)
def test_a_job_that_slurm_restarts_is_no_failure(queue, log_lines, state, before, folder, capsys):
    """It needs no action of the user; the cause is shown while the log contains it."""
    write_log(folder, HEAD, STARTED, SUBMITTED, host="elsewhere")
    write_squeue(folder, queue)
    write_job_log(folder, "\n".join(log_lines), SLURM_LOG)
    status, code = status_of(capsys)
    (case,) = status["cases"]
    assert (case["state"], case["cause"], case["before"], code) == (state, "", before, 0)
    assert case["lines"] == (log_lines if before[-1] != "requeued" else [])
    main(["status"])
    text = capsys.readouterr().out
    assert f"attempt {len(before) + 1}, after: {', '.join(before)}" in text
    assert ("next: nothing to do: Slurm restarts the job; the training resumes" in text) == (state == "requeued")


@pytest.mark.parametrize(
    ("reason", "held"), [("launch failed requeued held", True), ("JobHeldUser", True), ("Priority", False)]
)
def test_the_next_step_of_a_held_job_is_its_release(reason, held, folder, capsys):
    write_log(folder, HEAD, STARTED, SUBMITTED, host="elsewhere")
    write_squeue(folder, f"28|PENDING|0:00|1:00:00|{reason}||1|")
    (case,) = status_of(capsys)[0]["cases"]
    assert ("scontrol release" in case["next"]) == held


def test_the_log_gives_the_cause_if_slurm_no_longer_lists_the_job(folder, capsys):
    write_log(folder, HEAD, STARTED, SUBMITTED, host="elsewhere")
    write_squeue(folder, "")
    write_job_log(folder, f"host: node1\n{SLURMSTEPD['preempted'][0]}\n", SLURM_LOG)
    (case,) = status_of(capsys)[0]["cases"]
    assert (case["state"], case["cause"], case["lines"]) == ("failed", "preempted", SLURMSTEPD["preempted"])


def test_a_later_run_replaces_an_earlier_one(folder, capsys):
    write_log(folder, HEAD, STARTED, FAILED, ENDED, name="2026-11-21T210510")
    write_log(folder, HEAD, STARTED, FINISHED, ENDED, name="2026-11-22T090000")
    status, code = status_of(capsys)
    assert (status["cases"], code) == ([], 0)


def test_an_error_in_the_config_is_shown(folder, capsys):
    line = "config: found unknown key 'trian'; expected one of train; did you mean 'train'?"
    text = f'WorkflowError in file "common.smk", line 223:\n{line}\n  File "common.smk", line 223, in <module>\n'
    (folder / ".snakemake/log/2026-11-22T090000.snakemake.log").write_text(text, encoding="utf-8")
    assert main(["status"]) == 1
    assert f"snakemake reports:\n  | WorkflowError in file \"common.smk\", line 223:\n  | {line}" in (
        capsys.readouterr().out
    )  # fmt: skip


def test_an_error_that_stops_snakemake_is_shown(folder, capsys):
    """Messages about failed jobs are not repeated as such an error."""
    rule = (
        "RuleException:\nCalledProcessError in file 'x', line 6:\nCommand 'x 2> y' returned non-zero exit status 1.\n"
    )
    write_log(folder, HEAD, STARTED, rule, FAILED, ENDED, name="2026-11-21T210510")
    assert status_of(capsys)[0]["complaint"] == []
    ended = "Complete log(s): x.log\nWorkflowError:\nPermissionError: [Errno 13] Permission denied: 'results'\n"
    write_log(folder, HEAD, STARTED, ended, name="2026-11-22T090000")
    status, code = status_of(capsys)
    assert (status["complaint"], code) == (["PermissionError: [Errno 13] Permission denied: 'results'"], 1)
    assert status["controller"] == "ended"


def test_a_folder_without_a_run_is_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["status"]) == 1
    assert "found no logs of snakemake; expected the folder in which snakemake runs" in capsys.readouterr().err


def test_status_reports_the_usage_of_finished_jobs(folder, capsys):
    """A training of 100 s computes for 80 s; the proposed request is the usage times 1.5."""
    head = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    path = folder / "benchmarks/mine/train/a/fold-0.tsv"
    path.parent.mkdir(parents=True)
    path.write_text(head + "100.0\t0:01:40\t1500.00\t1\t1\t1\t1\t1\t150.00\t150\n", encoding="utf-8")
    history = folder / "results/mine/models/a/fold-0/history.tsv"
    history.parent.mkdir(parents=True)
    history.write_text("step\tloss\tcompute_seconds\n0\t1\t30\n1\t1\t50\n", encoding="utf-8")
    short = folder / "benchmarks/mine/check.tsv"
    short.write_text(head + "0.5\t0:00:00\t-\t-\t-\t-\t-\t-\t0.00\t0\n", encoding="utf-8")
    write_log(folder, HEAD)
    status, _ = status_of(capsys, "mine")
    assert status["finished"]["train/a/fold-0"] == {"seconds": 100, "memory_mb": 1500, "cores": 1.5, "device": 0.8}
    assert status["finished"]["check"]["memory_mb"] is None
    assert status["advice"] == {"train": {"mem_mb": 2500, "runtime": 5}, "check": {"runtime": 5}}
    main(["status", "mine"])
    assert "train     1     0:01:40  1500 MB  1.5    80%     mem_mb=2500 runtime=5" in capsys.readouterr().out


def test_missing_files_give_no_usage_and_no_advice(tmp_path):
    assert read_usage(tmp_path / "none.tsv") is None
    assert str(device_share(tmp_path / "none.tsv", 3)) == "nan"
    assert advise([Usage(float("nan"), float("nan"), 0)]) == {}


def test_status_imports_no_large_package(tmp_path):
    (tmp_path / "logs/mine").mkdir(parents=True)
    code = (
        "import sys; from snakeseg.cli import main; main(['status']);"
        "print([m for m in ('torch', 'numpy', 'pandas', 'snakemake', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
