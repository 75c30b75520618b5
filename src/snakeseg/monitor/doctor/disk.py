"""Write access, space and speed of the file system that a run would write to, by small measurements."""

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

# Where Snakemake and its jobs write.
FOLDERS = ("results", "logs", "benchmarks", ".snakemake")
GIGABYTE = 1e9
WRITES, FILES = 20, 200


def check_disk(folder: Path) -> Iterator[Check]:
    """All checks of a working folder; speed is measured only where it can be written to."""
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
    """If files can be made in a folder, and in those of a run that are there."""
    refused = []
    for path in (folder, *(folder / name for name in FOLDERS if (folder / name).exists())):
        try:
            with tempfile.TemporaryFile(dir=path) as file:
                file.write(b"x")
        except OSError as error:
            refused.append(f"{path} ({os.strerror(error.errno or 0)})")
    if refused:
        return Check("write access", "problem", f"none to {', '.join(refused)}", "change the permissions or the folder")
    return Check("write access", "ok", str(folder.resolve()))


def check_space(folder: Path) -> Check:
    """Free bytes."""
    free = shutil.disk_usage(folder).free / GIGABYTE
    return graded("free space", -free, -20, -2, f"{free:.1f} GB", "free some; a quota may allow less than this")


def check_inodes(folder: Path) -> Check:
    """How many more files there may be, where the file system counts them."""
    told = os.statvfs(folder)
    if not told.f_files:
        return Check("files allowed", "ok", "no limit told")
    return graded(
        "files allowed", -told.f_favail, -100_000, -5_000, f"{told.f_favail} more", "delete some, or raise the quota"
    )


def check_lock(scratch: Path) -> Check:
    """If files can be locked: trainings do, so that no two write to one folder."""
    with (scratch / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return Check(
                "file locks", "problem", f"none ({os.strerror(error.errno or errno.ENOLCK)})",
                "use another file system, or have it mounted with locks",
            )  # fmt: skip
    return Check("file locks", "ok", "they work")


def check_clock(scratch: Path) -> Check:
    """How far the file server's clock is from this machine's: Snakemake compares files' times."""
    before = time.time()
    (scratch / "clock").write_text("x", encoding="utf-8")
    written, after = (scratch / "clock").stat().st_mtime, time.time()
    apart = max(before - written, written - after, 0)
    return graded("clocks", apart, 2, 60, f"{apart:.1f} s apart", "have the clocks set (NTP), or jobs are rerun")


def check_latency(scratch: Path) -> Check:
    """The time to write a small file, flush, rename, look at and delete it."""
    milliseconds = 1000 * statistics.median(_timed(lambda i=i: _write_whole(scratch / f"w{i}")) for i in range(WRITES))
    return graded(
        "latency", milliseconds, 50, 2000, f"{milliseconds:.1f} ms to write, flush, rename and delete a small file",
        "use a scratch file system, and raise latency-wait in the profile",
    )  # fmt: skip


def check_many_files(scratch: Path) -> Check:
    """The time that each of many files costs: to make, list, look at and delete."""
    folder = scratch / "many"
    milliseconds = 1000 * _timed(lambda: _many(folder)) / FILES
    return graded(
        "cost of files", milliseconds, 5, 100, f"{milliseconds:.2f} ms for each of {FILES}",
        "use larger batches (the sheet's column batch): they make fewer files",
    )  # fmt: skip


def _timed(act: Callable[[], None]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def _write_whole(path: Path) -> None:
    beside = path.with_name(f".{path.name}")
    with beside.open("wb") as file:
        file.write(b"x" * 4096)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    path.stat()
    path.unlink()


def _many(folder: Path) -> None:
    folder.mkdir()
    for index in range(FILES):
        (folder / str(index)).write_bytes(b"x")
    for path in folder.iterdir():
        path.stat()
        path.unlink()
    folder.rmdir()
