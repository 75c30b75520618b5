"""Event files for TensorBoard."""

import builtins

import pytest

from snakeseg.errors import BadInput
from snakeseg.training.tensorboard import event_writer


def test_every_number_of_the_history_is_written(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for steps in (range(3), range(2, 5)):  # interrupted after step 2, resumed from step 2
        with event_writer(tmp_path / "events", True) as write:
            for step in steps:
                write({"step": step, "loss": 1 / (1 + step), "pixels_1": 10 * step})
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    assert events.Tags()["scalars"] == ["loss", "pixels_1"]
    assert [event.step for event in events.Scalars("loss")] == [0, 1, 2, 3, 4]
    assert [event.value for event in events.Scalars("pixels_1")] == [0, 10, 20, 30, 40]


def test_nothing_is_written_unless_enabled(tmp_path):
    with event_writer(tmp_path / "events", False) as write:
        assert write is None
    assert not list(tmp_path.iterdir())


def test_missing_tensorboard_is_an_error_with_remedy(tmp_path, monkeypatch):
    original_import = builtins.__import__

    def refuse(name, *rest):
        if name == "torch.utils.tensorboard":
            raise ImportError(name)
        return original_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(BadInput, match="pip install tensorboard"), event_writer(tmp_path, True):
        pass
