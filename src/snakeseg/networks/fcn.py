"""FCN-32s, FCN-16s, FCN-8s on VGG16 (Long, Shelhamer, Darrell 2015, and their reference network)."""

import torch
from torch import nn
from torch.nn import functional

from snakeseg.networks.blocks import initialise_he, normalise
from snakeseg.networks.geometry import Geometry, uniform
from snakeseg.networks.upsampling import bilinear_deconvolution
from snakeseg.settings import FCNSettings

# Convolutions of each of VGG16's five blocks, and the block's width as a multiple of the first one's.
BLOCKS = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))
FC = 64
STRIDES = {"fcn32s": 32, "fcn16s": 16, "fcn8s": 8}
DECONVOLUTIONS = ("paper", "frozen", "learned")
# Pixels that the reference crops to lay scores over each other, and the answer over the image, by stride.
POOL4_CROP, POOL3_CROP = 5, 9
CROPS = {32: 19, 16: 27, 8: 31}
# The reference pads the first convolution by so much, so that fc6 fits even a single pixel.
PADDING = 100


class VGG16(nn.Module):
    """VGG16 with its fully connected layers turned into convolutions, up to fc7.

    Parameters
    ----------
    channels : int
        Of the image.
    width : int
        Channels of the first block: 64 in VGG16. fc6 and fc7 have 64 times as many.
    dropout : float
        After fc6 and fc7.
    padding : int
        Of the first convolution: 1 in the classifier, 100 in the reference FCN.
    normalisation : {"none", "batch"}
        "none" in VGG16.
    """

    def __init__(self, channels: int, width: int, dropout: float, padding: int, normalisation: str = "none"):
        super().__init__()
        inputs = channels
        self.blocks = nn.ModuleList()
        for number, (convolutions, factor) in enumerate(BLOCKS, start=1):
            block = nn.Sequential()
            for index in range(1, convolutions + 1):
                pad = padding if number == index == 1 else 1
                block.add_module(f"conv{number}_{index}", nn.Conv2d(inputs, width * factor, 3, padding=pad))
                for layer in normalise(2, width * factor, normalisation):
                    block.add_module(f"norm{number}_{index}", layer)
                block.add_module(f"relu{number}_{index}", nn.ReLU(inplace=True))
                inputs = width * factor
            self.blocks.append(block)
        self.fc6 = nn.Conv2d(inputs, FC * width, 7)
        self.fc7 = nn.Conv2d(FC * width, FC * width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Features after pool3, pool4 and fc7, at strides 8, 16 and 32."""
        pools = []
        for block in self.blocks:
            x = functional.max_pool2d(block(x), 2, ceil_mode=True)
            pools.append(x)
        x = self.dropout(functional.relu(self.fc6(x)))
        x = self.dropout(functional.relu(self.fc7(x)))
        return [pools[2], pools[3], x]


class FCN(nn.Module):
    """VGG16, a zero-initialised score layer at each stride, and bilinear deconvolutions; output as large as the input.

    Parameters
    ----------
    dims : {2}
        Spatial dimensions: VGG16 is a network for pictures.
    channels, classes : int
        Channels of the image and of the logits.
    settings : FCNSettings
        `name` fixes the finest stride. `deconvolutions`: "paper" fixes the last one and learns the others, "frozen"
        fixes all (reference implementation), "learned" none. `at_once` scales pool4 by 0.01 and pool3 by 0.0001, so
        that 8s may be trained without the stages.

    Raises
    ------
    ValueError
        If a setting has no such value, or `dims` is not 2.
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
        self.vgg = VGG16(channels, width, settings.dropout, PADDING, settings.normalisation)
        initialise_he(self.vgg)
        self.score_fr = _score(FC * width, classes)
        if self.stride <= 16:
            self.score_pool4 = _score(8 * width, classes)
            self.upscore2 = bilinear_deconvolution(2, classes, 4, 2, learned)
        if self.stride == 8:
            self.score_pool3 = _score(4 * width, classes)
            self.upscore_pool4 = bilinear_deconvolution(2, classes, 4, 2, learned)
        last = bilinear_deconvolution(2, classes, 2 * self.stride, self.stride, settings.deconvolutions == "learned")
        self.add_module(f"upscore{self.stride}", last)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, shape (batch, classes, y, x), for images of shape (batch, channels, y, x) of any size."""
        pool3, pool4, fc7 = self.vgg(x)
        score = self.score_fr(fc7)
        if self.stride <= 16:
            score = self.upscore2(score)
            score = score + crop_from(self.score_pool4(self.scales[0] * pool4), POOL4_CROP, score)
        if self.stride == 8:
            score = self.upscore_pool4(score)
            score = score + crop_from(self.score_pool3(self.scales[1] * pool3), POOL3_CROP, score)
        score = self.get_submodule(f"upscore{self.stride}")(score)
        return crop_from(score, CROPS[self.stride], x)


def crop_from(x: torch.Tensor, offset: int, like: torch.Tensor) -> torch.Tensor:
    """`x` from `offset` on along both axes, as large as `like` (the reference's Crop layer)."""
    height, width = like.shape[2:]
    return x[:, :, offset : offset + height, offset : offset + width]


def convolutionalise(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state of a VGG16 classifier as that of a fully convolutional network.

    Parameters
    ----------
    state : dict
        Parameters by torchvision's names: ``features.N.weight``, ``classifier.{0,3,6}.weight`` and biases. The
        classifier may be left out; layers of any width are taken.

    Returns
    -------
    dict
        Parameters by the names of `FCN`: ``vgg.blocks...``, ``vgg.fc6``, ``vgg.fc7`` and, of the last layer,
        ``classifier`` (a 1x1 convolution to the classifier's own classes, which no FCN has).

    Raises
    ------
    KeyError
        If a convolution of VGG16 is missing.
    """
    new, position = {}, 0
    for number, (convolutions, _) in enumerate(BLOCKS, start=1):
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
    """Pads, takes any size, and is shift-equivariant modulo 32.

    The answer for 32 pixels is interpolated from three cells of fc7, each of which sees 404 pixels: 404 + 64 in all,
    up to 221 to one side.
    """
    return uniform(dims, halo=224, multiple=32, padded=True)


def _score(inputs: int, classes: int) -> nn.Conv2d:
    """A 1x1 convolution to scores; all zero, so that training starts from the previous stage's answer."""
    layer = nn.Conv2d(inputs, classes, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
