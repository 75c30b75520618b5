"""The subcommand that writes a sample sheet and a config for a folder of images and labels."""

import json
import sys
from argparse import Namespace
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.io.files import atomic_file, write_text
from snakeseg.io.tables import write_table
from snakeseg.progress import log
from snakeseg.text import legal_name, printable_lines


def init(args: Namespace) -> int:
    """Find images and labels in a folder, show a proposal with a preview, and write sheet and config; 1 if declined."""
    from snakeseg.report.images.preview import draw_preview
    from snakeseg.setup.plan import plan_setup
    from snakeseg.setup.plan_text import describe_setup, next_command, plan_as_dict

    name = legal_name(args.folder.resolve().name)
    config = args.output or Path(f"{name}.yaml")
    table, picture = config.with_suffix(".tsv"), config.with_suffix(".png")
    for path in (config, table, picture):
        if path.exists():
            remedy = "move it away, or give another name: -o NAME.yaml"
            raise BadInput(path, "an existing file", "no file, since nothing is overwritten", remedy)
    made = plan_setup(args.folder, args.layout)
    for problem in made.found.problems:
        log(f"not understood: {problem}")
    if not args.json:
        print(printable_lines("\n".join(describe_setup(made))))
    with atomic_file(picture) as beside:
        draw_preview(beside, made.found.sheet, made.found.dims, made.found.labels)
    if not (args.yes or args.json) and not _user_confirms(picture):
        picture.unlink()
        return 1
    write_table(table, made.sheet)
    write_text(config, made.config(name, table))
    if args.json:
        print(json.dumps({**plan_as_dict(made), "config": str(config), "sheet": str(table), "picture": str(picture)}))
    else:
        print(f"wrote:  {config}, {table}; look at {picture}\nnext:   {next_command(config)}")
        print(f"then:   results/{name}/report.html")
        print(printable_lines(made.use))
    return 0


def _user_confirms(picture: Path) -> bool:
    """Ask on the terminal whether to write the files; True if stdin is not a terminal."""
    if not sys.stdin.isatty():
        return True
    return input(f"Look at {picture}. Write config and sheet? [Y/n] ").strip().lower() in ("", "y", "yes")
