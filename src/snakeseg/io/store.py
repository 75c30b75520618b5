"""Stores: the arrays of a batch of samples in one zipped Zarr v3, so that a batch is a single file."""

import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zarr
from zarr.storage import MemoryStore, ZipStore

from snakeseg.arrays import concatenate, prefetch_results
from snakeseg.errors import BadInput
from snakeseg.io.files import EPOCH, atomic_file, temporary_folder
from snakeseg.io.input_checks import require_kind
from snakeseg.io.readers.codecs import trust_no_chunk


class Streamed(NamedTuple):
    """Arrays of one dtype and spatial shape that are written piece by piece.

    Parameters
    ----------
    channels : dict
        Number of channels (length of the first axis) of each array, by its name.
    shape, chunks : tuple of int
        Spatial shape of the arrays and of their chunks. A chunk contains all channels.
    dtype : dtype
    pieces : iterable of (region, values)
        Spatial region, which consists of whole chunks, and its values, shape (total channels, *region): the channels of
        all arrays in the order of `channels`.
    """

    channels: dict[str, int]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype
    pieces: Iterable[tuple[tuple[slice, ...], np.ndarray]]


def write_store(path: str | Path, samples: Iterable[tuple[str, dict, dict[str, np.ndarray] | Streamed]]) -> None:
    """Write samples to a store, atomically; equal samples give equal bytes.

    Parameters
    ----------
    path : path
        Ends in .zarr.zip.
    samples : iterable of (name, attributes, arrays)
        Each sample becomes a group with JSON attributes. `arrays` is a dict of arrays by name, stored in one chunk
        each, or a `Streamed`.
    """
    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        names = []
        for name, attributes, arrays in samples:
            names.append(name)
            _append_sample(archive, name, attributes, arrays)
        root = {"zarr_format": 3, "node_type": "group", "attributes": {"samples": names}}
        archive.writestr(zipfile.ZipInfo("zarr.json", EPOCH), json.dumps(root))


def _append_sample(archive: zipfile.ZipFile, name: str, attributes: dict, arrays: dict | Streamed) -> None:
    keys: dict = {}
    group = zarr.open_group(MemoryStore(keys), mode="w", path=name, attributes=attributes)
    if isinstance(arrays, Streamed):
        targets = [
            group.create_array(label, shape=(count, *arrays.shape), dtype=arrays.dtype, chunks=(count, *arrays.chunks))
            for label, count in arrays.channels.items()
        ]

        def append(piece) -> None:
            region, values = piece
            for target in targets:
                target[(slice(None), *region)], values = np.split(values, [target.shape[0]])
                _move(archive, keys, f"{target.path}/c/")

        for _ in prefetch_results(append, arrays.pieces):
            pass
    else:
        for label, array in arrays.items():
            group.create_array(label, data=np.ascontiguousarray(array), chunks=tuple(max(1, n) for n in array.shape))
    _move(archive, keys, f"{name}/")


def _move(archive: zipfile.ZipFile, keys: dict, prefix: str) -> None:
    """Move the entries of a store in memory whose keys start with a prefix to the archive."""
    for key in sorted(key for key in keys if key.startswith(prefix)):
        archive.writestr(zipfile.ZipInfo(key, EPOCH), keys.pop(key).to_bytes())


def read_store(path: str | Path) -> Iterator[tuple[str, dict, zarr.Group]]:
    """Read the samples of a store, in the order in which they were written.

    Yields
    ------
    name : str
    attributes : dict
    group : zarr.Group
        Its arrays are read on access, as in ``group["image"][:]``.

    Raises
    ------
    BadInput
        If the file is missing or not a store of this package.
    """
    expected, remedy = "a store written by SnakeSeg", "delete it and run again"
    require_kind(path, False, expected, remedy)
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [entry.filename for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
        if packed:  # stores are written uncompressed; the unpacked size of other zips is unknown
            raise ValueError(f"packed entries ({packed[0]})")
        trust_no_chunk()
        root = zarr.open_group(ZipStore(path, mode="r"), mode="r")
        groups = {name: root[name] for name in root.attrs["samples"]}
    except Exception as error:  # any error of zipfile and zarr on a damaged archive
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInput(path, cause, expected, remedy) from error
    for name, group in groups.items():
        yield name, dict(group.attrs), group


@contextmanager
def scratch_array(path: Path, shape: Sequence[int], dtype: np.dtype, chunks: Sequence[int]) -> Iterator[zarr.Array]:
    """Yield a temporary array on disk, beside `path`, that is removed after the block."""
    with temporary_folder(path) as folder:
        yield zarr.create_array(folder, shape=tuple(shape), dtype=dtype, chunks=tuple(chunks))


def read_parts(paths: Sequence[Path]) -> Iterator[tuple[str, dict, dict]]:
    """Read samples whose arrays are divided among several stores along the first spatial axis.

    Parameters
    ----------
    paths : sequence of path
        Stores with the parts, in order.

    Yields
    ------
    name : str
    attributes : dict
        Attributes of the first part.
    arrays : dict of Lazy, shape (channels, *spatial)
        Concatenated arrays by their names.
    """
    groups_of: dict[str, list[zarr.Group]] = {}
    for path in paths:
        for name, _, group in read_store(path):
            groups_of.setdefault(name, []).append(group)
    for name, groups in groups_of.items():
        labels = sorted(groups[0].array_keys())
        arrays = {label: concatenate([group[label] for group in groups], axis=1) for label in labels}
        yield name, dict(groups[0].attrs), arrays
