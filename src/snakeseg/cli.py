"""The command line: one subcommand per rule of the workflow, plus `predict` for files outside any sheet."""

import argparse
import os
import re
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from snakeseg import __version__
from snakeseg.text import did_you_mean, printable_lines


class Parser(argparse.ArgumentParser):
    """Whose errors propose what may have been meant."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if choice:
            known = re.findall(r"[\w-]+", choice[2])
            message = f"{message}; {did_you_mean(choice[1], known, 'see --help')}"
        super().error(message)

    def parse_args(self, args=None, namespace=None):
        """As argparse does, but for options that nobody knows."""
        given, unknown = self.parse_known_args(args, namespace)
        if unknown:
            own = next(action for action in self._actions if action.dest == "command").choices[given.command]
            options = [option for action in own._actions for option in action.option_strings]
            remedy = did_you_mean(unknown[0], options, "see --help")
            self.error(f"unrecognized arguments: {' '.join(unknown)}; {remedy}")
        return given


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
    """Return the parser of all subcommands and their options; nothing heavy is imported to print help."""
    top = Parser(prog="snakeseg", description="From images to trained, evaluated segmentation.")
    top.add_argument("--version", action="version", version=f"snakeseg {__version__}")
    shells = ("bash", "zsh", "tcsh")
    top.add_argument("--completion", action=Completion, choices=shells, help="print what makes a shell complete")
    top.add_argument("--debug", action="store_true", help="show tracebacks")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for declare in (
        _declare_init,
        _declare_images,
        _declare_checks,
        _declare_preparation,
        _declare_training,
        _declare_prediction,
        _declare_export,
        _declare_objects,
        _declare_evaluation,
        _declare_monitor,
    ):
        declare(commands)
    return top


def _declare(commands, module: str, name: str, description: str, *options: str) -> argparse.ArgumentParser:
    """Add a subcommand that the function of its name in `snakeseg.commands.MODULE` runs, with options of `OPTIONS`."""
    command = commands.add_parser(name, help=description, description=description)
    command.set_defaults(module=module)
    command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks")
    for option in options:
        command.add_argument(option, **OPTIONS[option])
    return command


def _declare_init(commands) -> None:
    text = "look at a folder of images and labels, and write a config and a sample sheet for it"
    init = _declare(commands, "init", "init", text)
    init.add_argument("folder", type=Path, help="folder to look at, with all below it")
    init.add_argument("-o", "--output", type=Path, help="config to write, the sheet beside it; by default FOLDER.yaml")
    init.add_argument("--layout", choices=LAYOUTS, help="what the folder is, if it is taken for something else")
    init.add_argument("--yes", action="store_true", help="write without asking, as from a script")
    init.add_argument("--json", action="store_true", help="for programs; asks nothing")


def _declare_images(commands) -> None:
    text = "labels of a plane to outlines (GeoJSON, ImageJ's ROI), or outlines or masks to labels"
    convert = _declare(commands, "images", "convert", text, "--output")
    convert.add_argument(
        "input", type=Path, help="a label image; .geojson, .roi or .zip; or a folder of masks, one for each object"
    )
    convert.add_argument(
        "--like", type=Path, help="the image that outlines or masks were drawn on: its shape and format"
    )
    sheet = _declare(commands, "images", "sheet", "write a sample sheet of images to predict", "--output")
    sheet.add_argument("images", help="a folder of images, or a pattern such as 'plates/*/*.tif'")
    _declare(commands, "images", "simulate", "make the demo's images and labels", "--settings", "--output")


def _declare_checks(commands) -> None:
    declare = partial(_declare, commands, "checks")
    declare("inspect", "read the files of a batch", *SHEET, "--batch", "--settings", "--output")
    text = "report all problems of the input at once (of a config: snakemake check)"
    check = declare("check", text, *SHEET, "--inspected", "--settings", "--output")
    check.add_argument("--trained", type=int, default=1, help="how many folds are trained, for what is said of time")
    check.add_argument("--json", action="store_true", help="for programs")
    report = declare("data-report", "write a page about the data", *SHEET, "--inspected", "--settings", "--output")
    report.add_argument("--name", required=True, help="of the run")


def _declare_preparation(commands) -> None:
    declare = partial(_declare, commands, "prepare")
    declare("statistics", "grey values and class counts of all training images", *SHEET, "--settings", "--output")
    text = "normalise a batch of training images"
    declare("prepare", text, *SHEET, "--batch", "--settings", "--statistics", "--output")
    declare("augment", "make elastic copies of a prepared batch", "--prepared", "--settings", "--output")
    text = "compute border-aware loss weights"
    declare("weigh", text, "--prepared", "--augmented", "--settings", "--statistics", "--output")


def _declare_training(commands) -> None:
    declare = partial(_declare, commands, "train")
    stores = ("--prepared", "--augmented", "--weights")
    options = (*SHEET, "--fold", *stores, "--settings", "--start", "--threads", "--gpus", "--output")
    declare("train", "train one model", *options)
    declare("learning-rate", "plot the loss over rising learning rates, and propose one", *options)
    text = "measure a trained network: size, cost, checkerboard"
    declare("measure", text, "--model", "--threads", "--gpus", "--output")
    fetch = declare("fetch-weights", "download published weights to start from, and check them", "--output")
    fetch.add_argument("name", choices=["vgg16"], help="which")
    fetch.add_argument("--url", help="an https:// address, if not their publisher's; the same file is expected there")


def _declare_prediction(commands) -> None:
    declare = partial(_declare, commands, "predict")
    options = (*SHEET, "--batch", "--fold", "--settings", "--threads", "--gpus")
    text = "predict images with a model, or with the mean of an experiment's models"
    predict = declare("predict", text, *options, "--probabilities")
    predict.add_argument("-o", "--output", type=Path, help="folder for one label file per image")
    predict.add_argument("--plan", type=Path, help="tiles from `plan`, in place of a plan of its own")
    predict.add_argument("--part", default="0/1", help="K/N: the K-th (from 0) of N parts of each image")
    predict.add_argument("--keep-probabilities", action="store_true", help="of all classes, of semantic labels too")
    predict.add_argument("--uncertainty", action="store_true", help="maps of it, kept with the probabilities")
    _add_models_and_images(predict)
    plan = declare("plan", "print how images will be tiled, and the time and memory that it takes", *options)
    plan.add_argument("-o", "--output", type=Path, help="file for the tiles, for `predict --plan`")
    plan.add_argument("--json", action="store_true", help="for programs")
    _add_models_and_images(plan)
    declare("calibrate", "measure tiles of a model on this device", "--model", "--threads", "--gpus", "--output")


def _add_models_and_images(command: argparse.ArgumentParser) -> None:
    text = "folder of a model, or of an experiment's fold-* models, or a package from `export`"
    command.add_argument("model", type=Path, help=text)
    text = "image files or folders of them; without any, rows of --sheet"
    command.add_argument("images", type=Path, nargs="*", help=text)
    command.add_argument("--ensemble", type=Path, nargs="+", help="more such folders, to average with")
    command.add_argument("--folds", type=int, nargs="+", help="average these folds; by default all there are")
    command.add_argument("--memory-gb", type=float, help="memory to stay within; by default half of what is free")
    _add_skip_golden(command)


def _add_skip_golden(command: argparse.ArgumentParser) -> None:
    command.add_argument("--skip-golden", action="store_true", help="do not check that models answer as when trained")


def _declare_export(commands) -> None:
    text = "write a package of a model for other programs, tested with what it was made for"
    export = _declare(commands, "export", "export", text, "--settings")
    export.add_argument("model", type=Path, help="folder of a model")
    formats = ("bioimageio", "onnx", "torchscript", "monai")
    export.add_argument("--format", required=True, choices=formats, help="whom it is for")
    export.add_argument("-o", "--output", type=Path, required=True, help="a new folder, or a file that ends in .zip")
    export.add_argument("--scores", type=Path, help="folder from `evaluate`, of images it was not trained on")
    _add_skip_golden(export)


def _declare_objects(commands) -> None:
    declare = partial(_declare, commands, "objects")
    text = "choose how objects are cut out, on validation images"
    declare("tune", text, *SHEET, "--models", "--stores", "--settings")
    instances = declare("instances", "cut objects out of probabilities", *SHEET, "--model", "--output")
    instances.add_argument("--probabilities", type=Path, nargs="+", required=True, help="stores, one for each part")


def _declare_evaluation(commands) -> None:
    declare = partial(_declare, commands, "evaluate")
    options = ("--batch", "--fold", "--experiment", "--predictions", "--settings", "--output")
    declare("evaluate", "score predictions against labels", *SHEET, *options)
    summarise = declare("summarise", "gather the score tables", "--sheet", "--tables", "--output")
    summarise.add_argument("--experiments", nargs="+", required=True, help="their names")
    summarise.add_argument("--folds", type=int, nargs="+", required=True, help="their numbers")
    declare("compare", "test experiments against each other", "--images", "--output")
    declare("report", "write the report and its figures", *SHEET, "--run", "--settings", "--output")


def _declare_monitor(commands) -> None:
    declare = partial(_declare, commands, "monitor")
    status = declare("status", "what became of a run: every job that is not finished, why, and what to do")
    status.add_argument("run", nargs="?", help="name of the run; by default the one last worked on here")
    status.add_argument("--watch", action="store_true", help="look again every 15 seconds, until snakemake ends")
    doctor = declare("doctor", "check what a run needs: packages, device, profile, file system")
    doctor.add_argument("--profile", type=Path, help="folder of a Snakemake profile to check, such as profiles/slurm")
    doctor.add_argument("--submit", action="store_true", help="send a short GPU job with the profile")
    for command in (status, doctor):
        command.add_argument("--json", action="store_true", help="for programs")
    declare("probe", "tell what a job finds where it runs", "--output")


# The layouts of `snakeseg.setup.detect`.
LAYOUTS = ("bids", "nnunet", "ctc", "names")
# Options that name the rows of a sheet.
SHEET = ("--sheet", "--data")
# Options of more than one subcommand, or of a subcommand that has no others.
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

    # No process that is started from here imports modules from the working folder, where others may write.
    os.environ["PYTHONSAFEPATH"] = "1"

    try:
        module = import_module(f"snakeseg.commands.{given.module}")
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
