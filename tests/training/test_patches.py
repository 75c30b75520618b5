"""Patches are a pure function of data, settings, seed and index, and keep image, target and weight aligned."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from snakeseg.networks.geometry import uniform
from snakeseg.settings import Augment, Train
from snakeseg.training.patches import Item, PatchPlan, make_generator, sample_batch, sample_patch
from snakeseg.training.targets import TargetSettings

HALO = 6
STILL = Train(patch=16, flips=False, turns=False, contrast=0, brightness=0)


def plan_of(train=STILL, elastic=None, geometry=None, dims=2):
    geometry = geometry or uniform(dims, HALO, multiple=2)
    return PatchPlan(train, elastic or Augment(std=2.0), geometry, (1.0,) * dims, target=TargetSettings("binary"))


def coded_item(shape, seed=0):
    """Return an item whose image and weight are functions of its target."""
    target = np.random.default_rng(seed).integers(0, 1000, shape)
    return Item(target[None].astype(np.float32), target, target.astype(np.float32) + 0.5)


def inner(patch, halo=HALO):
    return patch.image[(slice(None), *(slice(halo, -halo),) * patch.target.ndim)]


def are_equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def smooth_item(shape=(60, 70)):
    waves = [np.sin(np.arange(n) * 2 * np.pi / 24) for n in shape]
    image = np.prod(np.meshgrid(*waves, indexing="ij"), axis=0).astype(np.float32)
    return Item(image[None], (image > 0).astype(np.uint8), 2 + image, ndimage.label(image > 0)[0])


@pytest.mark.parametrize("elastic", ["copies", "online"])
def test_a_patch_is_a_pure_function_of_its_arguments(elastic):
    """Drawn again, in another order or after other draws, a patch has the same bits."""
    items = [smooth_item((40, 50)), smooth_item((60, 30))]
    plan = plan_of(Train(patch=16, elastic=elastic))
    first = {index: sample_patch(items, plan, index) for index in range(6)}
    np.random.default_rng(0).normal(size=100)
    copies = [Item(*(array.copy(order="F") for array in item.arrays())) for item in items]
    for index in (5, 2, 0, 4, 1, 3):
        assert are_equal(sample_patch(copies, plan, index), first[index])


def test_drawing_does_not_change_the_data():
    item = smooth_item()
    before = Item(*(array.copy() for array in item.arrays()))
    for index in range(10):
        sample_patch([item], plan_of(Train(patch=16, elastic="online")), index)
    assert are_equal(item, before)


def test_every_index_and_seed_has_its_own_patch():
    item = coded_item((200, 200))
    patches = [
        sample_patch([item], plan_of(replace(STILL, seed=seed)), index) for seed in range(3) for index in range(20)
    ]
    # The number of offsets is small, so that some are drawn twice by chance.
    assert len({patch.target.tobytes() for patch in patches}) >= len(patches) - 5


def test_random_streams_are_independent_and_need_no_state():
    a, b = make_generator(3, 7).random(1000), make_generator(3, 8).random(1000)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.15
    assert not np.intersect1d(a, b).size
    np.testing.assert_array_equal(make_generator(3, 7).random(1000), a)


def test_a_batch_consists_of_consecutive_patches():
    items = [smooth_item(), smooth_item((80, 64))]
    plan = plan_of(Train(patch=16, batch=3))
    batch = sample_batch(items, plan, 5)
    for i, patch in enumerate(zip(*batch, strict=True)):
        assert are_equal(patch, sample_patch(items, plan, 15 + i))


@pytest.mark.parametrize(("shape", "orientations"), [((16, 16), 8), ((8, 8, 8), 16)])
def test_orientations_keep_image_target_and_weight_aligned(shape, orientations):
    """All flips and exchanges of the last two axes occur, and nothing else, for an item as large as the patch."""
    item = coded_item(shape)
    train = replace(STILL, patch=shape[0], flips=True, turns=True)
    dims = len(shape)
    plan = plan_of(train, dims=dims)
    expected = {
        (np.swapaxes(turned, -1, -2) if turn else turned).tobytes()
        for code in range(2**dims)
        for turn in (False, True)
        for turned in [np.flip(item.target, tuple(axis for axis in range(dims) if code >> axis & 1))]
    }
    drawn = set()
    for index in range(150):
        patch = sample_patch([item], plan, index)
        np.testing.assert_array_equal(inner(patch)[0], patch.target)
        np.testing.assert_array_equal(patch.weight, patch.target + 0.5)
        drawn.add(patch.target.tobytes())
    assert drawn == expected
    assert len(drawn) == orientations


@pytest.mark.parametrize(("flips", "turns", "count"), [(False, False, 1), (True, False, 4), (False, True, 2)])
def test_orientations_can_be_switched_off(flips, turns, count):
    item = coded_item((16, 16))
    plan = plan_of(replace(STILL, flips=flips, turns=turns))
    assert len({sample_patch([item], plan, index).target.tobytes() for index in range(60)}) == count


@pytest.mark.parametrize("shape", [(16, 16), (8, 8, 8)])
def test_the_context_is_mirrored(shape):
    """The image extends one halo beyond the target, mirrored at the border."""
    item = coded_item(shape)
    patch = sample_patch([item], plan_of(replace(STILL, patch=shape[0]), dims=len(shape)), 0)
    np.testing.assert_array_equal(patch.image[0], np.pad(item.image[0], HALO, mode="reflect"))


def test_small_images_are_mirrored_around_their_centre():
    item = coded_item((6, 10))
    patch = sample_patch([item], plan_of(), 0)
    np.testing.assert_array_equal(patch.target, np.pad(item.target, ((5, 5), (3, 3)), mode="reflect"))
    np.testing.assert_array_equal(inner(patch)[0], patch.target)


def test_every_position_is_drawn_evenly():
    """A patch of 16 pixels overhangs an image of 18 pixels by 2 at most; outside of it, pixels are mirrored."""
    item = Item(*(np.arange(18.0).reshape(1, 18).repeat(16, axis=0)[None][0 if i else ...] for i in range(3)))
    rows = [sample_patch([item], plan_of(), index).target[0] for index in range(1400)]
    starts = [int(row[0]) * (1 if row[0] < row[1] else -1) for row in rows]
    counts = np.bincount(np.add(starts, 2))
    assert len(counts) == 7
    assert (np.abs(counts - 200) < 60).all()


def test_draws_in_proportion_to_the_number_of_pixels():
    items = [Item(np.full((1, *s), i), np.full(s, i), np.ones(s)) for i, s in enumerate([(20, 20), (60, 20)])]
    for draw, share in (("images", 0.5), ("pixels", 0.75)):
        plan = plan_of(replace(STILL, draw=draw))
        shares = np.mean([sample_patch(items, plan, index).target[0, 0] for index in range(600)])
        assert shares == pytest.approx(share, abs=0.07)


def test_every_item_is_drawn_evenly():
    items = [Item(*(np.full((1, 16, 16), value)[0 if i else ...] for i in range(3))) for value in range(4)]
    counts = np.bincount([sample_patch(items, plan_of(), index).target[0, 0] for index in range(800)])
    assert (np.abs(counts - 200) < 60).all()


def test_the_patch_is_rounded_up_to_a_valid_size():
    """A side of 388, as in the paper, stays; 389 becomes 404."""
    unet = uniform(2, halo=92, multiple=16, remainder=12)
    assert plan_of(Train(patch=388), geometry=unet).output == (388, 388)
    assert plan_of(Train(patch=389), geometry=unet).output == (404, 404)
    patch = sample_patch([smooth_item((30, 30))], plan_of(Train(patch=15)), 0)
    assert patch.image.shape == (1, 28, 28)
    assert patch.target.shape == patch.weight.shape == (16, 16)


def test_online_deformation_keeps_image_and_target_aligned():
    """Smooth image and thresholded target still agree, except for half a pixel at edges."""
    item = smooth_item((90, 90))
    plan = plan_of(replace(STILL, patch=40, elastic="online", flips=True, turns=True), Augment(std=4.0))
    plain = plan_of(replace(plan.train, elastic="copies"))
    moved = 0
    for index in range(10):
        patch = sample_patch([item], plan, index)
        image = inner(patch)[0]
        wrong = (image > 0) != patch.target
        assert np.abs(image[wrong]).max(initial=0) < 0.25
        assert wrong.mean() < 0.12
        moved += not np.array_equal(patch.target, sample_patch([item], plain, index).target)
    assert moved == 10


def test_online_deformation_gives_ignored_pixels_no_weight():
    """The ignored square is brighter than all other pixels, so that the deformed image shows it."""
    ignored = np.zeros((60, 60), bool)
    ignored[20:35, 25:40] = True
    objects = np.where(ignored, 0, 1).astype(np.int32)
    item = Item(ignored[None].astype(np.float32), objects.astype(np.uint8), (~ignored).astype(np.float32), objects)
    plan = plan_of(replace(STILL, patch=50, elastic="online"), Augment(std=3.0))
    for index in range(5):
        patch = sample_patch([item], plan, index)
        assert (patch.weight == 0).any()
        assert not patch.weight[inner(patch)[0] > 0.6].any()
        assert patch.weight[inner(patch)[0] < 0.4].all()


def test_intensities_vary_by_one_draw_per_patch():
    """Intensities become image * (1 + c) + b with |c| <= contrast and |b| <= brightness; weights stay."""
    image = np.array([[1.0, 3.0]], np.float32).repeat(8, 1).repeat(32, 0)
    item = Item(image[None], np.zeros((32, 16), np.int64), np.ones((32, 16), np.float32))
    plan = plan_of(replace(STILL, patch=16, contrast=0.2, brightness=0.5))
    pairs = []
    for index in range(200):
        patch = sample_patch([item], plan, index)
        values = np.unique(patch.image)
        assert len(values) == 2
        factor = (values[1] - values[0]) / 2
        pairs.append((factor - 1, values[0] - factor))
        assert (patch.weight == 1).all()
    contrast, brightness = np.array(pairs).T
    assert 0.17 < np.abs(contrast).max() <= 0.2001
    assert 0.42 < np.abs(brightness).max() <= 0.5001
    assert abs(np.corrcoef(contrast, brightness)[0, 1]) < 0.25


def test_patches_have_the_types_and_layout_of_pytorch():
    """PyTorch takes the arrays without a further copy."""
    patch = sample_patch([smooth_item()], plan_of(Train(patch=16)), 3)
    assert [array.dtype for array in patch] == [np.float32, np.int64, np.float32]
    assert all(array.flags.c_contiguous for array in patch)
