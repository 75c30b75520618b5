"""Write MONAI bundles: metadata, an inference configuration, and a TorchScript network for images of any size."""

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


def write_monai_bundle(model: Model, folder: Path) -> None:
    """Write configs/, models/ and docs/ of a bundle into a folder that holds README.md and about.json.

    Parameters
    ----------
    model : Model
    folder : path

    Raises
    ------
    BadInput
        If the output of the TorchScript file differs from that of the network.
    """
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir()
    (folder / "README.md").rename(folder / "docs" / "README.md")
    example = model.inputs[0]
    traced = trace(model.network, example)
    network = write_whole(folder / "models" / "model.ts", traced, model.description.geometry, example)
    with torch.inference_mode():
        np.save(folder / "test-output.npy", network(example).numpy())
    np.save(folder / "test-input.npy", example.numpy())
    configs = {"metadata": make_metadata(model), "inference": make_inference_config(model.description)}
    for name, content in configs.items():
        (folder / "configs" / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def make_metadata(model: Model) -> dict:
    """Make the content of configs/metadata.json, in MONAI's schema."""
    about, description = model.about, model.description
    shared = {
        "type": "image",
        "modality": "n/a",
        "spatial_shape": ["*"] * description.dims,
        "dtype": "float32",
        "is_patch_data": False,
    }
    classes = {str(index): name for index, name in enumerate(class_names(description))}
    channels = {str(index): f"channel {index}" for index in range(description.channels)}
    return {
        "version": __version__,
        "changelog": {__version__: "exported by SnakeSeg"},
        "monai_version": version("monai"),
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {},
        "name": about["title"],
        "task": "segmentation",
        "description": about["description"],
        "authors": ", ".join(about["authors"]),
        "copyright": ", ".join(about["authors"]),
        "license": about["licence"] or "",
        "references": about["cite"],
        "intended_use": "Images similar to the training images",
        "network_data_format": {
            "inputs": {
                "image": {**shared, "format": "magnitude", "num_channels": description.channels, "value_range": [],
                          "is_patch_data": False, "channel_def": channels}
            },
            "outputs": {
                "pred": {**shared, "format": "segmentation", "num_channels": description.classes,
                         "value_range": [0, 1], "is_patch_data": False, "channel_def": classes}
            },
        },
    }  # fmt: skip


def make_inference_config(description: Description) -> dict:
    """Make the content of configs/inference.json.

    Run it with: python -m monai.bundle run --config_file configs/inference.json --bundle_root . --images "['a.png']"
    """
    first = [{"_target_": "LoadImage", "image_only": True, "ensure_channel_first": True}]
    last = {"_target_": "SaveImage", "output_dir": "@output_dir", "output_dtype": "$np.uint8", "separate_folder": False}
    if description.dims == 2:  # MONAI reads 2D images as (x, y)
        transpose = {"_target_": "Transpose", "indices": [0, 2, 1]}
        before, after = [*first, transpose], [transpose, {**last, "output_ext": ".png", "resample": False}]
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
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [*before, *_normalisation(description), {"_target_": "EnsureType"}],
        },
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {"_target_": "Compose", "transforms": [{"_target_": "AsDiscrete", "argmax": True}, *after]},
        "predict": "$lambda path: @inferer(@preprocessing(path)[None].to(@device), @network_def)[0].cpu()",
        "initialize": [],
        "run": ["$[@postprocessing(@predict(path)) for path in @images]"],
        "finalize": [],
    }


def _normalisation(description: Description) -> list[dict]:
    """MONAI transforms that normalise as `snakeseg.transforms.normalise.normalise` does."""
    prepare = description.prepare
    if prepare.normalise == "none":
        return []
    if prepare.scope == "dataset":
        offset, scale = description.statistics["offset"], description.statistics["scale"]
        return [{"_target_": "NormalizeIntensity", "subtrahend": offset, "divisor": scale, "channel_wise": True}]
    if prepare.normalise == "zscore":
        return [{"_target_": "NormalizeIntensity", "channel_wise": True}]
    limits = {"lower": prepare.low, "upper": prepare.high, "b_min": 0.0, "b_max": 1.0}
    return [{"_target_": "ScaleIntensityRangePercentiles", **limits, "channel_wise": True}]
