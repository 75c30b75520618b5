"""Cross-fitting: the parameters of a held-out group do not depend on its own images."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

from snakeseg.cli import main
from snakeseg.errors import BadInput
from snakeseg.io.store import write_store
from snakeseg.objects.components import ComponentFilter
from snakeseg.objects.cross_fit import GroupCounts, best_trial
from snakeseg.objects.parameters import load_cross_fitted, load_parameters
from snakeseg.objects.segment import InstanceParameters
from snakeseg.objects.trials import SCORES
from snakeseg.objects.tune import Sample, tune_parameters
from snakeseg.settings import Instances, Labels

FEW = {"thresholds": [0.3, 0.5, 0.7], "cores": [0.9], "depths": [1.0], "smallest": [0, 6], "grow": [0, 1]}
CLASSES = Labels("semantic", {"background": 0, "cell": 1, "wall": 2})
GROUPS = ["a", "b", "a", "c", "d"]


def objects_sample(index, seed):
    """An image whose best threshold varies with the seed."""
    rng = np.random.default_rng(seed)
    truth = ndimage.label(ndimage.gaussian_filter(rng.normal(size=(40, 44)), 3) > 0.05)[0]
    noise = ndimage.gaussian_filter(rng.normal(size=truth.shape), 1)
    foreground = np.clip(rng.uniform(0.4, 0.8) * (truth > 0) + 0.15 + 0.5 * noise, 0, 1).astype(np.float32)
    return Sample(f"i{index}", GROUPS[index], {"probabilities": np.stack([1 - foreground, foreground])}, truth)


def classes_sample(index, seed):
    """Classes with false specks of a size that varies with the seed."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((40, 44), np.uint8)
    truth[3:20, 3:20], truth[22:36, 22:40] = 1, 2
    predicted = truth.copy()
    for number in (1, 2):
        predicted[38, 3 : 3 + rng.integers(0, 12)] = number
        predicted[0, 30 : 30 + rng.integers(0, 12)] = number
    return Sample(f"i{index}", GROUPS[index], {"classes": predicted[None]}, truth)


def make_samples(kind, seeds):
    make = classes_sample if kind == "dice" else objects_sample
    return [make(index, seed) for index, seed in enumerate(seeds)]


def tune(kind, samples):
    if kind == "dice":
        return tune_parameters(samples, CLASSES, Instances(smallest=[0, 3, 6, 9]))
    return tune_parameters(samples, Labels(), Instances(select_by=kind, **FEW))


def parameters_by_sample(tuned):
    cross_fitted = tuned["cross_fitted"]
    return {name: cross_fitted["parameters"][index] for name, index in cross_fitted["samples"].items()}


@pytest.mark.parametrize("kind", [*SCORES, "dice"])
def test_parameters_are_those_of_the_other_groups_alone(kind):
    """Group by group, they equal those of tuning without the group, which has never seen its images."""
    samples = make_samples(kind, range(5))
    parameters = parameters_by_sample(tune(kind, samples))
    assert list(parameters) == ["i0", "i1", "i2", "i3", "i4"]
    for sample in samples:
        others = tune(kind, [other for other in samples if other.group != sample.group])
        alone = (
            {name: rule["chosen"] for name, rule in others["classes"].items()} if kind == "dice" else others["chosen"]
        )
        assert parameters[sample.name] == alone


@pytest.mark.parametrize("kind", [*SCORES, "dice"])
def test_parameters_of_a_group_do_not_depend_on_its_own_images(kind):
    """Whatever the images of group a are; the parameters of other groups and of new images may change."""
    chosen = set()
    for seed in range(100, 108):
        tuned = tune(kind, make_samples(kind, [seed, 1, seed + 50, 3, 4]))
        parameters = parameters_by_sample(tuned)
        assert parameters["i0"] == parameters["i2"]
        chosen.add(json.dumps(parameters["i0"]))
    assert len(chosen) == 1


def test_new_images_use_the_parameters_of_all():
    samples = make_samples("ap", range(5))
    tuned = tune("ap", samples)
    alone = tune("ap", [sample._replace(group="a") for sample in samples])
    assert (tuned["chosen"], tuned["trials"]) == (alone["chosen"], alone["trials"])
    assert alone["cross_fitted"] == {}


def test_sums_of_others_are_exact():
    """A group of huge counts takes no part in the sums of the other groups, not even by rounding."""
    counts = GroupCounts()
    for name, value in zip("abc", (1e20, 0.1, 0.2), strict=True):
        counts.add(name, name, np.array([value]))
    assert counts.cross_fit(lambda sums: {"sum": float(sums[0])})["parameters"][0] == {"sum": 0.1 + 0.2}
    assert counts.total() == 1e20 + 0.1 + 0.2


def test_best_trial():
    nan = np.nan
    assert best_trial(np.array([1, 3, 3, 2]), np.array([9, 1, 1, 9])) == 1
    assert best_trial(np.array([3, 3, nan]), np.array([1, 2, 9])) == 1
    assert best_trial(np.array([nan, nan]), np.array([0, 0])) == 0


def test_parameters_are_read(tmp_path):
    assert load_cross_fitted(tmp_path, Labels()) == {}
    samples = make_samples("ap", range(5))
    tuned = tune("ap", samples)
    (tmp_path / "instances.json").write_text(json.dumps(tuned), encoding="utf-8")
    expected = {name: InstanceParameters(**values) for name, values in parameters_by_sample(tuned).items()}
    assert load_cross_fitted(tmp_path, Labels()) == expected
    assert load_parameters(tmp_path, Labels()) == InstanceParameters(**tuned["chosen"])
    tuned = tune("dice", make_samples("dice", range(5)))
    (tmp_path / "instances.json").write_text(json.dumps(tuned), encoding="utf-8")
    expected = {
        name: {label: ComponentFilter(**fields) for label, fields in values.items()}
        for name, values in parameters_by_sample(tuned).items()
    }
    assert load_cross_fitted(tmp_path, CLASSES) == expected


def test_files_of_earlier_versions_are_read(tmp_path):
    (tmp_path / "instances.json").write_text('{"chosen": {"threshold": 0.4}, "trials": []}', encoding="utf-8")
    assert load_cross_fitted(tmp_path, Labels()) == {}
    assert load_parameters(tmp_path, Labels()) == InstanceParameters(threshold=0.4, grow=0)


@pytest.mark.parametrize(
    "section",
    [
        '[]', '"a"', '{"parameters": []}', '{"parameters": [{}], "samples": {"a": 1}}',
        '{"parameters": [{}], "samples": {"a": -1}}', '{"parameters": [{}], "samples": {"a": true}}',
        '{"parameters": [{}], "samples": {"a": 0.0}}', '{"parameters": [{}], "samples": ["a"]}',
        '{"parameters": {"a": {}}, "samples": {"a": 0}}', '{"parameters": [{"grow": 6}], "samples": {}}',
        '{"parameters": [{"grow": -1}], "samples": {}}', '{"parameters": [{"grow": 1.5}], "samples": {}}',
        '{"parameters": [{"threshold": NaN}], "samples": {}}', '{"parameters": [{"method": "x"}], "samples": {}}',
        '{"parameters": [{"other": 1}], "samples": {}}', '{"parameters": 3, "samples": {}}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("labels", [Labels(), CLASSES])
def test_invalid_sections(tmp_path, section, labels):
    text = f'{{"chosen": {{}}, "classes": {{}}, "cross_fitted": {section}}}'
    if section == "[]":  # nothing, as in a file without the key
        text = text.replace("[]", "[1]")
    (tmp_path / "instances.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=r"instances.json"):
        load_cross_fitted(tmp_path, labels)


def test_command_writes_validation_labels_with_the_parameters_of_the_other_groups(tmp_path, repository):
    """With --cross-fitted; a sample that is not listed, and all samples without the flag, have those of all."""
    model = shutil.copytree(repository / "tests/fixtures/version_0.1.0/model", tmp_path / "model")
    dims = json.loads((model / "model.json").read_text(encoding="utf-8"))
    assert dims["labels"]["kind"] == "instance"
    low, high = ({"threshold": value} for value in (0.3, 0.7))
    content = {"chosen": high, "trials": [], "cross_fitted": {"parameters": [high, low], "samples": {"a": 1}}}
    (model / "instances.json").write_text(json.dumps(content), encoding="utf-8")
    foreground = np.full((1, 8, 8), 0.5, np.float16)
    arrays = {"probabilities": np.concatenate([1 - foreground, foreground])}
    write_store(tmp_path / "p.zarr.zip", [(name, {"note": ""}, arrays) for name in ("a", "b")])
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "image.png")
    rows = [{"sample": name, "image": "image.png", "label": "", "subset": "predict"} for name in ("a", "b")]
    pd.DataFrame(rows).to_csv(tmp_path / "samples.tsv", sep="\t", index=False)
    for flags, expected in (([], [0, 0]), (["--cross-fitted"], [1, 0])):
        output = tmp_path / f"labels{len(flags)}"
        arguments = ["--sheet", tmp_path / "samples.tsv", "--data", tmp_path, "--model", model, "--output", output]
        arguments += ["--probabilities", tmp_path / "p.zarr.zip", *flags]
        assert main(["instances", *map(str, arguments), "--debug"]) == 0
        assert [int(np.asarray(Image.open(output / f"{name}.png")).max()) for name in ("a", "b")] == expected
