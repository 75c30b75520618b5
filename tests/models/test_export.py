"""Exported models give the outputs of the original without this project's code; hostile packages are refused."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import tifffile
import torch
import yaml
from monai.bundle import ConfigParser, verify_net_in_out
from narrow import NARROW, name_of, random_network
from PIL import Image

from snakeseg.cli import main
from snakeseg.errors import BadInput
from snakeseg.models.checkpoint import load_model, save_model
from snakeseg.models.description import Description, model_at
from snakeseg.models.export import package as packing
from snakeseg.models.export.graphs import (
    ProbabilityModel,
    WholeImageModel,
    compare_outputs,
    write_onnx,
    write_torchscript,
    write_whole,
)
from snakeseg.models.golden import golden_size, make_golden, write_golden
from snakeseg.networks.folding import fold_normalisation
from snakeseg.networks.registry import geometry_of
from snakeseg.prediction.overlap_tile import assemble, make_tile_function, run_tiles
from snakeseg.prediction.tiles import fixed_stride
from snakeseg.settings import Labels, Predict, Prepare, UNetSettings
from snakeseg.transforms.normalise import normalise

UNPADDED = Description(
    2, 1, Labels("semantic", {"sky": 3, "deep sea": 9, "land": 5}),
    UNetSettings(width=4, depth=2, normalisation="batch"), Prepare(), Predict(average=False, tile=32), None, [1.0, 1.0],
)  # fmt: skip
PADDED = Description(
    2, 2, Labels(), UNetSettings(width=4, depth=2, padded=True, border=2), Prepare(scope="dataset"),
    Predict(average=True), {"offset": [40.0, 60.0], "scale": [100.0, 80.0]}, [1.0, 1.0],
)  # fmt: skip
VOLUMES = replace(
    UNPADDED, dims=3, network=UNetSettings(width=2, depth=1), prepare=Prepare("zscore"), spacing=[1.0] * 3
)
MODELS = {"unpadded": UNPADDED, "padded": PADDED, "volumes": VOLUMES}
ABOUT = {
    "title": "Sea and sky", "description": "For tests.", "licence": "CC-BY-4.0", "authors": ["Ada Lovelace"],
    "cite": ["Ronneberger et al. 2015, U-Net, doi 10.1007/978-3-319-24574-4_28.", "https://example.org/net"],
}  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of model folders with random weights, whose output varies over the image."""
    base = tmp_path_factory.mktemp("models")
    for name, description in MODELS.items():
        network = random_network(description.dims, description.network, description.channels, description.classes)
        network = network.float()
        write_golden(base / name, make_golden(network, description))
        save_model(base / name, network, description, {"fold": 0, "train": {"steps": 3}})
    return base


@pytest.fixture(scope="module")
def exported(models, tmp_path_factory):
    """A function that exports a model in a format, once per combination."""
    base, packages = tmp_path_factory.mktemp("exported"), {}

    def export(name: str, kind: str):
        if (name, kind) not in packages:
            output = packages[name, kind] = base / f"{name}-{kind}{'.zip' if kind == 'bioimageio' else ''}"
            command = [
                "export",
                models / name,
                "--format",
                kind,
                "-o",
                output,
                "--settings",
                json.dumps({"export": ABOUT}),
            ]
            assert main([*map(str, command), "--debug"]) == 0
        return packages[name, kind]

    return export


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """An image file with waves and noise."""
    y, x = np.mgrid[:61, :90]
    noise = np.random.default_rng(0).normal(0, 20, y.shape)
    path = tmp_path_factory.mktemp("images") / "a.png"
    Image.fromarray(np.uint8(np.clip(120 + 60 * np.sin(y / 5) * np.cos(x / 7) + noise, 0, 255))).save(path)
    return path


@pytest.fixture(scope="module")
def predicted(models, picture, tmp_path_factory):
    """The label file that `snakeseg predict` writes for the image."""
    output = tmp_path_factory.mktemp("predicted")
    assert main(["predict", str(models / "unpadded"), str(picture), "-o", str(output), "--gpus", "0"]) == 0
    return output / picture.name


def test_folder_of_images_gives_the_labels_of_its_images(models, picture, predicted, tmp_path):
    assert main(["predict", str(models / "unpadded"), str(picture.parent), "-o", str(tmp_path), "--gpus", "0"]) == 0
    assert (tmp_path / predicted.name).read_bytes() == predicted.read_bytes()


def load(models, name):
    """Return the network of a model folder, with a softmax, and its description."""
    network, description = load_model(models / name, torch.device("cpu"))
    return ProbabilityModel(network).eval(), description


@pytest.mark.parametrize(("dims", "settings"), NARROW, ids=name_of)
def test_every_network_is_exported_to_every_graph(dims, settings, tmp_path):
    """The writers compare each file with the network; this test loads it and applies it to a whole image."""
    geometry = geometry_of(dims, settings)
    network = fold_normalisation(random_network(dims, settings, 1, 3).float())
    model, sides = ProbabilityModel(network).eval(), golden_size(geometry)
    other = [side + (axis + 1) * geometry.multiple[axis] for axis, side in enumerate(sides)]
    inputs = [torch.rand(1, 1, *sides), torch.rand(2, 1, *other)]
    traced = write_torchscript(tmp_path / "m.ts", model, inputs)
    write_onnx(tmp_path / "m.onnx", traced, model, inputs, {"note": "yes"})
    image = torch.rand(1, 1, *[9 + axis for axis in range(dims)])
    write_whole(tmp_path / "w.ts", traced, geometry, image)
    whole = torch.jit.load(tmp_path / "w.ts")(image).detach().numpy()
    assert whole.shape == (1, 3, *image.shape[2:])
    work = make_tile_function(network, geometry)
    stride = fixed_stride(image.shape[2:], geometry, 64)
    pieces = run_tiles(lambda x: torch.softmax(work(x), 0), image[0].numpy(), geometry, stride)
    np.testing.assert_allclose(whole[0], assemble(pieces, image.shape[2:]), atol=1e-4)  # mirrored as in predict


def test_graph_with_other_outputs_is_refused(tmp_path):
    model = ProbabilityModel(random_network(2, UNPADDED.network).float()).eval()
    image = torch.rand(1, 1, 44, 44)
    with torch.inference_mode():
        expected = model(image).numpy()
    compare_outputs(tmp_path, model, lambda x: expected + 9e-5, [image])
    with pytest.raises(BadInput, match=r"differ by 0\.0002; expected at most 0\.0001"):
        compare_outputs(tmp_path, model, lambda x: expected + 2e-4, [image])
    with pytest.raises(BadInput, match="differ by nan"):
        compare_outputs(tmp_path, model, lambda x: expected * np.nan, [image])
    with pytest.raises(BadInput, match=r"an output of shape \(1, 2, 3, 4\) for an input of 1x1x44x44"):
        compare_outputs(tmp_path, model, lambda x: expected[..., 1:, :], [image])


@pytest.mark.parametrize("name", ["unpadded", "padded", "volumes"])
def test_onnx_accepts_every_valid_size(exported, models, name):
    model, description = load(models, name)
    session = onnxruntime.InferenceSession(exported(name, "onnx") / "model.onnx")
    geometry = description.geometry
    for steps in range(3):
        axes = enumerate(zip(geometry.input_size(1), geometry.multiple, strict=True), start=steps)
        sides = [least + number * step for number, (least, step) in axes]
        image = torch.rand(1 + steps, description.channels, *sides)
        (output,) = session.run(None, {"image": image.numpy()})
        with torch.inference_mode():
            np.testing.assert_allclose(output, model(image).numpy(), atol=1e-4)


def documented_function(repository):
    """Return the function `probabilities` of docs/how-to/share-a-model.md."""
    page = (repository / "docs/how-to/share-a-model.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {}
    exec(compile(code, "share-a-model.md", "exec"), names)
    return names["probabilities"]


@pytest.mark.parametrize("largest", [4, 20, 1000])
def test_plain_onnx_runtime_gives_the_labels_of_predict(exported, repository, picture, predicted, largest):
    """This uses the tile loop of the documentation, for several tile sizes."""
    image = normalise(np.asarray(Image.open(picture))[None], UNPADDED.prepare, None)[:]
    probabilities = documented_function(repository)(exported("unpadded", "onnx"), image, largest)
    labels = np.array([3, 9, 5])[probabilities.astype(np.float16).argmax(axis=0)]
    expected = np.asarray(Image.open(predicted))
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize("name", ["padded", "volumes"])
def test_documented_loop_works_for_padded_networks_and_volumes(exported, models, repository, name):
    model, description = load(models, name)
    image = np.random.default_rng(1).random((description.channels, *(21, 18, 11)[: description.dims]), np.float32)
    with torch.inference_mode():
        whole = WholeImageModel(model, description.geometry)(torch.from_numpy(image)[None])[0].numpy()
    probabilities = documented_function(repository)(exported(name, "onnx"), image, 8)
    np.testing.assert_allclose(probabilities, whole, atol=1e-4)


@pytest.mark.parametrize("kind", ["torchscript", "monai"])
def test_torchscript_runs_without_snakeseg(exported, kind):
    folder = exported("padded", kind)
    code = (
        "import sys, numpy, torch\n"
        f"model = torch.jit.load(r'{folder / ('model.ts' if kind == 'torchscript' else 'models/model.ts')}')\n"
        f"seen, expected = (numpy.load(rf'{folder}/test-{{name}}.npy') for name in ('input', 'output'))\n"
        "numpy.testing.assert_allclose(model(torch.from_numpy(seen)).detach().numpy(), expected, atol=1e-5)\n"
        "assert not any(name.startswith('snakeseg') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_package_contains_settings_provenance_and_golden_data(exported, models):
    """Every format contains settings, provenance, licence, authors, citations, and the golden input and output."""
    for kind in ("onnx", "torchscript", "monai"):
        folder = exported("unpadded", kind)
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        assert about["model"] == json.loads((models / "unpadded" / "model.json").read_text(encoding="utf-8"))
        assert {key: about[key] for key in ABOUT} == ABOUT
        assert about["geometry"]["halo"] == [20, 20]
        assert about["output"]["classes"] == ["sky", "deep sea", "land"]
        page = (folder / ("docs" if kind == "monai" else ".") / "README.md").read_text(encoding="utf-8")
        for word in ("# Sea and sky", "CC-BY-4.0", "Ada Lovelace", "10.1007/978-3-319-24574-4_28", "percentiles p (1)",
                     "44, and any multiple of 4 more", "20 pixels on every side", about["weights"]):  # fmt: skip
            assert word in page
        golden_input, golden_output = (np.load(folder / f"test-{name}.npy") for name in ("input", "output"))
        assert golden_input.shape == (1, 1, 44, 44)
        assert golden_output.shape[:2] == (1, 3)


def test_monai_loads_the_bundle_and_runs_it(exported, models, picture, tmp_path, monkeypatch):
    """MONAI's own check passes, and the labels equal those of the network for the same image."""
    folder = exported("unpadded", "monai")
    configs = [folder / "configs" / f"{name}.json" for name in ("metadata", "inference")]
    monkeypatch.chdir(folder)
    verify_net_in_out("network_def", meta_file=configs[0], config_file=configs[1], device="cpu", any=33)
    parser = ConfigParser()
    parser.read_config(configs[1])
    parser["output_dir"], parser["images"], parser["device"] = str(tmp_path), [str(picture)], "$torch.device('cpu')"
    parser.get_parsed_content("run")
    labels = np.asarray(Image.open(tmp_path / "a_trans.png"))
    model, description = load(models, "unpadded")
    image = normalise(np.asarray(Image.open(picture))[None], description.prepare, None)[:]
    with torch.inference_mode():
        expected = WholeImageModel(model, description.geometry)(torch.from_numpy(image)[None])[0].argmax(0).numpy()
    assert labels.shape == (61, 90)
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unpadded", "padded", "volumes"])
def test_bioimageio_tests_of_the_package_pass(exported, name):
    """The library tests all formats of weights with the test tensors and with other batch and image sizes."""
    from bioimageio.core import load_description, test_model

    package = exported(name, "bioimageio")
    summary = test_model(package)
    assert summary.status == "passed", summary.format()
    description, geometry = load_description(package), MODELS[name].geometry
    assert description.format_version.startswith("0.5")
    assert (description.name, description.license) == (ABOUT["title"], ABOUT["licence"])
    assert [str(entry.doi or entry.url) for entry in description.cite] == [
        "10.1007/978-3-319-24574-4_28", "https://example.org/net",
    ]  # fmt: skip
    assert {kind for kind, weights in description.weights if weights} == {"torchscript", "onnx"}
    axes = zip(description.inputs[0].axes[2:], description.outputs[0].axes[2:], strict=True)
    for axis, (input_axis, output_axis) in enumerate(axes):
        assert (input_axis.size.min, input_axis.size.step) == (geometry.input_size(1)[axis], geometry.multiple[axis])
        if geometry.padded:
            assert (output_axis.halo, output_axis.size.offset) == (geometry.halo[axis], 0)
        else:
            assert output_axis.size.offset == -2 * geometry.halo[axis]


def test_sizes_of_the_original_unet_are_multiples_of_16_plus_12(models, tmp_path):
    from snakeseg.models.export.bioimageio import make_rdf
    from snakeseg.models.export.tested_model import read_model
    from snakeseg.settings import Export

    paper = replace(UNPADDED, network=UNetSettings(width=1, depth=4))
    save_model(tmp_path, random_network(2, paper.network, 1, 3).float(), paper, {})
    rdf = make_rdf(read_model(tmp_path, Export(), None, False), tmp_path)
    assert [axis["size"] for axis in rdf["inputs"][0]["axes"][2:]] == [{"min": 16 * 11 + 12, "step": 16}] * 2


@pytest.mark.slow
def test_failed_bioimageio_test_is_reported(exported, tmp_path):
    """The library reports a wrong test output."""
    from snakeseg.models.export.bioimageio import require_passed

    with zipfile.ZipFile(exported("unpadded", "bioimageio")) as package:
        package.extractall(tmp_path)
    require_passed(tmp_path / "rdf.yaml")
    expected = np.load(tmp_path / "test-output.npy")
    np.save(tmp_path / "test-output.npy", expected[:, ::-1].copy())
    with pytest.raises(BadInput, match=r"rdf.yaml: found weights.onnx: Output 'probabilities': .* disagree with"):
        require_passed(tmp_path / "rdf.yaml")


def test_bioimageio_normalises_like_prepare(exported, models):
    """Preprocessing and weights of the package, run by the library of bioimage.io, equal those of SnakeSeg."""
    from bioimageio.core import load_description, predict

    model, description = load(models, "unpadded")
    raw = np.random.default_rng(2).integers(0, 5000, (1, 1, 60, 72)).astype(np.float32) ** 1.3
    prediction = predict(model=load_description(exported("unpadded", "bioimageio")), inputs={"image": raw})
    with torch.inference_mode():
        expected = model(torch.from_numpy(normalise(raw[0], description.prepare, None)[:])[None]).numpy()
    np.testing.assert_allclose(prediction.members["probabilities"].data.to_numpy(), expected, atol=1e-4)


def test_predict_command_takes_a_package(exported, picture, predicted, tmp_path):
    """The label file has the same bytes as with the model folder."""
    command = ["predict", str(exported("unpadded", "bioimageio")), str(picture), "-o", str(tmp_path), "--gpus", "0"]
    assert main(command) == 0
    assert (tmp_path / picture.name).read_bytes() == predicted.read_bytes()


def test_package_contains_the_bytes_of_the_model(exported, models, tmp_path):
    """Unpacked packages are model folders."""
    package = exported("unpadded", "bioimageio")
    with model_at(package) as folder:
        for name in ("model.json", "model.safetensors", "golden.safetensors"):
            assert (folder / name).read_bytes() == (models / "unpadded" / name).read_bytes()
    assert not folder.exists()
    with zipfile.ZipFile(package) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert yaml.safe_load(archive.read("rdf.yaml"))["attachments"]


def write_zip(path, files):
    """Write a ZIP of (name, content); a number stands for a content of this many spaces."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, b" " * content if isinstance(content, int) else content)
    return path


class Boom:
    """Object whose pickle creates the file `boom` when it is loaded."""

    def __reduce__(self):
        return open, ("boom", "w")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("extra_files", "message"),
    [
        ([("../evil.txt", b"x")], "the file name '../evil.txt'; expected names inside the package"),
        ([("/etc/evil", b"x")], "the file name '/etc/evil'"),
        ([("..\\evil.txt", b"x")], "'; expected names inside the package"),
        ([("C:evil.txt", b"x")], "the file name 'C:evil.txt'"),
        ([("model.json", b"{}")], "a file name twice"),
        ([("instances.json", 2**25)], "files that unpack to 34 MB; expected at most"),
    ],
)  # fmt: skip
def test_hostile_packages_are_refused(models, tmp_path, monkeypatch, picture, capsys, extra_files, message):
    monkeypatch.chdir(tmp_path)
    valid = [(path.name, path.read_bytes()) for path in sorted((models / "unpadded").iterdir())]
    write_zip(tmp_path / "p.zip", [*valid, *extra_files])
    assert main(["predict", "p.zip", str(picture), "-o", "out", "--gpus", "0"]) == 1
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["p.zip"]
    assert not (tmp_path.parent / "evil.txt").exists()


def test_nothing_in_a_package_is_unpickled(models, tmp_path, monkeypatch, picture, capsys):
    monkeypatch.chdir(tmp_path)
    torch.save({"head.weight": Boom()}, "weights.pt")
    pickled, description = (tmp_path / "weights.pt").read_bytes(), (models / "unpadded" / "model.json").read_bytes()
    (tmp_path / "weights.pt").unlink()
    write_zip(tmp_path / "p.zip", [("model.json", description), ("model.safetensors", pickled)])
    assert main(["predict", "p.zip", str(picture), "-o", "out", "--gpus", "0"]) == 1
    assert re.search(
        r"p.zip/model.safetensors: .*expected the weights that model.json describes", capsys.readouterr().err
    )
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + bytes(18), b"PK\x03\x04" + bytes(60)])
def test_other_files_are_refused_as_packages(tmp_path, picture, capsys, content):
    (tmp_path / "p.zip").write_bytes(content)
    assert main(["predict", str(tmp_path / "p.zip"), str(picture), "-o", str(tmp_path / "out")]) == 1
    assert "p.zip: found" in capsys.readouterr().err


def test_damaged_packages_raise_no_unexpected_error(exported, tmp_path, picture, capsys):
    whole = exported("unpadded", "bioimageio").read_bytes()
    for start in range(100, len(whole), len(whole) // 12):
        (tmp_path / "p.zip").write_bytes(whole[:start] + bytes(64) + whole[start + 64 :])
        main(["predict", str(tmp_path / "p.zip"), str(picture), "-o", str(tmp_path / "out"), "--gpus", "0"])
        assert "this should not happen" not in capsys.readouterr().err


def test_missing_export_packages_are_reported(models, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(packing, "find_spec", lambda name: None)
    command = ["export", str(models / "unpadded"), "-o", str(tmp_path / "m"), "--format"]
    assert main([*command, "onnx"]) == 1
    assert "error: --format onnx: found no onnx, onnxruntime" in (error := capsys.readouterr().err)
    assert "pip install onnx onnxruntime" in error
    assert main([*command, "bioimageio"]) == 1
    assert "bioimageio.core" in capsys.readouterr().err
    assert main([*command, "torchscript"]) == 0


def test_export_takes_one_model_and_overwrites_nothing(models, tmp_path, capsys):
    for fold in ("fold-0", "fold-1"):
        shutil.copytree(models / "unpadded", tmp_path / "all" / fold)
    assert main(["export", str(tmp_path / "all"), "--format", "torchscript", "-o", str(tmp_path / "m")]) == 1
    assert "found 2 models, fold-0, fold-1; expected one" in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    command = ["export", str(models / "unpadded"), "--format", "torchscript", "-o", str(tmp_path / "mine")]
    assert main(command) == 1
    assert "found an existing file or folder" in capsys.readouterr().err
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_citation_needs_a_doi_or_url(models, tmp_path, capsys):
    settings = json.dumps({"export": {"cite": ["by heart"]}})
    command = ["export", str(models / "unpadded"), "--format", "bioimageio", "-o", str(tmp_path / "m.zip")]
    assert main([*command, "--settings", settings]) == 1
    assert "export, cite: found ['by heart']; expected a list, each text that matches " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_model_that_fails_its_golden_check_is_not_exported(models, tmp_path, capsys):
    shutil.copytree(models / "unpadded", tmp_path / "model")
    shutil.copy(models / "volumes" / "golden.safetensors", tmp_path / "model")
    command = ["export", str(tmp_path / "model"), "--format", "torchscript", "-o", str(tmp_path / "m")]
    assert main(command) == 1
    assert "golden.safetensors" in capsys.readouterr().err
    assert main([*command, "--skip-golden"]) == 0


def test_package_predicts_tiff_volumes(exported, models, tmp_path):
    """A package for volumes predicts the same labels as its model folder."""
    volume = np.random.default_rng(3).integers(0, 200, (9, 14, 11)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "v.tif", volume, metadata={"axes": "ZYX"})
    for name, model in (("a", models / "volumes"), ("b", exported("volumes", "bioimageio"))):
        assert main(["predict", str(model), str(tmp_path / "v.tif"), "-o", str(tmp_path / name), "--gpus", "0"]) == 0
    first, second = ((tmp_path / name / "v.tif").read_bytes() for name in "ab")
    assert first == second
