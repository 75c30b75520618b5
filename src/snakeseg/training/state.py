"""Training state: all that the next step depends on, saved to and restored from state files."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from snakeseg.progress import log
from snakeseg.settings import Train
from snakeseg.training.history import StepRecord, record_of
from snakeseg.training.optimiser import LossScale
from snakeseg.training.state_files import State, read_training_state


class StateFileOptions(NamedTuple):
    """Settings of state files.

    Parameters
    ----------
    folder : path
        Folder of the state files.
    digest : str
        Digest of all that the weights depend on (`dataset.training_digest`).
    seconds : float
        Interval between states, in seconds.
    """

    folder: Path
    digest: str
    seconds: float


@dataclass
class TrainingState:
    """All that the next step depends on, except the weights and the optimiser.

    Attributes
    ----------
    step : int
        Number of steps done.
    history : list of StepRecord
    kept : dict of str to tensor
        Weights that the training ends with, if `train.select` is "best" or "average"; otherwise empty.
    best : float
        Lowest validation loss so far.
    seconds : float
        Time of all steps, in seconds.
    scale : LossScale
    """

    step: int = 0
    history: list[StepRecord] = field(default_factory=list)
    kept: dict[str, torch.Tensor] = field(default_factory=dict)
    best: float = float("inf")
    seconds: float = 0.0
    scale: LossScale = field(default_factory=LossScale)


def steps_left(state: TrainingState, settings: Train) -> Iterator[int]:
    """Yield the number of the next step until the budget is spent."""
    while spent_share(state, settings) < 1:
        yield state.step


def spent_share(state: TrainingState, settings: Train) -> float:
    """Return the spent share of the budget, in steps or in minutes of training steps; at least 1 at the end."""
    return state.step / settings.steps if settings.minutes is None else state.seconds / (60 * settings.minutes)


def take_snapshot(network: nn.Module, optimiser: torch.optim.Optimizer, state: TrainingState) -> State:
    """Return all that the next step depends on, as CPU tensors by name."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for index, values in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": value for key, value in values.items() if value is not None}
    tensors |= {f"kept.{name}": tensor for name, tensor in state.kept.items()}
    tensors["course"] = torch.tensor([state.best, state.seconds, *state.scale.values()], dtype=torch.float64)
    tensors["history"] = torch.tensor([record.numbers() for record in state.history], dtype=torch.float64)
    return State(state.step, {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()})


def resume(
    network: nn.Module, optimiser: torch.optim.Optimizer, settings: StateFileOptions | None
) -> TrainingState | None:
    """Restore network and optimiser, in place, from the newest valid state file.

    Parameters
    ----------
    network : Module
    optimiser : Optimizer
        Optimiser of the network's parameters.
    settings : StateSettings or None

    Returns
    -------
    TrainingState or None
        None if there is no valid state file, or `settings` is None.
    """
    saved = read_training_state(settings.folder, settings.digest, log) if settings else None
    if saved is None:
        return None
    parts: dict[str, dict] = {"network": {}, "optimiser": {}, "kept": {}}
    for name, tensor in saved.tensors.items():
        part, _, rest = name.partition(".")
        if rest:
            parts[part][rest] = tensor
    network.load_state_dict(parts["network"])
    values: dict[int, dict] = {}
    for name, tensor in parts["optimiser"].items():
        index, _, key = name.partition(".")
        values.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": values})
    device = next(network.parameters()).device
    best, seconds, *scale = saved.tensors["course"].tolist()
    history = [record_of(row) for row in saved.tensors["history"].tolist()]
    log(f"training goes on from step {saved.step}")
    kept = {name: tensor.to(device) for name, tensor in parts["kept"].items()}
    return TrainingState(saved.step, history, kept, best, seconds, LossScale(*scale))
