"""The sample sheet has defaults for missing columns, stable batches, and folds that never split a group."""

import importlib
import sys

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakeseg.errors import BadInput
from snakeseg.io.sheet import SHEET_COLUMNS, assign_folds, batch_number, default_batches, read_sheet, spacing_of

quick = settings(deadline=None, max_examples=80)


def write(path, *rows, separator="\t"):
    path.write_text("".join(separator.join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    return path


def test_only_sample_and_image_are_required(tmp_path):
    sheet = read_sheet(write(tmp_path / "s.tsv", ("sample", "image"), ("a", "x.tif"), ("b", "y/z.tif")))
    assert tuple(sheet.columns) == SHEET_COLUMNS
    assert sheet.iloc[1].to_dict() == {
        "sample": "b", "image": str(tmp_path / "y/z.tif"), "label": "", "subset": "train", "group": "b",
        "batch": "train-0000", "parts": 1, "spacing": "",
    }  # fmt: skip


def test_given_cells_are_kept(tmp_path):
    row = ("a", "/data/x.tif", "l.tif", "test", "g", "b7", 3, "0.5 0.5")
    sheet = read_sheet(write(tmp_path / "s.csv", SHEET_COLUMNS, row, separator=","), tmp_path / "elsewhere")
    assert tuple(sheet.iloc[0]) == ("a", "/data/x.tif", str(tmp_path / "elsewhere/l.tif"), *row[3:])


def test_cells_are_read_as_text(tmp_path):
    """Names that look like numbers or missing values are kept as text."""
    sheet = read_sheet(
        write(tmp_path / "s.tsv", ("sample", "image", "group"), ("007", "a.tif", "NA"), ("1e3", "b.tif", ""))
    )
    assert sheet["sample"].tolist() == ["007", "1e3"]
    assert sheet["group"].tolist() == ["NA", "1e3"]


def test_default_batches_have_32_rows_of_a_subset():
    """Batches contain 32 consecutive rows of a subset, for any order of the subsets."""
    subsets = pd.Series(["train", "test"] * 40)
    sheet = pd.DataFrame({"sample": "a", "subset": subsets, "parts": 1})
    batches = default_batches(sheet)
    assert batches.iloc[0] == "train-0000"
    assert batches.iloc[1] == "test-0000"
    assert batches.value_counts().to_dict() == {"train-0000": 32, "test-0000": 32, "train-0001": 8, "test-0001": 8}
    sheet.loc[3, "parts"] = 9  # a batch of its own; the other rows keep theirs
    assert default_batches(sheet).compare(batches)["self"].to_dict() == {3: "test-a"}
    assert batches[62:66].tolist() == ["train-0000", "test-0000", "train-0001", "test-0001"]


def test_batches_grow_with_the_sheet():
    """32 batches of 32 rows, 32 of 64, ...: about 430 batches for 100,000 rows, 4,500 for ten million."""
    number = batch_number(pd.Series(range(1024 + 2048 + 3072 + 10)))
    sizes = number.value_counts().sort_index().tolist()
    assert sizes == [32] * 32 + [64] * 32 + [96] * 32 + [10]
    assert number.is_monotonic_increasing
    places = pd.Series([10**5, 10**7, 512 * 100 * 101 - 1, 512 * 100 * 101])
    assert batch_number(places).tolist() == [431, 4456, 3199, 3200]


@pytest.mark.parametrize("numbers", [[1, None], ["1", ""]])
def test_parquet_equals_tsv(tmp_path, numbers):
    """Numbers and missing cells become the same text as in a TSV."""
    pytest.importorskip("pyarrow")
    rows = {"sample": ["a", "b"], "image": ["x.tif", "y.tif"], "label": ["l.tif", None], "parts": numbers}
    pd.DataFrame(rows).astype({"parts": "Int64" if numbers[1] is None else str}).to_parquet(tmp_path / "s.parquet")
    text = write(
        tmp_path / "s.tsv", ("sample", "image", "label", "parts"), ("a", "x.tif", "l.tif", 1), ("b", "y.tif", "", "")
    )
    pd.testing.assert_frame_equal(read_sheet(tmp_path / "s.parquet"), read_sheet(text))


def test_missing_pyarrow_is_reported(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(pd, "read_parquet", lambda *_, **__: importlib.import_module("pyarrow"))
    (tmp_path / "s.parquet").touch()
    with pytest.raises(BadInput, match=r"s.parquet: found no pyarrow; .* pip install pyarrow"):
        read_sheet(tmp_path / "s.parquet")


def sheet_of(groups, subsets=None):
    names = [f"s{i}" for i in range(len(groups))]
    return pd.DataFrame({"sample": names, "group": groups, "subset": subsets or ["train"] * len(groups)})


groups = st.lists(st.sampled_from("abcdefghijklmn"), min_size=1, max_size=40)


@quick
@given(groups=groups, folds=st.integers(1, 6), data=st.data())
def test_folds_never_split_a_group(groups, folds, data):
    """A training row is held out with its whole group, at most once, in cross-validation exactly once.

    Rows of other subsets are never held out.
    """
    subsets = data.draw(
        st.lists(st.sampled_from(["train", "train", "test"]), min_size=len(groups), max_size=len(groups))
    )
    sheet = sheet_of(groups, subsets)
    train = sheet["subset"] == "train"
    count = sheet["group"][train].nunique()
    possible = count >= 5 if folds == 1 else count >= folds
    if not possible:
        with pytest.raises(BadInput, match=r"folds: found fold \d+ with"):
            assign_folds(sheet, folds, [])
        return
    fold = assign_folds(sheet, folds, [])
    assert (fold[train].groupby(sheet["group"][train]).nunique() == 1).all()
    assert (fold[~train] == -1).all()
    assert set(fold[train]) == (set(range(folds)) if folds > 1 else {-1, 0})
    per_fold = sheet[train].groupby(fold[train])["group"].nunique()
    if folds > 1:
        assert per_fold.max() - per_fold.min() <= 1


@quick
@given(groups=groups, more=groups, folds=st.integers(1, 4))
def test_appended_rows_change_no_fold(groups, more, folds):
    try:
        before = assign_folds(sheet_of(groups), folds, [])
    except BadInput:
        return
    after = assign_folds(sheet_of(groups + more), folds, [])
    assert after[: len(groups)].tolist() == before.tolist()


def test_one_fold_holds_out_every_fifth_group():
    fold = assign_folds(sheet_of(list("aabcdeefghijk")), 1, [])
    assert fold.tolist() == [-1, -1, -1, -1, -1, 0, 0, -1, -1, -1, -1, 0, -1]


def test_patterns_choose_the_held_out_images():
    sheet = sheet_of(["a", "b", "c", "d"], ["train", "train", "train", "test"])
    assert assign_folds(sheet, 1, ["s1", "s[3-9]"]).tolist() == [-1, 0, -1, -1]


def test_patterns_that_split_a_group_are_refused():
    with pytest.raises(BadInput, match=r"validation: found group 'g' in training and validation; expected all images"):
        assign_folds(sheet_of(["g", "g", "h"]), 1, ["s0"])


@pytest.mark.parametrize(("folds", "patterns"), [(1, ["zzz"]), (1, ["*"]), (2, ["s0"]), (4, []), (1, [])])
def test_empty_folds_are_refused(folds, patterns):
    with pytest.raises(
        BadInput, match=r"of 3 training images held out; expected at least one to train on and one held out"
    ):
        assign_folds(sheet_of(["a", "b", "c"]), folds, patterns)


@pytest.mark.parametrize(
    ("text", "spacing"),
    [("", (3.0, 4.0)), ("0.5", (0.5, 0.5)), ("0.5, 2", (0.5, 2)), ("0.5 2", (0.5, 2)), ("1e-3,2", (1e-3, 2))],
)
def test_spacing_is_parsed(text, spacing):
    assert spacing_of(text, (3.0, 4.0)) == spacing


@pytest.mark.parametrize("text", ["0", "-1", "1 2 3", "1 0", "a", " ", "nan"])
def test_invalid_spacing_raises_value_error(text):
    with pytest.raises(ValueError, match=r".+"):
        spacing_of(text, (1.0, 1.0))
