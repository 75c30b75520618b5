"""Sidecar files of an image: links within its folder are followed, all others are refused."""

import os

import numpy as np
import pytest
import tifffile
import zarr

from snakeseg.errors import BadInput
from snakeseg.io.images import read
from snakeseg.io.readers.sidecar_files import require_own

HEADER = "NDims = 3\nDimSize = 4 4 4\nElementType = MET_UCHAR\nElementDataFile = b.raw\n"
PIXELS = np.arange(64, dtype=np.uint8)


@pytest.fixture
def store(tmp_path):
    """Write an image of two files; return its folder."""
    pytest.importorskip("SimpleITK")
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "a.mhd").write_text(HEADER, encoding="utf-8")
    (folder / "b.raw").write_bytes(PIXELS.tobytes())
    return folder


def test_links_of_header_and_data_into_one_folder_are_followed(store, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("a.mhd", "b.raw"):
        (data / name).symlink_to(store / name)
    assert sorted(read(data / "a.mhd", 3).array.ravel()) == PIXELS.tolist()
    (tmp_path / "linked").symlink_to(data)
    assert sorted(read(tmp_path / "linked/a.mhd", 3).array.ravel()) == PIXELS.tolist()


def test_a_link_within_the_folder_is_followed(store):
    (store / "deep").mkdir()
    (store / "b.raw").rename(store / "deep/c.raw")
    (store / "b.raw").symlink_to("deep/c.raw")
    assert sorted(read(store / "a.mhd", 3).array.ravel()) == PIXELS.tolist()


def test_a_link_into_a_folder_with_a_longer_name_is_refused(store, tmp_path):
    (tmp_path / "store-of-others").mkdir()
    (store / "b.raw").rename(tmp_path / "store-of-others/b.raw")
    (store / "b.raw").symlink_to("../store-of-others/b.raw")
    with pytest.raises(BadInput, match=r"b.raw: found a link to /.*/store-of-others/b.raw; expected a file in its own"):
        read(store / "a.mhd", 3)


def test_files_of_a_linked_ome_tiff_must_lie_in_its_folders(tmp_path):
    """tifffile searches for the other files beside the target of the link."""
    folder = tmp_path / "store"
    folder.mkdir()
    data = '<TiffData FirstC="{0}" PlaneCount="1"><UUID FileName="{1}.ome.tif">urn:uuid:{1}</UUID></TiffData>'
    planes = "".join(data.format(number, name) for number, name in enumerate("ab"))
    for value, name in enumerate("ab"):
        xml = (
            '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
            f' UUID="urn:uuid:{name}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT"'
            f' Type="uint8" SizeX="24" SizeY="24" SizeC="2" SizeZ="1" SizeT="1">'
            f'<Channel ID="Channel:0"/><Channel ID="Channel:1"/>{planes}</Pixels></Image></OME>'
        )
        array = np.full((24, 24), value, np.uint8)
        tifffile.imwrite(folder / f"{name}.ome.tif", array, description=xml, metadata=None)
    (tmp_path / "a.ome.tif").symlink_to(folder / "a.ome.tif")
    assert read(tmp_path / "a.ome.tif", 2).array.max((1, 2)).tolist() == [0, 1]
    (folder / "b.ome.tif").rename(tmp_path / "b.ome.tif")
    (folder / "b.ome.tif").symlink_to(tmp_path / "b.ome.tif")
    assert read(tmp_path / "a.ome.tif", 2).array.shape == (2, 24, 24)  # both lie below the folder of the given path
    with pytest.raises(BadInput, match=r"b.ome.tif: found a link to"):
        read(folder / "a.ome.tif", 2)


def test_links_to_and_within_a_zarr_are_followed(tmp_path):
    zarr.create_array(tmp_path / "store.zarr", data=PIXELS.reshape(8, 8), chunks=(4, 8))
    chunks = tmp_path / "store.zarr/c"
    (chunks / "0").rename(chunks / "first")
    (chunks / "0").symlink_to("first")
    (tmp_path / "a.zarr").symlink_to("store.zarr")
    assert read(tmp_path / "a.zarr", 2).array.ravel().tolist() == PIXELS.tolist()


def test_links_out_of_the_given_folders_are_refused(tmp_path):
    (tmp_path / "a").touch()
    require_own(tmp_path / "a", ["/"])
    os.symlink("b", tmp_path / "b")
    require_own(tmp_path / "b", [os.path.realpath(tmp_path)])  # a link to itself
    os.symlink("/nowhere", tmp_path / "c")
    with pytest.raises(BadInput, match="a link to /nowhere"):
        require_own(tmp_path / "c", [os.path.realpath(tmp_path)])


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_a_dicom_file_is_read_only_as_dicom(suffix, tmp_path):
    """Its first 128 bytes are free. A header of another format there names a file elsewhere as its pixels."""
    sitk = pytest.importorskip("SimpleITK")
    (tmp_path / "decoy").write_bytes(bytes([7]) * 64)
    (tmp_path / "series").mkdir()
    file = tmp_path / "series/a.dcm"
    sitk.WriteImage(sitk.Image(8, 8, sitk.sitkUInt8), str(file))
    if suffix == ".mhd":
        header = "NDims = 2\nDimSize = 8 8\nElementType = MET_UCHAR\nElementDataFile = ../decoy\n"
    else:
        header = "NRRD0004\ntype: uchar\ndimension: 2\nsizes: 8 8\nencoding: raw\ndata file: ../decoy\n\n"
    file.write_bytes(header.encode().ljust(128, b"\n") + file.read_bytes()[128:])
    file.rename(file.with_suffix(suffix))
    assert read(tmp_path / "series", 2).array.max() == 0
