"""Settings of the networks: common keys, and the keys of each architecture."""

from dataclasses import MISSING, dataclass
from typing import Any, Literal

from snakeseg.errors import BadInput
from snakeseg.settings.keys import build_section, key
from snakeseg.text import did_you_mean


@dataclass(frozen=True, kw_only=True)
class Network:
    """Network architecture. These keys are common to all architectures; each adds keys of its own.

    To add an architecture, see [docs/how-to/add-a-network.md](../docs/how-to/add-a-network.md).
    """

    name: str = key(MISSING, "architecture")
    border: int = key(
        0,
        "width in pixels of the inner border of objects, which the network learns as a separate class so that touching "
        "objects are separated; 0: no border class",
        minimum=0,
    )
    pretrained: str | None = key(
        None,
        "file of weights to start from, matched by layer name: `.safetensors`, or `.pth` with nothing but tensors. Jobs"
        " never download it",
    )
    slices: int | None = key(
        None, "axis (0, 1, 2) of volumes along which a 2D network predicts slice by slice", minimum=0, maximum=2
    )


def channels_key(default: int) -> Any:
    """Declare the number of channels of the first level, from which those of the other levels follow."""
    return key(default, "channels of the first level", minimum=1)


def depth_key(default: int, fewest: int = 1) -> Any:
    """Declare the number of downsampling steps, each of which halves the side lengths."""
    return key(default, "number of downsampling steps, each by a factor of 2", minimum=fewest, maximum=6)


def dropout_key(default: float, where: str) -> Any:
    """Declare the dropout rate."""
    return key(default, f"dropout rate {where}", minimum=0, exclusiveMaximum=1)


# Note on normalisation by statistics of the input, which differ between tiles and the whole image.
INEXACT = "with `instance` and `group`, predictions depend on the tiling, and the report says so"


@dataclass(frozen=True, kw_only=True)
class UNetSettings(Network):
    """U-Net (Ronneberger et al. 2015)."""

    name: str = "unet"
    width: int = channels_key(64)
    depth: int = depth_key(4)
    padded: bool = key(False, "zero-padded convolutions; the paper's are not padded")
    decoder: Literal["transposed", "nearest", "bilinear", "unpool"] = key(
        "transposed",
        "upsampling: `transposed` convolution as in the paper; `nearest`, `bilinear`: interpolation and a convolution, "
        "without checkerboard artefacts; `unpool`: values return to the positions of the pooled maxima",
    )
    skips: Literal["concat", "sum"] = key("concat", "skip connections: `concat` (cropped, as in the paper) or `sum`")
    normalisation: Literal["none", "batch", "instance", "group"] = key("none", f"`none` as in the paper; {INEXACT}")
    dropout: float = dropout_key(0.5, "at the end of the contracting path")


@dataclass(frozen=True, kw_only=True)
class FCNSettings(Network):
    """FCN on VGG16 (Long et al. 2015; 2D).

    Download the weights of VGG16 once, on a machine with internet access, by
    `snakeseg fetch-weights vgg16 --output vgg16.pth`. Loading converts the fully connected layers to convolutions.
    """

    name: str = "fcn8s"
    width: int = key(64, "channels of VGG16's first block; 16 gives a small network", minimum=1)
    deconvolutions: Literal["paper", "frozen", "learned"] = key(
        "paper",
        "deconvolutions with fixed bilinear weights: the last one (`paper`), all, as in the reference network "
        "(`frozen`), or none (`learned`)",
    )
    at_once: bool = key(
        False, "scale the skip connections pool4 and pool3 by 0.01 and 0.0001, to train FCN-8s in a single stage"
    )
    normalisation: Literal["none", "batch"] = key("none", "`none` as in the paper")
    dropout: float = dropout_key(0.5, "after fc6 and fc7")


@dataclass(frozen=True, kw_only=True)
class ContextSettings(Network):
    """Context module (Yu & Koltun 2016)."""

    name: str = "context"
    width: int = key(32, "channels of every layer", minimum=1)
    dilations: list[int] = key([1, 1, 2, 4, 8, 16, 1], "dilation of each convolution", minItems=1, minimum=1)
    normalisation: Literal["none", "batch", "instance", "group"] = key("none", INEXACT)


@dataclass(frozen=True, kw_only=True)
class DynUNetSettings(Network):
    """DynUNet (MONAI; nnU-Net's)."""

    name: str = "dynunet"
    width: int = channels_key(32)
    depth: int = depth_key(4, fewest=2)
    normalisation: Literal["batch", "instance", "group"] = key("batch", f"`instance` as in nnU-Net; {INEXACT}")
    dropout: float = dropout_key(0.0, "in every block")


@dataclass(frozen=True, kw_only=True)
class SegResNetSettings(Network):
    """SegResNet (MONAI; Myronenko 2018)."""

    name: str = "segresnet"
    width: int = channels_key(16)
    depth: int = depth_key(3)
    normalisation: Literal["batch", "instance", "group"] = key("batch", INEXACT)
    dropout: float = dropout_key(0.0, "in every block")


NETWORK_SETTINGS: dict[str, type[Network]] = {
    "unet": UNetSettings,
    "fcn32s": FCNSettings,
    "fcn16s": FCNSettings,
    "fcn8s": FCNSettings,
    "context": ContextSettings,
    "dynunet": DynUNetSettings,
    "segresnet": SegResNetSettings,
}


def network_settings(values: dict[str, Any], where: str = "network") -> Network:
    """Build the settings of a network from a mapping with its name (by default `unet`).

    Raises
    ------
    BadInput
        If the name is unknown; otherwise as in `build_section`.
    """
    name = values.get("name", "unet") if isinstance(values, dict) else "unet"
    known = list(NETWORK_SETTINGS)
    if name not in known:
        raise BadInput(f"{where}.name", f"'{name}'", f"one of {', '.join(known)}", did_you_mean(name, known))
    return build_section(NETWORK_SETTINGS[name], values, where)
