"""Several images in a TIFF: pages of a stack, previews, numbered images, sets of OME-TIFF files."""

import numpy as np
import pytest
import tifffile

from snakeseg.errors import BadInput
from snakeseg.io.images import list_images_in_file, open_image, read, read_label, write_labels
from snakeseg.setup.plan import plan_setup

RNG = np.random.default_rng(0)


def noise(*shape, dtype=np.uint8):
    return RNG.integers(0, 255, shape).astype(dtype)


def write_pages(path, pages, **options):
    """Write pages one by one, as suite2p, ImSwitch and scikit-image do; tifffile makes a series of every page."""
    with tifffile.TiffWriter(path) as file:
        for page in pages:
            file.write(page, **options)
    return path


@pytest.mark.parametrize("options", [{}, {"metadata": None}, {"compression": "zlib"}, {"metadata": {"axes": "YX"}}])
def test_pages_written_one_by_one_are_a_stack(tmp_path, options):
    """Source: shared/cases/inputs/pages_as_series.py."""
    stack = noise(10, 24, 30)
    path = write_pages(tmp_path / "a.tif", stack, **options)
    assert list_images_in_file(path) == [path]
    np.testing.assert_array_equal(read(path, 3).array, stack[None])
    with pytest.raises(BadInput, match=r"shape \(10, 24, 30\) with axes 'ZYX'; expected 2 spatial axes"):
        open_image(path, 2)


def test_colour_pages_are_a_stack_of_channels(tmp_path):
    stack = noise(5, 24, 30, 3)
    path = write_pages(tmp_path / "a.tif", stack, photometric="rgb")
    np.testing.assert_array_equal(read(path, 3).array, np.moveaxis(stack, -1, 0))


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("mark", [{"subfiletype": 1}, {}], ids=["marked", "unmarked"])
def test_preview_is_skipped(tmp_path, first, mark):
    """Source: shared/cases/inputs/pages_as_series.py. A preview may have colours and rounded sides."""
    plane, preview = noise(64, 50, dtype=np.uint16), noise(16, 12, 3)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for is_preview in (first, not first):
            if is_preview:
                file.write(preview, photometric="rgb", **mark)
            else:
                file.write(plane)
    assert list_images_in_file(path) == [path]
    np.testing.assert_array_equal(read(path, 2).array, plane[None])


def test_several_images_are_numbered(tmp_path):
    """Images of other proportions or axes are neither pages of a stack nor previews."""
    images = [noise(24, 30), noise(30, 16), noise(4, 24, 30)]
    path = write_pages(tmp_path / "a.tif", images, photometric="minisblack")
    numbered = list_images_in_file(path)
    assert [one.name for one in numbered] == ["a.tif#1", "a.tif#2", "a.tif#3"]
    for one, image in zip(numbered, images, strict=True):
        np.testing.assert_array_equal(read(one, image.ndim).array, image[None])
    with pytest.raises(BadInput, match=r"found 3 images; expected the number of an image; name each image: a\.tif#1"):
        open_image(path, 2)
    with pytest.raises(BadInput, match="image number 4; expected a number from 1 to 3"):
        open_image(f"{path}#4", 2)


def test_ome_images_keep_their_pixel_sizes(tmp_path):
    """Images of OME-TIFF are images even with equal shapes, and labels have the pixel size of their own image."""
    images, sizes = [noise(24, 30), noise(24, 30)], [(0.5, 0.25), (2.0, 4.0)]
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for image, (height, width) in zip(images, sizes, strict=True):
            file.write(image, metadata={"axes": "YX", "PhysicalSizeY": height, "PhysicalSizeX": width})
    for one, image, size in zip(list_images_in_file(path), images, sizes, strict=True):
        raster = read(one, 2)
        np.testing.assert_array_equal(raster.array, image[None])
        assert raster.spacing == size
        write_labels(tmp_path / "labels.ome.tif", (image > 9).astype(np.uint8), raster)
        label = read_label(tmp_path / "labels.ome.tif", 2)
        np.testing.assert_array_equal(label.array, image > 9)
        assert label.spacing == size


SPACE = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
SETS = ["every file", "companion.ome", "field0.ome.tif"]


def write_set(folder, images, header_in):
    """Write a set of OME-TIFF files with one image each; the header is in every file, or in a single one."""
    names = [f"field{n}.ome.tif" for n in range(len(images))]
    parts = "".join(
        f'<Image ID="Image:{n}" Name="field {n}"><Pixels ID="Pixels:{n}" DimensionOrder="XYZCT" Type="uint8"'
        f' SizeX="30" SizeY="24" SizeZ="1" SizeC="1" SizeT="1" PhysicalSizeX="{n + 1}" PhysicalSizeY="{n + 1}">'
        f'<TiffData IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{n}</UUID></TiffData></Pixels></Image>'
        for n, name in enumerate(names)
    )
    if header_in == names[0]:  # the planes of the file with the header need no file name
        parts = parts.replace(f'<UUID FileName="{names[0]}">urn:uuid:0</UUID>', "")
    other = f'<BinaryOnly MetadataFile="{header_in}" UUID="urn:uuid:header"/>'
    for n, name in enumerate(names):
        inside = parts if header_in in ("every file", name) else other
        xml = f'<?xml version="1.0"?><OME {SPACE} UUID="urn:uuid:{n}">{inside}</OME>'
        tifffile.imwrite(folder / name, images[n], description=xml, metadata=None)
    if header_in.endswith("companion.ome"):
        (folder / "companion.ome").write_text(f'<OME {SPACE} UUID="urn:uuid:header">{parts}</OME>', encoding="utf-8")
    return [folder / name for name in names]


@pytest.mark.parametrize("header_in", SETS)
def test_file_of_a_set_has_its_own_image(tmp_path, header_in):
    images = [noise(24, 30) for _ in range(3)]
    for n, path in enumerate(write_set(tmp_path, images, header_in)):
        assert list_images_in_file(path) == [path]
        raster = read(path, 2)
        np.testing.assert_array_equal(raster.array, images[n][None])
        assert raster.spacing == (n + 1, n + 1)


def test_header_of_a_set_must_lie_beside_it(tmp_path):
    first, *_ = write_set(tmp_path, [noise(24, 30)], "companion.ome")
    (tmp_path / "companion.ome").unlink()
    with pytest.raises(BadInput, match=r"found no file companion.ome of at most 256 MB beside it; expected this file"):
        open_image(first, 2)
    (tmp_path / "companion.ome").symlink_to("/etc/passwd")
    with pytest.raises(BadInput, match="found a link to /etc/passwd"):
        open_image(first, 2)
    first, *_ = write_set(tmp_path, [noise(24, 30)], "../other.ome")
    with pytest.raises(BadInput, match=r"found '../other.ome' in its header; expected files in its own folder"):
        open_image(first, 2)
    first, *_ = write_set(tmp_path, [noise(24, 30)], "bomb.ome")
    (tmp_path / "bomb.ome").write_text('<!DOCTYPE a [<!ENTITY b "c">]><OME>&b;</OME>', encoding="utf-8")
    with pytest.raises(BadInput, match=r"bomb.ome: found a document type in its OME header"):
        open_image(first, 2)


def test_init_takes_pages_for_what_the_labels_say(tmp_path):
    """Pages may be slices beside labels of volumes; beside labels of planes they are refused, not cut to the first."""
    for name, shape in (("slices", (10, 32, 32)), ("channels", (32, 32))):
        for k in range(5):
            (tmp_path / name / "images").mkdir(parents=True, exist_ok=True)
            (tmp_path / name / "labels").mkdir(exist_ok=True)
            write_pages(tmp_path / name / f"images/c{k}.tif", noise(10 if name == "slices" else 3, 32, 32))
            label = np.zeros(shape, np.uint8)
            label[..., 5 + k : 20, 8:20] = 1
            tifffile.imwrite(tmp_path / name / f"labels/c{k}.tif", label)
    survey = plan_setup(tmp_path / "slices", None).found
    assert (survey.dims, survey.shapes[0], survey.channels, survey.problems) == (3, (10, 32, 32), 1, [])
    with pytest.raises(ValueError, match=r"c0.tif: found shape \(3, 32, 32\) with axes 'ZYX'; expected 2"):
        plan_setup(tmp_path / "channels", None)


def test_init_lists_the_images_of_a_file(tmp_path):
    """The second image of a file is paired with the label a-2_mask.tif."""
    for k in range(2):
        images = [noise(32, 24), noise(24, 40)]
        write_pages(tmp_path / f"a{k}.tif", images)
        for n, image in enumerate(images, 1):
            label = np.zeros(image.shape, np.uint8)
            label[5 + k : 20, 8:20] = 1
            tifffile.imwrite(tmp_path / f"a{k}-{n}_mask.tif", label)
    sheet = plan_setup(tmp_path, None).sheet
    assert sheet["image"].tolist() == ["a0.tif#1", "a0.tif#2", "a1.tif#1", "a1.tif#2"]
    assert sheet["label"].tolist() == [f"a{k}-{n}_mask.tif" for k in range(2) for n in (1, 2)]
