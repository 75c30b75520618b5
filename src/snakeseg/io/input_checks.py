"""Checks of input files before their pixels are read: kind of file, memory, and bytes stored for the pixels."""

import errno
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from snakeseg.errors import BadInput
from snakeseg.io.file_names import file_and_number

# Largest compression ratio of gzip and zlib, in bytes per byte, and an upper bound in pixels per byte for all codecs.
# Zstandard, the most effective one, compresses a constant chunk 30,000 to 1, and images of cells or tissue 100 to 1.
DEFLATE_RATIO, PIXELS_PER_BYTE = 1032, 10**5


def require_kind(path: str | Path, folder: bool, what: str, remedy: str) -> None:
    """Check that a path is a regular file or a folder. Pipes and devices are refused, as reading might never end.

    Parameters
    ----------
    path : path
        May end in the number of an image: `experiment.lif#2`.
    folder : bool
        True if the path must be a folder, False if it must be a regular file.
    what : str
        Expected content, for the error.
    remedy : str
        Instruction for the error.

    Raises
    ------
    BadInput
        If nothing exists there, or something of another kind.
    """
    file, _ = file_and_number(path)
    if os.path.isdir(file) if folder else os.path.isfile(file):  # methods of Path raise OSError for too long names
        return
    if os.path.isdir(file) or os.path.isfile(file):
        raise BadInput(path, "a file, not a folder" if folder else "a folder, not a file", what, remedy)
    if os.path.exists(file):
        raise BadInput(path, "a pipe, socket or device, not a file", what, remedy)
    raise BadInput(path, "a link to nothing" if os.path.islink(file) else "no such file", what, remedy)


def require_upright(path: str | Path, orientation: object) -> None:
    """Check the tag Orientation of TIFF and EXIF. Other values than 1 turn or mirror the pixels in some viewers only.

    Raises
    ------
    BadInput
        If viewers that obey the tag show the image differently from those that ignore it (ImageJ, napari): the file
        does not state in which of them a label was drawn.
    """
    if orientation in range(2, 9):
        found = f"orientation {orientation} in its header, which viewers obey or ignore"
        remedy = "save the pixels upright, without the tag, for instance by magick mogrify -auto-orient"
        raise BadInput(path, found, "1 (upright)", remedy)


def require_memory(path: str | Path, shape: Sequence[int], size: int, remedy: str) -> None:
    """Check that pixels that can only be read together fit in half of the machine's memory.

    Parameters
    ----------
    path : path
    shape : sequence of int
        Shape of the indivisible piece: the image, a tile, a chunk.
    size : int
        Bytes per pixel.
    remedy : str
        Instruction for the error.

    Raises
    ------
    BadInput
        If the piece is larger.
    """
    limit = psutil.virtual_memory().total / 2 / size
    if math.prod(map(int, shape)) > limit:
        found = f"{' x '.join(map(str, shape))} pixels in one piece"
        raise BadInput(path, found, f"at most {limit / 1e6:.0f} million (half of the memory)", remedy)


def require_stored(path: str | Path, shape: Sequence[int], stored: int, least: float) -> None:
    """Check that the header of a file claims no more pixels than its bytes can store.

    Otherwise the reader of a tiny file with a header of terapixels would not end in reasonable time.

    Parameters
    ----------
    path : path
    shape : sequence of int
        Shape of the image by its header.
    stored : int
        Size of the file in bytes.
    least : float
        Smallest possible number of bytes for this shape.

    Raises
    ------
    BadInput
        If `stored` is less than `least`.
    """
    if stored < least:
        found = f"{' x '.join(map(str, shape))} pixels in {stored} bytes"
        raise BadInput(path, found, f"at least {math.ceil(least)} bytes for them", "copy it again from its source")


def stored_bytes(folder: str | Path, enough: float) -> int:
    """Return the total size of the files in a folder and its subfolders, in bytes.

    Links count with their own size. The search stops once the total reaches `enough`.
    """
    total, folders = 0, [os.fspath(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if total >= enough:
                    return total
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


@contextmanager
def damage_as_bad_input(path: Path) -> Iterator[None]:
    """Convert the errors that decoders raise on damaged files to BadInput."""
    try:
        yield
    except BadInput:
        raise
    except MemoryError as error:
        found = f"more in one piece than the memory holds ({f'MemoryError {error}'.strip()})"
        raise BadInput(path, found, "pieces that fit in memory", "convert it to a tiled TIFF or Zarr") from error
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE):
            raise  # a full disk, or too many open files
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInput(
            path, f"a damaged file ({cause})", "a readable image", "copy it again from its source"
        ) from error


def image_index(path: Path, number: int | None, count: int) -> int | None:
    """Return the index of an image in its file, from 0; None if the file contains only this image.

    Parameters
    ----------
    path : path
    number : int or None
        Number in the path, from 1; None without one.
    count : int
        Number of images in the file.

    Raises
    ------
    BadInput
        If the file contains several images and the path names none, or no image has the number.
    """
    if number is None and count > 1:
        remedy = f"name each image: {path.name}#1 to #{count}"
        raise BadInput(path, f"{count} images", "the number of an image", remedy)
    if number is not None and not 1 <= number <= count:
        raise BadInput(path, f"image number {number}", f"a number from 1 to {count}", "correct the number after #")
    return number - 1 if count > 1 else None
