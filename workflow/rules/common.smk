"""Reads and checks config and sheet, and names things; nothing else."""

import hashlib
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from functools import cache
from glob import escape, glob
from math import isfinite
from pathlib import Path
from shlex import quote
from unicodedata import combining, normalize

import pandas as pd
import yaml
from jsonschema import Draft202012Validator
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

BATCH_SIZE, BATCHES_ALIKE = 32, 32
ONE_OF = re.compile(r"(\.(?:czi|nd2|lif))#[0-9]{1,6}$", re.IGNORECASE)
MOST_VALUES = 100_000


def schema_file(name):
    """On this machine, also where the workflow comes from elsewhere (`module` with `github(...)`)."""
    return workflow.source_path(f"../schemas/{name}.schema.yaml")


def read_schema(name):
    return yaml.safe_load(Path(schema_file(name)).read_text(encoding="utf-8"))


def did_you_mean(word, known):
    close = get_close_matches(word, list(known), n=1)
    return f"did you mean '{close[0]}'?" if close else "remove it"


def config_problems(values, schema, where):
    """One line for everything that the schema forbids."""
    for error in Draft202012Validator(schema).iter_errors(values):
        place = ".".join([where, *map(str, error.absolute_path)]) if error.absolute_path else where
        known = error.schema.get("properties", {})
        if error.validator == "additionalProperties" and known:
            for key in sorted(set(error.instance) - set(known)):
                yield f"{place}: found unknown key '{key}'; expected one of {', '.join(known)}; {did_you_mean(key, known)}"
        elif error.validator == "enum" and isinstance(error.instance, str):
            allowed = [word for word in error.validator_value if isinstance(word, str)]
            yield f"{place}: found '{error.instance}'; expected one of {', '.join(allowed)}; {did_you_mean(error.instance, allowed)}"
        else:
            yield f"{place}: found {error.message}; expected {json.dumps(error.validator_value)[:200]}; see config/README.md"


def strange_values(config):
    """One line for each number that is none, and for a config without end: aliases of YAML may repeat each other."""
    todo = [("config", config)]
    for count in range(MOST_VALUES):
        if not todo:
            return
        key, value = todo.pop()
        if isinstance(value, dict):
            todo += value.items()
        elif isinstance(value, list):
            todo += [(key, each) for each in value]
        elif isinstance(value, float) and not isfinite(value):
            yield f"config, {key}: found {value}; expected a finite number; correct it"
    yield f"config: found more than {MOST_VALUES} values; expected fewer; look for aliases (*) that repeat each other"


def experiments_of(config):
    """Every experiment's own sections: the config's, with the experiment's overrides laid over them."""
    experiments = config["experiments"] or {"default": {}}
    made = {
        name: {section: overlay(config[section], (override or {}).get(section, {})) for section in EXPERIMENT_SECTIONS}
        for name, override in experiments.items()
    }
    seeded = [(name, seed) for name in made for seed in config["seeds"]]
    repeats = {with_seed(n, s): {**made[n], "train": {**made[n]["train"], "seed": s}} for n, s in seeded}
    return repeats or made


def with_seed(name, seed):
    return f"{name}.seed-{seed}"


def overlay(base, override):
    """An experiment's section; one that names another network has none of the first one's settings."""
    return override if override.get("name", base.get("name")) != base.get("name") else {**base, **override}


def start_problems(starts, known):
    """One line for every experiment that starts from one there is not, or from itself."""
    for name, start in starts.items():
        seen = [name]
        while start in starts and start not in seen:
            seen.append(start)
            start = starts[start]
        if start in seen:
            yield f"config.experiments.{name}.start_from: found a circle of {', '.join(seen)}; expected an end to it; correct it"
        elif start not in known:
            yield f"config.experiments.{name}.start_from: found '{start}'; expected one of {', '.join(known)}; {did_you_mean(start, known)}"


def read_sheet(path, data):
    """The sheet with subset, group, parts and batch filled in (as in snakeseg/io/sheet.py)."""
    if IMAGES:
        sheet = pd.DataFrame({"sample": map(name_of, IMAGES), "image": IMAGES, "subset": "predict"})
    elif not path.is_file():
        raise WorkflowError(f"{path}: found no such file; expected the sample sheet; correct the config key 'sheet'")
    else:
        sheet = read_cells(path)
    known = read_schema("samples")["properties"]
    sheet_problems = list(sheet_problems_of(sheet, known, path))
    if sheet_problems:
        raise WorkflowError("\n".join(sheet_problems))
    for column in known:
        if column not in sheet:
            sheet[column] = ""
    folder = "" if data == Path() else str(data)
    for column in ("image", "label"):
        sheet[column] = [in_folder(folder, value) if value else "" for value in cells_of(sheet[column])]
    sheet["subset"] = sheet["subset"].replace("", known["subset"]["default"])
    sheet["group"] = sheet["group"].where(sheet["group"] != "", sheet["sample"])
    sheet["parts"] = sheet["parts"].replace("", "1").astype(int)
    number = batch_number(sheet.groupby("subset").cumcount())
    batches = sheet["subset"].str.cat(number.map("{:04d}".format), sep="-")
    batches = batches.where(sheet["parts"] == 1, sheet["subset"].str.cat(sheet["sample"], sep="-"))
    sheet["batch"] = sheet["batch"].where(sheet["batch"] != "", batches)
    return sheet


def files_of(cell):
    """The files that a cell names: one, or several, one per channel; the file of one of its images (as in snakeseg/io/files.py)."""
    return [ONE_OF.sub(r"\1", name) for name in cell.split(";")]


def in_folder(folder, cell):
    """The cell with a folder before each of its files (as in snakeseg/io/sheet.py)."""
    return ";".join(os.path.join(folder, name.strip()) for name in cell.split(";"))


def cells_of(column):
    """As a list; pandas' own way takes ten times as long."""
    return column.to_numpy(object).tolist()


def batch_number(place):
    """32 batches of 32 rows, 32 of 64, 32 of 96, ... (as in snakeseg/io/sheet.py)."""
    level = ((1 + place / (BATCH_SIZE * BATCHES_ALIKE / 8)) ** 0.5 - 1) // 2
    first = BATCH_SIZE * BATCHES_ALIKE / 2 * level * (level + 1)
    return (BATCHES_ALIKE * level + (place - first) // (BATCH_SIZE * (level + 1))).astype(int)


def read_cells(path):
    """All cells as text (as in snakeseg/io/sheet.py)."""
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path, dtype_backend="pyarrow").astype("string").fillna("").astype(object).astype(str)
        separator = "," if path.suffix == ".csv" else "\t"
        cells = pd.read_csv(path, sep=separator, header=None, dtype=str, keep_default_na=False).fillna("")
    except ImportError:
        raise WorkflowError(
            f"{path}: found no pyarrow to read it with; expected it; pip install pyarrow, or save as .tsv"
        )
    except Exception as error:  # whatever pandas and pyarrow raise on what is no table
        cause = " ".join(str(error).split())[:200]
        raise WorkflowError(
            f"{path}: found no table ({cause}); expected text in UTF-8, its columns separated by tabs (.csv: by commas); save it as that"
        )
    return cells.iloc[1:].set_axis(cells.iloc[0].tolist(), axis=1).reset_index(drop=True)


def list_images(where):
    """Images by a pattern, or all in a folder."""
    where = f"{where}/*" if os.path.isdir(where) and not where.endswith(".zarr") else where
    found = sorted(path for path in glob(where) if path.lower().endswith(SUFFIXES))
    if not found:
        raise WorkflowError(
            f"config.images: found no image in {where}; expected files that end in {', '.join(SUFFIXES)}"
        )
    several = [path for path in found if path.lower().endswith(MICROSCOPES)]
    if several:
        raise WorkflowError(
            f"config.images: found {several[0]}, which may hold several images; expected files of one; run snakeseg sheet {where} --output samples.tsv and give sheet=samples.tsv in place of images"
        )
    return found


def name_of(path):
    """The name of a file without its suffix."""
    name = os.path.basename(path)
    return legal_name(name[: -len(next(s for s in SUFFIXES if name.lower().endswith(s)))])


def legal_name(text):
    """Letters without their accents, and a dash for what else names may not hold (as in snakeseg/io/sheet.py)."""
    plain = "".join(c for c in normalize("NFKD", text.replace("ß", "ss")) if not combining(c))
    return re.sub("^[._-]+", "", re.sub("[^A-Za-z0-9._-]", "-", plain)) or "image"


def sheet_problems_of(sheet, known, path):
    """One line for every unknown, repeated or missing column, bad cell and repeated sample."""
    columns = list(sheet)
    for column in sorted({column for column in columns if columns.count(column) > 1}):
        yield f"{path}: found column '{column}' more than once; expected distinct columns; remove one"
        return
    for column in [column for column in sheet if column not in known]:
        yield f"{path}: found unknown column '{column}'; expected some of {', '.join(known)}; {did_you_mean(column, known)}"
    for column in [column for column in ("sample", "image") if column not in sheet]:
        yield f"{path}: found no column '{column}'; expected sample and image; add it (columns are separated by tabs)"
        return
    if sheet.empty:
        yield f"{path}: found no rows; expected one per image; add some"
    for column in [column for column in known if column in sheet]:
        allowed = "|".join(known[column].get("enum", [])) or known[column]["pattern"]
        for row in sheet.index[~sheet[column].str.fullmatch(allowed)][:20]:
            yield f"{path}, row {row + 2}: found {column} '{sheet.at[row, column]}'; expected {known[column]['description']}; correct the cell"
    for name in sorted(set(sheet["sample"][sheet["sample"].duplicated()])):
        yield f"{path}: found sample '{name}' more than once; expected distinct names; rename one"


@cache
def file_status(path):
    """Size and time of a file; None of no file, and of those that the workflow makes."""
    try:
        status = os.stat(path) if path and not config["simulate"] else None
    except OSError:  # `check` tells
        return None
    return status and (status.st_size, status.st_mtime_ns)


def file_mark(path):
    """A name for a file that changes with it."""
    return " ".join(map(str, [path or "", *(file_status(path) or ())]))


@cache
def row_mark(index):
    """A short name for the content of a row and of the files it names."""
    cells = (FILES["image"][index], FILES["label"][index])
    text = "\n".join([TEXTS[index], *(file_mark(path) for cell in cells for path in files_of(cell))])
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def digest(rows):
    """The same for some rows, by their positions."""
    return hashlib.sha256(b"".join(map(row_mark, rows))).hexdigest()[:16]


def training_digest(wildcards):
    return digest(TRAINING)


def batch_digest(wildcards):
    return digest(ROWS[wildcards.batch])


@cache
def model_files(*names):
    """The files of these names in the config's model, or in its folds."""
    return sorted(path for name in names for path in glob(f"{escape(MODEL)}/**/{name}", recursive=True))


def models(wildcards):
    """What predicting hangs on: the models of all folds, or those of the config's model."""
    if MODEL:
        return model_files("model.safetensors", "model.json")
    return expand(rules.train.output, fold=FOLDS, experiment=wildcards.experiment)


def model_folder(wildcards):
    return MODEL or f"{RUN}/models/{wildcards.experiment}"


def stores(wildcards):
    """The answers that label files are made of: of one store, or of one for each part."""
    base = f"{RUN}/probabilities/{wildcards.kind}/{wildcards.experiment}/{wildcards.part}"
    if wildcards.kind == "validation":
        return [f"{base}.zarr.zip"]
    count = PARTS[wildcards.part]
    return [f"{base}/{index}-of-{count}.zarr.zip" for index in range(count)]


def folder_of(name):
    """For params: the folder of the input files of a name, which may be more than a command line holds."""
    return lambda wildcards, input: os.path.dirname(next(iter(input[name]), ""))


def settings(*sections, experiment=None):
    """Sections of the config as JSON for the command line, with an experiment's overrides."""
    source = {**config, **EXPERIMENTS[experiment]} if experiment else config
    chosen = {section: source[section] for section in sections}
    if "predict" in chosen:  # those are the workflow's own
        chosen["predict"] = {key: value for key, value in chosen["predict"].items() if key not in KEPT_MAPS}
    return json.dumps(chosen)


def check_settings():
    """What input is checked against, as JSON for the command line; a given model fits whatever it reads."""
    chosen = {key: config[key] for key in ("folds", "validation", "spatial_dims", "labels", "prepare", "augment")}
    own = {} if MODEL else EXPERIMENTS
    networks = {name: sections["network"] for name, sections in own.items()}
    plans = {name: {key: sections[key] for key in ("train", "predict")} for name, sections in own.items()}
    return json.dumps({**chosen, "networks": networks, "starts": STARTS, "plans": plans})


def batch_problems(experiments):
    """One line for every experiment whose processes cannot share its batch."""
    for name, sections in experiments.items():
        batch, processes = (sections["train"].get(key, 1) for key in ("batch", "processes"))
        if batch != "auto" and batch % processes:
            yield f"config.experiments.{name}.train.processes: found {processes} for a batch of {batch}; expected a number that divides it; correct one of them"


# Longest first, as in snakeseg/io/formats.py.
SUFFIXES = (
    ".ome.tiff",
    ".ome.tif",
    ".nii.gz",
    ".tiff",
    ".tif",
    ".nii",
    ".png",
    ".ome.zarr",
    ".zarr",
    ".mha",
    ".mhd",
    ".nrrd",
    ".nhdr",
    ".czi",
    ".nd2",
    ".lif",
)
MICROSCOPES = SUFFIXES[-3:]
MODEL, IMAGES = config.get("model"), list_images(config["images"]) if config.get("images") else []
if MODEL:
    config.setdefault("name", "prediction")
if IMAGES:
    config["sheet"] = f"results/{config.get('name', '')}/samples.tsv"
KEPT_MAPS = ("keep_probabilities", "uncertainty")
EXPERIMENT_SECTIONS = ("network", "loss", "train", "predict", "instances")
SCHEMA = read_schema("config")
problems = list(strange_values(config)) or list(config_problems(config, SCHEMA, "config"))
if not problems:
    validate(config, schema_file("config"))
    EXPERIMENTS = experiments_of(config)
    for name, sections in EXPERIMENTS.items():
        for section, values in sections.items():
            problems += config_problems(values, SCHEMA["properties"][section], f"config.experiments.{name}.{section}")
    STARTS = {name: e["start_from"] for name, e in config["experiments"].items() if (e or {}).get("start_from")}
    problems += [] if problems else batch_problems(EXPERIMENTS)
    problems += start_problems(STARTS, config["experiments"])
    if config["fold"] != "all" and config["fold"] >= config["folds"]:
        problems.append(
            f"config.fold: found {config['fold']} of {config['folds']} folds; expected a number below that; correct one of them"
        )
    if config["seeds"]:
        STARTS = {with_seed(n, s): with_seed(start, s) for n, start in STARTS.items() for s in config["seeds"]}
    PRETRAINED = {n: s["network"]["pretrained"] for n, s in EXPERIMENTS.items() if s["network"].get("pretrained")}
if problems:
    raise WorkflowError("\n".join(problems))

if MODEL:
    EXPERIMENTS = {legal_name(Path(MODEL).resolve().name): next(iter(EXPERIMENTS.values()))}
    if not model_files("model.json"):
        raise WorkflowError(
            f"config.model: found no model.json in {MODEL}; expected the folder of a trained model; correct it"
        )
elif IMAGES:
    raise WorkflowError(
        "config.images: found no model; expected the folder of one to predict them with; set config.model"
    )
SHEET = Path(config["sheet"])
DATA = Path(config["data"] or ("." if IMAGES else SHEET.parent))
RUN = f"results/{config['name']}"
LOGS = f"logs/{config['name']}"
TIMES = f"benchmarks/{config['name']}"
FOLDS = list(range(config["folds"])) if config["fold"] == "all" else [config["fold"]]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
# Checks go first, and alone: nothing is computed before all problems are known.
# A job on a node has no more than was asked for where it was sent from.
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
FILES = {column: cells_of(sheet[column]) for column in ("image", "label")}
TEXTS = ["\t".join(cells) for cells in zip(*(cells_of(sheet[column]) for column in sheet if column != "parts"))]
# Asking a file system for many files takes long one by one. A job on a cluster reads the sheet again, but asks for its own files only.
if workflow.is_main_process:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(digest, ROWS.values()))
if MODEL and not PREDICT_BATCHES:
    raise WorkflowError(f"{SHEET}: found no row to predict; expected some; set the column subset to predict or test")
PREDICTIONS = [f"{RUN}/predictions/{e}/{b}" for e in EXPERIMENTS for b in PREDICT_BATCHES]
VALIDATIONS = [f"{RUN}/validation/{e}/fold-{f}" for e in EXPERIMENTS for f in FOLDS]
FORMATS = ("bioimageio", "onnx", "torchscript", "monai")
EXPORTS = [f"{RUN}/export/{e}/fold-{f}.{kind}.zip" for e in EXPERIMENTS for f in FOLDS for kind in FORMATS]
SIMULATED = [config["data"]] if config["simulate"] else []
ENVIRONMENT = "../../environment.yml"
keep_flags = " ".join(f"--{key.replace('_', '-')}" for key in KEPT_MAPS if config["predict"][key])
kept_or_temp = (lambda path: path) if keep_flags else temp


wildcard_constraints:
    experiment="|".join(map(re.escape, EXPERIMENTS)),
    fold=r"\d+",
    batch=r"[^/]+",
    kind="validation|predictions",
    part=r"[^/]+",
    share=r"\d+-of-\d+",


# Jobs run the package that lies beside the workflow, in whatever environment they are given; of a workflow from elsewhere,
# the installed one. A prefix takes the place of Snakemake's own, without which a command that fails before a pipe counts as done.
BASE = workflow.current_basedir
SOURCE = (
    f"export PYTHONPATH={quote(str(Path(BASE).resolve().parents[1] / 'src'))}:${{{{PYTHONPATH:-}}}}; "
    if isinstance(BASE, os.PathLike)
    else ""
)
# Libraries, such as PyTorch's compiler, read their own files in the locale's encoding, which may be ASCII on a cluster.
shell.prefix(f"set -euo pipefail; export PYTHONUTF8=1; {SOURCE}")
