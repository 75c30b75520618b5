"""Values of labels that are no ids: pixels without annotation, and classes that are numbered from 1.

The inputs are those of shared/cases/inputs/minus_one_unlabelled.py and ilastik_one_two.py.
"""

import numpy as np
import pytest
import tifffile
import yaml

from snakeseg.checks.label_facts import value_facts
from snakeseg.cli import main
from snakeseg.errors import BadInput
from snakeseg.settings import Labels
from snakeseg.setup.label_section import LabelSummary, infer_labels
from snakeseg.setup.layout import Layout, sheet_of
from snakeseg.transforms.labels import classes_and_objects, interpret_labels

NO_CLASSES = Layout("", "data", sheet_of([]))


def draw_cells(rng, count: int) -> np.ndarray:
    """Draw rectangles that do not overlap, with ids from 1."""
    label, ids = np.zeros((128, 128), np.int16), 0
    for _ in range(count):
        y, x = rng.integers(1, 117), rng.integers(1, 119)
        if not label[y : y + 10, x : x + 8].any():
            ids += 1
            label[y : y + 10, x : x + 8] = ids
    return label


def save(folder, change) -> None:
    """Save six images, with labels that `change` makes of drawn cells."""
    rng = np.random.default_rng(7)
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for k in range(6):
        label = draw_cells(rng, 10 + 5 * k)
        image = (rng.normal(60, 10, label.shape) + 100 * (label > 0)).clip(0, 255)
        tifffile.imwrite(folder / f"images/c{k}.tif", image.astype(np.uint8))
        tifffile.imwrite(folder / f"labels/c{k}.tif", change(label))


def without_annotation_below(label: np.ndarray) -> np.ndarray:
    return np.where(np.arange(128)[:, None] < 80, label, -1).astype(np.int16)


def init(folder, monkeypatch) -> dict:
    """Run `snakeseg init`, and return the section `labels` of its config."""
    monkeypatch.chdir(folder)
    assert main(["init", "data", "--yes"]) == 0
    return yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))["labels"]


def test_minus_one_means_unlabelled(tmp_path, monkeypatch):
    save(tmp_path / "data", without_annotation_below)
    assert init(tmp_path, monkeypatch) == {"kind": "instance", "ignore": -1}


def test_classes_numbered_from_one_are_semantic(tmp_path, monkeypatch):
    save(tmp_path / "data", lambda label: (1 + (label > 0)).astype(np.uint8))
    assert init(tmp_path, monkeypatch) == {"kind": "semantic", "values": {"background": 1, "foreground": 2}}


def test_the_check_refuses_negative_ids(tmp_path, monkeypatch, capsys):
    save(tmp_path / "data", without_annotation_below)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.tsv").write_text("sample\timage\tlabel\nc\tdata/images/c0.tif\tdata/labels/c0.tif\n")
    assert main(["inspect", "--sheet", "s.tsv", "--output", "logs/train-0000.json"]) == 0
    assert main(["check", "--sheet", "s.tsv", "--inspected", "logs", "--output", "check.tsv"]) == 1
    expected = "data/labels/c0.tif: found negative ids -1; expected 0 for background, and positive ids; set labels.ig"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["instance", "binary"])
def test_negative_values_are_no_objects(kind):
    label = without_annotation_below(draw_cells(np.random.default_rng(7), 20))
    for dtype in (np.int16, np.int64):
        with pytest.raises(BadInput, match=r"set labels\.ignore: -1, if these pixels are not annotated"):
            interpret_labels(label.astype(dtype), Labels(kind), "x.tif")
    classes, objects = classes_and_objects(label, Labels(kind, ignore=-1))
    assert (classes == 255).sum() == 48 * 128
    assert objects[label > 0].all()
    assert not objects[label < 1].any()


def test_facts_count_no_negative_value():
    label = without_annotation_below(draw_cells(np.random.default_rng(7), 20))
    facts = value_facts(label)
    assert facts["ids"] == len(np.unique(label[label > 0]))
    assert facts["looks_like"] == "ids"
    assert facts["values"].startswith("-1 to ")


def summarise(*labels) -> list[LabelSummary]:
    return [
        LabelSummary(value_facts(label)["looks_like"], *np.unique(label, return_counts=True))
        for label in map(np.array, labels)
    ]


@pytest.mark.parametrize(
    ("labels", "kind", "values", "ignore"),
    [
        # The background is what fills the images, whatever its number.
        ([[[2, 2, 2, 1]], [[2, 2, 1, 2]]], "semantic", {"background": 2, "foreground": 1}, None),
        ([[[1, 1, 1, 2]], [[1, 1, 1, 1]]], "semantic", {"background": 1, "foreground": 2}, None),
        ([[[1, 1, 1, 1, 2]], [[1, 1, 1, 3, 2]]], "semantic", {"background": 1, "class-2": 2, "class-3": 3}, None),
        ([[[5, 5, 5, 9]], [[5, 9, 5, 5]]], "semantic", {"background": 5, "foreground": 9}, None),
        ([[[-1, 1, 1, 2]], [[-1, -1, -1, 1]]], "semantic", {"background": 1, "foreground": 2}, -1),
        ([[[-1, -1, -1, 1]], [[-1, -1, 1, -1]]], "semantic", {"background": -1, "foreground": 1}, None),
        # Confluent cells: none, or not always the same one, fills most of the image.
        ([[[1, 1, 2, 2]], [[1, 1, 2, 2]]], "instance", None, None),
        ([[[1, 1, 1, 2]], [[1, 2, 2, 2]]], "instance", None, None),
        ([[[1, 1, 1, 2, 3, 4]], [[1, 1, 1, 1, 2, 3]]], "instance", None, None),
        ([[[0, 0, 1, 0, 1, -1]], [[0, 1, 0, 1, 0, -1]]], "binary", None, -1),
    ],
)
def test_the_meaning_of_values_is_inferred(labels, kind, values, ignore):
    inferred, reason = infer_labels(summarise(*labels), NO_CLASSES, False)
    assert inferred.kind == kind
    assert values is None or inferred.values == values
    assert inferred.ignore == ignore
    assert reason


def test_several_negative_values_are_refused():
    with pytest.raises(BadInput, match=r"data: found the negative label values \[-2, -1\]; expected at most one"):
        infer_labels(summarise([[0, -1, -2, 1]], [[0, 1, -1, 2]]), NO_CLASSES, False)
