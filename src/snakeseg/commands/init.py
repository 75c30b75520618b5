"""The subcommand that comes before all others: from a folder to a sheet and a config."""

import json
import sys
from argparse import Namespace
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.io.files import atomic_file, write_text
from snakeseg.io.tables import write_table
from snakeseg.progress import tell
from snakeseg.text import legal_name, printable_lines


def init(given: Namespace) -> int:
    """Find images and labels, look at them, show what was understood, write where to begin; overwrites nothing."""
    from snakeseg.report.images.preview import draw
    from snakeseg.setup.plan import plan
    from snakeseg.setup.text import for_programs, in_words, next_command

    name = legal_name(given.folder.resolve().name)
    config = given.output or Path(f"{name}.yaml")
    table, picture = config.with_suffix(".tsv"), config.with_suffix(".png")
    for path in (config, table, picture):
        if path.exists():
            raise BadInput(path, "a file", "none: nothing is overwritten", "move it away, or give another name: -o")
    made = plan(given.folder, given.layout)
    for problem in made.found.problems:
        tell(f"not understood: {problem}")
    if not given.json:
        print(printable_lines("\n".join(in_words(made))))
    with atomic_file(picture) as beside:
        draw(beside, made.found.sheet, made.found.dims, made.found.labels)
    if not (given.yes or given.json) and not _agreed(picture):
        picture.unlink()
        return 1
    write_table(table, made.sheet)
    write_text(config, made.config(name, table))
    if given.json:
        print(json.dumps({**for_programs(made), "config": str(config), "sheet": str(table), "picture": str(picture)}))
    else:
        print(f"wrote:  {config}, {table}; look at {picture}\nnext:   {next_command(config)}")
        print(f"then:   results/{name}/report.html")
    return 0


def _agreed(picture: Path) -> bool:
    """Return the answer of a person at a terminal; True if stdin is no terminal."""
    if not sys.stdin.isatty():
        return True
    return input(f"Look at {picture}. Write config and sheet? [Y/n] ").strip().lower() in ("", "y", "yes")
