"""The sample sheet: table of all images, their labels, and their subset (train, test, predict) and fold.

The workflow loads this file by its path (`load_shared` in `workflow/rules/shared.smk`), so that it reads and checks the
sheet with the same code as the commands.
"""

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pandas as pd

from ..errors import BadInput, BadInputs
from ..text import CONTROL, did_you_mean
from .text_table import read_text_table

# Pattern and description of a name that becomes a part of paths.
NAME = "[A-Za-z0-9][A-Za-z0-9._-]*"
NAME_IN_WORDS = "a name of letters, digits and . _ - that begins with a letter or digit"
# Pattern that the whole cell must match, and its description, by column.
CELL_PATTERNS = {
    "sample": (NAME, NAME_IN_WORDS),
    "image": ("[^;]+(;[^;]+)*", "the path of an image, or of its channels separated by ;"),
    "label": ("[^;]*", "the path of one label image, or nothing"),
    "subset": ("(train|test|predict)?", "train, test or predict"),
    "group": (".*", "a name that all images of a patient, mouse or plate share"),
    "batch": (f"({NAME})?", NAME_IN_WORDS),
    "parts": ("([1-9][0-9]{0,3})?", "the number of jobs that predict the image, 1 to 9999"),
    # Without a point, a comma between digits may be a decimal comma: 1,5.
    "spacing": (r"(?!\d+,\d+$)[0-9.eE+, -]*", "one positive number (0.65), or one per axis (0.65 0.65)"),
}
# Largest number of bad cells reported per column, and of repeated sample names.
MAX_REPORTED = 20
# Largest total number of parts, each of which is a prediction job.
MAX_PARTS = 100_000
SHEET_COLUMNS = tuple(CELL_PATTERNS)
# Rows in each of the first batches. Every `BATCHES_PER_SIZE` batches, the size grows by `BATCH_SIZE` rows.
BATCH_SIZE, BATCHES_PER_SIZE = 32, 32


def read_sheet(path: str | Path, data: str | Path | None = None) -> pd.DataFrame:
    """Read and check a sample sheet, and fill in missing columns and cells.

    Parameters
    ----------
    path : path
        Parquet by its suffix, otherwise text, from `text_table.read_text_table`.
    data : path, optional
        Folder that relative paths start from; by default the sheet's folder.

    Returns
    -------
    DataFrame
        As from `complete_sheet`.

    Raises
    ------
    BadInput, BadInputs
        If the file is not a table, a column is unknown, missing or repeated, a cell does not fit its column, or a
        sample name is repeated.
    """
    path = Path(path)
    sheet = _read_table(path)
    if problems := list(sheet_problems(sheet, path)):
        raise BadInputs(problems)
    return complete_sheet(sheet, Path(data) if data else path.parent)


def complete_sheet(sheet: pd.DataFrame, data: Path) -> pd.DataFrame:
    """Fill in the missing columns and cells of a checked sheet.

    Parameters
    ----------
    sheet : DataFrame
        Cells as text, without problems by `sheet_problems`.
    data : path
        Folder that relative paths start from.

    Returns
    -------
    DataFrame
        The columns `SHEET_COLUMNS`, text but for `parts` (int). Paths in `image` and `label` start from the working
        folder; those of several files are separated by ";" (see `file_names.split_file_names`). `label` is "" without a
        label.
    """
    folder = "" if data == Path() else str(data)
    sheet = sheet.reset_index(drop=True)
    sheet = sheet.assign(**{column: "" for column in SHEET_COLUMNS if column not in sheet})[list(SHEET_COLUMNS)]
    for column in ("image", "label"):
        sheet[column] = [in_folder(folder, cell) if cell else "" for cell in column_as_list(sheet[column])]
    sheet["subset"] = sheet["subset"].replace("", "train")
    sheet["group"] = sheet["group"].where(sheet["group"] != "", sheet["sample"])
    sheet["parts"] = sheet["parts"].replace("", "1").astype(int)
    sheet["batch"] = sheet["batch"].where(sheet["batch"] != "", default_batches(sheet))
    return sheet


def column_as_list(column: pd.Series) -> list:
    """Return a column as a list, ten times as fast as `Series.tolist`."""
    return column.to_numpy(object).tolist()


def in_folder(folder: str, cell: str) -> str:
    """Prefix each path in a cell with a folder."""
    return ";".join(os.path.join(folder, name.strip()) for name in cell.split(";"))


def _read_table(path: Path) -> pd.DataFrame:
    """Read all cells as text; raise BadInput if the file is missing or not a table."""
    if not os.path.isfile(path):
        found = "a folder, not a file" if os.path.isdir(path) else "a pipe, socket or device, not a file"
        found = found if os.path.exists(path) else "no such file"
        raise BadInput(path, found, "the sample sheet", "correct the config key 'sheet'")
    try:
        sheet = read_text_table(path)
        return sheet.set_axis([name.lower() if name.lower() in SHEET_COLUMNS else name for name in sheet], axis=1)
    except ImportError as error:
        remedy = "pip install pyarrow, or save the sheet as .tsv"
        raise BadInput(path, "no pyarrow", "the package pyarrow, for Parquet", remedy) from error
    except Exception as error:  # any error of pandas and pyarrow on a file that is not a table
        found = f"no table ({' '.join(str(error).split())[:200]})"
        expected = "text, its columns separated by tabs, commas or semicolons"
        raise BadInput(path, found, expected, "save the sheet as such text") from error


def sheet_problems(sheet: pd.DataFrame, path: Path) -> Iterator[BadInput]:
    """Yield an error for each unknown, repeated or missing column, bad cell and repeated sample name.

    Parameters
    ----------
    sheet : DataFrame
        Cells as text, from `read_text_table`.
    path : path
        The sheet's file, for the errors.
    """
    columns = list(sheet)
    for column in sorted({column for column in columns if columns.count(column) > 1}):
        yield BadInput(path, f"column '{column}' more than once", "distinct columns", "remove the repeated column")
        return
    for column in [column for column in columns if column not in SHEET_COLUMNS]:
        remedy = did_you_mean(column, SHEET_COLUMNS)
        yield BadInput(path, f"unknown column '{column}'", f"only {', '.join(SHEET_COLUMNS)}", remedy)
    for column in [column for column in ("sample", "image") if column not in columns]:
        expected = "the columns sample and image"
        separator = sheet.attrs.get("separator", "tabs")
        yield BadInput(path, f"no column '{column}'", expected, f"add it (columns are separated by {separator})")
        return
    if sheet.empty:
        yield BadInput(path, "no rows", "one row per image", "add a row for each image")
        return
    for column in [column for column in SHEET_COLUMNS if column in columns]:
        pattern, expected = CELL_PATTERNS[column]
        for row in sheet.index[_bad_cells(sheet[column], pattern)][:MAX_REPORTED]:
            found = f"{column} '{sheet.at[row, column]}'"
            yield BadInput(f"{path}, row {row + 2}", found, expected, "correct the cell")
    if (
        "parts" in columns
        and (total := sum(map(int, sheet["parts"][sheet["parts"].str.fullmatch("[0-9]{1,4}")]))) > MAX_PARTS
    ):
        yield BadInput(
            path, f"{total} parts of images", f"at most {MAX_PARTS}", "lower the numbers in the column parts"
        )
    for name in sheet["sample"][sheet["sample"].duplicated()].unique()[:MAX_REPORTED]:
        yield BadInput(path, f"sample '{name}' more than once", "distinct names", "rename one of the samples")


def _bad_cells(column: pd.Series, pattern: str) -> pd.Series:
    """Return a mask of the cells that do not fully match a pattern or contain control characters."""
    bad = ~column.str.fullmatch(pattern)
    # The joined column is searched first, since a search of each cell takes a second per million cells.
    return bad | column.str.contains(CONTROL) if CONTROL.search("".join(column)) else bad


def default_batches(sheet: pd.DataFrame) -> pd.Series:
    """Assign each row to a batch of consecutive rows of its subset: train-0000, train-0001, test-0000, ...

    A row with several parts is a batch of its own, such as train-SAMPLE.
    """
    subsets = sheet["subset"]
    number = batch_number(subsets.groupby(subsets).cumcount())
    shared = subsets + "-" + number.map("{:04d}".format)
    return shared.where(sheet["parts"] == 1, subsets + "-" + sheet["sample"])


def batch_number(place: pd.Series) -> pd.Series:
    """Return the batch number of rows by their place (from 0) in their subset: 32 batches of 32 rows, 32 of 64, ...

    Large sheets have few jobs, small sheets have small jobs, and appended rows change the last batch only.
    """
    level = ((1 + place / (BATCH_SIZE * BATCHES_PER_SIZE / 8)) ** 0.5 - 1) // 2
    first = BATCH_SIZE * BATCHES_PER_SIZE / 2 * level * (level + 1)
    return (BATCHES_PER_SIZE * level + (place - first) // (BATCH_SIZE * (level + 1))).astype(int)


def assign_folds(sheet: pd.DataFrame, folds: int, validation: list[str]) -> pd.Series:
    """Assign the training rows to the folds in which they are held out.

    Patterns hold out the samples that match any of them, in a single fold. Without patterns, the groups are dealt to
    the folds in turn, in the order of the sheet, so that appended rows change no earlier assignment; a single fold
    holds out every fifth group. All rows of a group are in the same fold.

    Parameters
    ----------
    sheet : DataFrame
        Columns sample, group and subset.
    folds : int
        Number of folds.
    validation : list of str
        Patterns of sample names (`*`, `?`, `[0-3]`).

    Returns
    -------
    Series of int
        Number of the fold from 0; -1 for rows that are never held out and for other subsets.

    Raises
    ------
    BadInput
        If a fold has no image to train on or none held out, or a pattern splits a group.
    """
    train = sheet["subset"] == "train"
    if validation:
        matches = sheet["sample"].map(lambda name: any(fnmatch(name, pattern) for pattern in validation))
        fold = pd.Series(-1, sheet.index).mask(train & matches, 0)
        folds_per_group = fold[train].groupby(sheet["group"][train]).nunique()
        if (folds_per_group > 1).any():
            found = f"group '{folds_per_group.index[folds_per_group > 1][0]}' in training and validation"
            remedy = "match all samples of the group, or none"
            raise BadInput("validation", found, "all images of a group in one of them", remedy)
    else:
        rank = pd.Series(pd.factorize(sheet["group"].where(train))[0], sheet.index)
        fold = (rank % folds if folds > 1 else (rank % 5 == 4) - 1).where(train, -1)
    for index in range(max(folds, 1)):
        held_out = int((fold == index).sum())
        if held_out == 0 or held_out == int(train.sum()):
            raise BadInput(
                "folds", f"fold {index} with {held_out} of {int(train.sum())} training images held out",
                "at least one to train on and one held out", "add training images or change 'folds' and 'validation'",
            )  # fmt: skip
    return fold.astype(int)


def assign_parts(sheet: pd.DataFrame, folds: int, validation: list[str]) -> pd.Series:
    """Return the part of the data that each row belongs to; errors as in `assign_folds`.

    The parts are "training", "validation" (or "fold 0", "fold 1", ... with several folds), "test" and "predict". The
    same image must not be in two of them, except in "predict".
    """
    parts = sheet["subset"].replace("train", "training")
    if (sheet["subset"] != "train").all():
        return parts
    fold = assign_folds(sheet, folds, validation)
    names = fold.map("fold {}".format) if folds > 1 else "validation"
    return parts.mask(fold >= 0, names)


def spacing_of(text: str, file_spacing: tuple[float, ...]) -> tuple[float, ...]:
    """Return the pixel size of an image along each axis.

    Parameters
    ----------
    text : str
        Cell of the column spacing: "", a number for all axes, or one number per axis.
    file_spacing : tuple of float
        Pixel size that the image file states, used if the cell is empty.

    Raises
    ------
    ValueError
        If the count of numbers is wrong, or a number is not positive.
    """
    if not text:
        return file_spacing
    sizes = tuple(float(part) for part in text.replace(",", " ").split())
    sizes = sizes * len(file_spacing) if len(sizes) == 1 else sizes
    if len(sizes) != len(file_spacing) or not all(0 < size < float("inf") for size in sizes):
        raise ValueError(f"spacing '{text}'; expected one positive number or {len(file_spacing)}, one per axis")
    return sizes
