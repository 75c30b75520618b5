"""Sheets as spreadsheet programs save them: the same rows, whatever the separator, encoding, case and empty edges."""

import pandas as pd
import pytest

from snakeseg.errors import BadInputs
from snakeseg.io.sheet import read_sheet

ROWS = ["sample,image,label"] + [f"c{k},images/c{k}.tif,labels/c{k}.tif" for k in range(6)]
TEXT = "\r\n".join(ROWS) + "\r\n"
# Names and contents of files; those of shared/cases/inputs/excel_sheets.py first.
SHEETS = {
    "semicolon.csv": TEXT.replace(",", ";").encode(),
    "UPPER.CSV": TEXT.encode(),
    "columns.csv": "\r\n".join(row + ",," for row in ROWS).encode(),
    "rows.csv": (TEXT + ",,\r\n,,\r\n").encode(),
    "Header.csv": TEXT.replace("sample,image,label", "Sample,Image,Label").encode(),
    "bom.csv": ("\ufeff" + TEXT).encode(),
    "utf16.tsv": TEXT.replace(",", "\t").encode("utf-16"),
    "utf16be.txt": ("\ufeff" + TEXT.replace(",", "\t")).encode("utf-16-be"),
    "utf16-without-mark.txt": TEXT.replace(",", "\t").encode("utf-16-le"),
    "commas.tsv": TEXT.encode(),
    "tabs.csv": TEXT.replace(",", "\t").encode(),
    "macintosh.csv": TEXT.replace("\r\n", "\r").encode(),
    "first-line.csv": ("sep=;\r\n" + TEXT.replace(",", ";")).encode(),
    "ragged.csv": TEXT.replace("c3.tif\r\n", "c3.tif,,,\r\n").encode(),
    "leading.csv": (",,,\r\n" + "\r\n".join(f",{row}" for row in ROWS)).encode(),
    "quotes.csv": TEXT.replace("sample,image,label", '"sample","image","label"').encode(),
}


@pytest.fixture
def expected(tmp_path) -> pd.DataFrame:
    (tmp_path / "plain.tsv").write_text(TEXT.replace(",", "\t"), encoding="utf-8")
    return read_sheet(tmp_path / "plain.tsv")


@pytest.mark.parametrize("name", SHEETS)
def test_a_saved_sheet_has_the_rows_of_the_plain_one(tmp_path, expected, name):
    (tmp_path / name).write_bytes(SHEETS[name])
    pd.testing.assert_frame_equal(read_sheet(tmp_path / name), expected)
    assert len(expected) == 6


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_letters_with_accents_are_read_in_every_encoding(tmp_path, encoding):
    (tmp_path / "s.csv").write_bytes("sample;image\r\na;Mäuse/é.tif\r\n".encode(encoding))
    assert read_sheet(tmp_path / "s.csv").at[0, "image"] == str(tmp_path / "Mäuse/é.tif")


def test_channels_in_a_sheet_of_semicolons_are_quoted(tmp_path):
    (tmp_path / "s.csv").write_text('sample;image\r\na;"x.tif;y.tif"\r\n', encoding="utf-8")
    assert read_sheet(tmp_path / "s.csv").at[0, "image"] == f"{tmp_path}/x.tif;{tmp_path}/y.tif"


def test_errors_name_the_line_of_the_file(tmp_path):
    """Also behind empty lines, which are left out."""
    (tmp_path / "s.csv").write_text(",\nsample,image\na,x.tif\n,\n\n!,y.tif\n", encoding="utf-8")
    with pytest.raises(BadInputs, match=r"s\.csv, row 6: found sample '!'"):
        read_sheet(tmp_path / "s.csv")
