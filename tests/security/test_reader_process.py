"""The process that isolates readers whose libraries crash: its import paths, and the checks of its replies."""

import json
import os
import pickle
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from snakeseg.errors import BadInput
from snakeseg.io.images import open_image
from snakeseg.io.readers import isolated, itk
from snakeseg.io.readers.isolated import LENGTH, call_isolated

sitk = pytest.importorskip("SimpleITK")
PLANTED = "open({!r}, 'w').close()\n"


@pytest.mark.parametrize("paths", [[""], ["."], [], ["HERE"]], ids=str)
def test_modules_of_the_working_folder_are_not_imported(paths, tmp_path, monkeypatch):
    canary = tmp_path / "canary"
    (tmp_path / "snakeseg").mkdir()
    for name in ("snakeseg/__init__", "json", "pickle", "numpy", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(PLANTED.format(str(canary)), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path.replace("HERE", str(tmp_path)) for path in paths] + sys.path)
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}.{os.pathsep}")
    isolated._started.cache_clear()
    assert call_isolated(os.getcwd) != str(tmp_path)
    assert not canary.exists()


def test_the_package_may_lie_in_the_working_folder(monkeypatch):
    monkeypatch.chdir(Path(isolated.__file__).parents[3])
    isolated._started.cache_clear()
    assert call_isolated(isolated._plain, 5, []) == 5


def test_calls_and_replies_keep_their_values():
    arrays = [np.arange(6, dtype=">i2").reshape(2, 3)[:, ::-1], np.zeros((0, 3)), np.array(True), np.full(2, 1 + 2j)]
    value = {"a": [1, None, "\udcff", (2.5, float("inf"))], 3: {"b": arrays[0]}, "c": arrays[1:], "d": np.float32(0.5)}
    reply = call_isolated(dict, value)
    np.testing.assert_array_equal(reply[3]["b"], arrays[0])
    for received, array in zip(reply["c"], arrays[1:], strict=True):
        np.testing.assert_array_equal(received, array)
        assert (received.dtype, received.shape) == (array.dtype, array.shape)
    assert reply["a"] == [1, None, "\udcff", [2.5, float("inf")]]
    assert reply["d"] == 0.5


def receive_reply(text: str, more: bytes = b"", length: int | None = None):
    """Receive a reply from a sender that keeps the pipe open."""
    reading, writing = os.pipe()
    content = LENGTH.pack(len(text) if length is None else length) + text.encode() + more
    try:
        os.write(writing, content)
        return isolated._receive(reading, time.monotonic() + 0.3)
    finally:
        os.close(reading)
        os.close(writing)


class Bomb:
    """End the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (1,)


@pytest.mark.parametrize(
    "text",
    [
        pickle.dumps(Bomb(), 0).decode(),
        "[" * 10**4,
        "1" * 5000,
        json.dumps({"value": {"array": ["O", [1]]}}),
        json.dumps({"value": {"array": ["M8[ns]", [1]]}}),
        json.dumps({"value": {"array": [[["a", "O"]], [1]]}}),
        json.dumps({"value": {"array": ["u1", [2**60]]}}),
        json.dumps({"value": {"array": ["u1", [-1]]}}),
        json.dumps({"value": {"dict": 3}}),
        "3",
    ],
)
def test_replies_other_than_plain_data_are_errors(text):
    with pytest.raises((ValueError, TypeError, RecursionError)):
        receive_reply(text, bytes(100))


def test_an_incomplete_reply_is_an_error():
    array = json.dumps({"value": {"array": ["u1", [10]]}})
    np.testing.assert_array_equal(receive_reply(array, bytes(10))["value"], np.zeros(10))
    with pytest.raises(TimeoutError):
        receive_reply(array, bytes(9))
    with pytest.raises(TimeoutError):
        receive_reply(array[:-1], length=len(array))
    with pytest.raises(ValueError, match="bytes of text"):
        receive_reply(array, length=2**62)


@pytest.mark.parametrize("content", [LENGTH.pack(10**6), b"not an answer"], ids=["cut off", "something else"])
def test_a_process_that_sends_an_invalid_reply_is_ended(content, monkeypatch):
    """It writes into the pipe of its replies, the first pipe that it opens."""
    before = call_isolated(os.getpid)
    monkeypatch.setattr(isolated, "READER_TIMEOUT_S", 0.5)
    with pytest.raises(ValueError, match="its reader crashed or timed out"):
        call_isolated(os.write, 3, content)
    monkeypatch.undo()
    assert call_isolated(os.getpid) != before


def test_a_call_that_the_process_does_not_read_is_an_error(monkeypatch):
    call_isolated(max, 2, 3)
    monkeypatch.setattr(isolated, "READER_TIMEOUT_S", 0.5)
    isolated._send(isolated._started(os.getpid()).stdin.fileno(), LENGTH.pack(0), time.monotonic() + 1)
    with pytest.raises(ValueError, match="its reader crashed or timed out"):
        call_isolated(len, bytes(10**6))


def test_itk_reads_in_the_other_process(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5), np.uint8)), str(tmp_path / "a.mha"))
    code = (
        "import sys; from snakeseg.io.images import read; read(sys.argv[1], 3); assert 'SimpleITK' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.mha")], check=True)


def test_a_crash_of_itk_gives_one_line(tmp_path, monkeypatch):
    """A header of 5000 axes, which `named_files` refuses, makes ITK write out of bounds."""
    numbers = " ".join(["1"] * 5000)
    header = (
        f"NDims = 5000\nDimSize = {numbers}\nOffset = {numbers}\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    )
    (tmp_path / "a.mha").write_text(header, encoding="utf-8")
    monkeypatch.setattr(itk, "named_files", lambda path: [])
    with pytest.raises(BadInput, match=f"^{re.escape(str(tmp_path))}/a.mha: found a damaged file") as error:
        open_image(tmp_path / "a.mha", 3)
    assert "\n" not in str(error.value)
    assert call_isolated(max, 2, 3) == 3
