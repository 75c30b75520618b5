"""Training: a short loop over stateless patches, within a budget, that may be cut off and go on to the bit."""

import csv
import resource
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from snakeseg.devices import autocast
from snakeseg.errors import Interrupted
from snakeseg.losses import Criterion
from snakeseg.optimiser import derive_seed, learning_rate_factor, make_optimiser
from snakeseg.parallel import ALONE, Team, average_gradients, mean_of_all
from snakeseg.patches import Item, PatchPlan, draw_batch, draw_items
from snakeseg.progress import progress
from snakeseg.settings import Train
from snakeseg.state import State, read_state, stop_requests, tell, write_state

AHEAD = 4
# How often in a training the validation loss is looked at, where it chooses.
CHECKS = 20
# The running average of weights is one over about so many steps.
AVERAGE_DECAY = 0.999
HISTORY = ("step", "loss", "learning_rate", "wait_seconds", "compute_seconds", "memory_mb")


class Keep(NamedTuple):
    """Where states are written, how they are known again, and after how many seconds the next one is due."""

    folder: Path
    digest: str
    seconds: float


@dataclass
class Course:
    """How far a training is: what the next step depends on besides weights and optimiser."""

    step: int = 0
    history: list[tuple[float, ...]] = field(default_factory=list)
    kept: dict[str, torch.Tensor] = field(default_factory=dict)
    best: float = float("inf")
    seconds: float = 0.0


def fit(
    network: nn.Module,
    items: Sequence[Item],
    plan: PatchPlan,
    criterion: Criterion,
    device: torch.device,
    names: Sequence[str] = (),
    keep: Keep | None = None,
    validate: Callable[[nn.Module], float] | None = None,
    team: Team = ALONE,
) -> list[dict]:
    """Train a network in place.

    Parameters
    ----------
    network : Module
        Freshly initialised.
    items : sequence of Item
        Training images with targets and weights.
    plan : PatchPlan
        Settings of training, deformation and the network's geometry.
    criterion : function
        The loss, from `make_loss`.
    device : torch.device
    names : sequence of str
        Of the items, for messages.
    keep : Keep, optional
        Where to write states, and to go on from one that is there.
    validate : function, optional
        Loss on held-out images, for `train.select` best.
    team : Team
        The processes that share every batch; all of them call this with the same arguments.

    Returns
    -------
    list of dict
        The history: one row per step, keys `HISTORY`.

    Raises
    ------
    FloatingPointError
        If the loss or the gradient is no longer a number; the last good state is kept.
    Interrupted
        If a signal asked for it.
    """
    settings = plan.train
    network.to(device, memory_format=torch.channels_last if items[0].target.ndim == 2 else torch.contiguous_format)
    network.train()
    optimiser = make_optimiser(network, settings)
    course = resume(network, optimiser, keep) or Course()
    batches = timed(prefetch(items, plan, course.step, team))
    due = time.monotonic() + (keep.seconds if keep else 0)
    with stop_requests(team.size > 1) if keep else nullcontext(lambda: None) as stop_requested:
        for _ in (progress if team.rank == 0 else quietly)(
            steps_left(course, settings), settings.steps if settings.minutes is None else None, "training",
            lambda: f"loss {_recent(course):.4f}", course.step, lambda: spent(course, settings),
        ):  # fmt: skip
            take_step(network, optimiser, course, next(batches), criterion, plan, device, names, team)
            choose_weights(network, course, settings, validate)
            if keep is None:
                continue
            asked, enough = keep.folder.parent / "stop", stop_requested()
            asked_any, enough_any = mean_of_all([float(asked.exists()), float(enough is not None)], team, device)
            if team.rank == 0 and (enough_any or time.monotonic() >= due):
                write_state(keep.folder, keep.digest, state_of(network, optimiser, course))
                due = time.monotonic() + keep.seconds
            if enough_any:
                mean_of_all([0.0], team, device)  # nobody leaves before the state is written
                raise Interrupted(
                    f"training stopped by a signal after step {course.step}; run again to go on from there"
                )
            if asked_any:
                tell(f"training ends at step {course.step}: {asked} asks for it")
                break
    batches.close()
    if course.kept:
        network.load_state_dict(course.kept, strict=False)
    network.eval()
    return [dict(zip(HISTORY, (int(row[0]), *row[1:]), strict=True)) for row in course.history]


def steps_left(course: Course, settings: Train) -> Iterator[int]:
    """Step numbers until the budget is spent."""
    while spent(course, settings) < 1:
        yield course.step


def quietly(work: Iterable, *told) -> Iterable:
    """In place of `progress`, where another process of the team tells it."""
    return work


def spent(course: Course, settings: Train) -> float:
    """Share of the budget that is spent: of steps, or of minutes of training proper."""
    return course.step / settings.steps if settings.minutes is None else course.seconds / (60 * settings.minutes)


def take_step(
    network, optimiser, course: Course, drawn, criterion: Criterion, plan: PatchPlan, device, names, team: Team
) -> None:
    """One step; patches, random numbers and learning rate follow from its number (or the time, if that is limited)."""
    settings, (batch, wait) = plan.train, drawn
    start = time.perf_counter()
    torch.manual_seed(derive_seed(settings.seed, course.step) + team.rank)
    rate = settings.learning_rate * learning_rate_factor(settings, spent(course, settings))
    for group in optimiser.param_groups:
        group["lr"] = rate
    try:
        loss = train_step(network, optimiser, batch, criterion, settings, device, team)
    except FloatingPointError as error:
        chosen = [names[i] for i in draw_items(len(names), plan, course.step)] if names else []
        raise FloatingPointError(
            f"training step {course.step}, images {', '.join(chosen) or 'unnamed'}: {error}; expected a number; "
            f"lower train.learning_rate (now {settings.learning_rate}), set train.clip, or set train.precision float32"
        ) from error  # fmt: skip
    compute = time.perf_counter() - start
    course.history.append((course.step, loss, rate, wait, compute, memory_mb(device)))
    course.seconds += mean_of_all([wait + compute], team, device)[0]
    course.step += 1


def train_step(
    network, optimiser, batch: Item, criterion: Criterion, settings: Train, device: torch.device, team: Team = ALONE
) -> float:
    """Gradient descent on a batch (or the team's share of it), in `settings.accumulate` parts; returns the loss.

    Raises
    ------
    FloatingPointError
        If the loss or the norm of the gradient is not a number; weights and optimiser are as before.
    """
    optimiser.zero_grad(set_to_none=True)
    total, parts = 0.0, min(settings.accumulate, len(batch.image))
    for part in zip(*(np.array_split(array, parts) for array in batch), strict=True):
        image, target, weight = (torch.from_numpy(array).to(device, non_blocking=True) for array in part)
        image = image.to(next(network.parameters()).dtype)
        if image.ndim == 4:
            image = image.contiguous(memory_format=torch.channels_last)
        with autocast(settings.precision, device):
            logits = network(image)
        loss = criterion(logits, target, weight) * (len(image) / len(batch.image))
        loss.backward()
        total += loss.item()
    average_gradients(network, team)
    (total,) = mean_of_all([total], team, device)
    if not np.isfinite(total):
        raise FloatingPointError(f"the loss is {total}")
    norm = nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
    if not torch.isfinite(norm):
        raise FloatingPointError(f"the norm of the gradient is {norm.item()}")
    if settings.clip:
        nn.utils.clip_grads_with_norm_(network.parameters(), settings.clip, norm)
    optimiser.step()
    return total


def choose_weights(network: nn.Module, course: Course, settings: Train, validate) -> None:
    """Keep the running average of the weights, or those with the lowest validation loss, where `select` asks for it."""
    if settings.select == "average":
        decay = min(AVERAGE_DECAY, course.step / (course.step + 9))
        blend(course.kept, network.state_dict(), decay)
    elif settings.select == "best" and validate:
        before = spent(Course(course.step - 1, seconds=course.seconds - sum(course.history[-1][3:5])), settings)
        if int(before * CHECKS) < int(spent(course, settings) * CHECKS):
            loss = validate(network)
            network.train()
            tell(f"validation loss {loss:.4f} after step {course.step}")
            if loss < course.best:
                course.best = loss
                blend(course.kept, network.state_dict(), 0.0)


@torch.no_grad()
def blend(kept: dict[str, torch.Tensor], state: dict[str, torch.Tensor], decay: float) -> None:
    """In place ``decay * kept + (1 - decay) * state``; whole numbers, and what is not there yet, are copied."""
    for name, tensor in state.items():
        if name not in kept or not tensor.is_floating_point():
            kept[name] = tensor.clone()
        else:
            kept[name].lerp_(tensor, 1 - decay)


def state_of(network: nn.Module, optimiser: torch.optim.Optimizer, course: Course) -> State:
    """All that the next step depends on, as tensors by name."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for index, values in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": value for key, value in values.items() if value is not None}
    tensors |= {f"kept.{name}": tensor for name, tensor in course.kept.items()}
    tensors["course"] = torch.tensor([course.best, course.seconds], dtype=torch.float64)
    tensors["history"] = torch.tensor(course.history, dtype=torch.float64)
    return State(course.step, {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()})


def resume(network: nn.Module, optimiser: torch.optim.Optimizer, keep: Keep | None) -> Course | None:
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
    best, seconds = state.tensors["course"].tolist()
    history = [tuple(row) for row in state.tensors["history"].tolist()]
    tell(f"training goes on from step {state.step}")
    return Course(state.step, history, {n: t.to(device) for n, t in parts["kept"].items()}, best, seconds)


def memory_mb(device: torch.device) -> float:
    """Peak memory so far: of the accelerator, or resident on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def prefetch(items: Sequence[Item], plan: PatchPlan, start: int = 0, team: Team = ALONE) -> Iterator[Item]:
    """Batches in order from a step on (without end, if time is the budget), drawn ahead of time in the background."""
    steps = range(start, plan.train.steps) if plan.train.minutes is None else count(start)
    pool, waiting = ThreadPoolExecutor(1), deque()
    try:
        for step in steps:
            waiting.append(pool.submit(draw_batch, items, plan, step, *team))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def timed(batches: Iterator[Item]) -> Iterator[tuple[Item, float]]:
    """Each batch with the seconds spent waiting for it."""
    start = time.perf_counter()
    for batch in batches:
        yield batch, time.perf_counter() - start
        start = time.perf_counter()


def write_history(path, history: list[dict]) -> None:
    """The history as TSV."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HISTORY, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in history)


def _recent(course: Course) -> float:
    return float(np.mean([row[1] for row in course.history[-50:]])) if course.history else float("nan")
