"""FCN-32s, 16s, 8s against the paper and the reference network's crops and kernels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from snakeseg.networks.fcn import (
    FCN,
    FIRST_PADDING_PIXELS,
    OUTPUT_CROP_PIXELS,
    POOL3_CROP_PIXELS,
    POOL4_CROP_PIXELS,
    VGG16,
    convolutionalise,
)
from snakeseg.networks.measures import count_parameters
from snakeseg.settings import FCNSettings

NAMES = ("fcn32s", "fcn16s", "fcn8s")


def vgg16_classifier(width: int = 64, classes: int = 1000) -> nn.Module:
    """Return a VGG16 classifier with torchvision's names of layers; the published `width` is 64."""
    features, inputs = [], 3
    for convolutions, factor in ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8)):
        for _ in range(convolutions):
            features += [nn.Conv2d(inputs, factor * width, 3, padding=1), nn.ReLU()]
            inputs = factor * width
        features.append(nn.MaxPool2d(2, 2))
    model = nn.Module()
    model.features = nn.Sequential(*features)
    model.classifier = nn.Sequential(
        nn.Linear(inputs * 49, 64 * width), nn.ReLU(), nn.Dropout(), nn.Linear(64 * width, 64 * width), nn.ReLU(),
        nn.Dropout(), nn.Linear(64 * width, classes),
    )  # fmt: skip
    return model.eval()


def classify(model, image):
    return model.classifier(model.features(image).flatten(1))


def fully_convolutional(state, width: int):
    """Return the convolutionalised classifier: features of VGG16 (padding 1, as in the classifier) and last layer."""
    new = convolutionalise(state)
    trunk = VGG16(3, width, 0.5, padding=1).eval()
    trunk.load_state_dict({name.removeprefix("vgg."): t for name, t in new.items() if name.startswith("vgg.")})
    last = nn.Conv2d(64 * width, len(new["classifier.weight"]), 1)
    last.load_state_dict({"weight": new["classifier.weight"], "bias": new["classifier.bias"]})
    return lambda image: last(trunk(image)[-1])


def randomise(model, only_centres=False):
    """Draw He's weights, so that scores do not vanish; `only_centres`: 3 x 3 kernels that use their centre only."""
    torch.manual_seed(0)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=0.1)
            if only_centres and isinstance(layer, nn.Conv2d):
                centre = layer.weight.data[:, :, 1, 1] * 3
                layer.weight.data.zero_()
                layer.weight.data[:, :, 1, 1] = centre
    return model


@pytest.mark.slow
def test_convolutionalised_vgg16_gives_the_classifiers_scores():
    """The network has its full width, and the image the input size of the classifier."""
    model = randomise(vgg16_classifier())
    assert count_parameters(model) == 138_357_544
    image = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        expected = classify(model, image)
        scores = fully_convolutional(model.state_dict(), 64)(image)
    assert scores.shape == (1, 1000, 1, 1)
    assert expected.std() > 0.1
    assert (scores[:, :, 0, 0] - expected).abs().max() <= 1e-4


def test_map_of_a_larger_image_equals_scores_of_crops():
    """Without effects of padding, each cell of the map has the scores of its crop; crops are 32 pixels apart."""
    model = randomise(vgg16_classifier(width=4, classes=10), only_centres=True)
    image = torch.rand(1, 3, 288, 256)
    with torch.inference_mode():
        scores = fully_convolutional(model.state_dict(), 4)(image)
        assert scores.shape == (1, 10, 3, 2)
        for i, j in np.ndindex(3, 2):
            crop = image[:, :, 32 * i : 32 * i + 224, 32 * j : 32 * j + 224]
            assert (scores[:, :, i, j] - classify(model, crop)).abs().max() <= 1e-4
    assert (scores[..., 0, 0] - scores[..., 0, 1]).abs().max() > 1e-2


def test_padding_reaches_the_corner_cell_of_real_kernels():
    """Counter-example: with 3 x 3 kernels, the classifier pads its crop where the map uses further pixels."""
    model = randomise(vgg16_classifier(width=4, classes=10))
    image = torch.rand(1, 3, 256, 256)
    with torch.inference_mode():
        scores = fully_convolutional(model.state_dict(), 4)(image)[:, :, 0, 0]
        crop = classify(model, image[:, :, :224, :224])
    assert (scores - crop).abs().max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_parameters_equal_those_of_the_reference_network(name):
    """For 21 classes, these are VGG16 without its last layer, the score layers, and deconvolutions without bias."""
    with torch.device("meta"):
        network = FCN(2, 3, 21, FCNSettings(name=name))
    vgg = 138_357_544 - (4096 * 1000 + 1000)
    scores = {"fcn32s": 4096, "fcn16s": 4096 + 512, "fcn8s": 4096 + 512 + 256}[name]
    kernels = {"fcn32s": [64], "fcn16s": [4, 32], "fcn8s": [4, 4, 16]}[name]
    expected = vgg + 21 * (scores + len(kernels)) + sum(21 * 21 * k * k for k in kernels)
    assert count_parameters(network) == expected
    assert network.vgg.blocks[0].conv1_1.padding == (100, 100)
    assert network.vgg.fc6.kernel_size == (7, 7)


@pytest.fixture(scope="module")
def narrow():
    return {name: scored(FCN(2, 1, 2, FCNSettings(name=name, width=1))).eval() for name in NAMES}


def scored(network):
    """Draw the weights of the score layers, which start at zero."""
    torch.manual_seed(1)
    for name, value in network.named_parameters():
        if name.startswith("score"):
            nn.init.normal_(value)
    return network


@settings(deadline=None, max_examples=40)
@given(height=st.integers(1, 300), width=st.integers(1, 300), name=st.sampled_from(NAMES))
def test_output_is_as_large_as_the_input(narrow, height, width, name):
    with torch.inference_mode():
        assert narrow[name](torch.rand(1, 1, height, width)).shape == (1, 2, height, width)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_output_is_as_large_as_the_input_at_every_size(name):
    """Every size from 1 to 300 is valid, by shape alone; crops never exceed the upsampled scores."""
    with torch.device("meta"):
        network = FCN(2, 1, 2, FCNSettings(name=name, width=1)).eval()
        for size in range(1, 301):
            assert network(torch.empty(1, 1, size, 301 - size)).shape == (1, 2, size, 301 - size)


def centre_of(cell, *layers):
    """Return the input coordinate of the centre of a cell.

    Layers are (kernel, stride, padding), last to first. Deconvolutions have negative strides.
    """
    for kernel, stride, padding in layers:
        inside = (kernel - 1) / 2 - padding
        cell = cell * stride + inside if stride > 0 else (cell - inside) / -stride
    return cell


def test_crops_align_the_centres_of_cells():
    """The reference's crops follow from the position of the centre of each cell in the image."""
    first, pool = (3, 1, FIRST_PADDING_PIXELS), (2, 2, 0)
    fc7 = ((7, 1, 0), *[pool] * 5, first)
    pool4, pool3 = (*[pool] * 4, first), (*[pool] * 3, first)
    assert centre_of(OUTPUT_CROP_PIXELS[32], (64, -32, 0), *fc7) == 0
    assert centre_of(0, (4, -2, 0), *fc7) == centre_of(POOL4_CROP_PIXELS, *pool4)
    assert centre_of(OUTPUT_CROP_PIXELS[16], (32, -16, 0), (4, -2, 0), *fc7) == 0
    assert centre_of(0, (4, -2, 0), (4, -2, 0), *fc7) == centre_of(POOL3_CROP_PIXELS, *pool3)
    assert centre_of(OUTPUT_CROP_PIXELS[8], (16, -8, 0), (4, -2, 0), (4, -2, 0), *fc7) == 0


def test_score_layers_start_at_zero():
    network = FCN(2, 1, 3, FCNSettings(name="fcn8s", width=1)).eval()
    for layer in (network.score_fr, network.score_pool4, network.score_pool3):
        assert not layer.weight.any()
        assert not layer.bias.any()
    with torch.inference_mode():
        assert not network(torch.rand(1, 1, 40, 40)).any()


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("paper", [True, True, False]), ("frozen", [False] * 3), ("learned", [True] * 3)],
)
def test_the_setting_selects_the_learned_deconvolutions(setting, expected):
    network = FCN(2, 1, 2, FCNSettings(name="fcn8s", width=1, deconvolutions=setting))
    layers = (network.upscore2, network.upscore_pool4, network.upscore8)
    assert [layer.weight.requires_grad for layer in layers] == expected
    assert [layer.bias for layer in layers] == [None] * 3


def test_stages_start_from_the_previous_scores():
    """A new stage with zero score layers gives the coarser logits, upsampled in two steps instead of one."""
    coarse = scored(FCN(2, 1, 2, FCNSettings(name="fcn16s", width=2))).eval()
    fine = FCN(2, 1, 2, FCNSettings(name="fcn8s", width=2)).eval()
    state = {name: t for name, t in coarse.state_dict().items() if name in fine.state_dict()}
    assert {"score_fr.weight", "score_pool4.weight", "upscore2.weight"} < set(state)
    fine.load_state_dict(state, strict=False)
    image = torch.rand(1, 1, 200, 200)
    with torch.inference_mode():
        before, after = coarse(image), fine(image)
    inner = (slice(None), slice(None), slice(40, 160), slice(40, 160))
    assert (before - after)[inner].abs().mean() < 0.1 * before[inner].std()


def test_at_once_scales_the_skips():
    plain, scaled = (scored(FCN(2, 1, 2, FCNSettings(name="fcn8s", width=2, at_once=a))).eval() for a in (False, True))
    scaled.load_state_dict(plain.state_dict())
    with torch.no_grad():
        plain.score_pool4.weight *= 0.01
        plain.score_pool3.weight *= 0.0001
        image = torch.rand(1, 1, 60, 60)
        torch.testing.assert_close(scaled(image), plain(image))


def test_convolutionalise_accepts_weights_without_a_classifier():
    state = {k: t for k, t in vgg16_classifier(width=1).state_dict().items() if k.startswith("features")}
    new = convolutionalise(state)
    assert set(new) < set(FCN(2, 3, 2, FCNSettings(width=1)).state_dict())
    assert len(new) == 26
    del state["features.28.weight"]
    with pytest.raises(KeyError, match=r"features.28.weight"):
        convolutionalise(state)
