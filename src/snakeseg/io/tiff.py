"""TIFF and OME-TIFF through tifffile."""

import numpy as np
import tifffile

CHANNELS = "CS"
OME_SIZES = {"Z": "PhysicalSizeZ", "Y": "PhysicalSizeY", "X": "PhysicalSizeX"}


def read(path):
    """Array, axes and spacing of the first series. A stack of pages without names is taken for depth."""
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        array = series.asarray()
        axes = "".join("C" if a in CHANNELS else "Z" if a in "IQ" else a for a in series.axes)
        sizes = _ome_sizes(file)
    return array, axes, tuple(float(sizes.get(OME_SIZES[a], 1.0)) for a in axes if a in OME_SIZES)


def write(path, labels, source) -> None:
    """uint32, deflated, with the source's resolution tags or OME pixel sizes."""
    with tifffile.TiffFile(source.path) as file:
        tags, is_ome, sizes = file.pages[0].tags, file.is_ome, _ome_sizes(file)
        resolution = {}
        if "XResolution" in tags and "YResolution" in tags:
            resolution["resolution"] = (tags["XResolution"].value, tags["YResolution"].value)
            resolution["resolutionunit"] = tags["ResolutionUnit"].value if "ResolutionUnit" in tags else None
    metadata = {"axes": "ZYX"[-labels.ndim :], **sizes}
    tifffile.imwrite(path, labels.astype(np.uint32), compression="zlib", ome=is_ome, metadata=metadata, **resolution)


def _ome_sizes(file: tifffile.TiffFile) -> dict:
    if not file.is_ome:
        return {}
    images = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
    pixels = (images[0] if isinstance(images, list) else images)["Pixels"]
    return {k: v for k, v in pixels.items() if k.startswith("PhysicalSize")}
