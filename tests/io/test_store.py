"""Stores return arrays as written, have equal bytes for equal input, and are complete or absent."""

import time
import zipfile

import numpy as np
import pytest

from snakeseg.errors import BadInput
from snakeseg.io.store import read_store, write_store


def samples(count=3):
    rng = np.random.default_rng(0)
    for i in range(count):
        shape = (4 + i, 5)
        yield f"s{i}~{i}", {"spacing": [0.5, i], "image": {"path": f"{i}.tif"}}, {
            "image": rng.normal(size=(2, *shape)).astype(np.float32),
            "classes": rng.integers(0, 255, shape).astype(np.uint8),
            "objects": rng.integers(0, 2**31 - 1, shape).astype(np.int32),
            "half": rng.random(shape).astype(np.float16),
        }  # fmt: skip


@pytest.fixture
def store(tmp_path):
    write_store(tmp_path / "a.zarr.zip", samples())
    return tmp_path / "a.zarr.zip"


def test_round_trip_keeps_names_attributes_and_arrays(store):
    """Names keep their order, arrays their dtype; non-contiguous views can be written."""
    for (name, attributes, group), (*expected, arrays) in zip(read_store(store), samples(), strict=True):
        assert [name, attributes] == expected
        assert set(group.array_keys()) == set(arrays)
        for key, array in arrays.items():
            np.testing.assert_array_equal(group[key][:], array)
            assert group[key].dtype == array.dtype
    transposed = np.arange(12).reshape(3, 4).T[:, ::-1]
    write_store(store, [("t", {}, {"x": transposed})])
    ((_, _, group),) = read_store(store)
    np.testing.assert_array_equal(group["x"][:], transposed)


@pytest.mark.parametrize("order", [["b", "a", "c"], [f"s{i}" for i in range(12)]])
def test_samples_keep_their_order(tmp_path, order):
    write_store(tmp_path / "a.zarr.zip", ((name, {}, {"x": np.zeros(2)}) for name in order))
    assert [name for name, _, _ in read_store(tmp_path / "a.zarr.zip")] == order


def test_equal_arrays_give_equal_bytes(tmp_path, monkeypatch):
    """The bytes do not depend on the time."""
    write_store(tmp_path / "a.zarr.zip", samples())
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1e7)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(0 if _ else now + 1e7))
    write_store(tmp_path / "b.zarr.zip", samples())
    assert (tmp_path / "a.zarr.zip").read_bytes() == (tmp_path / "b.zarr.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "b.zarr.zip") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_every_array_is_one_chunk(store):
    for _, _, group in read_store(store):
        assert all(array.chunks == array.shape for _, array in group.arrays())


def test_store_may_be_empty(tmp_path):
    write_store(tmp_path / "a.zarr.zip", [])
    assert list(read_store(tmp_path / "a.zarr.zip")) == []


def test_failed_write_leaves_the_old_store(store):
    before = store.read_bytes()

    def failing():
        yield from samples(1)
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_store(store, failing())
    assert store.read_bytes() == before
    assert list(store.parent.iterdir()) == [store]


def test_failed_write_leaves_no_new_file(tmp_path):
    def failing():
        raise RuntimeError("disk full")
        yield

    with pytest.raises(RuntimeError, match="disk full"):
        write_store(tmp_path / "new.zarr.zip", failing())
    assert list(tmp_path.iterdir()) == []


def test_missing_store_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"nowhere.zarr.zip: found .*; expected a store written by SnakeSeg"):
        next(read_store(tmp_path / "nowhere.zarr.zip"))


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_store_is_refused(store, part):
    data = store.read_bytes()
    store.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(BadInput, match="expected a store written by SnakeSeg; delete it and run again"):
        next(read_store(store))


def test_other_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zarr.zip", "w") as archive:
        archive.writestr("readme.txt", "no store")
    with pytest.raises(BadInput, match="expected a store written by SnakeSeg"):
        next(read_store(tmp_path / "a.zarr.zip"))
