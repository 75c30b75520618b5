"""Predictors: averaged models, parts of images, tile plans; and label files of images larger than memory."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch

from snakeseg.arrays import as_lazy
from snakeseg.cli import main
from snakeseg.errors import BadInput
from snakeseg.io.images import open_image, read_label
from snakeseg.io.raster import Raster
from snakeseg.io.store import Streamed, read_parts, write_store
from snakeseg.models.checkpoint import save_model
from snakeseg.models.description import Description
from snakeseg.objects import label_files
from snakeseg.objects.segment import METHODS, InstanceParameters
from snakeseg.prediction import predictor, timing
from snakeseg.prediction.images import fit_to_model
from snakeseg.prediction.overlap_tile import assemble, tile_probabilities
from snakeseg.prediction.predict import predict_image, predict_tiles
from snakeseg.prediction.tile_plan import TileMeasurement
from snakeseg.prediction.tiles import fixed_stride
from snakeseg.settings import ContextSettings, Labels, Predict, Prepare, UNetSettings
from snakeseg.transforms.flips import Symmetry
from snakeseg.transforms.resample import resampled

CPU = torch.device("cpu")
PLAIN = Description(2, 1, Labels(), UNetSettings(width=2, depth=2), Prepare("none"), Predict(average=False), None)
SEMANTIC = replace(PLAIN, labels=Labels("semantic", {"sky": 3, "sea": 9}))


def save_random_model(folder, seed=0, description=PLAIN):
    torch.manual_seed(seed)
    save_model(folder, description.make_network(), description, {})
    return folder


def random_image(shape=(61, 43), seed=0):
    array = np.random.default_rng(seed).normal(size=(1, *shape)).astype(np.float32)
    return Raster(as_lazy(array), (1.0, 1.0), None)


def predict_whole(loaded, image, tile):
    shape = image.array.shape[1:]
    return assemble(predict_tiles(loaded, image, fixed_stride(shape, loaded.geometry, tile)), shape)


INSTANCE_NORMALISED = UNetSettings(width=2, depth=2, normalisation="instance")
NETWORKS = [
    UNetSettings(width=2, depth=2),
    UNetSettings(width=2, depth=3, padded=True),
    ContextSettings(width=3, dilations=[1, 2, 1]),
]


@pytest.mark.parametrize("average", [False, True])
def test_average_of_different_networks_does_not_depend_on_the_tiles(tmp_path, average):
    """Each network has its own halo; the average is the mean of the predictions of single networks."""
    predict = Predict(average=average)
    folders = [
        save_random_model(tmp_path / str(i), i, replace(PLAIN, network=network, predict=predict))
        for i, network in enumerate(NETWORKS)
    ]
    image, together = random_image(), predictor.load_predictor(folders, CPU)
    mean = predict_whole(together, image, 1000)
    for tile in (8, 24):
        np.testing.assert_allclose(predict_whole(together, image, tile), mean, atol=1e-3)
    if not average:
        single = [predict_whole(predictor.load_predictor([folder], CPU), image, 16) for folder in folders]
        np.testing.assert_allclose(mean, np.mean(single, axis=0, dtype=np.float32), atol=2e-3)
        assert np.abs(mean - single[0]).max() > 0.01


def test_models_of_different_labels_are_an_error(tmp_path):
    folders = [save_random_model(tmp_path / "a"), save_random_model(tmp_path / "b", description=SEMANTIC)]
    with pytest.raises(BadInput, match=r"b: found labels Labels\(kind='semantic'.*expected Labels\(kind='instance'"):
        predictor.load_predictor(folders, CPU)


@pytest.mark.parametrize("count", [2, 3, 9])
def test_parts_equal_the_whole_bitwise(tmp_path, count):
    loaded, image, stride = predictor.load_predictor([save_random_model(tmp_path / "m")], CPU), random_image(), (16, 20)
    for index in range(count):
        streamed = predict_image(loaded, image, stride, (index, count))
        write_store(tmp_path / f"{index}.zarr.zip", [("s", {}, streamed)] if streamed else [])
    ((name, _, arrays),) = read_parts([tmp_path / f"{index}.zarr.zip" for index in range(count)])
    expected = assemble(predict_tiles(loaded, image, stride), (61, 43))
    assert name == "s"
    np.testing.assert_array_equal(arrays["probabilities"][:], expected)
    assert np.ptp(expected[0]) > 0.01


def test_only_classes_of_semantic_labels_are_kept_by_default(tmp_path):
    loaded = predictor.load_predictor([save_random_model(tmp_path / "m", description=SEMANTIC)], CPU)
    classes = predict_image(loaded, random_image(), (16, 16))
    assert (classes.channels, classes.dtype) == ({"classes": 1}, np.uint8)
    kept = predict_image(loaded, random_image(), (16, 16), keep=True)
    assert (kept.channels, kept.dtype) == ({"probabilities": 2}, np.float16)
    values, probabilities = (assemble(streamed.pieces, (61, 43)) for streamed in (classes, kept))
    np.testing.assert_array_equal(values[0], probabilities.argmax(axis=0))


@pytest.mark.parametrize("network", [UNetSettings(width=2, depth=2), INSTANCE_NORMALISED])
def test_pixels_outside_the_foreground_box_are_background(tmp_path, network):
    """The network runs only on tiles of the box, normalised by the intensities in the box."""
    description = replace(PLAIN, network=network, prepare=Prepare("zscore", crop=True))
    loaded = predictor.load_predictor([save_random_model(tmp_path / "m", description=description)], CPU)
    array = np.full((1, 90, 70), 3, np.float32)
    array[0, 40:55, 20:30] = np.random.default_rng(0).normal(8, 2, (15, 10))
    image = Raster(as_lazy(array), (1.0, 1.0), None)
    calls, compute_tile = [], loaded.work
    watched = loaded._replace(work=lambda tile_input: calls.append(1) or compute_tile(tile_input))
    probabilities = assemble(predict_image(watched, image, (16, 16)).pieces, (90, 70))
    by_box = {"offset": [array[0, 40:55, 20:30].mean()], "scale": [array[0, 40:55, 20:30].std()]}
    prepare = replace(description, prepare=Prepare("zscore", "dataset"), statistics=by_box)
    expected = predict_whole(loaded._replace(description=prepare), image, 16)
    np.testing.assert_allclose(probabilities[:, 32:64, 16:32], expected[:, 32:64, 16:32], atol=2e-3)
    outside = np.ones((90, 70), bool)
    outside[32:64, 16:32] = False
    np.testing.assert_array_equal(probabilities[:, outside].T, [[1, 0]] * outside.sum())
    assert len(calls) < 12


def test_tiles_are_measured_once_and_cached(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(predictor, "DEFAULT_TILE_PIXELS", {2: 32})
    loaded = predictor.load_predictor([save_random_model(tmp_path / "m")], CPU)
    assert predictor.choose_stride(loaded, (30, 30)) == (32, 32)
    assert not (tmp_path / "cache").exists()  # the image is not larger than the default tile
    predictor.plan_image(loaded, (700, 900), 1e12)
    (cached,) = (tmp_path / "cache/snakeseg/tiles").glob("*.json")
    samples = [TileMeasurement(*values) for values in json.loads(cached.read_text(encoding="utf-8"))]
    assert [s.pixels for s in samples][:2] == [np.prod(PLAIN.geometry.input_size(n)) for n in (128, 256)]
    assert all(s.seconds > 0 for s in samples)
    tiles = []
    for seconds in (2e-3, 1.0):  # of a large tile: plans follow the cache
        cached.write_text(json.dumps([[180**2, 1e-3, 1e6], [300**2, seconds, 2e6]]), encoding="utf-8")
        tiles.append(predictor.plan_image(loaded, (700, 900), 1e12).tiles)
    assert tiles[0] < tiles[1]
    assert len(timing.write_samples(cached, samples)) == 2  # an existing cache is used
    cached.write_text("[[", encoding="utf-8")
    assert timing.write_samples(cached, samples) == samples
    (tmp_path / "file").touch()
    assert timing.write_samples(tmp_path / "file" / "no.json", samples) == samples


def test_a_configured_tile_size_is_not_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = save_random_model(tmp_path / "m", description=replace(PLAIN, predict=Predict(average=False, tile=40)))
    assert predictor.choose_stride(predictor.load_predictor([folder], CPU), (400, 90)) == (40, 32)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("method", METHODS)
def test_label_files_do_not_depend_on_the_blocks(tmp_path, method, monkeypatch):
    """Objects are cut in memory or block by block on disk, in every format."""
    rng = np.random.default_rng(0)
    noise = np.kron(rng.random((9, 11)), np.ones((8, 8)))[:70, :83]
    probabilities = np.stack([1 - noise, noise]).astype(np.float16)
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((70, 83), np.uint8))
    source, parameters = (
        open_image(tmp_path / "s.tif", 2),
        InstanceParameters(method, 0.6, 0.8 if method == "core" else 1.0, 3),
    )

    def pieces():
        for region in [
            (slice(a, min(a + 16, 70)), slice(b, min(b + 32, 83))) for a in range(0, 70, 16) for b in range(0, 83, 32)
        ]:
            yield region, probabilities[(slice(None), *region)]

    streamed = Streamed({"probabilities": 2}, (70, 83), (16, 32), np.dtype(np.float16), pieces())
    write_store(tmp_path / "p.zarr.zip", [("s", {}, streamed)])
    ((_, _, arrays),) = read_parts([tmp_path / "p.zarr.zip"])
    label_files.write_label_file(tmp_path / "a.tif", {"probabilities": probabilities}, Labels(), parameters, source)
    monkeypatch.setattr(label_files, "IN_MEMORY", 100)
    monkeypatch.setattr(label_files, "BLOCK", {2: 20})
    label_files.write_label_file(tmp_path / "b.tif", arrays, Labels(), parameters, source)
    expected = read_label(tmp_path / "a.tif", 2).array
    assert expected.max() > 3
    np.testing.assert_array_equal(read_label(tmp_path / "b.tif", 2).array, expected)
    assert not list(tmp_path.glob(".*"))


def test_the_command_writes_labels_in_the_format_of_each_image(tmp_path, capsys):
    folder = save_random_model(tmp_path / "m", description=replace(SEMANTIC, predict=Predict(average=False, tile=64)))
    image = np.random.default_rng(0).normal(size=(150, 90)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", image)
    import zarr

    zarr.create_array(tmp_path / "b.zarr", data=image, chunks=(50, 40))
    images = [str(tmp_path / "a.tif"), str(tmp_path / "b.zarr")]
    assert main(["predict", str(folder), *images, "-o", str(tmp_path / "out")]) == 0
    labels = [read_label(tmp_path / "out" / name, 2).array for name in ("a.tif", "b.zarr")]
    assert set(np.unique(labels[0])) <= {3, 9}
    np.testing.assert_array_equal(*labels)
    assert labels[0].dtype == np.uint8
    assert main(["plan", str(folder), *images]) == 0
    assert "a.tif: 150 x 90 in 6 tiles of 52 x 48" in capsys.readouterr().out


def test_nothing_is_written_for_an_image_with_nan_pixels(tmp_path, capsys):
    folder = save_random_model(tmp_path / "m", description=replace(PLAIN, predict=Predict(average=False, tile=32)))
    image = np.zeros((100, 90), np.float32)
    image[80, 70] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", image)
    assert main(["predict", str(folder), str(tmp_path / "a.tif"), "-o", str(tmp_path / "out")]) == 1
    assert "a.tif: found 1 pixels that are NaN or infinite" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("trained", "spacing", "setting", "refused"),
    [
        ([0.5, 0.5], (1.2, 0.5), "refuse", True),
        ([0.5, 0.5], (0.55, 0.45), "refuse", False),
        ([0.5, 0.5], (1.2, 0.5), "ignore", False),
        ([0.5, 0.5], (1.0, 1.0), "refuse", False),  # the file does not state its pixel size
        ([1.0, 1.0], (0.5, 0.5), "refuse", False),
        (None, (0.5, 0.5), "refuse", False),
    ],
)
def test_images_of_another_pixel_size_can_be_refused(tmp_path, trained, spacing, setting, refused):
    """Images without a stated pixel size, and models without one, are accepted."""
    description = replace(PLAIN, spacing=trained, predict=Predict(average=False, spacing=setting))
    loaded = predictor.load_predictor([save_random_model(tmp_path / "m", description=description)], CPU)
    image = replace(random_image(), spacing=spacing, path="a.tif")
    if refused:
        with pytest.raises(BadInput, match=r"a.tif: found pixels of 1.2 x 0.5; expected about 0.5 x 0.5"):
            fit_to_model(loaded.description, image)
    else:
        assert fit_to_model(loaded.description, image) is image


@pytest.mark.parametrize("labels", [SEMANTIC.labels, Labels("binary")])
def test_labels_of_a_resampled_image_are_on_its_own_grid(tmp_path, labels):
    """Labels of a magnified image are magnified labels, on the image's own grid and with its own pixel size."""
    plain = replace(PLAIN, labels=labels, predict=Predict(average=False, tile=32), spacing=[0.6, 0.6])
    coarse = resampled(np.random.default_rng(0).normal(size=(1, 7, 5)), (84, 60))[:][0]
    fine = resampled(coarse[None], (252, 180))[:][0]
    sizes = {}
    for name, image, size in [("coarse", coarse, 0.6), ("fine", fine, 0.2)]:
        path = tmp_path / f"{name}.ome.tif"
        tifffile.imwrite(path, image, metadata={"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeY": size})
        sizes[name] = image.shape
    rasters = {}
    for setting in ("resample", "ignore", "refuse"):
        predict = replace(plain.predict, spacing=setting)
        folder = save_random_model(tmp_path / setting, 3, replace(plain, predict=predict))
        out, images = tmp_path / f"out-{setting}", [str(tmp_path / f"{name}.ome.tif") for name in sizes]
        assert main(["predict", str(folder), *images, "-o", str(out)]) == (setting == "refuse")
        if setting != "refuse":
            rasters[setting] = [open_image(out / f"{name}.ome.tif", 2) for name in sizes]
    assert [raster.array.shape[1:] for raster in rasters["resample"]] == list(sizes.values())
    assert rasters["resample"][1].spacing == (0.2, 0.2)
    lowest_value = 4 if labels.kind == "semantic" else 1
    masks = {name: [raster.array[0:1][0] >= lowest_value for raster in pair] for name, pair in rasters.items()}
    agreement = {
        setting: np.mean(fine == coarse.repeat(3, 0).repeat(3, 1)) for setting, (coarse, fine) in masks.items()
    }
    assert 0.02 < masks["resample"][0].mean() < 0.98
    assert agreement["resample"] > 0.97
    assert agreement["ignore"] < 0.9


@pytest.mark.parametrize("average", [False, True])
def test_uncertainty_consists_of_entropy_and_disagreement(tmp_path, average):
    """Entropy is that of the mean; a single model or orientation has no disagreement."""
    description = replace(PLAIN, predict=Predict(average=average))
    single_model = predictor.load_predictor([save_random_model(tmp_path / "0", 0, description)], CPU, uncertainty=True)
    two_models = predictor.load_predictor(
        [tmp_path / "0", save_random_model(tmp_path / "1", 1, description)], CPU, uncertainty=True
    )
    for loaded, several in [(single_model, False), (two_models, True)]:
        streamed = predict_image(loaded, random_image(), (16, 16))
        assert streamed.channels == {"probabilities": 2, "uncertainty": 3}
        output = assemble(streamed.pieces, (61, 43)).astype(np.float64)
        expected = -(output[:2] * np.log2(output[:2])).sum(axis=0)
        np.testing.assert_allclose(output[2], expected, atol=2e-3)
        assert (output[3].max() > 1e-3) == several
        assert (output[4].max() > 1e-3) == average
        assert (output[3:] <= output[2] + 1e-3).all()
        plain = predictor.load_predictor(loaded.folders, CPU)
        np.testing.assert_array_equal(assemble(predict_tiles(plain, random_image(), (16, 16)), (61, 43)), output[:2])


def test_contradicting_models_have_the_highest_disagreement(monkeypatch):
    """If two confident models predict different classes, entropy is 1, and all of it is disagreement."""
    confident = [
        lambda x: torch.stack([x[0] * 0 + 50, x[0] * 0]),
        lambda x: torch.stack([x[0] * 0, x[0] * 0 + 50]),
    ]
    output = tile_probabilities(confident, Symmetry(), uncertainty=True)(torch.zeros(1, 4, 4))
    np.testing.assert_allclose(
        output.numpy(), np.broadcast_to([[[0.5]], [[0.5]], [[1]], [[1]], [[0]]], (5, 4, 4)), atol=1e-6
    )


def test_label_files_note_that_tiles_were_blended(tmp_path):
    network = UNetSettings(width=2, depth=2, normalisation="instance")
    folder = save_random_model(
        tmp_path / "m", description=replace(SEMANTIC, network=network, predict=Predict(average=False, tile=32))
    )
    image = np.random.default_rng(0).normal(size=(90, 70)).astype(np.float32)
    for name, size in [("large.tif", 90), ("small.tif", 30)]:
        tifffile.imwrite(tmp_path / name, image[:size, :size])
    out = tmp_path / "out"
    assert main(["predict", str(folder), str(tmp_path / "large.tif"), str(tmp_path / "small.tif"), "-o", str(out)]) == 0
    notes = [tifffile.TiffFile(out / name).pages[0].tags["Software"].value for name in ("large.tif", "small.tif")]
    assert "tiles were blended" in notes[0]
    assert "blended" not in notes[1]


def test_uncertainty_is_kept_beside_the_labels_on_request(tmp_path):
    folder = save_random_model(tmp_path / "m", description=replace(SEMANTIC, predict=Predict(average=False, tile=32)))
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((60, 50), np.float32))
    assert main(["predict", str(folder), str(tmp_path / "a.tif"), "-o", str(tmp_path / "out"), "--uncertainty"]) == 0
    ((_, _, arrays),) = read_parts([tmp_path / "out" / "a.tif.probabilities.zarr.zip"])
    assert {name: array.shape for name, array in arrays.items()} == {
        "probabilities": (2, 60, 50),
        "uncertainty": (3, 60, 50),
    }


def test_models_of_several_folds_normalise_by_their_own_statistics(tmp_path):
    """The average equals that of the predictions of both models alone."""
    prepare = Prepare("zscore", scope="dataset")
    folders = []
    for fold, (offset, scale) in enumerate([(0.5, 2.0), (-1.0, 0.7)]):
        statistics = {"offset": [offset], "scale": [scale], "spacing": None}
        description = replace(PLAIN, prepare=prepare, statistics=statistics)
        folders.append(save_random_model(tmp_path / f"fold-{fold}", fold, description))
    image = random_image()
    alone = [predict_whole(predictor.load_predictor([folder], CPU, skip_golden=True), image, 32) for folder in folders]
    both = predict_whole(predictor.load_predictor(folders, CPU, skip_golden=True), image, 32)
    np.testing.assert_allclose(both.astype(float), np.mean(alone, axis=0, dtype=float), atol=2e-3)
    assert np.abs(alone[0].astype(float) - alone[1]).max() > 0.05
