"""Subcommands around training."""

import json
import sys
from argparse import Namespace
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from snakeseg.commands.inputs import rows_of, stores_of
from snakeseg.devices import choose_device, claim_gpus, total_memory
from snakeseg.errors import BadInput
from snakeseg.io.files import atomic_file, write_text
from snakeseg.io.sheet import assign_folds
from snakeseg.io.tables import write_table
from snakeseg.models.checkpoint import is_finished, save_model
from snakeseg.models.description import Description
from snakeseg.models.golden import make_golden, write_golden
from snakeseg.models.pretrained import fetch, read_state, start_from
from snakeseg.prediction.tiles import PLAIN_TILE
from snakeseg.prediction.timing import measure_model
from snakeseg.progress import tell
from snakeseg.settings import read_sections
from snakeseg.training.auto_size import choose_patch_and_batch
from snakeseg.training.dataset import class_balance, load_items, training_digest, training_provenance
from snakeseg.training.distributed import ALONE, Team, agree, first_decides, first_says, launched, run_together
from snakeseg.training.history import write_history
from snakeseg.training.locations import find_places
from snakeseg.training.loop import FitOptions, fit
from snakeseg.training.losses import make_loss
from snakeseg.training.optimiser import derive_seed
from snakeseg.training.patches import Item, PatchPlan
from snakeseg.training.state import StateSettings
from snakeseg.training.state_files import lock, remove_states
from snakeseg.training.tensorboard import event_writer
from snakeseg.training.validation import validation_loss

# Whole images that `train.select` best looks at.
VALIDATION_IMAGES = 8


def train(given: Namespace) -> None:
    """A model folder: weights, description, history. What a killed training left in `state` is gone on from."""
    settings, started = read_sections(given.settings)["train"], launched()
    if settings.batch != "auto" and settings.batch % settings.processes:
        raise BadInput(
            "train.processes", f"{settings.processes} for a batch of {settings.batch}", "a number that divides it",
            "correct one of them",
        )  # fmt: skip
    follows = started is not None and started[0].rank > 0 and started[0].size == settings.processes
    with nullcontext() if follows else lock(given.output, tell):
        if not follows:
            (given.output / "stop").unlink(missing_ok=True)
        if not started:
            claim_gpus(given.gpus)  # for all processes of a team
        run_together(settings.processes, given.gpus, given.output, _train, given)


class _Material(NamedTuple):
    """All that a training starts from."""

    settings: dict
    device: torch.device
    rows: pd.DataFrame
    description: Description
    items: list[Item]
    attributes: list[dict]
    plan: PatchPlan


def _gather(given: Namespace, team: Team) -> _Material:
    """Read the training images, and settle what the settings leave open."""
    s = read_sections(given.settings)
    device = choose_device(given.gpus, given.threads if launched() else max(1, given.threads // team.size))
    rows = rows_of(given, subset=["train"])
    names = set(rows["sample"][assign_folds(rows, s["folds"], s["validation"]) != given.fold])
    for kind in ("prepared", "augmented", "weights"):  # from here on by their names
        setattr(given, kind, stores_of(getattr(given, kind), rows))
    stores, cache = given.prepared + given.augmented, s["train"].cache_gb
    memory = total_memory(torch.device("cpu")) / 2 if cache is None else cache * 1e9
    given.output.parent.mkdir(parents=True, exist_ok=True)
    items, attributes = load_items(
        names, stores, given.weights, s["network"].border, given.output.parent, memory / team.size
    )
    description = Description(
        s["spatial_dims"], len(items[0].image), s["labels"], s["network"], s["prepare"], s["predict"],
        attributes[0]["statistics"], np.median([a["spacing"] for a in attributes], axis=0).tolist(),
    )  # fmt: skip
    held = sum(array.nbytes for item in items for array in item if not isinstance(array, np.memmap))
    settled, told = choose_patch_and_batch(s["train"], description, [item.target.shape for item in items], device, held)
    if told:
        left_open = {key: getattr(settled, key) for key in ("patch", "batch") if getattr(s["train"], key) == "auto"}
        settled = replace(settled, **agree(left_open, team, device))
        if team.rank == 0:
            tell(told)
    share, balanced = settled.foreground, settled.balanced
    targets, weights = [item.target for item in items], [item.weight for item in items]
    places = find_places(targets, weights, description.classes, balanced) if share else []
    plan = PatchPlan(settled, s["augment"], description.geometry.training, description.spacing, places)
    description = replace(description, symmetry=plan.symmetry)
    return _Material({**s, "train": settled}, device, rows, description, items, attributes, plan)


def _train(given: Namespace, team: Team) -> None:
    """The training of one process of a team; the first writes."""
    s, device, rows, description, items, attributes, plan = _gather(given, team)
    start = given.start or (s["network"].pretrained and Path(s["network"].pretrained))
    provenance = training_provenance(s["train"], device, given.threads, given.fold, attributes)
    files = [*given.prepared, *given.augmented, *given.weights, *([start] if start else [])]
    digest = first_says(training_digest(given.settings, provenance, files), team)
    if first_decides(is_finished(given.output, digest), team):
        tell(f"{given.output} holds the weights of this very training already")
        if team.rank == 0:  # a process that was killed after its last step may have left them
            remove_states(given.output / "state")
        return
    network, criterion = _begin(s, description, items, start)
    keep = StateSettings(given.output / "state", digest, s["train"].state_seconds)
    held = assign_folds(rows, s["folds"], s["validation"]) == given.fold
    validate = _validation(given, s, set(rows["sample"][held]), description, device)
    names = [noted["name"] for noted in attributes]
    with event_writer(given.output / "events", s["train"].tensorboard and team.rank == 0) as observe:
        history = fit(network, items, plan, criterion, device, FitOptions(names, keep, validate, team, observe))
    if team.rank == 0:
        with atomic_file(given.output / "history.tsv") as beside:
            write_history(beside, history)
        write_golden(given.output, make_golden(network, description, items[0].image))
        save_model(given.output, network, description, {**provenance, "digest": digest})
        remove_states(keep.folder)
        (given.output / "stop").unlink(missing_ok=True)


def _begin(s: dict, description: Description, items: list[Item], start: Path | None):
    """The network with its first weights, and its loss."""
    torch.manual_seed(derive_seed(s["train"].seed, -1))
    network = description.make_network()
    if start:
        tell(f"{start_from(network, read_state(start), start)} of {len(network.state_dict())} tensors from {start}")
    return network, make_loss(s["loss"], class_balance(items, description.classes))


def learning_rate(given: Namespace) -> None:
    """A figure of the loss over rising learning rates, with a proposal, and the numbers beside it."""
    from snakeseg.report.images.figures import learning_rate_range
    from snakeseg.training.lr_range_test import propose, range_test

    s, device, _, description, items, _, plan = _gather(given, ALONE)
    start = given.start or (s["network"].pretrained and Path(s["network"].pretrained))
    network, criterion = _begin(s, description, items, start)
    # Alone it takes the whole batch of a team, in as many parts more.
    parts = s["train"].accumulate * s["train"].processes
    plan = replace(plan, train=replace(plan.train, accumulate=parts))
    proposal = propose(found := range_test(network, items, plan, criterion, device))
    tell(f"learning rate {proposal:.2g} proposed, {s['train'].learning_rate:.2g} set")
    write_table(given.output.with_suffix(".tsv"), pd.DataFrame(found))
    with atomic_file(given.output) as beside:
        learning_rate_range(beside, pd.DataFrame(found), proposal, s["train"].learning_rate)


def _validation(given: Namespace, s: dict, names: set[str], description, device):
    """The loss on whole held-out images, the first few by name; None unless it chooses the weights."""
    if s["train"].select != "best":
        return None
    few = set(sorted(names)[:VALIDATION_IMAGES])
    items, _ = load_items(few, given.prepared, given.weights, s["network"].border)
    return lambda network: validation_loss(network, items, description.geometry, PLAIN_TILE[description.dims], device)


def measure(given: Namespace) -> None:
    """What a model's network is and costs, as JSON."""
    device = choose_device(given.gpus, given.threads)
    write_text(given.output, json.dumps(measure_model(given.model, device, given.threads), indent=1) + "\n")


def fetch_weights(given: Namespace) -> None:
    """A file of published weights, checked; the only command that uses the network."""
    fetch(given.name, given.output, given.url)
    print(given.output, file=sys.stderr)
