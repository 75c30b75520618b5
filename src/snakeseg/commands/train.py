"""Subcommands around training."""

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
from snakeseg.progress import tell
from snakeseg.settings import Settings, read_settings
from snakeseg.training.dataset import training_digest, training_provenance
from snakeseg.training.distributed import ALONE, Team, first_decides, first_says, launched, run_together
from snakeseg.training.history import write_history
from snakeseg.training.loop import FitOptions, fit
from snakeseg.training.state import StateSettings
from snakeseg.training.state_files import lock, remove_states
from snakeseg.training.task import Task, TrainingFiles, begin, make_task, make_validation, require_equal_shares
from snakeseg.training.tensorboard import event_writer


def train(given: Namespace) -> None:
    """A model folder: weights, description, history. What a killed training left in `state` is gone on from."""
    settings, started = read_settings(given.settings).train, launched()
    require_equal_shares(settings)
    follows = started is not None and started[0].rank > 0 and started[0].size == settings.processes
    with nullcontext() if follows else lock(given.output, tell):
        if not follows:
            (given.output / "stop").unlink(missing_ok=True)
        if not started:
            claim_gpus(given.gpus)  # for all processes of a team
        run_together(settings.processes, given.gpus, given.output, _train, given)


def _train(given: Namespace, team: Team) -> None:
    """The training of one process of a team; the first writes."""
    settings, rows = read_settings(given.settings), rows_of(given, subset=["train"])
    files, task = _files_and_task(given, settings, rows, team)
    provenance = training_provenance(task.plan.train, task.device, given.threads, given.fold, task.attributes)
    digest = first_says(training_digest(given.settings, provenance, files.all()), team)
    if first_decides(is_finished(given.output, digest), team):
        tell(f"{given.output} holds the weights of this very training already")
        if team.rank == 0:  # a process that was killed after its last step may have left them
            remove_states(given.output / "state")
        return
    network, criterion = begin(task, settings.loss, files.start)
    states = StateSettings(given.output / "state", digest, task.plan.train.state_seconds)
    validate = make_validation(task, files, _held_out(given, settings, rows))
    names = [noted["name"] for noted in task.attributes]
    with event_writer(given.output / "events", task.plan.train.tensorboard and team.rank == 0) as observe:
        options = FitOptions(names, states, validate, team, observe)
        history = fit(network, task.items, task.plan, criterion, task.device, options)
    if team.rank == 0:
        with atomic_file(given.output / "history.tsv") as beside:
            write_history(beside, history)
        write_golden(given.output, make_golden(network, task.description, task.items[0].image))
        save_model(given.output, network, task.description, {**provenance, "digest": digest})
        remove_states(states.folder)
        (given.output / "stop").unlink(missing_ok=True)


def _files_and_task(given: Namespace, settings: Settings, rows: pd.DataFrame, team: Team) -> tuple[TrainingFiles, Task]:
    stores = (stores_of(paths, rows) for paths in (given.prepared, given.augmented, given.weights))
    pretrained = settings.network.pretrained
    files = TrainingFiles(*stores, given.start or (Path(pretrained) if pretrained else None))
    device = choose_device(given.gpus, given.threads if launched() else max(1, given.threads // team.size))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    names = set(rows["sample"]) - _held_out(given, settings, rows)
    return files, make_task(settings, files, names, device, team, given.output.parent)


def _held_out(given: Namespace, settings: Settings, rows: pd.DataFrame) -> set[str]:
    return set(rows["sample"][assign_folds(rows, settings.folds, settings.validation) == given.fold])


def learning_rate(given: Namespace) -> None:
    """A figure of the loss over rising learning rates, with a proposal, and the numbers beside it."""
    from snakeseg.report.images.figures import learning_rate_range
    from snakeseg.training.lr_range_test import propose, range_test

    settings, rows = read_settings(given.settings), rows_of(given, subset=["train"])
    files, task = _files_and_task(given, settings, rows, ALONE)
    network, criterion = begin(task, settings.loss, files.start)
    losses = range_test(network, task.items, task.plan, criterion, task.device)
    proposal = propose(losses)
    tell(f"learning rate {proposal:.2g} proposed, {settings.train.learning_rate:.2g} set")
    write_table(given.output.with_suffix(".tsv"), pd.DataFrame(losses))
    with atomic_file(given.output) as beside:
        learning_rate_range(beside, pd.DataFrame(losses), proposal, settings.train.learning_rate)


def measure(given: Namespace) -> None:
    """What a model's network is and costs, as JSON."""
    device = choose_device(given.gpus, given.threads)
    write_text(given.output, json.dumps(measure_model(given.model, device, given.threads), indent=1) + "\n")


def fetch_weights(given: Namespace) -> None:
    """A file of published weights, checked; the only command that uses the network."""
    fetch(given.name, given.output, given.url)
    tell(given.output)
