"""Zarr arrays and OME-Zarr (0.1 to 0.5). Labels are written as OME-Zarr 0.5 with a pyramid of resolutions."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import zarr
from zarr.storage import LocalStore

from snakeseg.arrays import Lazy, Region
from snakeseg.errors import BadInput
from snakeseg.io.file_names import is_zarr
from snakeseg.io.input_checks import PIXELS_PER_BYTE, require_kind, require_memory, require_stored, stored_bytes
from snakeseg.io.readers import StoredImage
from snakeseg.io.readers.codecs import chunks_of, require_numbers, trust_no_chunk
from snakeseg.io.readers.ngff import axis_letters, image_paths, ngff_attributes
from snakeseg.io.readers.sidecar_files import require_own

# Side length of written chunks in pixels, by number of axes.
CHUNK_SIDE = {2: 1024, 3: 128}
# Largest side of the coarsest level of a pyramid, in pixels.
COARSEST_SIDE = 512
# Largest number of pixels and chunks that need not be stored, as they contain only the fill value (background).
# Reading that many takes about a minute.
FREE_PIXELS, FREE_CHUNKS = 2**30, 2**18
# Limit, since reading a chunk of a shard allocates an index with an entry for each chunk.
MAX_CHUNKS_PER_SHARD = 2**18


class _Folder(LocalStore):
    """Zarr store that reads only regular files in its own folder, neither pipes nor files behind links."""

    async def get(self, key, prototype=None, byte_range=None):
        """As `LocalStore.get`."""
        self._require_part(key)
        return await super().get(key, prototype, byte_range)

    def get_sync(self, key, *, prototype=None, byte_range=None):
        """As `LocalStore.get_sync`."""
        self._require_part(key)
        return super().get_sync(key, prototype=prototype, byte_range=byte_range)

    async def get_partial_values(self, prototype, key_ranges):
        """As `LocalStore.get_partial_values`."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    def _require_part(self, key: str) -> None:
        file = self.root / key
        if os.path.lexists(file) and not os.path.isdir(file):
            require_kind(file, False, "a part of a Zarr", "copy it again from its source")
            require_own(file, [os.path.realpath(self.root)])


def read(path) -> StoredImage:
    """Open the finest level of an OME-Zarr, or a plain array, whose axes follow from their number."""
    array, axes, spacing = _open_finest_level(path)
    metadata = array.metadata.to_dict()
    require_numbers([metadata.get(key) for key in ("filters", "compressor", "codecs")])
    stored = array.shards or array.chunks
    require_memory(path, stored, array.dtype.itemsize, "store it in smaller chunks")
    _require_few_chunks(stored, metadata.get("codecs") or [])
    _require_stored(path, array)

    def read_region(region: Region) -> np.ndarray:
        with chunks_of(math.prod(stored)):
            return array[region]

    return StoredImage(Lazy(array.shape, array.dtype, read_region, array.chunks), axes, spacing)


def _require_few_chunks(shard: Sequence[int], codecs: Sequence[dict]) -> None:
    """Raise ValueError if a shard of this shape, or a shard within it, has too many chunks."""
    for codec in codecs:
        settings = codec.get("configuration") or {}
        if chunk := settings.get("chunk_shape"):
            chunks = math.prod(shard) // math.prod(chunk)
            if chunks > MAX_CHUNKS_PER_SHARD:
                raise ValueError(f"{chunks} chunks in a shard, of {MAX_CHUNKS_PER_SHARD} at most")
            _require_few_chunks(chunk, settings["codecs"])


def _require_stored(path, array: zarr.Array) -> None:
    """Raise BadInput if a store holds too few bytes for its pixels and chunks."""
    chunks = math.prod(-(-n // side) for n, side in zip(array.shape, array.chunks, strict=True))
    least = max((array.size - FREE_PIXELS) / PIXELS_PER_BYTE, chunks - FREE_CHUNKS)
    if least > 0:
        require_stored(path, array.shape, stored_bytes(path / array.path, least), least)


def list_images(path) -> list[Path]:
    """Return the paths of the images in a Zarr: fields of a plate or well, series of bioformats2raw, or itself."""
    node = _open(path)
    images = [] if isinstance(node, zarr.Array) else image_paths(path, node)
    return [path / inner for inner in images] if len(images) > 1 else [path]


def _open(path) -> zarr.Group | zarr.Array:
    trust_no_chunk()
    return zarr.open(_Folder(path, read_only=True), mode="r")


def _open_finest_level(path) -> tuple[zarr.Array, str, tuple[float, ...]]:
    """Return the array of the finest level, the letters of its axes, and the spacing of its spatial axes."""
    node = _open(path)
    if isinstance(node, zarr.Array):
        multiscale, level = _find_level(path)
        return _describe(path, node, multiscale, level)
    images = image_paths(path, node)
    if not images:
        found, expected = "a Zarr group without multiscales", "a Zarr array, or OME-Zarr"
        raise BadInput(path, found, expected, "name the folder of an array in it")
    if len(images) > 1:
        remedy = f"name each, such as {path / images[0]}"
        raise BadInput(path, f"{len(images)} images", "the path of one of them", remedy)
    node = node[images[0]] if images[0] else node
    multiscale = ngff_attributes(node)["multiscales"][0]
    finest = multiscale["datasets"][0]
    return _describe(path, node[finest["path"]], multiscale, finest)


def _find_level(path) -> tuple[dict, dict]:
    """Return the metadata of the image and of the level whose array is at a path; empty for a plain array."""
    parent = _open(path.parent) if is_zarr(path.parent) else None
    scales = ngff_attributes(parent).get("multiscales") or [] if isinstance(parent, zarr.Group) else []
    levels = [(scale, level) for scale in scales for level in scale["datasets"] if level["path"] == path.name]
    return levels[0] if levels else ({}, {})


def _describe(path, array: zarr.Array, multiscale: dict, level: dict) -> tuple[zarr.Array, str, tuple[float, ...]]:
    """Return an array with the letters of its axes, and the spacing of its spatial axes, by its metadata."""
    axes = axis_letters(path, multiscale, array.ndim)
    steps = [c["scale"] for c in level.get("coordinateTransformations", []) if c["type"] == "scale"]
    sizes = dict(zip(axes, steps[0] if steps else [1.0] * len(axes), strict=True))
    return array, axes, tuple(float(sizes[a]) for a in axes if a in "XYZ")


def write(path, labels, source, largest, note) -> None:
    """Write labels in their dtype as a pyramid: each level takes every second pixel of the finer one."""
    axes = "zyx"[-labels.ndim :]
    root = zarr.open_group(path, mode="w")
    levels, shape, spacing = [], labels.shape, list(source.spacing)
    array = _write_level(root, "0", labels, shape, 1)
    while True:
        transform = [{"type": "scale", "scale": spacing}]
        levels.append({"path": str(len(levels)), "coordinateTransformations": transform})
        if max(shape) <= COARSEST_SIDE:
            break
        shape, spacing = tuple(-(-n // 2) for n in shape), [2 * s for s in spacing]
        array = _write_level(root, str(len(levels)), array, shape, 2)
    multiscale = {"name": "labels", "axes": [{"name": a, "type": "space"} for a in axes], "datasets": levels}
    if note:
        root.attrs["note"] = note
    root.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale], "image-label": {}}


def _write_level(root: zarr.Group, name: str, source, shape: tuple[int, ...], step: int) -> zarr.Array:
    """Write every `step`-th pixel of an array-like as an array of a group."""
    chunk = CHUNK_SIDE[len(shape)]
    # Chunks of background are stored, too, so that `_require_stored` accepts the file.
    options = {"chunks": tuple(min(chunk, n) for n in shape), "config": {"write_empty_chunks": True}}
    array = root.create_array(name, shape=shape, dtype=source.dtype, **options)
    for corner in np.ndindex(*(-(-n // chunk) for n in shape)):
        target = tuple(slice(i * chunk, min((i + 1) * chunk, n)) for i, n in zip(corner, shape, strict=True))
        pixels = source[tuple(slice(step * s.start, step * s.stop) for s in target)]
        array[target] = pixels[(slice(None, None, step),) * len(shape)]
    return array
