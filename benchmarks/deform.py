"""Elastic deformation of an image and its label at 512 x 512: ours against MONAI and batchgenerators.

Every way draws a fresh field, moves the image at order 3 and the label at order 0, on one thread.
"""

import cv2
import numpy as np
import torch
from _verdict import best_seconds, table, verdict
from batchgenerators.augmentations.spatial_transformations import augment_spatial
from monai.transforms import Rand2DElasticd

from snakeseg.transforms.elastic import apply_field, displacement_field, sample_grid

SIDE, GOALS = 512, {"MONAI Rand2DElastic": 15, "batchgenerators": 10}


def main() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    image = rng.random((SIDE, SIDE), dtype=np.float32)
    label = rng.integers(0, 50, (SIDE, SIDE)).astype(np.int32)

    def ours():
        field = displacement_field(sample_grid(rng, image.shape), image.shape)
        return apply_field(image, field, 3), apply_field(label, field, 0)

    # MONAI interpolates in 2D with bilinear or bicubic; its control points lie 256 pixels apart, as in a 3 x 3 grid.
    elastic = Rand2DElasticd(
        ["image", "label"], spacing=(SIDE // 2,) * 2, magnitude_range=(10, 10), prob=1.0,
        mode=["bicubic", "nearest"], padding_mode="reflection",
    )  # fmt: skip

    def monai():
        return elastic({"image": torch.from_numpy(image[None]), "label": torch.from_numpy(label[None])})

    def batchgenerators():
        return augment_spatial(
            image[None, None], label[None, None], (SIDE, SIDE), do_elastic_deform=True, alpha=(100.0, 100.0),
            sigma=(10.0, 10.0), do_rotation=False, do_scale=False, border_mode_data="mirror", border_mode_seg="mirror",
            order_data=3, order_seg=0, random_crop=False, p_el_per_sample=1.0,
        )  # fmt: skip

    seconds = best_seconds(ours, 20)
    peers = {"MONAI Rand2DElastic": best_seconds(monai, 10), "batchgenerators": best_seconds(batchgenerators, 10)}
    ratios = {name: peer / seconds for name, peer in peers.items()}
    rows = [{"way": "SnakeSeg", "ms": seconds * 1e3, "ratio": 1.0, "goal": 1.0}]
    rows += [{"way": n, "ms": peers[n] * 1e3, "ratio": ratios[n], "goal": float(GOALS[n])} for n in peers]
    table(rows)
    met = all(ratios[name] >= goal for name, goal in GOALS.items())
    verdict(
        "deform", seconds, peers["MONAI Rand2DElastic"], ratios["MONAI Rand2DElastic"], 15, met,
        batchgenerators=peers["batchgenerators"], batchgenerators_ratio=ratios["batchgenerators"],
        batchgenerators_goal=GOALS["batchgenerators"],
    )  # fmt: skip


if __name__ == "__main__":
    main()
