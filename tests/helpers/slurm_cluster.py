"""Start a Slurm cluster of two nodes, each with a simulated GPU, on this machine, in a temporary folder."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

DAEMONS = ("munged", "slurmctld", "slurmd")
NODES = ("one", "two")
SEARCH_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
# Partitions have the names of profiles/slurm. Times are short, so that faults appear at once.
CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MailProg=/bin/true
GresTypes=gpu
KillWait=5
ReturnToService=1
SlurmdParameters=config_overrides
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 Port={one} CPUs=2 RealMemory=64000 Gres=gpu:1 Feature=a100
NodeName=two NodeHostname={host} NodeAddr=127.0.0.1 Port={two} CPUs=2 RealMemory=64000 Gres=gpu:1 Feature=a100
PartitionName=cpu Nodes=one,two Default=YES
PartitionName=gpu Nodes=one,two
"""


def missing_daemons() -> list[str]:
    """Return the daemons that are not installed."""
    return [name for name in DAEMONS if not shutil.which(name, path=SEARCH_PATH)]


class Slurm:
    """The running daemons, and methods that start, stop and command them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = {
            **os.environ,
            "PATH": f"{folder}/bin:{SEARCH_PATH}",
            "SLURM_CONF": str(folder / "slurm.conf"),
        }
        self.running: dict[str, subprocess.Popen] = {}

    def start(self, name: str, *command: str) -> None:
        """Start a daemon under a name, in the foreground; it is killed when this process ends for any reason."""
        with (self.folder / f"{name}.out").open("ab") as log:
            self.running[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command], env=self.environment, stdout=log, stderr=log
            )

    def start_controller(self) -> None:
        self.start("slurmctld", "slurmctld", "-D")

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def run(self, *command: str) -> str:
        """Run a Slurm command and return its output; raise RuntimeError if it fails."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout.strip()

    def cancel_all(self) -> None:
        """Cancel all jobs, and wait until they have ended."""
        self.run("scancel", f"--user={getpass.getuser()}")
        wait_until(lambda: not self.run("squeue", "-h"), 300)

    def jobs(self, rule: str) -> list[str]:
        """Return the ids of the running jobs of a rule."""
        rows = (line.split("|") for line in self.run("squeue", "-h", "-t", "running", "-o", "%i|%k").splitlines())
        return [number for number, comment in rows if comment.startswith(f"rule_{rule}")]


@contextmanager
def slurm() -> Iterator[Slurm]:
    """Start munged, slurmctld and two slurmd; end them and all processes of jobs in any case."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o711)
    cluster = Slurm(folder)
    try:
        _configure(folder)
        cluster.start("munged", "munged", "--foreground", "--force", f"--key-file={folder}/munge.key",
                      f"--socket={folder}/munge.socket", f"--pid-file={folder}/munge.pid",
                      f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed")  # fmt: skip
        wait_until(lambda: (folder / "munge.socket").exists(), 120)
        cluster.start_controller()
        for node in NODES:
            cluster.start(f"slurmd-{node}", "slurmd", "-D", "-N", node)
        wait_until(lambda: _idle_nodes(cluster) == len(NODES), 180)
        yield cluster
    finally:
        with suppress(RuntimeError):
            cluster.run("scancel", f"--user={getpass.getuser()}")
        for name in list(cluster.running)[::-1]:
            cluster.stop(name)
        _kill_processes(cluster)
        shutil.rmtree(folder, ignore_errors=True)


def wait_until(condition: Callable[[], object], seconds: float) -> None:
    """Wait until a condition is true; raise TimeoutError after a number of seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.1)


def _configure(folder: Path) -> None:
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    control, one, two = _free_ports(3)
    host = socket.gethostname().split(".")[0]
    values = {"host": host, "user": getpass.getuser(), "folder": folder, "control": control, "one": one, "two": two}
    (folder / "slurm.conf").write_text(CONFIG.format(**values), encoding="utf-8")
    (folder / "gres.conf").write_text("Name=gpu File=/dev/zero\n", encoding="utf-8")
    # The plugin hides SLURM_CONF from the srun within a job.
    (folder / "bin").mkdir()
    srun = folder / "bin/srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n', encoding="utf-8")
    srun.chmod(0o755)
    for name in ("state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for free in sockets:
        free.bind(("127.0.0.1", 0))
    ports = [free.getsockname()[1] for free in sockets]
    for free in sockets:
        free.close()
    return ports


def _idle_nodes(cluster: Slurm) -> int:
    with suppress(RuntimeError):
        return cluster.run("sinfo", "-h", "-N", "-p", "cpu", "-t", "idle").count("\n") + 1
    return 0


def _kill_processes(cluster: Slurm) -> None:
    """Kill every remaining process whose environment names the configuration of this cluster."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if process.environ().get("SLURM_CONF") == cluster.environment["SLURM_CONF"]:
                os.kill(process.pid, signal.SIGKILL)
