"""Images with neither true nor predicted objects: no bare 1.000 in the report."""

import re
from contextlib import chdir
from pathlib import Path

import pandas as pd
import pytest
from made_run import make_run

from snakeseg.report.choices import Choices
from snakeseg.report.tables import NOTHING, count_nothing, format_score, image_rows
from snakeseg.report.verdict import verdict

COLUMNS = ["sample", "true_objects", "predicted_objects", "missed", "empty", "ap_0.50", "pixel_error", "splits"]
IMAGES = pd.DataFrame(
    [
        ("good", 4, 4, 0, 0, 1.0, 0.0, 0),
        ("false", 0, 2, 0, 1, 0.0, 0.1, 0),
        ("nothing", 0, 0, 0, 1, 1.0, 0.0, 0),
        ("half", 4, 2, 0, 0, 0.5, 0.2, 0),
    ],
    columns=COLUMNS,
).assign(experiment="x", subset="validation", status="scored", reason="")
CHOICES = Choices(is_semantic=False, is_cross_fitted=True, groups=4, models=1)
SUMMARY = pd.DataFrame([{"experiment": "x", "subset": "validation", "metric": "ap_0.50", "n": 4, "mean": 0.625}])


def verdict_of(images: pd.DataFrame, metric: str = "ap_0.50") -> dict[str, str]:
    return verdict(image_rows(images, metric), SUMMARY.assign(metric=metric), metric, CHOICES)


def test_the_cell_says_nothing_to_find_and_the_numbers_stay():
    rows = image_rows(IMAGES, "ap_0.50")
    cells = {row["sample"]: [format_score(row, name) for name in COLUMNS[5:]] for row in rows.to_dict("records")}
    assert cells["nothing"] == [NOTHING, "0.000", "0"]
    assert cells["good"] == ["1.000", "0.000", "0"]
    assert format_score({"nothing": False, "splits": 2.0}, "splits") == "2"  # a column with gaps holds floats
    assert cells["false"] == ["0.000", "0.100", "0"]
    assert rows["sample"].tolist() == ["half", "good", "false", "nothing"]
    assert rows.set_index("sample")["ap_0.50"].to_dict() == IMAGES.set_index("sample")["ap_0.50"].to_dict()
    assert count_nothing(rows) == {"validation": {"x": 1}}
    assert count_nothing(rows[rows["sample"] != "nothing"]) == {}


def test_the_verdict_says_how_many_the_mean_counts():
    text = verdict_of(IMAGES)["nothing"]
    assert text == ("1 of these images has nothing to find (no objects in the label, none predicted) and counts as 1.")
    twice = pd.concat([IMAGES, IMAGES.assign(sample="again")], ignore_index=True)
    assert verdict_of(twice)["nothing"].startswith("2 of these images have nothing to find")
    assert "nothing" not in verdict_of(IMAGES[IMAGES["sample"] != "nothing"])
    assert "nothing" not in verdict_of(IMAGES, "pixel_error")
    # Means of another experiment or subset than the headline's are not meant.
    assert "nothing" not in verdict_of(IMAGES.assign(experiment=IMAGES["sample"].replace("nothing", "y")))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    with chdir(tmp_path_factory.mktemp("run")):
        return make_run(Path.cwd(), images=1)


def test_the_page_and_the_summary(run):
    """The label of the image "empty" has no objects, and both experiments predict none."""
    page = run.read_text(encoding="utf-8")
    rows = re.findall(r'<tr data-sample="empty".*?</tr>', page, re.DOTALL)
    assert len(rows) == 2
    for row in rows:
        assert f'<td data-value="1.000">{NOTHING}</td>' in row
        assert ">1.000<" not in row
    assert page.count(f">{NOTHING}</td>") == sum(row.count(f">{NOTHING}</td>") for row in rows)
    assert "1 among the test images of plain, 1 among the test images of wide." in " ".join(page.split())
    table = pd.read_csv(run.parent / "evaluation" / "images.tsv", sep="\t")
    assert (table.loc[table["sample"] == "empty", "ap_0.50"] == 1).all()
    notes = (run.parent / "summary.md").read_text(encoding="utf-8")
    assert "(no objects in the label, none predicted), which means count as perfect: plain 1, wide 1." in notes
