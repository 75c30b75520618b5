"""Unknown and contradictory pixel sizes are findings."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from snakeseg.checks.findings.all import as_table, gather_findings
from snakeseg.checks.input import Inspected
from snakeseg.checks.inspect import inspect_rows
from snakeseg.io.sheet import SHEET_COLUMNS
from snakeseg.settings import Augment, Experiment, Labels, Prepare, Settings, Train, UNetSettings


def find_topics(folder, dims: int, spacing: str, **options) -> dict[str, str]:
    """Write an image and its label with these options; return the findings about pixel sizes by topic."""
    rng = np.random.default_rng(0)
    shape = (8, 64, 64)[-dims:]
    for name in ("image.ome.tif" if options.pop("ome", False) else "image.tif", "label.tif"):
        array = rng.integers(0, 200, shape).astype(np.uint8) if "image" in name else np.zeros(shape, np.uint8)
        array[..., 10:20, 10:20] = 1
        tifffile.imwrite(folder / name, array, **(options if "image" in name else {}))
    image = next(folder.glob("image*"))
    row = ("s", str(image), str(folder / "label.tif"), "train", "s", "b", 1, spacing)
    sheet = pd.DataFrame([row], columns=SHEET_COLUMNS)
    facts, problems = inspect_rows(sheet, dims, Labels(kind="binary"))
    assert problems == []
    network = UNetSettings(width=4, depth=1)
    settings = Settings(
        spatial_dims=dims, labels=Labels(kind="binary"), prepare=Prepare(), augment=Augment(), folds=1, validation=[],
        experiments={"plain": Experiment(network=network, train=Train(patch=16))},
    )  # fmt: skip
    _, findings = gather_findings(sheet, Inspected(pd.DataFrame(facts), problems), settings)
    table = as_table(findings)
    return dict(zip(table["topic"], table["found"], strict=True)) if len(table) else {}


@pytest.mark.parametrize(
    ("dims", "spacing", "metadata", "axes"),
    [
        (3, "", {"axes": "ZYX", "unit": "um"}, "z"),
        (3, "", {"axes": "ZYX"}, "z, y, x"),
        (3, "", {"axes": "ZYX", "unit": "um", "spacing": 1.0}, None),
        (3, "1 0.2 0.2", {"axes": "ZYX", "unit": "um"}, None),
        (2, "", {"axes": "YX"}, None),
    ],
)
def test_unknown_sizes_of_volumes(tmp_path, dims, spacing, metadata, axes):
    topics = find_topics(tmp_path, dims, spacing, imagej=True, resolution=(5, 5), metadata=metadata)
    expected = axes and f"the files of 1 volume do not state the pixel size along {axes}"
    assert topics.get("Unknown pixel sizes") == expected


@pytest.mark.parametrize(("spacing", "is_found"), [("", True), ("0.2", False)])
def test_contradictory_sizes(tmp_path, spacing, is_found):
    metadata = {"axes": "YX", "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.2}
    options = {"resolution": (10_000, 10_000), "resolutionunit": "CENTIMETER", "metadata": metadata}
    topics = find_topics(tmp_path, 2, spacing, ome=True, **options)
    assert ("Contradictory pixel sizes" in topics) == is_found
