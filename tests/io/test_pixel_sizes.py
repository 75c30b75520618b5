"""Pixel sizes as formats state them: read in one unit, unknown where not stated, kept by labels."""

import nibabel
import numpy as np
import pytest
import tifffile

from snakeseg.io.images import open_image, write_labels
from snakeseg.io.raster import Raster, has_same_geometry
from snakeseg.io.units import micrometres

STACK = np.arange(4 * 6 * 5, dtype=np.uint8).reshape(4, 6, 5)
LABELS = (STACK > 50).astype(np.uint16)


def save_imagej(path, array=STACK, resolution=(5, 5), **metadata):
    axes = {"axes": "ZYX"[-array.ndim :]}
    tifffile.imwrite(path, array, imagej=True, resolution=resolution, metadata={**axes, **metadata})
    return path


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("um", 1), ("µm", 1), ("μm", 1), ("\\u00B5m", 1), ("micron", 1), ("microns", 1), ("Micrometres", 1),
        ("nm", 1e-3), ("nanometers", 1e-3), ("mm", 1e3), ("cm", 1e4), ("m", 1e6), ("meter", 1e6), ("Å", 1e-4),
        ("inch", 25_400), ("inches", 25_400), ("pixel", None), ("", None), ("reference frame", None), ("Mm", None),
    ],
)  # fmt: skip
def test_units_in_micrometres(unit, expected):
    assert micrometres(unit) == (expected if unit != "Mm" else 1e3)


@pytest.mark.parametrize(
    ("metadata", "spacing", "unknown"),
    [
        ({"unit": "um", "spacing": 1.0}, (1.0, 0.2, 0.2), ""),
        ({"unit": "\\u00B5m", "spacing": 0.5}, (0.5, 0.2, 0.2), ""),
        ({"unit": "nm", "spacing": 300}, (0.3, 0.0002, 0.0002), ""),
        ({"unit": "um", "zunit": "nm", "spacing": 300}, (0.3, 0.2, 0.2), ""),
        ({"unit": "um"}, (0.2, 0.2, 0.2), "z"),
        ({"spacing": 2.0}, (1, 1, 1), "zyx"),
        ({"unit": "pixel", "spacing": 2.0}, (1, 1, 1), "zyx"),
    ],
)
def test_sizes_of_imagej_stacks(tmp_path, metadata, spacing, unknown):
    """The case cases/inputs/imagej_anisotropy.py is the first; a Z size that is not stated is unknown, not 1."""
    raster = open_image(save_imagej(tmp_path / "a.tif", **metadata), 3)
    assert raster.spacing == pytest.approx(spacing)
    assert raster.unknown == unknown


@pytest.mark.parametrize(
    ("resolution", "unit", "expected"),
    [
        ((50_000, 50_000), "CENTIMETER", 0.2),
        ((127_000, 127_000), "INCH", 0.2),
        ((600, 600), "INCH", 25_400 / 600),
        ((72, 72), "INCH", None),
        ((96, 96), "INCH", None),
        ((37.795, 37.795), "CENTIMETER", None),
        ((5, 5), "NONE", None),
    ],
)
def test_sizes_by_resolution_tags(tmp_path, resolution, unit, expected):
    """Resolutions of screens say nothing about the specimen; ImageJ ignores 72 dpi, too."""
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], resolution=resolution, resolutionunit=unit)
    raster = open_image(tmp_path / "a.tif", 2)
    assert raster.spacing == pytest.approx((expected or 1,) * 2)
    assert raster.unknown == ("" if expected else "yx")
    tifffile.imwrite(tmp_path / "b.tif", STACK, resolution=resolution, resolutionunit=unit, photometric="minisblack")
    assert open_image(tmp_path / "b.tif", 3).unknown == ("z" if expected else "zyx")


def test_ome_units_of_every_axis_become_one(tmp_path):
    units = {"PhysicalSizeZUnit": "nm", "PhysicalSizeYUnit": "mm", "PhysicalSizeXUnit": "µm"}
    sizes = {"PhysicalSizeZ": 500, "PhysicalSizeY": 0.0002, "PhysicalSizeX": 0.2}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata={"axes": "ZYX", **sizes, **units})
    raster = open_image(tmp_path / "a.ome.tif", 3)
    assert raster.spacing == pytest.approx((0.5, 0.2, 0.2))
    assert (raster.unknown, raster.doubt) == ("", "")


@pytest.mark.parametrize("stated", ["XY", ""])
def test_ome_sizes_that_are_missing_are_unknown(tmp_path, stated):
    sizes = {f"PhysicalSize{axis}": 0.2 for axis in stated}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata={"axes": "ZYX", **sizes})
    raster = open_image(tmp_path / "a.ome.tif", 3)
    assert raster.unknown == ("z" if stated else "zyx")
    assert raster.spacing == ((0.2,) * 3 if stated else (1,) * 3)


def test_header_and_resolution_that_contradict_each_other(tmp_path):
    sizes = {"PhysicalSizeY": 0.2, "PhysicalSizeX": 0.2}
    options = {"resolution": (10_000, 10_000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK[0], metadata={"axes": "YX", **sizes}, **options)
    assert open_image(tmp_path / "a.ome.tif", 2).doubt.startswith("0.2 µm along x in the OME header, 1 µm by the res")


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("micron", 1e-3), ("meter", 1e3), ("unknown", 1)])
def test_nifti_sizes_and_positions_are_in_millimetres(tmp_path, unit, factor):
    image = nibabel.Nifti1Image(STACK, np.diag([2.0, 3, 4, 1]) + np.eye(4, k=3) * 5)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii")
    raster = open_image(tmp_path / "a.nii", 3)
    assert raster.spacing == pytest.approx((2 * factor, 3 * factor, 4 * factor))
    assert raster.affine[0, 3] == pytest.approx(5 * factor)
    write_labels(tmp_path / "b.nii", LABELS, raster)
    again = nibabel.load(tmp_path / "b.nii")
    np.testing.assert_array_equal(again.affine, image.affine)
    assert again.header.get_xyzt_units()[0] == unit


def test_pixdim_that_contradicts_the_affine(tmp_path):
    image = nibabel.Nifti1Image(STACK, np.diag([2.0, 2, 2, 1]))
    image.header["pixdim"][1:4] = 2, 2, 5
    image.to_filename(tmp_path / "a.nii")
    path = tmp_path / "a.nii"
    content = bytearray(path.read_bytes())
    content[76 + 4 * 3 : 76 + 4 * 4] = np.float32(5).tobytes()  # pixdim[3]; the sform stays
    path.write_bytes(content)
    assert open_image(path, 3).doubt == "2 x 2 x 5 in pixdim, 2 x 2 x 2 by the affine"


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_labels_of_imagej_stacks_are_imagej_stacks(tmp_path, dtype):
    source = open_image(save_imagej(tmp_path / "a.tif", unit="um", spacing=1.0), 3)
    write_labels(tmp_path / "b.tif", LABELS.astype(dtype), source, note="made by a test")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.imagej_metadata["unit"] == "um"
        assert file.imagej_metadata["spacing"] == 1.0
        assert file.pages[0].tags["XResolution"].value == (5, 1)
        assert file.series[0].axes == "ZYX"
        assert file.series[0].dtype == dtype
        np.testing.assert_array_equal(file.asarray(), LABELS)


@pytest.mark.parametrize(
    "unit", ["µm".encode("latin-1"), "µm".encode(), b"\\u00B5m"], ids=["latin-1", "utf-8", "escaped"]
)
def test_micro_sign_of_imagej_is_kept(tmp_path, unit):
    """Programs write the sign in three ways."""
    path = save_imagej(tmp_path / "a.tif", unit="x" * len(unit), spacing=2)
    path.write_bytes(path.read_bytes().replace(b"unit=" + b"x" * len(unit), b"unit=" + unit))
    source = open_image(path, 3)
    write_labels(tmp_path / "b.tif", LABELS, source)
    assert open_image(tmp_path / "b.tif", 3).spacing == source.spacing == pytest.approx((2, 0.2, 0.2))
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.imagej_metadata["unit"] == "\\u00B5m"


@pytest.mark.parametrize("spacing", [0.0, "NaN", float("inf")])
def test_depth_that_is_no_size_is_unknown(tmp_path, spacing):
    raster = open_image(save_imagej(tmp_path / "a.tif", unit="um", spacing=spacing), 3)
    assert (raster.spacing, raster.unknown) == ((0.2, 0.2, 0.2), "z")


def test_imagej_labels_are_written_plane_by_plane(tmp_path, monkeypatch):
    """ImageJ reads no tiles."""
    for module in ("tiff", "tiff_sizes"):
        monkeypatch.setattr(f"snakeseg.io.readers.{module}.MAX_BLOCK_PIXELS", STACK[0].size)
    source = open_image(save_imagej(tmp_path / "a.tif", unit="um", spacing=1.0), 3)
    write_labels(tmp_path / "b.tif", LABELS, source)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.is_imagej
        assert not file.pages[0].is_tiled
        np.testing.assert_array_equal(file.asarray(), LABELS)


def test_labels_that_imagej_cannot_hold_keep_their_size_as_ome(tmp_path):
    source = open_image(save_imagej(tmp_path / "a.tif", unit="nm", resolution=(0.005, 0.005), spacing=300), 3)
    write_labels(tmp_path / "b.tif", LABELS.astype(np.uint32) * 70_000, source)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert [pixels[f"PhysicalSize{axis}"] for axis in "ZYX"] == pytest.approx([0.3, 0.2, 0.2])
    again = open_image(tmp_path / "b.tif", 3)
    assert again.spacing == pytest.approx(source.spacing)


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_written_bytes_are_reproducible(tmp_path, dtype):
    """OME headers contain no random identifier."""
    source = open_image(save_imagej(tmp_path / "a.tif", unit="um", spacing=1.0), 3)
    labels = LABELS.astype(dtype) * (70_000 if dtype == "uint32" else 1)
    for name in ("b.tif", "c.tif"):
        write_labels(tmp_path / name, labels, source)
    assert (tmp_path / "b.tif").read_bytes() == (tmp_path / "c.tif").read_bytes()


def test_small_ids_of_a_wide_dtype_fit_into_an_imagej_stack(tmp_path):
    source = open_image(save_imagej(tmp_path / "a.tif", unit="um", spacing=1.0), 3)
    write_labels(tmp_path / "b.tif", LABELS.astype(np.uint32), source)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.is_imagej
        assert file.series[0].dtype == np.uint16
        np.testing.assert_array_equal(file.asarray(), LABELS)


def test_unknown_sizes_stay_unknown_in_labels(tmp_path):
    source = open_image(save_imagej(tmp_path / "a.tif", unit="um"), 3)
    for name, labels in (("b.tif", LABELS), ("c.tif", LABELS.astype(np.uint32) * 70_000)):
        write_labels(tmp_path / name, labels, source)
        assert open_image(tmp_path / name, 3).unknown == "z"


def test_unknown_sizes_do_not_contradict_known_ones(tmp_path):
    array = np.zeros((1, 4, 5, 6))
    known = Raster(array, (2.0, 0.2, 0.2), tmp_path / "a.tif", "zyx")
    flat = Raster(array, (0.2, 0.2, 0.2), tmp_path / "b.tif", "zyx", unknown="z")
    other = Raster(array, (2.0, 0.5, 0.5), tmp_path / "c.tif", "zyx")
    assert has_same_geometry(known, flat)
    assert not has_same_geometry(known, other)
    assert not has_same_geometry(other, flat)
