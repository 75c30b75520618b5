"""Optional event files for TensorBoard."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from snakeseg.errors import BadInput


@contextmanager
def event_writer(folder: Path, wanted: bool) -> Iterator[Callable[[dict], None] | None]:
    """Provide a function that writes a row of the history as scalars; None if `wanted` is False.

    A resumed training writes another event file into the folder, which starts at the step where it resumes.

    Parameters
    ----------
    folder : path
        Folder of the event files.
    wanted : bool

    Raises
    ------
    BadInput
        If TensorBoard is not installed.
    """
    if not wanted:
        yield None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        remedy = "pip install tensorboard, or set train.tensorboard to false"
        raise BadInput("train.tensorboard", "no TensorBoard", "the package tensorboard", remedy) from error
    writers: list[SummaryWriter] = []

    def write(row: dict) -> None:
        if not writers:
            writers.append(SummaryWriter(str(folder), purge_step=row["step"]))
        for name, value in row.items():
            if name != "step":
                writers[0].add_scalar(name, value, row["step"])

    try:
        yield write
    finally:
        for writer in writers:
            writer.close()
