"""Small files that claim many pixels end in an error; valid sparse files are read."""

import os
import struct
import zlib

import numpy as np
import pytest
import zarr

from snakeseg.errors import BadInput
from snakeseg.io.images import open_image, read, write_labels
from snakeseg.io.input_checks import DEFLATE_RATIO, stored_bytes
from snakeseg.io.readers import ome_zarr

SIDE = 256


def write_tiled_tiff(path, tiles: int, offsets: list[int], sizes: list[int], data: bytes) -> None:
    """Write a TIFF of tiles x tiles deflated tiles with these offsets and sizes."""
    count = tiles * tiles
    table = 8 + len(data)
    tags = {
        256: tiles * SIDE, 257: tiles * SIDE, 258: 8, 259: 8, 262: 1, 277: 1, 322: SIDE, 323: SIDE,
        324: table, 325: table + 4 * count,
    }  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, count if tag > 323 else 1, value) for tag, value in tags.items())
    with open(path, "wb") as file:
        file.write(struct.pack("<2sHI", b"II", 42, table + 8 * count) + data)
        file.write(struct.pack(f"<{count}I", *offsets) + struct.pack(f"<{count}I", *sizes))
        file.write(struct.pack("<H", len(tags)) + entries + bytes(4))


def test_tiles_that_share_their_bytes_are_refused(tmp_path):
    data = zlib.compress(bytes(SIDE * SIDE))
    write_tiled_tiff(tmp_path / "a.tif", 100, [8] * 10**4, [len(data)] * 10**4, data)
    with pytest.raises(BadInput, match=r"found a damaged file \(840000 bytes of tiles or strips in a file of 80218\)"):
        open_image(tmp_path / "a.tif", 2)


def test_tiles_without_bytes_are_zeros(tmp_path):
    """Programs write sparse TIFFs in this way; all empty tiles may name the same offset."""
    data = zlib.compress(bytes([7]) * SIDE * SIDE)
    write_tiled_tiff(tmp_path / "a.tif", 3, [8] + [0] * 8, [len(data)] + [0] * 8, data)
    image = read(tmp_path / "a.tif", 2).array[0]
    assert (image[:SIDE, :SIDE] == 7).all()
    assert image.sum(dtype=int) == 7 * SIDE * SIDE


def test_a_tiff_of_too_few_bytes_for_its_pixels_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("snakeseg.io.readers.tiff.PIXELS_PER_BYTE", 100)
    write_tiled_tiff(tmp_path / "a.tif", 3, [0] * 9, [0] * 9, b"")
    with pytest.raises(BadInput, match="found 768 x 768 pixels in 206 bytes; expected at least 5899 bytes for them"):
        open_image(tmp_path / "a.tif", 2)


@pytest.mark.parametrize("name", ["a.png", "a.nrrd", "a.mha"])
def test_images_of_the_highest_compression_are_read(name, tmp_path):
    pixels = np.zeros((40, 500, 500), np.uint8)
    path = str(tmp_path / name)
    if name == "a.png":
        from PIL import Image

        Image.new("1", (8000, 8000)).save(path)
        assert os.path.getsize(path) * 8 * DEFLATE_RATIO < 3 * 8000**2
    else:
        sitk = pytest.importorskip("SimpleITK")
        sitk.WriteImage(sitk.GetImageFromArray(pixels), path, useCompression=True)
        assert os.path.getsize(path) * DEFLATE_RATIO < 3 * pixels.size
    assert read(path, 2 if name == "a.png" else 3).array.max() == 0


@pytest.mark.parametrize("dims", [2, 3])
def test_written_labels_without_objects_can_be_read(dims, tmp_path, monkeypatch):
    monkeypatch.setattr(ome_zarr, "FREE_PIXELS", 0)
    monkeypatch.setattr(ome_zarr, "FREE_CHUNKS", 0)
    side = {2: 4096, 3: 256}[dims]
    zarr.create_array(tmp_path / "a.zarr", data=np.ones((64,) * dims, np.uint8))
    source = open_image(tmp_path / "a.zarr", dims)
    write_labels(tmp_path / "b.ome.zarr", np.zeros((side,) * dims, np.uint8), source, 2**20)
    assert read(tmp_path / "b.ome.zarr", dims).array.shape == (1, *(side,) * dims)


def test_a_sparse_zarr_is_read_up_to_a_limit(tmp_path, monkeypatch):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(1000, 1000), chunks=(10, 10), dtype="u1")
    array[:10, :10] = 1
    assert read(tmp_path / "a.zarr", 2).array.sum() == 100
    monkeypatch.setattr(ome_zarr, "FREE_CHUNKS", 5000)
    with pytest.raises(BadInput, match=r"found 1000 x 1000 pixels in .* bytes; expected at least 5000 bytes for them"):
        open_image(tmp_path / "a.zarr", 2)


def test_counting_of_bytes_ends_when_there_are_enough(tmp_path, monkeypatch):
    for name in ("a", "b/c", "b/d/e"):
        (tmp_path / name).mkdir(parents=True)
        for number in range(10):
            (tmp_path / name / str(number)).write_bytes(bytes(10))
    (tmp_path / "b/d/loop").symlink_to(tmp_path)
    assert 300 < stored_bytes(tmp_path, 10**9) < 600  # plus the link
    scanned = []
    monkeypatch.setattr(os, "scandir", lambda folder, scan=os.scandir: (scanned.append(folder), scan(folder))[1])
    assert stored_bytes(tmp_path, 15) == 20
    assert len(scanned) <= 4
