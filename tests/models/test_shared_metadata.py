"""Metadata of exported packages: names of held-out images, and reasons for optimistic scores."""

import json
import shutil

import pandas as pd
import pytest

from snakeseg.models.description import load_description
from snakeseg.models.export.metadata import describe_model, readme, shared_parameters
from snakeseg.settings import Export

SCORES = pd.DataFrame([{"metric": "dice", "mean": 0.9, "low": None, "high": None, "n": 3, "headline": True}])


@pytest.fixture
def model(tmp_path, repository):
    return shutil.copytree(repository / "tests/fixtures/version_0.1.0/model", tmp_path / "model")


def test_names_of_held_out_images_are_not_shared(model):
    content = {"chosen": {"threshold": 0.4}, "trials": []}
    secret = {"cross_fitted": {"parameters": [{}], "samples": {"patient-007": 0}}}
    (model / "instances.json").write_text(json.dumps(content | secret), encoding="utf-8")
    assert shared_parameters(model) == content
    assert "patient-007" not in json.dumps(describe_model(model, load_description(model), Export(), None))
    (model / "instances.json").unlink()
    assert shared_parameters(model) is None


@pytest.mark.parametrize("select", ["last", "best"])
def test_selection_of_weights_is_named_beside_the_scores(model, select):
    values = json.loads((model / "model.json").read_text(encoding="utf-8"))
    values["provenance"]["train"]["select"] = select
    (model / "model.json").write_text(json.dumps(values), encoding="utf-8")
    page = readme(describe_model(model, load_description(model), Export(), SCORES))
    assert ("train.select: best" in page) == (select == "best")
