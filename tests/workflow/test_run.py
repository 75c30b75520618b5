"""The small run from images to report, as a user would run it."""

import json
import re
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest
import tifffile

from snakeseg.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(tmp_path_factory, small_run):
    return small_run(tmp_path_factory.mktemp("run"), "--cores", "2")


def planned(done) -> set[str]:
    """Return the names of the rules of a dry run."""
    return set(re.findall(r"^(?:local)?rule (\w+):", done.stdout, re.MULTILINE)) - {"default"}


def test_outputs_have_their_documented_paths(results):
    """Users and other tools rely on these paths."""
    for experiment in ("plain", "online"):
        model = results / "models" / experiment / "fold-0"
        assert {p.name for p in model.iterdir()} == {
            "model.safetensors", "model.json", "history.tsv", "golden.safetensors", "instances.json",
        }  # fmt: skip
        # The U-Net of width 4 and depth 2 with batch normalisation.
        measured = json.loads((model.parent / "measures.json").read_text(encoding="utf-8"))
        assert (measured["parameters"], measured["tile_exact"]) == (7562, True)
        assert 0 <= measured["checkerboard"] < 1
        assert [p.name for p in (results / "validation" / experiment / "fold-0").glob("*.tif")] == ["cells-04.tif"]
        assert (results / "predictions" / experiment / "test-0000" / "cells-07.tif").is_file()
        assert (results / "predictions" / experiment / "predict-0000" / "cells-08.tif").is_file()
    for name in ("images", "objects", "summary", "spread"):
        table = pd.read_csv(results / "evaluation" / f"{name}.tsv", sep="\t")
        assert table.columns[0] == "experiment"
        assert set(table["experiment"]) == {"plain", "online"}
    pairs = pd.read_csv(results / "evaluation" / "comparison.tsv", sep="\t")
    assert set(pairs["subset"] + pairs["A"] + pairs["B"]) == {"testonlineplain", "validationonlineplain"}
    assert json.loads((results / "provenance.json").read_text(encoding="utf-8"))["packages"]["torch"]


def test_the_history_has_a_row_per_step(results):
    history = pd.read_csv(results / "models" / "plain" / "fold-0" / "history.tsv", sep="\t")
    assert list(history["step"]) == list(range(8))
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]


def test_unlabelled_images_are_rows_with_a_reason(results):
    images = pd.read_csv(results / "evaluation" / "images.tsv", sep="\t")
    row = images[(images["sample"] == "cells-08") & (images["experiment"] == "plain")].iloc[0]
    assert (row["status"], row["subset"]) == ("unlabelled", "predict")
    assert "no label" in row["reason"]
    summary = pd.read_csv(results / "evaluation" / "summary.tsv", sep="\t")
    predict = summary[(summary["subset"] == "predict") & (summary["metric"] == "dice")]
    assert (predict["n"] == 0).all()
    assert (predict["unscored"] == 1).all()


def test_labels_are_uint32_tiff_of_the_images_shape(results):
    label = tifffile.imread(results / "predictions" / "plain" / "test-0000" / "cells-06.tif")
    assert label.dtype == np.uint32
    assert label.shape == (64, 64)


def test_the_report_is_self_contained(results):
    page = (results / "report.html").read_text("utf-8")
    assert len(page) < 10_000_000
    without_scripts = re.sub("<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"""(src|href)\s*=\s*["']?(?!data:)(\w+:|/)""", without_scripts)
    for word in ("Verdict", "Every image", "How to cite", "elastic copies", "Weight maps", "cells-08", "SHA-256"):
        assert word in page
    assert "no difference shown between online and plain in ap_0.50" in page


def test_the_summary_in_markdown_lists_data_and_scores(results):
    notes = (results / "summary.md").read_text("utf-8")
    assert notes.startswith(
        "# small\n\nTraining and validation: 6 images in 6 groups (instance labels),\n1 fold;\n2 test images"
    )
    assert "no difference shown between online and plain in ap\\_0.50" in notes
    assert "| plain | 2 |" in notes.split("## test images")[1].split("##")[0]


def test_calibration_compares_probabilities_with_the_truth(results):
    """Calibration counts all pixels of the single validation image."""
    parameters = json.loads((results / "models" / "plain" / "fold-0" / "instances.json").read_text(encoding="utf-8"))
    assert sum(part["pixels"] for part in parameters["calibration"]["bins"]) == 64**2
    assert 0 < parameters["calibration"]["error"] < 1


def test_status_lists_the_resources_of_a_finished_run(results, monkeypatch, capsys):
    """No job is unfinished, and the jobs of every rule have measured resources."""
    monkeypatch.chdir(results.parents[1])
    assert main(["status", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["name"], status["cases"], status["waiting"], status["complaint"]) == ("small", [], {}, [])
    assert set(status["advice"]) == {
        "simulate", "inspect", "check", "prepare", "augment", "weigh", "train", "measure", "validate", "tune", "infer",
        "instances", "evaluate", "summarise", "compare", "report",
    }  # fmt: skip
    assert 0 < status["finished"]["train/plain/fold-0"]["device"] < 1


def test_a_second_run_does_nothing(results, snakemake):
    folder = results.parents[1]
    (folder / "samples.tsv").touch()
    done = snakemake(folder, "--configfile", "config.yaml", "--cores", "2")
    assert "Nothing to be done" in done.stdout, done.stdout


def test_changed_resources_rerun_nothing(results, snakemake, repository):
    """Another profile, more memory or more nodes run nothing again."""
    profile = ["--workflow-profile", str(repository / "profiles/slurm")]
    requests = [
        "--set-resources",
        "train:mem_mb=64000",
        "train:runtime=9",
        "train:mpi='srun'",
        "train:tasks=4",
        "infer:gpu=0",
    ]
    done = snakemake(results.parents[1], "--configfile", "config.yaml", "--dry-run", *profile, *requests)
    assert "Nothing to be done" in done.stdout, done.stdout


def test_deleted_predictions_rerun_only_the_jobs_that_depend_on_them(results, snakemake):
    deleted = results / "predictions" / "plain" / "test-0000"
    backup = deleted.with_name("kept")
    deleted.rename(backup)
    done = snakemake(results.parents[1], "--configfile", "config.yaml", "--dry-run")
    backup.rename(deleted)
    assert planned(done) == {"infer", "instances", "evaluate", "summarise", "compare", "report"}
    assert len(re.findall(r"^rule infer:", done.stdout, re.MULTILINE)) == 1


def test_changed_settings_rerun_all_jobs_that_use_them(results, snakemake, write_run, small_config):
    """If check and training use a setting, one dry run plans both."""
    folder = results.parents[1]
    experiments = {**small_config["experiments"], "plain": {"network": {"width": 6}}}
    write_run(folder, {"experiments": experiments})
    done = snakemake(folder, "--configfile", "config.yaml", "--dry-run")
    write_run(folder)
    assert re.search(r"At stake: \d+ of these jobs were done before, in [\d.e-]+ GPU hours", done.stdout)
    assert {"check", "train", "validate", "tune", "infer", "report"} <= planned(done)
    assert not {"inspect", "prepare", "augment", "weigh"} & planned(done)
    assert len(re.findall(r"^rule train:", done.stdout, re.MULTILINE)) == 1


@pytest.mark.parametrize(
    ("changes", "options", "rules"),
    [
        ({"threads": 2}, [], {"report"}),
        ({"instances": {"smallest": [0, 5]}}, [], {"tune", "instances", "evaluate", "summarise", "compare", "report"}),
        ({}, ["--set-resources", "train:mem_mb=99000", "train:runtime=5", "infer:gpu=0"], set()),
        ({}, ["--resources", "gpu=0", "--cores", "7"], set()),
    ],
    ids=["threads", "objects", "requests", "limits"],
)
def test_changes_of_other_settings_rerun_no_training(changes, options, rules, results, snakemake, write_run):
    folder = results.parents[1]
    write_run(folder, changes)
    done = snakemake(folder, "--configfile", "config.yaml", "--dry-run", *options)
    write_run(folder)
    assert planned(done) - {"validate", "infer"} == rules, done.stdout
    assert "Nothing to be done" in done.stdout or rules


def test_another_version_of_the_code_reruns_nothing(results, snakemake, repository, tmp_path):
    """This holds for another folder, too; `-R RULE` runs a rule again."""
    for name in ("workflow", "src", "profiles", "Snakefile", "environment.yml"):
        copy = shutil.copytree if (repository / name).is_dir() else shutil.copy
        copy(repository / name, tmp_path / name)
    version = tmp_path / "src" / "snakeseg" / "__init__.py"
    version.write_text(
        re.sub('__version__ = ".*"', '__version__ = "99.0"', version.read_text(encoding="utf-8")), encoding="utf-8"
    )
    folder = results.parents[1]
    done = snakemake(folder, "--configfile", "config.yaml", "--dry-run", snakefile=tmp_path / "Snakefile")
    assert "Nothing to be done" in done.stdout, done.stdout


def test_an_edited_row_reruns_its_batch(results, snakemake, write_run, sheet_rows):
    folder = results.parents[1]
    write_run(folder, rows=[*sheet_rows[:-1], [*sheet_rows[-1][:3], "test"]])
    done = snakemake(folder, "--configfile", "config.yaml", "--dry-run")
    write_run(folder)
    assert "infer" in planned(done)
    assert not {"prepare", "train"} & planned(done)


def test_one_core_gives_the_same_bytes(results, tmp_path, small_run):
    """Equal inputs give equal outputs for any --cores; --resources gpu=0 is accepted."""
    other = small_run(tmp_path, "--cores", "1", "--resources", "gpu=0")
    compared = 0
    for pattern in ("evaluation/*.tsv", "models/*/*/model.*", "models/*/*/instances.json",
                    "models/*/*/golden.*", "validation/*/*/*.tif",
                    "predictions/*/*/*.tif", "prepared/*", "augmented/*", "weights/*"):  # fmt: skip
        for path in results.glob(pattern):
            assert path.read_bytes() == (other / path.relative_to(results)).read_bytes(), path
            compared += 1
    assert compared == 24


def test_the_predict_command_gives_the_labels_of_the_workflow(results, tmp_path):
    images = sorted((results / "simulated" / "images").glob("cells-0[67].tif"))
    model = results / "models" / "plain" / "fold-0"
    assert main(["predict", str(model), *map(str, images), "-o", str(tmp_path / "out")]) == 0
    for image in images:
        expected = tifffile.imread(results / "predictions" / "plain" / "test-0000" / image.name)
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / image.name), expected)


def test_the_predict_command_refuses_to_overwrite_its_input(results, tmp_path, capsys):
    image = tmp_path / "a.tif"
    shutil.copy(results / "simulated" / "images" / "cells-06.tif", image)
    model = results / "models" / "plain" / "fold-0"
    assert main(["predict", str(model), str(image), str(tmp_path / "no.tif"), "-o", str(tmp_path)]) == 1
    errors = capsys.readouterr().err
    assert "the image itself" in errors
    assert "no such file" in errors


def test_snakemake_makes_its_own_report(results, snakemake):
    folder = results.parents[1]
    done = snakemake(folder, "--configfile", "config.yaml", "--report", "report.zip")
    assert done.returncode == 0, done.stdout
    assert (folder / "report.zip").stat().st_size > 100_000


def test_a_model_is_exported_with_its_scores(results, snakemake):
    """The path of a package is a target; nothing else runs."""
    folder = results.parents[1]
    target = "results/small/export/plain/fold-0.onnx.zip"
    done = snakemake(folder, target, "--configfile", "config.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout
    assert planned(done) == {"pack"}
    with zipfile.ZipFile(folder / target) as package:
        assert sorted(package.namelist()) == sorted(
            ["README.md", "about.json", "model.onnx", "test-input.npy", "test-output.npy"]
        )
        scores = {row["metric"]: row for row in json.loads(package.read("about.json"))["scores"]}
    summary = pd.read_csv(results / "evaluation" / "summary.tsv", sep="\t")
    rows = summary[(summary["experiment"] == "plain") & (summary["subset"] == "validation")]
    row = rows.set_index("metric").loc["dice"]
    assert scores["dice"]["mean"] == pytest.approx(row["mean"])
    assert scores["dice"]["n"] == row["n"] == 1
