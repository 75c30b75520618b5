"""A training of several processes is protected from other users of the machines."""

import json
import os
import re
import socket
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import torch.distributed as dist
import torch.multiprocessing as mp
from team_training import WORLD, list_listeners, run_team, send_lengths, send_pickle, share_texts, train

from snakeseg.errors import BadInput
from snakeseg.training.rendezvous import Announcement, open_store, step_file

pytestmark = pytest.mark.slow
STEP = {"SLURM_JOB_ID": "77", "SLURM_STEP_ID": "0"}


@pytest.fixture
def another_interface(monkeypatch):
    """Set the network interface of gloo to one that other machines reach, as a site may do."""
    names = [name for name, state in psutil.net_if_stats().items() if state.isup and not name.startswith("lo")]
    if names:
        monkeypatch.setenv("GLOO_SOCKET_IFNAME", names[0])


def listeners(folder: Path) -> set[str]:
    """Return the addresses that the processes of a team listened on."""
    return {a for rank in range(WORLD) for a in json.loads((folder / f"listeners-{rank}.json").read_text("utf-8"))}


@pytest.mark.usefixtures("another_interface")
def test_a_team_on_this_machine_listens_on_loopback_alone(tmp_path):
    run_team(WORLD, 0, None, list_listeners, tmp_path)
    assert listeners(tmp_path) == {"127.0.0.1"}


@pytest.mark.usefixtures("another_interface")
def test_a_team_that_srun_starts_on_one_node_listens_on_loopback_alone(tmp_path):
    """This holds even if another program listens on the port that earlier versions derived from the job's number."""
    code = f"""
from pathlib import Path
from snakeseg.training.distributed import run_together
from team_training import list_listeners
run_together({WORLD}, 0, Path({str(tmp_path)!r}), list_listeners, Path({str(tmp_path)!r}))
"""
    step = {"SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1", "SLURM_STEP_NUM_NODES": "1", "SLURM_STEP_NUM_TASKS": str(WORLD)}
    environment = {**os.environ, **STEP, **step, "PYTHONPATH": os.pathsep.join(sys.path)}
    # Each process has its own parent, which listens on nothing, unlike the process of these tests.
    command = ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, code]
    with ExitStack() as stack:
        with suppress(OSError):  # the port is in use
            stack.enter_context(socket.create_server(("127.0.0.1", 20_077)))
        children = [
            subprocess.Popen(command, env=environment | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank})
            for rank in map(str, range(WORLD))
        ]
        try:
            assert [child.wait(300) for child in children] == [0, 0]
        finally:
            for child in children:
                child.kill()
    assert listeners(tmp_path) == {"127.0.0.1"}
    assert not list(tmp_path.glob("*.rendezvous*"))


def test_messages_of_rank_0_are_not_unpickled(tmp_path):
    canary = tmp_path / "exploded"
    with pytest.raises(Exception, match="codec can't decode"):
        run_team(WORLD, 0, None, send_pickle, str(canary))
    assert not canary.exists()


def test_the_length_of_a_text_is_bounded(tmp_path):
    lengths = [-1, 4097, 2**62]
    run_team(WORLD, 0, None, send_lengths, lengths, tmp_path)
    errors = json.loads((tmp_path / "errors-1.json").read_text("utf-8"))
    assert len(errors) == len(lengths)
    for length, error in zip(lengths, errors, strict=True):
        assert f"rank 0: found a text of {length} bytes; expected at most 4096 bytes; " in error


def test_texts_and_decisions_of_rank_0_arrive_unchanged(tmp_path):
    texts = ["", "True", "µ → 細胞" * 200]
    run_team(WORLD, 0, None, share_texts, tmp_path, texts)
    received = [json.loads((tmp_path / f"received-{rank}.json").read_text("utf-8")) for rank in range(WORLD)]
    assert received == [[texts, [True, False]]] * WORLD


def test_no_module_exchanges_objects(repository):
    """All collectives of torch that take objects unpickle what they receive."""
    for path in repository.glob("src/snakeseg/**/*.py"):
        assert not re.search(r"(broadcast|gather|scatter|send|recv)_object", path.read_text("utf-8")), path


def test_tracebacks_are_unpickled_from_a_private_folder(tmp_path, monkeypatch):
    """torch publishes the names of their files, and unpickles their content if a process fails."""
    modes, start_processes = set(), mp.start_processes

    def record(*arguments, **options):
        context = start_processes(*arguments, **options)
        modes.update(stat.S_IMODE(Path(name).parent.stat().st_mode) for name in context.error_files)
        return context

    monkeypatch.setattr(mp, "start_processes", record)
    before = tempfile.tempdir
    with pytest.raises(Exception, match="rank 1 fails"):
        run_team(WORLD, 0, None, train, tmp_path, 1)
    assert modes == {0o700}
    assert tempfile.tempdir == before


def test_an_announcement_is_private_and_removed_after_the_meeting(tmp_path):
    path, modes = tmp_path / "meeting", []

    def follow():
        while not path.exists():
            pass
        modes.append(stat.S_IMODE(path.stat().st_mode))
        return open_store(path, 1, 2, "127.0.0.1", 120)

    with ThreadPoolExecutor() as pool:
        other = pool.submit(follow)
        store = open_store(path, 0, 2, "127.0.0.1", 120)
        store.set("key", "value")
        assert other.result().get("key") == b"value"
    assert modes == [0o600]
    assert not list(tmp_path.iterdir())


def test_every_attempt_has_its_own_announcement(tmp_path, monkeypatch):
    paths = set()
    for job, step, restarts in [("77", "0", None), ("77", "1", None), ("78", "0", None), ("77", "0", "1")]:
        monkeypatch.setenv("SLURM_JOB_ID", job)
        monkeypatch.setenv("SLURM_STEP_ID", step)
        if restarts:
            monkeypatch.setenv("SLURM_RESTART_CNT", restarts)
        paths.add(step_file(tmp_path))
    assert len(paths) == 4
    # The next training removes what a killed one left (snakeseg.training.state_files.lock).
    assert all(path.match(".[0-9]*") for path in paths)


def announce(path: Path, announcement: Announcement, mode: int = 0o600) -> None:
    path.write_text(json.dumps(announcement), encoding="utf-8")
    path.chmod(mode)


def test_another_program_on_the_port_of_rank_0_is_detected(tmp_path):
    """The other program accepts connections, but cannot answer the challenge."""
    path = tmp_path / "meeting"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = dist.TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=120))
    store.set("answer 1", "0" * 64)
    announce(path, Announcement("127.0.0.1", port, "secret"))
    with pytest.raises(
        BadInput, match=rf"train.processes: found another program at port {port} of 127.0.0.1; expected "
    ):
        open_store(path, 1, 2, "127.0.0.1", 120)


@pytest.mark.parametrize("mode", [0o644, 0o620])
def test_announcements_that_others_can_read_or_write_are_refused(tmp_path, mode):
    path = tmp_path / "meeting"
    announce(path, Announcement("127.0.0.1", 1, "secret"), mode)
    with pytest.raises(BadInput, match=rf"found a file of user \d+ with permissions {mode:o}; expected one that only"):
        open_store(path, 1, 2, "127.0.0.1", 5)


@pytest.mark.parametrize("make_file", [lambda path: path.symlink_to("/etc/passwd"), os.mkfifo], ids=["link", "pipe"])
def test_announcements_that_are_links_or_pipes_are_refused(tmp_path, make_file):
    make_file(tmp_path / "meeting")
    with pytest.raises(BadInput, match=r"meeting: found a file .*; expected one that only user"):
        open_store(tmp_path / "meeting", 1, 2, "127.0.0.1", 5)


def test_waiting_for_missing_processes_ends_with_an_error(tmp_path):
    """One line states how many processes connected, or which file is missing."""
    with pytest.raises(
        BadInput, match=r"^train.processes: found 1 of 2 processes after 0.5 s; expected all processes; .*$"
    ):
        open_store(tmp_path / "meeting", 0, 2, "127.0.0.1", 0.5)
    assert not list(tmp_path.iterdir())
    with pytest.raises(
        BadInput, match=r"^\S+meeting: found no such file after 0.5 s; expected the address of rank 0; .*$"
    ):
        open_store(tmp_path / "meeting", 1, 2, "127.0.0.1", 0.5)
