"""Valid files of every layout, real and generated, that `fuzz_readers` mutates, and the readers of each format."""

import contextlib
import io
import json
import math
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import imagecodecs
import nibabel
import numpy as np
import pandas as pd
import SimpleITK
import tifffile
import torch
import yaml
import zarr
from microscope_files import write_czi, write_lif, write_nd2
from PIL import Image
from safetensors.torch import save_file

from snakeseg.errors import BadInput
from snakeseg.io.formats import label_suffix
from snakeseg.io.images import list_images_in_file, read, write_labels
from snakeseg.io.sheet import read_sheet
from snakeseg.io.store import read_store, write_store
from snakeseg.models.checkpoint import load_model, save_model
from snakeseg.models.description import Description
from snakeseg.models.pretrained import read_pretrained
from snakeseg.objects.parameters import load_cross_fitted, load_parameters
from snakeseg.settings import ContextSettings, Labels, Predict, Prepare, UNetSettings

REPOSITORY = Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(0)
PLANE = RNG.integers(0, 60_000, (40, 50)).astype(np.uint16)
STACK = RNG.integers(0, 60_000, (5, 24, 30)).astype(np.uint16)
REAL = (REPOSITORY / os.environ.get("SNAKESEG_REALDATA", "../shared/data")).resolve()


class Reader(NamedTuple):
    """A reader to fuzz.

    Parameters
    ----------
    seeds : function
        Writes valid files into a folder; `.raw` files are data of all other files.
    read : function
        Reads one of the files.
    repair : function, optional
        Corrects the checksums of changed bytes.
    """

    seeds: Callable[[Path], object]
    read: Callable[[Path], object]
    repair: Callable[[bytes], bytes] | None = None


def copy_real(folder: Path, pattern: str, count: int = 2) -> None:
    """Copy the first real files of a pattern, if they exist."""
    for path in sorted(REAL.glob(pattern))[:count]:
        shutil.copy(path, folder)


def read_image(path: Path) -> None:
    """Read the last image of a file as a plane or else as a volume, and write labels in its format."""
    path = list_images_in_file(path)[-1]
    try:
        raster = read(path, 2)
    except BadInput as error:
        if "spatial axes" not in str(error):
            raise
        raster = read(path, 3)
    if math.prod(raster.array.shape) < 10**6:
        target = path.with_name(f"labels{label_suffix(path)}")
        write_labels(target, np.ones(raster.array.shape[1:], np.uint8), raster)


def pngs(folder: Path) -> None:
    copy_real(folder, "isbi2012/train/*/000.png")
    colours = RNG.integers(0, 255, (20, 30, 4)).astype(np.uint8)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        Image.fromarray(colours).convert(mode).save(folder / f"{mode}.png")
    Image.fromarray(PLANE).save(folder / "deep.png")
    for samples in (2, 3, 4):
        pixels = RNG.integers(0, 60_000, (20, 30, samples)).astype(np.uint16)
        (folder / f"deep{samples}.png").write_bytes(imagecodecs.png_encode(pixels))


def repair_png(content: bytes) -> bytes:
    """Correct the checksum of every chunk."""
    out, at = bytearray(content[:8]), 8
    while at + 12 <= len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        body = content[at + 4 : at + 8 + size]
        out += content[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + size
    return bytes(out) + content[at:]


def jpegs(folder: Path) -> None:
    colours = RNG.integers(0, 255, (40, 50, 3)).astype(np.uint8)
    for mode in ("L", "RGB"):
        Image.fromarray(colours).convert(mode).save(folder / f"{mode}.jpg")
    Image.fromarray(colours).save(folder / "progressive.jpg", progressive=True)


def tiffs(folder: Path) -> None:
    copy_real(folder, "dsb2018/*/*.tif")
    for name, options in {
        "raw": {}, "big": {"bigtiff": True}, "motorola": {"byteorder": ">"},
        "strips": {"rowsperstrip": 8, "compression": "zlib"},
        "tiles": {"tile": (16, 16), "compression": "lzw"}, "zstd": {"compression": "zstd", "predictor": True},
        "packbits": {"compression": "packbits"},
    }.items():  # fmt: skip
        tifffile.imwrite(folder / f"{name}.tif", PLANE, **options)
    tifffile.imwrite(folder / "jpeg.tif", RNG.integers(0, 255, (32, 32, 3)).astype(np.uint8), compression="jpeg")
    tifffile.imwrite(folder / "imagej.tif", STACK, imagej=True, metadata={"axes": "ZYX"})
    metadata = {"axes": "ZYX", "unit": "um", "spacing": 1.5}
    tifffile.imwrite(folder / "sizes.tif", STACK, imagej=True, resolution=(5, 4), metadata=metadata)
    tifffile.imwrite(folder / "resolution.tif", PLANE, resolution=(5000, 4000), resolutionunit="CENTIMETER")
    tifffile.imwrite(folder / "pages.tif", STACK, metadata=None, photometric="minisblack")
    for name, images in {"stack": STACK, "numbered": (PLANE[::3, ::3], PLANE, STACK)}.items():
        with tifffile.TiffWriter(folder / f"{name}.tif") as file:
            for image in images:
                file.write(image, photometric="minisblack")


def omes(folder: Path) -> None:
    tifffile.imwrite(
        folder / "plane.ome.tif", PLANE, metadata={"axes": "YX", "PhysicalSizeX": 0.3, "PhysicalSizeY": 0.2}
    )
    tifffile.imwrite(folder / "stack.ome.tif", STACK, metadata={"axes": "ZYX"}, compression="zlib")
    channels = np.stack([STACK] * 2)
    tifffile.imwrite(folder / "channels.ome.tif", channels, metadata={"axes": "CZYX", "Channel": {"Name": ["a", "b"]}})
    with tifffile.TiffWriter(folder / "pyramid.ome.tif") as file:
        file.write(PLANE, subifds=1, tile=(16, 16), metadata={"axes": "YX"})
        file.write(PLANE[::2, ::2], subfiletype=1, tile=(16, 16))


def niftis(folder: Path) -> None:
    copy_real(folder, "hippocampus/*/*.nii.gz", 3)
    for name in ("a.nii", "b.nii.gz"):
        nibabel.save(nibabel.Nifti1Image(STACK, np.diag([1, 2, 3, 1])), folder / name)
    nibabel.save(nibabel.Nifti2Image(STACK, np.diag([-1, 2, 3, 1])), folder / "c.nii")
    extended = nibabel.Nifti1Image(STACK[None].T, np.eye(4))
    extended.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"text" * 9))
    nibabel.save(extended, folder / "d.nii.gz")


def zarrs(folder: Path) -> None:
    zarr.create_array(folder / "plain.zarr", data=PLANE, chunks=(16, 16))
    zarr.create_array(folder / "sharded.zarr", data=PLANE, chunks=(16, 16), shards=(32, 32))
    zarr.create_array(folder / "second.zarr", data=PLANE, chunks=(16, 16), zarr_format=2)
    for version, name in ((2, "four"), (3, "five")):
        group = zarr.create_group(folder / f"{name}.ome.zarr", zarr_format=version)
        levels = []
        for level, array in enumerate((STACK, STACK[:, ::2, ::2])):
            group.create_array(str(level), data=array[None], chunks=(1, 2, 16, 16))
            scale = {"type": "scale", "scale": [1, 2, 0.5 * 2**level, 0.5 * 2**level]}
            levels.append({"path": str(level), "coordinateTransformations": [scale]})
        axes = [{"name": "c", "type": "channel"}, *({"name": axis, "type": "space"} for axis in "zyx")]
        scales = [{"axes": axes, "datasets": levels}]
        group.attrs.update(
            {"multiscales": scales} if version == 2 else {"ome": {"version": "0.5", "multiscales": scales}}
        )
    plate = zarr.create_group(folder / "plate.zarr", zarr_format=2, attributes={"plate": {"wells": [{"path": "A/1"}]}})
    well = plate.create_group("A/1", attributes={"well": {"images": [{"path": "0"}, {"path": "1"}]}})
    for name in "01":
        field = well.create_group(name, attributes={"multiscales": [{"axes": ["y", "x"], "datasets": [{"path": "0"}]}]})
        field.create_array("0", data=PLANE, chunks=(16, 16))


def itks(folder: Path) -> None:
    volume = SimpleITK.GetImageFromArray(STACK)
    volume.SetSpacing((0.5, 0.5, 2))
    for name in ("a.mha", "b.nrrd"):
        SimpleITK.WriteImage(volume, str(folder / name))
        SimpleITK.WriteImage(volume, str(folder / f"packed-{name}"), useCompression=True)
    SimpleITK.WriteImage(volume, str(folder / "c.mhd"))


def microscopes(folder: Path) -> None:
    for channels in (1, 2):
        array = np.stack([STACK] * channels)
        write_czi(folder / f"{channels}.czi", *[array] * channels)
        write_lif(folder / f"{channels}.lif", *[array] * channels)
        write_nd2(folder / f"{channels}.nd2", *[array] * channels)


def sheets(folder: Path) -> None:
    table = pd.DataFrame({
        "sample": ["a", "b", "c"], "image": ["a.tif", "b.tif;c.tif", "d.nii"], "label": ["l.tif", "", ""],
        "subset": ["train", "test", ""], "parts": ["", "2", "1"], "spacing": ["0.5 0.5", "", "1"],
    })  # fmt: skip
    table.to_csv(folder / "a.tsv", sep="\t", index=False)
    table.to_csv(folder / "b.csv", index=False)
    table.to_parquet(folder / "c.parquet")
    for path in sorted((REPOSITORY / "config" / "examples").glob("*.tsv"))[:2]:
        shutil.copy(path, folder)


def models(folder: Path) -> None:
    """Write the model folders of two networks."""
    torch.manual_seed(0)
    kinds = {
        "a": (2, ContextSettings(width=2, dilations=[1, 2])),
        "b": (3, UNetSettings(width=2, depth=1, normalisation="batch")),
    }
    for name, (dims, settings) in kinds.items():
        description = Description(dims, 1, Labels(), settings, Prepare(), Predict(), None, [1.0] * dims)
        save_model(folder / name, description.make_network(), description, {})
        chosen = {"method": "core", "threshold": 0.4, "depth": 0.9, "smallest": 7}
        tuned = {"chosen": chosen, "trials": [], "cross_fitted": {"parameters": [chosen], "samples": {"a": 0}}}
        (folder / name / "instances.json").write_text(json.dumps(tuned), encoding="utf-8")


def read_model(folder: Path) -> None:
    _, description = load_model(folder, torch.device("cpu"))
    load_parameters(folder, description.labels)
    load_cross_fitted(folder, description.labels)


def weights(folder: Path) -> None:
    state = {"a.weight": torch.randn(3, 4), "a.bias": torch.zeros(3), "count": torch.tensor(7)}
    torch.save(state, folder / "a.pth")
    torch.save(state, folder / "b.pt", _use_new_zipfile_serialization=False)
    save_file(state, folder / "c.safetensors")


def stores(folder: Path) -> None:
    samples = [(name, {"note": ""}, {"image": PLANE, "classes": PLANE.astype(np.uint8)}) for name in ("a", "b")]
    write_store(folder / "a.zarr.zip", samples)


def configs(folder: Path) -> None:
    for path in (REPOSITORY / "config" / "config.yaml", *(REPOSITORY / "config" / "examples").glob("*.yaml")):
        (folder / path.name).write_text(
            yaml.safe_dump(yaml.safe_load(path.read_text(encoding="utf-8")), sort_keys=False), encoding="utf-8"
        )


def read_config(path: Path) -> None:
    """Plan a run with the config; raise BadInput if Snakemake cannot load it, and RuntimeError for a traceback."""
    import snakemake.cli
    from snakemake.common.configfile import load_configfile

    try:
        load_configfile(path)
    except Exception as error:
        raise BadInput(path, f"no config ({error})", "one", "") from error
    output = io.StringIO()
    options = ["--snakefile", REPOSITORY / "Snakefile", "--directory", path.parent, "--dry-run", "--configfile", path]
    with contextlib.redirect_stderr(output), contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        snakemake.cli.main([str(option) for option in options])
    text = output.getvalue()
    if "Traceback" in text or "Error in file" in text.replace("WorkflowError in file", ""):
        raise RuntimeError(" ".join(text.split())[-300:])


READERS = {
    "png": Reader(pngs, read_image, repair_png),
    "jpeg": Reader(jpegs, read_image),
    "tiff": Reader(tiffs, read_image),
    "ome-tiff": Reader(omes, read_image),
    "nifti": Reader(niftis, read_image),
    "zarr": Reader(zarrs, read_image),
    "itk": Reader(itks, read_image),
    "microscope": Reader(microscopes, read_image),
    "sheet": Reader(sheets, read_sheet),
    "config": Reader(configs, read_config),
    "model": Reader(models, read_model),
    "weights": Reader(weights, read_pretrained),
    "store": Reader(stores, lambda path: list(read_store(path))),
}
