"""MONAI bundles: metadata, a configuration for inference, and a network for whole images as TorchScript."""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from snakeseg import __version__
from snakeseg.models.description import Description
from snakeseg.models.export.graphs import trace, write_whole
from snakeseg.models.export.metadata import class_names
from snakeseg.models.export.tested_model import Model


def fill(model: Model, folder: Path) -> None:
    """Write configs/, models/ and docs/ into a folder that has README.md and about.json."""
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir()
    (folder / "README.md").rename(folder / "docs" / "README.md")
    seen = model.inputs[0]
    traced = trace(model.network, seen)
    network = write_whole(folder / "models" / "model.ts", traced, model.description.geometry, seen)
    with torch.inference_mode():
        np.save(folder / "test-output.npy", network(seen).numpy())
    np.save(folder / "test-input.npy", seen.numpy())
    for name, content in (("metadata", metadata(model)), ("inference", inference(model.description))):
        (folder / "configs" / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def metadata(model: Model) -> dict:
    """The bundle's description, by MONAI's schema."""
    told, of = model.told, model.description
    shared = {
        "type": "image",
        "modality": "n/a",
        "spatial_shape": ["*"] * of.dims,
        "dtype": "float32",
        "is_patch_data": False,
    }
    classes = {str(index): name for index, name in enumerate(class_names(of))}
    channels = {str(index): f"channel {index}" for index in range(of.channels)}
    return {
        "version": __version__,
        "changelog": {__version__: "exported by SnakeSeg"},
        "monai_version": version("monai"),
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {},
        "name": told["title"],
        "task": "segmentation",
        "description": told["description"],
        "authors": ", ".join(told["authors"]),
        "copyright": ", ".join(told["authors"]),
        "license": told["licence"] or "",
        "references": told["cite"],
        "intended_use": "Images like those it was trained on",
        "network_data_format": {
            "inputs": {
                "image": {**shared, "format": "magnitude", "num_channels": of.channels, "value_range": [],
                          "is_patch_data": False, "channel_def": channels}
            },
            "outputs": {
                "pred": {**shared, "format": "segmentation", "num_channels": of.classes, "value_range": [0, 1],
                         "is_patch_data": False, "channel_def": classes}
            },
        },
    }  # fmt: skip


def inference(of: Description) -> dict:
    """`python -m monai.bundle run --config_file configs/inference.json --bundle_root . --images "['a.png']"`."""
    first = [{"_target_": "LoadImage", "image_only": True, "ensure_channel_first": True}]
    last = {"_target_": "SaveImage", "output_dir": "@output_dir", "output_dtype": "$np.uint8", "separate_folder": False}
    if of.dims == 2:  # MONAI reads pictures as (x, y)
        turn = {"_target_": "Transpose", "indices": [0, 2, 1]}
        before, after = [*first, turn], [turn, {**last, "output_ext": ".png", "resample": False}]
    else:
        before = [*first, {"_target_": "Orientation", "axcodes": "RAS", "labels": None}]
        after = [{**last, "output_ext": ".nii.gz", "resample": True, "mode": "nearest"}]
    return {
        "imports": ["$import numpy as np", "$import torch"],
        "bundle_root": ".",
        "output_dir": "$@bundle_root + '/labels'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "images": [],
        "network_def": "$torch.jit.load(@bundle_root + '/models/model.ts', map_location=@device)",
        "preprocessing": {"_target_": "Compose", "transforms": [*before, *_normalise(of), {"_target_": "EnsureType"}]},
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {"_target_": "Compose", "transforms": [{"_target_": "AsDiscrete", "argmax": True}, *after]},
        "predict": "$lambda path: @inferer(@preprocessing(path)[None].to(@device), @network_def)[0].cpu()",
        "initialize": [],
        "run": ["$[@postprocessing(@predict(path)) for path in @images]"],
        "finalize": [],
    }


def _normalise(of: Description) -> list[dict]:
    """As in `transforms.normalise.normalise`."""
    prepare = of.prepare
    if prepare.normalise == "none":
        return []
    if prepare.scope == "dataset":
        offset, scale = of.statistics["offset"], of.statistics["scale"]
        return [{"_target_": "NormalizeIntensity", "subtrahend": offset, "divisor": scale, "channel_wise": True}]
    if prepare.normalise == "zscore":
        return [{"_target_": "NormalizeIntensity", "channel_wise": True}]
    ends = {"lower": prepare.low, "upper": prepare.high, "b_min": 0.0, "b_max": 1.0}
    return [{"_target_": "ScaleIntensityRangePercentiles", **ends, "channel_wise": True}]
