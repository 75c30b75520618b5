"""The subcommand that makes packages of models."""

from argparse import Namespace

from snakeseg.progress import tell
from snakeseg.settings import read_settings


def export(given: Namespace) -> None:
    """A folder or a zip."""
    from snakeseg.devices import choose_device
    from snakeseg.evaluation.summary import HEADLINES, summarise
    from snakeseg.io.tables import read_table
    from snakeseg.models.export.package import export as write_package

    choose_device(0, 1)  # jobs run side by side
    settings = read_settings(given.settings).export
    scores = summarise(read_table(given.scores / "images.tsv")) if given.scores else None
    if scores is not None:
        scores["headline"] = scores["metric"].isin(HEADLINES)
    write_package(given.model, given.format, given.output, settings, scores, given.skip_golden)
    tell(given.output)
