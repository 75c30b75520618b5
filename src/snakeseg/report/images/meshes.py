"""Draw the surfaces of the objects of a volume with shading, in NumPy."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from skimage.measure import marching_cubes

from snakeseg.report.images.pictures import Colour

# Pixels a side of the picture; it is drawn with `OVERSAMPLING` times as many and averaged.
PICTURE_SIDE, OVERSAMPLING = 160, 2
# Viewing direction: degrees to the side, and degrees from above.
TURN_DEGREES, TILT_DEGREES = 30, 20
# Direction towards the light, as (right, down, away from the viewer).
LIGHT_DIRECTION = np.array([-0.45, -0.6, -0.66])
# Axes (right, down, away) of the picture in (z, y, x): in front of a body, and above a stack of slices.
BODY_AXES, STACK_AXES = np.eye(3)[[2, 0, 1]], np.eye(3)[[2, 1, 0]]


def draw_surfaces(codes: np.ndarray, steps: Sequence[float], colours: Sequence[Colour], anatomical: bool) -> np.ndarray:
    """Draw the surfaces of all objects, seen from the front, a little from the side and from above.

    Parameters
    ----------
    codes : uint8 array, shape (z, y, x)
        0 is background, i is drawn in the i-th colour.
    steps : sequence of float
        Distance between voxels along each axis, all in one unit of length.
    colours : sequence of (red, green, blue)
        Each from 0 to 255.
    anatomical : bool
        True if the axes are those of a body (see `volumes.Frame`); else the view is from above onto the first slice.

    Returns
    -------
    uint8 array, shape (`PICTURE_SIDE`, `PICTURE_SIDE`, 4)
        Red, green, blue and opacity; 0 where there is no surface.
    """
    side = PICTURE_SIDE * OVERSAMPLING
    picture = np.zeros((side * side, 4), np.float32)
    view, extent = _rotation() @ (BODY_AXES if anatomical else STACK_AXES), np.array(codes.shape) * steps
    scale = (side - 4) / np.abs(view[:2] * extent).sum(axis=1).max()
    present = [code for code in range(1, 1 + len(colours)) if (codes == code).any()]
    points = [_surface_points(codes == code, np.asarray(steps), view * scale) for code in present]
    if points:
        right, down, away, brightness = np.concatenate(points).T
        rows, columns = (np.clip(np.rint(place + side / 2 - 0.5), 0, side - 1).astype(int) for place in (down, right))
        # Far points come first, so that the nearest of several points stays. A stable sort of int16 is one pass.
        order = np.argsort((-32 * away).astype(np.int16), kind="stable")
        nearest = np.full(len(picture), -1)
        nearest[(rows * side + columns)[order]] = order
        hit = np.flatnonzero(nearest >= 0)
        owners = np.repeat(present, [len(own) for own in points])[nearest[hit]]
        shading = 0.35 + 0.65 * np.clip(brightness[nearest[hit], None], 0, 1)
        picture[hit, :3] = np.array(colours)[owners - 1] * shading
        picture[hit, 3] = 255
    return _average(picture)


def _rotation() -> np.ndarray:
    """Return the rotation of (right, down, away) that shows the right side and the top."""
    (a, b), (c, d) = ((np.cos(angle), np.sin(angle)) for angle in np.radians((TURN_DEGREES, TILT_DEGREES)))
    return np.array([[1, 0, 0], [0, c, -d], [0, d, c]]) @ np.array([[a, 0, -b], [0, 1, 0], [b, 0, a]])


def _surface_points(mask: np.ndarray, steps: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return points (n, 4) on the visible side of a mask's surface, one or more per pixel: right, down, away, light."""
    padded = np.pad(mask, 2).astype(np.float32)
    corners, faces, _, _ = marching_cubes(padded, 0.5)
    places = ((corners - 1.5) * steps - np.array(mask.shape) * steps / 2) @ view.T
    # The surface follows the voxels in steps; its normals are those of the smoothed mask.
    smooth = ndimage.gaussian_filter(padded, 1.0)
    outward = -np.stack([ndimage.map_coordinates(slope, corners.T, order=1) for slope in np.gradient(smooth)], axis=1)
    normals = outward / steps @ view.T
    light = normals @ LIGHT_DIRECTION / np.maximum(np.linalg.norm(normals, axis=1), 1e-9)
    values = np.column_stack([places, light]).astype(np.float32)[faces]
    first, second = values[:, 1, :2] - values[:, 0, :2], values[:, 2, :2] - values[:, 0, :2]
    orientation = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) * np.linalg.det(view)
    values = values[orientation > 0]  # triangles whose outer side faces the viewer
    fine = int(np.ceil(1.2 * np.linalg.norm(view[0]) * steps.max())) + 1
    # Barycentric coordinates of points at equal distances in a triangle.
    a, b = (axis[np.add(*np.mgrid[:fine, :fine]) < fine] / max(1, fine - 1) for axis in np.mgrid[:fine, :fine])
    barycentric = np.stack([a, b, 1 - a - b], axis=1).astype(np.float32)
    return (barycentric @ values).reshape(-1, 4)


def _average(picture: np.ndarray) -> np.ndarray:
    """Average `OVERSAMPLING` x `OVERSAMPLING` pixels: opacity over all of them, colours over those with a surface."""
    sums = picture.reshape(PICTURE_SIDE, OVERSAMPLING, PICTURE_SIDE, OVERSAMPLING, 4).sum(axis=(1, 3))
    opaque = np.maximum(sums[..., 3:] / 255, 1)
    return np.concatenate([sums[..., :3] / opaque, sums[..., 3:] / OVERSAMPLING**2], axis=-1).astype(np.uint8)
