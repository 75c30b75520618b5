"""Read the segmentation parameters that are stored beside a model's weights."""

import json
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.models.description import PARAMETERS
from snakeseg.objects.components import ComponentFilter
from snakeseg.objects.segment import InstanceParameters
from snakeseg.settings import Labels, build_section


def load_parameters(folder: Path, labels: Labels) -> InstanceParameters | dict[str, ComponentFilter]:
    """Read a model's segmentation parameters from `instances.json`.

    Parameters
    ----------
    folder : path
        Model folder.
    labels : Labels
        The model's label settings.

    Returns
    -------
    Parameters, or dict of ComponentFilter by class name for semantic labels
        Defaults, or an empty dict, if the folder has no `instances.json`.

    Raises
    ------
    BadInput
        If `instances.json` is invalid.
    """
    path = folder / PARAMETERS
    is_semantic = labels.kind == "semantic"
    if not path.is_file():
        return {} if is_semantic else InstanceParameters()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not is_semantic:
            return build_section(InstanceParameters, content["chosen"], str(path))
        return {
            name: build_section(ComponentFilter, content["classes"][name]["chosen"], str(path))
            for name in content.get("classes", {})
        }
    except BadInput:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        remedy = "copy the model folder again, or run: snakemake -R tune"
        raise BadInput(path, f"{type(error).__name__} {error}", "segmentation parameters", remedy) from error
