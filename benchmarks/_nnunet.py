"""nnU-Net v2 as a peer: a data set in its layout, its own trainer under a budget, its own prediction.

nnU-Net finds its folders in the environment while it is imported, so the imports here follow `make_dataset`.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np
import torch
from skimage.io import imsave

NAME, WORKERS = "Dataset001_peer", 2
# nnU-Net's name for a plan, and the files that cases are written to, by number of axes.
PLANS, ENDINGS = {2: "2d", 3: "3d_fullres"}, {2: ".png", 3: ".nii.gz"}


class Case(NamedTuple):
    """A grey image and its classes, both (*spatial): 8-bit planes, or volumes with pixels of one millimetre."""

    name: str
    image: np.ndarray
    classes: np.ndarray


def make_dataset(
    root: Path, cases: Sequence[Case], validation: Sequence[str], classes: Sequence[str] = ("foreground",)
) -> None:
    """Write cases with classes 0, 1, ... as nnU-Net wants them; have it plan and preprocess; fix the split."""
    dims = cases[0].image.ndim
    for kind in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{kind}"] = str(root / kind)
    os.environ["nnUNet_n_proc_DA"] = str(WORKERS)  # noqa: SIM112
    raw = root / "raw" / NAME
    for kind in ("imagesTr", "labelsTr"):
        (raw / kind).mkdir(parents=True)
    for case in cases:
        _write(raw / "imagesTr" / f"{case.name}_0000{ENDINGS[dims]}", case.image)
        _write(raw / "labelsTr" / f"{case.name}{ENDINGS[dims]}", case.classes.astype(np.uint8))
    described = {
        "channel_names": {"0": "grey"},
        "labels": {name: value for value, name in enumerate(["background", *classes])},
        "numTraining": len(cases),
        "file_ending": ENDINGS[dims],
    }
    (raw / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api

    api.extract_fingerprints([1], num_processes=WORKERS)
    api.plan_experiments([1])
    api.preprocess([1], configurations=[PLANS[dims]], num_processes=[WORKERS])
    train = [case.name for case in cases if case.name not in validation]
    split = [{"train": train, "val": list(validation) or train[:1]}]
    (root / "preprocessed" / NAME / "splits_final.json").write_text(json.dumps(split), encoding="utf-8")


def _write(path: Path, array: np.ndarray) -> None:
    if array.ndim == 2:
        imsave(path, array, check_contrast=False)
    else:
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)


def make_trainer(root: Path, network: Callable[[], torch.nn.Module] | None = None, dims: int = 2, **configuration):
    """nnU-Net's trainer of its 2D or 3D plan, ready to train: with its own network and sizes, or with those given."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    class Trainer(nnUNetTrainer):
        def configure_optimizers(self):
            # As in nnU-Net, whose own scheduler does not start under this torch; the rate is set by `train_for`.
            return torch.optim.SGD(
                self.network.parameters(), self.initial_lr, weight_decay=self.weight_decay, momentum=0.99, nesterov=True
            ), None

    if network:
        Trainer.build_network_architecture = staticmethod(lambda *_: network())
        Trainer.set_deep_supervision_enabled = lambda *_: None
    folder = root / "preprocessed" / NAME
    plans = json.loads((folder / "nnUNetPlans.json").read_text(encoding="utf-8"))
    plans["configurations"][PLANS[dims]] |= configuration
    described = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    trainer = Trainer(plans, PLANS[dims], 0, described, device=torch.device("cpu"))
    trainer.enable_deep_supervision = network is None
    trainer.plot_network_architecture = lambda: None
    trainer.on_train_start()
    return trainer


def train_for(trainer, enough: Callable[[int, float], float]) -> tuple[int, float]:
    """Its steps, its batches, its polynomial decay fitted to a budget; without its validation, which would cost time.

    Parameters
    ----------
    enough : function
        Share of the budget spent, from steps and seconds.

    Returns
    -------
    steps : int
    seconds : float
    """
    trainer.network.train()
    steps, start = 0, time.perf_counter()
    while (spent := enough(steps, time.perf_counter() - start)) < 1:
        for group in trainer.optimizer.param_groups:
            group["lr"] = trainer.initial_lr * (1 - spent) ** 0.9
        trainer.train_step(next(trainer.dataloader_train))
        steps += 1
    return steps, time.perf_counter() - start


def predict(trainer, images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Class probabilities (classes, *spatial) by nnU-Net's own prediction (tiles blended with weights, mirrored)."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    predictor = nnUNetPredictor(device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False)
    predictor.manual_initialization(
        trainer.network, trainer.plans_manager, trainer.configuration_manager, [trainer.network.state_dict()],
        trainer.dataset_json, trainer.__class__.__name__, trainer.inference_allowed_mirroring_axes,
    )  # fmt: skip
    found = []
    for image in images:
        # It counts axes from the slowest of a file, and takes a plane for a volume of one slice.
        seen = image.T if image.ndim == 3 else image[None]
        properties = {"spacing": (999 if image.ndim == 2 else 1, 1, 1)}
        answer = predictor.predict_single_npy_array(
            seen[None].astype(np.float32), properties, save_or_return_probabilities=True
        )[1]
        found.append(answer.transpose(0, 3, 2, 1) if image.ndim == 3 else answer[:, 0])
    return found


def close(trainer) -> None:
    """Stop its data loading processes."""
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        loader._finish()
