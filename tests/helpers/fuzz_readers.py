"""Run every reader on mutated files; any result other than an image or BadInput is a failure.

`python tests/helpers/fuzz_readers.py --seconds 600` divides the time among the readers, and prints the number of inputs
and results of each; `tests/io/test_fuzz.py` runs for a few seconds. Inputs are mutated from generated files of every
layout, and from real files if their folder exists (see `tests/conftest.py`). The same seed gives the same inputs. Each
reader runs in a separate process of limited memory; the current input is a file, which remains after a crash.
"""

import argparse
import collections
import ctypes
import gzip
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
from fuzz_seeds import READERS, Reader

from snakeseg.errors import BadInput, BadInputs
from snakeseg.io.readers import isolated

# Limits for one input: processor time and elapsed time.
MAX_CPU_S, MAX_WALL_S = 10, 120
# Inputs of each reader, even if the time is over.
MIN_INPUTS = 20
# Address space of a reader, above that of the process at its start.
MAX_MEMORY_GB = 3
# Values near the limits of integer types.
NUMBERS = [
    0,
    1,
    2,
    7,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
]
TOKENS = [
    b"null", b"true", b"-1", b"0", b"1e999", b"NaN", b"99999999999999999999", b"[]", b"{}", b'""', b"'", b'"', b"\t",
    b"\n", b"\r\n", b"\0", b",", b";", b":", b"..", b"/", b"\xef\xbb\xbf", b"\xff", b"&a", b"*a", b"<", b"&#0;",
]  # fmt: skip


def mutated(content: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    """Apply up to five random changes: bits, bytes, limits of integers, tokens, and cut, doubled or replaced parts."""
    out = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        # Sizes are in headers, near the start.
        end = max(1, min(len(out), 600)) if rng.random() < 0.6 else max(1, len(out))
        at, size = int(rng.integers(end)), int(rng.geometric(0.1))
        match int(rng.integers(8)):
            case 0 if out:
                out[at] ^= 1 << int(rng.integers(8))
            case 1 if out:
                out[at] = int(rng.integers(256))
            case 2:
                width, order = int(rng.choice([1, 2, 4, 8])), "<" if rng.random() < 0.7 else ">"
                number = NUMBERS[int(rng.integers(len(NUMBERS)))] % 2 ** (8 * width)
                out[at : at + width] = number.to_bytes(width, "little" if order == "<" else "big")
            case 3:
                out[at : at + size] = b""
            case 4:
                out[at:at] = out[at : at + size]
            case 5:
                out[at : at + (size if rng.random() < 0.5 else 0)] = TOKENS[int(rng.integers(len(TOKENS)))]
            case 6:
                del out[at:]
            case _:
                other = others[int(rng.integers(len(others)))]
                start = int(rng.integers(max(1, len(other))))
                out[at : at + size] = other[start : start + size]
    return bytes(out)


def inputs(seeds: Path, reader: Reader, seed: int) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Generate inputs without end: the name of a file or folder, and its files, one of them mutated."""
    tops = sorted(path for path in seeds.iterdir() if path.suffix != ".raw")
    content = {path: path.read_bytes() for path in sorted(seeds.rglob("*")) if path.is_file()}
    for number in range(2**62):
        rng = np.random.default_rng([seed, number])
        top = tops[int(rng.integers(len(tops)))]
        files = [path for path in content if path == top or top in path.parents or path.suffix == ".raw"]
        changed = files[int(rng.integers(len(files)))]
        contents = {str(path.relative_to(seeds)): content[path] for path in files}
        unpacked = changed.suffix == ".gz" and rng.random() < 0.7
        before = gzip.decompress(content[changed]) if unpacked else content[changed]
        after = mutated(before, rng, list(content.values()))
        after = gzip.compress(after, 1) if unpacked else after
        repaired = reader.repair(after) if reader.repair and rng.random() < 0.7 else after
        contents[str(changed.relative_to(seeds))] = repaired
        yield top.name, contents


def fuzz(name: str, seconds: float, seed: int, folder: Path) -> dict:
    """Run one reader in this process; return counts, failures, the slowest time and the peak of memory."""
    reader, work, seeds = READERS[name], folder / "work", folder / "seeds"
    seeds.mkdir(parents=True)
    reader.seeds(seeds)
    limit_process()
    counts, failures, slowest = collections.Counter(), {}, 0.0
    end = time.monotonic() + seconds
    for number, (top, files) in enumerate(inputs(seeds, reader, seed)):
        if time.monotonic() > end and number >= MIN_INPUTS:
            break
        shutil.rmtree(work, ignore_errors=True)
        for path, content in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_bytes(content)
        started = time.monotonic()
        outcome, failure = outcome_of(lambda top=top: reader.read(work / top))
        slowest = max(slowest, time.monotonic() - started)
        counts[outcome] += 1
        if failure and failure not in failures:
            failures[failure] = f"input {number} of seed {seed}, {top}"
            shutil.copytree(work, folder / f"failure-{number}")
    return {"counts": dict(counts), "failures": failures, "slowest": slowest, "peak": peak_megabytes()}


def outcome_of(read: Callable[[], object]) -> tuple[str, str]:
    """Call a reader; return "read", "refused" or "failed", and the cause and place of a failure."""

    def interrupt(*_):
        raise KeyboardInterrupt  # readers do not catch it as damage

    signal.signal(signal.SIGALRM, interrupt)
    signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, MAX_CPU_S)
    signal.alarm(MAX_WALL_S)
    try:
        read()
    except (BadInput, BadInputs) as error:
        return ("failed", str(error)[:200]) if "more in one piece than" in str(error) else ("refused", "")
    except KeyboardInterrupt:
        return "failed", f"more than {MAX_CPU_S} seconds of processor time, or {MAX_WALL_S} in all: {place()}"
    except Exception as error:
        return "failed", f"{type(error).__name__} {str(error)[:100]}: {place()}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    return "read", ""


def place() -> str:
    """Return the last line of this project in the traceback of the current error."""
    sources = ("src/snakeseg/", "tests/helpers/fuzz_seeds")
    lines = [line for line in traceback.format_exc().splitlines() if any(name in line for name in sources)]
    return lines[-1].strip() if lines else "elsewhere"


def limit_process() -> None:
    """Limit memory and time of this process, report 2 GB of memory to the readers, and silence their messages."""
    isolated.READER_TIMEOUT_S = MAX_CPU_S / 5
    in_use = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (in_use + MAX_MEMORY_GB * 2**30, resource.RLIM_INFINITY))
    whole = psutil.virtual_memory()
    psutil.virtual_memory = lambda: whole._replace(total=2 * 2**30)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")


def peak_megabytes() -> float:
    """Return the peak of this process's memory in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def run(name: str, seconds: float, seed: int, folder: Path) -> dict:
    """Run `fuzz` in a separate process; report its death as a failure."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(False)

    def work() -> None:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # the process ends with its parent
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)  # suppress the output of libraries
        os.dup2(null, 1)
        sender.send(fuzz(name, seconds, seed, folder))

    process = context.Process(target=work)
    process.start()
    sender.close()
    try:
        result = receiver.recv() if receiver.poll(seconds + 2 * MAX_WALL_S) else None
    except EOFError:
        result = None
    process.kill() if result is None and process.is_alive() else process.join()
    process.join()
    if result is None:
        kept = folder.with_name(f"{folder.name}-died")
        shutil.copytree(folder, kept)
        failure = {f"the process died ({process.exitcode}) or hung": str(kept)}
        return {"counts": {"failed": 1}, "failures": failure, "slowest": 0, "peak": 0}
    return result


def main() -> int:
    """Fuzz the readers one after another; return 1 if any failed."""
    parser = argparse.ArgumentParser(description="Run every reader on mutated files.")
    parser.add_argument("--seconds", type=float, default=600, help="for all readers together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", nargs="+", default=list(READERS), choices=list(READERS))
    parser.add_argument("--keep", type=Path, help="folder for inputs that failed")
    args = parser.parse_args()
    failed = 0
    print(f"{'reader':10} {'inputs':>8} {'read':>8} {'refused':>8} {'failures':>8} {'slowest, s':>11} {'peak, MB':>9}")
    for name in args.reader:
        folder = (args.keep or Path(tempfile.mkdtemp())) / name
        result = run(name, args.seconds / len(args.reader), args.seed, folder)
        counts, failures = result["counts"], result["failures"]
        row = [sum(counts.values()), counts.get("read", 0), counts.get("refused", 0), counts.get("failed", 0)]
        numbers = "".join(f"{number:9d}" for number in row)
        print(f"{name:10}{numbers} {result['slowest']:11.2f} {result['peak']:9.0f}", flush=True)
        for failure, source in failures.items():
            print(f"    {failure}  ({source})", flush=True)
        failed += len(failures)
        if not failures and args.keep is None:
            shutil.rmtree(folder.parent)
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
