"""Check write access, free space, locks, clocks and speed of the file system of the working folder."""

import errno
import fcntl
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from snakeseg.monitor.doctor.check import Check, graded

# Folders that Snakemake and its jobs write to.
FOLDERS = ("results", "logs", "benchmarks", ".snakemake")
BYTES_PER_GB = 1e9
# Number of repetitions of the latency measurement, and of files in the measurement of many files.
WRITES, FILES = 20, 200


def check_disk(folder: Path) -> Iterator[Check]:
    """Run all checks of a working folder; those that write files only if it is writable."""
    access = check_access(folder)
    yield access
    yield check_space(folder)
    yield check_inodes(folder)
    if access.verdict == "ok":
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as scratch:
            yield check_lock(Path(scratch))
            yield check_clock(Path(scratch))
            yield check_latency(Path(scratch))
            yield check_many_files(Path(scratch))


def check_access(folder: Path) -> Check:
    """Check that files can be created in the working folder and in the existing folders of a run."""
    errors = []
    for path in (folder, *(folder / name for name in FOLDERS if (folder / name).exists())):
        try:
            with tempfile.TemporaryFile(dir=path) as file:
                file.write(b"x")
        except OSError as error:
            errors.append(f"{path} ({os.strerror(error.errno or 0)})")
    if errors:
        return Check(
            "write access", "problem", f"cannot write to {', '.join(errors)}",
            "change the permissions (chmod u+w), or run in another folder",
        )  # fmt: skip
    return Check("write access", "ok", str(folder.resolve()))


def check_space(folder: Path) -> Check:
    """Check the free space."""
    free = shutil.disk_usage(folder).free / BYTES_PER_GB
    return graded(
        "free space", -free, -20, -2, f"{free:.1f} GB",
        "delete files, or use another disk; a quota may allow less than this",
    )  # fmt: skip


def check_inodes(folder: Path) -> Check:
    """Check the number of further files (inodes), if the file system limits it."""
    status = os.statvfs(folder)
    if not status.f_files:
        return Check("files allowed", "ok", "the file system reports no limit")
    return graded(
        "files allowed", -status.f_favail, -100_000, -5_000, f"{status.f_favail} more",
        "delete files, or have the quota raised",
    )  # fmt: skip


def check_lock(scratch: Path) -> Check:
    """Check that files can be locked; a training locks its folder, so that no other training writes to it."""
    with (scratch / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return Check(
                "file locks", "problem", f"cannot lock files ({os.strerror(error.errno or errno.ENOLCK)})",
                "use another file system, or have this one mounted with locks",
            )  # fmt: skip
    return Check("file locks", "ok", "files can be locked")


def check_clock(scratch: Path) -> Check:
    """Compare the clocks of this machine and of the file server; Snakemake compares modification times."""
    before = time.time()
    (scratch / "clock").write_text("x", encoding="utf-8")
    written, after = (scratch / "clock").stat().st_mtime, time.time()
    difference = max(before - written, written - after, 0)
    return graded(
        "clocks", difference, 2, 60, f"{difference:.1f} s apart",
        "have the clocks synchronised (NTP); otherwise Snakemake runs finished jobs again",
    )  # fmt: skip


def check_latency(scratch: Path) -> Check:
    """Measure the time to write, flush, rename and delete a small file."""
    milliseconds = 1000 * statistics.median(
        _timed(lambda i=i: _write_and_delete(scratch / f"w{i}")) for i in range(WRITES)
    )
    return graded(
        "latency", milliseconds, 50, 2000, f"{milliseconds:.1f} ms to write, flush, rename and delete a small file",
        "use a scratch file system, and raise latency-wait in the profile",
    )  # fmt: skip


def check_many_files(scratch: Path) -> Check:
    """Measure the time per file to create, list and delete many files."""
    folder = scratch / "many"
    milliseconds = 1000 * _timed(lambda: _create_and_delete_many(folder)) / FILES
    return graded(
        "cost of files", milliseconds, 5, 100, f"{milliseconds:.2f} ms per file to create, list and delete {FILES}",
        "use larger batches (column batch of the sheet), which create fewer files",
    )  # fmt: skip


def _timed(action: Callable[[], None]) -> float:
    """Return the seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _write_and_delete(path: Path) -> None:
    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb") as file:
        file.write(b"x" * 4096)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    path.stat()
    path.unlink()


def _create_and_delete_many(folder: Path) -> None:
    folder.mkdir()
    for index in range(FILES):
        (folder / str(index)).write_bytes(b"x")
    for path in folder.iterdir():
        path.stat()
        path.unlink()
    folder.rmdir()
