"""Progress: all items are yielded, and lines report the state at intervals."""

import io
import sys

import pytest

from snakeseg import progress as module
from snakeseg.progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Replace the clock by one that the test sets."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_all_items_are_yielded(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream())
    assert list(progress(iter("abc"), 3, "reading")) == ["a", "b", "c"]
    assert "reading" in sys.stderr.getvalue()


def test_items_are_drawn_one_at_a_time():
    drawn = []
    work = progress((drawn.append(i) or i for i in range(5)), 5, "x")
    next(work)
    assert drawn == [0]


def test_a_line_is_printed_every_quarter_minute_and_at_the_end(capsys, clock):
    """Half of the work done after 30 s leaves 30 s."""
    for item in progress(range(12), 12, "training", lambda: "loss 0.5"):
        clock[0] = 5.0 * (item + 1)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"training: {n}/12, 0:00:{60 - 5 * n:02d} left loss 0.5" for n in (3, 6, 9, 12)]


def test_quick_work_prints_one_line(capsys, clock):
    list(progress(range(1000), 1000, "checking"))
    assert capsys.readouterr().err == "checking: 1000/1000, 0:00:00 left\n"


def test_no_items_print_nothing(capsys):
    assert list(progress([], 0, "checking")) == []
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05"), (90000, "25:00:00")]
)
def test_seconds_are_printed_as_hours_minutes_and_seconds(seconds, text):
    assert module.clock(seconds) == text


def test_standard_output_stays_clean(capsys):
    list(progress(range(3), 3, "x"))
    assert capsys.readouterr().out == ""
