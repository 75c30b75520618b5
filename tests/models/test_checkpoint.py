"""Model folders keep the model exactly, contain no pickles, and are refused with the cause if damaged."""

import json
from dataclasses import replace

import pytest
import torch
from narrow import NARROW, name_of

from snakeseg.errors import BadInput
from snakeseg.models.checkpoint import load_model, save_model
from snakeseg.models.description import Description, load_description, model_folders
from snakeseg.networks.unet import unet_geometry
from snakeseg.objects.components import ComponentFilter
from snakeseg.objects.parameters import load_parameters
from snakeseg.objects.segment import InstanceParameters
from snakeseg.settings import Labels, Predict, Prepare, UNetSettings

CPU = torch.device("cpu")
DESCRIPTION = Description(
    2, 3, Labels("semantic", {"z": 0, "a": 7, "m": 2}, 99), UNetSettings(width=2, depth=1, normalisation="batch"),
    Prepare(scope="dataset"), Predict(tile=32), {"offset": [0.1, 2, 3], "scale": [1, 1, 0.3]},
)  # fmt: skip


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    network = DESCRIPTION.make_network()
    network(torch.randn(2, 3, 24, 24))  # updates the running statistics
    save_model(tmp_path / "model", network, DESCRIPTION, {"fold": 1})
    return tmp_path / "model", network.eval()


def test_round_trip_keeps_description_and_predictions(model):
    """A round trip keeps description and network; predictions are equal to the bit, with batch statistics."""
    folder, network = model
    loaded, description = load_model(folder, CPU)
    assert description == DESCRIPTION
    assert not loaded.training
    image = torch.randn(1, 3, 24, 24)
    with torch.inference_mode():
        assert torch.equal(loaded(image), network.to(memory_format=torch.channels_last)(image))
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


@pytest.mark.parametrize(("dims", "settings"), NARROW, ids=name_of)
def test_round_trip_of_every_network_keeps_predictions(dims, settings, tmp_path):
    description = replace(DESCRIPTION, dims=dims, network=settings)
    network = description.make_network().eval()
    save_model(tmp_path, network, description, {})
    loaded, _ = load_model(tmp_path, CPU)
    image = torch.randn(1, 3, *description.geometry.input_size(1))
    with torch.inference_mode():
        torch.testing.assert_close(loaded(image), network(image), rtol=0, atol=1e-3)


def test_order_of_classes_is_kept(model):
    """Label values are written in this order."""
    assert load_description(model[0]).labels.classes == ["z", "a", "m"]


def test_description_gives_geometry_and_network():
    assert DESCRIPTION.geometry == unet_geometry(DESCRIPTION.dims, DESCRIPTION.network)
    assert DESCRIPTION.make_network().head.out_channels == 3


def test_files_contain_no_pickles_and_are_reproducible(model, tmp_path):
    """No pickles, no other files; the same model gives the same bytes."""
    folder, network = model
    assert sorted(p.name for p in folder.iterdir()) == ["model.json", "model.safetensors"]
    data = (folder / "model.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert set(header) - {"__metadata__"} == set(network.state_dict())
    assert json.loads((folder / "model.json").read_text(encoding="utf-8"))["provenance"] == {"fold": 1}
    save_model(tmp_path / "again", network, DESCRIPTION, {"fold": 1})
    for name in ("model.json", "model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_pickle_is_refused(model):
    folder, network = model
    torch.save(network.state_dict(), folder / "model.safetensors")
    with pytest.raises(BadInput, match=r"model.safetensors: .*expected the weights that model.json describes"):
        load_model(folder, CPU)


@pytest.mark.parametrize("part", [0, 0.01, 0.5, 0.99])
def test_truncated_weights_are_refused(model, part):
    path = model[0] / "model.safetensors"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(BadInput, match=r"model.safetensors: .*train it again"):
        load_model(model[0], CPU)


def test_missing_weights_are_refused(model):
    (model[0] / "model.safetensors").unlink()
    with pytest.raises(BadInput, match=r"model.safetensors: "):
        load_model(model[0], CPU)


def test_weights_of_another_network_are_refused(model):
    folder, _ = model
    text = (folder / "model.json").read_text(encoding="utf-8")
    (folder / "model.json").write_text(text.replace('"width": 2', '"width": 4'), encoding="utf-8")
    with pytest.raises(BadInput, match=r"expected the weights that model.json describes"):
        load_model(folder, CPU)


def test_folder_without_model_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"model.json: found no such file; expected a model folder"):
        load_description(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"x"', '{"labels": 3}', "\x00\x01"])
def test_damaged_description_is_refused(model, text):
    (model[0] / "model.json").write_text(text, encoding="utf-8")
    with pytest.raises(
        BadInput, match=r"model.json: found .*; expected the description of a model; copy .* snakemake -R train"
    ):
        load_description(model[0])


def test_binary_description_is_refused(model):
    (model[0] / "model.json").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(BadInput, match=r"model.json"):
        load_description(model[0])


def test_unknown_key_in_the_description_is_refused(model):
    path = model[0] / "model.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"width"', '"widht"'), encoding="utf-8")
    with pytest.raises(BadInput, match=r"model.json, network: found unknown key 'widht'.*did you mean 'width'"):
        load_description(model[0])


def test_unknown_network_in_the_description_is_refused(model):
    path = model[0] / "model.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"unet"', '"os.system"'), encoding="utf-8")
    with pytest.raises(ValueError, match=r"network.name: found 'os.system'; expected one of"):
        load_model(model[0], CPU)


def test_folds_are_sorted_by_number(tmp_path):
    for fold in (10, 2, 0):
        (tmp_path / f"fold-{fold}").mkdir()
        (tmp_path / f"fold-{fold}" / "model.json").touch()
    (tmp_path / "fold-3" / "state").mkdir(parents=True)  # an unfinished training
    assert [p.name for p in model_folders(tmp_path)] == ["fold-0", "fold-2", "fold-10"]
    (tmp_path / "model.json").touch()
    assert model_folders(tmp_path) == [tmp_path]


def test_single_model_is_its_own_folder(model):
    assert model_folders(model[0]) == [model[0]]


def test_object_parameters_are_loaded(tmp_path):
    assert load_parameters(tmp_path, Labels()) == InstanceParameters()
    chosen = {"method": "core", "threshold": 0.4, "depth": 0.9, "smallest": 7}
    (tmp_path / "instances.json").write_text(json.dumps({"chosen": chosen, "trials": []}), encoding="utf-8")
    assert load_parameters(tmp_path, Labels()) == InstanceParameters("core", 0.4, 0.9, 7)
    (tmp_path / "instances.json").write_text(json.dumps({"chosen": {}, "trials": []}), encoding="utf-8")
    assert load_parameters(tmp_path, Labels()) == InstanceParameters()


def test_component_filters_of_classes_are_loaded(tmp_path):
    semantic = Labels("semantic", {"background": 0, "liver": 1})
    assert load_parameters(tmp_path, semantic) == {}
    filters = {"liver": {"chosen": {"smallest": 0, "largest_only": True}, "trials": []}}
    (tmp_path / "instances.json").write_text(
        json.dumps({"chosen": {}, "trials": [], "classes": filters}), encoding="utf-8"
    )
    assert load_parameters(tmp_path, semantic) == {"liver": ComponentFilter(0, True)}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"chosen": 3}', '{"chosen": {"methd": "core"}}'])
def test_damaged_object_parameters_are_refused(tmp_path, text):
    (tmp_path / "instances.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=r"instances.json"):
        load_parameters(tmp_path, Labels())


@pytest.mark.parametrize("text", ["", "[]", '{"classes": 3}', '{"classes": {"b": {}}}'])
def test_damaged_component_filters_are_refused(tmp_path, text):
    (tmp_path / "instances.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=r"instances.json"):
        load_parameters(tmp_path, Labels("semantic", {"a": 0, "b": 1}))


def test_round_trip_of_a_model_of_volumes(tmp_path):
    description = replace(DESCRIPTION, dims=3, labels=Labels())
    network = description.make_network()
    save_model(tmp_path, network, description, {})
    loaded, loaded_description = load_model(tmp_path, CPU)
    assert loaded_description == description
    assert loaded.head.weight.shape == (2, 2, 1, 1, 1)
