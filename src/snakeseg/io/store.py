"""Batches of arrays in one Zarr v3 file: a zip, so that a batch is one file on a cluster's file system."""

import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zarr
from zarr.storage import MemoryStore, ZipStore

from snakeseg.arrays import ahead, concatenate
from snakeseg.errors import BadInput
from snakeseg.io.files import EPOCH, atomic_file, require_kind, temporary_folder
from snakeseg.io.readers.codecs import trust_no_chunk


class Streamed(NamedTuple):
    """Arrays of one type and extent that come in pieces, each of which fills whole chunks.

    Parameters
    ----------
    channels : dict
        Length of each array's first axis, by its name.
    shape, chunks : tuple of int
        Without the first axis; chunks hold all of it.
    dtype : dtype
    pieces : iterable of (region, values)
        The region without the first axis; the arrays' values one after the other along it.
    """

    channels: dict[str, int]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype
    pieces: Iterable[tuple[tuple[slice, ...], np.ndarray]]


def write_store(path: str | Path, samples: Iterable[tuple[str, dict, dict[str, np.ndarray] | Streamed]]) -> None:
    """Write samples to a store.

    Parameters
    ----------
    path : path
        Ends in .zarr.zip.
    samples : iterable of (name, attributes, arrays)
        Each becomes a group with JSON attributes and one array per name, of one chunk unless they come in pieces.
    """
    with atomic_file(path) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
        order = []
        for name, attributes, arrays in samples:
            order.append(name)
            _append_sample(archive, name, attributes, arrays)
        root = {"zarr_format": 3, "node_type": "group", "attributes": {"samples": order}}
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

        for _ in ahead(append, arrays.pieces):
            pass
    else:
        for label, array in arrays.items():
            group.create_array(label, data=np.ascontiguousarray(array), chunks=tuple(max(1, n) for n in array.shape))
    _move(archive, keys, f"{name}/")


def _move(archive: zipfile.ZipFile, keys: dict, prefix: str) -> None:
    """Put what a store in memory holds under a prefix into the archive."""
    for key in sorted(key for key in keys if key.startswith(prefix)):
        archive.writestr(zipfile.ZipInfo(key, EPOCH), keys.pop(key).to_bytes())


def read_store(path: str | Path) -> Iterator[tuple[str, dict, zarr.Group]]:
    """Samples of a store in their order: name, attributes, and a group whose members are read on ``group[name][:]``.

    Raises
    ------
    BadInput
        If the file is no such store.
    """
    expected, remedy = "a store written by SnakeSeg", "delete it and run again"
    require_kind(path, False, expected, remedy)
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [entry.filename for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
        if packed:  # which ours never are: nobody knows how much comes out
            raise ValueError(f"packed entries ({packed[0]})")
        trust_no_chunk()
        root = zarr.open_group(ZipStore(path, mode="r"), mode="r")
        groups = {name: root[name] for name in root.attrs["samples"]}
    except Exception as error:  # whatever a damaged archive leads to
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInput(path, cause, expected, remedy) from error
    for name, group in groups.items():
        yield name, dict(group.attrs), group


@contextmanager
def scratch(path: Path, shape: Sequence[int], dtype: np.dtype, chunks: Sequence[int]) -> Iterator[zarr.Array]:
    """Yield an array on disk, beside `path`, that is gone after the block."""
    with temporary_folder(path) as folder:
        yield zarr.create_array(folder, shape=tuple(shape), dtype=dtype, chunks=tuple(chunks))


def read_parts(paths: Sequence[Path]) -> Iterator[tuple[str, dict, dict]]:
    """Samples whose arrays lie in several stores, one after the other along the first axis after the channels.

    Yields
    ------
    name : str
    attributes : dict
        Of the first part.
    arrays : dict of array-like
    """
    found: dict[str, list[zarr.Group]] = {}
    for path in paths:
        for name, _, group in read_store(path):
            found.setdefault(name, []).append(group)
    for name, groups in found.items():
        labels = sorted(groups[0].array_keys())
        arrays = {label: concatenate([group[label] for group in groups], axis=1) for label in labels}
        yield name, dict(groups[0].attrs), arrays
