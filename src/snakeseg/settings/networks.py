"""The settings of networks: what all have, and the keys of each."""

from dataclasses import MISSING, dataclass
from typing import Any, Literal

from snakeseg.errors import BadInput
from snakeseg.settings.keys import build, key
from snakeseg.text import did_you_mean


@dataclass(frozen=True, kw_only=True)
class Network:
    """The network: keys that all have; each adds keys of its own.

    A network of one's own: [docs/how-to/add-a-network.md](../docs/how-to/add-a-network.md).
    """

    name: str = key(MISSING, "architecture")
    border: int = key(
        0,
        "pixels along the inner edge of objects that the network learns as a class of their own, which separates "
        "touching objects; 0: none",
        minimum=0,
    )
    pretrained: str | None = key(
        None,
        "file of weights to start from, by layer name: `.safetensors`, or `.pth` with nothing but tensors. Never "
        "downloaded by a job",
    )
    slices: int | None = key(
        None, "axis (0, 1, 2) of volumes across which a 2D network works slice by slice", minimum=0, maximum=2
    )


def channels(default: int) -> Any:
    """Declare the number of channels that the others derive from."""
    return key(default, "channels of the first level", minimum=1)


def halvings(default: int, fewest: int = 1) -> Any:
    """Declare the number of times that the sides are halved."""
    return key(default, "number of halvings", minimum=fewest, maximum=6)


def rate(default: float, where: str) -> Any:
    """Declare the dropout rate."""
    return key(default, f"dropout rate {where}", minimum=0, exclusiveMaximum=1)


INEXACT = "with `instance` and `group`, tiles no longer equal the whole, and the report says so"


@dataclass(frozen=True, kw_only=True)
class UNetSettings(Network):
    """U-Net (Ronneberger et al. 2015)."""

    name: str = "unet"
    width: int = channels(64)
    depth: int = halvings(4)
    padded: bool = key(False, "zero-padded convolutions; the paper's are not padded")
    decoder: Literal["transposed", "nearest", "bilinear", "unpool"] = key(
        "transposed",
        "`transposed` as in the paper; `nearest`, `bilinear`: interpolation and a convolution, free of "
        "checkerboards; `unpool`: values go back to where the maxima were",
    )
    skips: Literal["concat", "sum"] = key("concat", "`concat` (cropped, as in the paper) or `sum`")
    normalisation: Literal["none", "batch", "instance", "group"] = key("none", f"`none` as in the paper; {INEXACT}")
    dropout: float = rate(0.5, "at the end of the contracting path")


@dataclass(frozen=True, kw_only=True)
class FCNSettings(Network):
    """FCN on VGG16 (Long et al. 2015; 2D).

    Weights of VGG16: `snakeseg fetch-weights vgg16 --output vgg16.pth`, once, on a machine with a network; its fully
    connected layers are turned into convolutions on loading.
    """

    name: str = "fcn8s"
    width: int = key(64, "channels of VGG16's first block; 16 is slim", minimum=1)
    deconvolutions: Literal["paper", "frozen", "learned"] = key(
        "paper", "`paper`: the last one stays bilinear; `frozen`: all, as in the reference network; `learned`: none"
    )
    at_once: bool = key(False, "scale pool4 and pool3 by 0.01 and 0.0001, to train 8s without the stages")
    normalisation: Literal["none", "batch"] = key("none", "`none` as in the paper")
    dropout: float = rate(0.5, "after fc6 and fc7")


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
    width: int = channels(32)
    depth: int = halvings(4, fewest=2)
    normalisation: Literal["batch", "instance", "group"] = key("batch", f"`instance` as in nnU-Net; {INEXACT}")
    dropout: float = rate(0.0, "in every block")


@dataclass(frozen=True, kw_only=True)
class SegResNetSettings(Network):
    """SegResNet (MONAI; Myronenko 2018)."""

    name: str = "segresnet"
    width: int = channels(16)
    depth: int = halvings(3)
    normalisation: Literal["batch", "instance", "group"] = key("batch", INEXACT)
    dropout: float = rate(0.0, "in every block")


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
    """Make the settings of a network by its name, by default `unet`; errors as in `build`, and for an unknown name."""
    name = values.get("name", "unet") if isinstance(values, dict) else "unet"
    known = list(NETWORK_SETTINGS)
    if name not in known:
        raise BadInput(f"{where}.name", f"'{name}'", f"one of {', '.join(known)}", did_you_mean(name, known))
    return build(NETWORK_SETTINGS[name], values, where)
