"""NIfTI is read in canonical orientation and written in that of the source; wrong headers are refused."""

import gzip
import math

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from nifti_files import ORIENTATIONS, in_orientation, save_nifti, save_right_of_bright

from snakeseg.arrays import as_lazy
from snakeseg.cli import main
from snakeseg.errors import BadInput
from snakeseg.io.images import open_image, read, read_label, write_labels
from snakeseg.io.raster import has_same_geometry, require_same_shape
from snakeseg.io.readers import nifti
from snakeseg.io.store import read_store
from snakeseg.settings import Predict

RNG = np.random.default_rng(0)
SHAPE = (7, 5, 9)
PLAIN = np.array([[0.8, 0, 0, -90], [0, 1.5, 0, -126], [0, 0, 3, -72], [0, 0, 0, 1]])


def oblique(angles, sizes=(0.8, 1.5, 3)):
    """Return an affine that is rotated about all three axes."""
    rotation = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(angles)):
        about = np.eye(3)
        i, j = [a for a in range(3) if a != axis]
        about[[i, i, j, j], [i, j, i, j]] = math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle)
        rotation = rotation @ about
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation * sizes, (12.5, -7.25, 100)
    return affine


# Name, affine of the canonical volume, orientation of the file, and options of saving.
FILES = [
    *((f"turned {n}", PLAIN, ORIENTATIONS[n], {}) for n in (0, 7, 13, 22, 31, 47)),
    *((f"oblique {n}", oblique((10, -20, 30)), ORIENTATIONS[n], {}) for n in (3, 18, 41)),
    ("very oblique", oblique((40, 35, -43)), ORIENTATIONS[29], {}),
    ("thick slices", oblique((5, 0, 0), (0.25, 0.25, 8)), ORIENTATIONS[10], {}),
    ("scaled", PLAIN, ORIENTATIONS[21], {"dtype": np.int16}),
    ("scaled bytes, oblique", oblique((10, 20, 30)), ORIENTATIONS[45], {"dtype": np.uint8}),
    ("NIfTI-2", PLAIN, ORIENTATIONS[5], {"kind": nibabel.Nifti2Image}),
    ("NIfTI-2, oblique", oblique((-15, 4, 9)), ORIENTATIONS[38], {"kind": nibabel.Nifti2Image, "dtype": np.int16}),
    ("big-endian", PLAIN, ORIENTATIONS[17], {"endianness": ">"}),
    ("qform only", oblique((10, -20, 30)), ORIENTATIONS[26], {"codes": (0, 2)}),
    ("sform only", oblique((10, -20, 30)), ORIENTATIONS[34], {"codes": (4, 0)}),
    ("4D", PLAIN, ORIENTATIONS[12], {"trailing": (3,)}),
    ("5D", oblique((10, -20, 30)), ORIENTATIONS[44], {"trailing": (1, 2)}),
]


@pytest.fixture(params=FILES, ids=[file[0] for file in FILES])
def saved(request, tmp_path):
    """A file, compressed or not, and the volume in nibabel's canonical orientation."""
    _, affine, orientation, options = request.param
    trailing, options = options.get("trailing", ()), {k: v for k, v in options.items() if k != "trailing"}
    volumes = [RNG.normal(size=SHAPE) * 100 + 300 for _ in range(math.prod(trailing))]
    stored = [in_orientation(volume, affine, orientation) for volume in volumes]
    array = np.stack([pixels for pixels, _ in stored], axis=-1).reshape(*stored[0][0].shape, *trailing)
    suffix = ".nii.gz" if FILES.index(request.param) % 2 else ".nii"
    path = save_nifti(tmp_path / f"image{suffix}", array.astype(np.float32), stored[0][1], **options)
    return path, nibabel.as_closest_canonical(nibabel.load(path))


def test_there_are_twenty_files():
    assert len(FILES) == 20


def test_nifti_is_read_in_canonical_order(saved):
    path, expected = saved
    raster = open_image(path, 3)
    channels = np.asarray(expected.dataobj).reshape(*expected.shape[:3], -1)
    np.testing.assert_array_equal(raster.array[:], np.moveaxis(channels, -1, 0))
    np.testing.assert_allclose(raster.affine, expected.affine, atol=1e-6)
    np.testing.assert_allclose(raster.spacing, np.linalg.norm(expected.affine[:3, :3], axis=0), rtol=1e-6)
    assert raster.axes == "xyz"
    for region in [(slice(0, 1), slice(2, 6), slice(4, 5), slice(0, 3)), (slice(None), slice(0, 1), slice(1, 4))]:
        np.testing.assert_array_equal(raster.array[region], raster.array[:][region])


def test_labels_overlay_the_source(saved, tmp_path, monkeypatch):
    """Header and affine equal those of the source bitwise, and each voxel has its label."""
    monkeypatch.setattr(nifti, "MAX_BLOCK_PIXELS", 40)
    path, _ = saved
    raster, block_pixels = open_image(path, 3), []
    labels = (raster.array[:][0] > 300).astype(np.uint32) * 300
    written = tmp_path / f"labels{''.join(path.suffixes)}"
    write_labels(
        written, as_lazy(labels).map(lambda part: block_pixels.append(part.size) or part, np.uint32), raster, 300
    )
    assert max(block_pixels) <= 40
    old, new = nibabel.load(path), nibabel.load(written)
    assert (type(new), new.shape, new.get_data_dtype()) == (type(old), old.shape[:3], old.header.endianness + "u2")
    np.testing.assert_allclose(new.affine, old.affine, atol=1e-6)
    image = np.asarray(old.dataobj).reshape(*old.shape[:3], -1)[..., 0]
    np.testing.assert_array_equal(np.asarray(new.dataobj), np.where(image > 300, 300, 0))
    for key in ("sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "qoffset_x", "xyzt_units"):
        np.testing.assert_array_equal(new.header[key], old.header[key])
    back = read_label(written, 3)
    np.testing.assert_array_equal(back.array, labels)
    assert has_same_geometry(raster, back)


@pytest.mark.parametrize("orientation", [8, 27, 46])
def test_label_in_another_orientation_fits_its_image(tmp_path, orientation):
    """Image and label on one grid coincide for any order of axes in their files."""
    volume = RNG.integers(0, 3, SHAPE)
    for name, number in (("image", 0), ("label", orientation)):
        stored, affine = in_orientation(volume, oblique((10, -20, 30)), ORIENTATIONS[number])
        save_nifti(tmp_path / f"{name}.nii", stored.astype(np.uint8), affine)
    image, label = read(tmp_path / "image.nii", 3), read_label(tmp_path / "label.nii", 3)
    require_same_shape(image, label)
    np.testing.assert_array_equal(image.array[0], label.array)


def test_label_on_another_grid_is_refused(tmp_path):
    volume = np.zeros(SHAPE, np.uint8)
    for name, shift in (("image", 0), ("near", 0.05), ("far", 0.5)):
        affine = PLAIN.copy()
        affine[0, 3] += shift * 0.8
        save_nifti(tmp_path / f"{name}.nii", volume, affine)
    image = read(tmp_path / "image.nii", 3)
    require_same_shape(image, read_label(tmp_path / "near.nii", 3))
    with pytest.raises(BadInput, match=r"far.nii: found pixels up to 0.4 mm away from those of .*image.nii; expected"):
        require_same_shape(image, read_label(tmp_path / "far.nii", 3))


def test_only_the_region_is_read(tmp_path, monkeypatch):
    """Reading a slab of an uncompressed volume reads only its bytes, along any axis."""
    _, affine = in_orientation(np.zeros((4, 4, 4)), PLAIN, ORIENTATIONS[47])
    save_nifti(tmp_path / "a.nii", np.zeros((60, 70, 80), np.int16), affine)
    raster, sizes = open_image(tmp_path / "a.nii", 3), []
    original = nibabel.fileslice.read_segments

    def recording_read(file, segments, size, lock):
        sizes.append(size)
        return original(file, segments, size, lock)

    monkeypatch.setattr(nibabel.fileslice, "read_segments", recording_read)
    assert raster.array.chunks == (1, 1, 70, 60)
    raster.array[:, 3:4]
    assert sum(sizes) == 2 * 60 * 70


def test_labels_have_the_same_world_coordinates_in_all_orientations(tmp_path):
    """All 48 orientations of a phantom with one bright corner give the same label in world coordinates.

    The model labels the voxel to the right of the bright one. Labels are written by `snakeseg predict`, and by the two
    commands of the workflow.
    """
    phantom = np.zeros((7, 8, 6), np.float32)
    phantom[2:-2, 2:-2, 2:-2] = 0.25
    phantom[2, 2, 2] = 1  # left, back, bottom corner
    expected = apply_affine(oblique((10, -20, 30)), (3, 2, 2))
    model = save_right_of_bright(tmp_path / "model")
    rows = ["sample\timage\tsubset"]
    for number, orientation in enumerate(ORIENTATIONS):
        path = tmp_path / f"p{number}.nii{'.gz' if number % 3 else ''}"
        save_nifti(path, *in_orientation(phantom, oblique((10, -20, 30)), orientation), dtype=np.float32)
        rows.append(f"p{number}\t{path.name}\tpredict")
    (tmp_path / "s.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    files = [str(path) for path in sorted(tmp_path.glob("*.nii*"))]
    assert main(["predict", str(model), *files, "-o", str(tmp_path / "direct")]) == 0
    sheet = ["--sheet", str(tmp_path / "s.tsv")]
    assert main(["predict", str(model), *sheet, "--probabilities", str(tmp_path / "a.zarr.zip")]) == 0
    store_options = ["--probabilities", str(tmp_path / "a.zarr.zip"), "--output", str(tmp_path / "workflow")]
    assert main(["instances", "--model", str(model), *sheet, *store_options]) == 0
    for folder in ("direct", "workflow"):
        paths = sorted((tmp_path / folder).glob("*.nii*"))
        assert len(paths) == 48
        for path in paths:
            label, source = nibabel.load(path), nibabel.load(tmp_path / path.name)
            np.testing.assert_array_equal(label.affine, source.affine)
            np.testing.assert_allclose(
                apply_affine(label.affine, np.argwhere(np.asarray(label.dataobj))), [expected], atol=1e-4
            )


@pytest.mark.parametrize("spacing", ["ignore", "resample"])
def test_kept_probabilities_have_an_affine(tmp_path, spacing):
    """Kept probabilities have the affine of their own grid, with the extent of the image."""
    model = save_right_of_bright(tmp_path / "model", Predict(average=False, spacing=spacing), [1.6, 1.5, 3])
    stored, affine = in_orientation(np.zeros(SHAPE, np.float32), oblique((10, -20, 30)), ORIENTATIONS[20])
    image = save_nifti(tmp_path / "a.nii", stored, affine)
    assert main(["predict", str(model), str(image), "-o", str(tmp_path / "out"), "--keep-probabilities"]) == 0
    ((_, attributes, group),) = read_store(tmp_path / "out" / "a.nii.probabilities.zarr.zip")
    shape = group["probabilities"].shape[1:]
    assert shape == ((4, 5, 9) if spacing == "resample" else SHAPE)
    assert attributes["axes"] == "cxyz"
    source = open_image(image, 3)
    for corner in ((0, 0, 0), (1, 0, 1), (1, 1, 1)):
        own, theirs = (np.append(np.multiply(corner, sides) - 0.5, 1) for sides in (shape, source.array.shape[1:]))
        np.testing.assert_allclose(attributes["affine"] @ own, source.affine @ theirs, atol=1e-6)


def altered(**fields):
    """Return a function that sets header fields of a file to values that nibabel would not write."""

    def spoil(path):
        content = bytearray(path.read_bytes())
        header = nibabel.Nifti1Header(bytes(content[:348]), check=False)
        for name, value in fields.items():
            header[name] = value
        path.write_bytes(header.binaryblock + bytes(content[348:]))

    return spoil


BAD_FILES = {
    "cut off": (
        lambda path: path.write_bytes(path.read_bytes()[:-3]),
        r"979 bytes; expected 982 for 7x5x9 pixels of type uint16, as its header says; copy it again",
    ),
    "garbage behind": (lambda path: path.write_bytes(path.read_bytes() + b"x"), r"983 bytes; expected 982 for"),
    "too few rows": (altered(dim=[3, 7, 4, 9, 1, 1, 1, 1]), r"982 bytes; expected 856 for 7x4x9 pixels"),
    "too many rows": (altered(dim=[3, 7, 6, 9, 1, 1, 1, 1]), r"982 bytes; expected 1108 for 7x6x9 pixels"),
    "petabytes": (
        altered(dim=[4, 32767, 32767, 32767, 99, 1, 1, 1]),
        r".* bytes.*; expected 696\d{13} for 32767x32767x",
    ),
    "negative rows": (altered(dim=[3, 7, -5, 9, 1, 1, 1, 1]), r"shape \(7, -5, 9\); expected at least one pixel"),
    "no rows": (altered(dim=[3, 7, 0, 9, 1, 1, 1, 1]), r"shape \(7, 0, 9\); expected at least one pixel"),
    "zero size": (
        altered(pixdim=[1, 1, 0, 2, 0, 0, 0, 0]),
        r"pixels of 1 x 0 x 2; expected positive sizes; correct",
    ),
    "negative size": (altered(pixdim=[1, 1, -1, 2, 0, 0, 0, 0]), r"pixels of 1 x -1 x 2; expected positive sizes"),
    "NaN size": (altered(pixdim=[1, np.nan, 1, 2, 0, 0, 0, 0]), r"pixels of nan x 1 x 2; expected positive sizes"),
    "NaN affine": (altered(srow_y=[0, np.nan, 0, 0]), r"the affine 0.8 0 0 -90 / 0 nan 0 0 / .*; expected finite"),
    "flat affine": (
        altered(srow_y=[0, 0, 0, 5]),
        r"the affine .* / 0 0 0 5 / .*; expected finite numbers that span",
    ),
    "no place": (altered(sform_code=0, qform_code=0), r"neither sform nor qform .*; expected one of them, to"),
}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("name", BAD_FILES)
def test_wrong_headers_and_sizes_are_refused(tmp_path, name, suffix):
    spoil, expected = BAD_FILES[name]
    path = save_nifti(tmp_path / "a.nii", np.ones(SHAPE, np.uint16), PLAIN)
    spoil(path)
    if suffix == ".nii.gz":
        packed = tmp_path / "a.nii.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path, expected = packed, expected.replace("983 bytes", "more bytes").replace("982 bytes; expected 856", ".*856")
    # A compressed file is decompressed when pixels are read; other files are checked on opening.
    work = read if suffix == ".nii.gz" else open_image
    with pytest.raises(BadInput, match=rf"a{suffix}: found {expected}"):
        work(path, 3)


def test_decompression_needs_enough_free_space(tmp_path, monkeypatch):
    """The free space is checked before decompression."""
    path = save_nifti(tmp_path / "a.nii.gz", np.zeros((200, 200, 200), np.uint8), PLAIN)
    monkeypatch.setattr(nifti.shutil, "disk_usage", lambda folder: type("", (), {"free": 1e6}))
    with pytest.raises(BadInput, match=r"a.nii.gz: found 0.001 GB free .*; expected 0.008 GB to unpack it"):
        read(path, 3)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_any_header_is_read_or_refused(tmp_path_factory, data):
    """Any header gives an array of the file's size or BadInput."""
    path = tmp_path_factory.mktemp("fuzz") / "a.nii"
    content = bytearray(save_nifti(path, np.ones(SHAPE, np.uint16), PLAIN).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 351))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        raster = read(path, 3)
    except BadInput:
        return
    assert raster.array.nbytes <= 8 * 2 * math.prod(SHAPE)
    write_labels(path.with_name("b.nii"), np.ones(raster.array.shape[1:], np.uint8), raster)
