"""Masks in colours become classes with a proposed legend; masks of three equal channels have their values."""

import numpy as np
import pytest
import yaml
from PIL import Image

from snakeseg.cli import main
from snakeseg.io.colours import decode_colours, encode_colours
from snakeseg.io.images import read, read_label, write_labels

LEGEND = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 1], [255, 255, 255]], np.uint8)
VALUES = [0, 1255000000, 1000000001, 255]


def test_colours_and_values_correspond():
    assert encode_colours(LEGEND.T).tolist() == VALUES
    np.testing.assert_array_equal(decode_colours(np.array(VALUES)), LEGEND)
    grey = np.arange(256)
    np.testing.assert_array_equal(decode_colours(grey), np.repeat(grey[:, None], 3, 1))


def save(folder, colours: np.ndarray) -> None:
    """Save images, and masks in these colours; the last mask has only the first and the last of them."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for index in range(5):
        label = np.zeros((40, 50), int)
        for number in range(1, len(colours)):
            label[3 + index : 12, 10 * number : 10 * number + 6] = number
        label = label if index < 4 else np.where(label == len(colours) - 1, label, 0)
        Image.fromarray((40 * label + rng.integers(0, 30, label.shape)).astype(np.uint8)).save(
            folder / f"images/{index}.png"
        )
        Image.fromarray(colours[label]).save(folder / f"masks/{index}.png")


def init(folder, monkeypatch) -> dict:
    monkeypatch.chdir(folder)
    assert main(["init", "data", "--yes"]) == 0
    return yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))["labels"]


def test_colours_become_classes_with_a_legend(tmp_path, monkeypatch):
    save(tmp_path / "data", LEGEND)
    labels = init(tmp_path, monkeypatch)
    names = ["background", "class-000001", "class-ff0000", "class-ffffff"]
    assert labels == {"kind": "semantic", "values": dict(zip(names, [0, 1000000001, 1255000000, 255], strict=True))}
    assert len((tmp_path / "data.tsv").read_text().splitlines()) == 6


def test_equal_channels_have_their_values(tmp_path, monkeypatch):
    save(tmp_path / "data", np.repeat(np.array([[0], [1], [2]], np.uint8), 3, 1))
    assert np.unique(read_label(tmp_path / "data/masks/0.png", 2).array).tolist() == [0, 1, 2]
    assert all(value < 256 for value in init(tmp_path, monkeypatch).get("values", {}).values())


@pytest.mark.parametrize("values", [VALUES, [0, 1255000000]])
def test_predictions_of_png_images_have_the_colours(tmp_path, values):
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / "image.png")
    labels = np.resize(values, (4, 6)).astype(np.uint32)
    write_labels(tmp_path / "label.png", labels, read(tmp_path / "image.png", 2))
    np.testing.assert_array_equal(read_label(tmp_path / "label.png", 2).array, labels)
