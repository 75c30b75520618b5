"""What a training starts from: its images, its first weights, and the loss on those that are held out."""

import numpy as np
import pytest
import torch

from snakeseg.errors import BadInput
from snakeseg.io.store import write_store
from snakeseg.settings import Loss, Settings, Train, UNetSettings, Weigh
from snakeseg.training.distributed import ALONE
from snakeseg.training.optimiser import derive_seed
from snakeseg.training.prepare import weight_maps
from snakeseg.training.task import TrainingFiles, begin, make_task, make_validation, require_equal_shares

CPU = torch.device("cpu")


@pytest.fixture
def files(tmp_path):
    """Three images, the first twice as fine along its last axis, a copy of the second, and their weights."""
    stores = []
    for store, names in (("a", ["one", "two", "three"]), ("b", ["two~1"])):
        samples = []
        for number, name in enumerate(names):
            rng = np.random.default_rng(number)
            objects = rng.integers(0, 2, (20, 22)).astype(np.int32)
            noted = {"statistics": None, "spacing": [1.0, 0.5 if name == "one" else 1.0]}
            noted |= {"copy_of": "two"} if "~" in name else {}
            image = rng.normal(size=(1, 20, 22)).astype(np.float32)
            arrays = {"image": image, "classes": objects.astype(np.uint8), "objects": objects}
            samples.append((name, noted, arrays))
        stores.append(tmp_path / f"{store}.zarr.zip")
        write_store(stores[-1], samples)
    weights = tmp_path / "w.zarr.zip"
    write_store(weights, weight_maps(stores, Weigh(), {"class_counts": [300, 100]}))
    return TrainingFiles(stores[:1], stores[1:], [weights], None)


def settings_of(**train):
    network = UNetSettings(width=4, depth=1)
    return Settings(network=network, train=Train(**{"patch": 12, "batch": 2, **train}))


def test_a_task_has_the_named_images_and_their_copies(files, tmp_path):
    task = make_task(settings_of(), files, {"one", "two"}, CPU, ALONE, tmp_path)
    assert [noted["name"] for noted in task.attributes] == ["one", "two", "two~1"]
    assert len(task.items) == 3
    assert (task.description.channels, task.description.classes) == (1, 2)
    assert task.description.spacing == [1.0, 1.0]  # the median
    assert task.description.symmetry == task.plan.symmetry
    assert task.plan.places == []
    assert files.all() == [*files.prepared, *files.augmented, *files.weights]


def test_what_is_left_open_becomes_numbers(files, tmp_path):
    task = make_task(settings_of(patch="auto", batch="auto", foreground=0.5), files, {"three"}, CPU, ALONE, tmp_path)
    assert isinstance(task.plan.train.patch, int)
    assert isinstance(task.plan.train.batch, int)
    assert task.plan.places


def test_first_weights_follow_from_the_seed(files, tmp_path):
    task = make_task(settings_of(), files, {"one"}, CPU, ALONE, tmp_path)
    torch.rand(7)
    network, _ = begin(task, Loss(), None)
    torch.manual_seed(derive_seed(task.plan.train.seed, -1))
    expected = task.description.make_network().state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in network.state_dict().items())


def test_validation_is_of_held_out_originals_and_only_where_it_chooses(files, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("snakeseg.training.task.validation_loss", lambda network, items, *others: seen.append(items))
    task = make_task(settings_of(select="best"), files, {"one"}, CPU, ALONE, tmp_path)
    make_validation(task, files, {"two", "three"})(None)
    assert len(seen[0]) == 2
    assert make_validation(make_task(settings_of(), files, {"one"}, CPU, ALONE, tmp_path), files, {"two"}) is None


def test_processes_take_equal_shares():
    require_equal_shares(Train(batch=4, processes=2))
    require_equal_shares(Train(batch="auto", processes=3))
    with pytest.raises(BadInput, match=r"train\.processes: found 3 for a batch of 4"):
        require_equal_shares(Train(batch=4, processes=3))
