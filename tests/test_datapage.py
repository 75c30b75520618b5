"""The page about the data: everything on it, nothing from outside, hostile text as text."""

import re

import numpy as np
import pandas as pd
import tifffile

from snakeseg.checking import inspect
from snakeseg.findings.finding import Finding
from snakeseg.findings.sizes import experiments_of, overview
from snakeseg.findings.table import table_of
from snakeseg.io.sheet import COLUMNS
from snakeseg.report.datapage import ROWS, data_page
from snakeseg.settings import Labels, UNetSettings
from snakeseg.simulate import simulate_cells

HOSTILE = "<script>alert(1)</script>"


def page_of(folder, findings, rows=3, group="g", read=True):
    sheet = []
    for i in range(rows):
        if read:
            image, label = simulate_cells(np.random.default_rng(i), (64, 64), 8)
            tifffile.imwrite(folder / f"i{i}.tif", image)
            tifffile.imwrite(folder / f"l{i}.tif", label)
        sheet.append((f"s{i}", str(folder / f"i{i}.tif"), str(folder / f"l{i}.tif"), "train", group, "b", 1, ""))
    sheet = pd.DataFrame(sheet, columns=COLUMNS)
    facts = pd.DataFrame(inspect(sheet, 2, Labels())[0]) if read else sheet[["sample"]]
    table = table_of(sheet, facts, sheet["subset"])
    experiments = experiments_of({HOSTILE: UNetSettings(depth=2)}, {HOSTILE: 40})
    return data_page(HOSTILE, 2, sheet, table, findings, overview(table, Labels(), experiments))


def test_findings_come_with_pictures_and_text_is_escaped(tmp_path):
    findings = [
        Finding("error", HOSTILE, ("s1",), HOSTILE, HOSTILE, HOSTILE),
        *(Finding("note", "odd", (f"s{i % 3}",), f"found {i}", "means", "do") for i in range(20)),
    ]
    page = page_of(tmp_path, findings, group=HOSTILE)
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert") == 7  # name, title, topic, found, means, remedy, experiment
    assert "1 error" in page
    assert "20 notes" in page
    assert "found 5" in page
    assert "found 6" not in page
    assert "14 more" in page
    assert page.count("data:image/jpeg;base64") == 1 + 3 + 3
    assert not re.search(r"""(src|href)\s*=\s*(?!["']?(data:|#))""", page)
    assert len(page) < 300_000


def test_without_findings_it_says_so(tmp_path):
    assert "nothing stands in the way of training" in page_of(tmp_path, [])


def test_it_stays_small_and_is_written_though_nothing_could_be_read(tmp_path):
    findings = [Finding("error", "gone", (f"s{i}",), "no such file", "", "mend it") for i in range(5000)]
    page = page_of(tmp_path, findings, rows=5000, read=False)
    assert page.count("<tr>") < ROWS + 20
    assert "4800 more" in page
    assert len(page) < 200_000
