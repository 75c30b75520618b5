"""Objects of a volume as one sees them from outside: shaded surfaces, drawn with NumPy."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from skimage.measure import marching_cubes

from snakeseg.report.pictures import Colour

# Pixels a side while drawing, and how many of them make one of the picture.
SIDE, FINER = 160, 2
# From where one looks: degrees to the side and from above.
TURN, TILT = 30, 20
# Towards the light, as (right, down, away).
LIGHT = np.array([-0.45, -0.6, -0.66])
# What (right, down, away) are of (z, y, x): in front of a body; or above a stack of slices.
BODY, STACK = np.eye(3)[[2, 0, 1]], np.eye(3)[[2, 1, 0]]


def draw_surfaces(codes: np.ndarray, steps: Sequence[float], colours: Sequence[Colour], anatomical: bool) -> np.ndarray:
    """A picture of all objects, from the front and a bit from the side and above.

    Parameters
    ----------
    codes : uint8 array, shape (z, y, x)
        0 is empty, i is drawn in the i-th colour.
    steps : sequence of float
        Distance of voxels along each axis.
    colours : sequence of (red, green, blue)
    anatomical : bool
        Whether axes are those of a body, see `volumes.Frame`; else one looks from above onto the first slice.

    Returns
    -------
    uint8 array, shape (`SIDE`, `SIDE`, 4)
        RGB and opacity; where nothing is, 0.
    """
    picture = np.zeros((SIDE * FINER, SIDE * FINER, 4), np.float32)
    view = _turned() @ (BODY if anatomical else STACK)
    extent = np.array(codes.shape) * steps
    scale = (SIDE * FINER - 4) / np.abs(view[:2] * extent).sum(axis=1).max()
    points, normals, owners = [], [], []
    for code in range(1, 1 + len(colours)):
        if (codes == code).any():
            found = _sampled(codes == code, steps, scale)
            points.append((found[0] - extent / 2) @ view.T * scale)
            normals.append(found[1] @ view.T)
            owners.append(np.full(len(found[0]), code - 1))
    if points:
        _paint(picture, *map(np.concatenate, (points, normals)), np.array(colours)[np.concatenate(owners)])
    return _smaller(picture)


def _turned() -> np.ndarray:
    """The rotation of (right, down, away) that shows the right side and the top."""
    (a, b), (c, d) = ((np.cos(angle), np.sin(angle)) for angle in np.radians((TURN, TILT)))
    return np.array([[1, 0, 0], [0, c, -d], [0, d, c]]) @ np.array([[a, 0, -b], [0, 1, 0], [b, 0, a]])


def _sampled(mask: np.ndarray, steps: Sequence[float], scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Points of a mask's surface, one for each pixel that a triangle covers, and directions out of the mask."""
    padded = np.pad(mask, 2).astype(np.float32)
    corners, faces, _, _ = marching_cubes(padded, 0.5)
    # The surface goes in steps from voxel to voxel; its directions are those of a smoother one.
    smooth = ndimage.gaussian_filter(padded, 1.0)
    gradient = np.stack([ndimage.map_coordinates(g, corners.T, order=1) for g in np.gradient(smooth)], axis=1)
    steps = np.asarray(steps, np.float32)
    fine = int(np.ceil(1.2 * scale * steps.max())) + 1
    first, second = np.mgrid[:fine, :fine] / max(1, fine - 1)
    inside = first + second <= 1 + 1e-9
    shares = np.stack([first[inside], second[inside], 1 - first[inside] - second[inside]], axis=1).astype(np.float32)
    points = (shares @ ((corners - 1.5) * steps)[faces]).reshape(-1, 3)
    return points, -(shares @ (gradient / steps)[faces]).reshape(-1, 3)


def _paint(picture: np.ndarray, points: np.ndarray, normals: np.ndarray, colours: np.ndarray) -> None:
    """Put points onto the picture, the near ones over the far ones, as bright as the light falls on them."""
    order = np.argsort(-points[:, 2], kind="stable")
    columns, rows = (np.rint(points[order, axis] + len(picture) / 2 - 0.5).astype(int) for axis in (0, 1))
    facing = normals[order] @ LIGHT / np.maximum(np.linalg.norm(normals[order], axis=1), 1e-9)
    bright = 0.35 + 0.65 * np.clip(facing, 0, 1)[:, None]
    rows, columns = np.clip(rows, 0, len(picture) - 1), np.clip(columns, 0, len(picture) - 1)
    picture[rows, columns, :3] = colours[order] * bright
    picture[rows, columns, 3] = 255


def _smaller(picture: np.ndarray) -> np.ndarray:
    """Means of `FINER` x `FINER` pixels, of colours where something is."""
    parts = picture.reshape(SIDE, FINER, SIDE, FINER, 4).sum(axis=(1, 3))
    there = np.maximum(parts[..., 3:] / 255, 1)
    return np.concatenate([parts[..., :3] / there, parts[..., 3:] / FINER**2], axis=-1).astype(np.uint8)
