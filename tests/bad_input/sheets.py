# ruff: noqa: E501 - messages are on one line, so that they can be searched
"""Cases of bad sample sheets, which the workflow reads before any job."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bad_input.case import Case, folder, pipe, sheet, table

TEXT_TABLE = "expected text, its columns separated by tabs, commas or semicolons; save the sheet as such text"
NAME = "expected a name of letters, digits and . _ - that begins with a letter or digit; correct the cell"
MISSING = "expected the sample sheet; correct the config key 'sheet'"
HEADER = b"sample\timage\tlabel\tsubset\n"


def write_rows(*rows: list[str], **options):
    """Return a function that writes s.tsv."""
    return lambda: sheet(*rows, **options)


def write_repeated(cell: str, count: int) -> None:
    """Write a small s.parquet of `count` rows with equal cells."""
    cells = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), [cell])
    pq.write_table(pa.table({"sample": cells, "image": cells}), "s.parquet", compression="zstd")


def bad_name(name: str) -> Case:
    """Make a case of a sample with a bad name."""
    return table(write_rows([name, "image.tif", "", "train"]), f"s.tsv, row 2: found sample '{name}'; {NAME}")


CASES: dict[str, Case] = {
    "sheet: missing": table(lambda: None, f"s.tsv: found no such file; {MISSING}"),
    "sheet: a folder": table(folder("s.tsv"), f"s.tsv: found a folder, not a file; {MISSING}"),
    "sheet: a pipe": table(pipe("s.tsv"), f"s.tsv: found a pipe, socket or device, not a file; {MISSING}"),
    "sheet: a link to nothing": table(lambda: os.symlink("t.tsv", "s.tsv"), f"s.tsv: found no such file; {MISSING}"),
    "sheet: nothing in it": table(b"", f"s.tsv: found no table (No columns to parse from file); {TEXT_TABLE}"),
    "sheet: only a header": table(HEADER, "s.tsv: found no rows; expected one row per image; add a row for each image"),
    "sheet: UTF-16 that is cut off": table(
        "sample\timage\na\tb.tif\n".encode("utf-16")[:-1], f"s.tsv: found no table (...); {TEXT_TABLE}"
    ),
    "sheet: neither UTF-8 nor Windows-1252": table(
        HEADER + b"a\t\x81.tif\t\ttrain\n", f"s.tsv: found no table (...); {TEXT_TABLE}"
    ),
    "sheet: only separators": table(
        b",,\n,,\n", f"s.tsv: found no table (No columns to parse from file); {TEXT_TABLE}"
    ),
    "sheet: bytes": table(bytes(range(256)) * 9, f"s.tsv: found no table (...); {TEXT_TABLE}"),
    "sheet: a cell too many": table(
        HEADER + b"a\timage.tif\t\ttrain\tx\n",
        f"s.tsv: found no table (...Expected 4 fields in line 2, saw 5...); {TEXT_TABLE}",
    ),
    "sheet: a quote without end": table(
        HEADER + b'"a\timage.tif\t\ttrain\n', f"s.tsv: found no table (...); {TEXT_TABLE}"
    ),
    "sheet: spaces for tabs": table(
        b"sample image\na image.tif\n",
        "s.tsv: found unknown column 'sample image'; expected only sample, image, ...; did you mean 'sample'?\n"
        "s.tsv: found no column 'sample'; expected the columns sample and image; add it (columns are separated by tabs)",
    ),
    "sheet: a column missing": table(
        write_rows(["a", "x"], header="sample\tlabel"),
        "s.tsv: found no column 'image'; expected the columns sample and image; add it (columns are separated by tabs)",
    ),
    "sheet: a column missing between semicolons": table(
        b"sample;label\na;x\n",
        "s.tsv: found no column 'image'; expected the columns sample and image; add it (columns are separated by semicolons)",
    ),
    "sheet: a column twice": table(
        write_rows(["a", "image.tif", "b.tif"], header="sample\timage\timage"),
        "s.tsv: found column 'image' more than once; expected distinct columns; remove the repeated column",
    ),
    "sheet: an unknown column": table(
        write_rows(["a", "image.tif", "x"], header="sample\timage\tgrup"),
        "s.tsv: found unknown column 'grup'; expected only sample, image, ...; did you mean 'group'?",
    ),
    "sheet: a name twice": table(
        write_rows(["a", "image.tif", "", ""], ["a", "image.tif", "", ""]),
        "s.tsv: found sample 'a' more than once; expected distinct names; rename one of the samples",
    ),
    "sheet: a name that leads elsewhere": bad_name("../a"),
    "sheet: a name that is a path": bad_name("/tmp/a"),
    "sheet: a name in a folder": bad_name("a/b"),
    "sheet: a name of dots": bad_name(".."),
    "sheet: a hidden name": bad_name(".a"),
    "sheet: a name that is HTML": bad_name("<script>alert(1)</script>"),
    "sheet: a name that is a command": bad_name("$(touch canary)"),
    "sheet: a name that is an option": bad_name("--output"),
    "sheet: a name of two lines": table(
        HEADER + b'"a\nb"\timage.tif\t\ttrain\n', f"s.tsv, row 2: found sample 'a\\nb'; {NAME}"
    ),
    "sheet: no name": bad_name(""),
    "sheet: a batch that leads elsewhere": table(
        write_rows(["a", "image.tif", "../b"], header="sample\timage\tbatch"),
        f"s.tsv, row 2: found batch '../b'; {NAME}",
    ),
    "sheet: an unknown subset": table(
        write_rows(["a", "image.tif", "", "trian"]),
        "s.tsv, row 2: found subset 'trian'; expected train, test or predict; correct the cell",
    ),
    "sheet: a million parts": table(
        write_rows(["a", "image.tif", "1000000"], header="sample\timage\tparts"),
        "s.tsv, row 2: found parts '1000000'; expected the number of jobs that predict the image, 1 to 9999; correct the cell",
    ),
    "sheet: a spacing in words": table(
        write_rows(["a", "image.tif", "half"], header="sample\timage\tspacing"),
        "s.tsv, row 2: found spacing 'half'; expected one positive number (0.65), or one per axis (0.65 0.65); correct the cell",
    ),
    "sheet: a decimal comma": table(
        b"sample;image;spacing\r\na;image.tif;1,5\r\n",
        "s.tsv, row 2: found spacing '1,5'; expected one positive number (0.65), or one per axis (0.65 0.65); correct the cell",
    ),
    "sheet: two label files": table(
        write_rows(["a", "image.tif", "b.tif;c.tif", ""]),
        "s.tsv, row 2: found label 'b.tif;c.tif'; expected the path of one label image, or nothing; correct the cell",
    ),
    "sheet: Parquet that is none": table(b"PAR1" * 9, f"s.parquet: found no table (...); {TEXT_TABLE}", "s.parquet"),
    "sheet: Parquet with nothing in it": table(b"", f"s.parquet: found no table (...); {TEXT_TABLE}", "s.parquet"),
    "sheet: Parquet of endless rows": table(
        lambda: write_repeated("a", 10_000_000),
        f"s.parquet: found no table (10000000 rows of ...); {TEXT_TABLE}",
        "s.parquet",
    ),
    "sheet: Parquet of one long cell": table(
        lambda: write_repeated("a" * 10**6, 20_000), f"s.parquet: found no table (...); {TEXT_TABLE}", "s.parquet"
    ),
    "sheet: parts without end": table(
        write_rows(*[[f"a{i}", "image.tif", "9999"] for i in range(20)], header="sample\timage\tparts"),
        "s.tsv: found 199980 parts of images; expected at most 100000; lower the numbers in the column parts",
    ),
    "sheet: a number of parts without end": table(
        write_rows(["a", "image.tif", "9" * 5000], header="sample\timage\tparts"),
        "s.tsv, row 2: found parts '9...9'; expected the number of jobs that predict the image, 1 to 9999; correct the cell",
    ),
    "sheet: a title of the terminal": table(
        write_rows(["a", "\x1b]0;title\x07", "", ""]),
        "s.tsv, row 2: found image '\\x1b]0;title\\x07'; expected the path of an image, or of its channels separated by ;; correct the cell",
    ),
    "sheet: a column that clears the terminal": table(
        write_rows(["a", "image.tif", "x"], header="sample\timage\t\x1b[2J"),
        "s.tsv: found unknown column '\\x1b[2J'; expected only ...; remove it",
    ),
    "sheet: a name that leads elsewhere in a command": Case(
        lambda: Path("s.tsv").write_bytes(HEADER + b"../a\timage.tif\t\ttrain\n"),
        ["inspect", "--sheet", "s.tsv", "--output", "out.json"],
        f"s.tsv, row 2: found sample '../a'; {NAME}",
    ),
    "sheet: in a command": Case(
        lambda: Path("s.tsv").write_bytes(HEADER + b"a\timage.tif\t\ttrian\n"),
        ["inspect", "--sheet", "s.tsv", "--output", "out.json"],
        "s.tsv, row 2: found subset 'trian'; expected train, test or predict; correct the cell",
    ),
}
