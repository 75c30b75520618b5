"""NIfTI-1 and -2 through nibabel; affine and header survive."""

import gzip

import nibabel
import numpy as np

AXES = "XYZTC"


def read(path):
    """Array, axes and spacing; scaled integers come out scaled."""
    if path.name.lower().endswith(".gz"):
        with gzip.open(path) as packed:
            while packed.read(2**20):  # to the end, where the checksum is
                pass
    file = nibabel.load(path)
    array = np.asanyarray(file.dataobj)
    spacing = tuple(float(s) for s in file.header.get_zooms()[: min(3, array.ndim)])
    return array, AXES[: array.ndim], spacing


def write(path, labels, source) -> None:
    """Smallest unsigned integer that holds the ids, in the source's space."""
    file = nibabel.load(source.path)
    header = file.header.copy()
    dtype = np.min_scalar_type(int(labels.max(initial=0)))
    header.set_data_dtype(dtype)
    header.set_slope_inter(1, 0)
    full = labels.reshape(file.shape[:3])
    nibabel.save(type(file)(full.astype(dtype), file.affine, header), path)
