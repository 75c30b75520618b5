"""State files of a training: atomic, skipped with a reason if invalid, one writer at a time."""

import fcntl
import os
import platform
import signal
import threading
import time

import pytest
import torch
from safetensors import SafetensorError

from snakeseg.errors import BadInput
from snakeseg.training import state_files as state_module
from snakeseg.training.state_files import (
    State,
    catch_stop_signals,
    lock,
    read_training_state,
    remove_states,
    write_training_state,
)


def make_state(step):
    return State(step, {"a": torch.full((3,), float(step)), "n": torch.tensor(step)})


def test_the_newest_state_is_read_and_two_are_kept(tmp_path):
    for step in (5, 10, 150):
        write_training_state(tmp_path / "state", "d", make_state(step))
    lines = []
    state = read_training_state(tmp_path / "state", "d", lines.append)
    assert state.step == 150
    assert state.tensors["a"].tolist() == [150.0] * 3
    assert lines == []
    assert sorted(p.name for p in (tmp_path / "state").iterdir()) == ["000000010.safetensors", "000000150.safetensors"]
    remove_states(tmp_path / "state")
    assert not (tmp_path / "state").exists()
    remove_states(tmp_path / "state")


def test_invalid_states_do_not_displace_new_ones(tmp_path):
    """States of other settings with more steps are removed when a new state is written."""
    for step in (900, 1000):
        write_training_state(tmp_path, "old", make_state(step))
    for step in (10, 20):
        write_training_state(tmp_path, "new", make_state(step))
        assert read_training_state(tmp_path, "new", print).step == step
    assert sorted(p.stem for p in tmp_path.iterdir()) == ["000000010", "000000020"]


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"\xff" * 90])
def test_a_damaged_state_is_skipped_and_the_previous_one_is_read(tmp_path, damage):
    write_training_state(tmp_path, "d", make_state(1))
    write_training_state(tmp_path, "d", make_state(2))
    newest = tmp_path / "000000002.safetensors"
    newest.write_bytes(damage(newest.read_bytes()))
    lines = []
    assert read_training_state(tmp_path, "d", lines.append).step == 1
    assert len(lines) == 1
    assert "000000002.safetensors is not used: " in lines[0]


def test_states_of_other_settings_are_skipped(tmp_path):
    write_training_state(tmp_path, "other", make_state(1))
    lines = []
    assert read_training_state(tmp_path, "d", lines.append) is None
    assert "000000001.safetensors is not used: its settings, data or number of threads differ" in lines[0]
    assert read_training_state(tmp_path / "nowhere", "d", lines.append) is None


def test_a_full_disk_leaves_the_previous_state(tmp_path, monkeypatch):
    """A full disk is simulated by an error in the middle of writing."""
    write_training_state(tmp_path, "d", make_state(1))

    def fail(tensors, path, metadata):
        path.write_bytes(b"begun")
        raise SafetensorError("Error while serializing: No space left on device (os error 28)")

    with monkeypatch.context() as patched:
        patched.setattr(state_module, "save_file", fail)
        with pytest.raises(BadInput, match=r"No space left on device.*; expected .* MB .*; free disk space .* step 1"):
            write_training_state(tmp_path, "d", make_state(2))
    assert [p.name for p in tmp_path.iterdir()] == ["000000001.safetensors"]
    write_training_state(tmp_path, "d", make_state(2))
    assert read_training_state(tmp_path, "d", print).step == 2


def test_the_lock_removes_files_of_a_killed_process(tmp_path):
    (tmp_path / "model" / "state").mkdir(parents=True)
    token = "0123456789abcdef"
    leftovers = (f"model/.part-{token}.model.safetensors", f"model/state/.part-{token}.000000005.safetensors")
    for leftover in (*leftovers, "model/.tmpAb12Cd", "model/state/.tmpoprpG0"):  # the last two are names of safetensors
        (tmp_path / leftover).touch()
    with lock(tmp_path / "model", print):
        assert list((tmp_path / "model").iterdir()) == [tmp_path / "model" / "state"]
        assert not list((tmp_path / "model" / "state").iterdir())


def test_repeated_signals_of_a_team_are_recorded():
    with catch_stop_signals(keep_handlers=True) as requested:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert requested() == "SIGTERM"


def test_only_one_process_holds_the_lock(tmp_path):
    """Another process holds the lock; this process waits until it ends."""
    lines, order = [], []
    ready, release = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with lock(tmp_path / "model", lines.append):
            os.write(ready[1], b"x")
            os.read(release[0], 1)
        os._exit(0)
    os.read(ready[0], 1)

    def wait():
        with lock(tmp_path / "model", lines.append):
            order.append("in")

    thread = threading.Thread(target=wait)
    thread.start()
    while not lines and thread.is_alive():
        time.sleep(0.01)
    assert order == []
    assert f"another process trains in {tmp_path / 'model'} (process {child} on " in lines[0]
    os.write(release[1], b"x")
    thread.join(300)
    assert order == ["in"]
    os.waitpid(child, 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_stop_requests_are_recorded(number):
    before = signal.getsignal(number)
    with catch_stop_signals() as requested:
        assert requested() is None
        os.kill(os.getpid(), number)
        assert requested() == signal.Signals(number).name
        assert signal.getsignal(number) == before
    assert signal.getsignal(number) == before


@pytest.fixture
def quick(monkeypatch):
    """Shorten the time limits of the lock."""
    monkeypatch.setattr(state_module, "NO_HOLDER_S", 0.1)
    monkeypatch.setattr(state_module, "LOCK_POLL_S", 0.01)


@pytest.mark.parametrize("holder", ["", f"999999999 {platform.node()}"], ids=["no process", "a dead process"])
def test_waiting_for_a_lock_without_a_training_ends(holder, tmp_path, quick):
    """Any reader of the file can take a shared lock."""
    path = tmp_path / ".model.lock"
    path.write_text(holder, encoding="utf-8")
    lines = []
    with path.open(encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        with (
            pytest.raises(BadInput, match="found a lock that no training holds") as caught,
            lock(tmp_path / "model", lines.append),
        ):
            pass
    assert str(path) in str(caught.value)
    assert len(lines) == 1


def test_a_lock_of_a_dead_process_is_taken(tmp_path):
    (tmp_path / ".model.lock").write_text(f"999999999 {platform.node()}", encoding="utf-8")
    with lock(tmp_path / "model", print):
        assert (tmp_path / ".model.lock").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / ".model.lock").exists()


def test_locks_that_are_links_pipes_or_folders_are_refused(tmp_path):
    """The target of a link is neither locked nor written."""
    target = tmp_path / "precious"
    target.write_text("content", encoding="utf-8")
    (tmp_path / ".a.lock").symlink_to(target)
    os.mkfifo(tmp_path / ".b.lock")
    (tmp_path / ".c.lock").mkdir()
    for name in "abc":
        with pytest.raises(BadInput, match="expected no lock, or one of your own"), lock(tmp_path / name, print):
            pass
    assert target.read_text(encoding="utf-8") == "content"


def test_a_lock_that_its_holder_removes_is_created_again(tmp_path, quick):
    """Processes that wait for the same file never hold the lock at the same time."""
    inside, counts = [], []

    def work():
        for _ in range(20):
            with lock(tmp_path / "model", lambda text: None):
                inside.append(1)
                counts.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(counts) == 1
    assert len(counts) == 80
    assert not (tmp_path / ".model.lock").exists()
