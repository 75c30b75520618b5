"""What many images cost before any of them is computed: the dry run, the start of a job, files and metadata.

The peer of the dry run is a plain Snakemake workflow of the same two steps with a job per image. Parts that need strace
or Slurm are left out where there is none.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tifffile
from _verdict import table, verdict

from snakeseg.settings import Labels, Predict, Prepare

REPOSITORY = Path(__file__).resolve().parents[1]
SIZES, PEER_SIZES = (1_000, 10_000, 100_000), (1_000, 10_000)
SECONDS, MEGABYTES, START = 10, 400, 3
BATCHES = 200
SLURM = ["--workflow-profile", str(REPOSITORY / "profiles/slurm"), "--slurm-status-command", "squeue"]
# In place of the package, so that only what is around a job is timed.
STAND_IN = """#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = --probabilities ] && : > "$2"; shift; done
"""
PEER = """
NAMES = [line.split()[0] for line in open("samples.tsv")][1:]
rule all:
    input: expand("scores/{name}.tsv", name=NAMES)
rule predict:
    input: "images/{name}.tif"
    output: "labels/{name}.tif"
    shell: "predict {input} {output}"
rule score:
    input: "labels/{name}.tif"
    output: "scores/{name}.tsv"
    shell: "score {input} {output}"
"""
RUNS = {"model": "name: many\nsheet: samples.tsv\nmodel: model\n", "training": "name: many\nsheet: samples.tsv\n"}


def write_images(folder: Path, count: int) -> None:
    """Empty files, a thousand to a folder, half of them to train on, with a sheet; a model's folder."""
    rows = ["sample\timage\tlabel\tsubset"]
    for index in range(count):
        place = folder / "images" / f"{index // 1000:05d}"
        if index % 1000 == 0:
            place.mkdir(parents=True)
        paths = [place / f"{kind}-{index}.tif" for kind in ("image", "label")]
        for path in paths:
            path.touch()
        rows.append(
            "\t".join([f"s{index}", *(str(p.relative_to(folder)) for p in paths), ("train", "test")[index % 2]])
        )
    (folder / "samples.tsv").write_text("\n".join(rows) + "\n")
    (folder / "model").mkdir()
    (folder / "model" / "model.json").write_text("{}")


def measured(command: list, folder: Path) -> dict:
    """Seconds, seconds of the processor, and peak memory of a process, and what it printed."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen([*map(str, command)], cwd=folder, stdout=told, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        told.seek(0)
        text = told.read()
    return {
        "seconds": time.perf_counter() - start, "cpu_seconds": used.ru_utime + used.ru_stime,
        "MB": used.ru_maxrss / 1e3, "code": process.returncode, "told": text,
    }  # fmt: skip


def dry_run(folder: Path, *options) -> dict:
    """What a dry run costs, and how many jobs there would be."""
    done = measured([sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", *options], folder)
    if done["code"]:
        raise RuntimeError(done["told"])
    return {"jobs": int(re.findall(r"^total +(\d+)$", done["told"], re.MULTILINE)[-1])} | done


def dry_runs() -> list[dict]:
    """Of all sizes: predicting with a model that is there, a whole training run, and the peer."""
    rows = []
    for count in SIZES:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            write_images(folder, count)
            for kind, config in RUNS.items():
                (folder / "config.yaml").write_text(config)
                ours = dry_run(folder, "--snakefile", REPOSITORY / "Snakefile", "--configfile", "config.yaml")
                rows.append({"images": count, "run": kind, **ours})
            if count in PEER_SIZES:
                (folder / "peer.smk").write_text(PEER)
                names = [f"s{index}" for index in range(count)]
                for name in names:
                    (folder / "images" / f"{name}.tif").touch()
                rows.append({"images": count, "run": "a job per image", **dry_run(folder, "--snakefile", "peer.smk")})
    for row in rows:
        row["ms_per_image"] = 1e3 * row["seconds"] / row["images"]
    return [{key: row[key] for key in row if key not in ("told", "code")} for row in rows]


def write_small(folder: Path, count: int) -> list[str]:
    """Images to train on and the model's description; options that name the sheet."""
    rng = np.random.default_rng(0)
    rows = ["sample\timage\tlabel\tbatch"]
    for index in range(count):
        label = np.zeros((64, 64), np.uint8)
        label[8:24, 8:24], label[32:56, 24:40] = 1, 2
        tifffile.imwrite(folder / f"l{index}.tif", label)
        tifffile.imwrite(folder / f"i{index}.tif", (label * 50 + rng.integers(0, 30, label.shape)).astype(np.uint8))
        rows.append(f"s{index}\ti{index}.tif\tl{index}.tif\tb")
    (folder / "s.tsv").write_text("\n".join(rows) + "\n")
    parts = {"labels": Labels(), "prepare": Prepare(), "predict": Predict()}
    described = {"dims": 2, "channels": 1, "network": {"name": "unet"}, "statistics": None}
    described |= {key: asdict(part) for key, part in parts.items()}
    (folder / "model").mkdir()
    (folder / "model" / "model.json").write_text(json.dumps(described))
    return ["--sheet", "s.tsv", "--data", "."]


def write_answers(folder: Path, count: int) -> None:
    """What `predict` would have said of the images."""
    from snakeseg.io.store import write_store

    answers = np.zeros((2, 64, 64), np.float16)
    answers[1, 8:24, 8:24] = 1
    samples = [(f"s{index}", {"note": ""}, {"probabilities": answers}) for index in range(count)]
    write_store(folder / "answers.zarr.zip", samples)


def small_jobs(sheet: list[str]) -> dict[str, list[str]]:
    """The commands of the rules that need no torch."""
    fold = ["--fold", "0", "--settings", '{"validation": ["s[1-9]*"]}']
    return {
        "inspect": ["inspect", *sheet, "--batch", "b", "--output", "b.json"],
        "statistics": ["statistics", *sheet, "--output", "statistics.json"],
        "prepare": ["prepare", *sheet, "--batch", "b", "--output", "p.zarr.zip"],
        "augment": ["augment", "--prepared", "p.zarr.zip", "--output", "a.zarr.zip"],
        "weigh": ["weigh", "--prepared", "p.zarr.zip", "--augmented", "a.zarr.zip", "--statistics", "statistics.json",
                  "--output", "w.zarr.zip"],
        "instances": ["instances", *sheet, "--model", "model", "--probabilities", "answers.zarr.zip",
                      "--output", "out"],
        "evaluate": ["evaluate", *sheet, *fold, "--experiment", "e", "--predictions", "out", "--output", "scores"],
    }  # fmt: skip


def starts() -> list[dict]:
    """Seconds of the whole process of each rule, for one image of 64 x 64 pixels; the best of three.

    And where there is strace, the calls that name a file: of the process, and what each image more adds to them.
    """
    rows: dict[str, dict] = {}
    for count in (2, 34):
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            jobs = small_jobs(write_small(folder, count))
            write_answers(folder, count)
            for name, arguments in jobs.items():
                command = [sys.executable, "-m", "snakeseg", *arguments]
                calls = file_calls(command, folder)
                if count == 2:
                    runs = [measured(command, folder) for _ in range(3)]
                    if any(run["code"] for run in runs):
                        raise RuntimeError(runs[0]["told"])
                    best = min(runs, key=lambda run: run["seconds"])
                    rows[name] = {"rule": name, **{key: best[key] for key in ("seconds", "cpu_seconds", "MB")}}
                    rows[name]["file_calls"] = calls
                else:
                    rows[name]["per_image"] = (calls - rows[name]["file_calls"]) / 32
    return list(rows.values())


def file_calls(command: list[str], folder: Path) -> int:
    """System calls that name a file; 0 without strace."""
    if not shutil.which("strace"):
        return 0
    subprocess.run(["strace", "-f", "-c", "-o", "calls", "-e", "trace=%file", *command], cwd=folder, check=True)
    return int(re.findall(r"(\d+) +(?:\d+ )?total", (folder / "calls").read_text())[-1])


def through_slurm() -> dict:
    """Seconds around a batch, for BATCHES that do nothing, through a Slurm on this machine and without one."""
    sys.path.append(str(REPOSITORY / "tests"))
    try:
        from slurm_cluster import missing, slurm
    except ImportError:
        return {"left_out": "no tests/slurm_cluster.py"}
    if missing():
        return {"left_out": f"no {', '.join(missing())}"}
    with tempfile.TemporaryDirectory() as made, slurm() as cluster:
        folder = Path(made)
        stand_in = folder / "bin" / "python"
        stand_in.parent.mkdir()
        stand_in.write_text(STAND_IN)
        stand_in.chmod(0o755)
        (folder / "model").mkdir()
        (folder / "model" / "model.json").write_text("{}")
        (folder / "config.yaml").write_text(RUNS["model"] + "threads: 1\n")
        seconds = {}
        for way, options in {"slurm": SLURM, "local": ["--cores", "2"]}.items():
            rows = [f"s{index}\ti{index}.tif\tpredict\t{way}-{index}\n" for index in range(BATCHES)]
            (folder / "samples.tsv").write_text("sample\timage\tsubset\tbatch\n" + "".join(rows))
            targets = [
                f"results/many/probabilities/predictions/model/{way}-{i}/0-of-1.zarr.zip" for i in range(BATCHES)
            ]
            command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile", "--notemp", *targets,
                       "--configfile", "config.yaml", *options]  # fmt: skip
            environment = cluster.environment | {"PATH": f"{stand_in.parent}:{cluster.environment['PATH']}"}
            start = time.perf_counter()
            subprocess.run([*map(str, command)], cwd=folder, env=environment, check=True, capture_output=True)
            seconds[way] = (time.perf_counter() - start) / BATCHES
        return seconds


def main() -> None:
    runs = dry_runs()
    table(runs)
    print()
    jobs = starts()
    table(jobs)
    most = runs[-1] if runs[-1]["images"] == SIZES[-1] else None
    peer = next(row for row in runs if row["run"] == "a job per image" and row["images"] == PEER_SIZES[-1])
    same = next(row for row in runs if row["run"] == "training" and row["images"] == PEER_SIZES[-1])
    print()
    print(f"{BATCHES} batches, seconds each:", slurmed := through_slurm())
    slowest = max(row["seconds"] for row in jobs)
    met = most["seconds"] <= SECONDS and most["MB"] <= MEGABYTES and slowest <= START
    verdict(
        "scale", same["seconds"], peer["seconds"], peer["seconds"] / same["seconds"], SECONDS, met,
        seconds_at_most=most["seconds"], MB_at_most=most["MB"], start=slowest, slurm=slurmed.get("slurm"),
    )  # fmt: skip


if __name__ == "__main__":
    main()
