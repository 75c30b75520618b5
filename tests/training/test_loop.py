"""Training loop: reproducible bits, errors on divergence, schedules, data, learning-rate range test."""

import csv
import hashlib
import shutil
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from snakeseg.errors import BadInput
from snakeseg.io.store import write_store
from snakeseg.networks.unet import UNet, unet_geometry
from snakeseg.settings import Augment, Labels, Loss, Train, UNetSettings, Weigh
from snakeseg.training import dataset, loop, lr_range_test, optimiser, patches
from snakeseg.training import state as state_module
from snakeseg.training.history import HISTORY, StepRecord, write_history
from snakeseg.training.losses import make_loss, weighted_cross_entropy
from snakeseg.training.patches import Item, PatchPlan, sample_batch
from snakeseg.training.prepare import border_terms
from snakeseg.training.state_files import write_training_state
from snakeseg.training.step import Learner, train_step
from snakeseg.training.targets import TargetSettings
from snakeseg.transforms.labels import IGNORED

CPU = torch.device("cpu")
NETWORK = UNetSettings(width=4, depth=1, normalisation="batch", dropout=0.3)
SETTINGS = Train(steps=6, batch=2, patch=12, precision="float32", optimiser="adamw", learning_rate=0.01)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_items():
    rng = np.random.default_rng(0)
    items = []
    for _ in range(3):
        target = (rng.random((30, 34)) > 0.5).repeat(2, 0).repeat(2, 1)[:30, :34].astype(np.uint8)
        image = (target + rng.normal(0, 0.2, target.shape)).astype(np.float32)
        items.append(Item(image[None], target, np.ones(target.shape, np.float32), target.astype(np.int32)))
    return items


def train(settings=SETTINGS, items=None, network=NETWORK, drawn_before=0):
    torch.manual_seed(optimiser.derive_seed(settings.seed, -1))
    trained = UNet(2, 1, 2, network)
    torch.rand(drawn_before)
    history = loop.fit(
        trained,
        items or make_items(),
        PatchPlan(settings, Augment(std=1), unet_geometry(2, network)),
        weighted_cross_entropy,
        CPU,
    )
    return trained, history


def bits(network):
    state = b"".join(tensor.numpy().tobytes() for tensor in network.state_dict().values())
    return hashlib.sha256(state).hexdigest()


@pytest.mark.parametrize(
    "change", [{}, {"elastic": "online"}, {"optimiser": "sgd"}, {"precision": "bfloat16"}], ids=str
)
def test_the_same_seed_gives_the_same_bits(change):
    """Weights, running statistics and losses, with dropout, do not depend on PyTorch's global random state."""
    settings = replace(SETTINGS, **change)
    first, history = train(settings)
    second, again = train(settings, drawn_before=17)
    assert bits(first) == bits(second)
    assert [row["loss"] for row in history] == [row["loss"] for row in again]


def test_another_seed_gives_another_network():
    assert bits(train()[0]) != bits(train(replace(SETTINGS, seed=1))[0])


def test_slow_data_does_not_change_the_weights(monkeypatch):
    """Patches arrive in order, however long they take."""
    expected = bits(train()[0])
    delays = iter([0.03, 0, 0.02, 0, 0, 0.01])

    def slow(*arguments):
        time.sleep(next(delays))
        return sample_batch(*arguments)

    monkeypatch.setattr(patches, "sample_batch", slow)
    assert bits(train()[0]) == expected


def test_prefetched_batches_are_those_of_the_steps():
    items, plan = make_items(), PatchPlan(replace(SETTINGS, steps=12), Augment(), unet_geometry(2, NETWORK))
    drawn = list(patches.prefetch(items, plan, start=3))
    assert len(drawn) == 9
    for step, batch in enumerate(drawn, start=3):
        for array, expected in zip(batch, sample_batch(items, plan, step), strict=True):
            np.testing.assert_array_equal(array, expected)


def test_the_loss_falls():
    """In 150 steps, the network learns a task that one threshold solves."""
    _, history = train(replace(SETTINGS, steps=150), network=UNetSettings(width=4, depth=1, dropout=0))
    losses = [row["loss"] for row in history]
    assert np.mean(losses[-10:]) < 0.3 * losses[0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_divergence_is_an_error(value):
    items = make_items()
    items = [Item(item.image * np.float32(value), item.target, item.weight) for item in items]
    with pytest.raises(FloatingPointError, match=r"training step 0, images .*learning_rate"):
        train(items=items, network=UNetSettings(width=2, depth=1))


def test_the_first_loss_is_that_of_the_initial_network(monkeypatch):
    """The loss of step 0 is that of the network before any update, on batch 0."""
    settings = replace(SETTINGS, steps=1)
    network = UNetSettings(width=4, depth=1, dropout=0)
    _, history = train(settings, network=network)
    torch.manual_seed(optimiser.derive_seed(settings.seed, -1))
    fresh = UNet(2, 1, 2, network)
    batch = sample_batch(make_items(), PatchPlan(settings, Augment(std=1), unet_geometry(2, network)), 0)
    image, target, weight = map(torch.from_numpy, batch)
    expected = weighted_cross_entropy(fresh(image), target, weight)
    assert history[0]["loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_a_trained_network_is_in_evaluation_mode_and_has_a_history():
    network, history = train()
    assert not network.training
    assert [row["step"] for row in history] == list(range(6))
    assert all(tuple(row) == (*HISTORY, "pixels_0", "pixels_1") for row in history)


def test_frozen_parameters_do_not_change():
    network = UNet(2, 1, 2, NETWORK)
    network.head.weight.requires_grad_(False)
    head, first = network.head.weight.clone(), network.encoder.levels[0][0].weight.clone()
    loop.fit(
        network, make_items(), PatchPlan(SETTINGS, Augment(), unet_geometry(2, NETWORK)), weighted_cross_entropy, CPU
    )
    assert torch.equal(network.head.weight, head)
    assert not torch.equal(network.encoder.levels[0][0].weight, first)


def test_ignored_pixels_do_not_change_the_weights():
    """The trained weights have the same bits for any class of pixels with weight 0."""
    items = [
        Item(i.image, i.target, np.where(np.arange(34) % 7 < 3, 0, i.weight).astype(np.float32)) for i in make_items()
    ]
    flipped = [Item(i.image, np.where(i.weight == 0, 1 - i.target, i.target), i.weight) for i in items]
    assert bits(train(items=items)[0]) == bits(train(items=flipped)[0])
    assert bits(train(items=items)[0]) != bits(train()[0])


def test_class_balance_counts_pixels_with_a_weight():
    target = np.array([[0, 0, 0, 1], [1, 1, 1, 1]], np.uint8)
    weight = np.array([[1, 1, 1, 2], [0, 0, 0, 0]], np.float32)
    item = Item(np.zeros((1, 2, 4), np.float32), target, weight)
    np.testing.assert_allclose(dataset.class_balance([item], 2), [4 / 2 / 3, 4 / 2 / 1])
    np.testing.assert_allclose(dataset.class_balance([item, item], 3)[2], 0)


def test_schedules_warm_up_and_decay():
    """The learning rate warms up over the first 5 %, and then decays over the budget."""
    at = {
        name: lambda step, name=name: optimiser.learning_rate_factor(Train(steps=100, schedule=name), step / 100)
        for name in ("poly", "cosine", "constant")
    }
    assert [at["constant"](step) for step in (0, 1, 4, 5, 99)] == pytest.approx([0.2, 0.4, 1, 1, 1])
    assert [at["poly"](step) for step in (0, 50, 99, 100)] == pytest.approx([0.2, 0.5**0.9, 0.01**0.9, 0])
    assert [at["cosine"](step) for step in (25, 50, 75)] == pytest.approx([(2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4])
    assert optimiser.learning_rate_factor(Train(steps=1), 0) == 1


def test_the_history_contains_the_learning_rate():
    _, history = train(replace(SETTINGS, schedule="poly", learning_rate=0.02))
    expected = [0.02 * optimiser.learning_rate_factor(SETTINGS, step / 6) for step in range(6)]
    assert [row["learning_rate"] for row in history] == pytest.approx(expected)


def test_optimisers_have_the_configured_values():
    network = UNet(2, 1, 2, NETWORK)
    sgd = optimiser.make_optimiser(network, Train(optimiser="sgd", momentum=0.9, weight_decay=0.1, learning_rate=0.5))
    assert isinstance(sgd, torch.optim.SGD)
    convolutions, others = sgd.param_groups
    assert [(g["lr"], g["momentum"], g["weight_decay"]) for g in sgd.param_groups] == [(0.5, 0.9, 0.1), (0.5, 0.9, 0)]
    assert {p.ndim for p in convolutions["params"]} == {4}
    assert {p.ndim for p in others["params"]} == {1}
    assert sum(len(group["params"]) for group in sgd.param_groups) == len(list(network.parameters()))
    assert isinstance(optimiser.make_optimiser(network, SETTINGS), torch.optim.AdamW)
    with pytest.raises(ValueError, match=r"train.optimiser: found 'adam'; expected sgd or adamw"):
        optimiser.make_optimiser(network, Train(optimiser="adam"))


def test_derived_seeds_differ_and_fit_torch():
    seeds = {optimiser.derive_seed(seed, step) for seed in range(20) for step in range(-1, 50)}
    assert len(seeds) == 20 * 51
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert optimiser.derive_seed(1, 11) != optimiser.derive_seed(11, 1)


def test_the_history_is_written_as_a_table(tmp_path):
    row = dict(zip(HISTORY, (0, 0.1234567891, 1e-3, 0.0, 2.5, 100.0), strict=True))
    write_history(tmp_path / "history.tsv", [row, row | {"step": 1}])
    rows = list(csv.DictReader((tmp_path / "history.tsv").open(), delimiter="\t"))
    assert [r["step"] for r in rows] == ["0", "1"]
    assert rows[0]["loss"] == "0.123457"


def make_store(path, names, copies=()):
    rng = np.random.default_rng(len(names))
    samples = []
    for name in [*names, *copies]:
        classes = rng.integers(0, 2, (20, 22)).astype(np.uint8)
        classes[5:9, 5:9] = IGNORED
        objects = (classes == 1).astype(np.int32)
        attributes = {"spacing": [1.0, 1.0], **({"copy_of": name.split("~")[0]} if "~" in name else {})}
        arrays = {"image": rng.normal(size=(1, 20, 22)).astype(np.float32), "classes": classes, "objects": objects}
        samples.append((name, attributes, arrays))
    write_store(path, samples)
    return path


@pytest.fixture
def stores(tmp_path):
    """Write three stores, of two images, of copies of the second image, and of a third image; and their weight maps."""
    items = [
        make_store(tmp_path / "a.zarr.zip", ["one", "two"]),
        make_store(tmp_path / "b.zarr.zip", [], ["two~1", "two~2"]),
        make_store(tmp_path / "c.zarr.zip", ["three"]),
    ]
    weights = tmp_path / "w.zarr.zip"
    write_store(weights, border_terms(items, Weigh(), Labels()))
    return SimpleNamespace(items=items, weights=[weights])


def test_held_out_images_and_their_copies_are_not_loaded(stores):
    items, _ = dataset.load_items({"one", "three"}, stores.items, stores.weights, TargetSettings())
    assert len(items) == 2
    items, attributes = dataset.load_items({"two"}, stores.items, stores.weights, TargetSettings())
    assert [stored.get("copy_of") for stored in attributes] == [None, "two", "two"]
    assert len(items) == 3


def test_ignored_labels_have_no_weight(stores):
    """Only ignored pixels have weight 0; their target is a class."""
    for item in dataset.load_items({"one", "two", "three"}, stores.items, stores.weights, TargetSettings())[0]:
        ignored = np.zeros(item.target.shape, bool)
        ignored[5:9, 5:9] = True
        assert set(np.unique(item.target)) == {0, 1}
        np.testing.assert_array_equal(item.weight == 0, ignored)
        logits = torch.randn(1, 2, *item.target.shape, requires_grad=True)
        target, weight = torch.from_numpy(item.target[None].astype(np.int64)), torch.from_numpy(item.weight[None])
        weighted_cross_entropy(logits, target, weight).backward()
        assert not logits.grad[0, :, ignored].any()
        assert logits.grad[0, :, ~ignored].any()


@pytest.mark.parametrize("loss", ["border", "plain", "balanced", "sum"])
def test_accumulation_does_not_change_the_weights(loss):
    """Four patches at once, or in two or three parts, give the same weights except for rounding."""
    network = UNetSettings(width=4, depth=1, dropout=0)
    weights = []
    for parts in (1, 2, 3):
        torch.manual_seed(0)
        double = UNet(2, 1, 2, network).double()
        settings = replace(SETTINGS, batch=4, accumulate=parts, learning_rate=1e-3)
        plan = PatchPlan(settings, Augment(), unet_geometry(2, network))
        loop.fit(double, make_items(), plan, make_loss(Loss(loss), [0.7, 1.3]), CPU)
        weights.append(torch.cat([p.flatten() for p in double.parameters()]))
    for other in weights[1:]:
        torch.testing.assert_close(other, weights[0], rtol=0, atol=1e-6)


def test_a_gradient_that_is_not_finite_does_not_change_the_weights():
    network = UNet(2, 1, 2, NETWORK)
    before = bits(network)
    batch = sample_batch(make_items(), PatchPlan(SETTINGS, Augment(), unet_geometry(2, NETWORK)), 0)

    def loss(logits, target, weight):
        return (logits - logits.detach()).abs().sqrt().sum()  # 0, with a gradient of NaN

    learner = Learner(network.eval(), optimiser.make_optimiser(network, SETTINGS), loss, SETTINGS, CPU)
    with pytest.raises(FloatingPointError, match="the norm of the gradient is nan"):
        train_step(learner, batch)
    assert bits(network) == before


def test_clipping_limits_the_step():
    network = UNet(2, 1, 2, UNetSettings(width=4, depth=1, dropout=0))
    settings = replace(SETTINGS, optimiser="sgd", momentum=0.0, learning_rate=1.0, clip=0.01)
    before = torch.cat([p.flatten() for p in network.parameters()]).clone()
    batch = sample_batch(make_items(), PatchPlan(settings, Augment(), unet_geometry(2, NETWORK)), 0)
    sgd = optimiser.make_optimiser(network, settings)
    train_step(Learner(network, sgd, weighted_cross_entropy, settings, CPU), batch)
    after = torch.cat([p.flatten() for p in network.parameters()])
    assert (after - before).norm().item() <= 0.01


def test_the_history_counts_the_pixels_of_each_class_in_the_loss():
    items, plan = make_items(), PatchPlan(SETTINGS, Augment(std=1), unet_geometry(2, NETWORK))
    _, history = train()
    for row in history:
        batch = sample_batch(items, plan, row["step"])
        counted = batch.target[batch.weight > 0]
        assert [row["pixels_0"], row["pixels_1"]] == [int((counted == c).sum()) for c in (0, 1)]


def test_the_loss_falls_in_float16():
    settings = replace(SETTINGS, steps=150, precision="float16")
    network = UNetSettings(width=4, depth=1, dropout=0)
    _, history = train(settings, network=network)
    losses = [row["loss"] for row in history]
    assert np.mean(losses[-10:]) < 0.3 * losses[0]


def test_float16_skips_steps_that_overflow_down_to_the_lowest_scale():
    settings = replace(SETTINGS, precision="float16")
    network = UNet(2, 1, 2, UNetSettings(width=4, depth=1, dropout=0))
    before = bits(network)
    batch = sample_batch(make_items(), PatchPlan(settings, Augment(), unet_geometry(2, NETWORK)), 0)
    adamw, scale = optimiser.make_optimiser(network, settings), optimiser.LossScale(4.0)

    def overflowing(logits, target, weight):
        return logits.sum() - logits.sum().detach() + (logits - logits.detach()).abs().sqrt().sum()

    learner = Learner(network, adamw, overflowing, settings, CPU)
    for expected in (2.0, 1.0):
        train_step(learner, batch, scale)
        assert scale.value == expected
        assert bits(network) == before
    with pytest.raises(FloatingPointError, match="norm of the gradient"):
        train_step(learner, batch, scale)
    assert bits(network) == before
    scale = optimiser.LossScale(1.0)  # from the lowest scale it rises again
    train_step(replace(learner, criterion=weighted_cross_entropy), batch, scale)
    assert scale == optimiser.LossScale(1.0, 1)


def test_the_scale_of_the_loss_is_part_of_the_state(tmp_path):
    network = UNet(2, 1, 2, NETWORK)
    adamw = optimiser.make_optimiser(network, SETTINGS)
    settings = state_module.StateFileOptions(tmp_path, "digest", 0.0)
    state = state_module.TrainingState(1, [StepRecord(*(0.0,) * 6)], scale=optimiser.LossScale(8.0, 3))
    write_training_state(tmp_path, "digest", state_module.take_snapshot(network, adamw, state))
    assert state_module.resume(network, adamw, settings).scale == optimiser.LossScale(8.0, 3)


def test_the_scale_of_the_loss_rises_again():
    scale = optimiser.LossScale(8.0)
    for _ in range(optimiser.SCALE_GROWTH_STEPS):
        assert scale.value == 8
        assert scale.update(True)
    assert scale.value == 16
    assert optimiser.LossScale(*scale.values()) == scale


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_a_compiled_network_has_the_same_losses(capfd):
    settings, network = replace(SETTINGS, steps=4, precision="float32"), UNetSettings(width=4, depth=1, dropout=0)
    plain, history = train(settings, network=network)
    compiled, same = train(replace(settings, compile=True), network=network)
    assert [row["loss"] for row in same] == pytest.approx([row["loss"] for row in history], rel=1e-4)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    assert "compiling took" in capfd.readouterr().err


def test_arrays_that_do_not_fit_in_memory_are_mapped_and_leave_no_file(stores, tmp_path):
    names, folder = {"one", "two", "three"}, tmp_path / "scratch"
    folder.mkdir()
    expected, _ = dataset.load_items(names, stores.items, stores.weights, TargetSettings())
    item_bytes = sum(array.nbytes for array in expected[0].arrays())
    options = dataset.LoadOptions(folder=folder, memory=2 * item_bytes)
    items, _ = dataset.load_items(names, stores.items, stores.weights, TargetSettings(), options)
    assert [isinstance(item.image, np.memmap) for item in items] == [False, False, True, True, True]
    assert not list(folder.iterdir())
    for item, same in zip(items, expected, strict=True):
        for array, other in zip(item.arrays(), same.arrays(), strict=True):
            np.testing.assert_array_equal(array, other)


def test_the_range_test_proposes_a_plausible_rate():
    settings = replace(SETTINGS, optimiser="sgd", momentum=0.0)
    network = UNet(2, 1, 2, UNetSettings(width=4, depth=1, dropout=0, normalisation="batch"))
    plan = PatchPlan(settings, Augment(), unet_geometry(2, NETWORK))
    rows = lr_range_test.range_test(network, make_items(), plan, weighted_cross_entropy, CPU)
    assert rows[0]["learning_rate"] == pytest.approx(lr_range_test.LOWEST_RATE)
    steps = np.diff(np.log([row["learning_rate"] for row in rows]))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-6)
    assert 1e-4 < lr_range_test.propose_learning_rate(rows) < 5


def test_the_proposed_rate_is_that_of_the_steepest_descent():
    logs = np.linspace(-6, 0, 61)
    losses = np.where(logs < -1, 1 / (1 + np.exp(4 * (logs + 3))), 5)
    rows = [{"learning_rate": 10**x, "loss": y} for x, y in zip(logs, losses, strict=True)]
    assert np.log10(lr_range_test.propose_learning_rate(rows)) == pytest.approx(-3, abs=0.11)


@pytest.mark.parametrize("seed", range(4))
def test_the_range_test_works_with_uneven_weights(seed):
    """The weights of two images differ by a factor of ten; the third is ignored."""
    items = [Item(i.image, i.target, i.weight * w) for i, w in zip(make_items(), (0.3, 3, 0), strict=True)]
    settings = replace(SETTINGS, batch=1, seed=seed, optimiser="sgd", momentum=0.9)
    network = UNet(2, 1, 2, UNetSettings(width=4, depth=1, dropout=0, normalisation="batch"))
    plan = PatchPlan(settings, Augment(), unet_geometry(2, NETWORK))
    rows = lr_range_test.range_test(network, items, plan, weighted_cross_entropy, CPU)
    assert len(rows) > 50
    assert 1e-4 < lr_range_test.propose_learning_rate(rows) < 5


def test_the_range_test_raises_an_error_if_the_loss_is_not_finite():
    items = [Item(item.image * np.float32("nan"), item.target, item.weight) for item in make_items()]
    plan = PatchPlan(SETTINGS, Augment(), unet_geometry(2, NETWORK))
    with pytest.raises(BadInput, match="a loss of NaN after 0 steps"):
        lr_range_test.range_test(UNet(2, 1, 2, NETWORK), items, plan, weighted_cross_entropy, CPU)
