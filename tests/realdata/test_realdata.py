"""The examples on real images: exact tiles, prepared data, and a short training."""

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from narrow import NARROW, name_of, random_network

from snakeseg.arrays import read_mirrored
from snakeseg.io.images import read, read_label
from snakeseg.io.sheet import assign_folds, read_sheet
from snakeseg.networks.registry import geometry_of, make_network
from snakeseg.prediction.overlap_tile import predict_logits
from snakeseg.settings import Labels, Prepare, UNetSettings
from snakeseg.transforms.labels import classes_and_objects, separated_labels
from snakeseg.transforms.normalise import normalise

pytestmark = [pytest.mark.realdata, pytest.mark.slow]


def test_tiles_equal_one_pass_on_a_section(realdata):
    image = normalise(read(realdata / "isbi2012/train/images/000.png", 2).array[:, :200, :300], Prepare(), None)[:]
    image = image.astype(np.float64)
    settings = UNetSettings(width=4, depth=4, normalisation="batch", dropout=0.0)
    torch.manual_seed(0)
    network = make_network(2, 1, 2, settings).double().eval()
    geometry = geometry_of(2, settings)
    start, size = [-halo for halo in geometry.halo], geometry.input_size(image.shape[1:])
    whole = torch.from_numpy(read_mirrored(image, start, size).copy())[None]
    with torch.inference_mode():
        expected = network(whole)[0, :, : image.shape[1], : image.shape[2]].numpy()
    for tile in (64, 112, 512):
        np.testing.assert_allclose(predict_logits(network, image, geometry, tile), expected, rtol=0, atol=1e-9)


@pytest.fixture(scope="module", params=["membranes", "nuclei"])
def section(realdata, request):
    """Return a part of an image, in float64, and its classes."""
    image, label = realdata / "isbi2012/train/images/000.png", realdata / "isbi2012/train/labels/000.png"
    if request.param == "nuclei":
        image = sorted((realdata / "dsb2018/images").iterdir())[0]
        label = realdata / "dsb2018/labels" / image.name
    image = normalise(read(image, 2).array[:, :120, :100], Prepare(), None)[:]
    return image.astype(np.float64), (read_label(label, 2).array[:120, :100] > 0).astype(np.int64)


def train_four_steps(network, image, target):
    """Train four steps on the section, so that weights and running statistics differ from the initial ones."""
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 1e-3)
    for _ in range(4):
        logits = network.train()(torch.from_numpy(image)[None])
        margins = [(a - b) // 2 for a, b in zip(target.shape, logits.shape[2:], strict=True)]
        cropped = target[margins[0] : target.shape[0] - margins[0], margins[1] : target.shape[1] - margins[1]]
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(logits, torch.from_numpy(cropped)[None]).backward()
        optimiser.step()
    return network.eval()


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("settings", [s for dims, s in NARROW if dims == 2], ids=name_of)
def test_tiles_equal_one_pass_for_every_network(section, settings, trained):
    """Logits agree to 1e-9 of their size in float64; labels are equal in float64 and float32."""
    image, target = section
    geometry = geometry_of(2, settings)
    network = random_network(2, settings)
    if trained:
        size = geometry.training.input_size(24)
        patch = read_mirrored(image, (0, 0), size).copy()
        network = train_four_steps(network, patch, read_mirrored(target[None], (0, 0), size)[0])
    expected = predict_logits(network, image, geometry, 10_000)
    assert np.isfinite(expected).all()
    assert expected.std() > 1e-9
    for tile in (max(16, *geometry.multiple), 48, 96):
        logits = predict_logits(network, image, geometry, tile)
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-9 * max(1, np.abs(expected).max()))
        np.testing.assert_array_equal(logits.argmax(axis=0), expected.argmax(axis=0))
    network, image = network.float(), image.astype(np.float32)
    whole, tiles = (predict_logits(network, image, geometry, tile).argmax(axis=0) for tile in (10_000, 48))
    np.testing.assert_array_equal(whole, tiles)


def test_files_of_the_example_sheets_exist(realdata, repository):
    """The held-out images are those that the documentation names."""
    held_out = {}
    for name in ("isbi2012", "dsb2018"):
        config = yaml.safe_load((repository / f"config/examples/{name}.yaml").read_text(encoding="utf-8"))
        sheet = read_sheet(repository / config["sheet"], realdata / name)
        assert all(path == "" or (realdata / path).is_file() for path in [*sheet["image"], *sheet["label"]])
        held_out[name] = sheet["sample"][assign_folds(sheet, 1, config["validation"]) == 0]
    assert list(held_out["isbi2012"]) == [f"section-{i:03d}" for i in (20, 21, 22, 23)]
    assert len(held_out["dsb2018"]) == 40


def test_touching_nuclei_get_a_border(realdata):
    """No two nuclei share a face after separation, and at most a tenth of the foreground is lost."""
    path = next(iter(sorted((realdata / "dsb2018/labels").iterdir())))
    label = read_label(path, 2).array
    classes, objects = separated_labels(*classes_and_objects(label, Labels()), "instance")
    for axis in (0, 1):
        a, b = np.swapaxes(objects, 0, axis)[1:], np.swapaxes(objects, 0, axis)[:-1]
        assert not ((a != b) & (a > 0) & (b > 0)).any()
    assert (classes > 0).sum() > 0.9 * (label > 0).sum()
    assert len(np.unique(objects)) == len(np.unique(label))


def test_hippocampus_volumes_have_labels_on_the_same_grid(realdata):
    """The NIfTI volumes have different stored types."""
    for path in sorted((realdata / "hippocampus/images").iterdir())[:5]:
        image, label = read(path, 3), read_label(realdata / "hippocampus/labels" / path.name, 3)
        assert image.array.shape[1:] == label.array.shape
        assert image.spacing == (1.0, 1.0, 1.0)
        values = {"background": 0, "anterior": 1, "posterior": 2}
        classes, _ = classes_and_objects(label.array, Labels("semantic", values))
        assert set(np.unique(classes)) == {0, 1, 2}
        assert np.ptp(normalise(image.array, Prepare(), None)[:]) > 0.5


def test_a_short_training_on_membranes_is_better_than_a_constant(realdata, repository, snakemake, tmp_path):
    """In the ISBI example, shortened to half a minute, the error is below that of calling every pixel a neurite."""
    config = yaml.safe_load((repository / "config/examples/isbi2012.yaml").read_text(encoding="utf-8"))
    config |= {"sheet": "few.tsv", "data": str(realdata / "isbi2012"), "threads": 1}
    config["augment"] = {"copies": 1}
    config["network"] |= {"width": 8, "depth": 3}
    config["train"] |= {"steps": 150, "patch": 132, "learning_rate": 0.01}
    config["predict"] = {"average": False}
    config["instances"] |= {"thresholds": [0.4, 0.5], "cores": [0.8], "depths": [4], "smallest": [0]}
    sheet = pd.read_csv(repository / "config/examples/isbi2012.tsv", sep="\t", dtype=str, keep_default_na=False)
    rows = sheet[sheet["sample"].isin([*(f"section-{i:03d}" for i in (0, 5, 10, 15, 20)), "test-000"])]
    rows.to_csv(tmp_path / "few.tsv", sep="\t", index=False)
    (tmp_path / "few.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    done = snakemake(tmp_path, "--configfile", "few.yaml", "--cores", "1")
    assert done.returncode == 0, done.stdout
    results = tmp_path / "results" / "isbi2012"
    images = pd.read_csv(results / "evaluation" / "images.tsv", sep="\t").set_index("sample")
    truth = read_label(realdata / "isbi2012/train/labels/020.png", 2).array
    assert images.loc["section-020", "pixel_error"] < 0.8 * (truth == 0).mean()
    assert images.loc["test-000", "status"] == "unlabelled"
    assert (results / "predictions" / "default" / "predict-0000" / "test-000.png").is_file()
