"""Text headers: ITK reads only files that `named_files` returns, and real headers are accepted."""

from pathlib import Path

import numpy as np
import pytest

from snakeseg.errors import BadInput
from snakeseg.io.images import read
from snakeseg.io.readers import itk_worker
from snakeseg.io.readers.isolated import call_isolated
from snakeseg.io.readers.itk import READERS
from snakeseg.io.readers.text_headers import named_files

pytest.importorskip("SimpleITK")
META = "ObjectType = Image\nNDims = 3\nDimSize = 4 4 4\nElementType = MET_UCHAR\n"
NRRD = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 4 4 4\nencoding: raw\n"
PIXELS = np.arange(64, dtype=np.uint8)
SERIES = "".join(f"c{number:03d}.raw\n" for number in range(4))
# The first file holds ones, the second twos. `PIECES` are inserted into valid headers.
FILES = ["b.raw", "c.raw"]
PIECES = [
    *FILES, "\n", "\r", "\r\n", " ", "\t", "\v", "\f", "\0", "=", ":", ": ", ":=", "#", "%d", "%s", " 1 4 1", "LIST",
    "LIST 2", "ElementDataFile = ", "ElementDataFile", "data file: ", "DATAFILE: ", "NDims = 2\n", "LOCAL",
    "./", "LIST\n", "\x85", "\xa0", "\ufeff", "ElementDataFile = c.raw\n", "data file: c.raw\n", "c.raw\n" * 4,
    "Comment =", "x" * 600,
]  # fmt: skip


@pytest.mark.parametrize("name", ["a.mhd", "a.nhdr"])
def test_itk_reads_only_the_named_files(name, tmp_path):
    for value, file in enumerate(FILES, 1):
        (tmp_path / file).write_bytes(bytes([value]) * 64)
    valid = META + "ElementDataFile = b.raw\n" if name == "a.mhd" else NRRD + "data file: b.raw\n"
    rng, accepted = np.random.default_rng(0), 0
    for _ in range(1000):
        header = mutate_header(valid, rng)
        (tmp_path / name).write_bytes(header.encode("utf-8" if rng.random() < 0.5 else "latin-1", "replace"))
        try:
            names = named_files(tmp_path / name)
            pixels = call_isolated(itk_worker.read_image, str(tmp_path / name), READERS[Path(name).suffix])["array"]
        except ValueError:
            continue
        accepted += 1
        read_files = {FILES[value - 1] for value in {1, 2} & set(pixels.ravel().tolist())}
        assert read_files <= {file.removeprefix("./") for file in names}, repr(header)
    assert accepted > 15


def mutate_header(text: str, rng: np.random.Generator) -> str:
    """Insert one to three pieces into a header, some in place of other text, most at the ends of words and lines."""
    for _ in range(rng.integers(1, 4)):
        ends = [position + 1 for position, letter in enumerate(text) if letter in "\n= :"]
        position = int(rng.choice(ends)) if rng.random() < 0.7 else int(rng.integers(len(text) + 1))
        cut = int(rng.geometric(0.2)) if rng.random() < 0.3 else 0
        text = text[:position] + PIECES[rng.integers(len(PIECES))] + text[position + cut :]
    return text


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.mhd", META + "ElementDataFile = b.raw\n"),
        ("a.mhd", META + "ElementDataFile = b.raw"),
        ("a.mhd", ("\n" + META + "Comment =\n\nElementDataFile: b.raw  \n").replace("\n", "\r\n")),
        ("a.mhd", META + "Comment = \u00e4 = : /etc/passwd\nElementDataFile = sub/\u00e4 \u00f6.raw\n"),
        ("a.mhd", META + f"ElementDataFile = LIST\n{SERIES}"),
        ("a.mhd", META + f"ElementDataFile = LIST 2\n{SERIES}\n\n".replace("\n", "\r\n")),
        ("a.mhd", META + "ElementDataFile = c%03d.raw 0 3 1\n"),
        ("a.nhdr", NRRD + "data file: b.raw\n"),
        ("a.nhdr", (NRRD + "# data file: c\n\tkey:=data file: c\n\n").replace("\t", "") + "x"),
        ("a.nhdr", (NRRD + "DATAFILE: ./sub/\u00e4 \u00f6.raw\n").replace("\n", "\r\n")),
        ("a.nhdr", NRRD + f"data file: LIST\n{SERIES}"),
        ("a.nhdr", NRRD + "data file: c%03d.raw 0 3 1 2\n\n"),
    ],
)
def test_real_headers_are_accepted(name, header, tmp_path):
    (tmp_path / "sub").mkdir()
    for file in ("b.raw", "sub/\u00e4 \u00f6.raw"):
        (tmp_path / file).write_bytes(PIXELS.tobytes())
    for number, plane in enumerate(PIXELS.reshape(4, 16)):
        (tmp_path / f"c{number:03d}.raw").write_bytes(plane.tobytes())
    has_pixels = header.endswith("x")
    (tmp_path / name).write_bytes(header.removesuffix("x").encode() + (PIXELS.tobytes() if has_pixels else b""))
    assert bool(named_files(tmp_path / name)) is not has_pixels
    assert sorted(read(tmp_path / name, 3).array.ravel()) == PIXELS.tolist()


def test_pixels_after_the_header_are_not_parsed(tmp_path):
    (tmp_path / "a.mha").write_bytes(f"{META}ElementDataFile = LOCAL\n".encode() + bytes(range(64)))
    (tmp_path / "a.nrrd").write_bytes(f"{NRRD}\n".encode() + bytes(range(64)))
    for name in ("a.mha", "a.nrrd"):
        assert sorted(read(tmp_path / name, 3).array.ravel()) == PIXELS.tolist()


@pytest.mark.parametrize("name", ["\u00e4", "b.raw\u00e4", "b.raw\u00a0", "\u00a0b.raw", "\udca0b.raw", "b.raw\udcff"])
def test_file_names_that_itk_would_shorten_are_refused(name, tmp_path):
    content = f"{META}ElementDataFile = {name}\n".encode("utf-8", "surrogateescape")
    (tmp_path / "a.mhd").write_bytes(content)
    with pytest.raises(BadInput, match="the file name"):
        named_files(tmp_path / "a.mhd")


@pytest.mark.parametrize("local", ["lOCAL", "Local ", "LOCALE"])
def test_only_the_exact_word_local_means_the_same_file(local, tmp_path):
    (tmp_path / "a.mhd").write_text(f"{META}ElementDataFile = {local}\n", encoding="utf-8")
    assert named_files(tmp_path / "a.mhd") == ([] if local == "Local " else [local])


def test_a_pattern_of_too_many_files_is_refused(tmp_path):
    (tmp_path / "a.nhdr").write_text(f"{NRRD}data file: c%d.raw 0 999999999 1\n", encoding="utf-8")
    with pytest.raises(BadInput, match="files 0 to 999999999 by 1 in its header"):
        named_files(tmp_path / "a.nhdr")
