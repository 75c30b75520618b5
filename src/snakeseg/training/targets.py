"""Target and loss weights of a training image, from its classes and objects."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from snakeseg.settings import Weigh
from snakeseg.transforms.border_weights import border_reach, border_weights
from snakeseg.transforms.labels import IGNORED, mark_border, separated_labels


@dataclass(frozen=True)
class TargetSettings:
    """All that target and weights depend on, except the labels.

    Attributes
    ----------
    kind : str
        `labels.kind`.
    border : int
        Width, in pixels, of the class along the inner edge of objects (`network.border`); 0 for none.
    weigh : Weigh
    balance : sequence of float
        Weight of each class (w_c); empty if all are 1.
    """

    kind: str = "instance"
    border: int = 0
    weigh: Weigh = field(default_factory=Weigh)
    balance: Sequence[float] = ()


def make_target(classes: np.ndarray, objects: np.ndarray, settings: TargetSettings) -> np.ndarray:
    """Return the class of each pixel that the network is trained to predict.

    Touching objects are separated by background. With a border class they are not, since their borders separate them.

    Parameters
    ----------
    classes : uint8 array, shape (*spatial)
    objects : int32 array, shape (*spatial)
        Touching objects not yet separated.
    settings : TargetSettings

    Returns
    -------
    uint8 array, shape (*spatial)
        0 for ignored pixels.
    """
    if not settings.border:
        classes, objects = separated_labels(classes, objects, settings.kind)
    target = np.where(classes == IGNORED, 0, classes).astype(np.uint8)
    return mark_border(target, objects, settings.border) if settings.border else target


def border_term(classes: np.ndarray, objects: np.ndarray, settings: TargetSettings, spacing: Sequence[float]):
    """Compute the border term of the weight map, from separated objects.

    Parameters
    ----------
    classes, objects, settings
        As for `make_target`.
    spacing : sequence of float
        Pixel size, one per axis; `weigh.sigma` is in pixels of the finest axis.

    Returns
    -------
    float32 array, shape (*spatial)
    """
    _, objects = separated_labels(classes, objects, settings.kind)
    return border_weights(objects, settings.weigh.w0, settings.weigh.sigma, _in_finest_pixels(spacing))


def label_margin(settings: TargetSettings, spacing: Sequence[float]) -> list[int]:
    """Return how far from a pixel labels affect its target and weight, in pixels of each axis."""
    reach = border_reach(settings.weigh.w0, settings.weigh.sigma, _in_finest_pixels(spacing))
    return [max(1, settings.border, pixels) for pixels in reach]


def _in_finest_pixels(spacing: Sequence[float]) -> list[float]:
    return [size / min(spacing) for size in spacing]


def make_weights(classes: np.ndarray, objects: np.ndarray, term: np.ndarray, settings: TargetSettings) -> np.ndarray:
    """Compute the weight map ``w(x) = w_c(x) + w0 exp(-(d1 + d2)**2 / (2 sigma**2))``.

    Parameters
    ----------
    classes, objects, settings
        As for `make_target`. The class c is that of the separated labels, also with a border class.
    term : float32 array, shape (*spatial)
        From `border_term`.

    Returns
    -------
    float32 array, shape (*spatial)
        0 for ignored pixels.

    References
    ----------
    Ronneberger et al. 2015, equation 2.
    """
    separated, _ = separated_labels(classes, objects, settings.kind)
    is_ignored = separated == IGNORED
    balance = np.asarray(settings.balance, np.float32)
    weights = term + (balance[np.where(is_ignored, 0, separated)] if len(balance) else np.float32(1))
    weights[is_ignored] = 0
    return weights
