"""Reads and checks config and sheet, and names things; nothing else."""

import hashlib
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from functools import cache
from glob import escape, glob
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from math import isfinite
from pathlib import Path
from shlex import split

import pandas as pd
import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

BATCH_SIZE, BATCHES_ALIKE = 32, 32
ONE_OF = re.compile(r"(\.(?:czi|nd2|lif))#[0-9]{1,6}$", re.IGNORECASE)
MAX_CONFIG_VALUES, MAX_TRAININGS, MAX_PARTS = 100_000, 10_000, 100_000
# Names that a message lists, and that a misspelt one is compared with.
MAX_NAMED = 20
# Headers whose pixels lie in files of the same name; entries of a folder whose times are compared.
HEADERS, MAX_LISTED = (".mhd", ".nhdr"), 10_000
# What `snakeseg simulate` leaves in the folder that it makes (as in snakeseg/commands/data.py).
SIMULATION_MARK = "simulated.json"
# Paths of the config that commands are given.
PATH_KEYS = ("sheet", "data", "model", "images")


def load_shared(name):
    """A module of the package that imports nothing of it, by its path: the workflow loads without the package."""
    loader = SourceFileLoader(f"shared_{name}", workflow.source_path(f"../../src/snakeseg/{name}.py"))
    loaded = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(loaded)
    return loaded


text, cells = load_shared("text"), load_shared("io/cells")
CONTROL, printable, legal_name, bad_cells = text.CONTROL, text.printable, text.legal_name, text.bad_cells
read_cells = cells.read_cells


def refusal(*lines):
    """The error that ends the workflow: one line per problem, control characters as escapes."""
    return WorkflowError("\n".join(map(printable, lines)))


def schema_file(name):
    """On this machine, also where the workflow comes from elsewhere (`module` with `github(...)`)."""
    return workflow.source_path(f"../schemas/{name}.schema.yaml")


def read_schema(name):
    return yaml.safe_load(Path(schema_file(name)).read_text(encoding="utf-8"))


def did_you_mean(word, known):
    close = get_close_matches(word, list(known), n=1)
    return f"did you mean '{close[0]}'?" if close else "remove it"


def match_in_full(validator, pattern, value, schema):
    """The schema keyword `pattern` for the whole text; Python's `$` also matches before a line break at the end."""
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def is_whole(checker, value):
    """The schema's type `integer`, for which 2.0 is none."""
    return isinstance(value, int) and not isinstance(value, bool)


ConfigValidator = extend(
    Draft202012Validator,
    {"pattern": match_in_full},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", is_whole),
)


def config_problems(values, schema, where):
    """One line for everything that the schema forbids."""
    for error in ConfigValidator(schema).iter_errors(values):
        place = ".".join([where, *map(str, error.absolute_path)]) if error.absolute_path else where
        known = error.schema.get("properties", {})
        if error.validator == "additionalProperties" and known:
            for key in sorted(set(error.instance) - set(known), key=str):
                yield f"{place}: found unknown key '{key}'; expected one of {', '.join(known)}; {did_you_mean(str(key), known)}"
        elif error.validator == "enum" and isinstance(error.instance, str):
            allowed = [word for word in error.validator_value if isinstance(word, str)]
            yield f"{place}: found '{error.instance}'; expected one of {', '.join(allowed)}; {did_you_mean(error.instance, allowed)}"
        else:
            yield f"{place}: found {error.message}; expected {json.dumps(error.validator_value)[:200]}; see config/README.md"


def value_problems(config):
    """One line for each text and number that no key may hold, and for a config of too many values: YAML aliases can multiply them."""
    todo = [("config", config)]
    for _ in range(MAX_CONFIG_VALUES):
        if not todo:
            return
        place, value = todo.pop()
        if isinstance(value, dict):
            yield from (problem for key in value for problem in [*key_problems(place, key), *text_problems(place, key)])
            todo += [(f"{place}.{key}", each) for key, each in value.items()]
        elif isinstance(value, list):
            todo += [(place, each) for each in value]
        elif isinstance(value, float) and not isfinite(value):
            yield f"{place}: found {value}; expected a finite number; set the key to one"
        yield from text_problems(place, value)
    yield f"config: found more than {MAX_CONFIG_VALUES} values; expected fewer; look for aliases (*) that repeat each other"


def key_problems(place, key):
    """One line for a key that is no text, such as a number or a date."""
    if not isinstance(key, str):
        yield f"{place}: found the key {key}, which YAML takes for a {type(key).__name__}; expected text; write it in quotes"


def text_problems(place, text):
    """One line for text that must not become part of file names, messages and Snakemake's patterns; descriptions may have several lines."""
    if not isinstance(text, str):
        return
    checked = text.replace("\n", "") if place == "config.export.description" else text
    if CONTROL.search(checked):
        yield f"{place}: found '{text}', which has control characters; expected text on one line; remove them"
    if "{" in text or "}" in text:
        yield f"{place}: found '{text}', which has braces; expected text without braces; rename what it names"


def path_problems(config):
    """One line for every path that a command would take for an option."""
    for key in PATH_KEYS:
        if str(config.get(key) or "").startswith("-"):
            yield f"config.{key}: found '{config[key]}'; expected a path that does not begin with '-'; write ./{config[key]}"


def size_problems(config):
    """One line if the config asks for more trainings than a run can hold."""
    count = max(1, len(config["experiments"])) * max(1, len(config["seeds"])) * config["folds"]
    if count > MAX_TRAININGS:
        yield f"config: found {count} trainings (experiments x seeds x folds); expected at most {MAX_TRAININGS}; lower config.folds, or split the run"


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
    """One line for every experiment that starts from one there is not, and for every circle of starts."""
    ended = set()  # experiments that need no second look
    for name, start in starts.items():
        chain = {name: None}
        while start in starts and start not in chain and start not in ended:
            chain[start] = None
            start = starts[start]
        if start in chain:
            circle = ", ".join([*chain][:5] + ["..."] * (len(chain) > 5))
            yield f"config.experiments.{name}.start_from: found a circle of {circle}; expected an end to it; let one start from none"
        elif start not in known:
            some = [*known][:MAX_NAMED]
            yield f"config.experiments.{name}.start_from: found '{start}'; expected one of {', '.join(some)}; {did_you_mean(start, some)}"
        ended.update(chain)


def read_sheet(path, data):
    """The sheet with subset, group, parts and batch filled in (as in snakeseg/io/sheet.py)."""
    if IMAGES:
        sheet = pd.DataFrame({"sample": map(name_of, IMAGES), "image": IMAGES, "subset": "predict"})
    elif not os.path.isfile(path):
        raise refusal(f"{path}: found no such file; expected the sample sheet; correct the config key 'sheet'")
    else:
        sheet = read_table(path)
    known = read_schema("samples")["properties"]
    sheet_problems = list(sheet_problems_of(sheet, known, path))
    if sheet_problems:
        raise refusal(*sheet_problems)
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


def read_table(path):
    """All cells of the sheet as text."""
    try:
        return read_cells(path)
    except ImportError:
        raise refusal(f"{path}: found no pyarrow to read it with; expected it; pip install pyarrow, or save as .tsv")
    except Exception as error:  # whatever pandas and pyarrow raise on what is no table
        cause = " ".join(str(error).split())[:200]
        raise refusal(
            f"{path}: found no table ({cause}); expected text in UTF-8, its columns separated by tabs (.csv: by commas); save it as that"
        )


def list_images(where):
    """Images by a pattern, or all in a folder."""
    where = f"{escape(where)}/*" if os.path.isdir(where) and not where.endswith(".zarr") else where
    found = sorted(path for path in glob(where) if path.lower().endswith(SUFFIXES))
    if not found:
        raise refusal(
            f"config.images: found no image in {where}; expected files that end in {', '.join(SUFFIXES)}; correct the folder or pattern"
        )
    if unprintable := [path for path in found if CONTROL.search(path)]:
        raise refusal(
            f"config.images: found {unprintable[0]}, whose name has control characters or is not UTF-8; expected text on one line; rename it"
        )
    several = [path for path in found if path.lower().endswith(MICROSCOPES)]
    if several:
        raise refusal(
            f"config.images: found {several[0]}, which may hold several images; expected files of one; run snakeseg sheet {where} --output samples.tsv and give sheet=samples.tsv in place of images"
        )
    return found


def name_of(path):
    """The name of a file without its suffix."""
    name = os.path.basename(path)
    return legal_name(name[: -len(next(s for s in SUFFIXES if name.lower().endswith(s)))])


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
        for row in sheet.index[bad_cells(sheet[column], allowed)][:20]:
            yield f"{path}, row {row + 2}: found {column} '{sheet.at[row, column]}'; expected {known[column]['description']}; correct the cell"
    if "parts" in sheet and (total := sum(int(n) for n in sheet["parts"] if re.fullmatch("[0-9]{1,4}", n))) > MAX_PARTS:
        yield f"{path}: found {total} parts of images; expected at most {MAX_PARTS}; lower the numbers in the column parts"
    for name in sorted(set(sheet["sample"][sheet["sample"].duplicated()])):
        yield f"{path}: found sample '{name}' more than once; expected distinct names; rename one"


@cache
def file_status(path):
    """Size and time of a file, and of those that belong to it; None of no file, and of those that the workflow makes."""
    if not path or config["simulate"]:
        return None
    try:
        if os.path.isdir(path):
            return folder_status(path)
        belonging = glob(f"{escape(os.path.splitext(path)[0])}.*") if path.endswith(HEADERS) else [path]
        return [(status.st_size, status.st_mtime_ns) for status in map(os.stat, sorted(belonging))]
    except OSError:  # `check` reports it
        return None


def entry_status(entry):
    """Size and time of a file in a folder, or of a link to nothing itself."""
    try:
        status = entry.stat()
    except OSError:
        status = entry.stat(follow_symlinks=False)
    return status.st_size, status.st_mtime_ns


def folder_status(path):
    """A digest of the names, sizes and times of all files in a folder (Zarr, DICOM), or of its first `MAX_LISTED` entries."""
    entries, todo = [], [path]
    while todo and len(entries) < MAX_LISTED:
        with os.scandir(todo.pop()) as listing:
            found = sorted(listing, key=lambda entry: entry.name)
        todo += [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
        entries += [(entry.path, *entry_status(entry)) for entry in found]
    return [hashlib.sha256(repr(entries).encode("utf-8", "surrogateescape")).hexdigest()[:16]]


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
    if wildcards.batch not in ROWS:
        raise refusal(f"{SHEET}: found no batch '{wildcards.batch}'; expected one of the sheet's; correct the target")
    return digest(ROWS[wildcards.batch])


@cache
def model_folders():
    """The config's model, or the folders of its folds, fold-0, fold-1, ... (as in snakeseg/models/description.py)."""
    names = os.listdir(MODEL) if os.path.isdir(MODEL) else []
    folds = sorted((name for name in names if re.fullmatch("fold-[0-9]{1,6}", name)), key=lambda name: int(name[5:]))
    folds = [f"{MODEL}/{name}" for name in folds if os.path.isfile(f"{MODEL}/{name}/model.json")]
    return folds if folds and "model.json" not in names else [MODEL]


def model_files(*names):
    """The files of these names in the config's model, or in its folds."""
    paths = [f"{folder}/{name}" for folder in model_folders() for name in names]
    return [path for path in paths if os.path.isfile(path)]


def model_mark(*names):
    """For params, a mark of each of these files of the config's model: one that takes its place may be older."""
    return [file_mark(path) for path in model_files(*names)] if MODEL else []


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


def simulation_problems(config):
    """One line if the config names another folder for simulated images, or if their folder holds other files."""
    folder = f"results/{config['name']}/simulated"
    if config["data"] not in (None, folder):
        yield f"config.data: found '{config['data']}' beside simulate, which writes to {folder}; expected one of the two; remove simulate, or data"
    elif os.path.lexists(folder) and not os.path.isfile(f"{folder}/{SIMULATION_MARK}"):
        yield f"{folder}: found a folder that this run did not make (without {SIMULATION_MARK}); expected nothing there; move it away, or delete it"


def link_problems(folders):
    """One line for every link of another user that stands in the way of outputs: Snakemake empties folders behind it."""
    user = os.getuid()
    for path in sorted({str(part) for folder in folders for part in [Path(folder), *Path(folder).parents][:-2]}):
        if os.path.islink(path) and os.lstat(path).st_uid != user:
            yield f"{path}: found a link of another user; expected a folder, or nothing; remove it"


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
if config.get("model"):
    config.setdefault("name", "prediction")
if config.get("images"):
    config["sheet"] = f"results/{config.get('name', '')}/samples.tsv"
KEPT_MAPS = ("keep_probabilities", "uncertainty")
EXPERIMENT_SECTIONS = ("network", "loss", "train", "predict", "instances")
SCHEMA = read_schema("config")
problems = [*value_problems(config)] or [*config_problems(config, SCHEMA, "config"), *path_problems(config)]
if not problems:
    validate(config, schema_file("config"))
    problems += size_problems(config)
if not problems:
    EXPERIMENTS = experiments_of(config)
    for name, sections in EXPERIMENTS.items():
        for section, values in sections.items():
            problems += config_problems(values, SCHEMA["properties"][section], f"config.experiments.{name}.{section}")
    STARTS = {name: e["start_from"] for name, e in config["experiments"].items() if (e or {}).get("start_from")}
    problems += simulation_problems(config) if config["simulate"] else []
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
    raise refusal(*problems)

MODEL, IMAGES = config["model"], list_images(config["images"]) if config["images"] else []
if MODEL:
    EXPERIMENTS = {legal_name(os.path.basename(os.path.realpath(MODEL))): next(iter(EXPERIMENTS.values()))}
    if not model_files("model.json"):
        raise refusal(
            f"config.model: found no model.json in {MODEL}; expected the folder of a trained model; correct it"
        )
elif IMAGES:
    raise refusal("config.images: found no model; expected the folder of one to predict them with; set config.model")
SHEET = Path(config["sheet"])
RUN = f"results/{config['name']}"
SIMULATED = [f"{RUN}/simulated"] if config["simulate"] else []
# A sheet that is read is not compared: its rows are. One that the workflow writes, when other images are there, is.
READ_SHEET = SHEET if IMAGES else ancient(SHEET)
DATA = Path(*SIMULATED) if SIMULATED else Path(config["data"] or ("." if IMAGES else SHEET.parent))
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
    raise refusal(f"{SHEET}: found no row to predict; expected some; set the column subset to predict or test")
PREDICTIONS = [f"{RUN}/predictions/{e}/{b}" for e in EXPERIMENTS for b in PREDICT_BATCHES]
VALIDATIONS = [f"{RUN}/validation/{e}/fold-{f}" for e in EXPERIMENTS for f in FOLDS]
if workflow.is_main_process and (links := [*link_problems([*PREDICTIONS, *VALIDATIONS, *SIMULATED, f"{RUN}/figures"])]):
    raise refusal(*links)
FORMATS = ("bioimageio", "onnx", "torchscript", "monai")
EXPORTS = [f"{RUN}/export/{e}/fold-{f}.{kind}.zip" for e in EXPERIMENTS for f in FOLDS for kind in FORMATS]
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
