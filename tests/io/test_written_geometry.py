"""Written labels state shape, position, pixel size, unit and ids as an independent reader finds them."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile

from snakeseg.io.images import open_image, read_label, write_labels

SHAPE, SIZES = (4, 6, 5), (2.5, 0.5, 0.25)
IMAGE = np.arange(120, dtype=np.uint8).reshape(SHAPE)
ORIGIN, DIRECTION = (3.0, -4.0, 5.0), (0.0, -1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0)


def as_itk() -> sitk.Image:
    image = sitk.GetImageFromArray(IMAGE)
    image.SetSpacing(SIZES[::-1])
    image.SetOrigin(ORIGIN)
    image.SetDirection(DIRECTION)
    return image


def save_nifti(path) -> None:
    """Write an oblique volume in micrometres."""
    turned = np.array([[0, -0.5, 0], [0.25, 0, 0], [0, 0.1, 2.5]])
    image = nibabel.Nifti1Image(IMAGE.T, np.block([[turned, np.array([[3], [-4], [5]])], [np.zeros((1, 3)), 1]]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, path)


def save_ome(path) -> None:
    sizes = {f"PhysicalSize{axis}": size for axis, size in zip("ZYX", SIZES, strict=True)}
    tifffile.imwrite(path, IMAGE, metadata={"axes": "ZYX", **sizes, "PhysicalSizeZUnit": "nm"})


def save_imagej(path) -> None:
    metadata = {"axes": "ZYX", "unit": "nm", "spacing": SIZES[0]}
    tifffile.imwrite(path, IMAGE, imagej=True, resolution=(1 / SIZES[2], 1 / SIZES[1]), metadata=metadata)


def tiff_geometry(path) -> list:
    with tifffile.TiffFile(path) as file:
        tags = [file.pages[0].tags.valueof(name) for name in ("XResolution", "YResolution", "ResolutionUnit")]
        description = file.imagej_metadata or {}
        stated = [description.get(key) for key in ("unit", "spacing")]
        ome = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"] if file.is_ome else {}
        sizes = {key: value for key, value in ome.items() if "PhysicalSize" in key}
        return [file.series[0].axes, file.series[0].shape, tags, stated, sizes]


def nifti_geometry(path) -> list:
    header = nibabel.load(path).header
    units, pixdim = header.get_xyzt_units(), header["pixdim"][:4].tolist()
    return [header.get_data_shape(), header.get_sform().tolist(), header.get_qform().tolist(), units, pixdim]


def itk_geometry(path) -> list:
    image = sitk.ReadImage(str(path))
    return [image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection()]


FORMATS = {
    "a.ome.tif": (save_ome, tiff_geometry, tifffile.imread),
    "a.tif": (save_imagej, tiff_geometry, tifffile.imread),
    "a.nii": (save_nifti, nifti_geometry, lambda path: np.asarray(nibabel.load(path).dataobj).T),
    "a.nii.gz": (save_nifti, nifti_geometry, lambda path: np.asarray(nibabel.load(path).dataobj).T),
    "a.mha": (lambda path: sitk.WriteImage(as_itk(), str(path)), itk_geometry, None),
    "a.nrrd": (lambda path: sitk.WriteImage(as_itk(), str(path)), itk_geometry, None),
}


@pytest.mark.parametrize("name", FORMATS)
def test_labels_have_the_geometry_and_ids_of_their_image(tmp_path, name):
    """The label of a pixel is its intensity, so that every place is checked."""
    save, geometry, pixels = FORMATS[name]
    pixels = pixels or (lambda path: sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
    save(tmp_path / name)
    source = open_image(tmp_path / name, 3)
    written = tmp_path / f"written{name[1:]}"
    write_labels(written, source.array[:][0], source)
    assert geometry(written) == geometry(tmp_path / name)
    np.testing.assert_array_equal(pixels(written), IMAGE)
    assert pixels(written).dtype == np.uint8
    again = read_label(written, 3)
    assert again.spacing == source.spacing
    np.testing.assert_array_equal(again.array, source.array[:][0])
