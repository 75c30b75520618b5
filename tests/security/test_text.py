"""Text from logs, files and cells: it cannot control a terminal, and is parsed in bounded time."""

import os

import numpy as np
import pytest
import tifffile
from limits import limits
from snakemake_logs import FINISHED, HEAD, STARTED

from snakeseg.cli import main
from snakeseg.errors import BadInput
from snakeseg.monitor.causes import diagnose, progress_of
from snakeseg.monitor.snakemake_log import read_session
from snakeseg.monitor.usage import advise, read_usage
from snakeseg.text import CONTROL, printable, printable_lines

# Sets the terminal's title, writes to the clipboard, clears the screen, turns the writing direction.
CODES = "\x1b]0;title\x07\x1b]52;c;cm0=\x07\x9b2J\u202etxt"
SHOWN = r"\x1b]0;title\x07\x1b]52;c;cm0=\x07\x9b2J\u202etxt"
FAILED = """[Sat Nov 21 21:05:20 2026]
Error in rule train:
    message: {reason}
    jobid: 1
    log: {log} (check log file(s) for error details)
    output: results/mine/models/plain/fold-0/model.safetensors
"""


def test_control_characters_are_shown_as_escapes():
    assert printable(CODES) == SHOWN
    assert printable("a\nb\tc") == r"a\nb\tc"
    assert printable_lines("a\x1b\nb\tc") == "a\\x1b\nb       c"
    assert printable("Zelle-é-日本\u3000 \U0001f9eb") == "Zelle-é-日本\u3000 \U0001f9eb"
    assert not CONTROL.search("".join(map(printable, map(chr, range(0x110000)))))


def test_errors_hold_no_control_characters():
    error = BadInput(f"{CODES}.tif", f"'{CODES}'", CODES, CODES)
    assert str(error) == f"{SHOWN}.tif: found '{SHOWN}'; expected {SHOWN}; {SHOWN}"


@pytest.mark.parametrize("name", ["\x1b[2Jtitle\x07.tif", "\x9b2J.tif", "a\r.tif", "\udcff.tif"])
def test_names_of_files_reach_a_terminal_as_escapes(name, tmp_path, monkeypatch, capsys):
    """The file is first missing, then damaged."""
    monkeypatch.chdir(tmp_path)
    assert main(["convert", name, "--output", "a.geojson"]) == 1
    with open(os.fsencode(name), "wb") as file:
        file.write(b"II*\0no image")
    assert main(["convert", name, "--output", "a.geojson"]) == 1
    captured = capsys.readouterr()
    lines = (captured.out + captured.err).splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"error: {printable(name)}: found ") for line in lines), lines


def test_warnings_name_masks_with_escapes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    os.mkdir("masks")
    for name in ("a.tif", "b\x1b[2J.tif"):
        tifffile.imwrite(f"masks/{name}", np.array([[0, 1], [0, 0]], np.uint8))
    assert main(["convert", "masks", "--like", "masks/a.tif", "--output", "out.tif"]) == 0
    assert r"warning: masks/b\x1b[2J.tif: " in capsys.readouterr().err


@pytest.fixture
def status(tmp_path, monkeypatch, capsys):
    """Return a function that returns the output of `snakeseg status` for a log of Snakemake and the log of a job."""
    monkeypatch.chdir(tmp_path)

    def run(snakemake_log: str, job_log: bytes = b"") -> str:
        for path, content in ((".snakemake/log/1.snakemake.log", snakemake_log.encode("utf-8", "surrogatepass")),
                              ("logs/mine/train/plain/fold-0.log", job_log)):  # fmt: skip
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content)
        with limits():
            main(["status", "mine"])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return captured.out + captured.err

    return run


def test_status_shows_control_characters_as_escapes(status):
    started = HEAD.format(host=CODES) + STARTED.format(name="plain", number=1, second=10)
    output = status(
        started + FAILED.format(reason=CODES, log="logs/mine/train/plain/fold-0.log"), f"error: {CODES}\n".encode()
    )
    assert SHOWN in output
    assert not CONTROL.search(output.replace("\n", ""))


@pytest.mark.parametrize(
    "line",
    [
        "[Sat Nov 99 21:05:10 2026]",
        "[Sat Nov 21 99:99:99 2026]",
        "[Sat Nov 21 21:05:10 0001]",
        f"Finished jobid: {'9' * 5000}",
        f"train {'9' * 5000}",
        f"Submitted array job with Snakemake IDs 1,2 and SLURM job ID 7. x are {'9' * 5000}-2.",
        "Trying to restart job 77.",
        "Job 77 has been submitted with SLURM jobid 88 (log: /dev/null).",
        "    jobid: \u0662",
    ],
)
def test_an_invalid_line_is_skipped(line, status):
    log = HEAD.format(host="here") + f"{line}\n" + STARTED.format(name="plain", number=1, second=10) + f"{line}\n"
    assert "train" in status(log)


LONG = 200_000


@pytest.mark.parametrize(
    "text",
    {
        "statuses": "Command '" + "' died with " * (LONG // 12),
        "shown logs": "Logfile x:\n" * LONG,
        "shown logs in each other": "Logfile x:\n====\n" * LONG,
        "an item of many lines": FAILED.format(reason="x\n" + "  y\n" * LONG, log="logs/mine/x.log"),
        "items": "rule a:\n" + "    a: b\n" * LONG,
        "pairs": "rule a:\n    jobid: 1\n    wildcards: " + "a=b, " * LONG + "\n",
        "spaces": " " * LONG + "x",
        "one line": "a" * 10 * LONG,
        "numbers": "Submitted array job with Snakemake IDs " + "1," * LONG + " and SLURM job ID 1. x are 1-2.\n",
    }.items(),
    ids=lambda text: text[0],
)
def test_a_long_log_of_snakemake_is_read_in_one_pass(text):
    with limits():
        read_session((HEAD.format(host="h") + STARTED.format(name="a", number=1, second=1) + text[1]).splitlines())


@pytest.mark.parametrize(
    "text",
    ["error: " + ": found x" * (LONG // 8), "error: " + ": found ; expected" * (LONG // 18), "  A" + "() " * LONG,
     "a " * LONG + ": 1/2, ", "\n" * LONG],
    ids=range(5),
)  # fmt: skip
def test_a_long_log_of_a_job_is_diagnosed_in_one_pass(text):
    with limits():
        assert diagnose(text, [text]).cause
        progress_of(text)


def test_progress_with_too_large_numbers_is_ignored():
    assert progress_of(f"training: {'9' * 5000}/7, 0:00:01 left") is None


def test_a_log_that_is_a_pipe_is_not_read(status, tmp_path):
    log = "logs/mine/train/plain/pipe.log"
    os.makedirs(os.path.dirname(log))
    os.mkfifo(log)
    started = STARTED.format(name="plain", number=1, second=10).replace("logs/mine/train/plain/fold-0.log", log)
    assert "train" in status(HEAD.format(host="here") + started + FAILED.format(reason="", log=log) + FINISHED)


@pytest.mark.parametrize(
    "content",
    [b"s\tmax_rss\n1e999\tinf\n", b"s\tmax_rss\n-inf\tnan\n", b"s\tmax_rss\n\xff\xfe\n", b"s\tmax_rss\n\0\n", b"", b"s",
     b"s\tmax_rss\n" + b"9" * 200_000 + b"\t1\n", b'"', b"s\tmax_rss\n1\t2\t3\t4\n"],
)  # fmt: skip
def test_an_invalid_benchmark_file_gives_at_most_the_smallest_request(content, tmp_path):
    (tmp_path / "b.tsv").write_bytes(content)
    usage = read_usage(tmp_path / "b.tsv")
    assert advise([usage] if usage else []) in ({}, {"mem_mb": 500, "runtime": 5})
