"""Write NIfTI files of any orientation and type, and a model whose labels depend on left and right."""

from itertools import permutations, product

import nibabel
import numpy as np
import torch

from snakeseg.models.checkpoint import save_model
from snakeseg.models.description import Description
from snakeseg.settings import ContextSettings, Labels, Predict, Prepare

# All 48 orientations of a volume in a file, as pairs of axis and sign (nibabel's convention).
ORIENTATIONS = [
    np.stack([order, signs], axis=1) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)
]
# Prediction without test-time augmentation.
ONCE = Predict(average=False)


def in_orientation(array, affine, orientation) -> tuple[np.ndarray, np.ndarray]:
    """Return array and affine of a volume stored in another orientation, computed independently of the source."""
    order, signs = np.asarray(orientation, int).T
    stored, stored_affine = np.zeros([array.shape[axis] for axis in order], array.dtype), np.eye(4)
    for index in np.ndindex(stored.shape):
        source = [0, 0, 0]
        for new, (axis, sign) in enumerate(zip(order, signs, strict=True)):
            source[axis] = index[new] if sign > 0 else array.shape[axis] - 1 - index[new]
        stored[index] = array[tuple(source)]
    for new, (axis, sign) in enumerate(zip(order, signs, strict=True)):
        stored_affine[:3, new] = affine[:3, axis] * sign
        if sign < 0:
            stored_affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
    stored_affine[:3, 3] += affine[:3, 3]
    return stored, stored_affine


def save_nifti(path, array, affine, kind=nibabel.Nifti1Image, codes=(1, 1), dtype=None, endianness="<"):
    """Write a NIfTI file; with `dtype`, values are scaled to it."""
    image = kind(np.asarray(array), affine, kind.header_class(endianness=endianness))
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, codes[0])
    image.set_qform(affine, codes[1])
    image.set_data_dtype(dtype or np.asarray(array).dtype)
    nibabel.save(image, path)
    return path


def save_right_of_bright(folder, predict=ONCE, spacing=None, channels=1):
    """Write a model that labels each voxel 1 whose left neighbour is brighter than 0.5."""
    labels, settings = Labels("semantic", {"background": 0, "marked": 1}), ContextSettings(width=1, dilations=[1])
    description = Description(3, channels, labels, settings, Prepare("none"), predict, None, spacing)
    network = description.make_network()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.layers[0].weight[0, 0, 0, 1, 1] = 1  # the voxel at x - 1
        network.head.weight[1] = 1
        network.head.bias[0] = 0.5
    save_model(folder, network, description, {})
    return folder
