"""Batches of arrays in one Zarr v3 file: a zip, so that a batch is one file on a cluster's file system."""

import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import zarr
from zarr.storage import MemoryStore, ZipStore

from snakeseg.errors import BadInput
from snakeseg.io.files import atomic_file

# The same arrays make the same bytes, whatever the clock says.
EPOCH = (1980, 1, 1, 0, 0, 0)


def write_store(path: str | Path, samples: Iterable[tuple[str, dict, dict[str, np.ndarray]]]) -> None:
    """Write samples to a store.

    Parameters
    ----------
    path : path
        Ends in .zarr.zip.
    samples : iterable of (name, attributes, arrays)
        Each becomes a group with JSON attributes and one array per name, one chunk each.
    """
    with atomic_file(path) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
        order = []
        for name, attributes, arrays in samples:
            order.append(name)
            _append_sample(archive, name, attributes, arrays)
        root = {"zarr_format": 3, "node_type": "group", "attributes": {"samples": order}}
        archive.writestr(zipfile.ZipInfo("zarr.json", EPOCH), json.dumps(root))


def _append_sample(archive: zipfile.ZipFile, name: str, attributes: dict, arrays: dict[str, np.ndarray]) -> None:
    keys: dict = {}
    group = zarr.open_group(MemoryStore(keys), mode="w", path=name, attributes=attributes)
    for label, array in arrays.items():
        group.create_array(label, data=np.ascontiguousarray(array), chunks=tuple(max(1, n) for n in array.shape))
    for key in sorted(keys):
        if key.startswith(f"{name}/"):
            archive.writestr(zipfile.ZipInfo(key, EPOCH), keys[key].to_bytes())


def read_store(path: str | Path) -> Iterator[tuple[str, dict, zarr.Group]]:
    """Samples of a store in their order: name, attributes, and a group whose members are read on ``group[name][:]``.

    Raises
    ------
    BadInput
        If the file is no such store.
    """
    try:
        root = zarr.open_group(ZipStore(path, mode="r"), mode="r")
        names = root.attrs["samples"]
    except (OSError, KeyError, zipfile.BadZipFile, zarr.errors.GroupNotFoundError) as error:
        raise BadInput(path, f"{error}", "a store written by SnakeSeg", "delete it and run again") from error
    for name in names:
        group = root[name]
        yield name, dict(group.attrs), group
