"""Prediction of 2048 x 2048 pixels, same weights: our overlap-tile against blended sliding windows and one pass.

MONAI's `sliding_window_inference` (windows of 512, Gaussian blending, overlap 0.5 and 0.25) gets the padded form of
the U-Net, as it needs outputs as large as inputs; ours the unpadded form of the same weights. Contestants take turns;
medians of the ratios within a round count.

Seams: how far logits differ from one pass of the same form over the whole, and the largest step of that difference
across lines where tiles or windows meet, minus the largest step elsewhere; away from the image's border, where padding
differs.
"""

import os
import time
from dataclasses import replace

import numpy as np
import torch
from _verdict import table, verdict
from monai.inferers import sliding_window_inference

from snakeseg.devices import autocast, choose_device
from snakeseg.inference import tiled_logits
from snakeseg.networks.folding import fold_normalisation
from snakeseg.networks.registry import geometry_of, make_network
from snakeseg.settings import Predict, UNetSettings
from snakeseg.simulate import simulate_cells
from snakeseg.tiling import tile_shape

SIDE, WINDOW, ROUNDS, BORDER = 2048, 512, 3, 256
NETWORK = UNetSettings(width=32, depth=4, normalisation="batch", dropout=0.0)
# Speed of ours over that of each: goals.
GOALS = {"MONAI, overlap 0.5": 2.5, "MONAI, overlap 0.25": 1.5, "one pass": 1.0}
GOAL_BFLOAT16 = 5.0


def networks(device: torch.device) -> list[torch.nn.Module]:
    """The U-Net without padding as we predict with it, the same as it was trained, and its padded form."""
    torch.manual_seed(0)
    made = [make_network(2, 1, 2, replace(NETWORK, padded=padded)) for padded in (False, False, True)]
    for module in made[0].modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    for other in made[1:]:
        other.load_state_dict(made[0].state_dict())
    fold_normalisation(made[0].eval())
    return [network.eval().to(device, memory_format=torch.channels_last) for network in made]


def steps_across(difference: np.ndarray, lines: list[int]) -> float:
    """Largest step across lines (of either axis) minus the largest elsewhere."""
    largest = {True: 0.0, False: 0.0}
    for axis in (1, 2):
        steps = np.abs(np.diff(difference, axis=axis)).max(axis=(0, 3 - axis))
        for at, step in enumerate(steps, start=1):
            largest[at in lines] = max(largest[at in lines], float(step))
    return largest[True] - largest[False]


def seams(logits: np.ndarray, whole: np.ndarray, lines: list[int]) -> dict[str, float]:
    inner = (slice(None), *[slice(BORDER, -BORDER)] * 2)
    difference = (logits - whole)[inner]
    return {
        "off one pass": float(np.abs(difference).max()),
        "seam": steps_across(difference, [x - BORDER for x in lines]),
    }


def main() -> None:
    device = choose_device(gpus=1, threads=os.cpu_count() or 1)
    folded, unpadded, padded = networks(device)
    geometry, tile = geometry_of(NETWORK), Predict().tile
    image = simulate_cells(np.random.default_rng(0), (SIDE, SIDE), 2000)[0][None].astype(np.float32) / 255
    tensor = torch.from_numpy(image)[None].to(device)

    def ours(precision: str = "float32", network=folded, tile: int = tile) -> np.ndarray:
        with autocast(precision, device):
            return tiled_logits(network, image, geometry, tile, device)

    def windows(overlap: float) -> np.ndarray:
        with torch.inference_mode():
            return sliding_window_inference(tensor, WINDOW, 1, padded, overlap, mode="gaussian")[0].cpu().numpy()

    strides = {name: int(WINDOW * (1 - float(name[-4:].strip()))) for name in GOALS if "MONAI" in name}
    contestants = {
        "ours": ours,
        "ours, bfloat16": lambda: ours("bfloat16"),
        "one pass": lambda: ours(network=unpadded, tile=SIDE),
        "MONAI, overlap 0.5": lambda: windows(0.5),
        "MONAI, overlap 0.25": lambda: windows(0.25),
    }
    own = tile_shape((SIDE, SIDE), geometry, tile)[0]
    lines = {name: sorted({*range(s, SIDE, s), *range(WINDOW, SIDE, s)}) for name, s in strides.items()}
    lines |= {"ours": list(range(own, SIDE, own)), "ours, bfloat16": list(range(own, SIDE, own)), "one pass": []}
    found = {name: work() for name, work in contestants.items()}
    with torch.inference_mode():
        passes = {True: padded(tensor)[0].cpu().numpy(), False: found["one pass"]}
    rounds = []
    for _ in range(ROUNDS):
        rounds.append({})
        for name, work in contestants.items():
            start = time.perf_counter()
            work()
            rounds[-1][name] = time.perf_counter() - start
    seconds = {name: float(np.median([each[name] for each in rounds])) for name in contestants}
    speed = {name: float(np.median([each[name] / each["ours"] for each in rounds])) for name in contestants}
    rows = [{"who": n, "s": seconds[n], "ours is faster by": speed[n]} for n in contestants]
    table([row | seams(found[row["who"]], passes["MONAI" in row["who"]], lines[row["who"]]) for row in rows])
    half = float(np.median([each["MONAI, overlap 0.5"] / each["ours, bfloat16"] for each in rounds]))
    met = all(speed[name] >= goal for name, goal in GOALS.items()) and half >= GOAL_BFLOAT16
    more = {name: speed[name] for name in GOALS} | {"bfloat16 over overlap 0.5": half, "device": str(device)}
    verdict("inference", seconds["ours"], seconds["MONAI, overlap 0.5"], speed["MONAI, overlap 0.5"], 2.5, met, **more)


if __name__ == "__main__":
    main()
