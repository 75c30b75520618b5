"""A crash of the reader process raises an error in the call, and later calls succeed."""

import os
import signal
import threading
import time

import pytest

from snakeseg.io.readers.isolated import call_isolated


def test_calls_run_in_one_other_process():
    assert call_isolated(max, 2, 3) == 3
    assert call_isolated(os.getpid) == call_isolated(os.getpid) != os.getpid()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_crash_raises_an_error_and_the_next_call_succeeds(number):
    with pytest.raises(ValueError, match="its reader crashed"):
        call_isolated(os.kill, call_isolated(os.getpid), number)
    assert call_isolated(max, 2, 3) == 3


def test_timeout_raises_an_error(monkeypatch):
    call_isolated(max, 2, 3)
    monkeypatch.setattr("snakeseg.io.readers.isolated.READER_TIMEOUT_S", 0.5)
    with pytest.raises(ValueError, match="timed out"):
        call_isolated(time.sleep, 60)


def test_errors_of_the_function_are_raised():
    with pytest.raises(ValueError, match="invalid literal"):
        call_isolated(int, "a")
    with pytest.raises(ValueError, match="more memory than is available"):
        call_isolated(bytearray, 2**62)


def test_threads_share_the_process():
    results = {}
    threads = [threading.Thread(target=lambda i=i: results.update({i: call_isolated(max, i, -1)})) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: i for i in range(20)}
