"""Bit depth and colour: 16-bit colours, alpha, palettes, grey images stored as colours, JPEG.

The inputs are those of shared/cases/inputs/rgb16_png.py and rgba_tiff.py, and others of their kinds.
"""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from snakeseg.errors import BadInput
from snakeseg.io.colours import has_equal_channels, is_ramp
from snakeseg.io.images import read, read_label, read_label_for, write_labels

RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 4096, (64, 80, 4)).astype(np.uint16)
COLOURS = RNG.integers(0, 255, (24, 30, 3)).astype(np.uint8)
IDS = np.zeros((24, 30), np.uint8)
IDS[3:9, 4:12], IDS[14:20, 10:25] = 1, 2
# Colours by index, with jumps between neighbours.
PALETTE = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [9, 9, 200]], np.uint8)


def write_deep(path, array, *more: tuple[bytes, bytes]) -> None:
    """Write a PNG of 16 bits: rows, columns, one to four samples; with further chunks before the pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[array.shape[2]]
    head = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 16, kind, 0, 0, 0)
    chunks = [(b"IHDR", head), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*content) for content in chunks))


@pytest.mark.parametrize(("samples", "channels"), [(1, 1), (2, 1), (3, 3), (4, 3)])
def test_png_keeps_16_bits(tmp_path, samples, channels):
    write_deep(tmp_path / "a.png", DEEP[..., :samples])
    raster = read(tmp_path / "a.png", 2)
    assert raster.array.dtype == np.uint16
    np.testing.assert_array_equal(raster.array, np.moveaxis(DEEP[..., :channels], -1, 0))


def test_a_label_of_16_bits_with_alpha_is_read(tmp_path):
    ids = IDS.astype(np.uint16) * 300
    write_deep(tmp_path / "a.png", np.stack([ids, np.full_like(ids, 65535)], 2))
    np.testing.assert_array_equal(read_label(tmp_path / "a.png", 2).array, ids)


def test_damaged_colours_of_16_bits_are_refused(tmp_path):
    write_deep(tmp_path / "a.png", DEEP[..., :3])
    content = (tmp_path / "a.png").read_bytes()
    for damaged in (content[:900], content[:60] + bytes(60) + content[120:], content[:-40]):
        (tmp_path / "b.png").write_bytes(damaged)
        with pytest.raises(BadInput, match="found a damaged file"):
            read(tmp_path / "b.png", 2)


def test_other_chunks_of_16_bit_colours_are_not_decompressed(tmp_path):
    profile = (b"iCCP", b"p\0\0" + zlib.compress(bytes(10**5)))
    write_deep(tmp_path / "a.png", DEEP[..., :3], profile)
    np.testing.assert_array_equal(read(tmp_path / "a.png", 2).array, np.moveaxis(DEEP[..., :3], -1, 0))
    write_deep(tmp_path / "b.png", DEEP[..., :3], (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**8))))
    with pytest.raises(BadInput, match="found a damaged file"):
        read(tmp_path / "b.png", 2)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(("kinds", "kept"), [(["unassalpha"], 3), (["assocalpha"], 3), (["unspecified"], 4)])
def test_alpha_of_tiff_is_dropped(tmp_path, planar, compression, kinds, kept):
    array = np.concatenate([COLOURS, np.full((24, 30, 1), 255, np.uint8)], 2)
    stored = array if planar == "contig" else np.moveaxis(array, -1, 0)
    options = {"photometric": "rgb", "extrasamples": kinds, "planarconfig": planar, "compression": compression}
    tifffile.imwrite(tmp_path / "a.tif", stored, **options)
    np.testing.assert_array_equal(read(tmp_path / "a.tif", 2).array, np.moveaxis(array[..., :kept], -1, 0))


def test_a_grey_label_with_alpha_is_read(tmp_path):
    array = np.stack([IDS, np.full_like(IDS, 255)], 2)
    options = {"photometric": "minisblack", "extrasamples": ["unassalpha"], "planarconfig": "contig"}
    tifffile.imwrite(tmp_path / "a.tif", array, **options)
    np.testing.assert_array_equal(read_label(tmp_path / "a.tif", 2).array, IDS)


def write_indices(path, palette: np.ndarray) -> None:
    """Write `IDS` as indices of a palette, as PNG or TIFF."""
    full = np.concatenate([palette, np.zeros((256 - len(palette), 3), np.uint8)])
    if path.suffix == ".png":
        image = Image.fromarray(IDS, "P")
        image.putpalette(full.ravel().tolist())
        image.save(path)
    else:
        tifffile.imwrite(path, IDS, photometric="palette", colormap=full.T.astype(np.uint16) * 257)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_palettes_are_expanded_for_images_and_never_for_labels(tmp_path, suffix):
    write_indices(tmp_path / f"a{suffix}", PALETTE)
    np.testing.assert_array_equal(read(tmp_path / f"a{suffix}", 2).array, np.moveaxis(PALETTE[IDS], -1, 0))
    np.testing.assert_array_equal(read_label(tmp_path / f"a{suffix}", 2).array, IDS)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("colour", [(1, 1, 1), (0, 1, 0)])
def test_lookup_tables_of_intensities_are_not_expanded(tmp_path, suffix, colour):
    """ImageJ saves the colours in which it displays intensities."""
    write_indices(tmp_path / f"a{suffix}", (np.arange(256)[:, None] * colour).astype(np.uint8))
    np.testing.assert_array_equal(read(tmp_path / f"a{suffix}", 2).array[0], IDS)


def test_ramps_have_no_jumps():
    assert is_ramp(np.repeat(np.arange(4, dtype=np.uint8)[:, None], 3, 1))
    assert not is_ramp(PALETTE)
    assert not is_ramp(RNG.integers(0, 255, (256, 3)).astype(np.uint8))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_labels_of_equal_channels_are_read(tmp_path, suffix):
    stored = np.repeat(IDS[..., None], 3, 2)
    if suffix == ".png":
        Image.fromarray(stored).save(tmp_path / "a.png")
    else:
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb")
    np.testing.assert_array_equal(read_label(tmp_path / f"a{suffix}", 2).array, IDS)


def test_equal_channels_are_recognised():
    grey = np.repeat(COLOURS[None, ..., 0], 3, 0)
    assert has_equal_channels(grey)
    changed = grey.copy()
    changed[1, -1, -1] ^= 1
    assert not has_equal_channels(changed)
    assert not has_equal_channels(grey[:2])
    assert not has_equal_channels(grey[:1])


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
@pytest.mark.parametrize("suffix", [".jpg", ".JPEG"])
def test_jpeg_images_are_read_and_labelled_in_tiff(tmp_path, mode, channels, suffix):
    Image.fromarray(COLOURS).convert(mode).save(tmp_path / f"a{suffix}", format="JPEG")
    raster = read(tmp_path / f"a{suffix}", 2)
    expected = np.asarray(Image.open(tmp_path / f"a{suffix}")).reshape(24, 30, -1)
    np.testing.assert_array_equal(raster.array, np.moveaxis(expected, -1, 0))
    assert len(raster.array) == channels
    write_labels(tmp_path / "label.tif", IDS.astype(np.uint32), raster)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "label.tif"), IDS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_jpeg_is_obeyed(tmp_path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(COLOURS).save(tmp_path / "a.jpg", exif=exif)
    from PIL import ImageOps

    shown = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg")))
    np.testing.assert_array_equal(read(tmp_path / "a.jpg", 2).array, np.moveaxis(shown, -1, 0))


def test_labels_of_jpeg_fit_the_image_as_it_is_shown(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(COLOURS).save(tmp_path / "a.jpg", exif=exif)
    Image.fromarray(IDS).save(tmp_path / "stored.png")
    Image.fromarray(IDS.T).save(tmp_path / "shown.png")
    image = read(tmp_path / "a.jpg", 2)
    assert (image.sides, image.unknown, image.spacing) == ((30, 24), "yx", (1, 1))
    np.testing.assert_array_equal(read_label_for(image, tmp_path / "shown.png").array, IDS.T)
    with pytest.raises(BadInput, match=r"found shape \(24, 30\); expected \(30, 24\), the shape of"):
        read_label_for(image, tmp_path / "stored.png")


def test_jpeg_is_refused_where_it_cannot_be_read_or_is_a_label(tmp_path):
    Image.fromarray(IDS).save(tmp_path / "a.jpg")
    with pytest.raises(BadInput, match="found a label in JPEG, which changes values near edges; expected a label"):
        read_label(tmp_path / "a.jpg", 2)
    Image.fromarray(COLOURS).convert("CMYK").save(tmp_path / "c.jpg")
    with pytest.raises(BadInput, match="found colours of the kind CMYK; expected grey or RGB"):
        read(tmp_path / "c.jpg", 2)
    (tmp_path / "d.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-60])
    with pytest.raises(BadInput, match="found a damaged file"):
        read(tmp_path / "d.jpg", 2)
