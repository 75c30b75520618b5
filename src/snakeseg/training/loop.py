"""Training: a short loop over stateless patches, within a budget, that may be cut off and go on to the bit."""

import csv
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from snakeseg.devices import autocast, use_own_compiler_caches
from snakeseg.errors import BadInput, Interrupted
from snakeseg.networks.blocks import LAYOUT, lay_out
from snakeseg.progress import progress, tell
from snakeseg.settings import Train
from snakeseg.training.distributed import ALONE, Team, average_gradients, mean_of_all
from snakeseg.training.losses import Criterion
from snakeseg.training.optimiser import LossScale, derive_seed, learning_rate_factor, make_optimiser
from snakeseg.training.patches import Item, PatchPlan, draw_items, prefetch
from snakeseg.training.state import StateSettings, TrainingState, resume, spent, state_of, steps_left
from snakeseg.training.state_files import stop_requests, write_state

# How often in a training the validation loss is looked at, where it chooses.
CHECKS = 20
# The running average of weights is one over about so many steps.
AVERAGE_DECAY = 0.999
# Columns of the history; after them, `pixels_<class>`: how many pixels of each class the loss has seen in the step.
HISTORY = ("step", "loss", "learning_rate", "wait_seconds", "compute_seconds", "memory_mb")


@dataclass(frozen=True)
class Setup:
    """What stays the same over a training. `forward` is the network, compiled if that was asked for."""

    network: nn.Module
    forward: nn.Module
    optimiser: torch.optim.Optimizer
    items: Sequence[Item]
    plan: PatchPlan
    criterion: Criterion
    device: torch.device
    names: Sequence[str]
    team: Team
    classes: int


def fit(
    network: nn.Module,
    items: Sequence[Item],
    plan: PatchPlan,
    criterion: Criterion,
    device: torch.device,
    names: Sequence[str] = (),
    keep: StateSettings | None = None,
    validate: Callable[[nn.Module], float] | None = None,
    team: Team = ALONE,
    observe: Callable[[dict], None] | None = None,
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
    keep : StateSettings, optional
        Where to write states, and to go on from one that is there.
    validate : function, optional
        Loss on held-out images, for `train.select` best.
    team : Team
        The processes that share every batch; all of them call this with the same arguments.
    observe : function, optional
        Called with every new row of the history.

    Returns
    -------
    list of dict
        The history: one row per step, keys `HISTORY` and pixels per class.

    Raises
    ------
    FloatingPointError
        If the loss or the gradient is no longer a number; the last good state is kept.
    Interrupted
        If a signal asked for it.
    """
    lay_out(network, device)
    network.train()
    if plan.train.compile and device.type == "cpu" and not shutil.which(os.environ.get("CXX", "g++")):
        raise BadInput("train.compile", "no C++ compiler", "g++, or another in CXX", "install it, or set it to false")
    setup = Setup(
        network, _compiled(network) if plan.train.compile else network, make_optimiser(network, plan.train),
        items, plan, criterion, device, names, team, 1 + max(int(item.target.max()) for item in items),
    )  # fmt: skip
    course = resume(network, setup.optimiser, keep) or TrainingState()
    with stop_requests(team.size > 1) if keep else nullcontext(lambda: None) as stop_requested:
        _run(setup, course, keep, validate, stop_requested, observe)
    if course.kept:
        network.load_state_dict(course.kept, strict=False)
    network.eval()
    return [_row(values) for values in course.history]


def _compiled(network: torch.nn.Module) -> torch.nn.Module:
    torch.use_deterministic_algorithms(True, warn_only=True)  # of compilers, too
    use_own_compiler_caches()
    return torch.compile(network)


def _run(setup: Setup, course: TrainingState, keep: StateSettings | None, validate, stop_requested, observe) -> None:
    """Steps until the budget is spent, with states written when due or asked for."""
    settings, team, first = setup.plan.train, setup.team, course.step
    batches = timed(prefetch(setup.items, setup.plan, course.step, *team))
    due = time.monotonic() + (keep.seconds if keep else 0)
    for _ in (progress if team.rank == 0 else quietly)(
        steps_left(course, settings), settings.steps if settings.minutes is None else None, "training",
        lambda: f"loss {_recent(course):.4f}", course.step, lambda: spent(course, settings),
    ):  # fmt: skip
        before = spent(course, settings)
        take_step(setup, course, *next(batches))
        choose_weights(setup.network, course, before, settings, validate)
        if observe:
            observe(_row(course.history[-1]))
        if settings.compile and course.step == first + 2:
            cost = course.history[-2][4] - course.history[-1][4]
            tell(f"compiling took {cost:.0f} s; a step now takes {course.history[-1][4]:.3f} s")
        if keep is None:
            continue
        asked, enough = keep.folder.parent / "stop", stop_requested()
        asked_any, enough_any = mean_of_all([float(asked.exists()), float(enough is not None)], team, setup.device)
        if team.rank == 0 and (enough_any or time.monotonic() >= due):
            write_state(keep.folder, keep.digest, state_of(setup.network, setup.optimiser, course))
            due = time.monotonic() + keep.seconds
        if enough_any:
            mean_of_all([0.0], team, setup.device)  # nobody leaves before the state is written
            raise Interrupted(f"training stopped by a signal after step {course.step}; run again to go on from there")
        if asked_any:
            tell(f"training ends at step {course.step}: {asked} asks for it")
            break
    batches.close()


def quietly(work: Iterable, *told) -> Iterable:
    """In place of `progress`, where another process of the team tells it."""
    return work


def take_step(setup: Setup, course: TrainingState, batch: Item, wait: float) -> None:
    """One step; patches, random numbers and learning rate follow from its number (or the time, if that is limited)."""
    settings, plan, team = setup.plan.train, setup.plan, setup.team
    start = time.perf_counter()
    torch.manual_seed(derive_seed(settings.seed, course.step) + team.rank)
    rate = settings.learning_rate * learning_rate_factor(settings, spent(course, settings))
    for group in setup.optimiser.param_groups:
        group["lr"] = rate
    try:
        loss = train_step(
            setup.forward, setup.optimiser, batch, setup.criterion, settings, setup.device, team, course.scale
        )
    except FloatingPointError as error:
        chosen = [setup.names[i] for i in draw_items(setup.items, plan, course.step)] if setup.names else []
        raise FloatingPointError(
            f"training step {course.step}, images {', '.join(chosen) or 'unnamed'}: {error}; expected a number; "
            f"lower train.learning_rate (now {settings.learning_rate}), set train.clip, or set train.precision float32"
        ) from error  # fmt: skip
    compute = time.perf_counter() - start
    pixels = np.bincount(batch.target[batch.weight > 0], minlength=setup.classes) * team.size
    seconds, *pixels = mean_of_all([wait + compute, *pixels], team, setup.device)
    course.history.append((course.step, loss, rate, wait, compute, memory_mb(setup.device), *pixels))
    course.seconds += seconds
    course.step += 1


def train_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Item,
    criterion: Criterion,
    settings: Train,
    device: torch.device,
    team: Team = ALONE,
    scale: LossScale | None = None,
) -> float:
    """Gradient descent on a batch (or the team's share of it), in `settings.accumulate` parts; returns the loss.

    In float16 the loss is multiplied by `scale`; a step whose gradients overflow changes nothing but the scale.

    Raises
    ------
    FloatingPointError
        If the loss or the norm of the gradient is not a number; weights and optimiser are as before.
    """
    optimiser.zero_grad(set_to_none=True)
    scale = scale if settings.precision == "float16" else None
    factor = scale.value if scale else 1.0
    total, parts = 0.0, min(settings.accumulate, len(batch.image))
    for part in zip(*(np.array_split(array, parts) for array in batch), strict=True):
        image, target, weight = (torch.from_numpy(array).to(device, non_blocking=True) for array in part)
        image = image.to(next(network.parameters()).dtype).contiguous(memory_format=LAYOUT[image.ndim - 2])
        with autocast(settings.precision, device):
            logits = network(image)
        loss = criterion(logits, target, weight) * (len(image) / len(batch.image))
        (loss * factor).backward()
        total += loss.item()
    average_gradients(network, team)
    (total,) = mean_of_all([total], team, device)
    if not np.isfinite(total):
        raise FloatingPointError(f"the loss is {total}")
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    if scale:
        torch._foreach_div_(gradients, factor)
    norm = nn.utils.get_total_norm(gradients)
    finite = bool(torch.isfinite(norm))
    if scale and scale.passed(finite) and not finite:
        return total
    if not finite:
        raise FloatingPointError(f"the norm of the gradient is {norm.item()}")
    if settings.clip:
        nn.utils.clip_grads_with_norm_(network.parameters(), settings.clip, norm)
    optimiser.step()
    return total


def choose_weights(network: nn.Module, course: TrainingState, before: float, settings: Train, validate) -> None:
    """Keep the running average of the weights, or those with the lowest validation loss, where `select` asks for it.

    `before` is the share of the budget that was spent before the last step.
    """
    if settings.select == "average":
        decay = min(AVERAGE_DECAY, course.step / (course.step + 9))
        blend(course.kept, network.state_dict(), decay)
        return
    due = int(before * CHECKS) < int(spent(course, settings) * CHECKS)
    if settings.select == "best" and validate and due:
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


def memory_mb(device: torch.device) -> float:
    """Peak memory so far: of the accelerator, or resident on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def timed(batches: Iterator[Item]) -> Iterator[tuple[Item, float]]:
    """Each batch with the seconds spent waiting for it."""
    start = time.perf_counter()
    for batch in batches:
        yield batch, time.perf_counter() - start
        start = time.perf_counter()


def write_history(path, history: list[dict]) -> None:
    """The history as TSV."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(history[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in history)


def _row(values: tuple[float, ...]) -> dict:
    """Of the history, with its names."""
    step, *measured = values[: len(HISTORY)]
    pixels = {f"pixels_{c}": int(number) for c, number in enumerate(values[len(HISTORY) :])}
    return {**dict(zip(HISTORY, (int(step), *measured), strict=True)), **pixels}


def _recent(course: TrainingState) -> float:
    return float(np.mean([row[1] for row in course.history[-50:]])) if course.history else float("nan")
