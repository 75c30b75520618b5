"""Training task: images, initial weights, and the loss on held-out images."""

import numpy as np
import pytest
import torch

from snakeseg.errors import BadInput
from snakeseg.io.store import write_store
from snakeseg.settings import Labels, Loss, Settings, Train, UNetSettings, Weigh
from snakeseg.training.distributed import ALONE
from snakeseg.training.optimiser import derive_seed
from snakeseg.training.prepare import border_terms
from snakeseg.training.task import TrainingFiles, initialise_training, make_task, make_validation, require_equal_shares

CPU = torch.device("cpu")


@pytest.fixture
def files(tmp_path):
    """Write stores of three images, the first with half the pixel size along its last axis, a copy, and weight maps."""
    stores = []
    for store, names in (("a", ["one", "two", "three"]), ("b", ["two~1"])):
        samples = []
        for number, name in enumerate(names):
            rng = np.random.default_rng(number)
            objects = rng.integers(0, 2, (20, 22)).astype(np.int32)
            attributes = {"statistics": None, "spacing": [1.0, 0.5 if name == "one" else 1.0]}
            attributes |= {"copy_of": "two"} if "~" in name else {}
            image = rng.normal(size=(1, 20, 22)).astype(np.float32)
            arrays = {"image": image, "classes": objects.astype(np.uint8), "objects": objects}
            samples.append((name, attributes, arrays))
        stores.append(tmp_path / f"{store}.zarr.zip")
        write_store(stores[-1], samples)
    weights = tmp_path / "w.zarr.zip"
    write_store(weights, border_terms(stores, Weigh(), Labels()))
    return TrainingFiles(stores[:1], stores[1:], [weights], None)


def settings_of(**train):
    network = UNetSettings(width=4, depth=1)
    return Settings(network=network, train=Train(**{"patch": 12, "batch": 2, **train}))


def test_a_task_has_the_named_images_and_their_copies(files, tmp_path):
    task = make_task(settings_of(), files, {"one", "two"}, CPU, ALONE, tmp_path)
    assert [attributes["name"] for attributes in task.attributes] == ["one", "two", "two~1"]
    assert len(task.items) == 3
    assert (task.description.channels, task.description.classes) == (1, 2)
    assert task.description.spacing == [1.0, 1.0]  # the median
    assert task.description.symmetry == task.plan.symmetry
    assert task.plan.foreground == []
    assert files.all() == [*files.prepared, *files.augmented, *files.weights]


def test_a_task_replaces_auto_by_numbers(files, tmp_path):
    task = make_task(settings_of(patch="auto", batch="auto", foreground=0.5), files, {"three"}, CPU, ALONE, tmp_path)
    assert isinstance(task.plan.train.patch, int)
    assert isinstance(task.plan.train.batch, int)
    assert task.plan.foreground


def test_initial_weights_follow_from_the_seed(files, tmp_path):
    task = make_task(settings_of(), files, {"one"}, CPU, ALONE, tmp_path)
    torch.rand(7)
    network, _ = initialise_training(task, Loss(), None)
    torch.manual_seed(derive_seed(task.plan.train.seed, -1))
    expected = task.description.make_network().state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in network.state_dict().items())


def test_validation_uses_held_out_originals_and_only_for_best(files, tmp_path, monkeypatch):
    validated = []
    monkeypatch.setattr(
        "snakeseg.training.task.validation_loss", lambda network, items, *others: validated.append(items)
    )
    task = make_task(settings_of(select="best"), files, {"one"}, CPU, ALONE, tmp_path)
    make_validation(task, files, {"two", "three"})(None)
    assert len(validated[0]) == 2
    assert make_validation(make_task(settings_of(), files, {"one"}, CPU, ALONE, tmp_path), files, {"two"}) is None


def test_processes_must_divide_the_batch():
    require_equal_shares(Train(batch=4, processes=2))
    require_equal_shares(Train(batch="auto", processes=3))
    with pytest.raises(BadInput, match=r"train\.processes: found 3 for a batch of 4"):
        require_equal_shares(Train(batch=4, processes=3))
