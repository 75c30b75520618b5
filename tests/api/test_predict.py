"""Predictions of arrays equal those of the command, byte for byte."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest
import tifffile
import torch
import zarr

import snakeseg
from snakeseg.api import prediction
from snakeseg.cli import main
from snakeseg.io.store import read_parts
from snakeseg.models.checkpoint import save_model
from snakeseg.models.description import Description
from snakeseg.objects import label_files
from snakeseg.settings import Labels, Predict, Prepare, UNetSettings

PREDICT = Predict(tile=24, average=False, precision="float32")
INSTANCE = Description(2, 1, Labels(), UNetSettings(width=2, depth=2), Prepare(), PREDICT, None)
SEMANTIC = replace(INSTANCE, labels=Labels("semantic", {"sky": 3, "sea": 9, "land": 4}))
BLENDED = UNetSettings(width=2, depth=2, normalisation="instance")
DESCRIPTIONS = {
    "instances": replace(INSTANCE, predict=replace(PREDICT, average=True)),
    "border class": replace(INSTANCE, network=UNetSettings(width=2, depth=2, border=2)),
    "classes": SEMANTIC,
    "channels": replace(INSTANCE, channels=3),
    "resampled": replace(SEMANTIC, prepare=Prepare(spacing=[2.0, 1.0]), spacing=[2.0, 1.0]),
    "resampled instances": replace(INSTANCE, prepare=Prepare(spacing=[2.0, 1.0]), spacing=[2.0, 1.0]),
    "blended": replace(SEMANTIC, network=BLENDED),
    "volume": replace(INSTANCE, dims=3),
    "classes of a volume": replace(SEMANTIC, dims=3),
}


def save_random_model(folder, description):
    torch.manual_seed(3)
    network = description.make_network().eval()
    with torch.no_grad():  # otherwise one class would win in all pixels
        sides = description.geometry.input_size([24] * description.dims)
        bias = list(network.parameters())[-1]
        bias -= network(torch.rand(1, description.channels, *sides)).transpose(0, 1).flatten(1).mean(1)
    save_model(folder, network, description, {})
    return folder


def write_image(folder, description):
    rng = np.random.default_rng(0)
    if description.dims == 3:
        pixels = rng.integers(0, 4000, (21, 30, 26)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(pixels, np.diag([-1, 1.5, 2, 1])), folder / "image.nii.gz")
        return folder / "image.nii.gz"
    shape = (61, 43) if description.channels == 1 else (3, 61, 43)
    axes = {"axes": "YX"} if description.channels == 1 else {"axes": "CYX"}
    tifffile.imwrite(folder / "image.tif", rng.random(shape, np.float32), metadata=axes, imagej=True)
    return folder / "image.tif"


@pytest.fixture(params=DESCRIPTIONS)
def case(request, tmp_path):
    """A model, an image, and the label file that the command writes for it."""
    description = DESCRIPTIONS[request.param]
    model, image = save_random_model(tmp_path / "model", description), write_image(tmp_path, description)
    output = tmp_path / "labels"
    assert main(["predict", str(model), str(image), "-o", str(output), "--gpus", "0", "--keep-probabilities"]) == 0
    return description, model, image, output / image.name


def test_predictions_equal_those_of_the_command(case, tmp_path):
    description, folder, path, written = case
    image = snakeseg.read_image(path, description.dims)
    model = snakeseg.load_model(folder, gpus=0)
    labels, classes, probabilities = (
        snakeseg.predict(model, image.array, image.spacing, output) for output in prediction.OUTPUTS
    )
    expected = snakeseg.read_labels(written, description.dims).array
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(labels, expected)
    ((_, _, stored),) = read_parts([f"{written}.probabilities.zarr.zip"])
    assert probabilities.dtype == stored["probabilities"].dtype
    assert probabilities.tobytes() == stored["probabilities"][:].tobytes()
    np.testing.assert_array_equal(classes, label_files.most_probable_classes(stored, expected.shape)[:])
    api_path = tmp_path / path.name.replace("image", "api")
    snakeseg.write_labels(api_path, labels, like=image)
    has_note = description.network == BLENDED  # the command notes it in the header of its file
    assert (api_path.read_bytes() == written.read_bytes()) is not has_note


def test_classes_equal_those_of_the_command_without_probabilities(tmp_path):
    """Without --keep-probabilities, the command stores only the most probable classes."""
    folder, path = save_random_model(tmp_path / "model", SEMANTIC), write_image(tmp_path, SEMANTIC)
    assert main(["predict", str(folder), str(path), "-o", str(tmp_path / "labels"), "--gpus", "0"]) == 0
    values = np.array(list(SEMANTIC.labels.values.values()))
    classes = snakeseg.predict(snakeseg.load_model(folder, gpus=0), snakeseg.read_image(path).array, output="classes")
    np.testing.assert_array_equal(values[classes], snakeseg.read_labels(tmp_path / "labels" / "image.tif").array)


def test_array_types_give_equal_labels(tmp_path):
    """The channel axis may be missing; the array may be a chunked Zarr array, a memory map or a tensor."""
    folder = save_random_model(tmp_path / "model", INSTANCE)
    pixels = np.random.default_rng(0).integers(0, 255, (40, 33), dtype=np.uint8)
    stored = zarr.create_array(tmp_path / "image.zarr", data=pixels, chunks=(16, 16))
    np.save(tmp_path / "image.npy", pixels)
    model = snakeseg.load_model(folder, gpus=0)
    expected = snakeseg.predict(model, pixels[None])
    for array in (pixels, stored, np.load(tmp_path / "image.npy", mmap_mode="r"), torch.from_numpy(pixels)):
        np.testing.assert_array_equal(snakeseg.predict(model, array), expected)


def test_large_arrays_are_segmented_block_by_block(tmp_path, monkeypatch):
    """Large images are segmented in temporary files, which are deleted."""
    folder = save_random_model(tmp_path / "model", INSTANCE)
    model, pixels = snakeseg.load_model(folder, gpus=0), np.random.default_rng(0).random((61, 43), np.float32)
    expected = snakeseg.predict(model, pixels)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr(label_files, "IN_MEMORY", 100)
    monkeypatch.setattr(label_files, "BLOCK", {2: 20})
    np.testing.assert_array_equal(snakeseg.predict(model, pixels), expected)
    assert list(temporary.iterdir()) == []


def test_large_arrays_are_read_by_region(tmp_path):
    """Only tiles with their halo, and blocks for intensity normalisation, are read."""
    description = replace(INSTANCE, prepare=Prepare("none"))
    model = snakeseg.load_model(save_random_model(tmp_path / "model", description), gpus=0)
    region_pixels = []

    class RecordingArray:
        shape, dtype = (1, 200, 96), np.dtype(np.float32)

        def __getitem__(self, region):
            sides = [len(range(*part.indices(size))) for part, size in zip(region, self.shape, strict=True)]
            region_pixels.append(int(np.prod(sides)))
            return np.zeros(sides, np.float32)

    snakeseg.predict(model, RecordingArray())
    assert max(region_pixels) <= max(model.geometry.input_size((24, 24))) ** 2 < 200 * 96
