"""Run Snakemake and the commands of the package in processes forked from a server, in a tenth of the time.

The server has imported all modules. A script `python` in a folder for PATH connects to it; for every call of
`python -m snakemake`, and of `python -m snakeseg` of this package, the server forks a process. The process has the
working folder, environment and standard streams of the caller, and the caller exits with its status. Processes that a
test kills, `make demo` and the jobs of Slurm are started in the ordinary way; their results have the same bytes
(tests/slurm/test_same_bytes.py).
"""

import array
import atexit
import gc
import json
import os
import pkgutil
import runpy
import select
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "src"
# Modules that the package imports within functions, and that most runs need.
LATE = ("matplotlib.backends.backend_agg", "monai.losses", "monai.networks.nets", "nibabel", "psutil", "snakemake.cli",
        "tifffile.zarr", "torch._dynamo", "torch.utils.flop_counter", "zarr")  # fmt: skip
PYTHON = """#!{python} -SE
import array, json, os, socket, sys
package = os.environ.get("PYTHONPATH", "").split(":")[0] == {sources!r}
if sys.argv[1:3] != ["-m", "snakemake"] and not (package and sys.argv[1:3] == ["-m", "snakeseg"]):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    call = json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode()
    server.sendmsg([len(call).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", range(3)))])
    server.sendall(call)
    sys.exit(int(server.recv(9) or 1))
"""


@contextmanager
def forked_programs() -> Iterator[Path]:
    """Start the server, and yield the folder of its `python`; the server ends with this process."""
    with tempfile.TemporaryDirectory(prefix="python-") as folder:
        address, python = f"{folder}/server", Path(folder, "python")
        values = {"python": sys.executable, "sources": str(SOURCES), "address": address}
        python.write_text(PYTHON.format(**values), encoding="utf-8")
        python.chmod(0o755)
        server = subprocess.Popen(
            [sys.executable, "-P", __file__, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": f"{SOURCES}:{os.environ.get('PYTHONPATH', '')}"},
        )  # fmt: skip
        assert server.stdout.readline() == "ready\n"
        yield Path(folder)
        server.stdin.close()
        server.wait()


def serve(address: str) -> None:
    """Fork a process for every connection, until standard input ends."""
    for module in pkgutil.walk_packages(import_module("snakeseg").__path__, "snakeseg."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    for name in LATE:
        import_module(name)
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(100)
        print("ready", flush=True)
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                handle_call(connection)
            connection.close()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def handle_call(connection: socket.socket) -> None:
    """Run a call in a child process, send its exit status to the caller, and exit."""
    length, ancillary, *_ = connection.recvmsg(4, socket.CMSG_SPACE(12), socket.MSG_WAITALL)
    streams = array.array("i", ancillary[0][2])
    call = json.loads(connection.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL))
    child = os.fork()
    if child == 0:
        connection.close()
        run(*call, streams)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(str(status % 256).encode())
    os._exit(0)


def run(arguments: list[str], folder: str, environment: dict[str, str], streams: array.array) -> None:
    """Run a module as `python -m` does, but exit without the cleanup of modules, which takes longer than most calls."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    sys.argv = arguments
    if arguments[0] == "snakemake":  # the workflow imports what it needs of the package
        for name in [name for name in sys.modules if name.partition(".")[0] == "snakeseg"]:
            del sys.modules[name]
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1])
