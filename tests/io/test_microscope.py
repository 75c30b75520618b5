"""CZI, ND2 and LIF files are read with their pixel sizes, image by image; wrong ones are refused."""

import sys

import numpy as np
import pytest
import tifffile
from microscope_files import SIZES, write_czi, write_czi_colours, write_lif, write_nd2

from snakeseg.errors import BadInput
from snakeseg.io.files import checksum
from snakeseg.io.formats import label_suffix
from snakeseg.io.images import list_images_in_file, open_image, read, write_labels
from snakeseg.setup.layout import list_files

WRITERS = {".czi": write_czi, ".nd2": write_nd2, ".lif": write_lif}
# ND2 files have square pixels.
EXPECTED = {".czi": SIZES, ".lif": SIZES, ".nd2": SIZES | {"Y": SIZES["X"]}}


def write_random_file(folder, suffix, channels, planes, kind="uint16"):
    """Write an image of random pixels, and return path and pixels."""
    array = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (channels, planes, 30, 40)).astype(kind)
    path = folder / f"made{suffix}"
    WRITERS[suffix](path, array)
    return path, array


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", WRITERS)
def test_planes_are_read(suffix, channels, kind, tmp_path):
    path, array = write_random_file(tmp_path, suffix, channels, 1, kind)
    raster = read(path, 2)
    assert raster.array.dtype == kind
    np.testing.assert_array_equal(raster.array, array[:, 0])
    assert raster.spacing == pytest.approx([EXPECTED[suffix][axis] for axis in "YX"])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("suffix", WRITERS)
def test_stacks_are_read_whole_and_by_region(suffix, channels, tmp_path):
    path, array = write_random_file(tmp_path, suffix, channels, 5)
    raster = open_image(path, 3)
    assert (raster.array.shape, raster.axes) == (array.shape, "zyx")
    assert raster.spacing == pytest.approx([EXPECTED[suffix][axis] for axis in "ZYX"])
    part = slice(0, 1), slice(1, 4), slice(3, 17), slice(20, 40)
    np.testing.assert_array_equal(raster.array[part], array[part])
    np.testing.assert_array_equal(raster.array[:], array)


@pytest.mark.parametrize(("suffix", "piece"), [(".czi", None), (".lif", (1, 1, 30, 40)), (".nd2", (2, 1, 30, 40))])
def test_chunks_are_the_regions_that_a_reader_reads_at_once(suffix, piece, tmp_path):
    """CZI planes, which may have gigabytes, are read in parts; LIF by whole planes, ND2 by frames of all channels."""
    path, _ = write_random_file(tmp_path, suffix, 2, 5)
    assert open_image(path, 3).array.chunks == piece


@pytest.mark.parametrize("suffix", WRITERS)
def test_labels_are_ome_tiff_of_the_same_pixel_size(suffix, tmp_path):
    path, array = write_random_file(tmp_path, suffix, 1, 5)
    source = open_image(path, 3)
    labels = (array[0] > 30000).astype(np.uint8)
    written = tmp_path / f"labels{label_suffix(path)}"
    write_labels(written, labels, source)
    again = read(written, 3)
    np.testing.assert_array_equal(again.array[0], labels)
    assert again.spacing == pytest.approx(source.spacing)
    with tifffile.TiffFile(written) as file:
        assert file.is_ome


def test_colours_are_red_green_blue(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (9, 8, 3)).astype(np.uint8)
    write_czi_colours(tmp_path / "a.czi", image)
    np.testing.assert_array_equal(read(tmp_path / "a.czi", 2).array, image.transpose(2, 0, 1))


@pytest.mark.parametrize("planes", [1, 4])
@pytest.mark.parametrize("suffix", WRITERS)
def test_every_image_of_a_file_is_read(suffix, planes, tmp_path):
    arrays = [np.random.default_rng(n).integers(0, 60_000, (2, planes, 12, 16)).astype(np.uint16) for n in range(3)]
    path, dims = tmp_path / f"a{suffix}", 2 if planes == 1 else 3
    WRITERS[suffix](path, *arrays)
    images = list_images_in_file(path)
    assert [image.name for image in images] == [f"a{suffix}#{number}" for number in (1, 2, 3)]
    for image, array in zip(images, arrays, strict=True):
        raster = open_image(image, dims)
        np.testing.assert_array_equal(raster.array[:].reshape(array.shape), array)
        part = slice(1, 2), *[slice(1, 3)] * (dims - 2), slice(3, 9), slice(5, 8)
        np.testing.assert_array_equal(raster.array[part], (array if dims == 3 else array[:, 0])[part])
        assert raster.spacing == pytest.approx([EXPECTED[suffix][axis] for axis in "ZYX"[-dims:]])
        assert checksum(image) == checksum(path)
    with pytest.raises(BadInput, match=rf"a{suffix}: found 3 images; .*name each image: a{suffix}#1 to #3"):
        open_image(path, dims)
    for wrong in (0, 4):
        with pytest.raises(
            BadInput, match=rf"a{suffix}#{wrong}: found image number {wrong}; expected a number from 1 to 3;"
        ):
            open_image(f"{path}#{wrong}", dims)


def test_images_are_listed_in_numerical_order(tmp_path):
    """The order is numerical: image 10 does not follow image 1."""
    write_lif(tmp_path / "a.lif", *[np.zeros((1, 1, 8, 9), np.uint8)] * 11)
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((8, 9), np.uint8))
    listed = list_files(tmp_path).images
    assert [path.name for path in listed] == [*(f"a.lif#{n}" for n in range(1, 12)), "b.tif"]


def test_invalid_image_numbers_are_refused(tmp_path):
    write_lif(tmp_path / "a.lif", np.zeros((1, 1, 8, 9), np.uint8))
    for wrong in ("#", "#x", "#\N{ARABIC-INDIC DIGIT ONE}", "#" + "1" * 5000):
        with pytest.raises(BadInput, match="expected"):
            open_image(f"{tmp_path}/a.lif{wrong}", 2)


@pytest.mark.parametrize("suffix", WRITERS)
def test_file_of_one_image_needs_no_number(suffix, tmp_path):
    path, array = write_random_file(tmp_path, suffix, 1, 1)
    assert list_images_in_file(path) == [path]
    np.testing.assert_array_equal(read(f"{path}#1", 2).array, array[:, 0])
    path.write_bytes(b"nothing")
    assert list_images_in_file(path) == [path]


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_truncated_file_is_refused(suffix, share, tmp_path):
    path, _ = write_random_file(tmp_path, suffix, 2, 3)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BadInput, match=f"made{suffix}"):
        read(path, 3)


@pytest.mark.parametrize(("suffix", "package"), [(".czi", "pylibCZIrw"), (".nd2", "nd2"), (".lif", "liffile")])
def test_missing_reader_package_is_reported(suffix, package, tmp_path, monkeypatch):
    path, _ = write_random_file(tmp_path, suffix, 1, 1)
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BadInput, match=f"no {package};.*pip install {package}"):
        open_image(path, 2)
