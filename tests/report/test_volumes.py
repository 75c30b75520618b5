"""Display of volumes: orientation, size, surfaces."""

import base64
import io
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from snakeseg.io.raster import Raster
from snakeseg.report.images import volumes
from snakeseg.report.images import voxels as stacks
from snakeseg.report.images.gallery import class_colours, gallery
from snakeseg.report.images.meshes import OVERSAMPLING, PICTURE_SIDE, draw_surfaces
from snakeseg.report.images.pictures import CLASS_COLOURS
from snakeseg.report.images.views import View, Views, initial_voxel, middle_slice
from snakeseg.report.images.volumes import (
    ENDS,
    average_image,
    downsample,
    frame_of,
    in_display_order,
    is_anatomical,
    most_central_voxel,
    sample_labels,
)
from snakeseg.report.images.voxels import encode_volume, encoded_bytes, tile_slices
from snakeseg.settings import Labels

GREY, RED = (200, 200, 200), (255, 0, 0)
NIFTI, TIFF = Path("a.nii.gz"), Path("a.tif")


def frame_for(shape, spacing=(1.0, 1.0, 1.0), path=TIFF) -> volumes.Frame:
    array = np.zeros((1, *shape), np.uint8)
    return frame_of(Raster(array, spacing, path), spacing)


def view_of(image: np.ndarray, truth: np.ndarray, spacing=(1.0, 1.0, 1.0)) -> View:
    """Return a view of a stack of slices, with a prediction equal to the truth."""
    frame = frame_for(truth.shape, spacing)
    return View(np.stack([image] * 3, axis=-1), truth, {"x": truth}, {}, {}, 0.0, 0.0, "", frame)


def test_axes_of_a_body_start_at_head_front_and_right():
    """A voxel at the right, in front and above comes first along all axes, as their letters state."""
    body = np.zeros((3, 4, 5), np.uint8)  # (right, anterior, superior)
    body[2, 3, 4], body[0, 3, 4] = 1, 2
    shown = in_display_order(body, anatomical=True)
    assert shown.shape == (5, 4, 3)
    assert (shown[:][0, 0, 0], shown[:][0, 0, 2]) == (1, 2)
    np.testing.assert_array_equal(shown[1:3, 2:4, 0:2], shown[:][1:3, 2:4, 0:2])
    frame = frame_for(body.shape, (1.0, 2.0, 3.0), NIFTI)
    assert (frame.total, frame.spacing, frame.anatomical) == ((5, 4, 3), (3.0, 2.0, 1.0), True)
    assert [first for first, _ in ENDS] == ["S", "A", "R"]


def test_a_stack_of_slices_keeps_its_axes():
    stack = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    np.testing.assert_array_equal(in_display_order(stack, anatomical=False)[:], stack)
    assert frame_for(stack.shape, (3.0, 2.0, 1.0)).spacing == (3.0, 2.0, 1.0)


def test_large_volumes_are_cropped_to_the_middle_and_downsampled(monkeypatch):
    monkeypatch.setattr(volumes, "READ_SIDE_VOXELS", 12)
    monkeypatch.setattr(volumes, "SHOWN_SIDE_VOXELS", 6)
    image = np.random.default_rng(0).normal(100, 20, (2, 20, 12, 4))
    frame = frame_for(image.shape[1:], (1.0, 1.0, 5.0))
    assert (frame.part, frame.grid) == ((slice(4, 16), slice(0, 12), slice(0, 4)), (6, 6, 4))
    assert frame.steps == (2.0, 2.0, 5.0)
    averaged, mean, deviation = average_image(image, frame)
    middle = image[:, 4:16]
    np.testing.assert_allclose(averaged, middle.reshape(2, 6, 2, 6, 2, 4).mean(axis=(2, 4)), rtol=1e-5)
    assert (mean, deviation) == pytest.approx((middle[0].mean(), middle[0].std()), rel=1e-5)
    ids = np.arange(20 * 12 * 4).reshape(1, 20, 12, 4)
    np.testing.assert_array_equal(sample_labels(ids, frame), ids[0, 5:16:2, 1::2])


def test_images_are_downsampled_by_means_and_labels_by_nearest_voxels():
    image = np.random.default_rng(0).integers(0, 255, (7, 12, 3, 3), np.uint8)
    small = downsample(image, 4, average=True)
    assert small.shape == (4, 4, 3, 3)
    assert abs(float(small.mean()) - float(image[..., :3].mean())) < 8
    np.testing.assert_array_equal(downsample(image, 12, average=True), image)
    labels = np.kron(np.array([[[0, 70_000], [3, 0]]] * 2), np.ones((8, 8, 8), int))
    np.testing.assert_array_equal(downsample(labels, 2), labels[4::8, 4::8, 4::8])


def test_the_initial_voxel_lies_in_an_object():
    """This holds for a ring, whose centre of mass is empty."""
    y, x = np.mgrid[:40, :40] - 20
    ring = np.abs(np.hypot(y, x) - 15) < 2
    mask = np.stack([np.zeros_like(ring), ring, ring, ring])
    voxel = most_central_voxel(mask)
    assert mask[voxel]
    assert voxel[0] == 2


def test_slices_are_tiled_in_one_sheet():
    stack = np.arange(7 * 4 * 5 * 3).reshape(7, 4, 5, 3)
    sheet, columns = tile_slices(stack)
    for z in range(7):
        row, column = divmod(z, columns)
        np.testing.assert_array_equal(sheet[row * 4 : row * 4 + 4, column * 5 : column * 5 + 5], stack[z])


def test_an_encoded_volume_fits_its_share_and_is_reproducible(monkeypatch):
    """Codes of one byte keep all objects, and the outlines between neighbours."""
    monkeypatch.setattr(stacks, "VOLUME_SIZES", ((40, 70), (20, 50), (10, 50)))
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 40), np.uint8)
    truth = np.arange(40**3).reshape(40, 40, 40)
    view = view_of(noise, truth)
    whole, small = encode_volume(view, 10**6), encode_volume(view, 30_000)
    assert whole["volume"]["grid"] == [40, 40, 40]
    assert small["volume"]["grid"] == [20, 20, 20]
    assert encoded_bytes(small) <= 30_000 < encoded_bytes(whole)
    assert whole == encode_volume(view, 10**6)
    codes = np.frombuffer(zlib.decompress(base64.b64decode(whole["truth"])), np.uint8).reshape(truth.shape)
    np.testing.assert_array_equal(codes > 0, truth > 0)
    assert (np.diff(codes.astype(int), axis=2) != 0).all()


def test_an_encoded_stack_has_its_geometry():
    truth = np.zeros((10, 20, 30), int)
    truth[2:5, 4:7, 24:27] = 1
    encoded = encode_volume(view_of(truth.astype(np.uint8) * 200, truth, (4.0, 1.0, 0.5)), 10**6)["volume"]
    assert encoded["extent"] == [40.0, 20.0, 15.0]
    assert encoded["at"] == [3, 5, 25]
    assert encoded["ends"] is None
    assert encoded["part"] == [[0, 10], [0, 20], [0, 30]]


def test_a_slice_for_a_figure_has_square_pixels():
    truth = np.zeros((3, 10, 20), int)
    truth[1, 2:4, 4:8] = 5
    flat = middle_slice(view_of(truth.astype(np.uint8), truth, (1.0, 3.0, 1.0)))
    assert flat.picture.shape == (30, 20, 3)
    assert np.argwhere(flat.truth == 5).min(axis=0).tolist() == [6, 4]


# Drawn surfaces.


def centre(picture: np.ndarray) -> np.ndarray:
    """Return the centre (down, right) of the drawn pixels, relative to the middle of the picture."""
    return np.argwhere(picture[..., 3] > 0).mean(axis=0) - (len(picture) - 1) / 2


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 1.0, 1.0)])
def test_a_sphere_is_drawn_as_a_disc_at_any_spacing(spacing):
    radius, half = 12.0, 16
    positions = [np.arange(-half / s, half / s) * s + s / 2 for s in spacing]
    sphere = sum(np.square(axis) for axis in np.meshgrid(*positions, indexing="ij")) < radius**2
    drawn = draw_surfaces(sphere.astype(np.uint8), spacing, [GREY], anatomical=True)
    assert drawn.shape == (PICTURE_SIDE, PICTURE_SIDE, 4)
    drawn_pixels = np.argwhere(drawn[..., 3] > 127)
    high, wide = np.ptp(drawn_pixels, axis=0) + 1
    assert len(drawn_pixels) == pytest.approx(np.pi / 4 * high * wide, rel=0.06)
    assert high == pytest.approx(wide, rel=0.1)
    assert np.abs(centre(drawn)).max() < 3


def test_surfaces_are_drawn_upright_and_facing_the_viewer():
    """The right hand is drawn on the left, the head on top, and the light comes from the top."""
    body = np.zeros((30, 30, 30), np.uint8)  # (z, y, x) as shown: from head, nose and right hand
    for place, direction in (((3, 15, 15), (-1, 0)), ((26, 15, 15), (1, 0)), ((15, 15, 3), (0, -1))):
        only = body.copy()
        only[tuple(slice(middle - 2, middle + 3) for middle in place)] = 1
        assert centre(draw_surfaces(only, (1, 1, 1), [GREY], anatomical=True)) @ direction > PICTURE_SIDE / 8, place
    whole = draw_surfaces(np.pad(np.ones((20, 20, 20), np.uint8), 5), (1, 1, 1), [GREY], anatomical=True)[..., 0]
    top, bottom = whole[: PICTURE_SIDE // 3], whole[-PICTURE_SIDE // 3 :]
    assert top[top > 0].mean() > bottom[bottom > 0].mean()


def test_near_surfaces_hide_far_ones():
    """One wall stands in front of a body, another lies above a stack of slices."""
    for axis, anatomical in ((1, True), (0, False)):
        walls = np.zeros((30, 30, 30), np.uint8)
        for code, start in ((1, 4), (2, 25)):
            walls[tuple(slice(start, start + 2) if other == axis else slice(4, 26) for other in range(3))] = code
        drawn = draw_surfaces(walls, (1, 1, 1), [GREY, RED], anatomical)
        assert drawn[PICTURE_SIDE // 2, PICTURE_SIDE // 2, 1] > 0, axis  # the second is red alone
        assert (drawn[..., 1] > 0).sum() > (drawn[..., 3] > 0).sum() / 2


def test_surfaces_have_no_holes_and_are_reproducible():
    block = np.zeros((9, 9, 9), np.uint8)
    block[1:8, 1:8, 1:8] = 1
    drawn = draw_surfaces(block, (2.0, 1.0, 1.0), [GREY], anatomical=True)
    row = drawn[PICTURE_SIDE // 2, :, 3] > 0
    first, last = np.flatnonzero(row)[[0, -1]]
    assert row[first : last + 1].all()
    assert drawn.tobytes() == draw_surfaces(block, (2.0, 1.0, 1.0), [GREY], anatomical=True).tobytes()
    assert OVERSAMPLING > 1


def test_an_empty_volume_has_no_surface():
    assert not draw_surfaces(np.zeros((4, 5, 6), np.uint8), (1, 1, 1), [GREY], anatomical=False).any()


# Views of files.


@pytest.fixture
def scored(tmp_path, monkeypatch) -> Views:
    """A volume of two classes, (right, anterior, superior), and its prediction, which lacks the second class."""
    monkeypatch.chdir(tmp_path)
    label = np.zeros((12, 10, 8), np.uint8)
    label[8:11, 7:9, 5:7], label[1:4, 1:4, 1:4] = 4, 9
    prediction = np.where(label == 9, 0, label)
    for name, array in (("image", label * 20), ("label", label), ("run/predictions/x/test-0000/a", prediction)):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(array, np.diag([1, 2, 3, 1])), f"{name}.nii.gz")
    sheet = pd.DataFrame({"sample": ["a"], "image": ["image.nii.gz"], "label": ["label.nii.gz"], "spacing": [""]})
    sheet["batch"] = "test-0000"
    images = pd.DataFrame({"experiment": ["x"], "subset": "test", "sample": "a", "status": "scored"})
    objects = pd.DataFrame({"side": ["true", "true", "predicted"], "id": [1, 2, 1], "kind": ["miss", "match", "match"]})
    labels = Labels(kind="semantic", values={"nothing": 0, "big": 9, "small": 4})
    return Views(tmp_path / "run", sheet, images, objects.assign(experiment="x", sample="a"), 3, labels)


def test_all_layers_of_a_view_are_aligned(scored):
    """An object at the right, in front and above lies near the start of every axis."""
    view = scored.view("a")
    assert view.frame.spacing == (3.0, 2.0, 1.0)
    box, missed = np.s_[1:3, 1:3, 1:4], np.s_[4:7, 6:9, 8:11]
    for layer in (view.picture[..., 0], view.truth, view.predicted["x"], view.errors["x"], view.classes[""]):
        assert layer.shape[:3] == (8, 10, 12)
        assert (layer[box] > 0).all()
    assert (view.classes[""][box] == 2).all()
    assert (view.classes[""][missed] == 1).all()
    assert (view.errors["x"][missed] > 0).all()
    assert not view.predicted["x"][missed].any()
    assert view.truth[initial_voxel(view)] > 0


def test_classes_have_their_colours_on_surfaces(scored, tmp_path):
    assert class_colours(scored) == {"big": CLASS_COLOURS[0], "small": CLASS_COLOURS[1]}
    entry = gallery(scored, ["a"], tmp_path / "run" / "report.html")["a"]
    assert entry == gallery(scored, ["a"], tmp_path / "run" / "report.html")["a"]
    assert entry["volume"]["ends"] == ENDS
    assert entry["shown"]["x"]["counts"]["miss"] == 1
    for url, has_both_classes in ((entry["surface"], True), (entry["shown"]["x"]["surface"], False)):
        drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGBA"))
        red, _, blue = drawn[drawn[..., 3] == 255].T.astype(int)[:3]
        assert (red > blue + 40).any() == has_both_classes
        assert (blue > red + 40).any()


def test_views_without_a_run_have_images_and_labels_only(scored, tmp_path):
    """The data report shows the ids of the files unchanged, in one colour."""
    sheet, nothing = scored.sources.reset_index(), pd.DataFrame(columns=["sample"])
    views = Views(tmp_path, sheet, nothing, pd.DataFrame(), 3, None)
    assert set(np.unique(views.view("a").truth)) == {0, 4, 9}
    assert class_colours(views) == {}
    entry = gallery(views, ["a"], tmp_path / "data-report.html")["a"]
    assert entry["shown"] == {}
    assert entry["surface"].startswith("data:image/webp")


def test_formats_with_an_orientation_are_anatomical(tmp_path):
    names = ["a.nii", "a.nii.gz", "a.MHA", "a.nrrd", "a.nii;b.nii", "a.ome.tif", "a.zarr"]
    assert [is_anatomical(tmp_path / name) for name in names] == [True] * 5 + [False] * 2
    assert is_anatomical(tmp_path)  # a DICOM series
