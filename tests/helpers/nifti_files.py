"""Volumes in NIfTI files of all kinds, and a model that knows right from left."""

from itertools import permutations, product

import nibabel
import numpy as np
import torch

from snakeseg.models.checkpoint import save_model
from snakeseg.models.description import Description
from snakeseg.settings import ContextSettings, Labels, Predict, Prepare

# All ways to lay a volume's axes into a file, as permutation and signs of nibabel's orientations.
ORIENTATIONS = [
    np.stack([order, signs], axis=1) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)
]


ONCE = Predict(average=False)


def in_orientation(array, affine, orientation) -> tuple[np.ndarray, np.ndarray]:
    """The same volume in the same place, stored another way; written without what is tested."""
    order, signs = np.asarray(orientation, int).T
    stored, place = np.zeros([array.shape[axis] for axis in order], array.dtype), np.eye(4)
    for index in np.ndindex(stored.shape):
        old = [0, 0, 0]
        for new, (axis, sign) in enumerate(zip(order, signs, strict=True)):
            old[axis] = index[new] if sign > 0 else array.shape[axis] - 1 - index[new]
        stored[index] = array[tuple(old)]
    for new, (axis, sign) in enumerate(zip(order, signs, strict=True)):
        place[:3, new] = affine[:3, axis] * sign
        if sign < 0:
            place[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
    place[:3, 3] += affine[:3, 3]
    return stored, place


def save_nifti(path, array, affine, kind=nibabel.Nifti1Image, codes=(1, 1), dtype=None, endianness="<"):
    """A NIfTI file; with `dtype`, numbers are scaled into it."""
    image = kind(np.asarray(array), affine, kind.header_class(endianness=endianness))
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, codes[0])
    image.set_qform(affine, codes[1])
    image.set_data_dtype(dtype or np.asarray(array).dtype)
    nibabel.save(image, path)
    return path


def save_right_of_bright(folder, predict=ONCE, spacing=None, channels=1):
    """A model whose label is 1 just to the right of what is brighter than a half."""
    labels, network = Labels("semantic", {"background": 0, "marked": 1}), ContextSettings(width=1, dilations=[1])
    description = Description(3, channels, labels, network, Prepare("none"), predict, None, spacing)
    made = description.make_network()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.zero_()
        made.layers[0].weight[0, 0, 0, 1, 1] = 1  # what lies at x - 1
        made.head.weight[1] = 1
        made.head.bias[0] = 0.5
    save_model(folder, made, description, {})
    return folder
