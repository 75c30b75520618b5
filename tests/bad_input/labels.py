# ruff: noqa: E501 - messages are on one line, so that they can be searched
"""Cases of bad labels of a valid image of 24 x 24 pixels."""

import json

import numpy as np
import tifffile
from bad_input.case import Bomb, Case, damaged, folder, label, pipe
from bad_input.planes import IMAGE
from PIL import Image

IDS = np.zeros((24, 24), np.uint16)
IDS[4:9, 4:9], IDS[12:20, 3:20] = 1, 2
SEMANTIC = {"kind": "semantic", "values": {"background": 0, "cell": 1}}


def write_tiff(array: np.ndarray, **options):
    """Return a function that writes label.tif."""
    return lambda: tifffile.imwrite("label.tif", array, **options)


def bad(make, message: str, name: str = "label.tif", **labels) -> Case:
    """Make a case of a label, with the settings `labels`."""
    return label(name, make, message, json.dumps({"labels": labels} if labels else {}))


CASES: dict[str, Case] = {
    "label: missing": bad(lambda: None, f"found no such file; {IMAGE}"),
    "label: nothing in it": bad(lambda: open("label.tif", "w", encoding="utf-8").close(), damaged()),
    "label: a folder": bad(folder("label.tif"), f"found a folder, not a file; {IMAGE}"),
    "label: a pipe": bad(pipe("label.tif"), f"found a pipe, socket or device, not a file; {IMAGE}"),
    "label: decimal numbers": bad(
        write_tiff(IDS / 2), "found labels of type float64; expected integers; round them and save as uint8 or uint16"
    ),
    "label: NaN": bad(
        write_tiff(np.full((24, 24), np.nan, np.float32)),
        "found 576 pixels that are NaN or infinite; expected finite numbers; repair or drop the image",
    ),
    "label: colours": bad(
        lambda: Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 24, 3)).astype(np.uint8)).save(
            "label.png"
        ),
        "found ... colours; expected a label image of one channel, or of at most 36 colours; save object ids or class values, not colours",
        "label.png",
    ),
    "label: colours for ids": bad(
        lambda: Image.fromarray(np.stack([IDS, IDS, 0 * IDS], 2).astype(np.uint8)).save("label.png"),
        "found a label in colours; expected ids, since labels.kind is not semantic; set labels.kind: semantic, with a value for each colour, which snakeseg init proposes",
        "label.png",
    ),
    "label: two channels": bad(
        write_tiff(np.stack([IDS, IDS]), photometric="minisblack", planarconfig="separate"),
        "found 2 channels; expected a label image of one channel; save object ids or class values, not colours",
    ),
    "label: JPEG": bad(
        lambda: Image.fromarray(IDS.astype(np.uint8)).save("label.jpg"),
        "found a label in JPEG, which changes values near edges; expected a label in PNG or TIFF; export the label again from the program in which it was drawn",
        "label.jpg",
    ),
    "label: another shape": bad(
        write_tiff(IDS[:20]),
        "found shape (20, 24); expected (24, 24), the shape of image.tif; pair the files of one image, or resample one of"
        " them",
    ),
    "label: a value without a class": bad(
        write_tiff(IDS),
        "found label values [2]; expected the classes ...; correct the label or the key labels.values",
        **SEMANTIC,
    ),
    "label: a value below all": bad(
        write_tiff(-IDS.astype(np.int32)),
        "found label values [-2, -1]; expected the classes ...; correct the label or the key labels.values",
        **SEMANTIC,
    ),
    "label: pixels that are not annotated": bad(
        write_tiff(np.where(IDS == 2, -1, IDS).astype(np.int16)),
        "found negative ids -1; expected 0 for background, and positive ids; set labels.ignore: -1, if these pixels are not annotated",
    ),
    "label: several negative ids": bad(
        write_tiff(-IDS.astype(np.int32)),
        "found negative ids -2, -1; expected 0 for background, and positive ids; give pixels that are not annotated one value, and set labels.ignore to it",
    ),
    "label: a terapixel": bad(
        lambda: write_terapixel(),
        "found 1000000 x 1000000 pixels in one piece; expected at most ... million (half of the memory); convert it to a tiled TIFF or Zarr",
    ),
    "label: a NumPy file": bad(
        lambda: np.save("label.npy", {"masks": IDS, "bomb": Bomb()}),
        "found format '.npy'; expected .ome.tiff, ...; save the masks as PNG or TIFF (Cellpose: --save_png, --save_tif, or its menu File)",
        "label.npy",
    ),
}


def write_terapixel() -> None:
    """Write a TIFF whose header claims a terapixel in one strip."""
    tifffile.imwrite("label.tif", IDS, compression="zlib")
    with tifffile.TiffFile("label.tif", mode="r+b") as file:
        for tag in (256, 257, 278):
            file.pages[0].tags[tag].overwrite(10**6)
