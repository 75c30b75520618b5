"""Estimate of a run before it starts."""

from collections import namedtuple

import pandas as pd
import pytest

from snakeseg.settings import Augment, Experiment, Predict, Settings, Train, UNetSettings
from snakeseg.training import estimate as estimate_module
from snakeseg.training.estimate import estimate_run

USAGE = namedtuple("Usage", ["total", "used", "free"])
NETWORK = UNetSettings(width=4, depth=2, normalisation="batch")
PARTS = pd.Series(["training", "training", "validation", "test"])
FACTS = pd.DataFrame({"shape": ["100x100"] * 4, "channels": 1})


@pytest.fixture
def estimated(monkeypatch, tmp_path):
    """Return a function that gives the lines, by title, for a machine of 1.5 billion operations per second."""
    monkeypatch.setattr(estimate_module, "operations_per_second", lambda *arguments: 1.5e9)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    def lines_by_title(folds=1, copies=4, **train) -> dict[str, str]:
        experiment = Experiment(
            network=NETWORK, train=Train(**{"steps": 100, "patch": 40, **train}), predict=Predict(average=False)
        )
        settings = Settings(augment=Augment(copies=copies), experiments={"a": experiment})
        lines = estimate_run(PARTS, FACTS, settings, folds, tmp_path / "not/there")
        return dict(line.split(": ", 1) for line in lines)

    return lines_by_title


def test_an_estimate_lists_images_steps_memory_disk_and_time(estimated):
    lines = estimated(batch=2)
    assert lines["images"] == "2 training, 1 validation, 1 test"
    assert lines["training a"] == "1 x 100 steps of 2 patches of 40 x 40 pixels"
    assert set(lines) == {"images", "training a", "memory", "disk", "time"}


def test_an_estimate_replaces_auto_by_numbers(estimated):
    assert estimated(patch="auto", batch="auto")["training a"].startswith("1 x 100 steps of ")
    assert "auto" not in str(estimated(patch="auto", batch="auto"))


def seconds(lines: dict[str, str]) -> float:
    number, unit = lines["time"].split()[1:3]
    return float(number) * {"s": 1, "min": 60, "h": 3600}[unit]


def test_time_is_proportional_to_steps_and_folds(estimated):
    once = seconds(estimated(steps=100_000))
    assert seconds(estimated(steps=200_000)) == pytest.approx(2 * once, rel=0.1)
    assert seconds(estimated(steps=100_000, folds=3)) == pytest.approx(3 * once, rel=0.1)
    assert seconds(estimated(steps=5, minutes=30.0)) == 1800


def test_more_copies_take_more_disk_space(estimated, monkeypatch):
    """A run with less than half of the needed disk space is an error."""
    free = {"bytes": 1e12}
    monkeypatch.setattr(estimate_module.shutil, "disk_usage", lambda path: USAGE(0, 0, free["bytes"]))
    few, many = (float(estimated(copies=n)["disk"].split()[1]) for n in (0, 999))
    assert few < many
    free["bytes"] = many * 1e9 * 0.6
    assert estimated(copies=999)
    free["bytes"] = many * 1e9 * 0.4
    with pytest.raises(ValueError, match=r"GB free; expected about .* GB for results; free disk space"):
        estimated(copies=999)


def test_speed_of_this_machine_is_plausible():
    assert 1e7 < estimate_module.operations_per_second(2, 8, "float32") < 1e15
