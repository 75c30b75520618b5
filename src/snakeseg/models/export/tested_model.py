"""A trained model as all formats take it."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from snakeseg.errors import BadInput
from snakeseg.models.checkpoint import load_model
from snakeseg.models.description import Description, model_folders
from snakeseg.models.export.graphs import Probabilities
from snakeseg.models.export.metadata import about
from snakeseg.models.golden import Golden, check_golden, golden_size, make_golden, read_golden
from snakeseg.networks.folding import fold_normalisation
from snakeseg.settings import Export


class Model(NamedTuple):
    """Where it is, what it is, what it computes (on the CPU), its golden check, and all that is told of it."""

    folder: Path
    description: Description
    network: Probabilities
    golden: Golden
    told: dict

    @property
    def inputs(self) -> list[Tensor]:
        """What a file of the network is compared on: the golden input, and one of other sides, two at a time."""
        geometry, seen = self.description.geometry, torch.from_numpy(self.golden.input)[None]
        steps = enumerate(geometry.multiple, start=1)
        sides = [size + axis * step for size, (axis, step) in zip(seen.shape[2:], steps, strict=True)]
        other = torch.rand(2, seen.shape[1], *sides, generator=torch.Generator().manual_seed(0))
        return [seen, other]


def read_model(folder: Path, settings: Export, scores: pd.DataFrame | None, skip_golden: bool) -> Model:
    """The one model in a folder.

    Raises
    ------
    BadInput
        If there are several, or none that passes its golden check.
    """
    found = model_folders(folder)
    if len(found) > 1:
        names = ", ".join(one.name for one in found)
        raise BadInput(folder, f"{len(found)} models, {names}", "one", f"export {found[0]}, or another of them")
    network, description = load_model(found[0], torch.device("cpu"))
    golden = read_golden(found[0])
    if golden and not skip_golden:
        check_golden(found[0], network, golden)
    if golden is None or golden.input.shape[1:] != golden_size(description.geometry):
        golden = make_golden(network, description)
    told = about(found[0], description, settings, scores)
    network = Probabilities(fold_normalisation(network)).eval().requires_grad_(False)
    return Model(found[0], description, network, golden, told)
