"""Functions that read untrusted files by SimpleITK. They run in the process of `call_isolated` and return plain data.

A wrong header can make ITK write outside of its buffers, so ITK never reads files in the main process.
"""

import numpy as np

# Name of ITK's DICOM reader. ITK must not choose a reader itself: the first 128 bytes of a DICOM file are free and may
# look like another format, whose header can name files elsewhere.
DICOM_IO = "GDCMImageIO"


def image_header(path: str, image_io: str) -> dict:
    """Read the size in pixels (x, y, z) and the number of components from the header of an image file."""
    reader = _reader(path, image_io)
    reader.ReadImageInformation()
    return {"size": reader.GetSize(), "components": reader.GetNumberOfComponents()}


def read_image(path: str, image_io: str) -> dict:
    """Read the pixels and the geometry of an image file, as a dict (see `_plain`)."""
    return _plain(_reader(path, image_io).Execute())


def series_header(folder: str) -> dict:
    """Count the DICOM series in a folder; of a single series, read the files, their origins, size and components."""
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
    """Read the pixels and the geometry of a DICOM series, as a dict (see `_plain`)."""
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
    """Convert an ITK image to a dict: array (z, y, x) or (z, y, x, components), vectors in the order x, y, z."""
    sitk = _library()
    dims = image.GetDimension()
    return {
        "array": sitk.GetArrayFromImage(image),
        "components": image.GetNumberOfComponentsPerPixel(),
        "origin": image.GetOrigin(),
        "spacing": image.GetSpacing(),
        "direction": np.reshape(image.GetDirection(), (dims, dims)),
    }
