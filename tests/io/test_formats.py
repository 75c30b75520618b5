"""Pixels and geometry of all formats are kept by writing and reading; damaged files are refused with the cause."""

import gzip
import logging
import struct
import zlib
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from snakeseg.arrays import as_lazy
from snakeseg.errors import BadInput
from snakeseg.io.images import (
    IMAGE_SUFFIXES,
    open_image,
    read,
    read_label,
    suffix_of,
    write_labels,
)
from snakeseg.io.raster import Raster, has_same_geometry, require_same_shape
from snakeseg.io.readers import nifti, ome_zarr, tiff

RNG = np.random.default_rng(0)
PLANE = RNG.integers(0, 60_000, (13, 17)).astype(np.uint16)
STACK = RNG.integers(0, 60_000, (5, 13, 17)).astype(np.uint16)
# In the file, the first axis points to the front and the second to the left; CANONICAL is the volume as it is read.
AFFINE = np.array([[0, -2.0, 0, 10], [0.5, 0, 0, -7], [0, 0.3, 3, 4], [0, 0, 0, 1]])
CANONICAL = STACK.swapaxes(0, 1)[::-1]


@pytest.fixture(autouse=True)
def quiet():
    """Suppress tifffile's log messages on damaged files."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def save(path, array, **options):
    """Write an image file in the format of its suffix."""
    if path.name.endswith(".png"):
        Image.fromarray(array).save(path)
    elif ".nii" in path.name:
        nibabel.save(nibabel.Nifti1Image(array, options.get("affine", np.eye(4))), path)
    elif ".ome." in path.name:
        tifffile.imwrite(path, array, ome=True, **{"metadata": {"axes": "ZYX"[-array.ndim :]}, **options})
    else:
        tifffile.imwrite(path, array, **options)
    return path


def write_and_read(source, labels, tmp_path):
    """Write labels in the format of a source, and read them again."""
    path = tmp_path / f"written{suffix_of(source.path)}"
    write_labels(path, labels, source)
    return read_label(path, labels.ndim)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_png_is_read(tmp_path, dtype):
    raster = read(save(tmp_path / "a.png", PLANE.astype(dtype)), 2)
    np.testing.assert_array_equal(raster.array, PLANE.astype(dtype)[None])
    assert raster.array.dtype == dtype
    assert raster.spacing == (1, 1)


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("RGBA", 3), ("LA", 1), ("L", 1), ("1", 1)])
def test_png_modes_are_read(tmp_path, mode, channels):
    """The first axis is channels; alpha is dropped."""
    colours = RNG.integers(0, 255, (6, 9, 3)).astype(np.uint8)
    image = Image.fromarray(colours).convert(mode)
    image.save(tmp_path / "a.png")
    raster = read(tmp_path / "a.png", 2)
    expected = np.asarray(image).reshape(6, 9, -1)[..., :channels]
    np.testing.assert_array_equal(raster.array, np.moveaxis(expected, -1, 0))


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".ome.tif", ".ome.tiff", ".TIF"])
@pytest.mark.parametrize(("ndim", "dtype"), [(2, "uint16"), (3, "uint16"), (2, "float32"), (3, "uint8"), (2, "int32")])
def test_tiff_is_read(tmp_path, suffix, ndim, dtype):
    array = (PLANE if ndim == 2 else STACK).astype(dtype) // 2
    raster = read(save(tmp_path / f"a{suffix}", array, compression="zlib"), array.ndim)
    np.testing.assert_array_equal(raster.array, array[None])
    assert raster.array.dtype == array.dtype


@pytest.mark.parametrize(
    ("axes", "shape", "dims", "expected"),
    [
        ("CYX", (2, 13, 17), 2, "CYX"),
        ("ZCYX", (5, 3, 13, 17), 3, "CZYX"),
        ("CZYX", (3, 5, 13, 17), 3, "CZYX"),
        ("TCYX", (1, 2, 13, 17), 2, "CYX"),
        ("ZYX", (1, 13, 17), 2, "YX"),
        ("TZCYX", (1, 5, 1, 13, 17), 3, "ZYX"),
        ("ZYX", (5, 1, 17), 3, "ZYX"),
    ],
)
def test_ome_tiff_axes_are_reordered(tmp_path, axes, shape, dims, expected):
    """Axes are read as channels, then (z, y, x); axes of length 1 are inserted or dropped as required."""
    array = RNG.integers(0, 999, shape).astype(np.uint16)
    raster = read(save(tmp_path / "a.ome.tif", array, metadata={"axes": axes}), dims)
    reordered = np.einsum(f"{axes}->{expected}", array)
    np.testing.assert_array_equal(raster.array, reordered if "C" in expected else reordered[None])


def test_rgb_tiff_has_three_channels(tmp_path):
    array = RNG.integers(0, 255, (13, 17, 3)).astype(np.uint8)
    raster = read(save(tmp_path / "a.tif", array, photometric="rgb"), 2)
    np.testing.assert_array_equal(raster.array, np.moveaxis(array, -1, 0))


def test_imagej_stack_is_a_volume(tmp_path):
    raster = read(save(tmp_path / "a.tif", STACK, imagej=True, metadata={"axes": "ZYX"}), 3)
    np.testing.assert_array_equal(raster.array, STACK[None])


def test_tiff_pages_without_axis_names_are_depth(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in STACK:
            file.write(page, metadata=None, contiguous=False)
    np.testing.assert_array_equal(read(tmp_path / "a.tif", 3).array, STACK[None])


def test_ome_tiff_spacing_is_read(tmp_path):
    sizes = {"axes": "ZYX", "PhysicalSizeZ": 2.5, "PhysicalSizeY": 0.3, "PhysicalSizeX": 0.2}
    assert read(save(tmp_path / "a.ome.tif", STACK, metadata=sizes), 3).spacing == (2.5, 0.3, 0.2)
    plane = {**sizes, "axes": "ZYX"}
    assert read(save(tmp_path / "b.ome.tif", PLANE[None], metadata=plane), 2).spacing == (0.3, 0.2)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".NII.GZ"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_nifti_is_read_in_canonical_orientation(tmp_path, suffix, dtype):
    """Axes are (x, y, z), to the right, front and top; spacing has the same order."""
    path = tmp_path / f"a{suffix}"
    nibabel.save(nibabel.Nifti1Image(STACK.astype(dtype), AFFINE), tmp_path / f"b{suffix.lower()}")
    (tmp_path / f"b{suffix.lower()}").rename(path)
    raster = read(path, 3)
    np.testing.assert_array_equal(raster.array, CANONICAL.astype(dtype)[None])
    np.testing.assert_allclose(raster.spacing, np.linalg.norm(AFFINE[:3, [1, 0, 2]], axis=0), rtol=1e-6)


def test_nifti_scaling_is_applied(tmp_path):
    image = nibabel.Nifti1Image(STACK.astype(np.float32) / 100, AFFINE)
    image.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(read(tmp_path / "a.nii", 3).array[0], CANONICAL / 100, atol=0.01)


@pytest.mark.parametrize(("shape", "dims"), [((13, 17), 2), ((13, 17, 1), 2), ((5, 13, 17, 1), 3)])
def test_nifti_drops_axes_of_length_one(tmp_path, shape, dims):
    array = RNG.integers(0, 99, shape).astype(np.int16)
    assert read(save(tmp_path / "a.nii.gz", array), dims).array.shape == (1, *shape[:dims])


@pytest.mark.parametrize("trailing", [(2,), (1, 2), (2, 1), (1, 2, 1, 1)])
def test_nifti_channels_may_lie_along_later_axes(tmp_path, trailing):
    """Channels lie along the fourth or the fifth axis."""
    array = RNG.integers(0, 99, (5, 6, 7, *trailing)).astype(np.int16)
    np.testing.assert_array_equal(
        read(save(tmp_path / "a.nii.gz", array), 3).array, np.moveaxis(array.reshape(5, 6, 7, 2), -1, 0)
    )


LABELS = np.zeros((13, 17), np.uint32)
LABELS[2:5, 3:9], LABELS[8:, 10:] = 1, 300


def test_png_labels_are_restored(tmp_path):
    source = read(save(tmp_path / "a.png", PLANE), 2)
    for labels in (np.minimum(LABELS, 255), LABELS, LABELS * 218):
        np.testing.assert_array_equal(write_and_read(source, labels, tmp_path).array, labels)


def test_png_cannot_hold_more_than_16_bits(tmp_path):
    source = read(save(tmp_path / "a.png", PLANE), 2)
    with pytest.raises(
        BadInput, match=r"found 65536 objects; expected at most 65535 in a PNG; convert the images to TIFF"
    ):
        write_and_read(source, np.array([[65536]], np.uint32), tmp_path)


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_tiff_labels_hold_32_bits(tmp_path, suffix, ndim):
    source = read(save(tmp_path / f"a{suffix}", PLANE if ndim == 2 else STACK), ndim)
    labels = np.broadcast_to(LABELS, source.array.shape[1:]).astype(np.uint32)
    labels[labels == 300] = 2**32 - 1
    written = write_and_read(source, labels, tmp_path)
    np.testing.assert_array_equal(written.array, labels)
    assert written.array.dtype == np.uint32


@pytest.mark.parametrize("unit", ["INCH", "CENTIMETER", "NONE"])
def test_tiff_resolution_is_kept(tmp_path, unit):
    path = save(tmp_path / "a.tif", PLANE, resolution=(12_500.5, 8000), resolutionunit=unit)
    write_labels(tmp_path / "b.tif", LABELS, read(path, 2))
    with tifffile.TiffFile(path) as old, tifffile.TiffFile(tmp_path / "b.tif") as new:
        for tag in ("XResolution", "YResolution", "ResolutionUnit"):
            assert new.pages[0].tags[tag].value == old.pages[0].tags[tag].value
        assert new.pages[0].tags["XResolution"].value != (1, 1)


def test_ome_sizes_and_units_are_kept(tmp_path):
    """Labels have the geometry of an image with several channels."""
    metadata = {"axes": "ZCYX", "PhysicalSizeZ": 2.5, "PhysicalSizeY": 0.3, "PhysicalSizeX": 0.25} | {
        f"PhysicalSize{axis}Unit": unit for axis, unit in zip("ZYX", ("mm", "µm", "nm"), strict=True)
    }
    image = RNG.integers(0, 99, (5, 2, 13, 17)).astype(np.uint8)
    source = read(save(tmp_path / "a.ome.tif", image, metadata=metadata), 3)
    written = write_and_read(source, np.broadcast_to(LABELS, (5, 13, 17)), tmp_path)
    assert written.spacing == source.spacing == pytest.approx((2500, 0.3, 0.25e-3))  # all in micrometres
    with tifffile.TiffFile(written.path) as file:
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
        assert file.series[0].axes == "ZYX"
    assert [pixels[f"PhysicalSize{axis}Unit"] for axis in "ZYX"] == ["mm", "µm", "nm"]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("largest", "dtype"), [(200, np.uint8), (300, np.uint16), (70_000, np.uint32)])
def test_nifti_affine_is_kept(tmp_path, suffix, largest, dtype):
    """Affine, codes, units and spacing are kept; ids are stored unscaled in the smallest sufficient dtype."""
    image = nibabel.Nifti1Image(STACK.astype(np.float32) / 100, AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(AFFINE, 4)
    image.set_qform(AFFINE, 2)
    image.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / f"a{suffix}")
    source = read(tmp_path / f"a{suffix}", 3)
    labels = CANONICAL.astype(np.uint32) % 2 * largest
    written = write_and_read(source, labels, tmp_path)
    np.testing.assert_array_equal(written.array, labels)
    assert written.spacing == source.spacing
    old, new = nibabel.load(source.path), nibabel.load(written.path)
    np.testing.assert_array_equal(new.affine, old.affine)
    assert new.get_data_dtype() == dtype
    assert new.header.get_xyzt_units() == old.header.get_xyzt_units()
    assert [int(new.header[code]) for code in ("sform_code", "qform_code")] == [4, 2]


@pytest.mark.parametrize("shape", [(13, 17, 1), (13, 1, 17), (1, 13, 17)])
def test_nifti_slice_keeps_its_plane(tmp_path, shape):
    """A single slice of a volume, in any of three directions, is written with the shape of its affine."""
    path = save(tmp_path / "a.nii.gz", PLANE.reshape(shape).astype(np.int16), affine=np.diag([2.0, 3, 4, 1]))
    source = read(path, 2)
    assert source.spacing == tuple(s for s, n in zip((2, 3, 4), shape, strict=True) if n > 1)
    write_labels(tmp_path / "b.nii.gz", LABELS, source)
    written = nibabel.load(tmp_path / "b.nii.gz")
    assert written.shape == shape
    np.testing.assert_array_equal(np.asarray(written.dataobj), LABELS.reshape(shape))


def test_nifti_2_stays_nifti_2(tmp_path):
    nibabel.save(nibabel.Nifti2Image(STACK.astype(np.int16), AFFINE), tmp_path / "a.nii")
    written = write_and_read(read(tmp_path / "a.nii", 3), np.ones(CANONICAL.shape, np.uint32), tmp_path)
    assert isinstance(nibabel.load(written.path), nibabel.Nifti2Image)


def test_nifti_labels_may_be_whole_floats(tmp_path):
    written = read_label(save(tmp_path / "a.nii.gz", np.array([[[0, 1, 7]]], np.float32)), 3)
    assert written.array.dtype.kind == "i"
    assert written.array.tolist() == [[[0, 1, 7]]]
    with pytest.raises(BadInput, match="labels of type float32"):
        read_label(save(tmp_path / "b.nii.gz", np.array([[[0, 1.5]]], np.float32)), 3)


def test_written_bytes_are_reproducible(tmp_path):
    for name, array in (("a.png", PLANE), ("a.tif", PLANE), ("a.nii", STACK.astype(np.int16))):
        source = read(save(tmp_path / name, array), array.ndim)
        labels = np.broadcast_to(LABELS, array.shape)
        written = []
        for _ in range(2):
            write_labels(tmp_path / f"b{suffix_of(source.path)}", labels, source)
            written.append((tmp_path / f"b{suffix_of(source.path)}").read_bytes())
        assert written[0] == written[1]


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_missing_file_is_refused(tmp_path, suffix):
    with pytest.raises(BadInput, match=rf"nowhere{suffix}: found no such file; expected an image; correct the path"):
        read(tmp_path / f"nowhere{suffix}", 2)


@pytest.mark.parametrize("name", ["a.gif", "a", "tif", "a.nii.bz2"])
def test_unknown_suffix_is_refused(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(BadInput, match=r"found format '.*'; expected .ome.tiff, .*; convert it to one of these"):
        read(tmp_path / name, 2)


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.b.OME.TIF", ".OME.TIF"), ("x.nii.gz", ".nii.gz"), ("ome.tif", ".tif"), ("a.PNG", ".PNG")]
)
def test_suffix_includes_all_parts_of_a_format(tmp_path, name, suffix):
    assert suffix_of(tmp_path / name) == suffix


DAMAGED = {
    "plain.png": SimpleNamespace(array=PLANE, options={}),
    "plain.tif": SimpleNamespace(array=PLANE, options={}),
    "strips.tif": SimpleNamespace(array=PLANE, options={"rowsperstrip": 3, "compression": "zlib"}),
    "tiles.tif": SimpleNamespace(array=PLANE, options={"tile": (16, 16), "compression": "lzw"}),
    "stack.tif": SimpleNamespace(array=STACK, options={}),
    "pages.tif": SimpleNamespace(array=STACK, options={"metadata": None, "compression": "zlib"}),
    "imagej.tif": SimpleNamespace(array=STACK, options={"imagej": True, "metadata": {"axes": "ZYX"}}),
    "stack.ome.tif": SimpleNamespace(array=STACK, options={"metadata": {"axes": "ZYX"}}),
    "volume.nii": SimpleNamespace(array=STACK.astype(np.int32), options={}),
    "volume.nii.gz": SimpleNamespace(array=STACK.astype(np.int32), options={}),
}


def read_or_refuse(path, dims):
    """Return the pixels, or the error."""
    try:
        return read(path, dims).array, None
    except BadInput as error:
        return None, error


@pytest.mark.parametrize("name", DAMAGED)
def test_truncated_file_is_refused_or_read_completely(tmp_path, name):
    """A truncated file is refused or gives all its pixels, never fewer or other ones."""
    array = DAMAGED[name].array
    path = save(tmp_path / name, array, **DAMAGED[name].options)
    whole = path.read_bytes()
    lengths = {*np.linspace(0, len(whole) - 1, 25).astype(int).tolist(), len(whole) // 2, 8, 100, 352}
    refused = 0
    for length in sorted(lengths):
        path.write_bytes(whole[:length])
        pixels, error = read_or_refuse(path, array.ndim)
        if error is None:
            np.testing.assert_array_equal(pixels, array[None])
        else:
            assert error.where == str(path)
            assert "\n" not in str(error)
            refused += 1
    assert refused >= 20


def test_unknown_codec_is_refused(tmp_path):
    """A tiled TIFF with an unknown compression is refused."""
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((64, 64), np.uint8), tile=(32, 32), compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        file.pages[0].tags["Compression"].overwrite(34676)  # SGI Log
    with pytest.raises(BadInput, match=r"a\.tif: found a damaged file \(.*COMPRESSION.*expected a readable image"):
        open_image(tmp_path / "a.tif", 2).array[:]


def test_damage_inside_a_compressed_volume_is_refused(tmp_path):
    """The checksum of gzip detects a changed byte."""
    path = save(tmp_path / "a.nii.gz", STACK.astype(np.int32))
    packed = bytearray(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=0))
    packed[len(packed) // 2] ^= 255
    path.write_bytes(packed)
    with pytest.raises(BadInput, match="damaged"):
        read(path, 3)


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_text_with_the_suffix_of_an_image_is_refused(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_text("this is no image\n" * 50, encoding="utf-8")
    with pytest.raises(BadInput, match=r"found a (damaged file|file, not a folder)"):
        read(tmp_path / f"a{suffix}", 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["a.tif", "a.nii.gz"])
def test_nan_and_infinite_pixels_are_refused(tmp_path, name, value):
    array = np.ones((5, 6, 7), np.float32)
    array[1, 2, 3:5] = value
    with pytest.raises(BadInput, match="found 2 pixels that are NaN or infinite; expected finite numbers"):
        read(save(tmp_path / name, array), 3)


@pytest.mark.parametrize("dtype", [np.complex64, [("R", "u1"), ("G", "u1"), ("B", "u1")]], ids=["complex", "rgb"])
def test_complex_and_structured_pixels_are_refused(tmp_path, dtype):
    path = save(tmp_path / "a.nii", np.zeros((4, 4, 4), dtype))
    for reader in (read, read_label):
        with pytest.raises(BadInput, match=r"a.nii: found .*; expected"):
            reader(path, 3)


@pytest.mark.parametrize(("name", "array"), [("a.tif", (PLANE / 2).astype(np.float32)), ("a.tif", PLANE / 2)])
def test_label_with_fractions_is_refused(tmp_path, name, array):
    with pytest.raises(BadInput, match=r"found labels of type float\d\d; expected integers"):
        read_label(save(tmp_path / name, array), 2)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_picture_is_refused_as_a_label(tmp_path, name):
    colours = RNG.integers(0, 255, (13, 17, 3)).astype(np.uint8)
    with pytest.raises(BadInput, match=r"found 2\d\d colours; expected a label image of one channel, or of at most 13"):
        read_label(save(tmp_path / name, colours), 2)


def test_one_bit_label_is_read(tmp_path):
    Image.fromarray(PLANE > 30_000).save(tmp_path / "a.png")
    label = read_label(tmp_path / "a.png", 2).array
    np.testing.assert_array_equal(label, (PLANE > 30_000).astype(int))


@pytest.mark.parametrize(
    ("name", "array", "options", "dims"),
    [
        ("a.png", PLANE, {}, 3),
        ("a.tif", STACK, {}, 2),
        ("a.tif", PLANE, {}, 3),
        ("a.ome.tif", STACK, {"metadata": {"axes": "TYX"}}, 2),
        ("a.ome.tif", STACK, {"metadata": {"axes": "TYX"}}, 3),
        ("a.nii", np.zeros((4, 5, 6), np.uint8), {}, 2),
        ("a.nii", np.zeros((4, 5, 6, 2, 3), np.uint8), {}, 3),
        ("a.nii", np.zeros((4, 5, 6, 1, 1, 2), np.uint8), {}, 3),
    ],
)
def test_wrong_number_of_spatial_axes_is_refused(tmp_path, name, array, options, dims):
    with pytest.raises(BadInput, match=rf"found shape .* with axes '.*'; expected {dims} spatial axes"):
        read(save(tmp_path / name, array, **options), dims)


def test_label_of_another_shape_is_refused(tmp_path):
    image, label = (
        Raster(np.zeros((2, 4, 5)), (1, 1), tmp_path / "i.tif"),
        Raster(np.zeros((4, 5)), (1, 1), tmp_path / "l.tif"),
    )
    require_same_shape(image, label)
    with pytest.raises(BadInput, match=r"l.tif: found shape \(5, 4\); expected \(4, 5\), the shape of .*i.tif"):
        require_same_shape(image, Raster(np.zeros((5, 4)), (1, 1), tmp_path / "l.tif"))


LARGE = RNG.integers(0, 60_000, (300, 400)).astype(np.uint16)


def save_zarr(path, array, version=3, spacing=(0.5, 0.25)):
    """Write an OME-Zarr with a single level."""
    group = zarr.create_group(path, zarr_format=version)
    group.create_array("0", data=array, chunks=(100,) * array.ndim)
    scales = {
        "axes": [{"name": a, "type": "space"} for a in "zyx"[-array.ndim :]],
        "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": list(spacing)}]}],
    }
    group.attrs.update(
        {"ome": {"version": "0.5", "multiscales": [scales]}} if version == 3 else {"multiscales": [scales]}
    )
    return path


SAVED = {
    "tiles.tif": lambda path: save(path, LARGE, tile=(64, 64), compression="zlib"),
    "strips.tif": lambda path: save(path, LARGE, rowsperstrip=16, compression="zlib"),
    "one-strip.tif": lambda path: save(path, LARGE, rowsperstrip=300, compression="zlib"),
    "raw.tif": lambda path: save(path, LARGE),
    "big-endian.tif": lambda path: save(path, LARGE, byteorder=">"),
    "a.ome.tif": lambda path: save(path, LARGE, tile=(64, 64)),
    "a.png": lambda path: save(path, LARGE),
    "a.nii": lambda path: save(path, LARGE),
    "a.nii.gz": lambda path: save(path, LARGE),
    "a.zarr": lambda path: zarr.create_array(path, data=LARGE, chunks=(100, 100)) and path,
    "a.ome.zarr": lambda path: save_zarr(path, LARGE),
    "b.ome.zarr": lambda path: save_zarr(path, LARGE, version=2),
}


@pytest.mark.parametrize("name", SAVED)
def test_regions_are_read_on_demand_and_equal_the_whole(tmp_path, name):
    path = SAVED[name](tmp_path / name)
    raster, whole = open_image(path, 2), read(path, 2)
    assert raster.array.shape == whole.array.shape == (1, *LARGE.shape)
    assert raster.array.dtype == whole.array.dtype == LARGE.dtype
    np.testing.assert_array_equal(whole.array[0], LARGE)
    for region in [(slice(0, 1), slice(70, 201), slice(399, 400)), (slice(0, 1), slice(0, 1), slice(None))]:
        np.testing.assert_array_equal(raster.array[region], LARGE[None][region])
    if ".ome.zarr" in name:
        assert raster.spacing == (0.5, 0.25)


@pytest.mark.parametrize("name", [name for name in SAVED if name != "a.png"])
def test_labels_are_written_part_by_part(tmp_path, name, monkeypatch):
    """Labels are computed band by band, and equal the original when read back."""
    monkeypatch.setattr(tiff, "MAX_BLOCK_PIXELS", 100)
    monkeypatch.setattr(tiff, "TILE_SIDE", 32)
    monkeypatch.setattr(nifti, "MAX_BLOCK_PIXELS", 3000)
    monkeypatch.setattr(ome_zarr, "CHUNK_SIDE", {2: 64})
    source, block_pixels = open_image(SAVED[name](tmp_path / name), 2), []
    labels = (LARGE // 300).astype(np.uint32)
    lazy = as_lazy(labels).map(lambda part: block_pixels.append(part.size) or part, np.uint32)
    path = tmp_path / f"written{suffix_of(source.path)}"
    write_labels(path, lazy, source, int(labels.max()))
    assert max(block_pixels) <= 32 * 400
    written = read_label(path, 2)
    np.testing.assert_array_equal(written.array, labels)
    assert written.spacing == (source.spacing if ".zarr" not in name or ".ome" in name else (1.0, 1.0))


def test_zarr_labels_have_a_pyramid(tmp_path, monkeypatch):
    monkeypatch.setattr(ome_zarr, "COARSEST_SIDE", 100)
    source = open_image(save_zarr(tmp_path / "a.ome.zarr", LARGE), 2)
    write_labels(tmp_path / "b.ome.zarr", LARGE, source)
    group = zarr.open_group(tmp_path / "b.ome.zarr", mode="r")
    levels = group.attrs["ome"]["multiscales"][0]["datasets"]
    assert [level["path"] for level in levels] == ["0", "1", "2"]
    assert [level["coordinateTransformations"][0]["scale"] for level in levels] == [[0.5, 0.25], [1.0, 0.5], [2.0, 1.0]]
    for step, level in zip((1, 2, 4), levels, strict=True):
        np.testing.assert_array_equal(group[level["path"]][:], LARGE[::step, ::step])


@pytest.mark.parametrize("version", [2, 3], ids=["0.4", "0.5"])
def test_ome_zarr_is_read_at_the_finest_level(tmp_path, version):
    """The finest level is read with its pixel size, and labels have its shape."""
    array = RNG.integers(0, 999, (2, 5, 24, 30)).astype(np.uint16)
    group, levels = zarr.create_group(tmp_path / "a.ome.zarr", zarr_format=version), []
    for level in range(2):
        group.create_array(str(level), data=array[..., :: 2**level, :: 2**level], chunks=(1, 2, 16, 16))
        scale = {"type": "scale", "scale": [1, 2.5, 0.5 * 2**level, 0.25 * 2**level]}
        levels.append({"path": str(level), "coordinateTransformations": [scale]})
    axes = [{"name": "c", "type": "channel"}, *({"name": axis, "type": "space"} for axis in "zyx")]
    scales = [{"version": "0.4", "axes": axes, "datasets": levels}]
    group.attrs.update({"multiscales": scales} if version == 2 else {"ome": {"version": "0.5", "multiscales": scales}})
    source = open_image(tmp_path / "a.ome.zarr", 3)
    np.testing.assert_array_equal(source.array[:], array)
    assert source.spacing == (2.5, 0.5, 0.25)
    write_labels(tmp_path / "b.ome.zarr", array[0], source)
    written = read_label(tmp_path / "b.ome.zarr", 3)
    np.testing.assert_array_equal(written.array, array[0])
    assert written.spacing == source.spacing


def test_ome_tiff_is_read_at_the_finest_level(tmp_path):
    array = RNG.integers(0, 999, (2, 64, 80)).astype(np.uint16)
    sizes = {"axes": "CYX", "PhysicalSizeY": 0.5, "PhysicalSizeX": 0.25}
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        file.write(array, subifds=1, tile=(32, 32), metadata=sizes, photometric="minisblack")
        file.write(array[:, ::2, ::2], subfiletype=1, tile=(32, 32), photometric="minisblack")
    source = open_image(tmp_path / "a.ome.tif", 2)
    np.testing.assert_array_equal(source.array[:], array)
    assert source.spacing == (0.5, 0.25)
    np.testing.assert_array_equal(write_and_read(source, array[0], tmp_path).array, array[0])


def test_header_of_ten_terapixels_is_refused(tmp_path, monkeypatch):
    """A PNG of a few bytes with a header of 3,000,000 x 3,000,000 pixels is refused."""
    header = struct.pack(">4sIIBBBBB", b"IHDR", 3_000_000, 3_000_000, 8, 0, 0, 0, 0)
    chunks = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\x09IDAT" + b"\0" * 99
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    with pytest.raises(BadInput, match=r"a.png: found 3000000 x 3000000 pixels"):
        read(tmp_path / "a.png", 2)
    zarr.create_array(tmp_path / "b.zarr", shape=(3_000_000, 3_000_000), chunks=(4096, 4096), dtype="uint8")
    with pytest.raises(BadInput, match=r"b.zarr: found 3000000 x 3000000 pixels in .* bytes; expected at least"):
        read(tmp_path / "b.zarr", 2)
    monkeypatch.setattr("snakeseg.io.readers.ome_zarr.FREE_PIXELS", 10**13)
    monkeypatch.setattr("snakeseg.io.readers.ome_zarr.FREE_CHUNKS", 10**6)
    with pytest.raises(BadInput, match=r"b.zarr: found 9000 GB of pixels"):
        read(tmp_path / "b.zarr", 2)


def test_zarr_group_without_image_is_refused(tmp_path):
    zarr.create_group(tmp_path / "a.zarr")
    with pytest.raises(BadInput, match=r"a.zarr: found a Zarr group without multiscales"):
        read(tmp_path / "a.zarr", 2)


def test_damaged_tile_is_refused_when_read(tmp_path):
    path = SAVED["tiles.tif"](tmp_path / "a.tif")
    with tifffile.TiffFile(path) as file:
        start, size = file.pages[0].dataoffsets[-1], file.pages[0].databytecounts[-1]
    content = bytearray(path.read_bytes())
    content[start : start + size] = b"\xff" * size
    path.write_bytes(content)
    raster = open_image(path, 2)
    np.testing.assert_array_equal(raster.array[0:1, 0:10, 0:10][0], LARGE[:10, :10])
    with pytest.raises(BadInput, match=r"a.tif: found a damaged file"):
        raster.array[:]


@pytest.mark.parametrize("shape", [(70, 90), (3, 70, 90)])
def test_large_ome_tiff_labels_have_a_pyramid(tmp_path, monkeypatch, shape):
    """Each level has every second row and column, down to the size of a screen; the workflow reads the finest level."""
    monkeypatch.setattr(tiff, "MAX_BLOCK_PIXELS", 1000)
    monkeypatch.setattr(tiff, "COARSEST_PAGE_SIDE", 30)
    monkeypatch.setattr(tiff, "TILE_SIDE", 16)
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros(shape, np.uint8), metadata={"axes": "ZYX"[-len(shape) :]})
    labels = np.random.default_rng(0).integers(0, 70_000, shape).astype(np.uint32)
    write_labels(tmp_path / "b.ome.tif", as_lazy(labels), open_image(tmp_path / "a.ome.tif", len(shape)), 70_000)
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        (series,) = file.series
        assert series.is_pyramidal
        assert [level.shape[-2:] for level in series.levels] == [(70, 90), (35, 45), (18, 23)]
        for step, level in zip((1, 2, 4), series.levels, strict=True):
            np.testing.assert_array_equal(level.asarray(), labels[..., ::step, ::step])
    np.testing.assert_array_equal(read_label(tmp_path / "b.ome.tif", len(shape)).array, labels)


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.nii", "a.png", "a.zarr"])
def test_note_is_written_into_the_file(tmp_path, name):
    image = np.zeros((20, 30), np.uint8)
    (save_zarr if ".zarr" in name else save)(tmp_path / name, image)
    write_labels(tmp_path / f"b{name[1:]}", image, open_image(tmp_path / name, 2), note="blended tiles")
    written = tmp_path / f"b{name[1:]}"
    files = [path for path in written.rglob("*") if path.is_file()] if written.is_dir() else [written]
    assert any(b"blended tiles" in path.read_bytes() for path in files)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (np.eye(4), True),
        (np.diag([-1, 1, 1, 1]), False),
        (np.diag([2, 2, 2, 1]), False),
        (np.eye(4) + 1e-3 * np.eye(4, k=3), True),
    ],
    ids=["same", "flipped", "of other size", "rounded"],
)
def test_geometry_is_compared_by_the_affine(tmp_path, change, same):
    for name, affine in (("i.nii", np.diag([0.5, 0.5, 2, 1])), ("l.nii", change @ np.diag([0.5, 0.5, 2, 1]))):
        nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.uint8), affine), tmp_path / name)
    assert has_same_geometry(open_image(tmp_path / "i.nii", 3), open_image(tmp_path / "l.nii", 3)) == same


def test_files_without_pixel_size_have_the_same_geometry(tmp_path):
    known, unknown, other = (
        Raster(np.zeros((1, 4, 5)), spacing, tmp_path / name)
        for spacing, name in (((0.5, 0.5), "i.tif"), ((1.0, 1.0), "l.tif"), ((0.7, 0.7), "m.tif"))
    )
    assert has_same_geometry(known, unknown)
    assert not has_same_geometry(known, other)
    assert has_same_geometry(known, Raster(other.array, other.spacing, tmp_path / "m.png"))
