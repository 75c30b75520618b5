"""Pretrained weights are copied by name or refused with a reason, and never executed."""

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import conv2d

from snakeseg.errors import BadInput
from snakeseg.models.pretrained import FIRST_CONVOLUTION, read_pretrained, start_from
from snakeseg.networks.registry import make_network
from snakeseg.settings import FCNSettings, UNetSettings

SMALL = UNetSettings(width=2, depth=1)


def make(settings=SMALL, channels=1):
    return make_network(2, channels, 2, settings)


@pytest.mark.parametrize("suffix", ["safetensors", "pth", "pt"])
def test_tensors_of_equal_names_are_copied(tmp_path, suffix):
    """All tensors of a network with the same settings are copied; others keep their values."""
    path = tmp_path / f"w.{suffix}"
    source, target = make(), make()
    state = source.state_dict() | {"other": torch.zeros(3)}
    del state["head.bias"]
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    torch.nn.init.constant_(target.head.bias, 7)
    copied = start_from(target, read_pretrained(path), path)
    assert copied == len(source.state_dict()) - 1
    assert torch.equal(target.head.weight, source.head.weight)
    assert (target.head.bias == 7).all()


def vgg_state(width):
    """Generate random weights of VGG16 with torchvision's names."""
    state, inputs, position = {}, 3, 0
    for convolutions, factor in ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8)):
        for _ in range(convolutions):
            state[f"features.{position}.weight"] = torch.randn(width * factor, inputs, 3, 3)
            state[f"features.{position}.bias"] = torch.randn(width * factor)
            inputs, position = width * factor, position + 2
        position += 1
    for layer, (fan_out, fan_in) in {
        0: (64 * width, inputs * 49),
        3: (64 * width,) * 2,
        6: (10, 64 * width),
    }.items():
        state[f"classifier.{layer}.weight"] = torch.randn(fan_out, fan_in)
        state[f"classifier.{layer}.bias"] = torch.randn(fan_out)
    return state


@pytest.mark.parametrize("channels", [3, 1])
def test_vgg16_classifier_is_convolutionalised(tmp_path, channels):
    """For single-channel images, weights are summed over colours: the result equals that of three equal channels."""
    path = tmp_path / "vgg.pth"
    state = vgg_state(2)
    torch.save(state, path)
    network = make(FCNSettings(name="fcn8s", width=2), channels)
    assert start_from(network, read_pretrained(path), path) == 30
    first = network.vgg.blocks[0].conv1_1.weight
    expected = state["features.0.weight"]
    torch.testing.assert_close(first, expected if channels == 3 else expected.sum(dim=1, keepdim=True))
    torch.testing.assert_close(network.vgg.fc6.weight.flatten(1), state["classifier.0.weight"])


def test_vgg16_gets_colours_normalised_as_in_imagenet(tmp_path):
    """The changed first convolution of an image from 0 to 1 equals that of VGG16 of the normalised image."""
    state = vgg_state(2)
    torch.save(state, tmp_path / "vgg.pth")
    plain, changed = (read_pretrained(tmp_path / "vgg.pth", is_unit_range) for is_unit_range in (False, True))
    image = torch.rand(1, 3, 8, 9)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).reshape(2, 1, 3, 1, 1)
    weight, bias = FIRST_CONVOLUTION, FIRST_CONVOLUTION.replace("weight", "bias")
    expected = conv2d((image - mean) / std, plain[weight], plain[bias])
    torch.testing.assert_close(conv2d(image, changed[weight], changed[bias]), expected, rtol=1e-4, atol=1e-4)
    others = set(plain) - {weight, bias}
    assert all(torch.equal(changed[name], plain[name]) for name in others)


class Bomb:
    """Object that creates a folder when unpickled."""

    path = ""

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_pickle_is_refused_and_not_executed(tmp_path):
    path, Bomb.path = tmp_path / "w.pth", str(tmp_path / "exploded")
    for write in (lambda: torch.save(Bomb(), path), lambda: path.write_bytes(pickle.dumps(Bomb()))):
        write()
        with pytest.raises(
            BadInput, match=r"w.pth: found UnpicklingError.*; expected weights as .*; save only the tensors"
        ):
            read_pretrained(path)
    assert not os.path.exists(Bomb.path)


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
@pytest.mark.parametrize("content", ["empty", "truncated", "text"])
def test_damaged_files_are_refused(tmp_path, suffix, content):
    path = tmp_path / f"w.{suffix}"
    save_file(make().state_dict(), path) if suffix == "safetensors" else torch.save(make().state_dict(), path)
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "truncated": whole[: len(whole) // 2], "text": b"not weights"}[content])
    with pytest.raises(BadInput, match=rf"w.{suffix}: found .*; expected weights as .safetensors, or .pth"):
        read_pretrained(path)


def test_missing_file_and_other_content_are_refused(tmp_path):
    with pytest.raises(BadInput, match=r"none.pth: found no such file; .*snakeseg fetch-weights"):
        read_pretrained(tmp_path / "none.pth")
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(BadInput, match="found a list with other objects than tensors"):
        read_pretrained(tmp_path / "list.pth")
    torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "vgg.pth")
    with pytest.raises(BadInput, match=r"names of VGG16's tensors, but 'features.0.bias'"):
        read_pretrained(tmp_path / "vgg.pth")


def test_other_shapes_and_names_are_refused():
    with pytest.raises(BadInput, match=r"w: found encoder.* of shape \(4, 1, 3, 3\) .*; expected \(2, 1, 3, 3\); use"):
        start_from(make(), make(UNetSettings(width=4, depth=1)).state_dict(), "w")
    with pytest.raises(BadInput, match=r"w: found tensors zzz, ...; expected any of the tensors encoder"):
        start_from(make(), {"zzz": torch.zeros(1)}, "w")
