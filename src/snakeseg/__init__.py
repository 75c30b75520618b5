"""SnakeSeg: from a folder of microscopy images or volumes to trained, evaluated segmentation.

The names of the Python interface are imported on first use, so that `import snakeseg` takes no time (PEP 562).
"""

# ruff: noqa: F401
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers, which do not follow `__getattr__`
    from snakeseg.api.files import read_image, read_labels, write_labels
    from snakeseg.api.prediction import load_model, predict
    from snakeseg.api.scoring import score
    from snakeseg.errors import BadInput
    from snakeseg.io.raster import Raster
    from snakeseg.settings import Labels
    from snakeseg.transforms.border_weights import border_weights
    from snakeseg.transforms.elastic import elastic_deform

__version__ = "0.1.0"

# Where the public names are defined.
_PUBLIC_NAMES = {
    "BadInput": "snakeseg.errors",
    "Labels": "snakeseg.settings",
    "Raster": "snakeseg.io.raster",
    "border_weights": "snakeseg.transforms.border_weights",
    "elastic_deform": "snakeseg.transforms.elastic",
    "load_model": "snakeseg.api.prediction",
    "predict": "snakeseg.api.prediction",
    "read_image": "snakeseg.api.files",
    "read_labels": "snakeseg.api.files",
    "score": "snakeseg.api.scoring",
    "write_labels": "snakeseg.api.files",
}
__all__ = ["__version__", *_PUBLIC_NAMES]


def __getattr__(name: str):
    """Import a public name when it is first used."""
    if name not in _PUBLIC_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC_NAMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, whether imported yet or not."""
    return sorted(__all__)
