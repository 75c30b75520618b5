"""Load a trained model, check it, and collect what all export formats need."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from snakeseg.errors import BadInput
from snakeseg.models.checkpoint import load_model
from snakeseg.models.description import Description, model_folders
from snakeseg.models.export.graphs import ProbabilityModel
from snakeseg.models.export.metadata import describe_model
from snakeseg.models.golden import Golden, check_golden, golden_size, make_golden, read_golden
from snakeseg.networks.folding import fold_normalisation
from snakeseg.settings import Export


class Model(NamedTuple):
    """A checked model, ready for export.

    Parameters
    ----------
    folder : path
        Model folder.
    description : Description
    network : ProbabilityModel
        The network with softmax, in evaluation mode, on the CPU, with folded batch normalisation.
    golden : Golden
        Test input and output.
    about : dict
        From `describe_model`.
    """

    folder: Path
    description: Description
    network: ProbabilityModel
    golden: Golden
    about: dict

    @property
    def inputs(self) -> list[Tensor]:
        """Inputs to compare exported files on: the golden input, and a batch of two noise images of another size."""
        geometry, golden_input = self.description.geometry, torch.from_numpy(self.golden.input)[None]
        steps = enumerate(geometry.multiple, start=1)
        sides = [size + axis * step for size, (axis, step) in zip(golden_input.shape[2:], steps, strict=True)]
        noise = torch.rand(2, golden_input.shape[1], *sides, generator=torch.Generator().manual_seed(0))
        return [golden_input, noise]


def read_model(folder: Path, settings: Export, scores: pd.DataFrame | None, skip_golden: bool) -> Model:
    """Read the single model of a folder, and check it.

    Parameters
    ----------
    folder : path
        A model folder, or the folder of an experiment with a single fold-* folder.
    settings : Export
    scores : DataFrame, optional
        Scores of held-out images, from `snakeseg.evaluation.summary.summarise`.
    skip_golden : bool
        Skip the golden check.

    Returns
    -------
    Model

    Raises
    ------
    BadInput
        If the folder holds several models, or the model is invalid or fails its golden check.
    """
    folders = model_folders(folder)
    if len(folders) > 1:
        names = ", ".join(path.name for path in folders)
        raise BadInput(folder, f"{len(folders)} models, {names}", "one model", f"export {folders[0]}, or another one")
    network, description = load_model(folders[0], torch.device("cpu"))
    golden = read_golden(folders[0])
    if golden and not skip_golden:
        check_golden(folders[0], network, golden)
    if golden is None or golden.input.shape[1:] != golden_size(description.geometry):
        golden = make_golden(network, description)
    about = describe_model(folders[0], description, settings, scores)
    network = ProbabilityModel(fold_normalisation(network)).eval().requires_grad_(False)
    return Model(folders[0], description, network, golden, about)
