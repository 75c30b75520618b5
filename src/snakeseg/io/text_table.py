"""Read the cells of a sample sheet as text, from TSV, CSV or Parquet.

The workflow loads this file by its path (`load_shared` in `workflow/rules/shared.smk`).
"""

import os
from pathlib import Path

import pandas as pd

# Limits of a Parquet file per byte of its size. A million sequential names, compressed by Zstandard, have 1.3 rows and
# 44 unpacked bytes per byte.
MAX_ROWS_PER_BYTE, MAX_UNPACKED_PER_BYTE = 10, 1000
# A cell contains a few paths of at most 4096 bytes each; all cells together must fit in the memory of a laptop.
MAX_CELL_BYTES, MAX_TABLE_BYTES = 2**15, 2**31
# A valid sheet has at most eight columns. pandas is slow with very many.
MAX_SHEET_COLUMNS = 100


def read_text_table(path: Path) -> pd.DataFrame:
    """Read all cells of a sheet as text.

    Parameters
    ----------
    path : path
        Parquet or CSV by its suffix, otherwise TSV.

    Returns
    -------
    DataFrame
        Text columns; empty cells are "". Column names may repeat.

    Raises
    ------
    ImportError
        If the sheet is Parquet and pyarrow is not installed.
    Exception
        Errors of pandas or pyarrow for a file that is not a table, and ValueError for a table beyond the limits.
    """
    if path.suffix == ".parquet":
        return _read_parquet(path)
    separator = "," if path.suffix == ".csv" else "\t"
    with open(path, encoding="utf-8", errors="replace") as file:
        _require_few_columns(file.readline().count(separator) + 1)
    # Without a header, since pandas would take a surplus cell for a row name, and rename repeated columns.
    cells = pd.read_csv(path, sep=separator, header=None, dtype=str, keep_default_na=False).fillna("")
    return cells.iloc[1:].set_axis(cells.iloc[0].tolist(), axis=1).reset_index(drop=True)


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
