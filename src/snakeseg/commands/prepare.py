"""Subcommands that make what training reads: statistics, normalised images, elastic copies, weight maps."""

import json
from argparse import Namespace

from snakeseg.commands.inputs import read_json, rows_of
from snakeseg.io.files import write_text
from snakeseg.io.store import write_store
from snakeseg.progress import progress
from snakeseg.settings import read_settings
from snakeseg.training.prepare import data_statistics, elastic_copies, prepare_rows, weight_maps


def statistics(given: Namespace) -> None:
    """Grey values and class counts as JSON."""
    settings, rows = read_settings(given.settings), rows_of(given, subset=["train"])
    found = data_statistics(rows, settings.spatial_dims, settings.labels, settings.prepare)
    write_text(given.output, json.dumps(found, indent=1) + "\n")


def prepare(given: Namespace) -> None:
    """A store of normalised images, classes and objects."""
    settings, rows = read_settings(given.settings), rows_of(given, subset=["train"])
    statistics = read_json(given.statistics)
    samples = prepare_rows(rows, settings.spatial_dims, settings.labels, settings.prepare, statistics)
    write_store(given.output, progress(samples, len(rows), "preparing"))


def augment(given: Namespace) -> None:
    """A store of elastic copies."""
    write_store(given.output, elastic_copies(given.prepared[0], read_settings(given.settings).augment))


def weigh(given: Namespace) -> None:
    """A store of weight maps, of originals and copies."""
    settings, stores = read_settings(given.settings).weigh, given.prepared + given.augmented
    write_store(given.output, weight_maps(stores, settings, read_json(given.statistics)))
