"""The cells of a sample sheet as text, from TSV, CSV or Parquet.

The workflow loads this file by its path (`load_shared` in `workflow/rules/shared.smk`).
"""

import os
from pathlib import Path

import pandas as pd

# A Parquet file of a million sequential names, packed by Zstandard, has 1.3 rows and 44 unpacked bytes a byte.
MAX_ROWS_PER_BYTE, MAX_UNPACKED_PER_BYTE = 10, 1000
# A cell holds a few paths of at most 4096 bytes each; all cells must fit into the memory of a laptop.
MAX_CELL_BYTES, MAX_TABLE_BYTES = 2**15, 2**31
# A sheet has eight columns at most, and pandas takes long for very many.
MAX_COLUMNS = 100


def read_cells(path: Path) -> pd.DataFrame:
    """Read all cells of a sheet as text, "" where there is nothing; its format follows from its suffix.

    Raises
    ------
    ImportError
        If it is Parquet and pyarrow is not installed.
    Exception
        What pandas or pyarrow raise on a file that is no table, and on Parquet that unpacks to far more than its size.
    """
    if path.suffix == ".parquet":
        return _read_parquet(path)
    separator = "," if path.suffix == ".csv" else "\t"
    with open(path, encoding="utf-8", errors="replace") as file:
        _require_few_columns(file.readline().count(separator) + 1)
    # No header for pandas, which would take a cell too many for the row's name, and rename what comes twice.
    cells = pd.read_csv(path, sep=separator, header=None, dtype=str, keep_default_na=False).fillna("")
    return cells.iloc[1:].set_axis(cells.iloc[0].tolist(), axis=1).reset_index(drop=True)


def _require_few_columns(count: int) -> None:
    if count > MAX_COLUMNS:
        raise ValueError(f"{count} columns")


def _read_parquet(path: Path) -> pd.DataFrame:
    from pyarrow import compute, parquet, types

    size, about = os.path.getsize(path), parquet.read_metadata(path)
    _require_few_columns(about.num_columns)
    unpacked = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    if about.num_rows > MAX_ROWS_PER_BYTE * size or unpacked > MAX_UNPACKED_PER_BYTE * size:
        raise ValueError(f"{about.num_rows} rows of {unpacked} bytes in a file of {size} bytes")
    # As dictionaries, repeated cells take memory once, so that the total can be computed before they are expanded.
    # pyarrow cannot read the encoding DELTA_BYTE_ARRAY that way, and raises an error.
    table = parquet.ParquetFile(path, read_dictionary=about.schema.names).read()
    for column in table.columns:
        for chunk in column.chunks if types.is_dictionary(column.type) else ():
            lengths = compute.binary_length(chunk.dictionary)
            total = compute.sum(compute.take(lengths, chunk.indices)).as_py() or 0
            if (compute.max(lengths).as_py() or 0) > MAX_CELL_BYTES or total > MAX_TABLE_BYTES:
                raise ValueError(f"cells of {total} bytes")
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame.astype("string").fillna("").astype(object).astype(str)
