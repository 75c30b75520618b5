"""Training throughput: the whole loop against its ceiling, the peer, and float32.

1. Ours on fresh patches (elastic copies made beforehand, the default; and deformed afresh, online) against the same
   network fed from one constant tensor.
2. Ours, deformed online, in bfloat16 (where the processor has it) and in float32 against nnU-Net v2's own trainer with
   its own loading, augmentation and loss: the same padded U-Net, patch, batch and threads.

Contestants take turns within a round, since the machine's speed wanders; medians of the ratios within a round count.
"""

import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from _nnunet import Case, close, make_dataset, make_trainer, train_for
from _verdict import table, verdict

from snakeseg.devices import choose_device
from snakeseg.networks.registry import geometry_of, make_network
from snakeseg.settings import Augment, Train, UNetSettings
from snakeseg.training.loop import fit
from snakeseg.training.losses import weighted_cross_entropy
from snakeseg.training.optimiser import make_optimiser
from snakeseg.training.patches import Item, PatchPlan, sample_batch
from snakeseg.training.step import Learner, train_step
from snakeseg.transforms.simulate import simulate_cells

GOAL, STEPS, ROUNDS = 0.95, 25, 9
GOAL_PEER, STEPS_PEER, ROUNDS_PEER = 1.5, 8, 5
NETWORK = UNetSettings(width=16, depth=4, normalisation="batch", dropout=0.3)
PADDED = replace(NETWORK, width=32, padded=True)


def cells(count: int = 8, side: int = 512) -> list[tuple[np.ndarray, np.ndarray]]:
    """Simulated cells: 8-bit images and their objects."""
    return [simulate_cells(np.random.default_rng(index), (side, side), 150) for index in range(count)]


def items() -> list[Item]:
    """Simulated cells with a weight map of ones."""
    return [
        Item(image[None].astype(np.float32) / 255, (label > 0).astype(np.uint8), np.ones(label.shape, np.float32))
        for image, label in cells()
    ]


def seconds_of_loop(data: list[Item], plan: PatchPlan, device: torch.device, settings: UNetSettings) -> float:
    network = make_network(2, 1, 2, settings)
    start = time.perf_counter()
    fit(network, data, plan, weighted_cross_entropy, device)
    return (time.perf_counter() - start) / plan.train.steps


def seconds_of_constant(batch: Item, plan: PatchPlan, device: torch.device) -> float:
    network = make_network(2, 1, 2, NETWORK).to(device, memory_format=torch.channels_last).train()
    learner = Learner(network, make_optimiser(network, plan.train), weighted_cross_entropy, plan.train, device)
    start = time.perf_counter()
    for _ in range(plan.train.steps):
        train_step(learner, batch)
    return (time.perf_counter() - start) / plan.train.steps


def against_constant(data: list[Item], device: torch.device) -> None:
    train = Train(steps=STEPS, patch=260, optimiser="adamw", learning_rate=1e-3)
    plan = PatchPlan(train, Augment(), geometry_of(2, NETWORK))
    online = replace(plan, train=replace(train, elastic="online"))
    batch = sample_batch(data, plan, 0)
    seconds_of_constant(batch, plan, device)
    rounds = []
    for _ in range(ROUNDS):
        loops = [seconds_of_loop(data, each, device, NETWORK) for each in (plan, online)]
        rounds.append((*loops, seconds_of_constant(batch, plan, device)))
    report(rounds, ["patches", "patches, deformed online", "a constant tensor"])
    ours, online, _ = np.median([row[2] / np.array(row) for row in rounds], axis=0)
    times = np.median(rounds, axis=0)
    verdict("training", 1 / times[0], 1 / times[2], ours, GOAL, ours >= GOAL, online=online, device=str(device))


def against_peer(data: list[Item], device: torch.device, root: Path) -> None:
    train = Train(
        steps=STEPS_PEER, patch=256, batch=2, learning_rate=0.01, elastic="online", clip=12, precision="auto"
    )  # fmt: skip
    plan = PatchPlan(train, Augment(), geometry_of(2, PADDED).training)
    single = replace(plan, train=replace(train, precision="float32"))
    make_dataset(root, [Case(f"cells{i}", image, label > 0) for i, (image, label) in enumerate(cells())], [])
    trainer = make_trainer(root, lambda: make_network(2, 1, 2, PADDED), patch_size=[256, 256], batch_size=2)
    torch.set_num_threads(os.cpu_count() or 1)
    train_for(trainer, lambda steps, _: steps / 3)
    rounds = []
    for _ in range(ROUNDS_PEER):
        loops = [seconds_of_loop(data, each, device, PADDED) for each in (plan, single)]
        steps, seconds = train_for(trainer, lambda steps, _: steps / STEPS_PEER)
        rounds.append((*loops, seconds / steps))
    close(trainer)
    report(rounds, ["ours, precision auto", "ours, float32", "nnU-Net v2's trainer"])
    auto, float32, _ = np.median([row[2] / np.array(row) for row in rounds], axis=0)
    bfloat16 = float(np.median([row[1] / row[0] for row in rounds]))
    times = np.median(rounds, axis=0)
    verdict(
        "training_peer", 1 / times[0], 1 / times[2], auto, GOAL_PEER, auto >= GOAL_PEER,
        float32=float32, auto_over_float32=bfloat16, device=str(device),
    )  # fmt: skip


def report(rounds: list[tuple[float, ...]], names: list[str]) -> None:
    """Median milliseconds and speed relative to the last."""
    shares = np.median([row[-1] / np.array(row) for row in rounds], axis=0)
    table(
        [
            {"fed from or by": name, "ms per step": ms * 1e3, "speed": share}
            for name, ms, share in zip(names, np.median(rounds, axis=0), shares, strict=True)
        ]
    )


def main() -> None:
    device = choose_device(gpus=1, threads=os.cpu_count() or 1)
    data = items()
    against_constant(data, device)
    sys.stdout.flush()
    with tempfile.TemporaryDirectory() as root:
        against_peer(data, device, Path(root))


if __name__ == "__main__":
    main()
