"""Trainings that fail in a real run, and the report of `snakeseg status` about them."""

import json

import pytest

from snakeseg.cli import main

pytestmark = pytest.mark.slow
WEIGHTS = "results/small/models/{}/fold-0/model.safetensors"


def test_status_reports_a_failed_training_beside_a_finished_one(tmp_path, snakemake, write_run, monkeypatch, capsys):
    """The loss of one of two experiments diverges twice; after a correction, no failure remains."""
    monkeypatch.chdir(tmp_path)
    diverging = {
        "network": {"normalisation": "none"},
        "train": {"optimiser": "sgd", "learning_rate": 1e36, "precision": "float32"},
    }
    arguments = [*map(WEIGHTS.format, ("plain", "wild")), "--configfile", "config.yaml", "--cores", "1", "--keep-going"]
    write_run(tmp_path, {"experiments": {"plain": {}, "wild": diverging}})
    assert snakemake(tmp_path, *arguments, "--retries", "1").returncode == 1
    (tmp_path / "logs/small/train/wild/fold-0.log").unlink()  # as Snakemake does at the rerun
    assert main(["status", "--json"]) == 1
    status = json.loads(capsys.readouterr().out)
    (case,) = status["cases"]
    assert (case["case"], case["state"], case["cause"]) == ("train/wild/fold-0", "failed", "exception")
    assert case["before"] == ["exception"]
    assert "images cells-0" in case["lines"][0]
    assert "lower train.learning_rate (now 1e+36)" in case["lines"][0]
    assert status["finished"]["train/plain/fold-0"]["seconds"] > 0
    write_run(tmp_path, {"experiments": {"plain": {}, "wild": {}}})
    done = snakemake(tmp_path, *arguments)
    assert done.returncode == 0, done.stdout
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cases"] == []
