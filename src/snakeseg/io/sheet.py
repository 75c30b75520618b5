"""The sample sheet: which images there are, and which are trained on, held out, tested and predicted."""

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from glob import escape, glob
from pathlib import Path

import pandas as pd

from snakeseg.errors import BadInput, BadInputs
from snakeseg.io.cells import read_cells
from snakeseg.io.files import require_kind
from snakeseg.io.formats import stem_and_suffix
from snakeseg.io.images import images_in
from snakeseg.settings import did_you_mean
from snakeseg.text import bad_cells, legal_name

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
# Rows with a bad cell that are reported, of each column.
MAX_REPORTED_ROWS = 20
COLUMNS = tuple(CELLS)
# Rows of a batch; after so many batches they hold as many rows more.
BATCH_SIZE, BATCHES_ALIKE = 32, 32


def read_sheet(path: str | Path, data: str | Path | None = None) -> pd.DataFrame:
    """The sheet with every column filled in; `workflow/rules/common.smk` checks it and names batches the same way.

    Parameters
    ----------
    path : path
        TSV, or CSV or Parquet by its suffix.
    data : path, optional
        Folder that relative paths start from; the sheet's own folder by default.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`, text (parts: a number); image and label are paths from here; those of an image of several
        files are separated by ";" (`files.files_of`); label is "" if there is none.

    Raises
    ------
    BadInput, BadInputs
        If it is no table, or has other columns, other subsets, or one name twice.
    """
    path = Path(path)
    sheet = _read_table(path)
    if problems := list(_problems(sheet, path)):
        raise BadInputs(problems)
    base = Path(data) if data else path.parent
    folder = "" if base == Path() else str(base)
    for column in COLUMNS:
        if column not in sheet:
            sheet[column] = ""
    for column in ("image", "label"):
        sheet[column] = [in_folder(folder, value) if value else "" for value in sheet[column]]
    sheet["subset"] = sheet["subset"].replace("", "train")
    sheet["group"] = sheet["group"].where(sheet["group"] != "", sheet["sample"])
    sheet["parts"] = sheet["parts"].replace("", "1").astype(int)
    sheet["batch"] = sheet["batch"].where(sheet["batch"] != "", default_batches(sheet))
    return sheet[list(COLUMNS)]


def in_folder(folder: str, cell: str) -> str:
    """The cell with a folder before each of its files."""
    return ";".join(os.path.join(folder, name.strip()) for name in cell.split(";"))


def _read_table(path: Path) -> pd.DataFrame:
    """Read all cells as text; raise BadInput if there is no such file, or it is no table."""
    require_kind(path, False, "the sample sheet", "correct the config key 'sheet'")
    try:
        return read_cells(path)
    except ImportError as error:
        raise BadInput(path, "no pyarrow to read it with", "it", "pip install pyarrow, or save as .tsv") from error
    except Exception as error:  # whatever pandas and pyarrow raise on what is no table
        expected = "text in UTF-8, its columns separated by tabs (.csv: by commas)"
        raise BadInput(path, f"no table ({' '.join(str(error).split())[:200]})", expected, "save it as that") from error


def _problems(sheet: pd.DataFrame, path: Path) -> Iterator[BadInput]:
    """What nothing can be done with; all that is wrong with the cells, `workflow/rules/common.smk` says."""
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
        for row in sheet.index[bad_cells(sheet[column], pattern)][:MAX_REPORTED_ROWS]:
            found = f"{column} '{sheet.at[row, column]}'"
            yield BadInput(f"{path}, row {row + 2}", found, in_words, "correct the cell")
    for name in sheet["sample"][sheet["sample"].duplicated()].unique()[:20]:
        yield BadInput(path, f"sample '{name}' more than once", "distinct names", "rename one")


def sheet_of_images(where: str) -> pd.DataFrame:
    """Rows to predict: all images of a folder or pattern, named as `workflow/rules/common.smk` names them."""
    where = f"{escape(where)}/*" if os.path.isdir(where) and not where.endswith(".zarr") else where
    rows = []
    for path in sorted(path for path in glob(where) if stem_and_suffix(path)[1]):
        for image in map(str, images_in(Path(path))):
            rows.append({"sample": legal_name(stem_and_suffix(image)[0]), "image": image, "subset": "predict"})
    return pd.DataFrame(rows, columns=["sample", "image", "subset"])


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
