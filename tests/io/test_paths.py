"""Paths of images and outputs: folders with characters of patterns, equal stems, outputs that exist already."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from snakeseg.cli import main
from snakeseg.errors import BadInput, BadInputs
from snakeseg.io.file_names import find_images, sample_names
from snakeseg.io.files import atomic_file, make_folder
from snakeseg.setup.filenames import read_by_names


@pytest.fixture
def plane(tmp_path):
    def write(*parts):
        path = tmp_path.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, np.zeros((8, 8), np.uint8))
        return str(path)

    return write


@pytest.mark.parametrize("folder", ["plate[1]", "a*", "q?", "[!x]", "plain", "as.tif"])
def test_an_existing_folder_is_no_pattern(tmp_path, plane, folder):
    paths = [plane(folder, name) for name in ("a.tif", "b[2].tif")]
    plane("plate1", "other.tif")
    assert find_images(str(tmp_path / folder)) == paths
    assert find_images(f"{tmp_path / folder}/") == paths
    assert find_images(paths[1]) == paths[1:]
    assert main(["sheet", str(tmp_path / folder), "--output", str(tmp_path / "s.tsv")]) == 0
    assert pd.read_csv(tmp_path / "s.tsv", sep="\t")["image"].tolist() == paths


def test_patterns_still_match(tmp_path, plane):
    paths = [plane("p1", "a.tif"), plane("p2", "b.tif")]
    assert find_images(f"{tmp_path}/p?/*.tif") == paths
    assert find_images(f"{tmp_path}/p[12]/*.tif") == paths


def test_a_zarr_is_an_image_whatever_its_name(tmp_path):
    (tmp_path / "w[1].ome.zarr").mkdir()
    assert find_images(str(tmp_path / "w[1].ome.zarr")) == [str(tmp_path / "w[1].ome.zarr")]


def test_equal_stems_are_named():
    assert sample_names(["x/a.tif", "x/b.png", "x/c.lif#2"]) == ["a", "b", "c-2"]
    assert sample_names(["x/p.zarr/A/1/0", "x/p.zarr/A/2/0"]) == ["p-A-1-0", "p-A-2-0"]
    with pytest.raises(BadInputs, match=r"x/a\.tif: found the sample name 'a', as of x/a\.png; expected file names"):
        sample_names(["x/a.png", "x/a.tif"])


def test_a_zarr_of_an_equal_stem_is_left_out_with_its_labels(tmp_path, plane):
    for name in ("a.tif", "b.tif", "masks/b.tif"):
        plane(name)
    for folder in ("a.ome.zarr", "a.ome.zarr/labels/cells"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / ".zgroup").write_text('{"zarr_format": 2}')
    layout = read_by_names(tmp_path)
    assert layout.sheet[["image", "label"]].to_numpy().tolist() == [["b.tif", "masks/b.tif"]]
    assert layout.left_out == {"a.tif": "equal names", "a.ome.zarr": "equal names"}
    assert len(layout.problems) == 1


def test_init_names_files_with_equal_stems(tmp_path, plane, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in "abcd":
        tifffile.imwrite(plane("data", "images", f"{name}.tif"), rng.integers(0, 99, (32, 32)).astype(np.uint8))
        label = np.zeros((32, 32), np.uint8)
        label[2:9, 2:9], label[20:29, 4:12] = 1, 2
        tifffile.imwrite(plane("data", "labels", f"{name}.tif"), label)
    plane("data", "images", "d.png")
    assert main(["init", "data"]) == 0
    assert "data/images: found equal names: d.png, d.tif; expected names that differ before" in capsys.readouterr().err
    assert pd.read_csv("data.tsv", sep="\t")["sample"].tolist() == ["a", "b", "c"]


def test_an_output_of_the_other_kind_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="file: found a file; expected a folder, or nothing; move it away"):
        make_folder(tmp_path / "file" / "deeper")
    with pytest.raises(BadInput, match="found a folder; expected a file"), atomic_file(tmp_path):
        pass
    with pytest.raises(BadInput, match="file: found a file; expected a folder"), atomic_file(tmp_path / "file" / "x"):
        pass


def test_predict_refuses_a_file_as_output_before_it_loads_a_model(tmp_path, plane, capsys):
    (tmp_path / "out").touch()
    assert main(["predict", str(tmp_path / "no-model"), plane("a.tif"), "-o", str(tmp_path / "out")]) == 1
    assert f"error: {tmp_path / 'out'}: found a file; expected a folder, or nothing" in capsys.readouterr().err
