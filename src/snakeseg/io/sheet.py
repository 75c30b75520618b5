"""The sample sheet: which images there are, and which are trained on, held out, tested and predicted.

The workflow loads this file by its path (`load_shared` in `workflow/rules/shared.smk`), so that it reads and checks the
sheet with the same code as every command.
"""

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pandas as pd

from ..errors import BadInput, BadInputs
from ..text import CONTROL, did_you_mean
from .cells import read_cells

# What a name may be that becomes a part of paths.
NAME = "[A-Za-z0-9][A-Za-z0-9._-]*"
A_NAME = "a name of letters, digits and . _ - that begins with a letter or digit"
# What the whole of a cell may be, as a pattern and in words.
CELLS = {
    "sample": (NAME, A_NAME),
    "image": ("[^;]+(;[^;]+)*", "the path of an image, or of its channels separated by ;"),
    "label": ("[^;]*", "the path of one label image, or nothing"),
    "subset": ("(train|test|predict)?", "train, test or predict"),
    "group": (".*", "a name that images of one patient, mouse or plate share"),
    "batch": (f"({NAME})?", A_NAME),
    "parts": ("([1-9][0-9]{0,3})?", "the number of jobs that predict the image, 1 to 9999"),
    "spacing": ("[0-9.eE+, -]*", "one positive number, or one per axis"),
}
# Rows with a bad cell that are reported, of each column; names that are reported as repeated.
MAX_REPORTED = 20
# Jobs that the images of a sheet may be predicted in.
MAX_PARTS = 100_000
COLUMNS = tuple(CELLS)
# Rows of a batch; after so many batches they hold as many rows more.
BATCH_SIZE, BATCHES_ALIKE = 32, 32


def read_sheet(path: str | Path, data: str | Path | None = None) -> pd.DataFrame:
    """Read and check the sheet, and fill in every column.

    Parameters
    ----------
    path : path
        TSV, or CSV or Parquet by its suffix.
    data : path, optional
        Folder that relative paths start from; the sheet's own folder by default.

    Returns
    -------
    DataFrame
        As from `complete_sheet`.

    Raises
    ------
    BadInput, BadInputs
        If it is no table; if a column is unknown, missing or repeated, a cell is not what its column holds, or a sample
        is named twice.
    """
    path = Path(path)
    sheet = _read_table(path)
    if problems := list(sheet_problems(sheet, path)):
        raise BadInputs(problems)
    return complete_sheet(sheet, Path(data) if data else path.parent)


def complete_sheet(sheet: pd.DataFrame, data: Path) -> pd.DataFrame:
    """Fill in every column of a sheet whose cells have been checked.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`, text (parts: a number); image and label are paths from here; those of an image of several
        files are separated by ";" (`file_names.files_of`); label is "" if there is none.
    """
    folder = "" if data == Path() else str(data)
    sheet = sheet.assign(**{column: "" for column in COLUMNS if column not in sheet})[list(COLUMNS)]
    for column in ("image", "label"):
        sheet[column] = [in_folder(folder, cell) if cell else "" for cell in cells_of(sheet[column])]
    sheet["subset"] = sheet["subset"].replace("", "train")
    sheet["group"] = sheet["group"].where(sheet["group"] != "", sheet["sample"])
    sheet["parts"] = sheet["parts"].replace("", "1").astype(int)
    sheet["batch"] = sheet["batch"].where(sheet["batch"] != "", default_batches(sheet))
    return sheet


def cells_of(column: pd.Series) -> list:
    """Return a column as a list; pandas' own way takes ten times as long."""
    return column.to_numpy(object).tolist()


def in_folder(folder: str, cell: str) -> str:
    """Return the cell with a folder before each of its files."""
    return ";".join(os.path.join(folder, name.strip()) for name in cell.split(";"))


def _read_table(path: Path) -> pd.DataFrame:
    """Read all cells as text; raise BadInput if there is no such file, or it is no table."""
    if not os.path.isfile(path):
        found = "a folder, not a file" if os.path.isdir(path) else "a pipe, socket or device, not a file"
        found = found if os.path.exists(path) else "no such file"
        raise BadInput(path, found, "the sample sheet", "correct the config key 'sheet'")
    try:
        return read_cells(path)
    except ImportError as error:
        raise BadInput(path, "no pyarrow to read it with", "it", "pip install pyarrow, or save as .tsv") from error
    except Exception as error:  # whatever pandas and pyarrow raise on what is no table
        expected = "text in UTF-8, its columns separated by tabs (.csv: by commas)"
        raise BadInput(path, f"no table ({' '.join(str(error).split())[:200]})", expected, "save it as that") from error


def sheet_problems(sheet: pd.DataFrame, path: Path) -> Iterator[BadInput]:
    """Yield a problem for every unknown, repeated or missing column, bad cell and repeated sample."""
    columns = list(sheet)
    for column in sorted({column for column in columns if columns.count(column) > 1}):
        yield BadInput(path, f"column '{column}' more than once", "distinct columns", "remove one")
        return
    for column in [column for column in columns if column not in COLUMNS]:
        remedy = did_you_mean(column, COLUMNS)
        yield BadInput(path, f"unknown column '{column}'", f"some of {', '.join(COLUMNS)}", remedy)
    for column in [column for column in ("sample", "image") if column not in columns]:
        yield BadInput(path, f"no column '{column}'", "sample and image", "add it (columns are separated by tabs)")
        return
    if sheet.empty:
        yield BadInput(path, "no rows", "one per image", "add some")
        return
    for column in [column for column in COLUMNS if column in columns]:
        pattern, in_words = CELLS[column]
        for row in sheet.index[_bad_cells(sheet[column], pattern)][:MAX_REPORTED]:
            found = f"{column} '{sheet.at[row, column]}'"
            yield BadInput(f"{path}, row {row + 2}", found, in_words, "correct the cell")
    if (
        "parts" in columns
        and (total := sum(map(int, sheet["parts"][sheet["parts"].str.fullmatch("[0-9]{1,4}")]))) > MAX_PARTS
    ):
        yield BadInput(
            path, f"{total} parts of images", f"at most {MAX_PARTS}", "lower the numbers in the column parts"
        )
    for name in sheet["sample"][sheet["sample"].duplicated()].unique()[:MAX_REPORTED]:
        yield BadInput(path, f"sample '{name}' more than once", "distinct names", "rename one")


def _bad_cells(column: pd.Series, pattern: str) -> pd.Series:
    """Return which cells of a column do not match a pattern in full, or hold control characters."""
    bad = ~column.str.fullmatch(pattern)
    # The whole column at once: cell by cell takes a second for a million cells.
    return bad | column.str.contains(CONTROL) if CONTROL.search("".join(column)) else bad


def default_batches(sheet: pd.DataFrame) -> pd.Series:
    """Consecutive rows of one subset: train-0000, train-0001, test-0000, ...; what has parts is alone."""
    subsets = sheet["subset"]
    number = batch_number(subsets.groupby(subsets).cumcount())
    together = subsets + "-" + number.map("{:04d}".format)
    return together.where(sheet["parts"] == 1, subsets + "-" + sheet["sample"])


def batch_number(place: pd.Series) -> pd.Series:
    """The batch of a row by its place in its subset: 32 batches of 32 rows, 32 of 64, 32 of 96, ...

    So there are few jobs, small ones for few images, and appended rows change the last batch only.
    """
    level = ((1 + place / (BATCH_SIZE * BATCHES_ALIKE / 8)) ** 0.5 - 1) // 2
    first = BATCH_SIZE * BATCHES_ALIKE / 2 * level * (level + 1)
    return (BATCHES_ALIKE * level + (place - first) // (BATCH_SIZE * (level + 1))).astype(int)


def assign_folds(sheet: pd.DataFrame, folds: int, validation: list[str]) -> pd.Series:
    """The fold in which each training row is held out; -1 for rows never held out and for other subsets.

    With patterns, there is one fold and the samples that match any of them are held out. Without, groups are dealt
    to the folds in turn, in the order of the sheet, so that appended rows move nobody; with one fold, every fifth
    group is held out. Rows that share a group always share a fold.

    Raises
    ------
    BadInput
        If a fold would have nobody to train on or nobody held out, or a pattern splits a group.
    """
    train = sheet["subset"] == "train"
    if validation:
        held = sheet["sample"].map(lambda name: any(fnmatch(name, pattern) for pattern in validation))
        fold = pd.Series(-1, sheet.index).mask(train & held, 0)
        split = fold[train].groupby(sheet["group"][train]).nunique()
        if (split > 1).any():
            group = split.index[split > 1][0]
            raise BadInput("validation", f"group '{group}' in both parts", "groups kept whole", "widen the patterns")
    else:
        rank = pd.Series(pd.factorize(sheet["group"].where(train))[0], sheet.index)
        fold = (rank % folds if folds > 1 else (rank % 5 == 4) - 1).where(train, -1)
    for index in range(max(folds, 1)):
        held_out = int((fold == index).sum())
        if held_out == 0 or held_out == int(train.sum()):
            raise BadInput(
                "folds", f"fold {index} with {held_out} of {int(train.sum())} training images held out",
                "some to train on and some to validate on", "add training images or change 'folds' and 'validation'",
            )  # fmt: skip
    return fold.astype(int)


def parts_of(sheet: pd.DataFrame, folds: int, validation: list[str]) -> pd.Series:
    """What each row is for: training, validation (or fold 0, fold 1, ... if there are several), test, predict.

    No image may be in two of them but "predict"; errors as in `assign_folds`.
    """
    parts = sheet["subset"].replace("train", "training")
    if (sheet["subset"] != "train").all():
        return parts
    fold = assign_folds(sheet, folds, validation)
    names = fold.map("fold {}".format) if folds > 1 else "validation"
    return parts.mask(fold >= 0, names)


def spacing_of(text: str, found: tuple[float, ...]) -> tuple[float, ...]:
    """Pixel size of a row: the sheet's numbers (one, or one per axis), else what the file says.

    Raises
    ------
    ValueError
        If there is another count of numbers, or one is not positive.
    """
    if not text:
        return found
    numbers = tuple(float(part) for part in text.replace(",", " ").split())
    numbers = numbers * len(found) if len(numbers) == 1 else numbers
    if len(numbers) != len(found) or not all(0 < number < float("inf") for number in numbers):
        raise ValueError(f"spacing '{text}'; expected one positive number or {len(found)}")
    return numbers
