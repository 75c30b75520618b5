"""Training loop: steps within a budget, states to resume from with the same bits, choice of the final weights."""

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
from snakeseg.networks.blocks import to_device_layout
from snakeseg.progress import log, progress
from snakeseg.settings import Train
from snakeseg.training.distributed import ALONE, Team, mean_of_all
from snakeseg.training.history import StepRecord
from snakeseg.training.losses import Criterion
from snakeseg.training.optimiser import derive_seed, learning_rate_factor, make_optimiser
from snakeseg.training.patches import Item, Patch, PatchPlan, prefetch, sample_image_indices
from snakeseg.training.state import StateFileOptions, TrainingState, resume, spent_share, steps_left, take_snapshot
from snakeseg.training.state_files import catch_stop_signals, write_training_state
from snakeseg.training.step import Learner, train_step

# Number of computations of the validation loss in a training, if `train.select` is "best".
VALIDATIONS = 20
# Decay per step of the running average of weights, which covers about 1 / (1 - decay) steps.
AVERAGE_DECAY = 0.999


@dataclass(frozen=True)
class FitOptions:
    """Options of a training.

    Attributes
    ----------
    names : sequence of str
        Names of the items, for error messages.
    states : StateSettings, optional
        Where to write states, and from where to resume. Default: no states.
    validate : function, optional
        Computes the loss of a network on held-out images; needed if `train.select` is "best".
    team : Team
        The processes that share every batch; all of them call `fit` with the same arguments.
    observe : function, optional
        Called with every new row of the history (`StepRecord.named`).
    """

    names: Sequence[str] = ()
    states: StateFileOptions | None = None
    validate: Callable[[nn.Module], float] | None = None
    team: Team = ALONE
    observe: Callable[[dict], None] | None = None


@dataclass(frozen=True)
class FitContext:
    """Constants of a training; `learner.network` is `network`, compiled if `train.compile` is true."""

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
        History: one row per step (`StepRecord.named`).

    Raises
    ------
    FloatingPointError
        If the loss or the gradient is not finite; the last state remains.
    Interrupted
        If a stop signal was received; the state is written before.
    """
    options, settings = options or FitOptions(), plan.train
    to_device_layout(network, device)
    network.train()
    forward = _compiled(network, device) if settings.compile else network
    learner = Learner(forward, make_optimiser(network, settings), criterion, settings, device, options.team)
    context = FitContext(network, learner, items, plan, options, 1 + max(int(item.target.max()) for item in items))
    state = resume(network, learner.optimiser, options.states) or TrainingState()
    with catch_stop_signals(options.team.size > 1) if options.states else nullcontext(lambda: None) as stop_requested:
        _run(context, state, stop_requested)
    if state.kept:
        network.load_state_dict(state.kept, strict=False)
    network.eval()
    return [record.named() for record in state.history]


def _compiled(network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    if device.type == "cpu" and not shutil.which(os.environ.get("CXX", "g++")):
        raise BadInput(
            "train.compile", "no C++ compiler", "g++, or another in CXX", "install g++, or set train.compile to false"
        )
    torch.use_deterministic_algorithms(True, warn_only=True)  # compiled code, too
    use_own_compiler_caches()
    return torch.compile(network)


def _run(context: FitContext, state: TrainingState, stop_requested: Callable[[], str | None]) -> None:
    """Take steps until the budget is spent; write states when they are due, and before a requested stop."""
    settings, options, first = context.plan.train, context.options, state.step
    batches = with_waiting_time(prefetch(context.items, context.plan, state.step, *options.team))
    due = time.monotonic() + (options.states.seconds if options.states else 0)
    for _ in _steps_with_progress(context, state):
        before = spent_share(state, settings)
        take_step(context, state, *next(batches))
        update_kept_weights(context.network, state, before, settings, options.validate)
        if options.observe:
            options.observe(state.history[-1].named())
        if settings.compile and state.step == first + 2:
            slow, fast = (record.compute_seconds for record in state.history[-2:])
            log(f"compiling took {slow - fast:.0f} s; a step now takes {fast:.3f} s")
        if options.states:
            requests = _requests(context, stop_requested() is not None)
            if options.team.rank == 0 and (requests.stop or time.monotonic() >= due):
                snapshot = take_snapshot(context.network, context.learner.optimiser, state)
                write_training_state(options.states.folder, options.states.digest, snapshot)
                due = time.monotonic() + options.states.seconds
            if requests.stop:
                _stop(context, state)
            if requests.end:
                log(f"training ends at step {state.step}, as {_stop_file(options.states)} exists")
                break
    batches.close()


def _steps_with_progress(context: FitContext, state: TrainingState) -> Iterable[int]:
    """Return the remaining steps; in rank 0, with a report of the progress."""
    settings = context.plan.train
    steps = steps_left(state, settings)
    if context.options.team.rank > 0:
        return steps
    total = settings.steps if settings.minutes is None else None
    return progress(
        steps,
        total,
        "training",
        lambda: f"loss {_recent_loss(state):.4f}",
        state.step,
        lambda: spent_share(state, settings),
    )


class StopRequests(NamedTuple):
    """Requests to any process of the team: to end the training, or to stop and resume later."""

    end: bool
    stop: bool


def _requests(context: FitContext, signalled: bool) -> StopRequests:
    end_requested = float(_stop_file(context.options.states).exists())
    end, stop = mean_of_all([end_requested, float(signalled)], context.options.team, context.learner.device)
    return StopRequests(bool(end), bool(stop))


def _stop_file(states: StateFileOptions) -> Path:
    return states.folder.parent / "stop"


def _stop(context: FitContext, state: TrainingState) -> NoReturn:
    # Wait for all processes, so that none ends before the state is written.
    mean_of_all([0.0], context.options.team, context.learner.device)
    raise Interrupted(f"training stopped by a signal after step {state.step}; run again to continue from there")


def take_step(context: FitContext, state: TrainingState, batch: Patch, wait: float) -> None:
    """Take one step, and update the training state in place.

    Patches, random numbers and learning rate follow from the number of the step (the learning rate from the time spent,
    if the budget is in minutes).

    Parameters
    ----------
    context : FitContext
    state : TrainingState
    batch : Patch
        This process's share of the batch.
    wait : float
        Time of waiting for the batch, in seconds.

    Raises
    ------
    FloatingPointError
        If the loss or the gradient is not finite.
    """
    settings, names, team = context.plan.train, context.options.names, context.options.team
    device, start = context.learner.device, time.perf_counter()
    torch.manual_seed(derive_seed(settings.seed, state.step) + team.rank)
    rate = settings.learning_rate * learning_rate_factor(settings, spent_share(state, settings))
    for group in context.learner.optimiser.param_groups:
        group["lr"] = rate
    try:
        loss = train_step(context.learner, batch, state.scale)
    except FloatingPointError as error:
        image_names = [names[i] for i in sample_image_indices(context.items, context.plan, state.step)] if names else []
        raise FloatingPointError(
            f"training step {state.step}, images {', '.join(image_names) or 'unnamed'}: {error}; expected a "
            f"finite number; lower train.learning_rate (now {settings.learning_rate}), set train.clip to 1, or set "
            "train.precision to float32"
        ) from error  # fmt: skip
    compute = time.perf_counter() - start
    pixels = np.bincount(batch.target[batch.weight > 0], minlength=context.classes) * team.size
    seconds, *pixels = mean_of_all([wait + compute, *pixels], team, device)
    state.history.append(StepRecord(state.step, loss, rate, wait, compute, memory_mb(device), tuple(pixels)))
    state.seconds += seconds
    state.step += 1


def update_kept_weights(network: nn.Module, state: TrainingState, before: float, settings: Train, validate) -> None:
    """Update the weights that the training keeps: their running average, or those of the lowest validation loss.

    Parameters
    ----------
    network : Module
    state : TrainingState
        `kept` and `best` are updated in place.
    before : float
        Share of the budget that was spent before the last step.
    settings : Train
        `select` is "average", "best", or "last", which keeps none.
    validate : function
        Computes the loss of a network on held-out images.
    """
    if settings.select == "average":
        decay = min(AVERAGE_DECAY, state.step / (state.step + 9))
        average_into(state.kept, network.state_dict(), decay)
        return
    due = int(before * VALIDATIONS) < int(spent_share(state, settings) * VALIDATIONS)
    if settings.select == "best" and validate and due:
        loss = validate(network)
        network.train()
        log(f"validation loss {loss:.4f} after step {state.step}")
        if loss < state.best:
            state.best = loss
            average_into(state.kept, network.state_dict(), 0.0)


@torch.no_grad()
def average_into(kept: dict[str, torch.Tensor], weights: dict[str, torch.Tensor], decay: float) -> None:
    """Set `kept` to ``decay * kept + (1 - decay) * weights``, in place; copy integers and missing tensors."""
    for name, tensor in weights.items():
        if name not in kept or not tensor.is_floating_point():
            kept[name] = tensor.clone()
        else:
            kept[name].lerp_(tensor, 1 - decay)


def memory_mb(device: torch.device) -> float:
    """Return the peak memory so far in MiB: of a CUDA device, otherwise the resident memory of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def with_waiting_time(batches: Iterator[Patch]) -> Iterator[tuple[Patch, float]]:
    """Yield each batch with the time of waiting for it, in seconds."""
    start = time.perf_counter()
    for batch in batches:
        yield batch, time.perf_counter() - start
        start = time.perf_counter()


def _recent_loss(state: TrainingState) -> float:
    return float(np.mean([record.loss for record in state.history[-50:]])) if state.history else float("nan")
