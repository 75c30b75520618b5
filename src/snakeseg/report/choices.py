"""Choices that were made on held-out images, and how optimistic they make the scores of these images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snakeseg.evaluation.comparison import format_count

# AP at IoU 0.5 of images that chose the parameters, minus that of fresh images with the same parameters, by the number
# of images that chose: benchmarks/optimism.py.
OPTIMISM = {1: 0.17, 8: 0.05}


@dataclass(frozen=True)
class Choices:
    """Choices that were made on held-out images.

    Parameters
    ----------
    is_semantic : bool
        Components of classes were chosen, not thresholds of objects.
    is_cross_fitted : bool
        Validation scores use parameters that were chosen for each group on the other groups.
    groups : int
        Number of held-out groups.
    models : int
        Number of models (folds) whose probabilities are averaged for new images.
    selected : tuple of str
        Experiments whose weights were selected on held-out images (`train.select: best`).
    gain : float
        Semantic: by how much the choice raised the mean Dice on the images of the choice.
    has_groups : bool
        Whether a held-out group has several images.
    """

    is_semantic: bool
    is_cross_fitted: bool
    groups: int
    models: int
    selected: tuple[str, ...] = ()
    gain: float = 0.0
    has_groups: bool = False

    @property
    def parameters(self) -> str:
        """Name of the parameters, at the beginning of a sentence."""
        return "The pieces of a class to keep" if self.is_semantic else "Object settings (threshold, size, growth)"

    def describe_use(self, experiment: str) -> str:
        """Describe how the validation images of an experiment were used besides scoring, as part of a sentence."""
        uses = ["select the weights"] * (experiment in self.selected)
        if not self.is_cross_fitted:
            uses.append("choose which pieces to keep" if self.is_semantic else "choose thresholds")
        used = f" but used to {' and to '.join(uses)}" if uses else ""
        chosen = "pieces to keep" if self.is_semantic else "thresholds"
        others = "other groups" if self.has_groups else "other images"
        return f"held out of training{used}{f', with {chosen} chosen on the {others}' * self.is_cross_fitted}"

    def sentences(self) -> list[str]:
        """Describe all choices, and the reasons for which validation scores are optimistic."""
        if self.is_cross_fitted:
            unit, others = (
                ("group of validation images", "other groups") if self.has_groups else ("validation image", "others")
            )
            sentences = [
                f"{self.parameters} were chosen for each {unit} on the {others} (cross-fitting), so validation scores"
                " are not optimistic for this reason. Test images use those chosen on all validation images."
            ]
        else:
            images = "the images of the only held-out group" if self.groups == 1 else "all validation images"
            sentences = [
                f"{self.parameters} were chosen on {images}, so validation scores are optimistic: {self._size()}."
            ]
        if self.models > 1:
            sentences.append(
                "These parameters were chosen on probabilities of single models, but other images are segmented with"
                f" the mean of {self.models} models."
            )
        if self.selected:
            sentences.append(
                f"The weights of {', '.join(self.selected)} are the best of several evaluations on held-out images"
                " (train.select: best), which makes validation scores optimistic."
            )
        return sentences

    def _size(self) -> str:
        """Describe how optimistic scores are without cross-fitting."""
        if self.is_semantic:
            return f"the choice raised the mean Dice on these images by {self.gain:.3f}"
        sizes = " and ".join(f"{size:.2f} with {format_count(n, 'image')}" for n, size in OPTIMISM.items())
        return f"in simulations, AP at IoU 0.5 was too high by {sizes}"


def collect_choices(
    parameters: Mapping[str, dict], models: Mapping[str, dict], groups: int, folds: int, has_groups: bool = False
) -> Choices:
    """Collect the choices of a run.

    Parameters
    ----------
    parameters, models : mapping
        Contents of instances.json and model.json of each experiment's first model, by experiment.
    groups : int
        Number of held-out groups.
    folds : int
        Number of folds that were trained.
    has_groups : bool
        Whether a held-out group has several images.
    """
    tuned = list(parameters.values())
    trials = [entry["trials"] for values in tuned for entry in values.get("classes", {}).values()]
    gains = [max(trial["score"] for trial in rules) - rules[0]["score"] for rules in trials if rules]
    return Choices(
        is_semantic=not any(values["chosen"] for values in tuned),
        is_cross_fitted=all(values.get("cross_fitted") for values in tuned),
        groups=groups,
        models=folds,
        selected=tuple(n for n, model in models.items() if model["provenance"]["train"].get("select") == "best"),
        gain=float(np.mean(gains)) if gains else 0.0,
        has_groups=has_groups,
    )
