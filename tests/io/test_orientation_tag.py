"""The tag Orientation of TIFF and EXIF, which some viewers ignore, is refused."""

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from snakeseg.errors import BadInput
from snakeseg.io.images import open_image, read, read_label

PLANE = np.arange(63, dtype=np.uint8).reshape(9, 7)
REFUSED = r"found orientation {} in its header, which viewers obey or ignore; expected 1 \(upright\)"


def save_tiff(path, orientation, array=PLANE):
    tag = (274, "H", 1, orientation, True)
    tifffile.imwrite(path, array, extratags=[tag], photometric="minisblack", metadata=None)


def save_png(path, orientation, exif_last=False):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(PLANE).save(path, exif=exif)
    if exif_last:  # the chunk may follow the pixels
        content = path.read_bytes()
        start = content.index(b"eXIf") - 4
        end = start + 12 + int.from_bytes(content[start : start + 4])
        place = content.index(b"IEND") - 4
        path.write_bytes(content[:start] + content[end:place] + content[start:end] + content[place:])


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_turned_images_and_labels_are_refused(tmp_path, name, orientation):
    (save_tiff if ".tif" in name else save_png)(tmp_path / name, orientation)
    for open_file in (open_image, read_label):
        with pytest.raises(BadInput, match=REFUSED.format(orientation)):
            open_file(tmp_path / name, 2)


def test_exif_behind_the_pixels_is_found(tmp_path):
    save_png(tmp_path / "a.png", 6, exif_last=True)
    assert Image.open(tmp_path / "a.png").getexif()[ExifTags.Base.Orientation] == 6
    with pytest.raises(BadInput, match=REFUSED.format(6)):
        open_image(tmp_path / "a.png", 2)


def test_exif_as_text_of_imagemagick_is_found(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 8
    data, info = exif.tobytes(), PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(data):8}\n{data.hex()}\n", zip=True)
    Image.fromarray(PLANE).save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(BadInput, match=REFUSED.format(8)):
        open_image(tmp_path / "a.png", 2)


def test_turned_stacks_are_refused(tmp_path):
    save_tiff(tmp_path / "a.tif", 4, np.stack([PLANE] * 3))
    with pytest.raises(BadInput, match=REFUSED.format(4)):
        open_image(tmp_path / "a.tif", 3)


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_upright_images_are_read(tmp_path, name):
    (save_tiff if ".tif" in name else save_png)(tmp_path / name, 1)
    np.testing.assert_array_equal(read(tmp_path / name, 2).array[0], PLANE)
