"""Draw the pictures of docs/explanation/touching-cells.md: `python docs/images/touching_cells.py`."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from PIL import Image
from scipy import ndimage

from snakeseg.evaluation.metrics.contingency import overlaps
from snakeseg.evaluation.metrics.matching import match
from snakeseg.objects.segment import InstanceParameters, segment
from snakeseg.transforms.border_weights import border_weights
from snakeseg.transforms.labels import mark_border, separate_touching
from snakeseg.transforms.simulate import simulate_cells

SEED, SIDE_PX, CELLS = 24, 112, 34
THRESHOLD, MIN_PIXELS = 0.5, 10
# The probabilities are simulated: the truth, lowered at the edges of cells, blurred, and noisy.
BLUR_PX, NOISE_STD = 1.4, 0.05
METHOD_DEPTHS = {"components": 1, "distance": 1, "soft": 1, "core": 0.9}


def pictures() -> Iterator[tuple[str, Figure]]:
    """Yield the name and the figure of every picture."""
    image, labels = simulate_cells(np.random.default_rng(SEED), (SIDE_PX, SIDE_PX), CELLS)
    objects = separate_touching(labels.astype(np.int32))
    yield "touching-weights", weights_picture(image, labels, objects)
    yield "touching-border", border_picture(labels, objects)
    yield "touching-cuts", methods_picture(labels)


def weights_picture(image: np.ndarray, labels: np.ndarray, objects: np.ndarray) -> Figure:
    """Draw an image, its label, the label with gaps, and the weight map."""
    figure, (raw, ids, separated, weighted) = panels(4)
    show_image(raw, image, "image")
    show_objects(ids, labels, "label: one id per cell")
    show_objects(separated, objects, "a gap where they touch")
    weights = weighted.imshow(1 + border_weights(objects), cmap="viridis", vmin=1)
    weighted.set_title("weight of each pixel")
    figure.colorbar(weights, ax=weighted, fraction=0.045)
    return figure


def border_picture(labels: np.ndarray, objects: np.ndarray) -> Figure:
    """Draw a label, its two classes, and its three classes with a border class."""
    figure, (ids, two, three) = panels(3)
    show_objects(ids, labels, "label: one id per cell")
    colours = ListedColormap(["#20242c", "#5aa9e6", "#f2a541"])
    classes = (objects > 0).astype(np.uint8)
    for axes, panel_classes, title in (
        (two, classes, "border: 0, two classes"),
        (three, mark_border((labels > 0).astype(np.uint8), labels, 2), "border: 2, three classes"),
    ):
        axes.imshow(panel_classes, cmap=colours, vmin=0, vmax=2, interpolation="nearest")
        axes.set_title(title)
    return figure


def methods_picture(labels: np.ndarray) -> Figure:
    """Draw the true cells, simulated probabilities, and the objects of each segmentation method."""
    figure, (ids, prediction, *methods) = panels(6, 3)
    show_objects(ids, labels, f"truth: {labels.max()} cells")
    probability = simulated_probability(labels)
    prediction.imshow(probability, cmap="gray", vmin=0, vmax=1)
    prediction.set_title("probability of a cell")
    for axes, (method, depth) in zip(methods, METHOD_DEPTHS.items(), strict=True):
        predicted = segment(probability, probability, InstanceParameters(method, THRESHOLD, depth, MIN_PIXELS))
        matched = int((match(overlaps(labels.astype(int), predicted.astype(int)))[1] >= 0.5).sum())
        show_objects(axes, predicted, f"{method}: {matched} of {labels.max()} right")
    return figure


def simulated_probability(labels: np.ndarray) -> np.ndarray:
    """Simulate foreground probabilities that are low at the edges of cells; float32, shape of the labels."""
    edge = ndimage.grey_erosion(labels, size=3) != ndimage.grey_dilation(labels, size=3)
    sharp = np.where(edge, 0.45, 1.0) * (labels > 0)
    noise = np.random.default_rng(SEED).normal(0, NOISE_STD, labels.shape)
    return np.clip(ndimage.gaussian_filter(sharp, BLUR_PX) * 1.15 + noise, 0, 1).astype(np.float32)


def panels(count: int, columns: int | None = None):
    """Return a figure and its `count` axes, without frames; all in one row unless `columns` is given."""
    columns = columns or count
    rows = count // columns
    figure, axes = plt.subplots(rows, columns, figsize=(2.2 * columns, 2.5 * rows), layout="constrained", dpi=100)
    figure.get_layout_engine().set(h_pad=0.08)
    for panel in axes.flat:
        panel.set_axis_off()
        panel.title.set_fontsize(9)
    return figure, axes.flat


def show_image(axes, image: np.ndarray, title: str) -> None:
    """Show an image in grey, with the brightest 2 % of the pixels saturated."""
    axes.imshow(image, cmap="gray", vmax=np.percentile(image, 98))
    axes.set_title(title)


def show_objects(axes, labels: np.ndarray, title: str) -> None:
    """Show each object in a random colour of its own on a dark background."""
    order = np.random.default_rng(0).permutation(60)
    colours = plt.get_cmap("turbo")(np.concatenate([[0], 0.1 + 0.85 * order / 60]))
    colours[0] = (0.13, 0.14, 0.17, 1)
    axes.imshow(labels, cmap=ListedColormap(colours), vmin=0, vmax=60, interpolation="nearest")
    axes.set_title(title)


def draw(folder: Path) -> None:
    """Write all pictures as PNG with 128 colours, which makes small files."""
    for name, figure in pictures():
        png = BytesIO()
        figure.savefig(png)
        plt.close(figure)
        Image.open(png).convert("RGB").quantize(128).save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    draw(Path(__file__).parent)
