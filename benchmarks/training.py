"""Training throughput: the whole loop on real patches against the same network fed from one constant tensor.

Patches are drawn, flipped and varied while the network trains: the default, with elastic copies made beforehand, and
deformed afresh every time (online). Rounds of all take turns, since the machine's speed wanders; medians of the ratios
within a round count.
"""

import os
import time
from dataclasses import replace

import numpy as np
import torch
from _verdict import table, verdict

from snakeseg.devices import choose_device
from snakeseg.losses import weighted_cross_entropy
from snakeseg.networks.registry import geometry_of, make_network
from snakeseg.optimiser import make_optimiser
from snakeseg.patches import Item, PatchPlan, draw_batch
from snakeseg.settings import Augment, Train, UNetSettings
from snakeseg.simulate import simulate_cells
from snakeseg.training import fit, train_step

GOAL, STEPS, ROUNDS = 0.95, 25, 9
NETWORK = UNetSettings(width=16, depth=4, normalisation="batch", dropout=0.3)


def items(count: int = 8, side: int = 512) -> list[Item]:
    """Simulated cells with a weight map of ones."""
    made = []
    for index in range(count):
        image, label = simulate_cells(np.random.default_rng(index), (side, side), 150)
        image = image[None].astype(np.float32) / 255
        made.append(Item(image, (label > 0).astype(np.uint8), np.ones(label.shape, np.float32)))
    return made


def seconds_of_loop(data: list[Item], plan: PatchPlan, device: torch.device) -> float:
    network = make_network(2, 1, 2, NETWORK)
    start = time.perf_counter()
    fit(network, data, plan, weighted_cross_entropy, device)
    return (time.perf_counter() - start) / plan.train.steps


def seconds_of_constant(batch: Item, plan: PatchPlan, device: torch.device) -> float:
    network = make_network(2, 1, 2, NETWORK).to(device, memory_format=torch.channels_last).train()
    optimiser = make_optimiser(network, plan.train)
    start = time.perf_counter()
    for _ in range(plan.train.steps):
        train_step(network, optimiser, batch, weighted_cross_entropy, plan.train, device)
    return (time.perf_counter() - start) / plan.train.steps


def main() -> None:
    device = choose_device(gpus=1, threads=os.cpu_count() or 1)
    data = items()
    train = Train(steps=STEPS, patch=260, optimiser="adamw", learning_rate=1e-3)
    plan = PatchPlan(train, Augment(), geometry_of(NETWORK))
    online = replace(plan, train=replace(train, elastic="online"))
    batch = draw_batch(data, plan, 0)
    seconds_of_constant(batch, plan, device)
    rounds = []
    for _ in range(ROUNDS):
        loops = [seconds_of_loop(data, each, device) for each in (plan, online)]
        rounds.append((*loops, seconds_of_constant(batch, plan, device)))
    copies, fresh, peer = np.median(rounds, axis=0)
    ratio, ratio_online, _ = np.median([row[2] / np.array(row) for row in rounds], axis=0)
    table(
        [
            {"fed from": "patches", "ms per step": copies * 1e3, "share": ratio},
            {"fed from": "patches, deformed online", "ms per step": fresh * 1e3, "share": ratio_online},
            {"fed from": "a constant tensor", "ms per step": peer * 1e3, "share": 1.0},
        ]
    )
    verdict("training", 1 / copies, 1 / peer, ratio, GOAL, ratio >= GOAL, online=ratio_online, device=str(device))


if __name__ == "__main__":
    main()
