"""What the page is made of: a run's tables and descriptions, read once."""

import json
import platform
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from snakeseg import __version__
from snakeseg.evaluation.comparison import sentences
from snakeseg.evaluation.summary import SUBSETS
from snakeseg.io.file_names import files_of
from snakeseg.io.files import checksum
from snakeseg.io.tables import read_table
from snakeseg.report.comparison import comparison_rows
from snakeseg.report.images.views import Views
from snakeseg.report.tables import image_rows, ranking
from snakeseg.settings import Config

PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "opencv-python-headless", "zarr", "tifffile", "nibabel")


@dataclass(frozen=True)
class RunResults:
    """A run.

    Parameters
    ----------
    run : path
        Folder of its results.
    sheet : DataFrame
        From `read_sheet`.
    config : Config
    """

    run: Path
    sheet: pd.DataFrame
    config: Config

    @cached_property
    def metric(self) -> str:
        """The score that images are ranked by."""
        return ranking(self.config)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Images in the order of the page's table."""
        return image_rows(self.table("evaluation/images.tsv"), self.metric)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per experiment, subset and score."""
        return self.table("evaluation/summary.tsv")

    @cached_property
    def facts(self) -> pd.DataFrame:
        """What the files hold."""
        return self.table("check.tsv")

    @property
    def folds(self) -> list[int]:
        """Numbers of those that were trained."""
        one = self.config.fold
        return list(range(self.config.folds)) if one == "all" else [one]

    @cached_property
    def models(self) -> dict[str, Path]:
        """Folders of all models, by experiment and fold."""
        names = sorted(self.rows["experiment"].unique())
        folds = [f"fold-{fold}" for fold in self.folds]
        return {f"{name}/{fold}": self.run / "models" / name / fold for name in names for fold in folds}

    @cached_property
    def histories(self) -> dict[str, pd.DataFrame]:
        """The course of every training."""
        return {name: pd.read_csv(folder / "history.tsv", sep="\t") for name, folder in self.models.items()}

    def first_models(self, file: str) -> dict[str, dict]:
        """A file of each experiment's first model."""
        names = sorted(self.rows["experiment"].unique())
        return {name: _json(self.run / "models" / name / f"fold-{self.folds[0]}" / file) for name in names}

    @cached_property
    def networks(self) -> dict[str, str]:
        """Each experiment's network in words."""
        names = sorted(self.rows["experiment"].unique())
        return {name: _json(self.run / "models" / name / "measures.json")["network"] for name in names}

    @cached_property
    def comparison(self) -> list[dict]:
        """What each experiment's network is, costs and scores."""
        starts = {n: e["start_from"] for n, e in self.config.experiments.items() if (e or {}).get("start_from")}
        return comparison_rows(self.run, self.summary, starts)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Experiments against each other, by every headline score."""
        return self.table("evaluation/comparison.tsv")

    @cached_property
    def said(self) -> dict[str, list[str]]:
        """The same in words, by the score that images are ranked by; by subset."""
        return sentences(self.pairs, self.metric)

    @cached_property
    def spread(self) -> list[dict]:
        """How far folds and seeds lie apart, where there are several."""
        return self.table("evaluation/spread.tsv").query("folds > 1 or seeds > 1").to_dict("records")

    @cached_property
    def parts(self) -> list[dict]:
        """Scores of every experiment and subset: counts of images, and scores by name."""
        counts = ["unscored", "missed", "empty"]
        made = []
        for (experiment, subset), part in self.summary.groupby(["experiment", "subset"]):
            scores = {row["metric"]: row for row in part.to_dict("records")}
            states = {name: int(part[name].iloc[0]) for name in counts}
            states |= {"experiment": experiment, "subset": subset, "n": int(part["n"].max())}
            made.append({**states, "scores": scores})
        return sorted(made, key=lambda part: (part["experiment"], SUBSETS.index(part["subset"])))

    def views(self) -> Views:
        """What is shown of images."""
        dims, labels = self.config.spatial_dims, self.config.labels
        return Views(self.run, self.sheet, self.rows, self.table("evaluation/objects.tsv"), dims, labels)

    def provenance(self) -> dict:
        """Versions, settings and checksums: what is needed to repeat the run and to know that it was repeated."""
        cells = {cell for column in ("image", "label") for cell in self.sheet[column] if cell}
        files = sorted({str(path) for cell in cells for path in files_of(cell)})
        return {
            "config": asdict(self.config),
            "packages": {"snakeseg": __version__} | {name: version(name) for name in PACKAGES},
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            "models": {name: checksum(folder / "model.safetensors") for name, folder in self.models.items()},
            "files": {path: checksum(Path(path)) for path in files},
        }

    def table(self, path: str) -> pd.DataFrame:
        """One of the run's tables."""
        return read_table(self.run / path)


def _json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
