"""The golden check accepts models with unchanged output and refuses all others."""

import json
import shutil

import numpy as np
import pytest
import torch
from narrow import NARROW, name_of, random_network
from safetensors.torch import load_file, save_file

from snakeseg.cli import main
from snakeseg.errors import BadInput
from snakeseg.models.checkpoint import save_model
from snakeseg.models.description import Description
from snakeseg.models.golden import check_golden, golden_size, make_golden, read_golden, write_golden
from snakeseg.networks.registry import geometry_of
from snakeseg.prediction.predictor import load_predictor
from snakeseg.settings import Labels, Predict, Prepare, UNetSettings

CPU = torch.device("cpu")
UNET = UNetSettings(width=4, depth=2, normalisation="batch")
DESCRIPTION = Description(2, 1, Labels(), UNET, Prepare("none"), Predict(average=False, tile=32), None)


@pytest.fixture
def model(tmp_path):
    """A model folder with golden.safetensors."""
    torch.manual_seed(0)
    network = DESCRIPTION.make_network().eval()
    write_golden(tmp_path / "model", make_golden(network, DESCRIPTION, picture()))
    save_model(tmp_path / "model", network, DESCRIPTION, {})
    return tmp_path / "model"


def picture(shape=(50, 37)):
    return np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)


@pytest.mark.parametrize(("dims", "settings"), NARROW, ids=name_of)
def test_golden_input_of_every_network_is_small(dims, settings):
    """The golden input is valid and small, and its output is not constant."""
    description = Description(dims, 2, Labels(), settings, Prepare(), Predict(), None)
    network = random_network(dims, settings, 2).float()
    golden = make_golden(network, description)
    geometry = geometry_of(dims, settings)
    assert golden.input.shape == (2, *golden_size(geometry))
    limits = geometry.input_size(4)
    assert all(side <= limit + 32 for side, limit in zip(golden.input.shape[1:], limits, strict=True))
    assert golden.output.shape[0] == 2
    assert all(size > 0 for size in golden.output.shape)
    np.testing.assert_allclose(golden.output.sum(axis=0), 1, atol=1e-5)
    assert np.ptp(golden.output) > 1e-3
    check_golden("folder", network, golden)


def test_golden_input_is_the_middle_of_the_image():
    """The image is mirrored if it is too small: 37 pixels of 44, 3 on one side and 4 on the other."""
    golden = make_golden(DESCRIPTION.make_network().eval(), DESCRIPTION, picture())
    assert golden.input.shape == (1, 44, 44)
    np.testing.assert_array_equal(golden.input[0], np.pad(picture()[0, 3:47], [(0, 0), (4, 3)], mode="reflect"))


def test_golden_output_does_not_depend_on_threads(tmp_path):
    network = DESCRIPTION.make_network().eval()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        write_golden(tmp_path / str(threads), make_golden(network, DESCRIPTION, picture()))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(1)
    first, second = ((tmp_path / name / "golden.safetensors").read_bytes() for name in "12")
    assert first == second


def test_unchanged_model_is_accepted(model, capsys):
    load_predictor([model], CPU)
    assert capsys.readouterr().err == ""


def change_weights(model, by: float):
    """Change every weight of the last layer."""
    state = load_file(model / "model.safetensors")
    state["head.weight"] += by
    state["head.weight"][0] -= 2 * by  # otherwise, probabilities would not change
    save_file(state, model / "model.safetensors")


def test_changed_weights_are_refused(model):
    change_weights(model, 1e-6)
    load_predictor([model], CPU)
    change_weights(model, 0.05)
    with pytest.raises(
        BadInput, match=r"model: found probabilities on cpu .* by up to 0\.\d+ from .*; expected .* at most 0\.001"
    ):
        load_predictor([model], CPU)
    load_predictor([model], CPU, skip_golden=True)


def test_changed_setting_is_refused(model):
    """The weights also fit a network with another interpolation."""
    plain = UNetSettings(width=4, depth=2, decoder="nearest", padded=True)
    description = Description(2, 1, Labels(), plain, Prepare("none"), Predict(average=False), None)
    network = description.make_network().eval()
    write_golden(model, make_golden(network, description))
    save_model(model, network, description, {})
    load_predictor([model], CPU)
    text = (model / "model.json").read_text(encoding="utf-8")
    (model / "model.json").write_text(text.replace('"nearest"', '"bilinear"'), encoding="utf-8")
    with pytest.raises(BadInput, match="probabilities on cpu that differ"):
        load_predictor([model], CPU)


def test_nan_weights_are_refused(model):
    change_weights(model, float("nan"))
    with pytest.raises(BadInput, match="NaN or infinite numbers"):
        load_predictor([model], CPU)


def test_model_without_golden_file_is_accepted_with_a_note(model, capsys):
    (model / "golden.safetensors").unlink()
    load_predictor([model], CPU)
    assert "model has no golden.safetensors, like models of earlier versions" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"{}"])
def test_damaged_golden_file_is_refused(model, content):
    (model / "golden.safetensors").write_bytes(content)
    with pytest.raises(BadInput, match=r"golden.safetensors: .*; expected the tensors input and output"):
        load_predictor([model], CPU)


def test_golden_file_of_another_network_is_refused(model):
    other = Description(2, 2, Labels(), UNET, Prepare(), Predict(), None)
    write_golden(model, make_golden(other.make_network().eval(), other))
    with pytest.raises(BadInput, match="arrays that do not fit the network"):
        load_predictor([model], CPU)


def test_every_model_of_an_ensemble_is_checked(model, tmp_path):
    shutil.copytree(model, tmp_path / "all" / "fold-0")
    shutil.copytree(model, tmp_path / "all" / "fold-1")
    change_weights(tmp_path / "all" / "fold-1", 0.5)
    with pytest.raises(BadInput, match="fold-1: found probabilities on cpu that differ"):
        load_predictor([tmp_path / "all"], CPU)


def test_predict_command_refuses_unless_the_check_is_skipped(model, tmp_path, capsys, monkeypatch):
    import tifffile

    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("a.tif", picture()[0])
    change_weights(model, 0.5)
    command = ["predict", "model", "a.tif", "-o", "out", "--gpus", "0"]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: model: found probabilities on cpu that differ")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert main([*command, "--skip-golden"]) == 0
    assert (tmp_path / "out" / "a.tif").is_file()


def test_models_of_reduced_precision_are_accepted(model):
    """Models that predict in bfloat16 are checked in float32."""
    description = json.loads((model / "model.json").read_text(encoding="utf-8"))
    description["predict"]["precision"] = "bfloat16"
    (model / "model.json").write_text(json.dumps(description), encoding="utf-8")
    predictor, golden = load_predictor([model], CPU), read_golden(model)
    with torch.inference_mode():
        output = predictor.work(torch.from_numpy(golden.input)).float().numpy()
    assert 0 < np.abs(output - golden.output).max() < 0.05
