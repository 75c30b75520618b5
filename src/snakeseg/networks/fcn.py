"""FCN-32s, FCN-16s and FCN-8s on VGG16 (Long, Shelhamer & Darrell 2015, and their reference implementation)."""

import torch
from torch import nn
from torch.nn import functional

from snakeseg.networks.blocks import initialise_he, normalisation_layers
from snakeseg.networks.geometry import Geometry, uniform
from snakeseg.networks.upsampling import bilinear_deconvolution
from snakeseg.settings import FCNSettings

# Blocks of VGG16: number of convolutions, and number of channels as a multiple of the first block's.
VGG16_BLOCKS = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))
# Channels of fc6 and fc7, as a multiple of the first block's.
FC_WIDTH = 64
# Stride of the finest score layer, in pixels.
STRIDES = {"fcn32s": 32, "fcn16s": 16, "fcn8s": 8}
DECONVOLUTIONS = ("paper", "frozen", "learned")
# Pixels that the reference crops from the start of each axis: of the scores of pool4 and pool3, and of the upsampled
# scores by stride, so that they are aligned with the image.
POOL4_CROP_PIXELS, POOL3_CROP_PIXELS = 5, 9
OUTPUT_CROP_PIXELS = {32: 19, 16: 27, 8: 31}
# Padding of the first convolution in the reference, in pixels: fc6 then fits an image of a single pixel.
FIRST_PADDING_PIXELS = 100


class VGG16(nn.Module):
    """VGG16 up to fc7, with its fully connected layers as convolutions.

    Parameters
    ----------
    channels : int
        Number of channels of the image.
    width : int
        Number of channels of the first block: 64 in VGG16. fc6 and fc7 have 64 times as many.
    dropout : float
        Dropout probability after fc6 and fc7.
    padding : int
        Padding of the first convolution, in pixels: 1 in the classifier, 100 in the reference FCN.
    normalisation : {"none", "batch"}
        "none" in VGG16.
    """

    def __init__(self, channels: int, width: int, dropout: float, padding: int, normalisation: str = "none"):
        super().__init__()
        inputs = channels
        self.blocks = nn.ModuleList()
        for number, (convolutions, factor) in enumerate(VGG16_BLOCKS, start=1):
            block = nn.Sequential()
            for index in range(1, convolutions + 1):
                pad = padding if number == index == 1 else 1
                block.add_module(f"conv{number}_{index}", nn.Conv2d(inputs, width * factor, 3, padding=pad))
                for layer in normalisation_layers(2, width * factor, normalisation):
                    block.add_module(f"norm{number}_{index}", layer)
                block.add_module(f"relu{number}_{index}", nn.ReLU(inplace=True))
                inputs = width * factor
            self.blocks.append(block)
        self.fc6 = nn.Conv2d(inputs, FC_WIDTH * width, 7)
        self.fc7 = nn.Conv2d(FC_WIDTH * width, FC_WIDTH * width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Compute the features after pool3, pool4 and fc7, at strides 8, 16 and 32, each (batch, channels, y, x)."""
        pools = []
        for block in self.blocks:
            x = functional.max_pool2d(block(x), 2, ceil_mode=True)
            pools.append(x)
        x = self.dropout(functional.relu(self.fc6(x)))
        x = self.dropout(functional.relu(self.fc7(x)))
        return [pools[2], pools[3], x]


class FCN(nn.Module):
    """Fully convolutional network: VGG16, a score layer at each stride, deconvolutions; output as large as the input.

    Score layers start at zero, deconvolutions start as bilinear interpolation.

    Parameters
    ----------
    dims : {2}
        Number of spatial dimensions; VGG16 is a network for planes.
    channels, classes : int
        Number of channels of the image and of the logits.
    settings : FCNSettings
        `name` sets the finest stride. `deconvolutions`: "paper" learns all but the last one, "frozen" learns none
        (reference implementation), "learned" learns all. `at_once` multiplies pool4 by 0.01 and pool3 by 0.0001, so
        that FCN-8s can be trained without the previous stages.

    Raises
    ------
    ValueError
        If a setting has an unknown value, or `dims` is not 2.

    References
    ----------
    Long, Shelhamer & Darrell 2015, section 4 and figure 3.
    """

    def __init__(self, dims: int, channels: int, classes: int, settings: FCNSettings):
        super().__init__()
        if dims != 2:
            raise ValueError(f"network.name {settings.name!r} with spatial_dims {dims}; expected spatial_dims 2")
        if settings.deconvolutions not in DECONVOLUTIONS:
            raise ValueError(f"network.deconvolutions {settings.deconvolutions!r}; expected one of {DECONVOLUTIONS}")
        if settings.normalisation not in ("none", "batch"):
            raise ValueError(f"network.normalisation {settings.normalisation!r}; expected none or batch")
        self.stride = STRIDES[settings.name]
        self.scales = (0.01, 0.0001) if settings.at_once else (1.0, 1.0)
        learned = settings.deconvolutions != "frozen"
        width = settings.width
        self.vgg = VGG16(channels, width, settings.dropout, FIRST_PADDING_PIXELS, settings.normalisation)
        initialise_he(self.vgg)
        self.score_fr = _score_layer(FC_WIDTH * width, classes)
        if self.stride <= 16:
            self.score_pool4 = _score_layer(8 * width, classes)
            self.upscore2 = bilinear_deconvolution(2, classes, 4, 2, learned)
        if self.stride == 8:
            self.score_pool3 = _score_layer(4 * width, classes)
            self.upscore_pool4 = bilinear_deconvolution(2, classes, 4, 2, learned)
        last = bilinear_deconvolution(2, classes, 2 * self.stride, self.stride, settings.deconvolutions == "learned")
        self.add_module(f"upscore{self.stride}", last)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits, shape (batch, classes, y, x), of images of shape (batch, channels, y, x) of any size."""
        pool3, pool4, fc7 = self.vgg(x)
        score = self.score_fr(fc7)
        if self.stride <= 16:
            score = self.upscore2(score)
            score = score + crop_from(self.score_pool4(self.scales[0] * pool4), POOL4_CROP_PIXELS, score)
        if self.stride == 8:
            score = self.upscore_pool4(score)
            score = score + crop_from(self.score_pool3(self.scales[1] * pool3), POOL3_CROP_PIXELS, score)
        score = self.get_submodule(f"upscore{self.stride}")(score)
        return crop_from(score, OUTPUT_CROP_PIXELS[self.stride], x)


def crop_from(x: torch.Tensor, offset: int, like: torch.Tensor) -> torch.Tensor:
    """Crop a tensor (batch, channels, y, x) at `offset` along both axes, to the size of `like` (Caffe's Crop layer)."""
    height, width = like.shape[2:]
    return x[:, :, offset : offset + height, offset : offset + width]


def convolutionalise(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Convert the state of a VGG16 classifier to that of a fully convolutional network.

    Parameters
    ----------
    state : dict
        Parameters by torchvision's names: ``features.N.weight``, ``classifier.{0,3,6}.weight`` and biases. The
        classifier may be missing. Layers may have any width.

    Returns
    -------
    dict
        Parameters by the names of `FCN`: ``vgg.blocks...``, ``vgg.fc6``, ``vgg.fc7``; and the last layer as
        ``classifier``, a 1 x 1 convolution to the classifier's own classes, which no FCN has.

    Raises
    ------
    KeyError
        If a convolution of VGG16 is missing.

    References
    ----------
    Long, Shelhamer & Darrell 2015, section 3.1.
    """
    new, position = {}, 0
    for number, (convolutions, _) in enumerate(VGG16_BLOCKS, start=1):
        for index in range(1, convolutions + 1):
            for kind in ("weight", "bias"):
                name = f"vgg.blocks.{number - 1}.conv{number}_{index}.{kind}"
                new[name] = state[f"features.{position}.{kind}"]
            position += 2
        position += 1
    for old, name, size in ((0, "vgg.fc6", 7), (3, "vgg.fc7", 1), (6, "classifier", 1)):
        if f"classifier.{old}.weight" in state:
            weight = state[f"classifier.{old}.weight"]
            new[f"{name}.weight"] = weight.reshape(len(weight), -1, size, size)
            new[f"{name}.bias"] = state[f"classifier.{old}.bias"]
    return new


def fcn_geometry(dims: int, settings: FCNSettings) -> Geometry:
    """Return the geometry of an FCN: padded, valid for any size, shift-equivariant modulo 32 pixels.

    The scores of 32 pixels are interpolated from three cells of fc7. The receptive field of each cell is 404 pixels, so
    the scores depend on 404 + 64 pixels, at most 221 of them beyond one side; the halo of 224 is a multiple of 32.
    """
    return uniform(dims, halo=224, multiple=32, padded=True)


def _score_layer(inputs: int, classes: int) -> nn.Conv2d:
    """Return a 1 x 1 convolution to scores, all zero, so that training starts from the previous stage's scores."""
    layer = nn.Conv2d(inputs, classes, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
