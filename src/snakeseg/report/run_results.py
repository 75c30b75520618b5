"""The tables and model descriptions of a run, each read once, as the report needs them."""

import json
import platform
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from snakeseg import __version__
from snakeseg.evaluation.comparison import describe_pairs
from snakeseg.evaluation.summary import SUBSETS
from snakeseg.evaluation.target_scores import mean_target_scores
from snakeseg.io.file_names import split_file_names
from snakeseg.io.files import checksum
from snakeseg.io.sheet import assign_folds
from snakeseg.io.tables import read_table
from snakeseg.report.choices import Choices, collect_choices
from snakeseg.report.comparison import comparison_rows
from snakeseg.report.images.views import Views
from snakeseg.report.tables import image_rows, ranking_metric
from snakeseg.settings import Config

# Packages whose versions the provenance states.
PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "opencv-python-headless", "zarr", "tifffile", "nibabel")


@dataclass(frozen=True)
class RunResults:
    """Results of a run, read on demand and kept.

    Parameters
    ----------
    run : path
        Folder of the run's results.
    sheet : DataFrame
        The sample sheet, from `read_sheet`.
    config : Config
        The config of the run.
    """

    run: Path
    sheet: pd.DataFrame
    config: Config

    @cached_property
    def metric(self) -> str:
        """The score by which images are ranked."""
        return ranking_metric(self.config)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Image table of all experiments, failures first, then the worst scores (see `image_rows`)."""
        return image_rows(self.table("evaluation/images.tsv"), self.metric)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Summary of scores: one row per experiment, subset and score."""
        return self.table("evaluation/summary.tsv")

    @cached_property
    def facts(self) -> pd.DataFrame:
        """Facts about the input files, from `check`: one row per sample."""
        return self.table("check.tsv")

    @property
    def folds(self) -> list[int]:
        """Numbers of the folds that were trained."""
        fold = self.config.fold
        return list(range(self.config.folds)) if fold == "all" else [fold]

    @cached_property
    def trained(self) -> list[int]:
        """Number of images that each of `folds` trains on: training rows that it does not hold out."""
        held_out = assign_folds(self.sheet, self.config.folds, self.config.validation)
        is_train = self.sheet["subset"] == "train"
        return [int((is_train & (held_out != fold)).sum()) for fold in self.folds]

    @cached_property
    def models(self) -> dict[str, Path]:
        """Model folders, by "EXPERIMENT/fold-K"."""
        names = sorted(self.rows["experiment"].unique())
        folds = [f"fold-{fold}" for fold in self.folds]
        return {f"{name}/{fold}": self.run / "models" / name / fold for name in names for fold in folds}

    @cached_property
    def histories(self) -> dict[str, pd.DataFrame]:
        """Training histories (step, loss), by "EXPERIMENT/fold-K"."""
        return {name: pd.read_csv(folder / "history.tsv", sep="\t") for name, folder in self.models.items()}

    def first_models(self, file: str) -> dict[str, dict]:
        """Read a JSON file of each experiment's first model.

        Parameters
        ----------
        file : str
            Name of the file in the model folder.

        Returns
        -------
        dict
            Contents of the file, by experiment.
        """
        names = sorted(self.rows["experiment"].unique())
        return {name: _read_json(self.run / "models" / name / f"fold-{self.folds[0]}" / file) for name in names}

    @cached_property
    def choices(self) -> Choices:
        """Choices that were made on held-out images."""
        groups = self.rows[self.rows["subset"] == "validation"].groupby("group")["sample"].nunique()
        parameters, models = self.first_models("instances.json"), self.first_models("model.json")
        return collect_choices(parameters, models, len(groups), len(self.folds), bool((groups > 1).any()))

    @cached_property
    def networks(self) -> dict[str, str]:
        """Networks in words, by experiment."""
        names = sorted(self.rows["experiment"].unique())
        return {name: _read_json(self.run / "models" / name / "measures.json")["network"] for name in names}

    @cached_property
    def comparison(self) -> list[dict]:
        """Network, cost and scores of each experiment, from `comparison_rows`."""
        starts = {n: e["start_from"] for n, e in self.config.experiments.items() if (e or {}).get("start_from")}
        return comparison_rows(self.run, self.summary, starts)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Tests of every pair of experiments by every headline score."""
        return self.table("evaluation/comparison.tsv")

    @cached_property
    def pair_sentences(self) -> dict[str, list[str]]:
        """Tests of every pair of experiments by the ranking score, as sentences by subset."""
        return describe_pairs(self.pairs, self.metric)

    @cached_property
    def notes(self) -> dict[str, list[str]]:
        """Sentences on the scores by subset: `pair_sentences`, and the choices that affect validation scores."""
        validation = [*self.pair_sentences.get("validation", []), *self.choices.sentences()]
        return {**self.pair_sentences, "validation": validation}

    @cached_property
    def spread(self) -> list[dict]:
        """Standard deviations over folds and seeds, of experiments that have several."""
        return self.table("evaluation/spread.tsv").query("folds > 1 or seeds > 1").to_dict("records")

    @cached_property
    def parts(self) -> list[dict]:
        """Scores of every experiment and subset: numbers of images, `scores`, and `target` (scores of the target)."""
        counts = ["unscored", "missed", "empty"]
        parameters, models = self.first_models("instances.json"), self.first_models("model.json")
        parts = []
        for (experiment, subset), rows in self.summary.groupby(["experiment", "subset"]):
            scores = {row["metric"]: row for row in rows.to_dict("records")}
            states = {name: int(rows[name].iloc[0]) for name in counts}
            states |= {"experiment": experiment, "subset": subset, "n": int(rows["n"].max())}
            is_own = (self.rows["experiment"] == experiment) & (self.rows["subset"] == subset)
            growth = parameters[experiment].get("chosen", {}).get("grow", 0)
            border = models[experiment]["network"].get("border", 0)
            target = mean_target_scores(self.facts, set(self.rows["sample"][is_own]), growth, border)
            parts.append({**states, "scores": scores, "target": target})
        return sorted(parts, key=lambda part: (part["experiment"], SUBSETS.index(part["subset"])))

    def example_stores(self) -> dict[str, Path]:
        """Return the stores of the first batch of training images, by the step that wrote them."""
        batch = self.sheet["batch"][self.sheet["subset"] == "train"].iloc[0]
        fold = f"fold-{self.folds[0]}" if self.config.prepare.is_of_fold else ""
        return {step: self.run / step / fold / f"{batch}.zarr.zip" for step in ("prepared", "augmented", "weights")}

    def views(self) -> Views:
        """Return the reader of the run's images, labels and predictions for display."""
        dims, labels = self.config.spatial_dims, self.config.labels
        return Views(self.run, self.sheet, self.rows, self.table("evaluation/objects.tsv"), dims, labels)

    def provenance(self) -> dict:
        """Return versions, settings and checksums: all that is needed to repeat the run and to check the repeat.

        Returns
        -------
        dict
            config; versions of packages; python; machine; SHA-256 of models (weights) and of files (input), by name.
        """
        cells = {cell for column in ("image", "label") for cell in self.sheet[column] if cell}
        files = sorted({str(path) for cell in cells for path in split_file_names(cell)})
        return {
            "config": asdict(self.config),
            "packages": {"snakeseg": __version__} | {name: version(name) for name in PACKAGES},
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            "models": {name: checksum(folder / "model.safetensors") for name, folder in self.models.items()},
            "files": {path: checksum(Path(path)) for path in files},
        }

    def table(self, path: str) -> pd.DataFrame:
        """Read a table of the run.

        Parameters
        ----------
        path : str
            Path within the run's folder.

        Raises
        ------
        OSError
            If it cannot be read.
        """
        return read_table(self.run / path)


def _read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
