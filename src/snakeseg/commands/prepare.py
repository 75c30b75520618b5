"""Subcommands that write the inputs of training: statistics, normalised images, elastic copies, weight maps."""

import json
from argparse import Namespace

from snakeseg.commands.inputs import read_json, rows_of
from snakeseg.io.files import write_text
from snakeseg.io.sheet import assign_folds
from snakeseg.io.store import write_store
from snakeseg.progress import progress
from snakeseg.settings import read_settings
from snakeseg.training.prepare import border_terms, data_statistics, elastic_copies, prepare_rows


def statistics(args: Namespace) -> None:
    """Write statistics of the images that a fold trains on as JSON."""
    settings, rows = read_settings(args.settings), rows_of(args, subset=["train"])
    trained = rows[assign_folds(rows, settings.folds, settings.validation) != args.fold]
    computed = data_statistics(trained, settings.spatial_dims, settings.prepare)
    write_text(args.output, json.dumps(computed, indent=1) + "\n")


def prepare(args: Namespace) -> None:
    """Write a store of normalised images, classes and objects."""
    settings, rows = read_settings(args.settings), rows_of(args, subset=["train"])
    statistics = read_json(args.statistics)
    samples = prepare_rows(rows, settings.spatial_dims, settings.labels, settings.prepare, statistics)
    write_store(args.output, progress(samples, len(rows), "preparing"))


def augment(args: Namespace) -> None:
    """Write a store of elastic copies."""
    write_store(args.output, elastic_copies(args.prepared[0], read_settings(args.settings).augment))


def weigh(args: Namespace) -> None:
    """Write a store of the border terms of weight maps, of original images and copies."""
    settings, stores = read_settings(args.settings), args.prepared + args.augmented
    write_store(args.output, border_terms(stores, settings.weigh, settings.labels))
