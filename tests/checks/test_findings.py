"""Each planted problem is reported as a finding about its sample, and nothing else is reported."""

from itertools import count, islice

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy import ndimage

from snakeseg.checks.findings.all import as_table, gather_findings, problem_findings
from snakeseg.checks.findings.object_sizes import (
    describe_experiments,
    extent_percentile,
    overview,
    pool_extents,
    propose_patch,
)
from snakeseg.checks.findings.table import without_hidden_columns
from snakeseg.checks.input import Inspected, check_input
from snakeseg.checks.inspect import inspect_rows
from snakeseg.io.sheet import SHEET_COLUMNS
from snakeseg.settings import Augment, Experiment, Labels, Prepare, Settings, Train, UNetSettings
from snakeseg.transforms.simulate import simulate_cells

NETWORKS = {"plain": UNetSettings(width=4, depth=3)}


@pytest.fixture(scope="module")
def pictures():
    """Simulate ten images without saturated pixels, and their labels."""
    pairs = (simulate_cells(np.random.default_rng([1, i]), (128, 96), 14) for i in count())
    return list(islice((pair for pair in pairs if (pair[0] == 255).mean() < 0.005), 10))


@pytest.fixture
def data(tmp_path, pictures):
    """Write eight training rows and two test rows."""
    rows = []
    for i, (image, label) in enumerate(pictures):
        tifffile.imwrite(tmp_path / f"i{i}.tif", image)
        tifffile.imwrite(tmp_path / f"l{i}.tif", label)
        subset = "train" if i < 8 else "test"
        rows.append((f"s{i}", str(tmp_path / f"i{i}.tif"), str(tmp_path / f"l{i}.tif"), subset, f"s{i}", "b", 1, ""))
    return pd.DataFrame(rows, columns=SHEET_COLUMNS)


def find_all(sheet, labels=None, networks=None, patch=64, prepare=None, folds=1):
    """Return the table of findings and the table of images."""
    labels = labels or Labels()
    facts, problems = inspect_rows(sheet, 2, labels)
    problems += check_input(sheet, pd.DataFrame(facts), folds, [])
    settings = Settings(
        spatial_dims=2, labels=labels, prepare=prepare or Prepare(), augment=Augment(std=4), folds=folds, validation=[],
        experiments=experiments(networks or NETWORKS, patch),
    )  # fmt: skip
    table, findings = gather_findings(sheet, Inspected(pd.DataFrame(facts), problems), settings)
    return as_table(findings), table


def experiments(networks, patch):
    return {name: Experiment(network=network, train=Train(patch=patch)) for name, network in networks.items()}


def topics(findings):
    """Return severity, topic and samples of each finding."""
    return set(zip(findings["severity"], findings["topic"], findings["samples"], strict=True))


def rewrite(sheet, row, image=None, label=None):
    """Replace the image or the label of a row."""
    if image is not None:
        tifffile.imwrite(sheet.at[row, "image"], image)
    if label is not None:
        tifffile.imwrite(sheet.at[row, "label"], label)


@pytest.fixture
def baseline(data):
    """Return the findings about the unchanged simulated images."""
    return topics(find_all(data)[0])


def test_simulated_images_have_only_true_findings(baseline, pictures):
    """Some ragged cells consist of several pieces, at least one of them away from the edge."""
    expected = set()
    for index, (_, label) in enumerate(pictures):
        edge = np.pad(np.zeros(np.subtract(label.shape, 2), bool), 1, constant_values=True)
        for i in range(1, label.max() + 1):
            pieces, several = ndimage.label(label == i, np.ones((3, 3)))
            if several > 1 and any(not edge[pieces == piece].any() for piece in range(1, several + 1)):
                expected.add(("warning", "Objects in several pieces", f"s{index}"))
    assert {finding for finding in baseline if finding[0] != "note"} == expected


def test_table_of_images_has_one_row_per_image(data):
    _, table = find_all(data)
    written = without_hidden_columns(table)
    assert list(written["sample"]) == list(data["sample"])
    assert list(written["part"]) == ["training"] * 4 + ["validation"] + ["training"] * 3 + ["test"] * 2
    np.testing.assert_allclose(written["share_background"] + written["share_foreground"], 1)
    assert not {"signature", "pixels"} & set(written)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.copy(),
        lambda image: image[::-1],
        lambda image: image.T,
        lambda image: (image * 0.5 + 20).astype(np.uint8),
        lambda image: np.clip(image + np.random.default_rng(0).normal(0, 4, image.shape), 0, 255).astype(np.uint8),
    ],
    ids=["equal", "flipped", "transposed", "darker", "noisy"],
)
@pytest.mark.parametrize(("row", "part"), [(9, "test"), (4, "validation"), (7, "training")])
def test_planted_near_duplicate_is_reported(data, baseline, pictures, change, row, part):
    image, label = pictures[0]
    changed = np.ascontiguousarray(change(image))
    rewrite(data, row, changed, label.T if changed.shape != label.shape else None)
    new = topics(find_all(data)[0]) - baseline
    pair = {(s, t) for s, t, samples in new if samples in (f"s0 s{row}", f"s{row}")}
    equal = changed.shape == image.shape and (changed == image).all()
    across, within = (
        ("warning", "Near-duplicate images in different parts"),
        ("note", "Near-duplicate images in different groups"),
    )
    if equal:
        across, within = ("error", "Problems that stop the workflow"), ("warning", "Identical images")
    assert {(s, t) for s, t in pair if "duplicate" in t or "Identical" in t or s == "error"} == {
        within if part == "training" else across
    }


def test_near_duplicates_in_one_group_are_not_reported(data, baseline, pictures):
    rewrite(data, 7, (pictures[0][0] * 0.5).astype(np.uint8))
    data.loc[[0, 7], "group"] = "mouse"
    assert not any("duplicate" in topic for _, topic, _ in topics(find_all(data)[0]) - baseline)


def test_near_duplicates_among_rows_to_predict_are_not_reported(data, baseline, pictures):
    rewrite(data, 9, pictures[0][0])
    data.loc[9, "subset"] = "predict"
    assert not any("duplicate" in t or "Identical" in t for _, t, _ in topics(find_all(data)[0]))


def test_series_of_near_duplicates_is_one_finding(data, pictures):
    for row in range(1, 10):
        rewrite(data, row, (pictures[0][0] * (1 - row / 30)).astype(np.uint8))
    findings, _ = find_all(data)
    (finding,) = findings[findings["topic"] == "Near-duplicate images in different parts"].to_dict("records")
    assert finding["samples"].split() == [f"s{i}" for i in range(10)]
    assert "s5 (training), 4 more: correlation" in finding["found"]


def rewrite_as_masks(data, values=(0, 255)):
    """Replace all labels by masks with two values."""
    for row in range(10):
        rewrite(data, row, label=np.array(values, np.uint8)[(tifffile.imread(data.at[row, "label"]) > 0).astype(int)])


def test_masks_read_as_instances_are_reported(data):
    rewrite_as_masks(data)
    findings, _ = find_all(data)
    first = findings.iloc[0]
    assert (first["severity"], first["topic"]) == ("warning", "Labels do not match labels.kind")
    assert "10 of 10 labels have one value for all objects: 0 255" in first["found"]
    assert first["remedy"] == "set labels: {kind: binary}"
    assert "Labels do not match labels.kind" not in set(find_all(data, Labels("binary"))[0]["topic"])


def test_ids_read_as_a_mask_are_reported(data):
    findings = find_all(data, Labels("binary"))[0].set_index("topic")
    assert findings.at["Labels do not match labels.kind", "remedy"] == "set labels: {kind: instance}"


def test_classes_read_as_instances_are_reported(data):
    for row in range(10):
        label = tifffile.imread(data.at[row, "label"])
        rewrite(data, row, label=np.where(label == 0, 0, np.where(label % 2, 1, 7)).astype(np.uint8))
    findings = find_all(data)[0].set_index("topic")
    remedy = "set labels: {kind: semantic, values: {background: 0, class-1: 1, class-7: 7}}"
    assert findings.at["Labels do not match labels.kind", "remedy"] == remedy
    kind = Labels("semantic", {"background": 0, "a": 1, "b": 7})
    assert "Labels do not match labels.kind" not in set(find_all(data, kind)[0]["topic"])


def test_ids_read_as_classes_are_errors_with_a_remedy(data):
    findings, _ = find_all(data, Labels("semantic"))
    assert (findings["severity"] == "error").sum() == 10
    assert set(findings.loc[findings["severity"] == "error", "samples"]) == set(data["sample"])
    assert "set labels: {kind: instance}" in set(findings["remedy"])


def test_one_label_unlike_the_others_is_reported(data, baseline):
    rewrite(data, 2, label=(tifffile.imread(data.at[2, "label"]) > 0).astype(np.uint8))
    assert ("warning", "Labels unlike the others", "s2") in topics(find_all(data)[0]) - baseline


def draw_faulty_label(label):
    """Draw a label image with an id in two pieces, a missing id, a hole and a speck."""
    faulty = np.zeros_like(label)
    faulty[10:40, 10:40], faulty[60:90, 10:40], faulty[60:90, 60:90], faulty[10:30, 60:80] = 1, 2, 3, 5
    faulty[100:110, 60:80] = 5  # a second piece
    faulty[20:22, 20:22] = 0  # a hole
    faulty[120, 3] = 6  # a speck
    return faulty


def test_faults_of_one_label_are_reported(data, baseline, pictures):
    rewrite(data, 3, label=draw_faulty_label(pictures[3][1]))
    findings = find_all(data)[0]
    texts = findings[findings["samples"] == "s3"].set_index("topic")["found"]
    assert texts["Objects in several pieces"] == "1 of 5 objects (5)"
    assert texts["Missing ids"] == "1 ids below the largest are missing"
    assert texts["Objects with holes"] == "1 of 5 objects"
    assert texts["Objects much smaller than the others"].startswith("1 of 5 objects")


def test_empty_and_full_labels_are_reported(data, baseline):
    rewrite(data, 1, label=np.zeros((128, 96), np.uint8))
    rewrite(data, 2, label=np.ones((128, 96), np.uint8))
    new = topics(find_all(data)[0]) - baseline
    assert {("warning", "Labels without objects", "s1"), ("warning", "Labels without background", "s2")} <= new


def test_label_with_another_pixel_size_than_its_image_is_reported(data, baseline):
    for column, size in (("image", 0.5), ("label", 0.7)):
        path = data.at[4, column].replace(".tif", ".ome.tif")
        tifffile.imwrite(
            path, tifffile.imread(data.at[4, column]), metadata={"PhysicalSizeX": size, "PhysicalSizeY": size}
        )
        data.loc[4, column] = path
    assert ("warning", "Labels on a different grid", "s4") in topics(find_all(data)[0]) - baseline


def test_images_with_few_intensities_are_reported(data, baseline, pictures):
    image = pictures[5][0]
    rewrite(data, 1, np.zeros((128, 96), np.uint8))
    rewrite(data, 2, (image > 100).astype(np.uint8) * 255)
    rewrite(data, 3, np.minimum(image, int(np.percentile(image, 90))))
    new = topics(find_all(data)[0]) - baseline
    assert {
        ("warning", "Images with a single intensity value", "s1"),
        ("warning", "Images with very few intensity values", "s2"),
        ("note", "Saturated pixels", "s3"),
    } <= new  # fmt: skip


def test_settings_unsuitable_for_the_data_are_reported(data, pictures):
    """Checks patches, receptive fields, pixel sizes, intensity ranges and groups."""
    data.loc[0, "spacing"] = "0.5"
    data.loc[[0, 9], "group"] = "mouse"
    rewrite(data, 1, pictures[1][0].astype(np.uint16) * 100)
    networks = {"near": UNetSettings(width=2, depth=1)}
    findings, table = find_all(data, networks=networks, patch=12, prepare=Prepare(scope="dataset"))
    expected = {
        "Different pixel sizes", "Different intensity ranges", "Groups in training and test",
        "Patches too small for the objects", "Objects larger than the receptive field",
    }  # fmt: skip
    assert expected <= set(findings["topic"])
    assert "Patches larger than images" in set(find_all(data, patch=388)[0]["topic"])
    patch = overview(table, Labels(), describe_experiments(experiments(networks, 12), 2))["patch"]
    assert f"set train: {{patch: {patch}}}" in set(findings["remedy"])


def test_missing_and_rare_classes_are_reported(data):
    for row in range(10):
        label = np.ones((128, 96), np.uint8)
        label[0, :3] = 2
        rewrite(data, row, label=label)
    findings = find_all(data, Labels("semantic", {"a": 1, "b": 2, "c": 3}))[0].set_index("topic")
    assert findings.at["Missing classes", "found"] == "no training image contains the class c"
    assert findings.at["Rare classes", "remedy"] == "set train: {foreground: 0.33, balanced: true}"


def test_percentiles_of_pooled_extents_equal_those_of_all_objects():
    """Percentiles of the histogram agree with those of the extents within half a bin."""
    rng = np.random.default_rng(0)
    lists = [np.maximum(1, rng.lognormal(3, 0.6, n).round()) for n in (50, 200, 7)]
    histograms = [np.bincount((4 * np.log2(extents)).astype(int)).tolist() for extents in lists]
    counts = pool_extents(pd.DataFrame({"extents": [*histograms, [], np.nan]}))
    for percent in (5, 50, 95):
        exact = np.percentile(np.concatenate(lists), percent)
        assert extent_percentile(counts, percent) == pytest.approx(exact, rel=2 ** (1 / 8) - 1 + 0.02)
    assert propose_patch(counts, 1000) % 32 == 0
    assert propose_patch(counts, 50) == 64


def test_unreadable_files_are_errors_of_their_rows(data, tmp_path):
    (tmp_path / "i0.tif").write_bytes(b"damaged")
    (tmp_path / "l1.tif").unlink()
    data.loc[2, "label"] = ""
    findings, table = find_all(data)
    errors = findings[findings["severity"] == "error"]
    assert list(errors["samples"]) == ["s0", "s1", "s2"]
    assert list(errors.index) == [0, 1, 2]
    assert len(table) == 10


def test_only_images_to_predict_have_no_findings(data):
    findings, table = find_all(data.assign(subset="predict", label=""))
    assert findings.empty
    assert overview(table, Labels(), []) == {}


def test_unreadable_images_have_only_errors(data, tmp_path):
    for path in tmp_path.iterdir():
        path.write_bytes(b"damaged")
    findings, _ = find_all(data)
    assert set(findings["severity"]) == {"error"}


def test_problem_names_all_rows_of_its_file():
    """A file may hold several images; a problem concerns one of them or all."""
    images = ["a.lif#1", "a.lif#2", "b.tif;c.tif"]
    sheet = pd.DataFrame({"sample": ["s1", "s2", "s3"], "image": images, "label": ["", "", "b.tif"]})
    problems = [f"{where}: found x; expected y; do z" for where in ("a.lif", "a.lif#2", "c.tif", "b.tif", "d.tif")]
    samples = [finding.samples for finding in problem_findings(problems, sheet)]
    assert samples == [("s1", "s2"), ("s2",), ("s3",), ("s3",), ()]
