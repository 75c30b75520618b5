"""The summary in Markdown: content, and escaping of text from files."""

import json

import pandas as pd
import pytest

from snakeseg.report.markdown import escape, render_markdown
from snakeseg.settings import read_config

NAN = float("nan")
SUMMARY = pd.DataFrame(
    [
        ("a_b", "test", "dice", 8, 2, 1, 0, 0.9, 0.85, 0.94, 4),
        ("a_b", "test", "adapted_rand_error", 0, 2, 1, 0, NAN, NAN, NAN, 0),
        ("plain", "test", "dice", 10, 0, 0, 0, 0.5, NAN, NAN, 1),
        ("plain", "test", "adapted_rand_error", 0, 0, 0, 0, NAN, NAN, NAN, 0),
    ],
    columns=["experiment", "subset", "metric", "n", "unscored", "missed", "empty", "mean", "low", "high", "groups"],
)


@pytest.fixture
def text(tmp_path):
    for name in ("a_b", "plain"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "measures.json").write_text(
            json.dumps({"network": "unet, width 4"}), encoding="utf-8"
        )
    sheet = pd.DataFrame({"subset": ["train"] * 4 + ["test"] * 10, "group": list("aabb") + list("cccccddddd")})
    sections = {"labels": {"kind": "binary"}, "folds": 2, "seeds": [0, 1, 2]}
    config = read_config({"name": "run", "sheet": "samples.tsv", **sections})
    statements = {"test": ["no difference shown between a_b and plain", "<b> | *c*"]}
    return render_markdown(tmp_path, sheet, config, SUMMARY, statements, {"test": {"a_b": 1, "plain": 2}})


def test_the_summary_lists_data_networks_and_scores(text):
    assert text.startswith(
        "# run\n\nTraining and validation: 4 images in 2 groups (binary labels),\n2 folds, 3 seeds;\n10 test images"
    )
    assert "\n- a\\_b: unet, width 4\n- plain: unet, width 4\n\n## test images\n" in text
    lines = text.splitlines()
    head = lines.index("| experiment | scored | missed | empty | not scored | dice |")
    assert lines[head + 1 : head + 4] == [
        "|---|---|---|---|---|---|",
        "| a\\_b | 8 | 1 | 0 | 2 | 0.900 (0.850 to 0.940) |",
        "| plain | 10 | 0 | 0 | 0 | 0.500 |",
    ]
    assert "(no objects in the label, none predicted), which means count as perfect: a\\_b 1, plain 2.\n" in text
    assert "\n\n- no difference shown between a\\_b and plain\n- \\<b\\> \\| \\*c\\*\n" in text


def test_text_from_files_is_escaped():
    assert escape("a_b | *c*\n# d `e` [f](g) <h> $i$") == r"a\_b \| \*c\* \# d \`e\` \[f\](g) \<h\> \$i\$"
    assert escape(3) == 3
