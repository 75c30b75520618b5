"""Checks of the input report all problems at once, each with its file, cause and remedy."""

import re

import numpy as np
import pandas as pd
import pytest
import tifffile

from snakeseg.checks.input import check_input
from snakeseg.checks.inspect import inspect_rows
from snakeseg.io.sheet import SHEET_COLUMNS
from snakeseg.models.compatibility import check_networks
from snakeseg.settings import NETWORK_SETTINGS, Experiment, Labels

LABEL = np.zeros((8, 10), np.uint8)
LABEL[2:4, 2:6], LABEL[6:, 8:] = 1, 4


def make_rows(folder, count=6):
    """Write valid training images and labels, and return their rows."""
    rows = []
    for i in range(count):
        image, label = folder / f"i{i}.tif", folder / f"l{i}.tif"
        tifffile.imwrite(image, np.roll(np.arange(80, dtype=np.uint8), i).reshape(8, 10))
        tifffile.imwrite(label, LABEL)
        rows.append((f"s{i}", str(image), str(label), "train", f"g{i}", "b", 1, ""))
    return pd.DataFrame(rows, columns=SHEET_COLUMNS)


@pytest.fixture
def rows(tmp_path):
    return make_rows(tmp_path)


def inspect_all(rows, labels=None):
    facts, problems = inspect_rows(rows, 2, labels or Labels())
    return pd.DataFrame(facts), problems


def test_valid_rows_have_facts_and_no_problems(rows):
    rows.loc[0, "spacing"] = "0.5"
    facts, problems = inspect_all(rows)
    assert problems == []
    assert check_input(rows, facts, 2, []) == []
    first = facts.iloc[0].to_dict()
    assert first.items() >= {
        "sample": "s0", "path": rows.at[0, "image"], "shape": "8x10", "channels": 1, "type": "uint8", "smallest": 0,
        "largest": 79, "spacing": "0.5 0.5", "objects": 2, "foreground": 12 / 80, "ignored": 0.0, "values": "0 1 4",
    }.items()  # fmt: skip
    assert first["shares"] == {"background": 68 / 80, "foreground": 12 / 80}


def test_facts_exclude_ignored_pixels(rows):
    facts, _ = inspect_all(rows, Labels(ignore=4))
    assert (facts["objects"] == 1).all()
    assert facts["foreground"].iloc[0] == 8 / 80
    assert facts["ignored"].iloc[0] == 4 / 80


def test_all_problems_are_reported_at_once(rows, tmp_path):
    """Each problem is one line that names the file; valid files are still described."""
    (tmp_path / "i0.tif").unlink()
    (tmp_path / "l1.tif").write_bytes(b"damaged")
    tifffile.imwrite(tmp_path / "l2.tif", LABEL[:5])
    tifffile.imwrite(tmp_path / "i3.tif", np.full((8, 10), np.nan, np.float32))
    tifffile.imwrite(tmp_path / "l4.tif", LABEL.astype(np.float32) / 8)
    rows.loc[5, "label"] = ""
    facts, problems = inspect_all(rows)
    assert len(facts) == 6
    expected = [
        ("i0.tif", "no such file"),
        ("l1.tif", "damaged"),
        ("l2.tif", "shape (5, 10)"),
        ("i3.tif", "80 pixels that are NaN"),
        ("l4.tif", "labels of type float32"),
        ("s5", "no label"),
    ]
    assert len(problems) == len(expected)
    for problem, (name, cause) in zip(problems, expected, strict=True):
        assert name in problem
        assert cause in problem
        assert "; expected " in problem
        assert "\n" not in problem
    assert facts["shape"].notna().tolist() == [False, True, True, False, True, True]


def test_image_and_label_of_one_row_are_both_reported(rows, tmp_path):
    (tmp_path / "i0.tif").unlink()
    (tmp_path / "l0.tif").unlink()
    assert len(inspect_all(rows)[1]) == 2


def test_labels_of_unknown_classes_are_problems(rows):
    """The data report still has facts about such labels."""
    facts, problems = inspect_all(rows, Labels("semantic", {"background": 0, "cell": 1}))
    assert set(facts["values"]) == {"0 1 4"}
    assert len(problems) == 6
    assert "found label values [4]; expected the classes" in problems[0]
    assert "l0.tif" in problems[0]


@pytest.mark.parametrize("subset", ["test", "predict"])
def test_rows_to_test_or_predict_need_no_labels(rows, subset):
    rows.loc[0, "label"], rows.loc[0, "subset"] = "", subset
    facts, problems = inspect_all(rows)
    assert problems == []
    assert np.isnan(facts.at[0, "objects"])


def test_bad_spacing_is_a_problem(rows):
    rows.loc[0, "spacing"] = "1 2 3"
    _, problems = inspect_all(rows)
    assert len(problems) == 1
    assert "sample sheet, s0: found spacing '1 2 3'" in problems[0]


def test_number_of_channels_must_be_that_of_the_first_image(rows, tmp_path):
    tifffile.imwrite(tmp_path / "i2.tif", np.zeros((8, 10, 3), np.uint8), photometric="rgb")
    facts, problems = inspect_all(rows)
    assert problems == []
    (problem,) = check_input(rows, facts, 2, [])
    assert "i2.tif: found 3 channels; expected 1, as in" in problem
    assert "i0.tif" in problem


def test_channels_are_compared_with_the_first_readable_image(rows, tmp_path):
    (tmp_path / "i0.tif").write_bytes(b"damaged")
    tifffile.imwrite(tmp_path / "i2.tif", np.zeros((8, 10, 3), np.uint8), photometric="rgb")
    (problem,) = check_input(rows, inspect_all(rows)[0], 2, [])
    assert "i2.tif" in problem
    assert "i1.tif" in problem


def test_unreadable_images_give_no_further_problems(rows, tmp_path):
    for i in range(6):
        (tmp_path / f"i{i}.tif").unlink()
    facts, problems = inspect_all(rows)
    assert len(problems) == 6
    assert check_input(rows, facts, 2, []) == []


@pytest.mark.parametrize(("folds", "patterns", "word"), [(7, [], "folds"), (1, ["none*"], "folds"), (1, ["s0"], None)])
def test_empty_folds_are_a_problem(rows, folds, patterns, word):
    facts, _ = inspect_all(rows)
    problems = check_input(rows, facts, folds, patterns)
    assert [p.split(":")[0] for p in problems] == ([word] if word else [])


def test_missing_training_images_are_no_problem_of_folds(rows):
    assert check_input(rows.assign(subset="test"), inspect_all(rows)[0], 1, []) == []


def test_identical_images_in_two_parts_are_a_problem(rows, tmp_path):
    """File name and compression do not matter; rows to predict are ignored."""
    pixels = tifffile.imread(tmp_path / "i1.tif")
    for subset, name, problems in [("test", "test", 1), ("predict", "", 0), ("train", "validation", 1)]:
        rows.loc[5, "subset"] = subset
        rows.loc[5, "label"] = rows.at[0, "label"]
        tifffile.imwrite(tmp_path / "i5.tif", pixels.astype(np.uint16), compression="zlib", tile=(16, 16))
        leaks = check_input(rows, inspect_all(rows)[0], 1, ["s5", "s4"])
        assert len(leaks) == problems
        for problem in leaks:
            assert re.match(
                rf".*i5.tif: found the same pixels as in .*i1.tif \({name} and training\); expected", problem
            )
            assert ("'group'" in problem) == (subset == "train")


def test_identical_images_in_two_folds_are_a_problem(rows, tmp_path):
    (tmp_path / "i5.tif").write_bytes((tmp_path / "i0.tif").read_bytes())
    facts, _ = inspect_all(rows)
    (problem,) = check_input(rows, facts, 2, [])
    assert "(fold 1 and fold 0)" in problem
    assert check_input(rows.assign(group=["g", "h", "i", "j", "k", "g"]), facts, 2, []) == []
    assert check_input(rows, facts, 5, []) == []  # both images are in the same fold


def test_constant_images_are_no_leak(rows, tmp_path):
    for i in (0, 1):
        tifffile.imwrite(tmp_path / f"i{i}.tif", np.zeros((8, 10), np.uint8))
    assert check_input(rows, inspect_all(rows)[0], 2, []) == []


def check_experiments(facts, networks, starts=None, labels=None, dims=2):
    experiments = {
        name: Experiment(
            network=NETWORK_SETTINGS[values.get("name", "unet")](**values), start_from=(starts or {}).get(name)
        )
        for name, values in networks.items()
    }
    return check_networks(experiments, facts, dims, labels or Labels())


FACTS = pd.DataFrame({"shape": ["64x20", "64x64"], "channels": [1.0, 1.0], "path": ["a.tif", "b.tif"]})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"depth": 5},
            r"network: found an image of 64x20 pixels \(a.tif\); expected 32 or more .*; lower network.depth",
        ),
        ({"decoder": "magic"}, r"network: found network.decoder 'magic'; expected one of .*'unpool'"),
        ({"skips": "none"}, r"network.skips 'none'; expected one of"),
        ({"normalisation": "layer"}, r"network.normalisation 'layer'; expected one of"),
        ({"name": "fcn8s", "deconvolutions": "odd"}, r"network.deconvolutions 'odd'; expected one of"),
        ({"name": "dynunet", "depth": 3, "normalisation": "none"}, r"network.normalisation 'none'; expected one of"),
        ({"pretrained": "/nowhere/w.pth"}, r"/nowhere/w.pth: found no such file; expected weights as .safetensors"),
    ],
)
def test_wrong_network_settings_are_a_problem(values, expected):
    good = {"name": "unet", "width": 2, "depth": 2}
    (problem,) = check_experiments(FACTS, {"a": values, "good": good})
    assert re.search(expected, problem), problem
    assert "; expected " in problem


def test_network_for_other_dimensions_is_a_problem():
    (problem,) = check_experiments(FACTS, {"a": {"name": "fcn8s"}}, dims=3)
    assert "found network.name 'fcn8s' with spatial_dims 3; expected spatial_dims 2" in problem


def test_border_class_needs_objects():
    labels = Labels("semantic", {"background": 0, "cell": 1})
    (problem,) = check_experiments(FACTS, {"a": {"depth": 2, "border": 1}}, labels=labels)
    assert "found border with semantic labels; expected instance or binary labels" in problem


def test_all_bad_networks_are_reported():
    values = {"a": {"depth": 6}, "b": {"decoder": "magic"}, "c": {"skips": "none"}}
    assert len(check_experiments(FACTS, values)) == 3


def test_start_from_needs_weights_of_equal_shapes():
    """Weights of an FCN fit its next stage; weights of another width or network do not."""
    stages = {"a": {"name": "fcn32s", "width": 2}, "b": {"name": "fcn16s", "width": 2}}
    assert check_experiments(FACTS, stages, {"b": "a"}) == []
    stages["b"] = {"name": "fcn16s", "width": 4}
    (problem,) = check_experiments(FACTS, stages, {"b": "a"})
    assert re.search(
        r"experiment b, start_from a: found vgg.* of shape \(2, 1, 3, 3\).*; expected \(4, 1, 3, 3\)", problem
    )
    stages["b"] = {"name": "unet", "width": 2, "depth": 2}
    assert "expected any of the tensors encoder" in check_experiments(FACTS, stages, {"b": "a"})[0]
