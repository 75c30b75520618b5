"""Prediction of 2048 x 2048 and 160 x 160 x 160 pixels, same weights: overlap-tile, blended windows, and one pass.

MONAI's `sliding_window_inference` and nnU-Net v2's predictor (without mirroring) get the padded form of the U-Net, as
they need outputs as large as inputs, in the memory layout that it was trained in; ours the unpadded form of the same
weights, as `snakeseg predict` runs it: batch normalisation folded, tiles as planned. Contestants take turns; medians of
the ratios within a round count.

Seams: how far logits differ from one pass of the same form over the whole, and the largest step of that difference
across lines where tiles or windows meet, minus the largest step elsewhere; away from the image's border, where padding
differs.
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from _verdict import table, verdict
from monai.inferers import sliding_window_inference

from snakeseg.devices import autocast, choose_device
from snakeseg.models.description import Description
from snakeseg.networks.blocks import LAYOUT
from snakeseg.networks.folding import fold_normalisation
from snakeseg.networks.registry import geometry_of, make_network
from snakeseg.prediction.overlap_tile import assemble, make_tile_function, run_tiles
from snakeseg.prediction.tile_plan import TileCosts, plan_tiles
from snakeseg.prediction.timing import sample_tiles
from snakeseg.settings import Labels, Network, Predict, Prepare, UNetSettings
from snakeseg.transforms.simulate import simulate_cells

ROUNDS, MEMORY = 3, 8e9


class Case(NamedTuple):
    """An image, a network, the side of windows, pixels along the border that do not count, and goals for our speed."""

    shape: tuple[int, ...]
    network: Network
    window: int
    border: int
    goals: dict[str, float]


CASES = {
    2: Case(
        (2048, 2048), UNetSettings(width=32, depth=4, normalisation="batch", dropout=0.0), 512, 256,
        {"MONAI 0.5": 2.5, "MONAI 0.25": 1.5, "one pass": 1.0, "nnU-Net 0.5": 2.5},
    ),
    3: Case(
        (160, 160, 160), UNetSettings(width=16, depth=3, normalisation="batch", dropout=0.0), 96, 48,
        {"MONAI 0.5": 2.5, "one pass": 1.0, "nnU-Net 0.5": 2.5},
    ),
}  # fmt: skip
BFLOAT16_GOAL = 5.0


def networks(case: Case, device: torch.device) -> list[torch.nn.Module]:
    """The U-Net without padding as we predict with it, the same as it was trained, and its padded form."""
    torch.manual_seed(0)
    dims = len(case.shape)
    made = [make_network(dims, 1, 2, replace(case.network, padded=padded)) for padded in (False, False, True)]
    for module in made[0].modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    for other in made[1:]:
        other.load_state_dict(made[0].state_dict())
    fold_normalisation(made[0].eval())
    return [network.eval().to(device, memory_format=LAYOUT[dims]) for network in made]


def nnunet(network: torch.nn.Module, case: Case, device: torch.device) -> Callable[[torch.Tensor], np.ndarray]:
    """nnU-Net's own predictor around a network: half-overlapping windows, Gaussian weights, no mirroring."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(0.5, use_gaussian=True, use_mirroring=False, device=device, allow_tqdm=False)
    predictor.network, predictor.allowed_mirroring_axes = network, None
    predictor.configuration_manager = SimpleNamespace(patch_size=(case.window,) * len(case.shape))
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=2)

    def predict(image: torch.Tensor) -> np.ndarray:
        flat = len(case.shape) == 2
        logits = predictor.predict_sliding_window_return_logits(image[:, None] if flat else image)
        return (logits[:, 0] if flat else logits).float().cpu().numpy()

    return predict


def steps_across(difference: np.ndarray, lines: list[set[int]]) -> float:
    """Largest step across lines (of any axis) minus the largest elsewhere."""
    largest = {True: 0.0, False: 0.0}
    for axis in range(1, difference.ndim):
        others = tuple(a for a in range(difference.ndim) if a != axis)
        for at, step in enumerate(np.abs(np.diff(difference, axis=axis)).max(axis=others), start=1):
            largest[at in lines[axis - 1]] = max(largest[at in lines[axis - 1]], float(step))
    return largest[True] - largest[False]


def seams(logits: np.ndarray, whole: np.ndarray, lines: list[set[int]], border: int) -> dict[str, float]:
    difference = (logits - whole)[(slice(None), *[slice(border, -border)] * (logits.ndim - 1))]
    inner = [{x - border for x in each} for each in lines]
    return {"off one pass": float(np.abs(difference).max()), "seam": steps_across(difference, inner)}


def compare(dims: int, device: torch.device) -> bool:
    """Print the table and the verdict for so many axes."""
    case = CASES[dims]
    folded, unpadded, padded = networks(case, device)
    geometry = geometry_of(dims, case.network)
    plane = simulate_cells(np.random.default_rng(0), case.shape[-2:], case.shape[-1] ** 2 // 2000)[0]
    image = np.broadcast_to(plane, case.shape)[None].astype(np.float32) / 255
    image = image + np.random.default_rng(1).normal(0, 0.05, image.shape).astype(np.float32)
    tensor, peer = torch.from_numpy(image).to(device), nnunet(padded, case, device)
    strides = {}
    for precision in ("float32", "bfloat16"):
        predict = Predict(average=False, precision=precision)
        description = Description(dims, 1, Labels(), case.network, Prepare(), predict, None)
        samples = list(sample_tiles(make_tile_function(folded, geometry), description, device, MEMORY))
        strides[precision] = plan_tiles(case.shape, geometry, TileCosts(samples), MEMORY).stride
        print(f"{dims}D, {precision}: tiles of {strides[precision]}", flush=True)

    def ours(precision: str = "float32", network=folded, stride: tuple[int, ...] | None = None) -> np.ndarray:
        with autocast(precision, device):
            work = make_tile_function(network, geometry)
            return assemble(run_tiles(work, image, geometry, stride or strides[precision], device), case.shape)

    def windows(overlap: float) -> np.ndarray:
        with torch.inference_mode():
            return (
                sliding_window_inference(tensor[None], case.window, 1, padded, overlap, mode="gaussian")[0]
                .cpu()
                .numpy()
            )

    whole = tuple(-(-n // step) * step for n, step in zip(case.shape, geometry.multiple, strict=True))
    contestants = {
        "ours": ours,
        "ours, bfloat16": lambda: ours("bfloat16"),
        "one pass": lambda: ours(network=unpadded, stride=whole),
        "MONAI 0.5": lambda: windows(0.5),
        "MONAI 0.25": lambda: windows(0.25),
        "nnU-Net 0.5": lambda: peer(tensor),
    }
    found = {name: work() for name, work in contestants.items()}
    with torch.inference_mode():
        passes = {True: padded(tensor[None])[0].cpu().numpy(), False: found["one pass"]}
    rounds = []
    for _ in range(ROUNDS):
        rounds.append({})
        for name, work in contestants.items():
            start = time.perf_counter()
            work()
            rounds[-1][name] = time.perf_counter() - start

    def ratio(slow: str, fast: str = "ours") -> float:
        return float(np.median([each[slow] / each[fast] for each in rounds]))

    lines = {
        name: [set(range(s, n, s)) for s, n in zip(strides[p], case.shape, strict=True)] for name, p in OURS.items()
    }
    for name in found.keys() - lines.keys():
        step = int(case.window * (0.75 if "0.25" in name else 0.5))
        lines[name] = [{*range(step, n, step), *range(case.window, n, step)} for n in case.shape]
    rows = []
    for name, logits in found.items():
        row = {"who": name, "s": float(np.median([each[name] for each in rounds])), "ours is faster by": ratio(name)}
        rows.append(row | seams(logits, passes["ours" not in name and name != "one pass"], lines[name], case.border))
    table(rows)
    half = ratio("MONAI 0.5", "ours, bfloat16")
    met = all(ratio(name) >= goal for name, goal in case.goals.items()) and half >= BFLOAT16_GOAL
    more = {name: ratio(name) for name in case.goals} | {"bfloat16 over MONAI 0.5": half, "device": str(device)}
    seconds = {row["who"]: row["s"] for row in rows}
    verdict(f"inference_{dims}d", seconds["ours"], seconds["MONAI 0.5"], ratio("MONAI 0.5"), 2.5, met, **more)
    return met


OURS = {"ours": "float32", "ours, bfloat16": "bfloat16"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dims", type=int, choices=CASES, nargs="+", default=list(CASES))
    device = choose_device(gpus=1, threads=os.cpu_count() or 1)
    for dims in parser.parse_args().dims:
        compare(dims, device)


if __name__ == "__main__":
    main()
