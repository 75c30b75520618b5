"""Subcommands that come before training: images, checks, stores."""

import json
import sys
from argparse import Namespace
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from snakeseg.commands.inputs import read_json, rows_of
from snakeseg.errors import BadInput, BadInputs, collect
from snakeseg.io.files import atomic_file, atomic_folder, write_text
from snakeseg.io.sheet import parts_of, read_sheet, sheet_of_images
from snakeseg.io.tables import write_table
from snakeseg.progress import progress
from snakeseg.settings import Network, Train, network_settings, read_sections
from snakeseg.text import printable_lines

# What the folder of simulated images holds besides: it may be replaced.
SIMULATION_MARK = "simulated.json"
# What of the facts the table of a successful check tells.
CHECKED = ("sample", "path", "shape", "channels", "type", "smallest", "largest", "spacing", "objects", "foreground")
# Rows beyond which looking for look-alikes would keep a run waiting; those that a warning names.
MANY, NAMED = 2000, 3


def sheet(given: Namespace) -> None:
    """A sample sheet of images that need no labels."""
    write_table(given.output, sheet_of_images(given.images))


def convert(given: Namespace) -> None:
    """Outlines of a label image, or labels of outlines or masks."""
    from snakeseg.io.formats import images_of_folder, label_suffix, suffix_of
    from snakeseg.io.images import open_image, read_label, write_labels
    from snakeseg.io.rois import SUFFIXES, write_shapes
    from snakeseg.objects.polygons import outlines_of

    masks = images_of_folder(given.input)
    if not masks and given.input.suffix.lower() not in SUFFIXES:
        if given.output.suffix.lower() not in (".geojson", ".json", ".zip"):
            raise BadInput(given.output, f"outlines as '{given.output.suffix}'", ".geojson or .zip", "change --output")
        write_shapes(given.output, outlines_of(read_label(given.input, 2).array))
        return
    if given.like is None:
        raise BadInput(given.input, "no --like", "the image that was drawn on", "add --like IMAGE")
    source = open_image(given.like, 2)
    if suffix_of(given.output).lower() != label_suffix(given.like).lower():
        raise BadInput(given.output, "another format than that of --like", label_suffix(given.like), "change --output")
    labels = _of_masks(masks, source) if masks else _of_outlines(given.input, source)
    with (
        atomic_folder(given.output, "zarr.json")
        if given.output.suffix == ".zarr"
        else atomic_file(given.output) as beside
    ):
        write_labels(beside, labels, source)


def _of_outlines(path: Path, source):
    from snakeseg.io.rois import read_shapes
    from snakeseg.objects.polygons import rasterised

    return rasterised(read_shapes(path), source.array.shape[1:])


def _of_masks(masks: list[Path], source):
    """Labels of masks, one file for each object; those that add none are told."""
    import numpy as np

    from snakeseg.io.images import read_label, require_same_shape

    labels, problems = np.zeros(source.array.shape[1:], np.uint32), []
    for number, path in enumerate(masks, 1):
        mask = collect(problems, lambda path=path: read_label(path, 2))
        if mask and collect(problems, lambda mask=mask: require_same_shape(source, mask) or True):
            own = (mask.array != 0) & (labels == 0)
            labels[own] = number
            if not own.any():
                warning = f"warning: {path}: no pixel that the masks before do not have; no object"
                print(printable_lines(warning), file=sys.stderr)
    if problems:
        raise BadInputs(problems)
    return labels


def simulate(given: Namespace) -> None:
    """Images and labels in two folders: TIFF planes, or NIfTI volumes whose slices are two pixels thick."""
    import numpy as np

    from snakeseg.transforms.simulate import simulate_cells

    s = read_sections(given.settings)
    dims, settings = s["spatial_dims"], s["simulate"]
    with atomic_folder(given.output, SIMULATION_MARK) as folder:
        write_text(folder / SIMULATION_MARK, json.dumps({"dims": dims, **asdict(settings)}) + "\n")
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
    from snakeseg.checks.inspect import inspect as inspect_rows

    s = read_sections(given.settings)
    rows = rows_of(given, subset=["train", "test", "predict"])
    facts, problems = inspect_rows(rows, s["spatial_dims"], s["labels"])
    write_text(given.output, json.dumps({"facts": facts, "problems": problems}, indent=1) + "\n")


def check(given: Namespace) -> None:
    """A table of what was found in all files, or all problems at once; and what the run would do, in words."""
    s = read_sections(given.settings)
    sheet = read_sheet(given.sheet, given.data)
    facts, problems = _facts_and_problems(given, s, sheet)
    lines = [] if problems else _outlook(given, s, sheet, facts, problems)
    told = [] if problems else _warnings(s, sheet, facts)
    if given.json:
        print(json.dumps({"problems": problems, "warnings": told, "outlook": lines}))
    elif not problems:
        print(printable_lines("\n".join([*lines, *told])), file=sys.stderr)
    if problems:
        raise BadInputs(problems)
    write_table(given.output, facts[[name for name in CHECKED if name in facts]])


def _outlook(given: Namespace, s: dict, sheet: pd.DataFrame, facts: pd.DataFrame, problems: list[str]) -> list[str]:
    """What the run would do and take; nothing of a run without training."""
    from snakeseg.training.estimate import Run, estimate_run

    lines: list[str] = []
    if not s["plans"]:
        return lines
    parts, networks = parts_of(sheet, s["folds"], s["validation"]), _known_networks(s["networks"])
    in_order = facts.set_index("sample").loc[sheet["sample"]]
    run = Run(s["spatial_dims"], s["labels"], networks, s["plans"], given.trained, s["augment"].copies)
    collect(problems, lambda: lines.extend(estimate_run(parts, in_order, run, given.output.parent)))
    return lines


def _warnings(s: dict, sheet: pd.DataFrame, facts: pd.DataFrame) -> list[str]:
    """The first of each kind of what will cost something; the page has all of it."""
    if len(sheet) > MANY:
        return ["look-alikes and label oddities of so many images: snakemake data_report"]
    of_topic: dict[str, list] = {}
    for finding in _findings(s, sheet, facts, [])[1]:
        if finding.severity != "note":
            of_topic.setdefault(finding.topic, []).append(finding)
    lines = []
    for topic, (first, *others) in of_topic.items():
        named = f" ({', '.join(first.samples[:NAMED])})" if first.samples else ""
        more = f", and {len(others)} more" if others else ""
        lines.append(f"warning: {topic}: {first.found}{named}{more}; {first.remedy}")
    return [*lines, "all warnings with pictures: snakemake data_report"] if lines else []


def data_report(given: Namespace) -> None:
    """A page about the data, and tables of all images and all findings, in a folder; problems are among them."""
    from snakeseg.checks.findings.all import as_table
    from snakeseg.checks.findings.label_kind import trusted
    from snakeseg.checks.findings.object_sizes import experiments_of, overview
    from snakeseg.checks.findings.table import shown
    from snakeseg.report.data_page import data_page

    s = read_sections(given.settings)
    sheet = read_sheet(given.sheet, given.data)
    facts, problems = _facts_and_problems(given, s, sheet)
    table, findings = _findings(s, sheet, facts, problems)
    experiments = experiments_of(_known_networks(s["networks"]), _patches(s), s["spatial_dims"])
    objects = overview(trusted(table, s["labels"]), s["labels"], experiments)
    output = given.output / "data-report.html"
    write_table(given.output / "data.tsv", shown(table))
    write_table(given.output / "findings.tsv", as_table(findings))
    write_text(output, data_page(given.name, s["spatial_dims"], sheet, table, findings, objects, output))
    print(output, file=sys.stderr)


def _findings(s: dict, sheet: pd.DataFrame, facts: pd.DataFrame, problems: list[str]) -> tuple[pd.DataFrame, list]:
    """A row for every image, and all that deserves a look, problems among it."""
    from snakeseg.checks.findings.all import all_findings, problem_findings
    from snakeseg.checks.findings.object_sizes import experiments_of
    from snakeseg.checks.findings.table import table_of

    try:
        parts = parts_of(sheet, s["folds"], s["validation"])
    except BadInput:  # which is among the problems
        parts = sheet["subset"]
    table, networks = table_of(sheet, facts, parts), _known_networks(s["networks"])
    named = list(problem_findings(problems, sheet))
    experiments = experiments_of(networks, _patches(s), s["spatial_dims"])
    return table, all_findings(table, named, s["spatial_dims"], s["labels"], s["prepare"], networks, experiments)


def _patches(s: dict) -> dict:
    return {name: plan["train"].get("patch", Train().patch) for name, plan in s["plans"].items()}


def _facts_and_problems(given: Namespace, s: dict, sheet: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """What `inspect` found in all batches, and all problems of files, rows and networks."""
    from snakeseg.checks.input import check as check_together
    from snakeseg.models.compatibility import check_networks

    found = [read_json(given.inspected / f"{batch}.json") for batch in sheet["batch"].unique()]
    facts = pd.DataFrame([fact for part in found for fact in part["facts"]])
    problems = [problem for part in found for problem in part["problems"]]
    problems += check_together(sheet, facts, s["folds"], s["validation"])
    problems += check_networks(s["networks"], s["starts"], facts, s["spatial_dims"], s["labels"])
    return facts, list(dict.fromkeys(problems))  # rows may share a file


def _known_networks(networks: dict[str, dict]) -> dict[str, Network]:
    """Settings of those whose settings are in order; the others are among the problems."""
    known = {}
    for name, values in networks.items():
        with suppress(BadInput):
            known[name] = network_settings(values)
    return known


def statistics(given: Namespace) -> None:
    """Grey values and class counts as JSON."""
    from snakeseg.training.prepare import data_statistics

    s = read_sections(given.settings)
    rows = rows_of(given, subset=["train"])
    found = data_statistics(rows, s["spatial_dims"], s["labels"], s["prepare"])
    write_text(given.output, json.dumps(found, indent=1) + "\n")


def prepare(given: Namespace) -> None:
    """A store of normalised images, classes and objects."""
    from snakeseg.io.store import write_store
    from snakeseg.training.prepare import prepare_rows

    s = read_sections(given.settings)
    rows = rows_of(given, subset=["train"])
    samples = prepare_rows(rows, s["spatial_dims"], s["labels"], s["prepare"], read_json(given.statistics))
    write_store(given.output, progress(samples, len(rows), "preparing"))


def augment(given: Namespace) -> None:
    """A store of elastic copies."""
    from snakeseg.io.store import write_store
    from snakeseg.training.prepare import elastic_copies

    settings = read_sections(given.settings)["augment"]
    write_store(given.output, elastic_copies(given.prepared[0], settings))


def weigh(given: Namespace) -> None:
    """A store of weight maps, of originals and copies."""
    from snakeseg.io.store import write_store
    from snakeseg.training.prepare import weight_maps

    settings = read_sections(given.settings)["weigh"]
    write_store(given.output, weight_maps(given.prepared + given.augmented, settings, read_json(given.statistics)))
