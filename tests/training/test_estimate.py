"""What a run is said to do and take before it starts."""

from collections import namedtuple

import pandas as pd
import pytest

from snakeseg.settings import Augment, Experiment, Predict, Settings, Train, UNetSettings
from snakeseg.training import estimate as room
from snakeseg.training.estimate import estimate_run

USAGE = namedtuple("Usage", ["total", "used", "free"])
NETWORK = UNetSettings(width=4, depth=2, normalisation="batch")
PARTS = pd.Series(["training", "training", "validation", "test"])
FACTS = pd.DataFrame({"shape": ["100x100"] * 4, "channels": 1})


@pytest.fixture
def told(monkeypatch, tmp_path):
    """The lines about a run on a machine of 1.5 billion operations a second."""
    monkeypatch.setattr(room, "operations_a_second", lambda *given: 1.5e9)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    def tell(folds=1, copies=4, **train) -> dict[str, str]:
        experiment = Experiment(
            network=NETWORK, train=Train(**{"steps": 100, "patch": 40, **train}), predict=Predict(average=False)
        )
        settings = Settings(augment=Augment(copies=copies), experiments={"a": experiment})
        lines = estimate_run(PARTS, FACTS, settings, folds, tmp_path / "not/there")
        return dict(line.split(": ", 1) for line in lines)

    return tell


def test_what_it_does(told):
    found = told(batch=2)
    assert found["images"] == "2 training, 1 validation, 1 test"
    assert found["training a"] == "1 x 100 steps of 2 patches of 40 x 40 pixels"
    assert set(found) == {"images", "training a", "memory", "disk", "time"}


def test_numbers_in_place_of_auto(told):
    assert told(patch="auto", batch="auto")["training a"].startswith("1 x 100 steps of ")
    assert "auto" not in str(told(patch="auto", batch="auto"))


def seconds(found: dict[str, str]) -> float:
    number, unit = found["time"].split()[1:3]
    return float(number) * {"s": 1, "min": 60, "h": 3600}[unit]


def test_time_is_in_proportion_to_steps_and_folds(told):
    once = seconds(told(steps=100_000))
    assert seconds(told(steps=200_000)) == pytest.approx(2 * once, rel=0.1)
    assert seconds(told(steps=100_000, folds=3)) == pytest.approx(3 * once, rel=0.1)
    assert seconds(told(steps=5, minutes=30.0)) == 1800


def test_more_copies_take_more_room(told, monkeypatch):
    """Less than half of the room stops a run, less than all of it is said."""
    free = {"bytes": 1e12}
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: USAGE(0, 0, free["bytes"]))
    few, many = (float(told(copies=n)["disk"].split()[1]) for n in (0, 999))
    assert few < many
    free["bytes"] = many * 1e9 * 0.6
    assert told(copies=999)
    free["bytes"] = many * 1e9 * 0.4
    with pytest.raises(ValueError, match=r"GB free; expected about .* GB for results; free some"):
        told(copies=999)


def test_machines_are_timed():
    assert 1e7 < room.operations_a_second(2, 8, "float32") < 1e15
