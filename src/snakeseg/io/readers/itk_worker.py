"""Functions that call SimpleITK on files of others; they run in the process of `call_isolated` and return plain data.

Wrong headers make ITK write into memory that is not its own, so it reads nothing in the process of the caller.
"""

import numpy as np

# A DICOM file may begin as a file of another format, since its first 128 bytes are free, and headers of other formats
# name files elsewhere; ITK is not left to choose.
DICOM_IO = "GDCMImageIO"


def image_header(path: str, image_io: str) -> dict:
    """Size in pixels (x, y, z) and number of components of an image file."""
    reader = _reader(path, image_io)
    reader.ReadImageInformation()
    return {"size": reader.GetSize(), "components": reader.GetNumberOfComponents()}


def read_image(path: str, image_io: str) -> dict:
    """Pixels and geometry of an image file."""
    return _plain(_reader(path, image_io).Execute())


def series_header(folder: str) -> dict:
    """Number of DICOM series in a folder; of a single one, its files, the origin of each, size and components."""
    sitk = _library()
    names = sitk.ImageSeriesReader.GetGDCMSeriesIDs(folder)
    if len(names) != 1:
        return {"series": len(names)}
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder, names[0])
    reader, origins = _reader(files[0], DICOM_IO), []
    for file in files:
        reader.SetFileName(file)
        reader.ReadImageInformation()
        origins.append(reader.GetOrigin())
    size = *reader.GetSize()[:2], len(files)
    return {"series": 1, "files": files, "origins": origins, "size": size, "components": reader.GetNumberOfComponents()}


def read_series(files: list[str]) -> dict:
    """Pixels and geometry of a DICOM series."""
    reader = _library().ImageSeriesReader()
    reader.SetImageIO(DICOM_IO)
    reader.SetFileNames(files)
    return _plain(reader.Execute())


def _library():
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK


def _reader(path: str, image_io: str):
    reader = _library().ImageFileReader()
    reader.SetImageIO(image_io)
    reader.SetFileName(path)
    return reader


def _plain(image) -> dict:
    """Array (z, y, x), with a last axis of components if there are several; vectors in the order x, y, z."""
    sitk = _library()
    dims = image.GetDimension()
    return {
        "array": sitk.GetArrayFromImage(image),
        "components": image.GetNumberOfComponentsPerPixel(),
        "origin": image.GetOrigin(),
        "spacing": image.GetSpacing(),
        "direction": np.reshape(image.GetDirection(), (dims, dims)),
    }
