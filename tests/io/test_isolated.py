"""A crash of the separate process is an error of the call, and later calls succeed."""

import os
import signal
import threading
import time

import pytest

from snakeseg.io.readers.isolated import call_isolated


def test_answers_come_from_one_other_process():
    assert call_isolated(max, 2, 3) == 3
    assert call_isolated(os.getpid) == call_isolated(os.getpid) != os.getpid()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_is_an_error_and_the_next_one_is_served(number):
    with pytest.raises(ValueError, match="its reader crashed"):
        call_isolated(os.kill, call_isolated(os.getpid), number)
    assert call_isolated(max, 2, 3) == 3


def test_no_end_is_an_error(monkeypatch):
    call_isolated(max, 2, 3)
    monkeypatch.setattr("snakeseg.io.readers.isolated.TIMEOUT_S", 0.5)
    with pytest.raises(ValueError, match="timed out"):
        call_isolated(time.sleep, 60)


def test_errors_are_handed_on():
    with pytest.raises(ValueError, match="invalid literal"):
        call_isolated(int, "a")
    with pytest.raises(ValueError, match="more memory than is available"):
        call_isolated(bytearray, 2**62)


def test_threads_take_turns():
    found = {}
    threads = [threading.Thread(target=lambda i=i: found.update({i: call_isolated(max, i, -1)})) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: i for i in range(20)}
