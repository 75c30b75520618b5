"""Read the cells of a sample sheet as text, from TSV, CSV or Parquet.

The workflow loads this file by its path (`load_shared` in `workflow/rules/shared.smk`).
"""

import codecs
import os
import re
from io import StringIO
from pathlib import Path

import pandas as pd

# Limits of a Parquet file per byte of its size. A million sequential names, compressed by Zstandard, have 1.3 rows and
# 44 unpacked bytes per byte.
MAX_ROWS_PER_BYTE, MAX_UNPACKED_PER_BYTE = 10, 1000
# A cell contains a few paths of at most 4096 bytes each; all cells together must fit in the memory of a laptop.
MAX_CELL_BYTES, MAX_TABLE_BYTES = 2**15, 2**31
# A valid sheet has at most eight columns. pandas is slow with very many.
MAX_SHEET_COLUMNS = 100
# Separators of columns and their names. In locales with a decimal comma, Excel separates the columns of a CSV by ";".
SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons"}
# Encodings by the first bytes of a file: byte order marks, then UTF-16 without one, whose first character is ASCII.
ENCODINGS = (
    (re.compile(re.escape(codecs.BOM_UTF8)), "utf-8-sig"),
    (re.compile(b"\xff\xfe|\xfe\xff"), "utf-16"),
    (re.compile(b"[^\0]\0", re.DOTALL), "utf-16-le"),
    (re.compile(b"\0[^\0]", re.DOTALL), "utf-16-be"),
)


def read_text_table(path: Path) -> pd.DataFrame:
    """Read all cells of a sheet as text.

    The header line determines the separator: the one of `SEPARATORS` that it contains most often. Without any, it is
    that of the suffix. Text is UTF-8, UTF-16 or Windows-1252, which contains Latin-1.

    Parameters
    ----------
    path : path
        Parquet by its suffix, otherwise text.

    Returns
    -------
    DataFrame
        Text columns; empty cells are "". Column names may repeat. Rows and columns without any
        text are left out. The index is the row's line in the file, from 0 for the second line. `attrs["separator"]`
        is the name of the separator.

    Raises
    ------
    ImportError
        If the sheet is Parquet and pyarrow is not installed.
    Exception
        Errors of pandas or pyarrow for a file that is not a table, and ValueError for a table beyond the limits.
    """
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path)
    text = _decode(path.read_bytes())
    lines = text.split("\n")
    header = _header_line(lines)
    if header.lower() in (f"sep={separator}" for separator in SEPARATORS):  # Excel reads and hides this line
        text = text.replace(header, "", 1)
        lines[lines.index(header)] = ""
        header = _header_line(lines)
    if not header:
        raise ValueError("No columns to parse from file")
    usual = "," if path.suffix.lower() == ".csv" else "\t"
    separator = max(SEPARATORS, key=lambda candidate: (header.count(candidate), candidate == usual))
    width = 1 + max(line.count(separator) for line in lines)
    _require_few_columns(width)
    # Without a header, since pandas would take a surplus cell for a row name, and rename repeated columns.
    cells = pd.read_csv(
        StringIO(text), sep=separator, header=None, names=range(width), dtype=str, keep_default_na=False,
        skip_blank_lines=False,
    ).fillna("")  # fmt: skip
    return _without_empty_edges(cells, separator)


def _decode(content: bytes) -> str:
    """Decode a file with Unix line ends; raise ValueError for a file that is not text."""
    encoding = next((name for start, name in ENCODINGS if start.match(content)), "")
    if encoding:
        text = content.decode(encoding)
    else:
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            text = content.decode("cp1252")
    if "\0" in text:
        raise ValueError("bytes that are not text")
    return re.sub("\r\n?", "\n", text)


def _header_line(lines: list[str]) -> str:
    """Return the first line with text."""
    return next((line for line in lines if line.strip(' "' + "".join(SEPARATORS))), "")


def _without_empty_edges(cells: pd.DataFrame, separator: str) -> pd.DataFrame:
    """Split cells into header and rows, without the rows and columns that a spreadsheet program saved empty."""
    is_filled = cells != ""
    cells = cells.loc[is_filled.any(axis=1), is_filled.any(axis=0)]
    names = [name.strip() for name in cells.iloc[0]]
    rows = cells.iloc[1:].set_axis(cells.index[1:] - 1)
    if "" in names:
        column = rows.iloc[:, names.index("")]
        line = column.index[column != ""][0] + 2
        raise ValueError(f"Expected {names.index('')} fields in line {line}, saw {names.index('') + 1}")
    rows = rows.set_axis(names, axis=1)
    rows.attrs["separator"] = SEPARATORS[separator]
    return rows


def _require_few_columns(count: int) -> None:
    if count > MAX_SHEET_COLUMNS:
        raise ValueError(f"{count} columns")


def _read_parquet(path: Path) -> pd.DataFrame:
    from pyarrow import compute, parquet, types

    size, metadata = os.path.getsize(path), parquet.read_metadata(path)
    _require_few_columns(metadata.num_columns)
    unpacked = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if metadata.num_rows > MAX_ROWS_PER_BYTE * size or unpacked > MAX_UNPACKED_PER_BYTE * size:
        raise ValueError(f"{metadata.num_rows} rows of {unpacked} bytes in a file of {size} bytes")
    # Dictionary columns hold repeated cells once, so the total size is computed before the cells are expanded.
    # pyarrow raises an error for columns in the encoding DELTA_BYTE_ARRAY, which it cannot read in this way.
    table = parquet.ParquetFile(path, read_dictionary=metadata.schema.names).read()
    for column in table.columns:
        for chunk in column.chunks if types.is_dictionary(column.type) else ():
            lengths = compute.binary_length(chunk.dictionary)
            total = compute.sum(compute.take(lengths, chunk.indices)).as_py() or 0
            if (compute.max(lengths).as_py() or 0) > MAX_CELL_BYTES or total > MAX_TABLE_BYTES:
                raise ValueError(f"cells of {total} bytes")
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame.astype("string").fillna("").astype(object).astype(str)
