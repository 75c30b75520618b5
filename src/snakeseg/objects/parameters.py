"""Read the segmentation parameters that are stored beside a model's weights."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from snakeseg.errors import BadInput
from snakeseg.models.description import PARAMETERS
from snakeseg.objects.components import ComponentFilter
from snakeseg.objects.label_files import Postprocessing
from snakeseg.objects.segment import InstanceParameters
from snakeseg.settings import Labels, build_section

T = TypeVar("T")
PARAMETERS_REMEDY = "copy the model folder again, or run: snakemake -R tune"


def load_parameters(folder: Path, labels: Labels) -> Postprocessing:
    """Read a model's segmentation parameters from `instances.json`.

    Parameters
    ----------
    folder : path
        Model folder.
    labels : Labels
        The model's label settings.

    Returns
    -------
    InstanceParameters, or dict of ComponentFilter by class name for semantic labels
        Those chosen on all held-out images. Defaults, or an empty dict, if the folder has no `instances.json`.

    Raises
    ------
    BadInput
        If `instances.json` is invalid.
    """

    def parse(content: dict, path: Path) -> Postprocessing:
        if labels.kind != "semantic":
            return build_section(InstanceParameters, content["chosen"], str(path))
        return _build_filters({name: entry["chosen"] for name, entry in content.get("classes", {}).items()}, path)

    return _read(folder, parse, {} if labels.kind == "semantic" else InstanceParameters())


def load_cross_fitted(folder: Path, labels: Labels) -> dict[str, Postprocessing]:
    """Read the segmentation parameters of held-out samples, chosen on the other groups, from `instances.json`.

    Parameters
    ----------
    folder, labels
        As for `load_parameters`.

    Returns
    -------
    dict
        Parameters by sample. Empty if the held-out images are one group, or if an earlier version wrote the file.

    Raises
    ------
    BadInput
        If `instances.json` is invalid.
    """

    def parse(content: dict, path: Path) -> dict[str, Postprocessing]:
        section = content.get("cross_fitted") or {"parameters": [], "samples": {}}
        build = _build_filters if labels.kind == "semantic" else partial(build_section, InstanceParameters)
        parameters = [build(values, str(path)) for values in section["parameters"]]
        return {name: parameters[_index(index, len(parameters))] for name, index in section["samples"].items()}

    return _read(folder, parse, {})


def _read(folder: Path, parse: Callable[[dict, Path], T], default: T) -> T:
    """Parse `instances.json`; return the default if there is none."""
    path = folder / PARAMETERS
    if not path.is_file():
        return default
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")), path)
    except BadInput:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise BadInput(path, f"{type(error).__name__} {error}", "segmentation parameters", PARAMETERS_REMEDY) from error


def _build_filters(values: dict, where: object) -> dict[str, ComponentFilter]:
    """Build the component filters of all classes."""
    return {name: build_section(ComponentFilter, fields, str(where)) for name, fields in values.items()}


def _index(value: object, count: int) -> int:
    """Return an index of a list of `count` entries; raise ValueError for any other value."""
    if not (isinstance(value, int) and not isinstance(value, bool) and 0 <= value < count):
        raise ValueError(f"index {value!r:.100} of {count} parameters")
    return value
