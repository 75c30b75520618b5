"""How a model's probabilities are cut into objects, as it is kept beside its weights."""

import json
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.models.description import PARAMETERS
from snakeseg.objects.components import ComponentFilter
from snakeseg.objects.segment import Parameters
from snakeseg.settings import Labels, build


def load_parameters(folder: Path, labels: Labels) -> Parameters | dict[str, ComponentFilter]:
    """How the model's probabilities are cut into objects, or what is kept of each class; defaults if never chosen."""
    path = folder / PARAMETERS
    semantic = labels.kind == "semantic"
    if not path.is_file():
        return {} if semantic else Parameters()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not semantic:
            return build(Parameters, found["chosen"], str(path))
        return {
            name: build(ComponentFilter, found["classes"][name]["chosen"], str(path))
            for name in found.get("classes", {})
        }
    except BadInput:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise BadInput(path, f"{type(error).__name__} {error}", "object parameters", "tune it again") from error
