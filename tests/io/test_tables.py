"""Tables are read as they were written."""

import numpy as np
import pandas as pd

from snakeseg.io.tables import read_table, write_table


def test_names_that_look_like_numbers_stay_text(tmp_path):
    """Groups 1 and 01 are different; a hash such as 12e3 is not a number."""
    names = ["01", "1", "12e3", "nan", ""]
    write_table(tmp_path / "t.tsv", pd.DataFrame({"sample": names, "group": names, "dice": [0.5, 1, 0, np.nan, 1]}))
    table = read_table(tmp_path / "t.tsv")
    assert table["sample"].tolist() == table["group"].tolist() == names
    assert table["dice"].isna().tolist() == [False, False, False, True, False]
