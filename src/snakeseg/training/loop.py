"""Training: a short loop over stateless patches, within a budget, that may be cut off and go on to the bit."""

import os
import resource
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import torch
from torch import nn

from snakeseg.devices import use_own_compiler_caches
from snakeseg.errors import BadInput, Interrupted
from snakeseg.networks.blocks import lay_out
from snakeseg.progress import progress, tell
from snakeseg.settings import Train
from snakeseg.training.distributed import ALONE, Team, mean_of_all
from snakeseg.training.history import StepRecord
from snakeseg.training.losses import Criterion
from snakeseg.training.optimiser import derive_seed, learning_rate_factor, make_optimiser
from snakeseg.training.patches import Item, PatchPlan, draw_items, prefetch
from snakeseg.training.state import StateSettings, TrainingState, resume, spent, state_of, steps_left
from snakeseg.training.state_files import stop_requests, write_state
from snakeseg.training.step import Learner, train_step

# How often in a training the validation loss is looked at, where it chooses.
CHECKS = 20
# The running average of weights is one over about so many steps.
AVERAGE_DECAY = 0.999


@dataclass(frozen=True)
class FitOptions:
    """What a training has besides network, images, patches and loss.

    Attributes
    ----------
    names : sequence of str
        Of the items, for messages.
    states : StateSettings, optional
        Where to write states, and to go on from one that is there.
    validate : function, optional
        Loss on held-out images, for `train.select` best.
    team : Team
        The processes that share every batch; all of them call `fit` with the same arguments.
    observe : function, optional
        Called with every new row of the history.
    """

    names: Sequence[str] = ()
    states: StateSettings | None = None
    validate: Callable[[nn.Module], float] | None = None
    team: Team = ALONE
    observe: Callable[[dict], None] | None = None


@dataclass(frozen=True)
class Setup:
    """What stays the same over a training.

    `learner.network` is `network`, compiled if that was asked for.
    """

    network: nn.Module
    learner: Learner
    items: Sequence[Item]
    plan: PatchPlan
    options: FitOptions
    classes: int


def fit(
    network: nn.Module,
    items: Sequence[Item],
    plan: PatchPlan,
    criterion: Criterion,
    device: torch.device,
    options: FitOptions | None = None,
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
    options : FitOptions, optional

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
    options, settings = options or FitOptions(), plan.train
    lay_out(network, device)
    network.train()
    forward = _compiled(network, device) if settings.compile else network
    learner = Learner(forward, make_optimiser(network, settings), criterion, settings, device, options.team)
    setup = Setup(network, learner, items, plan, options, 1 + max(int(item.target.max()) for item in items))
    course = resume(network, learner.optimiser, options.states) or TrainingState()
    with stop_requests(options.team.size > 1) if options.states else nullcontext(lambda: None) as stop_requested:
        _run(setup, course, stop_requested)
    if course.kept:
        network.load_state_dict(course.kept, strict=False)
    network.eval()
    return [record.named() for record in course.history]


def _compiled(network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    if device.type == "cpu" and not shutil.which(os.environ.get("CXX", "g++")):
        raise BadInput("train.compile", "no C++ compiler", "g++, or another in CXX", "install it, or set it to false")
    torch.use_deterministic_algorithms(True, warn_only=True)  # of compilers, too
    use_own_compiler_caches()
    return torch.compile(network)


def _run(setup: Setup, course: TrainingState, stop_requested: Callable[[], str | None]) -> None:
    """Take steps until the budget is spent, and write states when they are due or asked for."""
    settings, options, first = setup.plan.train, setup.options, course.step
    batches = timed(prefetch(setup.items, setup.plan, course.step, *options.team))
    due = time.monotonic() + (options.states.seconds if options.states else 0)
    for _ in _reported(setup, course):
        before = spent(course, settings)
        take_step(setup, course, *next(batches))
        choose_weights(setup.network, course, before, settings, options.validate)
        if options.observe:
            options.observe(course.history[-1].named())
        if settings.compile and course.step == first + 2:
            slow, fast = (record.compute_seconds for record in course.history[-2:])
            tell(f"compiling took {slow - fast:.0f} s; a step now takes {fast:.3f} s")
        if options.states:
            requests = _requests(setup, stop_requested() is not None)
            if options.team.rank == 0 and (requests.stop or time.monotonic() >= due):
                state = state_of(setup.network, setup.learner.optimiser, course)
                write_state(options.states.folder, options.states.digest, state)
                due = time.monotonic() + options.states.seconds
            if requests.stop:
                _leave(setup, course)
            if requests.end:
                tell(f"training ends at step {course.step}: {_end_file(options.states)} asks for it")
                break
    batches.close()


def _reported(setup: Setup, course: TrainingState) -> Iterable[int]:
    """Return the steps that are left; rank 0 reports its progress with them."""
    settings = setup.plan.train
    steps = steps_left(course, settings)
    if setup.options.team.rank > 0:
        return steps
    total = settings.steps if settings.minutes is None else None
    return progress(
        steps, total, "training", lambda: f"loss {_recent(course):.4f}", course.step, lambda: spent(course, settings)
    )


class Requests(NamedTuple):
    """What any process of the team was asked for: to end the training here, or to stop and go on later."""

    end: bool
    stop: bool


def _requests(setup: Setup, signalled: bool) -> Requests:
    ending = float(_end_file(setup.options.states).exists())
    end, stop = mean_of_all([ending, float(signalled)], setup.options.team, setup.learner.device)
    return Requests(bool(end), bool(stop))


def _end_file(states: StateSettings) -> Path:
    return states.folder.parent / "stop"


def _leave(setup: Setup, course: TrainingState) -> NoReturn:
    # No process leaves before the state is written.
    mean_of_all([0.0], setup.options.team, setup.learner.device)
    raise Interrupted(f"training stopped by a signal after step {course.step}; run again to go on from there")


def take_step(setup: Setup, course: TrainingState, batch: Item, wait: float) -> None:
    """One step; patches, random numbers and learning rate follow from its number (or the time, if that is limited)."""
    settings, names, team = setup.plan.train, setup.options.names, setup.options.team
    device, start = setup.learner.device, time.perf_counter()
    torch.manual_seed(derive_seed(settings.seed, course.step) + team.rank)
    rate = settings.learning_rate * learning_rate_factor(settings, spent(course, settings))
    for group in setup.learner.optimiser.param_groups:
        group["lr"] = rate
    try:
        loss = train_step(setup.learner, batch, course.scale)
    except FloatingPointError as error:
        chosen = [names[i] for i in draw_items(setup.items, setup.plan, course.step)] if names else []
        raise FloatingPointError(
            f"training step {course.step}, images {', '.join(chosen) or 'unnamed'}: {error}; expected a number; "
            f"lower train.learning_rate (now {settings.learning_rate}), set train.clip, or set train.precision float32"
        ) from error  # fmt: skip
    compute = time.perf_counter() - start
    pixels = np.bincount(batch.target[batch.weight > 0], minlength=setup.classes) * team.size
    seconds, *pixels = mean_of_all([wait + compute, *pixels], team, device)
    course.history.append(StepRecord(course.step, loss, rate, wait, compute, memory_mb(device), tuple(pixels)))
    course.seconds += seconds
    course.step += 1


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


def _recent(course: TrainingState) -> float:
    return float(np.mean([record.loss for record in course.history[-50:]])) if course.history else float("nan")
