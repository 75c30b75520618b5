"""How far a training is: what its next step depends on, kept as a state and taken up again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from snakeseg.progress import tell
from snakeseg.settings import Train
from snakeseg.training.history import StepRecord, record_of
from snakeseg.training.optimiser import LossScale
from snakeseg.training.state_files import State, read_state


class StateSettings(NamedTuple):
    """Where states are written, how they are known again, and after how many seconds the next one is due."""

    folder: Path
    digest: str
    seconds: float


@dataclass
class TrainingState:
    """How far a training is: what the next step depends on besides weights and optimiser."""

    step: int = 0
    history: list[StepRecord] = field(default_factory=list)
    kept: dict[str, torch.Tensor] = field(default_factory=dict)
    best: float = float("inf")
    seconds: float = 0.0
    scale: LossScale = field(default_factory=LossScale)


def steps_left(course: TrainingState, settings: Train) -> Iterator[int]:
    """Step numbers until the budget is spent."""
    while spent(course, settings) < 1:
        yield course.step


def spent(course: TrainingState, settings: Train) -> float:
    """Share of the budget that is spent: of steps, or of minutes of training proper."""
    return course.step / settings.steps if settings.minutes is None else course.seconds / (60 * settings.minutes)


def state_of(network: nn.Module, optimiser: torch.optim.Optimizer, course: TrainingState) -> State:
    """All that the next step depends on, as tensors by name."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for index, values in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": value for key, value in values.items() if value is not None}
    tensors |= {f"kept.{name}": tensor for name, tensor in course.kept.items()}
    tensors["course"] = torch.tensor([course.best, course.seconds, *course.scale.values()], dtype=torch.float64)
    tensors["history"] = torch.tensor([record.numbers() for record in course.history], dtype=torch.float64)
    return State(course.step, {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()})


def resume(network: nn.Module, optimiser: torch.optim.Optimizer, keep: StateSettings | None) -> TrainingState | None:
    """Put network and optimiser where a state left them; None if there is no state to go on from."""
    state = read_state(keep.folder, keep.digest, tell) if keep else None
    if state is None:
        return None
    parts: dict[str, dict] = {"network": {}, "optimiser": {}, "kept": {}}
    for name, tensor in state.tensors.items():
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
    best, seconds, *scale = state.tensors["course"].tolist()
    history = [record_of(row) for row in state.tensors["history"].tolist()]
    tell(f"training goes on from step {state.step}")
    kept = {name: tensor.to(device) for name, tensor in parts["kept"].items()}
    return TrainingState(state.step, history, kept, best, seconds, LossScale(*scale))
