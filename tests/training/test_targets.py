"""Target and weights of copies and of patches that are deformed online: touching objects stay separated in both."""

import numpy as np
import pytest
from scipy import ndimage

from snakeseg.arrays import read_mirrored
from snakeseg.io.store import read_store, write_store
from snakeseg.networks.geometry import uniform
from snakeseg.settings import Augment, Labels, Train, Weigh
from snakeseg.training.patches import Item, PatchPlan, make_generator, sample_patch
from snakeseg.training.prepare import elastic_copies
from snakeseg.training.targets import TargetSettings, border_term, make_target, make_weights
from snakeseg.transforms.elastic import apply_field, displacement_field, in_pixels, sample_grid
from snakeseg.transforms.labels import IGNORED, classes_and_objects
from snakeseg.transforms.simulate import simulate_cells

HALO = 4


def touching_cells(shape, seed=0):
    """Return the label of touching cells: each pixel belongs to the nearest of random centres."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, shape, (10, len(shape)))
    distances = [sum((axis - c) ** 2 for axis, c in zip(np.indices(shape), centre, strict=True)) for centre in centres]
    return np.where(np.min(distances, axis=0) < 20**2, np.argmin(distances, axis=0) + 1, 0)


def count_joined(target, objects):
    """Return the number of objects that share a connected component of the target's interior with another one."""
    components, _ = ndimage.label(target == 1)
    inside = (components > 0) & (objects > 0)
    pairs = np.unique(np.stack([components[inside], objects[inside]]), axis=1)
    sharing = np.bincount(pairs[0])
    return int(sharing[sharing > 1].sum())


@pytest.mark.parametrize("border", [0, 2])
@pytest.mark.parametrize("shape", [(256, 256), (24, 64, 64)])
def test_no_objects_are_joined_in_elastic_copies(tmp_path, shape, border):
    """On six simulated images, 16 % of the objects in copies were joined where the separated labels were deformed."""

    def samples():
        for seed in range(3):
            label = (
                simulate_cells(np.random.default_rng([0, seed]), shape, 40)[1]
                if len(shape) == 2
                else touching_cells(shape, seed)
            )
            classes, objects = classes_and_objects(label, Labels())
            image = np.zeros((1, *shape), np.float32)
            arrays = {"image": image, "classes": classes, "objects": objects}
            yield f"s{seed}", {"spacing": [1.0] * len(shape)}, arrays

    write_store(tmp_path / "p.zarr.zip", samples())
    settings = TargetSettings("instance", border)
    for _, _, arrays in elastic_copies(tmp_path / "p.zarr.zip", Augment(copies=2)):
        target = make_target(arrays["classes"], arrays["objects"], settings)
        assert count_joined(target, arrays["objects"]) == 0
    for _, _, group in read_store(tmp_path / "p.zarr.zip"):
        assert count_joined(make_target(group["classes"][:], group["objects"][:], settings), group["objects"][:]) == 0


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (2.0, 0.5), (1.0, 1.0, 1.0)])
@pytest.mark.parametrize("border", [0, 2])
def test_online_patches_are_cut_from_deformed_images(spacing, border):
    """Patches equal those of a copy that is deformed as a whole; so both have one distribution, whatever the patch."""
    shape = (90, 70) if len(spacing) == 2 else (20, 40, 44)
    label = touching_cells(shape)
    label[: shape[0] // 4, : shape[1] // 4] = 255
    classes, objects = classes_and_objects(label, Labels(ignore=255))
    settings = TargetSettings("instance", border, Weigh(sigma=3.0), (0.5, 2.0))
    target, term = make_target(classes, objects, settings), border_term(classes, objects, settings, spacing)
    image = np.random.default_rng(1).normal(size=(1, *shape)).astype(np.float32)
    item = Item(image, target, make_weights(classes, objects, term, settings), objects)
    train = Train(patch=16, elastic="online", flips=False, turns=False, contrast=0, brightness=0)
    plan = PatchPlan(train, Augment(), uniform(len(shape), HALO, 2), spacing, target=settings)
    for index in range(6):
        patch = sample_patch([item], plan, index)
        rng = make_generator(train.seed, index)
        rng.integers(1)
        start = [int(rng.integers(-min(8, n - 16), n - 16 + min(8, n - 16) + 1)) for n in shape]
        field = displacement_field(sample_grid(rng, shape, 3, in_pixels(10.0, spacing)), shape)
        copy = {"image": image, "classes": classes, "objects": objects}
        copy = {k: apply_field(v, field, {2: 3, 3: 1}[len(shape)] if k == "image" else 0) for k, v in copy.items()}
        term = border_term(copy["classes"], copy["objects"], settings, spacing)
        weights = make_weights(copy["classes"], copy["objects"], term, settings)
        whole = make_target(copy["classes"], copy["objects"], settings)
        sides, halo = [16] * len(shape), [s - HALO for s in start]
        # Coordinates of a part of a field are rounded in another order, which may move a label at the middle of pixels.
        expected = read_mirrored(copy["image"], halo, [16 + 2 * HALO] * len(shape))
        np.testing.assert_allclose(patch.image, expected, atol=1e-4)
        same = patch.target == read_mirrored(whole, start, sides)
        assert same.mean() > 0.99
        close = np.isclose(patch.weight, read_mirrored(weights, start, sides), rtol=1e-5, atol=1e-6)
        assert close.mean() > 0.97


def test_the_weights_of_a_pixel_follow_from_its_separated_class():
    """Equation 2 of Ronneberger et al. 2015 by hand: a row of two touching objects and an ignored pixel."""
    classes, objects = classes_and_objects(np.array([[1, 1, 1, 2, 2, 2, 0, 9]]), Labels(ignore=9))
    settings = TargetSettings("instance", 0, Weigh(w0=10, sigma=5), (0.25, 4.0))
    term = border_term(classes, objects, settings, (1.0, 1.0))
    gap = 10 * np.exp(-(3**2) / 50)
    background = 10 * np.exp(-((1 + 5 - 0) ** 2) / 50)
    expected = [4, 4, gap + 0.25, gap + 0.25, 4, 4, background + 0.25, 0]
    np.testing.assert_allclose(make_weights(classes, objects, term, settings)[0], expected, rtol=1e-5)
    assert make_target(classes, objects, settings).tolist() == [[1, 1, 0, 0, 1, 1, 0, 0]]


def test_a_border_class_takes_the_place_of_the_gap():
    """With a border class, touching objects keep their pixels, and the weights stay those of the gap."""
    classes, objects = classes_and_objects(np.array([[1] * 4 + [2] * 4]).repeat(9, 0), Labels())
    plain, bordered = TargetSettings("instance"), TargetSettings("instance", border=1)
    target = make_target(classes, objects, bordered)
    assert target[4].tolist() == [1, 1, 1, 2, 2, 1, 1, 1]
    terms = [border_term(classes, objects, settings, (1.0, 1.0)) for settings in (plain, bordered)]
    np.testing.assert_array_equal(*terms)
    assert terms[0][4].argmax() in (3, 4)


@pytest.mark.parametrize("axis", [0, 1])
def test_target_and_weights_mirror_with_the_label_and_do_not_depend_on_ids(axis):
    label = touching_cells((80, 90))
    ids = np.append(0, 1 + np.random.default_rng(0).permutation(10))
    settings = TargetSettings("instance")

    def target_and_weights(label):
        classes, objects = classes_and_objects(label, Labels())
        term = border_term(classes, objects, settings, (1.0, 1.0))
        return make_target(classes, objects, settings), make_weights(classes, objects, term, settings)

    for plain, mirrored, permuted in zip(
        target_and_weights(label), target_and_weights(np.flip(label, axis)), target_and_weights(ids[label]), strict=True
    ):
        np.testing.assert_allclose(np.flip(mirrored, axis), plain, rtol=1e-6)
        np.testing.assert_allclose(permuted, plain, rtol=1e-6)


def test_area_does_not_depend_on_the_id():
    """Only the object with the larger id gave up pixels: 0.77 of the area of high ids was left, 0.96 of low ones."""
    label = touching_cells((200, 200), seed=3)
    classes, objects = classes_and_objects(label, Labels())
    forward = np.bincount(make_target(classes, objects, TargetSettings()).ravel() * objects.ravel(), minlength=11)
    classes, objects = classes_and_objects(np.where(label > 0, 11 - label, 0), Labels())
    backward = np.bincount(make_target(classes, objects, TargetSettings()).ravel() * objects.ravel(), minlength=11)
    np.testing.assert_array_equal(forward[1:], backward[:0:-1])
    assert IGNORED not in classes
