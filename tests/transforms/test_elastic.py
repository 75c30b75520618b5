"""Elastic deformation: exact shifts, alignment of image and label, exact ids."""

import numpy as np
import pytest

from snakeseg.arrays import read_mirrored
from snakeseg.transforms.elastic import apply_field, displacement_field, sample_grid


def constant_field(shift, shape):
    grid = np.broadcast_to(np.reshape(shift, (-1, *(1,) * len(shape))), (len(shape), *(3,) * len(shape)))
    return displacement_field(grid.astype(np.float32), shape)


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-11, 7)])
def test_a_constant_grid_shifts_an_image(order, shift):
    """Output pixel x is input pixel x + shift, mirrored at the border, and exactly equal for labels."""
    image = np.random.default_rng(0).normal(size=(31, 24)).astype(np.float32)
    moved = apply_field(image, constant_field(shift, image.shape), order)
    np.testing.assert_allclose(moved, read_mirrored(image, shift, image.shape), rtol=0, atol=1e-4 if order else 0)


@pytest.mark.parametrize("order", [0, 1])
def test_a_constant_grid_shifts_a_volume(order):
    image = np.random.default_rng(0).normal(size=(9, 12, 10)).astype(np.float32)
    shift = (2, -3, 1)
    moved = apply_field(image, constant_field(shift, image.shape), order)
    np.testing.assert_allclose(moved, read_mirrored(image, shift, image.shape), rtol=0, atol=1e-4 if order else 0)


def test_a_shift_by_half_a_pixel_is_a_mean_of_neighbours():
    image = np.random.default_rng(0).normal(size=(1, 20)).astype(np.float32)
    moved = apply_field(image, constant_field((0, 0.5), image.shape), 1)
    np.testing.assert_allclose(moved[0, :-1], (image[0, 1:] + image[0, :-1]) / 2, atol=1e-4)


def test_the_field_passes_through_the_control_points():
    """Control points span the image from corner to corner, with displacements in pixels."""
    grid = sample_grid(np.random.default_rng(0), (41, 21))
    field = displacement_field(grid, (41, 21))
    points = np.stack(np.meshgrid([0, 20, 40], [0, 10, 20], indexing="ij"))
    np.testing.assert_allclose(field[:, ::20, ::10], points + grid, atol=1e-4)


@pytest.mark.parametrize("points", [2, 3, 5])
def test_straight_displacements_stay_straight(points):
    """A grid that is linear in the position gives an affine map."""
    ramp = np.linspace(-4, 4, points)
    grid = np.stack(np.meshgrid(ramp, 2 * ramp, indexing="ij"))
    field = displacement_field(grid, (33, 17))
    np.testing.assert_allclose(field[0], np.broadcast_to(np.linspace(-4, 36, 33)[:, None], (33, 17)), atol=1e-4)
    np.testing.assert_allclose(field[1], np.broadcast_to(np.linspace(-8, 24, 17), (33, 17)), atol=1e-4)


def test_the_field_is_a_natural_cubic_spline():
    """Natural splines have no curvature at the ends: through 0, 1, 0 at -1, 0, 1, it is 1 - 1.5 t^2 + 0.5 |t|^3."""
    grid = np.zeros((2, 3, 3))
    grid[0, 1, :] = 1
    t = np.abs(np.linspace(-1, 1, 41))
    moved = displacement_field(grid, (41, 9))[0, :, 4] - np.arange(41)
    np.testing.assert_allclose(moved, 1 - 1.5 * t**2 + 0.5 * t**3, atol=1e-5)


@pytest.mark.parametrize("shape", [(200, 160), (40, 48, 44)])
def test_image_and_label_stay_aligned(shape):
    """A smooth checkerboard, deformed and thresholded, equals the deformed label to half a pixel at its edges."""
    slope = 2 * np.pi / 24
    waves = [np.sin(np.arange(n) * slope + 0.3) for n in shape]
    image = np.prod(np.meshgrid(*waves, indexing="ij"), axis=0).astype(np.float32)
    label = (image > 0).astype(np.uint8)
    rng = np.random.default_rng(1)
    field, other = (displacement_field(sample_grid(rng, shape, std=5.0), shape) for _ in range(2))
    moved = apply_field(image, field, 3 if len(shape) == 2 else 1)
    wrong = (moved > 0) != apply_field(label, field, 0)
    assert np.abs(moved[wrong]).max(initial=0) < 0.55 * slope * np.sqrt(len(shape))
    assert wrong.mean() < 0.1
    assert ((moved > 0) != apply_field(label, other, 0)).mean() > 0.15


@pytest.mark.parametrize("shape", [(30, 26), (10, 12, 14)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "uint32", "int64"])
def test_labels_get_no_new_values(shape, dtype):
    """Ids stay exact, even if float32 cannot represent them or their bits are those of NaN."""
    largest = min(np.iinfo(dtype).max, 2**31 - 1)
    ids = np.array([0, 1, 2**24 + 1, 2**24 + 3, 0x7FA00001, largest])
    ids = ids[ids <= largest].astype(dtype)
    label = np.random.default_rng(0).choice(ids, shape)
    field = displacement_field(sample_grid(np.random.default_rng(1), shape, std=3.0), shape)
    moved = apply_field(label, field, 0)
    assert moved.dtype == label.dtype
    assert set(np.unique(moved)) <= set(ids)
    np.testing.assert_array_equal(apply_field(label, constant_field((0,) * len(shape), shape), 0), label)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_nearest_interpolation_keeps_fractions(dtype):
    image = np.linspace(0, 0.9, 25).reshape(5, 5).astype(dtype)
    np.testing.assert_array_equal(apply_field(image, constant_field((0, 0), (5, 5)), 0), image)


@pytest.mark.parametrize("order", [1, 3])
def test_integer_images_do_not_wrap_around(order):
    """Integers are clipped where cubic interpolation overshoots at edges."""
    image = np.zeros((20, 20), np.uint8)
    image[5:15, 5:15] = 255
    field = constant_field((0.5, 0.25), image.shape)
    exact = np.clip(apply_field(image.astype(np.float32), field, order), 0, 255)
    assert np.abs(apply_field(image, field, order) - exact).max() <= 1


def test_channels_are_deformed_equally():
    image = np.random.default_rng(0).normal(size=(3, 20, 22)).astype(np.float32)
    field = displacement_field(sample_grid(np.random.default_rng(1), (20, 22), std=2.0), (20, 22))
    moved = apply_field(image, field, 3)
    for channel, expected in zip(moved, image, strict=True):
        np.testing.assert_array_equal(channel, apply_field(expected, field, 3))


def test_grids_have_the_given_distribution():
    grids = np.stack([sample_grid(np.random.default_rng(seed), (512, 512), std=10.0) for seed in range(400)])
    assert grids.shape == (400, 2, 3, 3)
    assert grids.mean() == pytest.approx(0, abs=0.5)
    assert grids.std() == pytest.approx(10, rel=0.03)
    np.testing.assert_array_equal(grids[7], sample_grid(np.random.default_rng(7), (512, 512)))


@pytest.mark.parametrize(("shape", "points"), [((64, 64), 3), ((37, 51, 37), 3), ((96, 40), 5)])
def test_no_field_folds(shape, points):
    """The Jacobian stays positive, however large the standard deviation (10 pixels folded 20 % of 37 x 51 x 37)."""
    for seed in range(10):
        field = displacement_field(sample_grid(np.random.default_rng(seed), shape, points, std=1000.0), shape)
        slopes = np.stack([np.stack(np.gradient(axis.astype(float))) for axis in field])
        assert np.linalg.det(np.moveaxis(slopes, (0, 1), (-2, -1))).min() > 0


def test_the_limit_leaves_the_deformation_of_the_paper_as_it_is():
    """10 pixels at 3 x 3 points of an image of 512 pixels a side; at 101 pixels, the limit is 5."""
    assert sample_grid(np.random.default_rng(0), (512, 512)).tobytes() == (
        np.random.default_rng(0).normal(0.0, 10.0, (2, 3, 3)).astype(np.float32).tobytes()
    )
    small, half = (sample_grid(np.random.default_rng(0), (101, 101), std=std) for std in (10.0, 5.0))
    np.testing.assert_array_equal(small, half)


def test_a_field_of_some_pixels_is_that_part_of_the_whole():
    shape, rows, columns = (40, 50), np.array([3, 2, 1, 0, 1, 2]), np.arange(45, 50)
    grid = sample_grid(np.random.default_rng(0), shape)
    np.testing.assert_array_equal(
        displacement_field(grid, shape, [rows, columns]), displacement_field(grid, shape)[:, rows][:, :, columns]
    )


def test_a_part_of_a_field_gives_the_same_part_of_the_image():
    rng = np.random.default_rng(0)
    image, field = rng.random((40, 50)).astype(np.float32), displacement_field(sample_grid(rng, (40, 50)), (40, 50))
    part = (slice(7, 31), slice(12, 44))
    for order in (0, 1, 3):
        whole = apply_field(image, field, order)
        np.testing.assert_array_equal(apply_field(image, field[:, *part], order), whole[part])


def test_a_field_of_other_dimensions_is_an_error():
    with pytest.raises(ValueError, match="must be equal"):
        apply_field(np.zeros((4, 5)), constant_field((0, 0, 0), (5, 4, 3)), 1)
