"""Volumes as they are shown: the order and direction of their axes, and at most so many voxels a side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from snakeseg.arrays import Lazy, Region, as_lazy
from snakeseg.io.file_names import FORMATS
from snakeseg.io.formats import suffix_of
from snakeseg.io.images import Raster

# Voxels a side of larger volumes that are read, in the middle; and as how many of them at most they are shown.
LARGEST, FINEST = 1024, 192
# What lies at the two ends of the axes (z, y, x) of a volume in a known orientation, as it is shown.
ENDS = (("S", "I"), ("A", "P"), ("R", "L"))


@dataclass(frozen=True)
class Frame:
    """How the voxels of a file come to be shown, on a grid (z, y, x).

    Parameters
    ----------
    anatomical : bool
        Whether the file's axes are those of a body: right, anterior, superior (NIfTI, MHA, NRRD, DICOM). They are shown
        as radiologists do, each from its end to its start, so that z begins at the top of the head, y at the nose, x at
        the right hand.
    total : tuple of int
        Voxels of the volume along (z, y, x).
    part : tuple of slice
        Those of which the grid is made.
    grid : tuple of int
    spacing : tuple of float
        Size of a voxel of the file along (z, y, x).
    """

    anatomical: bool
    total: tuple[int, ...]
    part: Region
    grid: tuple[int, ...]
    spacing: tuple[float, ...]

    @property
    def steps(self) -> tuple[float, ...]:
        """Distance of the grid's points along (z, y, x), in the unit of the spacing."""
        each = zip(self.part, self.grid, self.spacing, strict=True)
        return tuple((part.stop - part.start) / n * size for part, n, size in each)


def of_a_body(path: str | Path) -> bool:
    """Whether a file's axes are those of a body."""
    return FORMATS.get(suffix_of(path).lower(), "itk") in ("nifti", "itk")


def frame_of(raster: Raster, spacing: tuple[float, ...]) -> Frame:
    """The frame of an image, whose voxels are of this size along its own axes."""
    anatomical = of_a_body(raster.path)
    order = slice(None, None, -1 if anatomical else 1)
    total = raster.array.shape[1:][order]
    starts = [max(0, (n - LARGEST) // 2) for n in total]
    part = tuple(slice(start, min(n, start + LARGEST)) for start, n in zip(starts, total, strict=True))
    grid = tuple(min(FINEST, each.stop - each.start) for each in part)
    return Frame(anatomical, total, part, grid, tuple(spacing[order]))


def displayed(array, anatomical: bool) -> Lazy:
    """An array (..., *spatial) of a file as (..., z, y, x) of its frame."""
    array = as_lazy(array)
    if not anatomical:
        return array
    before, spatial = array.shape[:-3], array.shape[-3:]

    def read(region: Region) -> np.ndarray:
        own = [slice(n - r.stop, n - r.start) for n, r in zip(spatial, region[:-4:-1], strict=True)]
        found = array[(*region[:-3], *own)]
        return np.flip(found.swapaxes(-3, -1), (-3, -2, -1))

    return Lazy((*before, *spatial[::-1]), array.dtype, read)


def nearest(array, frame: Frame) -> np.ndarray:
    """Labels of a file (1, *spatial) on the grid: those of the voxels in the middle of each piece."""
    shown = displayed(array, frame.anatomical)
    pieces = zip(frame.part, frame.grid, strict=True)
    z, y, x = (((np.arange(n) + 0.5) * (own.stop - own.start) // n).astype(int) for own, n in pieces)
    slices = [slice(at, at + 1) for at in (frame.part[0].start + z).tolist()]
    return np.stack([shown[(slice(0, 1), at, *frame.part[1:])][0, 0][np.ix_(y, x)] for at in slices])


def means(array, frame: Frame) -> tuple[np.ndarray, float, float]:
    """The first channels of a file (channels, *spatial) on the grid, by means; mean and deviation of the first one.

    Read slice by slice, since it may not fit into memory.
    """
    shown, (depth, height, width) = displayed(array, frame.anatomical), frame.grid
    start, bounds = frame.part[0].start, np.linspace(0, frame.part[0].stop - frame.part[0].start, depth + 1).astype(int)
    made, moments = [], []
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        slab = shown[(slice(0, 3), slice(start + first, start + last), *frame.part[1:])].astype(np.float32)
        moments.append((slab[0].size, slab[0].sum(dtype=float), np.square(slab[0], dtype=float).sum()))
        flat = slab.mean(axis=1)
        made.append([cv2.resize(each, (width, height), interpolation=cv2.INTER_AREA) for each in flat])
    count, total, squares = np.sum(moments, axis=0)
    mean = total / count
    return np.stack(made, axis=1), float(mean), float(np.sqrt(max(0.0, squares / count - mean**2)))


def middle_of(mask: np.ndarray) -> tuple[int, ...]:
    """The voxel of a mask that is nearest to the middle of all; of a large mask, of some of them."""
    there = np.flatnonzero(mask)
    there = np.stack(np.unravel_index(there[:: 1 + len(there) // 2**17], mask.shape), axis=1)
    far = np.square(there - there.mean(axis=0)).sum(axis=1)
    return tuple(there[far.argmin()].tolist())


def square(shape: Sequence[int], steps: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a slice (y, x) that make its pixels as wide as high; for `numpy.ix_`."""
    sizes = ((n, round(n * step / min(steps))) for n, step in zip(shape, steps, strict=True))
    return tuple(np.arange(wide) * n // wide for n, wide in sizes)


def coarser(array: np.ndarray, side: int, average: bool = False) -> np.ndarray:
    """A grid (z, y, x, ...) of at most `side` voxels a side, by means, or by the nearest voxels."""
    for axis in range(3):
        n = array.shape[axis]
        if n > side and average:
            starts = np.linspace(0, n, side + 1).astype(int)
            counts = np.diff(starts).reshape([-1 if a == axis else 1 for a in range(array.ndim)])
            array = (np.add.reduceat(array, starts[:-1], axis, dtype=np.uint32) / counts).astype(array.dtype)
        elif n > side:
            array = array.take(((np.arange(side) + 0.5) * n // side).astype(int), axis)
    return array
