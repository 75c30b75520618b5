"""`snakeseg init`: proposed settings, printed lines, and existing files."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from jsonschema import Draft202012Validator
from PIL import Image

from snakeseg.cli import LAYOUTS, main
from snakeseg.settings import read_config
from snakeseg.setup.detect import LAYOUTS as READERS
from snakeseg.setup.groups import are_neighbours_similar, choose_folds
from snakeseg.setup.label_section import LabelSummary, infer_labels
from snakeseg.setup.layout import Layout, sheet_of
from snakeseg.setup.plan import plan_setup
from snakeseg.transforms.simulate import simulate_cells

NO_CLASSES = Layout("", "data", sheet_of([]))


def summaries(looks_like: str, *values: list[int]) -> list[LabelSummary]:
    return [LabelSummary(looks_like, np.array(label)) for label in values]


@pytest.mark.parametrize(
    ("labels", "body", "kind", "values"),
    [
        (summaries("ids", [0, 1, 2], [0, 1, 2, 3], [0, 1]), False, "instance", None),
        (summaries("ids", [0, 1, 2, 3], [0, 1, 2], [0, 1, 2]), False, "instance", None),
        (summaries("mask", [0, 255], [0, 255]), False, "binary", None),
        (summaries("object", [0, 1], [0, 1]), False, "binary", None),
        (summaries("classes", [0, 1, 3], [0, 3]), False, "semantic", {"background": 0, "class-1": 1, "class-3": 3}),
        (summaries("ids", [0, 3, 4], [0, 3, 4], [0, 3, 4]), False, "semantic", None),
        (summaries("ids", [0, 1, 2], [0, 1, 2]), True, "semantic", {"background": 0, "class-1": 1, "class-2": 2}),
        (summaries("mask", [0, 1], [0, 1]), True, "semantic", {"background": 0, "foreground": 1}),
        (summaries("ids", list(range(40)), list(range(30))), True, "instance", None),
    ],
)  # fmt: skip
def test_the_kind_of_labels_is_inferred(labels, body, kind, values):
    inferred, reason = infer_labels(labels, NO_CLASSES, body)
    assert inferred.kind == kind
    assert values is None or inferred.values == values
    assert reason


@pytest.mark.parametrize(
    ("values", "ignore"), [([0, 1, 2, 255], 255), ([0, 1, 255], 255), ([0, 7, 255], None), ([0, 255], None)]
)
def test_the_value_of_ignored_pixels_is_inferred(values, ignore):
    labels, _ = infer_labels(summaries("classes", values, values), NO_CLASSES, False)
    assert labels.ignore == ignore
    assert (255 in labels.values.values()) == (ignore is None and labels.kind == "semantic")


def test_labels_without_objects_are_an_error():
    with pytest.raises(ValueError, match="labels without any object; expected at least one labelled object"):
        infer_labels(summaries("nothing", [0], [0]), NO_CLASSES, False)


def save_cells(folder, count, side=64, kind=np.uint16, labels=lambda objects: objects):
    for index in range(count):
        image, objects = simulate_cells(np.random.default_rng(index), (side, side), 12)
        for name, array in (("images", image), ("masks", labels(objects))):
            (folder / name).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / name / f"c{chr(97 + index)}.tif", array.astype(kind))


@pytest.fixture
def cells(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_cells(tmp_path / "cells", 6)
    return tmp_path


def test_the_config_is_valid_and_commented(cells, repository, capsys):
    assert main(["init", "cells"]) == 0
    text = (cells / "cells.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    schema = yaml.safe_load((repository / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
    assert not [error.message for error in Draft202012Validator(schema).iter_errors(config)]
    read_config(config)
    assert config["labels"] == {"kind": "instance"}
    assert text.count("\n# ") + text.count("\n  # ") > 5
    assert pd.read_csv("cells.tsv", sep="\t").columns.tolist() == ["sample", "image", "label", "subset"]
    output = capsys.readouterr().out
    assert "images: 6 to train" in output
    assert "labels: instance; 6 of 6 label images examined have one value for each object" in output
    assert f"next:   snakemake --cores all --snakefile {repository}/Snakefile --configfile cells.yaml" in output


def test_the_picture_shows_outlines(cells):
    assert main(["init", "cells", "-o", "x.yaml"]) == 0
    pixels = np.asarray(Image.open("x.png").convert("RGB")).astype(int)
    blue = (pixels[..., 2] > pixels[..., 0] + 100).mean()
    assert blue > 0.002
    assert pixels.shape[1] > 500


def test_json_output_describes_the_proposal(cells, capsys):
    assert main(["init", "cells", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["subsets"] == {"train": 6}
    assert result["config"] == "cells.yaml"
    assert result["problems"] == []


@pytest.mark.parametrize(("reply", "written"), [("n", False), ("", True), ("Y", True)])
def test_init_prompts_once_at_a_terminal(cells, monkeypatch, reply, written):
    questions = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda text: questions.append(text) or reply)
    assert main(["init", "cells"]) == (0 if written else 1)
    assert len(questions) == 1
    assert sorted(path.name for path in cells.glob("cells.*")) == (
        ["cells.png", "cells.tsv", "cells.yaml"] if written else []
    )
    monkeypatch.setattr("builtins.input", pytest.fail)
    assert main(["init", "cells", "--yes", "-o", "again.yaml"]) == 0


def test_unusable_files_are_left_out_and_reported(cells, capsys):
    """Another shape, another number of channels and a damaged file are all reported."""
    colours = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for name, array in (("images", colours), ("masks", np.ones((64, 64), np.uint8))):
        tifffile.imwrite(cells / f"cells/{name}/rgb.tif", array)
    for name, side in (("images", 64), ("masks", 63)):
        tifffile.imwrite(cells / f"cells/{name}/odd.tif", np.zeros((side, side), np.uint16))
    (cells / "cells/images/torn.tif").write_bytes(b"II*\0")
    tifffile.imwrite(cells / "cells/masks/torn.tif", np.ones((64, 64), np.uint16))
    assert main(["init", "cells"]) == 0
    output = capsys.readouterr()
    problems = [line for line in output.err.splitlines() if not line.startswith("checking: ")]
    use = output.out.splitlines()[-1]
    assert use.startswith("9 images: 6 used, 3 left out (")
    assert "rgb.tif: 3 channels" in use
    assert "torn.tif: a damaged file" in use
    comment = " ".join(line.removeprefix("# ") for line in (cells / "cells.yaml").read_text().splitlines()[1:5])
    assert use in comment
    assert len(problems) == 3
    assert "found 3 channels; expected 1, as in most images" in " ".join(problems)
    assert "found shape (63, 63); expected (64, 64), the shape of" in " ".join(problems)
    assert "torn.tif: found a damaged file" in " ".join(problems)
    assert all(line.startswith("not understood: ") for line in problems)
    assert len(pd.read_csv("cells.tsv", sep="\t")) == 6


def test_too_few_labels_are_an_error(cells, capsys):
    for path in list((cells / "cells/masks").iterdir())[1:]:
        path.unlink()
    assert main(["init", "cells"]) == 1
    assert "cells: found 1 of 6 images with a label that can be used; expected two or more" in capsys.readouterr().err
    assert not list(cells.glob("cells.*"))


def test_masks_give_binary_labels(tmp_path):
    save_cells(tmp_path / "d", 3, kind=np.uint8, labels=lambda objects: 255 * (objects > 0))
    plan = plan_setup(tmp_path / "d", None)
    assert plan.found.labels.kind == "binary"
    assert plan.folds[0] == {"folds": 3, "fold": 0}
    assert "uint8" in plan.config("d", "d.tsv")


def steps_of(plan) -> int:
    return next(key.value for key in plan.proposal.sections["train"] if key.name == "steps")


def test_more_images_get_more_steps_within_the_time_budget(tmp_path):
    """A few crops train for seconds, many images for the minutes of the time budget."""
    save_cells(tmp_path / "few", 4, side=48)
    save_cells(tmp_path / "many", 20, side=256)
    few, many = plan_setup(tmp_path / "few", None), plan_setup(tmp_path / "many", None)
    assert steps_of(few) < steps_of(many)
    assert few.proposal.minutes < 0.5
    assert few.proposal.minutes < many.proposal.minutes <= 6.1


def test_similar_consecutive_images_are_grouped(tmp_path):
    """Independent images are not grouped."""
    rng = np.random.default_rng(0)
    volume = np.cumsum(rng.normal(size=(12, 16, 16)), axis=0)
    for index, plane in enumerate(volume):
        plane = np.kron(plane, np.ones((4, 4)))
        for name, array in (("images", plane), ("masks", plane > 0)):
            (tmp_path / "s" / name).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(
                tmp_path / "s" / name / f"{index:02d}.tif", array.astype(np.float32 if name == "images" else np.uint8)
            )
    plan = plan_setup(tmp_path / "s", None)
    assert plan.sheet["group"].nunique() == 5
    assert plan.sheet["group"].is_monotonic_increasing
    save_cells(tmp_path / "c", 12)
    assert not are_neighbours_similar([str(path) for path in sorted((tmp_path / "c/images").iterdir())], 2)


def test_folds_suit_the_groups():
    def keys(groups):
        rows = [{"sample": f"s{i}", "subset": "train", "group": g} for i, g in enumerate(groups)]
        return choose_folds(sheet_of(rows), [], {})[0]

    assert keys([""] * 5) == {"folds": 1}
    assert keys([""] * 4) == {"folds": 4, "fold": 0}
    assert keys(["a", "a", "b", "b", "b"]) == {"folds": 2, "fold": 0}


def test_every_class_is_held_out_and_trained_on_where_possible():
    rows = sheet_of([{"sample": f"s{i}", "subset": "train", "group": ""} for i in range(10)])
    classes = {f"s{i}": {"sky"} for i in range(10)}
    assert choose_folds(rows, [], classes)[0] == {"folds": 1}
    rare = classes | {"s4": {"sky", "sea"}, "s9": {"sky", "sea"}}  # every fifth image, which would all be held out
    assert choose_folds(rows, [], rare | {"s2": {"sky", "sea"}})[0] == {"folds": 1}
    assert choose_folds(rows, [], rare)[0] == {"folds": 1}  # held out or not, one side has no sea
    apart = classes | {"s0": {"sky", "sea"}, "s6": {"sky", "sea"}}
    keys, comment = choose_folds(rows, [], apart)
    assert keys == {"validation": ["s0", "s5"]}
    assert "every class" in comment


def test_the_command_line_lists_all_layouts():
    assert list(READERS) == list(LAYOUTS)
