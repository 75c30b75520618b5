"""Several networks in one run: stages as edges of the DAG, weights from a file, the comparison."""

import re

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from snakeseg.networks.registry import make_network
from snakeseg.settings import FCNSettings

pytestmark = pytest.mark.slow
SLIM = {"width": 1, "normalisation": "batch"}
EXPERIMENTS = {
    "unet": {},
    "coarse": {"network": {"name": "fcn32s", **SLIM, "pretrained": "start.pth"}},
    "finer": {"start_from": "coarse", "network": {"name": "fcn16s", **SLIM}},
    "finest": {"start_from": "finer", "network": {"name": "fcn8s", **SLIM}, "train": {"steps": 1}},
}


@pytest.fixture(scope="module")
def run(snakemake, write_run, sheet_rows, tmp_path_factory):
    """Return a run with only validation images, on which networks are compared."""
    folder = tmp_path_factory.mktemp("networks")
    torch.save(make_network(2, 1, 2, FCNSettings(name="fcn32s", **SLIM)).state_dict(), folder / "start.pth")
    changes = {"experiments": EXPERIMENTS, "train": {"steps": 3, "patch": 40}, "predict": {"average": False}}
    write_run(folder, changes, sheet_rows[:7])
    done = snakemake(folder, "--configfile", "config.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout
    return folder


def test_stages_start_from_the_stage_before(run):
    """All layers of the previous stage are loaded, and fixed ones are unchanged after a step."""
    for name, start, tensors in (("coarse", "start.pth", 113), ("finer", "models/coarse", 112)):
        log = (run / f"logs/small/train/{name}/fold-0.log").read_text(encoding="utf-8")
        match = re.search(r"(\d+) of (\d+) tensors from (\S+)", log)
        assert start in match[3]
        assert 0 < int(match[1]) <= tensors
    before, after = (load_file(run / f"results/small/models/{n}/fold-0/model.safetensors") for n in ("finer", "finest"))
    name = "vgg.fc7.weight"
    assert not torch.equal(after[name], before[name])
    assert (after[name] - before[name]).abs().max() < 0.05


def test_a_changed_stage_retrains_the_stages_after_it(run, snakemake, write_run, sheet_rows):
    """A change of the first stage retrains the experiments that depend on it, and no others."""
    experiments = {**EXPERIMENTS, "coarse": {**EXPERIMENTS["coarse"], "train": {"steps": 2}}}
    changes = {"experiments": experiments, "train": {"steps": 3, "patch": 40}, "predict": {"average": False}}
    write_run(run, changes, sheet_rows[:7])
    done = snakemake(run, "--configfile", "config.yaml", "--dry-run")
    trained = set(re.findall(r"models/(\w+)/fold-0/history.tsv\n", done.stdout))
    assert trained == {"coarse", "finer", "finest"}


def test_the_summary_has_the_four_metrics(run):
    summary = pd.read_csv(run / "results/small/evaluation/summary.tsv", sep="\t")
    for metric in ("pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu"):
        rows = summary[summary["metric"] == metric]
        assert set(rows["experiment"]) == set(EXPERIMENTS)
        assert rows[rows["n"] > 0]["pooled"].between(0, 1).all()


def test_the_report_compares_the_networks(run):
    page = (run / "results/small/report.html").read_text(encoding="utf-8")
    assert (run / "results/small/figures/images/comparison.png").is_file()
    table = page.split('aria-label="Networks"')[1].split("</table>")[0]
    names = {name.split()[0] for name in re.findall(r'<th scope="row">([^<]+)', table)}
    assert names == set(EXPERIMENTS)
    assert "finer from coarse" in table
    assert "fcn8s, width 1" in table


@pytest.mark.parametrize(
    ("experiments", "messages"),
    [
        ({"a": {"start_from": "b"}, "unet": {}}, ["experiments.a.start_from", "found 'b'", "expected one of a, unet"]),
        ({"a": {"start_from": "unett"}, "unet": {}}, ["did you mean 'unet'?"]),
        ({"a": {"start_from": "b"}, "b": {"start_from": "a"}}, ["experiments.a.start_from: found a circle of a, b"]),
        ({"a": {"network": {"name": "fcn8s", "depth": 3}}}, ["experiments.a.network", "unknown key 'depth'"]),
        ({"a": {"network": {"decoder": "unpooling"}}}, ["experiments.a.network.decoder", "'unpooling'", "unpool"]),
        ({"a": {"loss": {"name": "dise"}}}, ["experiments.a.loss.name", "'dise'", "dice"]),
    ],
)
def test_invalid_experiments_are_errors(experiments, messages, snakemake, write_run, tmp_path):
    write_run(tmp_path, {"experiments": experiments})
    done = snakemake(tmp_path, "--configfile", "config.yaml", "--dry-run")
    assert done.returncode != 0
    for message in messages:
        assert message in done.stdout, done.stdout


def test_the_check_reports_problems_of_networks_and_weights(snakemake, write_run, tmp_path):
    """A network is too deep for the images, weights have other shapes or would run code; all are reported at once."""
    torch.save(make_network(2, 1, 2, FCNSettings(name="fcn8s", width=2)).state_dict(), tmp_path / "wide.pth")
    (tmp_path / "bomb.pth").write_bytes(b"cos\nsystem\n(S'touch exploded'\ntR.")
    write_run(tmp_path, {"simulate": {"images": 9, "size": 48, "cells": 5}, "experiments": {
        "deep": {"network": {"depth": 6}},
        "wide": {"network": {"name": "fcn8s", "width": 1, "pretrained": "wide.pth"}},
        "bomb": {"network": {"pretrained": "bomb.pth"}},
    }})  # fmt: skip
    done = snakemake(tmp_path, "--configfile", "config.yaml", "--cores", "1")
    assert done.returncode != 0
    assert "experiment deep, network: found an image of 48x48 pixels" in done.stdout
    assert "lower network.depth" in done.stdout
    assert re.search(r"wide.pth: found vgg\S+ of shape \(2, 1, 3, 3\) .*; expected \(1, 1, 3, 3\)", done.stdout)
    assert "bomb.pth: found UnpicklingError" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "exploded").exists()
    assert not (tmp_path / "results/small/models").exists()
