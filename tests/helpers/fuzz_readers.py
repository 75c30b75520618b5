"""Every reader on mutated files: whatever comes of it, other than an image or a clean error, is a failure.

`python tests/helpers/fuzz_readers.py --seconds 600` shares the time out among the readers, and prints what each was
given and what it made of it; `tests/io/test_fuzz.py` does so for seconds. It starts from real files, where their folder
is there (see `tests/conftest.py`), and from made ones of every layout. The same seed makes the same inputs. Each reader
works in a process of its own, whose memory is limited; the input under work is in a file, which a crash leaves behind.
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

# Of work for one input, and of waiting beside other work; inputs at least, however slow the machine is.
SECONDS_EACH, WAITING, LEAST = 10, 120, 20
GIGABYTES = 3
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
    """A few changes: single bits and bytes, numbers at the edge of their type, pieces cut, doubled and exchanged."""
    out = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        # Headers are where sizes are.
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
    """Without end: the name of a file or folder, and its files after a change of one of them."""
    tops = sorted(path for path in seeds.iterdir() if path.suffix != ".raw")
    content = {path: path.read_bytes() for path in sorted(seeds.rglob("*")) if path.is_file()}
    for number in range(2**62):
        rng = np.random.default_rng([seed, number])
        top = tops[int(rng.integers(len(tops)))]
        files = [path for path in content if path == top or top in path.parents or path.suffix == ".raw"]
        changed = files[int(rng.integers(len(files)))]
        found = {str(path.relative_to(seeds)): content[path] for path in files}
        unpacked = changed.suffix == ".gz" and rng.random() < 0.7
        before = gzip.decompress(content[changed]) if unpacked else content[changed]
        after = mutated(before, rng, list(content.values()))
        after = gzip.compress(after, 1) if unpacked else after
        found[str(changed.relative_to(seeds))] = reader.repair(after) if reader.repair and rng.random() < 0.7 else after
        yield top.name, found


def fuzz(name: str, seconds: float, seed: int, folder: Path) -> dict:
    """Run one reader in this process; counts, and all failures."""
    reader, work, seeds = READERS[name], folder / "work", folder / "seeds"
    seeds.mkdir(parents=True)
    reader.seeds(seeds)
    limit()
    counts, failures, slowest = collections.Counter(), {}, 0.0
    end = time.monotonic() + seconds
    for number, (top, files) in enumerate(inputs(seeds, reader, seed)):
        if time.monotonic() > end and number >= LEAST:
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
    return {"counts": dict(counts), "failures": failures, "slowest": slowest, "peak": peak()}


def outcome_of(read: Callable[[], object]) -> tuple[str, str]:
    """What comes of reading: "read", "refused" or "failed"; and of failures where they came from."""

    def late(*_):
        raise KeyboardInterrupt  # which no reader takes for damage

    signal.signal(signal.SIGALRM, late)
    signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, SECONDS_EACH)
    signal.alarm(WAITING)
    try:
        read()
    except (BadInput, BadInputs) as error:
        return ("failed", str(error)[:200]) if "more in one piece than" in str(error) else ("refused", "")
    except KeyboardInterrupt:
        return "failed", f"more than {SECONDS_EACH} seconds of work, or {WAITING} in all: {place()}"
    except Exception as error:
        return "failed", f"{type(error).__name__} {str(error)[:100]}: {place()}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    return "read", ""


def place() -> str:
    """The last lines of ours that an error came through."""
    ours = ("src/snakeseg/", "tests/fuzz_seeds")
    lines = [line for line in traceback.format_exc().splitlines() if any(name in line for name in ours)]
    return lines[-1].strip() if lines else "elsewhere"


def limit() -> None:
    """No more than a few gigabytes, and to readers the machine has as many; a reader without end is ended early."""
    isolated.TIMEOUT_S = SECONDS_EACH / 5
    held = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (held + GIGABYTES * 2**30, resource.RLIM_INFINITY))
    whole = psutil.virtual_memory()
    psutil.virtual_memory = lambda: whole._replace(total=2 * 2**30)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")


def peak() -> float:
    """Megabytes held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def run(name: str, seconds: float, seed: int, folder: Path) -> dict:
    """As `fuzz`, in a process of its own; one that dies is a failure."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(False)

    def work() -> None:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # ends with whoever started it
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)  # libraries have much to say
        os.dup2(null, 1)
        sender.send(fuzz(name, seconds, seed, folder))

    process = context.Process(target=work)
    process.start()
    sender.close()
    try:
        found = receiver.recv() if receiver.poll(seconds + 2 * WAITING) else None
    except EOFError:
        found = None
    process.kill() if found is None and process.is_alive() else process.join()
    process.join()
    if found is None:
        kept = folder.with_name(f"{folder.name}-died")
        shutil.copytree(folder, kept)
        failure = {f"the process died ({process.exitcode}) or hung": str(kept)}
        return {"counts": {"failed": 1}, "failures": failure, "slowest": 0, "peak": 0}
    return found


def main() -> int:
    """Fuzz readers by turns; 1 if anything failed."""
    options = argparse.ArgumentParser(description="Every reader on mutated files.")
    options.add_argument("--seconds", type=float, default=600, help="for all readers together")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--reader", nargs="+", default=list(READERS), choices=list(READERS))
    options.add_argument("--keep", type=Path, help="folder for inputs that failed")
    given = options.parse_args()
    failed = 0
    print(f"{'reader':10} {'inputs':>8} {'read':>8} {'refused':>8} {'failures':>8} {'slowest, s':>11} {'peak, MB':>9}")
    for name in given.reader:
        folder = (given.keep or Path(tempfile.mkdtemp())) / name
        found = run(name, given.seconds / len(given.reader), given.seed, folder)
        counts, failures = found["counts"], found["failures"]
        row = [sum(counts.values()), counts.get("read", 0), counts.get("refused", 0), counts.get("failed", 0)]
        numbers = "".join(f"{number:9d}" for number in row)
        print(f"{name:10}{numbers} {found['slowest']:11.2f} {found['peak']:9.0f}", flush=True)
        for failure, where in failures.items():
            print(f"    {failure}  ({where})", flush=True)
        failed += len(failures)
        if not failures and given.keep is None:
            shutil.rmtree(folder.parent)
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
