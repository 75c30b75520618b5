"""The subcommand that packs models for other programs."""

from argparse import Namespace

from snakeseg.progress import log
from snakeseg.settings import read_settings


def export(args: Namespace) -> None:
    """Write a package of a model, as a folder or a zip."""
    from snakeseg.devices import choose_device
    from snakeseg.evaluation.summary import HEADLINES, summarise
    from snakeseg.io.tables import read_table
    from snakeseg.models.export.package import export as write_package

    choose_device(0, 1)  # one CPU thread, since several jobs may run side by side
    settings = read_settings(args.settings).export
    scores = summarise(read_table(args.scores / "images.tsv")) if args.scores else None
    if scores is not None:
        scores["headline"] = scores["metric"].isin(HEADLINES)
    write_package(args.model, args.format, args.output, settings, scores, args.skip_golden)
    log(args.output)
