"""Subcommands that train a model, choose its learning rate, measure it, and download published weights."""

import json
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path

import pandas as pd

from snakeseg.commands.inputs import rows_of, stores_of
from snakeseg.devices import choose_device, claim_gpus
from snakeseg.io.files import atomic_file, write_text
from snakeseg.io.sheet import assign_folds
from snakeseg.io.tables import write_table
from snakeseg.models.checkpoint import is_finished, save_model
from snakeseg.models.golden import make_golden, write_golden
from snakeseg.models.pretrained import fetch
from snakeseg.prediction.timing import measure_model
from snakeseg.progress import log
from snakeseg.settings import Settings, read_settings
from snakeseg.training.dataset import training_digest, training_provenance
from snakeseg.training.distributed import ALONE, Team, broadcast_decision, broadcast_text, launched_team, run_together
from snakeseg.training.history import write_history
from snakeseg.training.loop import FitOptions, fit
from snakeseg.training.state import StateFileOptions
from snakeseg.training.state_files import lock, remove_states
from snakeseg.training.task import (
    Task,
    TrainingFiles,
    initialise_training,
    make_task,
    make_validation,
    require_equal_shares,
)
from snakeseg.training.tensorboard import event_writer


def train(args: Namespace) -> None:
    """Train a model, and write its weights, description and history; an interrupted training resumes from its state."""
    settings, team = read_settings(args.settings).train, launched_team()
    require_equal_shares(settings)
    is_follower = team is not None and team[0].rank > 0 and team[0].size == settings.processes
    with nullcontext() if is_follower else lock(args.output, log):
        if not is_follower:
            (args.output / "stop").unlink(missing_ok=True)
        if not team:
            claim_gpus(args.gpus)  # for all processes of the team
        run_together(settings.processes, args.gpus, args.output, _train, args)


def _train(args: Namespace, team: Team) -> None:
    """Train in one process of a team; the process of rank 0 writes the model."""
    settings, rows = read_settings(args.settings), rows_of(args, subset=["train"])
    files, task = _files_and_task(args, settings, rows, team)
    provenance = training_provenance(task.plan.train, task.device, args.threads, args.fold, task.attributes)
    digest = broadcast_text(training_digest(args.settings, provenance, files.all()), team)
    if broadcast_decision(is_finished(args.output, digest), team):
        log(f"{args.output}: this training is already complete, with the same data and settings")
        if team.rank == 0:  # left by a process that was killed after its last step
            remove_states(args.output / "state")
        return
    network, criterion = initialise_training(task, settings.loss, files.start)
    states = StateFileOptions(args.output / "state", digest, task.plan.train.state_seconds)
    validate = make_validation(task, files, _held_out_names(args, settings, rows))
    names = [attributes["name"] for attributes in task.attributes]
    with event_writer(args.output / "events", task.plan.train.tensorboard and team.rank == 0) as observe:
        options = FitOptions(names, states, validate, team, observe)
        history = fit(network, task.items, task.plan, criterion, task.device, options)
    if team.rank == 0:
        with atomic_file(args.output / "history.tsv") as beside:
            write_history(beside, history)
        write_golden(args.output, make_golden(network, task.description, task.items[0].image))
        save_model(args.output, network, task.description, {**provenance, "digest": digest})
        remove_states(states.folder)
        (args.output / "stop").unlink(missing_ok=True)


def _files_and_task(args: Namespace, settings: Settings, rows: pd.DataFrame, team: Team) -> tuple[TrainingFiles, Task]:
    """Return the files of a training, and its network, data and plan."""
    stores = (stores_of(paths, rows) for paths in (args.prepared, args.augmented, args.weights))
    pretrained = settings.network.pretrained
    files = TrainingFiles(*stores, args.start or (Path(pretrained) if pretrained else None))
    device = choose_device(args.gpus, args.threads if launched_team() else max(1, args.threads // team.size))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    names = set(rows["sample"]) - _held_out_names(args, settings, rows)
    return files, make_task(settings, files, names, device, team, args.output.parent)


def _held_out_names(args: Namespace, settings: Settings, rows: pd.DataFrame) -> set[str]:
    """Return the samples that the fold holds out for validation."""
    return set(rows["sample"][assign_folds(rows, settings.folds, settings.validation) == args.fold])


def learning_rate(args: Namespace) -> None:
    """Write a figure and a table of the loss over rising learning rates; propose a learning rate."""
    from snakeseg.report.images.figures import draw_range_test
    from snakeseg.training.lr_range_test import propose_learning_rate, range_test

    settings, rows = read_settings(args.settings), rows_of(args, subset=["train"])
    files, task = _files_and_task(args, settings, rows, ALONE)
    network, criterion = initialise_training(task, settings.loss, files.start)
    losses = range_test(network, task.items, task.plan, criterion, task.device)
    proposal = propose_learning_rate(losses)
    log(f"proposed learning rate: {proposal:.2g}; configured: {settings.train.learning_rate:.2g}")
    write_table(args.output.with_suffix(".tsv"), pd.DataFrame(losses))
    with atomic_file(args.output) as beside:
        draw_range_test(beside, pd.DataFrame(losses), proposal, settings.train.learning_rate)


def measure(args: Namespace) -> None:
    """Write size, cost and checkerboard of a model's network as JSON."""
    device = choose_device(args.gpus, args.threads)
    write_text(args.output, json.dumps(measure_model(args.model, device, args.threads), indent=1) + "\n")


def fetch_weights(args: Namespace) -> None:
    """Download published weights and check them; no other command uses the internet."""
    fetch(args.name, args.output, args.url)
    log(args.output)
