"""Gathers a run's results into one self-contained page, its figures, and the provenance."""

import base64
import io
import json
import platform
from collections.abc import Iterator
from importlib import resources
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment
from PIL import Image

from snakeseg import __version__
from snakeseg.compare import sentences
from snakeseg.io.files import atomic_folder, checksum, write_text
from snakeseg.io.raster import read, read_label, suffix_of
from snakeseg.io.store import read_store
from snakeseg.io.tables import read_table
from snakeseg.labels import classes_and_objects
from snakeseg.report.comparison import MEASURES, SCORES, comparison_image, comparison_rows, rows_of
from snakeseg.report.figures import grid_of_pictures, learning_curves, scores_over_thresholds
from snakeseg.report.markdown import render_markdown
from snakeseg.report.pictures import grey, outlines, plane, thumbnail
from snakeseg.settings import Labels, build
from snakeseg.summary import SUBSETS, lower_is_better

PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "opencv-python-headless", "zarr", "tifffile", "nibabel")
SHOWN = ("pixel_error", "mean_iu", "dice", "iou", "hd95", "nsd", "adapted_rand_error", "v_rand", "v_info", "voi_split",
         "voi_merge", "seg", "pq_0.50", "precision_0.50", "recall_0.50", "f1_0.50", "ap_0.50", "ap_0.70",
         "ap_0.90")  # fmt: skip
TABLES = ("images", "summary", "comparison", "spread")
EXAMPLES = 3


def write_report(run: Path, sheet: pd.DataFrame, config: dict, output: Path) -> None:
    """Write `output` (HTML) and, beside it, figures/, summary.md and provenance.json.

    Parameters
    ----------
    run : path
        Folder of the run's results.
    sheet : DataFrame
        From `read_sheet`.
    config : dict
        The whole config, defaults filled in.
    output : path
    """
    tables = {name: read_table(run / "evaluation" / f"{name}.tsv") for name in TABLES}
    said = sentences(tables["comparison"], ranking(config))
    experiments = tables["images"]["experiment"].unique()
    models = sorted(run / "models" / name / f"fold-{fold}" for name in experiments for fold in range(config["folds"]))
    with atomic_folder(output.parent / "figures") as folder:
        draw_figures(folder, run, sheet, config, tables, models)
        figures = {path.stem: _embedded(path) for path in sorted(folder.glob("*.png"))}
        facts = provenance(sheet, config, models)
        page = render_page(run, sheet, config, tables, said, models, figures, facts)
        write_text(output, page)
    write_text(output.parent / "summary.md", render_markdown(run, sheet, config, tables["summary"], said))
    write_text(output.parent / "provenance.json", json.dumps(facts, indent=1, sort_keys=True) + "\n")


def draw_figures(folder: Path, run: Path, sheet, config: dict, tables, models: list[Path]) -> None:
    """All figures, as PNG files in a folder."""
    dims, labels = config["spatial_dims"], build(Labels, config["labels"])
    histories = {f"{m.parent.name} {m.name}": pd.read_csv(m / "history.tsv", sep="\t") for m in models}
    learning_curves(folder / "learning-curves.png", histories)
    if "ap_0.50" in tables["images"]:
        scores_over_thresholds(folder / "average-precision.png", tables["summary"])
    grid_of_pictures(folder / "augmentation.png", list(_augmentation_rows(run, dims)))
    grid_of_pictures(folder / "weights.png", list(_weight_rows(run, dims)))
    rows = sheet.set_index("sample")
    for (experiment, subset), part in tables["images"].groupby(["experiment", "subset"]):
        pictures = list(_ranked_rows(run, rows, part, ranking(config), dims, labels))
        if pictures:
            grid_of_pictures(folder / f"overlays-{experiment}-{subset}.png", pictures)
    sample = comparison_image(tables["images"], ranking(config))
    if sample and tables["images"]["experiment"].nunique() > 1:
        chosen = tables["images"][tables["images"]["sample"] == sample]
        pictures = [_overlay(run, rows, row, row["experiment"], dims, labels) for _, row in chosen.iterrows()]
        grid_of_pictures(folder / "comparison.png", rows_of(pictures))


def _augmentation_rows(run: Path, dims: int) -> Iterator[list[tuple[str, np.ndarray]]]:
    """Some training images, each followed by its elastic copies, with outlines."""
    samples: dict[str, list] = {}
    for store in _first_stores(run, "prepared") + _first_stores(run, "augmented"):
        for name, noted, group in read_store(store):
            source = noted.get("copy_of", name)
            shown = samples.setdefault(source, []) if len(samples) < EXAMPLES or source in samples else None
            if shown is not None and len(shown) < 5:
                picture = outlines(grey(plane(group["image"][:], dims)), plane(group["objects"][:], dims), None)
                shown.append((name, picture))
    yield from samples.values()


def _weight_rows(run: Path, dims: int) -> Iterator[list[tuple[str, np.ndarray]]]:
    """Some training images with outlines, and their weight maps."""
    maps = {n: group for store in _first_stores(run, "weights") for n, _, group in read_store(store)}
    for store in _first_stores(run, "prepared"):
        for name, _, group in list(read_store(store))[:EXAMPLES]:
            weights = plane(maps[name]["weights"][:], dims)
            objects = plane(group["objects"][:], dims)
            caption = f"weights {weights.min():.2g} to {weights.max():.3g}"
            picture = outlines(grey(plane(group["image"][:], dims)), objects, None)
            yield [(name, picture), (caption, thumbnail(weights, 1))]


def _first_stores(run: Path, kind: str) -> list[Path]:
    return sorted((run / kind).glob("*.zarr.zip"))[:1]


def ranking(config: dict) -> str:
    """The score by which images are ranked from worst to best."""
    if config["labels"]["kind"] == "semantic":
        return "dice"
    chosen = config["instances"]["select_by"]
    return chosen if chosen in SHOWN else "ap_0.50"


def _ranked_rows(run: Path, rows, part, metric: str, dims: int, labels: Labels):
    """Pictures of the worst, median and best images; of the first ones where nothing is scored."""
    scored = part[part["status"] == "scored"] if metric in part else part[:0]
    if scored.empty:
        first = part[part["status"] == "unlabelled"][:EXAMPLES]
        yield [_overlay(run, rows, row, "not scored", dims, labels) for _, row in first.iterrows()]
        return
    scored = scored.sort_values([metric, "sample"], ascending=not lower_is_better(metric))
    middle = max(0, (len(scored) - EXAMPLES) // 2)
    ranks = {"worst": 0, "median": middle, "best": max(0, len(scored) - EXAMPLES)}
    shown: set[str] = set()
    for word, start in ranks.items():
        chosen = [row for _, row in scored[start : start + EXAMPLES].iterrows() if row["sample"] not in shown]
        shown |= {row["sample"] for row in chosen}
        if chosen:
            caption = "{}: {} {:.3f}".format
            yield [_overlay(run, rows, row, caption(word, metric, float(row[metric])), dims, labels) for row in chosen]


def _overlay(run: Path, rows, row, caption: str, dims: int, labels: Labels) -> tuple[str, np.ndarray]:
    source = rows.loc[row["sample"]]
    name = f"{row['sample']}{suffix_of(Path(source['image']))}"
    kind = "validation" if row["subset"] == "validation" else "predictions"
    predicted = next((run / kind / row["experiment"]).glob(f"*/{name}"))
    truth = classes_and_objects(read_label(source["label"], dims).array, labels)[1] if source["label"] else None
    picture = outlines(
        grey(plane(read(source["image"], dims).array, dims)),
        None if truth is None else plane(truth, dims),
        plane(read_label(predicted, dims).array, dims),
    )
    return f"{row['sample']}\n{caption}", picture


def provenance(sheet: pd.DataFrame, config: dict, models: list[Path]) -> dict:
    """Versions, settings and checksums: what is needed to repeat the run and to know that it was repeated."""
    files = sorted({path for column in ("image", "label") for path in sheet[column] if path})
    return {
        "config": config,
        "packages": {"snakeseg": __version__} | {name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "models": {f"{m.parent.name}/{m.name}": checksum(m / "model.safetensors") for m in models},
        "files": {path: checksum(Path(path)) for path in files},
    }


def render_page(
    run: Path, sheet, config: dict, tables, said, models: list[Path], figures: dict[str, str], facts: dict
) -> str:
    """The page as HTML; all text from files is escaped."""
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        resources.files("snakeseg.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    )
    images, summary = tables["images"], tables["summary"]
    starts = {name: e["start_from"] for name, e in config["experiments"].items() if (e or {}).get("start_from")}
    comparison = comparison_rows(run, summary, starts)
    scored = images[images["status"] == "scored"].groupby(["experiment", "subset"]).size().to_dict()
    wide, low, high, pooled = (
        summary.pivot_table(index=["experiment", "subset"], columns="metric", values=values, dropna=False)
        for values in ("mean", "low", "high", "pooled")
    )
    counts = summary.groupby(["experiment", "subset"])[["unscored", "missed", "empty"]].first()
    shown = [name for name in SHOWN if name in wide]
    return template.render(
        config=config,
        subsets=sheet["subset"].value_counts().to_dict(),
        means=wide, low=low, high=high, pooled=pooled, counts=counts, shown=shown, ranking=ranking(config),
        lower=[name for name in shown if lower_is_better(name)],
        scored=scored, parts=sorted(wide.index, key=lambda part: (part[0], SUBSETS.index(part[1]))),
        images=images.to_dict("records"),
        facts=read_table(run / "check.tsv").to_dict("records"),
        parameters={m: json.loads((m / "instances.json").read_text()) for m in models if m.name == "fold-0"},
        comparison=comparison,
        spread=tables["spread"].query("folds > 1 or seeds > 1").to_dict("records"),
        pairs=tables["comparison"].to_dict("records"),
        said=said,
        compared=[name for name in SCORES if name in wide],
        measures=MEASURES,
        figures=figures,
        settings=json.dumps(config, indent=1, sort_keys=True),
        provenance=facts,
    )  # fmt: skip


def _embedded(path: Path) -> str:
    """The figure as a data URL, as JPEG to keep the page small."""
    stream = io.BytesIO()
    Image.open(path).convert("RGB").save(stream, format="JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
