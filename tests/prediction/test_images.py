"""Images to predict: each is opened and decoded once, one at a time; all problems are reported at once."""

import gc
import os
import resource
import weakref
from collections import Counter

import nibabel
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from snakeseg.cli import main
from snakeseg.io.readers import nifti, png, tiff
from snakeseg.models.checkpoint import save_model
from snakeseg.models.description import Description
from snakeseg.settings import Labels, Predict, Prepare, UNetSettings

SEMANTIC = Labels("semantic", {"sky": 3, "sea": 9})
COUNT = 200


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    predict = Predict(average=False, tile=32)
    description = Description(2, 1, SEMANTIC, UNetSettings(width=1, depth=1), Prepare(), predict, None)
    save_model(folder, description.make_network(), description, {})
    return folder


def write_image(path, number):
    pixels = np.random.default_rng(number).integers(0, 255, (12, 9), dtype=np.uint8)
    if path.suffix == ".png":
        Image.fromarray(pixels).save(path)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, pixels, compression="zlib", tile=(16, 16))
    else:
        nibabel.save(nibabel.Nifti1Image(pixels[..., None], np.eye(4)), path)


class CallCounter:
    """Count the calls of a reader by path, and its results that are in memory at the same time."""

    def __init__(self, monkeypatch):
        self.monkeypatch, self.calls, self.alive, self.most_alive = monkeypatch, Counter(), 0, 0

    def count(self, module, name):
        original = getattr(module, name)

        def counted(path, *arguments):
            pixels = original(path, *arguments)
            self.calls[name, path.name] += 1
            if name != "read":
                self.alive += 1
                self.most_alive = max(self.most_alive, self.alive)
                weakref.finalize(pixels, self._forget)
            return pixels

        self.monkeypatch.setattr(module, name, counted)

    def _forget(self):
        self.alive -= 1


@pytest.fixture(params=[(".png", png, "_pixels"), (".nii.gz", nifti, "_decompress")], ids=["png", "nii.gz"])
def counted_images(request, tmp_path, monkeypatch):
    """Write 200 images into a folder, and count how often they are opened and decoded."""
    suffix, module, decode = request.param
    (tmp_path / "images").mkdir()
    for number in range(COUNT):
        write_image(tmp_path / "images" / f"{number:03}{suffix}", number)
    counter = CallCounter(monkeypatch)
    counter.count(module, "read")
    counter.count(module, decode)
    return (
        counter,
        [("read", f"{n:03}{suffix}") for n in range(COUNT)],
        [(decode, f"{n:03}{suffix}") for n in range(COUNT)],
    )


def test_each_file_is_opened_and_decoded_once(model, counted_images, tmp_path):
    """The pixels of at most two images are in memory at the same time."""
    counter, opened, decoded = counted_images
    assert main(["predict", str(model), str(tmp_path / "images"), "-o", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").iterdir())) == COUNT
    assert counter.calls == Counter(opened + decoded)
    gc.collect()
    assert counter.alive == 0
    assert counter.most_alive <= 2


@pytest.mark.parametrize("planned", [False, True])
def test_each_row_is_opened_and_decoded_once(model, counted_images, tmp_path, planned):
    """Jobs of the workflow predict rows of a batch of the sheet, with and without a plan and parts."""
    counter, opened, decoded = counted_images
    names = sorted(path.name for path in (tmp_path / "images").iterdir())
    rows = [f"{name.split('.')[0]}\timages/{name}\tpredict\tall" for name in names]
    (tmp_path / "samples.tsv").write_text("\n".join(["sample\timage\tsubset\tbatch", *rows]) + "\n", encoding="utf-8")
    sheet = ["--sheet", str(tmp_path / "samples.tsv"), "--data", str(tmp_path), "--batch", "all"]
    extra = []
    if planned:
        assert main(["plan", str(model), *sheet, "--output", str(tmp_path / "plan.json")]) == 0
        assert counter.calls == Counter(opened)
        counter.calls.clear()
        extra = ["--plan", str(tmp_path / "plan.json"), "--part", "0/2"]
    store = tmp_path / "probabilities.zarr.zip"
    assert main(["predict", str(model), *sheet, *extra, "--probabilities", str(store)]) == 0
    # The only tile of an image is in the last of two parts.
    assert counter.calls == Counter(opened + ([] if planned else decoded))
    if planned:
        counter.calls.clear()
        extra[-1] = "1/2"
        assert main(["predict", str(model), *sheet, *extra, "--probabilities", str(store)]) == 0
        assert counter.calls == Counter(opened + decoded)
    assert counter.most_alive <= 2


def test_waiting_images_keep_no_file_open(model, tmp_path, monkeypatch):
    """There are more compressed TIFFs than files that a process may open."""
    (tmp_path / "images").mkdir()
    for number in range(80):
        write_image(tmp_path / "images" / f"{number:03}.tif", number)
    counter = CallCounter(monkeypatch)
    counter.count(tiff, "read")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 60, hard))
    try:
        assert main(["predict", str(model), str(tmp_path / "images"), "-o", str(tmp_path / "out")]) == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(list((tmp_path / "out").iterdir())) == 80
    assert set(counter.calls.values()) == {1}


def test_problems_of_all_images_are_reported_before_any_is_decoded(model, tmp_path, monkeypatch, capsys):
    write_image(tmp_path / "fine.png", 0)
    write_image(tmp_path / "short.png", 1)
    (tmp_path / "short.png").write_bytes((tmp_path / "short.png").read_bytes()[:-20])
    (tmp_path / "text.png").write_text("no image", encoding="utf-8")
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(tmp_path / "colours.png")
    counter = CallCounter(monkeypatch)
    counter.count(png, "_pixels")
    images = [str(tmp_path / f"{name}.png") for name in ("fine", "short", "text", "colours")]
    assert main(["predict", str(model), *images, "-o", str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err
    assert all(f"{name}.png: found" in message for name in ("short", "text", "colours"))
    assert "fine.png" not in message
    assert set(counter.calls) == {("_pixels", "colours.png")}  # only the pixels show that it is not grey
    assert not (tmp_path / "out").exists()
