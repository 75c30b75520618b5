"""What many images cost before any is computed: the dry run, the start of a job, files and metadata, the scheduler.

The peer of the dry run is a plain Snakemake workflow of the same two steps with a job per image; that of Slurm is the
same run without one. What needs strace or Slurm is left out where there is none; `--parts` leaves out more.
"""

import argparse
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
import yaml
from _verdict import table, verdict

from snakeseg.settings import Labels, Predict, Prepare

REPOSITORY = Path(__file__).resolve().parents[1]
SIZES, PEER_SIZES = (1_000, 10_000, 100_000), (1_000, 10_000)
SECONDS, MEGABYTES, START = 10, 400, 3
# Batches that go through Slurm, of so many images; jobs side by side, on as many cores.
BATCHES, BATCH, SLOTS = 200, 2, 2
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
    (folder / "samples.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "model").mkdir()
    (folder / "model" / "model.json").write_text("{}", encoding="utf-8")


def measured(command: list, folder: Path, environment: dict[str, str] | None = None) -> dict:
    """Seconds, seconds of the processor, and peak memory of a process, and what it printed."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as told:
        process = subprocess.Popen(
            [*map(str, command)], cwd=folder, env=environment, stdout=told, stderr=subprocess.STDOUT
        )
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
                (folder / "config.yaml").write_text(config, encoding="utf-8")
                ours = dry_run(folder, "--snakefile", REPOSITORY / "Snakefile", "--configfile", "config.yaml")
                rows.append({"images": count, "run": kind, **ours})
            if count in PEER_SIZES:
                (folder / "peer.smk").write_text(PEER, encoding="utf-8")
                names = [f"s{index}" for index in range(count)]
                for name in names:
                    (folder / "images" / f"{name}.tif").touch()
                rows.append({"images": count, "run": "a job per image", **dry_run(folder, "--snakefile", "peer.smk")})
    for row in rows:
        row["ms_per_image"] = 1e3 * row["seconds"] / row["images"]
    return [{key: row[key] for key in row if key not in ("told", "code")} for row in rows]


def write_batches(sheet: Path, batches: int, count: int) -> None:
    """Images of 64 x 64 pixels to train on, which all batches share, and a sheet beside them."""
    rng = np.random.default_rng(0)
    for index in range(count):
        label = np.zeros((64, 64), np.uint8)
        label[8:24, 8:24], label[32:56, 24:40] = 1, 2
        image = (label * 50 + rng.integers(0, 30, label.shape)).astype(np.uint8)
        tifffile.imwrite(sheet.with_name(f"l{index}.tif"), label)
        tifffile.imwrite(sheet.with_name(f"i{index}.tif"), image)
    rows = [f"s{b}-{i}\ti{i}.tif\tl{i}.tif\tb{b}\n" for b in range(batches) for i in range(count)]
    sheet.write_text("sample\timage\tlabel\tbatch\n" + "".join(rows), encoding="utf-8")


def write_small(folder: Path, count: int) -> list[str]:
    """Images to train on and the model's description; options that name the sheet."""
    write_batches(folder / "s.tsv", 1, count)
    parts = {"labels": Labels(), "prepare": Prepare(), "predict": Predict()}
    described = {"dims": 2, "channels": 1, "network": {"name": "unet"}, "statistics": None}
    described |= {key: asdict(part) for key, part in parts.items()}
    (folder / "model").mkdir()
    (folder / "model" / "model.json").write_text(json.dumps(described), encoding="utf-8")
    return ["--sheet", "s.tsv", "--data", "."]


def write_answers(folder: Path, count: int) -> None:
    """What `predict` would have said of the images."""
    from snakeseg.io.store import write_store

    answers = np.zeros((2, 64, 64), np.float16)
    answers[1, 8:24, 8:24] = 1
    samples = [(f"s0-{index}", {"note": ""}, {"probabilities": answers}) for index in range(count)]
    write_store(folder / "answers.zarr.zip", samples)


def small_jobs(sheet: list[str]) -> dict[str, list[str]]:
    """The commands of the rules that need no torch."""
    fold = ["--fold", "0", "--settings", '{"validation": ["s0-[1-9]*"]}']
    return {
        "inspect": ["inspect", *sheet, "--batch", "b0", "--output", "b.json"],
        "statistics": ["statistics", *sheet, "--output", "statistics.json"],
        "prepare": ["prepare", *sheet, "--batch", "b0", "--output", "p.zarr.zip"],
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
    return int(re.findall(r"(\d+) +(?:\d+ )?total", (folder / "calls").read_text(encoding="utf-8"))[-1])


def through_slurm(batches: int) -> list[dict]:
    """Batches prepared and deformed: here, and through a Slurm of this machine by the profile, without and with groups.

    What is above the commands' own seconds, as Snakemake measures them, is the overhead; all ways have two slots.
    """
    sys.path.append(str(REPOSITORY / "tests"))
    from slurm_cluster import missing_daemons, slurm

    if missing_daemons():
        print(f"Slurm is left out: no {', '.join(missing_daemons())}")
        return []
    rows = []
    with tempfile.TemporaryDirectory() as made, slurm() as cluster:
        cluster.run("scontrol", "update", "nodename=two", "state=drain", "reason=slots")
        profile = yaml.safe_load((REPOSITORY / "profiles/slurm/config.yaml").read_text(encoding="utf-8"))
        profile["__variables__"]["status_command"] = "squeue"
        apart = {name: value for name, value in profile.items() if name != "groups"}
        ways = {"here": None, "Slurm, a job for each rule": apart, "Slurm, a job a batch": profile}
        for number, (way, chosen) in enumerate(ways.items()):
            folder = Path(made, str(number))
            options = ["--cores", str(SLOTS)]
            if chosen:
                (folder / "site").mkdir(parents=True)
                (folder / "site" / "config.yaml").write_text(yaml.safe_dump(chosen, sort_keys=False), encoding="utf-8")
                options = ["--workflow-profile", "site"]
            rows.append({"way": way, **one_way(folder, batches, options, cluster.environment)})
    return rows


def one_way(folder: Path, batches: int, options: list[str], environment: dict[str, str]) -> dict:
    """Seconds to the end of `prepare` and `augment` of all batches, of the commands alone, and of the rest a batch."""
    checked = folder / "results/many/checked"
    checked.mkdir(parents=True)
    write_batches(folder / "samples.tsv", batches, BATCH)
    for batch in range(batches):
        (checked / f"b{batch}.json").touch()
    (folder / "config.yaml").write_text(RUNS["training"], encoding="utf-8")
    targets = [f"results/many/augmented/b{batch}.zarr.zip" for batch in range(batches)]
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile", *targets,
               "--configfile", "config.yaml", *options]  # fmt: skip
    programs = environment | {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"}
    done = measured(command, folder, programs)
    if done["code"]:
        raise RuntimeError(done["told"])
    taken = [
        float(path.read_text(encoding="utf-8").splitlines()[1].split()[0])
        for path in (folder / "benchmarks").rglob("*.tsv")
    ]
    overhead = (done["seconds"] - sum(taken) / SLOTS) / batches
    return {"batches": batches, "commands": len(taken), "submitted": done["told"].count("SLURM jobid"),
            "seconds": done["seconds"], "commands_seconds": sum(taken), "overhead_a_batch": overhead}  # fmt: skip


def main() -> None:
    parts = ("dry-runs", "starts", "slurm")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, help="all of them without this")
    parser.add_argument("--batches", type=int, default=BATCHES, help="that go through Slurm (default: %(default)s)")
    given = parser.parse_args()
    runs, jobs, slurmed = [], [], []
    if "dry-runs" in given.parts:
        table(runs := dry_runs())
        print()
    if "starts" in given.parts:
        table(jobs := starts())
        print()
    if "slurm" in given.parts and (slurmed := through_slurm(given.batches)):
        table(slurmed)
    told = {row["way"]: row["overhead_a_batch"] for row in slurmed}
    if not (runs and jobs):
        print(json.dumps({"name": "scale", "overhead_a_batch": told}))
        return
    most = runs[-1]
    peer = next(row for row in runs if row["run"] == "a job per image" and row["images"] == PEER_SIZES[-1])
    same = next(row for row in runs if row["run"] == "training" and row["images"] == PEER_SIZES[-1])
    slowest = max(row["seconds"] for row in jobs)
    met = most["seconds"] <= SECONDS and most["MB"] <= MEGABYTES and slowest <= START
    verdict(
        "scale", same["seconds"], peer["seconds"], peer["seconds"] / same["seconds"], SECONDS, met,
        seconds_at_most=most["seconds"], MB_at_most=most["MB"], start=slowest, overhead_a_batch=told,
    )  # fmt: skip


if __name__ == "__main__":
    main()
