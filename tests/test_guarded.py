"""A process that dies of a file takes nothing with it."""

import os
import signal
import threading
import time

import pytest

from snakeseg.io.guarded import guarded


def test_answers_come_from_one_other_process():
    assert guarded(max, 2, 3) == 3
    assert guarded(os.getpid) == guarded(os.getpid) != os.getpid()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_is_an_error_and_the_next_one_is_served(number):
    with pytest.raises(ValueError, match="its reader crashed"):
        guarded(os.kill, guarded(os.getpid), number)
    assert guarded(max, 2, 3) == 3


def test_no_end_is_an_error(monkeypatch):
    guarded(max, 2, 3)
    monkeypatch.setattr("snakeseg.io.guarded.TIMEOUT_S", 0.5)
    with pytest.raises(ValueError, match="came to no end"):
        guarded(time.sleep, 60)


def test_errors_are_handed_on():
    with pytest.raises(ValueError, match="invalid literal"):
        guarded(int, "a")
    with pytest.raises(ValueError, match="more memory than there is"):
        guarded(bytearray, 2**62)


def test_threads_take_turns():
    found = {}
    threads = [threading.Thread(target=lambda i=i: found.update({i: guarded(max, i, -1)})) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: i for i in range(20)}
