"""Objects of a volume as one sees them from outside: shaded surfaces, drawn with NumPy."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from skimage.measure import marching_cubes

from snakeseg.report.images.pictures import Colour

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
    side = SIDE * FINER
    picture = np.zeros((side * side, 4), np.float32)
    view, extent = _turned() @ (BODY if anatomical else STACK), np.array(codes.shape) * steps
    scale = (side - 4) / np.abs(view[:2] * extent).sum(axis=1).max()
    there = [code for code in range(1, 1 + len(colours)) if (codes == code).any()]
    sampled = [_sampled(codes == code, np.asarray(steps), view * scale) for code in there]
    if sampled:
        right, down, away, bright = np.concatenate(sampled).T
        rows, columns = (np.clip(np.rint(each + side / 2 - 0.5), 0, side - 1).astype(int) for each in (down, right))
        # Far ones first: of several for one pixel, the last one stays. Whole numbers are sorted in one pass.
        order = np.argsort((-32 * away).astype(np.int16), kind="stable")
        nearest = np.full(len(picture), -1)
        nearest[(rows * side + columns)[order]] = order
        hit = np.flatnonzero(nearest >= 0)
        owners = np.repeat(there, [len(each) for each in sampled])[nearest[hit]]
        picture[hit, :3] = np.array(colours)[owners - 1] * (0.35 + 0.65 * np.clip(bright[nearest[hit], None], 0, 1))
        picture[hit, 3] = 255
    return _smaller(picture)


def _turned() -> np.ndarray:
    """The rotation of (right, down, away) that shows the right side and the top."""
    (a, b), (c, d) = ((np.cos(angle), np.sin(angle)) for angle in np.radians((TURN, TILT)))
    return np.array([[1, 0, 0], [0, c, -d], [0, d, c]]) @ np.array([[a, 0, -b], [0, 1, 0], [b, 0, a]])


def _sampled(mask: np.ndarray, steps: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Points on the side of a mask's surface that one sees, at least one for each pixel: right, down, away, light."""
    padded = np.pad(mask, 2).astype(np.float32)
    corners, faces, _, _ = marching_cubes(padded, 0.5)
    places = ((corners - 1.5) * steps - np.array(mask.shape) * steps / 2) @ view.T
    # The surface goes in steps from voxel to voxel; the directions that it faces are those of a smoother one.
    smooth = ndimage.gaussian_filter(padded, 1.0)
    outward = -np.stack([ndimage.map_coordinates(each, corners.T, order=1) for each in np.gradient(smooth)], axis=1)
    facing = outward / steps @ view.T
    light = facing @ LIGHT / np.maximum(np.linalg.norm(facing, axis=1), 1e-9)
    values = np.column_stack([places, light]).astype(np.float32)[faces]
    first, second = values[:, 1, :2] - values[:, 0, :2], values[:, 2, :2] - values[:, 0, :2]
    turned = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) * np.linalg.det(view)
    values = values[turned > 0]  # seen from outside
    fine = int(np.ceil(1.2 * np.linalg.norm(view[0]) * steps.max())) + 1
    one, other = (each[np.add(*np.mgrid[:fine, :fine]) < fine] / max(1, fine - 1) for each in np.mgrid[:fine, :fine])
    shares = np.stack([one, other, 1 - one - other], axis=1).astype(np.float32)
    return (shares @ values).reshape(-1, 4)


def _smaller(picture: np.ndarray) -> np.ndarray:
    """Means of `FINER` x `FINER` pixels, of colours where something is."""
    parts = picture.reshape(SIDE, FINER, SIDE, FINER, 4).sum(axis=(1, 3))
    there = np.maximum(parts[..., 3:] / 255, 1)
    return np.concatenate([parts[..., :3] / there, parts[..., 3:] / FINER**2], axis=-1).astype(np.uint8)
