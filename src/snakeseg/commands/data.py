"""Subcommands that come before training: images, checks, stores."""

import json
import sys
from argparse import Namespace
from contextlib import suppress
from pathlib import Path

import pandas as pd

from snakeseg.commands.tables import read_json, rows_of
from snakeseg.errors import BadInput, BadInputs
from snakeseg.io.files import atomic_file, atomic_folder, write_text
from snakeseg.io.sheet import legal_name, parts_of, read_sheet, sheet_of_images
from snakeseg.io.tables import write_table
from snakeseg.progress import progress
from snakeseg.settings import Network, network_settings, read_sections

# What of the facts the table of a successful check tells.
CHECKED = ("sample", "path", "shape", "channels", "type", "smallest", "largest", "spacing", "objects", "foreground")


def init(given: Namespace) -> None:
    """A sample sheet and a config; neither takes the place of a file that is there."""
    from snakeseg.layouts import bids, config_text, decathlon

    folder = given.msd or given.bids
    name = legal_name(folder.resolve().name)
    config = given.output or Path(f"{name}.yaml")
    table = config.with_suffix(".tsv")
    for path in (config, table):
        if path.exists():
            raise BadInput(path, "a file", "none: nothing is overwritten", "move it away, or give another name: -o")
    layout = decathlon(folder) if given.msd else bids(folder)
    write_table(table, layout.sheet)
    write_text(config, config_text(name, table, folder, layout))
    counts = ", ".join(f"{n} to {subset}" for subset, n in layout.sheet["subset"].value_counts().items())
    print(f"{table}: {counts}\n{config}: classes {', '.join(layout.classes)}")
    print(f"next: snakemake data_report --cores all --configfile {config}")


def sheet(given: Namespace) -> None:
    """A sample sheet of images that need no labels."""
    write_table(given.output, sheet_of_images(given.images))


def convert(given: Namespace) -> None:
    """Outlines of a label image, or labels of outlines."""
    from snakeseg.io.raster import open_image, read_label, suffix_of, write_labels
    from snakeseg.io.shapes import SUFFIXES, read_shapes, write_shapes
    from snakeseg.outlines import outlines_of, rasterised

    if given.input.suffix.lower() not in SUFFIXES:
        if given.output.suffix.lower() not in (".geojson", ".json", ".zip"):
            raise BadInput(given.output, f"outlines as '{given.output.suffix}'", ".geojson or .zip", "change --output")
        write_shapes(given.output, outlines_of(read_label(given.input, 2).array))
        return
    if given.like is None:
        raise BadInput(given.input, "outlines but no image", "the one they were drawn on", "add --like IMAGE")
    source = open_image(given.like, 2)
    if suffix_of(given.output) != suffix_of(given.like):
        raise BadInput(given.output, "another format than that of --like", suffix_of(given.like), "change --output")
    labels = rasterised(read_shapes(given.input), source.array.shape[1:])
    with atomic_folder(given.output) if given.output.suffix == ".zarr" else atomic_file(given.output) as beside:
        write_labels(beside, labels, source)


def simulate(given: Namespace) -> None:
    """Images and labels in two folders: TIFF planes, or NIfTI volumes whose slices are two pixels thick."""
    import numpy as np

    from snakeseg.simulate import simulate_cells

    s = read_sections(given.settings)
    dims, settings = s["spatial_dims"], s["simulate"]
    with atomic_folder(given.output) as folder:
        for kind in ("images", "labels"):
            (folder / kind).mkdir()
        for index in range(settings.images):
            rng = np.random.default_rng([settings.seed, index])
            made = simulate_cells(rng, (settings.size,) * dims, settings.cells)
            for kind, array in zip(("images", "labels"), made, strict=True):
                _write_simulated(folder / kind / f"cells-{index:02d}", array)


def _write_simulated(path: Path, array) -> None:
    import nibabel
    import numpy as np
    import tifffile

    if array.ndim == 2:
        tifffile.imwrite(path.with_suffix(".tif"), array, compression="zlib")
    else:
        volume = nibabel.Nifti1Image(array[:, :, ::2], np.diag([1, 1, 2, 1]))
        volume.header.set_xyzt_units("mm")
        nibabel.save(volume, path.with_suffix(".nii.gz"))


def inspect(given: Namespace) -> None:
    """What was found in a batch's files, and all problems, as JSON; it never fails on them, `check` does."""
    from snakeseg.inspection import inspect as inspect_rows

    s = read_sections(given.settings)
    rows = rows_of(given, subset=["train", "test", "predict"])
    facts, problems = inspect_rows(rows, s["spatial_dims"], s["labels"])
    write_text(given.output, json.dumps({"facts": facts, "problems": problems}, indent=1) + "\n")


def check(given: Namespace) -> None:
    """A table of what was found in all files, or all problems at once."""
    s = read_sections(given.settings)
    facts, problems = _facts_and_problems(given, s, read_sheet(given.sheet, given.data))
    if problems:
        raise BadInputs(problems)
    write_table(given.output, facts[[name for name in CHECKED if name in facts]])


def data_report(given: Namespace) -> None:
    """A page about the data, and tables of all images and all findings, in a folder; problems are among them."""
    from snakeseg.findings.gather import all_findings, as_table, problem_findings
    from snakeseg.findings.meaning import trusted
    from snakeseg.findings.sizes import experiments_of, overview
    from snakeseg.findings.table import shown, table_of
    from snakeseg.report.datapage import data_page

    s = read_sections(given.settings)
    dims, labels = s["spatial_dims"], s["labels"]
    sheet = read_sheet(given.sheet, given.data)
    facts, problems = _facts_and_problems(given, s, sheet)
    try:
        parts = parts_of(sheet, s["folds"], s["validation"])
    except BadInput:  # which is among the problems
        parts = sheet["subset"]
    table = table_of(sheet, facts, parts)
    networks = _known_networks(s["networks"])
    experiments = experiments_of(networks, s["patches"])
    problems = list(problem_findings(problems, sheet))
    findings = all_findings(table, problems, dims, labels, s["prepare"], networks, experiments)
    objects = overview(trusted(table, labels), labels, experiments)
    output = given.output / "data-report.html"
    write_table(given.output / "data.tsv", shown(table))
    write_table(given.output / "findings.tsv", as_table(findings))
    write_text(output, data_page(given.name, dims, sheet, table, findings, objects, output))
    print(output, file=sys.stderr)


def _facts_and_problems(given: Namespace, s: dict, sheet: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """What `inspect` found in all batches, and all problems of files, rows and networks."""
    from snakeseg.checking import check as check_together
    from snakeseg.checking import check_networks

    found = [read_json(given.inspected / f"{batch}.json") for batch in sheet["batch"].unique()]
    facts = pd.DataFrame([fact for part in found for fact in part["facts"]])
    problems = [problem for part in found for problem in part["problems"]]
    problems += check_together(sheet, facts, s["folds"], s["validation"])
    return facts, problems + check_networks(s["networks"], s["starts"], facts, s["spatial_dims"], s["labels"])


def _known_networks(networks: dict[str, dict]) -> dict[str, Network]:
    """Settings of those whose settings are in order; the others are among the problems."""
    known = {}
    for name, values in networks.items():
        with suppress(BadInput):
            known[name] = network_settings(values)
    return known


def statistics(given: Namespace) -> None:
    """Grey values and class counts as JSON."""
    from snakeseg.prepare import data_statistics

    s = read_sections(given.settings)
    rows = rows_of(given, subset=["train"])
    found = data_statistics(rows, s["spatial_dims"], s["labels"], s["prepare"])
    write_text(given.output, json.dumps(found, indent=1) + "\n")


def prepare(given: Namespace) -> None:
    """A store of normalised images, classes and objects."""
    from snakeseg.io.store import write_store
    from snakeseg.prepare import prepare_rows

    s = read_sections(given.settings)
    rows = rows_of(given, subset=["train"])
    samples = prepare_rows(rows, s["spatial_dims"], s["labels"], s["prepare"], read_json(given.statistics))
    write_store(given.output, progress(samples, len(rows), "preparing"))


def augment(given: Namespace) -> None:
    """A store of elastic copies."""
    from snakeseg.io.store import write_store
    from snakeseg.prepare import elastic_copies

    settings = read_sections(given.settings)["augment"]
    write_store(given.output, elastic_copies(given.prepared[0], settings))


def weigh(given: Namespace) -> None:
    """A store of weight maps, of originals and copies."""
    from snakeseg.io.store import write_store
    from snakeseg.prepare import weight_maps

    settings = read_sections(given.settings)["weigh"]
    write_store(given.output, weight_maps(given.prepared + given.augmented, settings, read_json(given.statistics)))
