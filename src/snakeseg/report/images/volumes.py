"""Bring volumes to the display grid: order and direction of their axes, cropping and downsampling."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from snakeseg.arrays import Lazy, Region, as_lazy
from snakeseg.io.formats import reader_name
from snakeseg.io.raster import Raster

# Largest number of voxels a side that is read, in the middle of the volume, and that is shown.
READ_SIDE_VOXELS, SHOWN_SIDE_VOXELS = 1024, 192
# Anatomical directions at the first and last voxel of the display axes (z, y, x).
ENDS = (("S", "I"), ("A", "P"), ("R", "L"))


@dataclass(frozen=True)
class Frame:
    """Geometry of the display grid (z, y, x) of a volume.

    Parameters
    ----------
    anatomical : bool
        True if the file's axes are those of a body: right, anterior, superior (NIfTI, MHA, NRRD, DICOM). They are shown
        in radiological convention, each from its end to its start: z begins at the top of the head, y at the nose, x at
        the right hand.
    total : tuple of int
        Number of voxels of the volume along (z, y, x).
    part : tuple of slice
        Voxels that are read, along (z, y, x).
    grid : tuple of int
        Number of voxels that are shown, along (z, y, x).
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
        """Spacing of the display grid along (z, y, x), in the unit of the file's spacing."""
        axes = zip(self.part, self.grid, self.spacing, strict=True)
        return tuple((part.stop - part.start) / n * size for part, n, size in axes)


def is_anatomical(path: str | Path) -> bool:
    """Return True if the file's format has anatomical axes (see `Frame`)."""
    return reader_name(path) in ("nifti", "itk")


def frame_of(raster: Raster, spacing: tuple[float, ...]) -> Frame:
    """Return the geometry of a volume's display grid.

    Parameters
    ----------
    raster : Raster
        The volume.
    spacing : tuple of float
        Size of its voxels along the axes of the file.
    """
    anatomical = is_anatomical(raster.path)
    order = slice(None, None, -1 if anatomical else 1)
    total = raster.array.shape[1:][order]
    starts = [max(0, (n - READ_SIDE_VOXELS) // 2) for n in total]
    part = tuple(slice(start, min(n, start + READ_SIDE_VOXELS)) for start, n in zip(starts, total, strict=True))
    grid = tuple(min(SHOWN_SIDE_VOXELS, own.stop - own.start) for own in part)
    return Frame(anatomical, total, part, grid, tuple(spacing[order]))


def in_display_order(array, anatomical: bool) -> Lazy:
    """Return an array with its axes in the order and direction of the display grid.

    Parameters
    ----------
    array : array or Lazy, shape (..., *spatial)
        As in the file.
    anatomical : bool
        See `Frame`.

    Returns
    -------
    Lazy, shape (..., z, y, x)
        Read on demand.
    """
    array = as_lazy(array)
    if not anatomical:
        return array
    before, spatial = array.shape[:-3], array.shape[-3:]

    def read(region: Region) -> np.ndarray:
        own = [slice(n - r.stop, n - r.start) for n, r in zip(spatial, region[:-4:-1], strict=True)]
        voxels = array[(*region[:-3], *own)]
        return np.flip(voxels.swapaxes(-3, -1), (-3, -2, -1))

    return Lazy((*before, *spatial[::-1]), array.dtype, read)


def sample_labels(array, frame: Frame) -> np.ndarray:
    """Sample labels on the display grid, by nearest neighbour.

    Parameters
    ----------
    array : array or Lazy, shape (1, *spatial)
        Labels, as in the file.
    frame : Frame
        Geometry of the display grid.

    Returns
    -------
    array, shape (z, y, x)
        Of the same dtype.
    """
    labels = in_display_order(array, frame.anatomical)
    axes = zip(frame.part, frame.grid, strict=True)
    z, y, x = (((np.arange(n) + 0.5) * (own.stop - own.start) // n).astype(int) for own, n in axes)
    slices = [slice(at, at + 1) for at in (frame.part[0].start + z).tolist()]
    return np.stack([labels[(slice(0, 1), at, *frame.part[1:])][0, 0][np.ix_(y, x)] for at in slices])


def average_image(array, frame: Frame) -> tuple[np.ndarray, float, float]:
    """Average the first three channels of an image on the display grid, slab by slab to bound the memory.

    Parameters
    ----------
    array : array or Lazy, shape (channels, *spatial)
        Intensities, as in the file.
    frame : Frame
        Geometry of the display grid.

    Returns
    -------
    image : float32 array, shape (channels, z, y, x)
        Means of the intensities.
    mean, deviation : float
        Mean and standard deviation of all intensities that were read in the first channel.
    """
    image, (depth, height, width) = in_display_order(array, frame.anatomical), frame.grid
    start, bounds = frame.part[0].start, np.linspace(0, frame.part[0].stop - frame.part[0].start, depth + 1).astype(int)
    slices, moments = [], []
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        slab = image[(slice(0, 3), slice(start + first, start + last), *frame.part[1:])].astype(np.float32)
        moments.append((slab[0].size, slab[0].sum(dtype=float), np.square(slab[0], dtype=float).sum()))
        flat = slab.mean(axis=1)
        slices.append([cv2.resize(channel, (width, height), interpolation=cv2.INTER_AREA) for channel in flat])
    count, total, squares = np.sum(moments, axis=0)
    mean = total / count
    return np.stack(slices, axis=1), float(mean), float(np.sqrt(max(0.0, squares / count - mean**2)))


def most_central_voxel(mask: np.ndarray) -> tuple[int, ...]:
    """Return the voxel of a mask that is nearest to its centre of mass; of a large mask, a sample is searched.

    Parameters
    ----------
    mask : bool array, shape (*spatial)
        Must not be empty.
    """
    voxels = np.flatnonzero(mask)
    voxels = np.stack(np.unravel_index(voxels[:: 1 + len(voxels) // 2**17], mask.shape), axis=1)
    squared_distances = np.square(voxels - voxels.mean(axis=0)).sum(axis=1)
    return tuple(voxels[squared_distances.argmin()].tolist())


def square_pixels(shape: Sequence[int], steps: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns that resample a slice to square pixels, as indices for `numpy.ix_`.

    Parameters
    ----------
    shape : sequence of int
        Height and width of the slice (y, x), in pixels.
    steps : sequence of float
        Height and width of a pixel.
    """
    sizes = ((n, round(n * step / min(steps))) for n, step in zip(shape, steps, strict=True))
    return tuple(np.arange(wide) * n // wide for n, wide in sizes)


def downsample(array: np.ndarray, side: int, average: bool = False) -> np.ndarray:
    """Downsample a volume to at most `side` voxels a side.

    Parameters
    ----------
    array : array, shape (z, y, x, ...)
        The volume.
    side : int
        Largest number of voxels along each axis.
    average : bool
        Average the voxels (uint8); else take the nearest ones.

    Returns
    -------
    array, shape (z, y, x, ...)
        Of the same dtype.
    """
    for axis in range(3):
        n = array.shape[axis]
        if n > side and average:
            starts = np.linspace(0, n, side + 1).astype(int)
            counts = np.diff(starts).reshape([-1 if a == axis else 1 for a in range(array.ndim)])
            array = (np.add.reduceat(array, starts[:-1], axis, dtype=np.uint32) / counts).astype(array.dtype)
        elif n > side:
            array = array.take(((np.arange(side) + 0.5) * n // side).astype(int), axis)
    return array
