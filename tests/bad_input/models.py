# ruff: noqa: E501 - messages are on one line, so that they can be searched
"""Cases of bad models, weights, stores, output folders and settings."""

import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import torch
from bad_input.case import PLANES, Bomb, Case, link, pipe, sheet, write_plane, zeros
from nifti_files import ONCE
from safetensors.torch import load_file, save_file

from snakeseg.io.store import write_store
from snakeseg.models.checkpoint import save_model
from snakeseg.models.description import Description
from snakeseg.settings import ContextSettings, Labels, Prepare

RESTORE = "copy the model folder again, or train it again: snakemake -R train"
NO_MODEL = f"expected the description of a model; {RESTORE}"
WEIGHTS = f"expected the weights that model.json describes; {RESTORE}"
TENSORS = "expected weights as .safetensors, or .pth with only tensors by name"


def write_model() -> None:
    """Write a valid model into the folder `model`, and an image."""
    write_plane()
    network = ContextSettings(width=1, dilations=[1])
    description = Description(2, 1, Labels(), network, Prepare("none"), ONCE, None, [1.0, 1.0])
    save_model(Path("model"), description.make_network(), description, {})


def model(spoil, message: str) -> Case:
    """Make a case of a model that is changed by the function `spoil`."""

    def make():
        write_model()
        spoil()

    return Case(make, ["predict", "model", "image.tif", "-o", "out"], message)


def with_description(**changes):
    """Return a function that changes keys of the sections of model.json, or replaces sections."""

    def spoil():
        values = json.loads(Path("model/model.json").read_text(encoding="utf-8"))
        for section, change in changes.items():
            kept = values[section] if isinstance(change, dict) and "name" not in change else {}
            values[section] = {**kept, **change} if isinstance(change, dict) else change
        Path("model/model.json").write_text(json.dumps(values), encoding="utf-8")

    return spoil


def with_content(name: str, content: str | bytes):
    """Return a function that writes a file."""
    return lambda: Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())


def replaced(name: str, make):
    """Return a function that deletes a file and calls `make`, which writes another in its place."""

    def spoil():
        Path(name).unlink()
        make()

    return spoil


def with_tensors(change):
    """Return a function that applies `change` to the tensors of the model."""

    def spoil():
        save_file(change(load_file("model/model.safetensors")), "model/model.safetensors")

    return spoil


def pretrained(make, message: str, name: str = "w.pth") -> Case:
    """Make a case of pretrained weights."""

    def write():
        write_plane()
        sheet(["s1", "image.tif", "", "test"])
        make()

    settings = {"experiments": {"a": {"network": {"name": "context", "width": 1, "pretrained": name}}}}
    return Case(write, ["check", json.dumps(settings)], message)


def write_compressed_weights() -> None:
    """Write a .pth of compressed tensors, which decompress to a much larger size."""
    torch.save({"a": torch.zeros(4)}, "plain.pth")
    with zipfile.ZipFile("plain.pth") as plain, zipfile.ZipFile("w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in plain.namelist():
            archive.writestr(entry, bytes(2**24) if "/data/" in entry else plain.read(entry))
    Path("plain.pth").unlink()


def pickle_of_a_terabyte() -> bytes:
    """Return a pickle that allocates a terabyte by a function that weights may contain."""
    return pickle.dumps(Terabyte(), 2)


class Terabyte:
    """Object that allocates a terabyte when it is unpickled."""

    def __reduce__(self):
        return bytearray, (10**12,)


def write_probabilities(name: str, compression: int = zipfile.ZIP_STORED):
    """Return a function that writes a store of probabilities of a sample, as a prediction does."""

    def make():
        write_model()
        sheet(["s1", "image.tif", "", "predict"])
        arrays = {"probabilities": np.zeros((2, 24, 24), np.float16)}
        write_store("p.zarr.zip", [("s1", {"note": ""}, arrays)])
        with zipfile.ZipFile("p.zarr.zip") as archive:
            content = {
                entry: archive.read(entry).replace(b'"s1"', json.dumps(name).encode()) for entry in archive.namelist()
            }
        with zipfile.ZipFile("p.zarr.zip", "w", compression) as archive:
            for entry, text in content.items():
                archive.writestr(entry, text)

    return make


SEGMENT = ["instances", "--model", "model", "--sheet", "s.tsv", "--probabilities", "p.zarr.zip", "--output", "out"]
STORE = "expected a store written by SnakeSeg; delete it and run again"
CASES: dict[str, Case] = {
    "model: no such folder": Case(
        write_plane, ["predict", "nowhere", "image.tif", "-o", "out"],
        "nowhere/model.json: found no such file; expected a model folder with model.json; name the folder of a trained model: results/NAME/models/EXPERIMENT",
    ),
    "model: nothing in the description": model(with_content("model/model.json", ""), f"model/model.json: found JSONDecodeError ...; {NO_MODEL}"),
    "model: a list for a description": model(with_content("model/model.json", "[]"), f"model/model.json: found ...; {NO_MODEL}"),
    "model: bytes for a description": model(with_content("model/model.json", b"\xff\xfe\x00"), f"model/model.json: found UnicodeDecodeError ...; {NO_MODEL}"),
    "model: a description in itself": model(with_content("model/model.json", "[" * 10**5), f"model/model.json: found RecursionError ...; {NO_MODEL}"),
    "model: a number of five thousand digits": model(
        with_content("model/model.json", '{"dims": ' + "9" * 5000 + "}"), f"model/model.json: found ValueError ...; {NO_MODEL}"
    ),
    "model: five dimensions": model(with_description(dims=5), f"model/model.json, dims: found 5; expected one of 2, 3; {RESTORE}"),
    "model: words for a number": model(
        with_description(network={"width": "wide"}), "model/model.json, network, width: found 'wide'; expected a whole number from 1; correct the value of this key"
    ),
    "model: true for a number": model(
        with_description(network={"width": True}), "model/model.json, network, width: found True; expected a whole number from 1; correct the value of this key"
    ),
    "model: a million channels": model(
        with_description(network={"width": 10**6}), f"model/model.json, width: found 1000000; expected 1 to 10000; {RESTORE}"
    ),
    "model: channels that fill the memory": model(
        with_description(network={"width": 10**4}), f"model/model.safetensors: found ... of shape ..., not (10000, ...; {WEIGHTS}"
    ),
    "model: a million levels": model(
        with_description(network={"name": "unet", "depth": 10**6}),
        "model/model.json, network, depth: found 1000000; expected a whole number from 1 to 6; correct the value of this key",
    ),
    "model: no channels": model(with_description(channels=0), f"model/model.json, channels: found 0; expected 1 to 10000; {RESTORE}"),
    "model: a network by a module's name": model(
        with_description(network={"name": "os.system"}), "model/model.json, network.name: found 'os.system'; expected one of unet, ...; remove it"
    ),
    "model: an unknown normalisation": model(
        with_description(prepare={"normalise": "eval"}),
        "model/model.json, prepare, normalise: found 'eval'; expected one of percentile, zscore, none; correct the value of this key",
    ),
    "model: an unknown key": model(
        with_description(prepare={"lwo": 1}), "model/model.json, prepare: found unknown key 'lwo'; expected one of ...; did you mean 'low'?"
    ),
    "model: pixels of a size in words": model(
        with_description(spacing=["a", "b"]), f"model/model.json, spacing: found ['a', 'b']; expected a list, each a number, or null; {RESTORE}"
    ),
    "model: a description that is a pipe": model(
        replaced("model/model.json", pipe("model/model.json")),
        "model/model.json: found no such file; expected a model folder with model.json; name the folder of a trained model: results/NAME/models/EXPERIMENT",
    ),
    "model: a folder of folds by no number": model(
        lambda: (os.rename("model", "fold-x"), os.mkdir("model"), os.rename("fold-x", "model/fold-x")),
        "model/model.json: found no such file; expected a model folder with model.json; name the folder of a trained model: results/NAME/models/EXPERIMENT",
    ),
    "model: no weights": model(
        lambda: os.unlink("model/model.safetensors"), f"model/model.safetensors: found no such file; {WEIGHTS}"
    ),
    "model: weights that are a pipe": model(
        replaced("model/model.safetensors", pipe("model/model.safetensors")),
        f"model/model.safetensors: found a pipe, socket or device, not a file; {WEIGHTS}",
    ),
    "model: weights cut off": model(
        lambda: os.truncate("model/model.safetensors", 200), f"model/model.safetensors: found Error while deserializing header...; {WEIGHTS}"
    ),
    "model: a pickle for weights": model(
        with_content("model/model.safetensors", pickle.dumps(Bomb())), f"model/model.safetensors: found Error while deserializing header...; {WEIGHTS}"
    ),
    "model: a header of an exabyte": model(
        with_content("model/model.safetensors", struct.pack("<Q", 2**60) + b"{}"),
        f"model/model.safetensors: found Error while deserializing header...; {WEIGHTS}",
    ),
    "model: weights of other shapes": model(
        with_tensors(lambda state: {name: tensor[..., :1].contiguous() for name, tensor in state.items()}),
        f"model/model.safetensors: found ... of shape (...), not (...); {WEIGHTS}",
    ),
    "model: weights under other names": model(
        with_tensors(lambda state: {f"x.{name}": tensor for name, tensor in state.items()}),
        f"model/model.safetensors: found tensors ... only in one of model.safetensors and model.json; {WEIGHTS}",
    ),
    "model: weights of NaN": model(
        with_tensors(lambda state: {name: tensor * np.nan for name, tensor in state.items()}),
        f"model/model.safetensors: found NaN or infinite numbers in ...; {WEIGHTS}",
    ),
    "model: objects cut by no method": model(
        with_content("model/instances.json", '{"chosen": {"method": "os.system"}}'),
        "model/instances.json: found ValueError instances method 'os.system'...; expected segmentation parameters; copy the model folder again, or run: snakemake -R tune",
    ),
    "model: growth beyond all gaps": model(
        with_content("model/instances.json", '{"chosen": {"grow": 1000000}}'),
        "model/instances.json: found ValueError instances grow 1000000...; expected segmentation parameters; copy the model folder again, or run: snakemake -R tune",
    ),
    "model: a threshold in words": model(
        with_content("model/instances.json", '{"chosen": {"threshold": "half"}}'),
        "model/instances.json, threshold: found 'half'; expected a number; correct the value of this key",
    ),
    "weights: missing": pretrained(
        lambda: None, f"w.pth: found no such file; {TENSORS}; correct the path, or get the file: snakeseg fetch-weights"
    ),
    "weights: a pipe": pretrained(
        pipe("w.pth"), f"w.pth: found a pipe, socket or device, not a file; {TENSORS}; correct the path, or get the file: snakeseg fetch-weights"
    ),
    "weights: a pickle that runs": pretrained(
        with_content("w.pth", pickle.dumps(Bomb())), f"w.pth: found UnpicklingError: ...; {TENSORS}; save only the tensors: torch.save(model.state_dict(), FILE)"
    ),
    "weights: a pickle that runs, as PyTorch saves it": pretrained(
        lambda: torch.save(Bomb(), "w.pth"), f"w.pth: found UnpicklingError: ...; {TENSORS}; save only the tensors: torch.save(model.state_dict(), FILE)"
    ),
    "weights: a terabyte from a word that is allowed": pretrained(
        with_content("w.pth", pickle_of_a_terabyte()), f"w.pth: found ...; {TENSORS}; save only the tensors: torch.save(model.state_dict(), FILE)"
    ),
    "weights: a packed archive": pretrained(write_compressed_weights, f"w.pth: found ValueError: compressed entries (...); {TENSORS}; save only the tensors: torch.save(model.state_dict(), FILE)"),
    "weights: packed twice": pretrained(
        with_content("w.safetensors", zeros(0.1)), f"w.safetensors: found SafetensorError: ...; {TENSORS}; save only the tensors: torch.save(model.state_dict(), FILE)", "w.safetensors"
    ),
    "store: a name that leads elsewhere": Case(
        write_probabilities("../../s1"), SEGMENT, f"p.zarr.zip: found ...; {STORE}"
    ),
    "store: a name of nobody": Case(write_probabilities("s2"), SEGMENT, f"p.zarr.zip: found ...; {STORE}"),
    "store: packed": Case(write_probabilities("s1", zipfile.ZIP_DEFLATED), SEGMENT, f"p.zarr.zip: found packed entries (...); {STORE}"),
    "store: a pipe": Case(
        lambda: (write_probabilities("s1")(), os.unlink("p.zarr.zip"), pipe("p.zarr.zip")()), SEGMENT,
        f"p.zarr.zip: found a pipe, socket or device, not a file; {STORE}",
    ),
    "store: nothing in it": Case(
        lambda: (write_probabilities("s1")(), Path("p.zarr.zip").write_bytes(b"")), SEGMENT, f"p.zarr.zip: found File is not a zip file; {STORE}"
    ),
    "output: a link out of the results": Case(
        lambda: (write_probabilities("s1")(), Path("elsewhere").mkdir(), Path("elsewhere/kept").touch(), link("out", "elsewhere")()), SEGMENT,
        "out: found a link; expected a folder, or nothing; move it away",
    ),
    "output: a file": Case(
        lambda: (write_probabilities("s1")(), Path("out").touch()), SEGMENT, "out: found a file; expected a folder, or nothing; move it away"
    ),
    "output: the folder of the images": Case(
        write_plane, ["predict", PLANES, "image.tif", "-o", "."],
        "image.tif: found the image itself in the output folder; expected another folder; name a folder without images: -o FOLDER",
    ),
    "output: the folder of the images by a link": Case(
        lambda: (write_plane(), link("out", ".")()), ["predict", PLANES, "image.tif", "-o", "out"],
        "image.tif: found the image itself in the output folder; expected another folder; name a folder without images: -o FOLDER",
    ),
    "output: two images of one name": Case(
        lambda: (write_plane(), Path("b").mkdir(), write_plane("b/image.tif")), ["predict", PLANES, "image.tif", "b/image.tif", "-o", "out"],
        "b/image.tif: found the same name as image.tif; expected distinct names; predict the two images in separate calls, each with its own -o FOLDER",
    ),
    "output: none": Case(write_plane, ["predict", PLANES, "image.tif"], "predict: found images but no output folder; expected -o FOLDER; add -o FOLDER"),
    "images: none": Case(write_plane, ["predict", PLANES, "-o", "out"], "predict: found neither image files nor --sheet; expected one of the two; give either image files after MODEL, or --sheet SHEET"),
    "images: none to plan": Case(write_plane, ["plan", PLANES], "plan: found neither image files nor --sheet; expected one of the two; give either image files after MODEL, or --sheet SHEET"),
    "images: and a sheet": Case(write_plane, ["predict", PLANES, "image.tif", "--sheet", "a.tsv", "-o", "out"], "predict: found image files and --sheet; expected one of the two; give either image files after MODEL, or --sheet SHEET"),
    "probabilities: of image files": Case(write_plane, ["predict", PLANES, "image.tif", "-o", "out", "--probabilities", "a.zarr.zip"], "predict: found image files and --probabilities, which is for rows of a sheet; expected -o FOLDER; replace --probabilities FILE by --keep-probabilities, which writes them into the folder of -o"),
    "probabilities: none": Case(write_plane, ["predict", PLANES, "--sheet", "a.tsv"], "predict: found --sheet but no --probabilities; expected a store to write; add --probabilities FILE.zarr.zip, or give image files and -o FOLDER"),
    "settings: no JSON": Case(
        lambda: sheet(["s1", "image.tif", "", "train"]), ["inspect", "--sheet", "s.tsv", "--settings", "{", "--output", "o.json"],
        "settings: found no JSON (...); expected sections of the config; pass the sections of a config as one JSON object",
    ),
    "settings: a list": Case(
        lambda: sheet(["s1", "image.tif", "", "train"]), ["inspect", "--sheet", "s.tsv", "--settings", "[]", "--output", "o.json"],
        "settings: found list; expected sections with keys; write it as a mapping",
    ),
    "settings: an unknown section": Case(
        lambda: sheet(["s1", "image.tif", "", "train"]), ["inspect", "--sheet", "s.tsv", "--settings", '{"labls": {}}', "--output", "o.json"],
        "settings: found unknown key 'labls'; expected one of network, ...; did you mean 'labels'?",
    ),
    "settings: a number for a section": Case(
        lambda: sheet(["s1", "image.tif", "", "train"]), ["inspect", "--sheet", "s.tsv", "--settings", '{"labels": 3}', "--output", "o.json"],
        "labels: found int; expected keys with values; write it as a mapping",
    ),
}  # fmt: skip
