"""The command line: one subcommand per rule of the workflow, plus `predict` for files outside any sheet."""

import argparse
import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from snakeseg import __version__


class Parser(argparse.ArgumentParser):
    """Whose errors propose what may have been meant."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        super().error(_meant(message, choice[1], re.findall(r"[\w-]+", choice[2])) if choice else message)

    def parse_args(self, args=None, namespace=None):
        """As argparse does, but for options that nobody knows."""
        given, unknown = self.parse_known_args(args, namespace)
        if unknown:
            own = next(action for action in self._actions if action.dest == "command").choices[given.command]
            options = [option for action in own._actions for option in action.option_strings]
            self.error(_meant(f"unrecognized arguments: {' '.join(unknown)}", unknown[0], options))
        return given


def _meant(message: str, word: str, known: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1)
    return f"{message}; did you mean '{close[0]}'?" if close else message


class Completion(argparse.Action):
    """Prints what makes a shell complete commands, options and files."""

    def __call__(self, parser, namespace, values, option_string=None) -> NoReturn:
        """Print it, and end."""
        import shtab

        commands = next(action for action in parser._actions if action.dest == "command").choices.values()
        for action in (action for sub in commands for action in sub._actions if action.type is Path):
            action.complete = shtab.FILE
        print(shtab.complete(parser, shell=values))
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """All subcommands and their options; nothing heavy is imported to print help."""
    top = Parser(prog="snakeseg", description="From images to trained, evaluated segmentation.")
    top.add_argument("--version", action="version", version=f"snakeseg {__version__}")
    shells = ("bash", "zsh", "tcsh")
    top.add_argument("--completion", action=Completion, choices=shells, help="print what makes a shell complete")
    top.add_argument("--debug", action="store_true", help="show tracebacks")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, *options: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks")
        for option in options:
            sub.add_argument(option, **OPTIONS[option])
        return sub

    sheet = ("--sheet", "--data")
    command("simulate", "make the demo's images and labels", "--settings", "--output")
    command("inspect", "read the files of a batch", *sheet, "--batch", "--settings", "--output")
    made = command(
        "check", "report all problems of the input at once (of a config: snakemake check)", *sheet, "--inspected",
        "--settings", "--output",
    )  # fmt: skip
    made.add_argument("--trained", type=int, default=1, help="how many folds are trained, for what is said of time")
    made.add_argument("--json", action="store_true", help="for programs")
    made = command("data-report", "write a page about the data", *sheet, "--inspected", "--settings", "--output")
    made.add_argument("--name", required=True, help="of the run")
    command("statistics", "grey values and class counts of all training images", *sheet, "--settings", "--output")
    command(
        "prepare", "normalise a batch of training images", *sheet, "--batch", "--settings", "--statistics", "--output"
    )
    command("augment", "make elastic copies of a prepared batch", "--prepared", "--settings", "--output")
    command(
        "weigh",
        "compute border-aware loss weights",
        "--prepared",
        "--augmented",
        "--settings",
        "--statistics",
        "--output",
    )
    command(
        "train", "train one model", *sheet, "--fold", "--prepared", "--augmented", "--weights", "--settings",
        "--start", "--threads", "--gpus", "--output",
    )  # fmt: skip
    command(
        "learning-rate", "plot the loss over rising learning rates, and propose one", *sheet, "--fold", "--prepared",
        "--augmented", "--weights", "--settings", "--start", "--threads", "--gpus", "--output",
    )  # fmt: skip
    predict = command(
        "predict", "predict images with a model, or with the mean of an experiment's models",
        *sheet, "--batch", "--fold", "--settings", "--threads", "--gpus", "--probabilities",
    )  # fmt: skip
    predict.add_argument("-o", "--output", type=Path, help="folder for one label file per image")
    predict.add_argument("--plan", type=Path, help="tiles from `plan`, in place of a plan of its own")
    predict.add_argument("--part", default="0/1", help="K/N: the K-th (from 0) of N parts of each image")
    predict.add_argument("--keep-probabilities", action="store_true", help="of all classes, of semantic labels too")
    predict.add_argument("--uncertainty", action="store_true", help="maps of it, kept with the probabilities")
    plan = command(
        "plan", "print how images will be tiled, and the time and memory that it takes",
        *sheet, "--batch", "--fold", "--settings", "--threads", "--gpus",
    )  # fmt: skip
    plan.add_argument("-o", "--output", type=Path, help="file for the tiles, for `predict --plan`")
    plan.add_argument("--json", action="store_true", help="for programs")
    for sub in (predict, plan):
        sub.add_argument(
            "model",
            type=Path,
            help="folder of a model, or of an experiment's fold-* models, or a package from `export`",
        )
        sub.add_argument(
            "images", type=Path, nargs="*", help="image files or folders of them; without any, rows of --sheet"
        )
        sub.add_argument("--ensemble", type=Path, nargs="+", help="more such folders, to average with")
        sub.add_argument("--folds", type=int, nargs="+", help="average these folds; by default all there are")
        sub.add_argument("--memory-gb", type=float, help="memory to stay within; by default half of what is free")
    export = command(
        "export", "write a package of a model for other programs, tested with what it was made for", "--settings"
    )
    export.add_argument("model", type=Path, help="folder of a model")
    export.add_argument(
        "--format", required=True, choices=["bioimageio", "onnx", "torchscript", "monai"], help="whom it is for"
    )
    export.add_argument("-o", "--output", type=Path, required=True, help="a new folder, or a file that ends in .zip")
    export.add_argument("--scores", type=Path, help="folder from `evaluate`, of images it was not trained on")
    for sub in (predict, plan, export):
        sub.add_argument("--skip-golden", action="store_true", help="do not check that models answer as when trained")
    made = command("init", "look at a folder of images and labels, and write a config and a sample sheet for it")
    made.add_argument("folder", type=Path, help="folder to look at, with all below it")
    made.add_argument("-o", "--output", type=Path, help="config to write, the sheet beside it; by default FOLDER.yaml")
    made.add_argument("--layout", choices=LAYOUTS, help="what the folder is, if it is taken for something else")
    made.add_argument("--yes", action="store_true", help="write without asking, as from a script")
    made.add_argument("--json", action="store_true", help="for programs; asks nothing")
    made = command(
        "convert", "labels of a plane to outlines (GeoJSON, ImageJ's ROI), or outlines or masks to labels", "--output"
    )
    made.add_argument(
        "input", type=Path, help="a label image; .geojson, .roi or .zip; or a folder of masks, one for each object"
    )
    made.add_argument("--like", type=Path, help="the image that outlines or masks were drawn on: its shape and format")
    made = command("sheet", "write a sample sheet of images to predict", "--output")
    made.add_argument("images", help="a folder of images, or a pattern such as 'plates/*/*.tif'")
    command("calibrate", "measure tiles of a model on this device", "--model", "--threads", "--gpus", "--output")
    command(
        "tune", "choose how objects are cut out, on validation images", *sheet, "--models", "--stores", "--settings"
    )
    instances = command("instances", "cut objects out of probabilities", *sheet, "--model", "--output")
    instances.add_argument("--probabilities", type=Path, nargs="+", required=True, help="stores, one for each part")
    command(
        "evaluate", "score predictions against labels", *sheet, "--batch", "--fold", "--experiment", "--predictions",
        "--settings", "--output",
    )  # fmt: skip
    command(
        "measure", "measure a trained network: size, cost, checkerboard", "--model", "--threads", "--gpus", "--output"
    )
    fetch = command("fetch-weights", "download published weights to start from, and check them", "--output")
    fetch.add_argument("name", choices=["vgg16"], help="which")
    fetch.add_argument("--url", help="an https:// address, if not their publisher's; the same file is expected there")
    summarise = command("summarise", "gather the score tables", "--sheet", "--tables", "--output")
    summarise.add_argument("--experiments", nargs="+", required=True, help="their names")
    summarise.add_argument("--folds", type=int, nargs="+", required=True, help="their numbers")
    command("compare", "test experiments against each other", "--images", "--output")
    command("report", "write the report and its figures", *sheet, "--run", "--settings", "--output")
    state = command("status", "what became of a run: every job that is not finished, why, and what to do")
    state.add_argument("run", nargs="?", help="name of the run; by default the one last worked on here")
    state.add_argument("--watch", action="store_true", help="look again every 15 seconds, until snakemake ends")
    doctor = command("doctor", "check what a run needs: packages, device, profile, file system")
    doctor.add_argument("--profile", type=Path, help="folder of a Snakemake profile to check, such as profiles/slurm")
    doctor.add_argument("--submit", action="store_true", help="send a short GPU job with the profile")
    for sub in (state, doctor):
        sub.add_argument("--json", action="store_true", help="for programs")
    command("probe", "tell what a job finds where it runs", "--output")
    return top


# The layouts of `snakeseg.setup.detect`.
LAYOUTS = ("bids", "nnunet", "ctc", "names")
# Which module of `snakeseg.commands` a subcommand is in.
MODULES = {
    "init": "init",
    "convert": "data",
    **dict.fromkeys(
        ("sheet", "simulate", "inspect", "check", "data-report", "statistics", "prepare", "augment", "weigh"),
        "data",
    ),
    **dict.fromkeys(("train", "learning-rate", "measure", "fetch-weights"), "train"),
    "export": "export",
    **dict.fromkeys(("predict", "plan", "calibrate"), "predict"),
    **dict.fromkeys(("tune", "instances"), "objects"),
    **dict.fromkeys(("evaluate", "summarise", "compare", "report"), "evaluate"),
    **dict.fromkeys(("status", "doctor", "probe"), "monitor"),
}

OPTIONS = {
    "--settings": {"default": "{}", "help": "sections of the config, as JSON"},
    "--output": {"type": Path, "required": True, "help": "what to write"},
    "--sheet": {"type": Path, "help": "sample sheet"},
    "--data": {"type": Path, "help": "folder that the sheet's relative paths start from"},
    "--batch": {"help": "rows of this batch"},
    "--fold": {"type": int, "help": "number of the fold that is held out"},
    "--inspected": {"type": Path, "required": True, "help": "folder of files from `inspect`"},
    "--statistics": {"type": Path, "help": "file from `statistics`"},
    "--prepared": {"type": Path, "nargs": "+", "default": [], "help": "stores from `prepare`, or a folder of them"},
    "--augmented": {"type": Path, "nargs": "+", "default": [], "help": "stores from `augment`, or a folder of them"},
    "--weights": {"type": Path, "nargs": "+", "default": [], "help": "stores from `weigh`, or a folder of them"},
    "--start": {"type": Path, "help": "weights to start from, by layer name"},
    "--threads": {"type": int, "default": 1, "help": "compute threads; the same number gives the same bits"},
    "--gpus": {"type": int, "default": 1, "help": "0 forbids the use of an accelerator"},
    "--probabilities": {"type": Path, "help": "store of class probabilities"},
    "--models": {"type": Path, "nargs": "+", "required": True, "help": "model folders, one per store"},
    "--stores": {"type": Path, "nargs": "+", "required": True, "help": "probabilities of the held-out images"},
    "--model": {"type": Path, "required": True, "help": "folder of a model"},
    "--experiment": {"required": True, "help": "name of the experiment"},
    "--predictions": {"type": Path, "required": True, "help": "folder of predicted label files"},
    "--tables": {"type": Path, "required": True, "help": "folder of the folders from `evaluate`"},
    "--images": {"type": Path, "required": True, "help": "table of images from `summarise`"},
    "--run": {"type": Path, "required": True, "help": "folder of the run's results"},
}


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; 0 if it went well, 1 on bad input or failure (made or found), 2 on a wrong command line."""
    given = parser().parse_args(arguments)
    from snakeseg.errors import STOPPED, Interrupted
    from snakeseg.text import printable_lines

    # No process that is started from here imports modules from the working folder, where others may write.
    os.environ["PYTHONSAFEPATH"] = "1"

    try:
        module = import_module(f"snakeseg.commands.{MODULES[given.command]}")
        return getattr(module, given.command.replace("-", "_"))(given) or 0
    except KeyboardInterrupt:
        return 130
    except Interrupted as stop:
        print(printable_lines(stop), file=sys.stderr)
        return STOPPED
    except Exception as error:  # whatever goes wrong, the user gets a message, not a traceback
        if given.debug:
            raise
        print(printable_lines(_message(error)), file=sys.stderr)
        return 1


def _message(error: Exception) -> str:
    lines = [f"error: {line}" for line in str(error).splitlines() or [""]]
    if isinstance(error, ValueError | OSError | FloatingPointError):
        return "\n".join(lines)
    return f"error: {type(error).__name__}: {error}; this should not happen, add --debug for details"
