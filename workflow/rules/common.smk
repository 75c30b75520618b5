"""Read config and sheet, and define names of files, folders and wildcards."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pandas as pd
import yaml
from snakemake.utils import validate


def list_images(where):
    """List the images in a folder or of a pattern; each file must hold one image."""
    paths, suffixes = file_names.find_images(where), ", ".join(file_names.IMAGE_SUFFIXES)
    if not paths:
        expected = f"files that end in {suffixes}"
        remedy = "set config.images to a folder or pattern of images"
        raise refusal(BadInput("config.images", f"no image in {where}", expected, remedy))
    if unprintable := [path for path in paths if text.CONTROL.search(path)]:
        named = f"{unprintable[0]}, whose name has control characters or is not UTF-8"
        raise refusal(BadInput("config.images", named, "text on one line", "rename the file"))
    if several := [path for path in paths if path.lower().endswith(file_names.MICROSCOPES)]:
        named = f"{several[0]}, which may hold several images"
        remedy = f"run snakeseg sheet {where} --output samples.tsv and give sheet=samples.tsv in place of images"
        raise refusal(BadInput("config.images", named, "files that hold one image", remedy))
    return paths


def read_sheet(path, data):
    """Read the sheet, or make one from config.images; all columns are filled in."""
    try:
        if not IMAGES:
            return sheets.read_sheet(path, data)
        table = pd.DataFrame({"sample": file_names.sample_names(IMAGES), "image": IMAGES, "subset": "predict"})
        if problems := [*sheets.sheet_problems(table, path)]:
            raise errors.BadInputs(problems)
        return sheets.complete_sheet(table, data)
    except ValueError as problem:
        raise refusal(problem) from None


@cache
def model_files(*names):
    """Return the files of these names in the folder config.model, or in its fold-* folders."""
    paths = [folder / name for folder in file_names.list_fold_folders(Path(MODEL)) for name in names]
    return [str(path) for path in paths if path.is_file()]


def models(wildcards):
    """Return the model files that prediction depends on: those of all folds, or those of config.model."""
    if MODEL:
        return model_files("model.safetensors", "model.json")
    return expand(rules.train.output, fold=FOLDS, experiment=wildcards.experiment)


def model_folder(wildcards):
    """Return the folder of the model or models with which an experiment predicts."""
    return MODEL or f"{RUN}/models/{wildcards.experiment}"


def stores(wildcards):
    """Return the stores of probabilities for label files: one store, or one per part."""
    base = f"{RUN}/probabilities/{wildcards.kind}/{wildcards.experiment}/{wildcards.part}"
    if wildcards.kind == "validation":
        return [f"{base}.zarr.zip"]
    count = PARTS[wildcards.part]
    return [f"{base}/{index}-of-{count}.zarr.zip" for index in range(count)]


def folder_of(name):
    """Return a params function for the folder of some input files, whose paths could exceed a command line."""
    return lambda wildcards, input: os.path.dirname(next(iter(input[name]), ""))


def shown(path, caption, category, **labels):
    """Mark an output for Snakemake's own report."""
    return report(path, caption=f"../report/{caption}.rst", category=category, labels=labels)


if config.get("model"):
    config.setdefault("name", "prediction")
if config.get("images"):
    config["sheet"] = f"results/{config.get('name', '')}/samples.tsv"
SCHEMA_FILE = workflow.source_path("../schemas/config.schema.yaml")
SCHEMA = yaml.safe_load(Path(SCHEMA_FILE).read_text(encoding="utf-8"))
if problems := [problem for path in workflow.configfiles for problem in repetition_problems(path)]:
    raise refusal(*problems)
if problems := find_problems(config, SCHEMA):
    raise refusal(*problems)
validate(config, SCHEMA_FILE)
if problems := [*size_problems(config)]:
    raise refusal(*problems)
EXPERIMENTS = experiment_sections(config, SCHEMA)
STARTS = {name: e["start_from"] for name, e in config["experiments"].items() if (e or {}).get("start_from")}
problems = [
    *experiment_problems(config, EXPERIMENTS, STARTS, SCHEMA),
    *simulation_problems(config),
    *fold_problems(config),
]
if problems:
    raise refusal(*problems)
if config["seeds"]:
    STARTS = {with_seed(n, s): with_seed(start, s) for n, start in STARTS.items() for s in config["seeds"]}
PRETRAINED = {n: s["network"]["pretrained"] for n, s in EXPERIMENTS.items() if s["network"]["pretrained"]}

MODEL, IMAGES = config["model"], list_images(config["images"]) if config["images"] else []
if MODEL:
    EXPERIMENTS = {text.legal_name(os.path.basename(os.path.realpath(MODEL))): next(iter(EXPERIMENTS.values()))}
    if not model_files("model.json"):
        expected, remedy = "the folder of a trained model", "set config.model to results/NAME/models/EXPERIMENT"
        raise refusal(BadInput("config.model", f"no model.json in {MODEL}", expected, remedy))
elif IMAGES:
    expected, remedy = "config.model beside images", "set config.model to the folder of a trained model"
    raise refusal(BadInput("config.images", "no model", expected, remedy))
SHEET = Path(config["sheet"])
RUN = f"results/{config['name']}"
SIMULATED = [f"{RUN}/simulated"] if config["simulate"] else []
# A sheet of the user may be touched, since digests of its rows are compared. One that the workflow writes is compared.
SHEET_INPUT = SHEET if IMAGES else ancient(SHEET)
DATA = Path(*SIMULATED) if SIMULATED else Path(config["data"] or ("." if IMAGES else SHEET.parent))
LOGS = f"logs/{config['name']}"
BENCHMARKS = f"benchmarks/{config['name']}"
FOLDS = list(range(config["folds"])) if config["fold"] == "all" else [config["fold"]]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
# Checks take all cores, so that nothing else runs before all problems are reported. On a cluster's node they take one:
# Snakemake there does not know the cores of the main process.
ALL_CORES = (workflow.resource_settings.cores or 1) if workflow.is_main_process else 1
THREADS = min(8, CORES) if config["threads"] == "auto" else config["threads"]

sheet = read_sheet(SHEET, DATA)
ROWS = sheet.groupby("batch", sort=False).indices
BATCHES = sheet["batch"].unique().tolist()
PARTS = sheet.groupby("batch")["parts"].max().to_dict()
is_training = sheet["subset"] == "train"
TRAINING = is_training.to_numpy().nonzero()[0]
TRAIN_BATCHES = sheet["batch"][is_training].unique().tolist()
PREDICT_BATCHES = sheet["batch"][~is_training].unique().tolist()
CELLS = {column: sheets.column_as_list(sheet[column]) for column in ("image", "label")}
ROW_TEXTS = [
    "\t".join(row) for row in zip(*(sheets.column_as_list(sheet[column]) for column in sheet if column != "parts"))
]
# Threads look up many files faster. A job on a cluster reads the sheet again, but looks up only its own files.
if workflow.is_main_process:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(digest, ROWS.values()))
if MODEL and not PREDICT_BATCHES:
    expected = "a row of subset predict or test"
    raise refusal(BadInput(SHEET, "no row to predict", expected, "set the column subset to predict or test"))
PREDICTIONS = [f"{RUN}/predictions/{e}/{b}" for e in EXPERIMENTS for b in PREDICT_BATCHES]
VALIDATIONS = [f"{RUN}/validation/{e}/fold-{f}" for e in EXPERIMENTS for f in FOLDS]
if workflow.is_main_process and (links := [*link_problems([*PREDICTIONS, *VALIDATIONS, *SIMULATED, f"{RUN}/figures"])]):
    raise refusal(*links)
FORMATS = ("bioimageio", "onnx", "torchscript", "monai")
EXPORTS = [f"{RUN}/export/{e}/fold-{f}.{kind}.zip" for e in EXPERIMENTS for f in FOLDS for kind in FORMATS]
# Folder of prepared images that depend on the images that a fold trains on (`Prepare.is_of_fold`).
OF_FOLD = "fold-{fold}/" if config["prepare"]["scope"] == "dataset" or config["prepare"]["spacing"] == "auto" else ""
ENVIRONMENT = "../../environment.yml"
KEEP_FLAGS = [f"--{key.replace('_', '-')}" for key in KEPT_MAPS if config["predict"][key]]
kept_or_temp = (lambda path: path) if KEEP_FLAGS else temp


wildcard_constraints:
    experiment="|".join(map(re.escape, EXPERIMENTS)),
    fold="|".join(map(str, FOLDS)),
    batch=r"[^/]+",
    kind="validation|predictions",
    part=r"[^/]+",
    share=r"\d+-of-\d+",
