"""The command line: one subcommand for each rule of the workflow, and those for use by hand."""

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
    """Argument parser whose errors propose the closest command, option or choice."""

    def error(self, message: str) -> NoReturn:
        """Print an error with the closest choice, and exit with 2."""
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if choice:
            choices = re.findall(r"[\w-]+", choice[2])
            message = f"{message}; {did_you_mean(choice[1], choices, 'see --help')}"
        super().error(message)

    def parse_args(self, args=None, namespace=None):
        """Parse arguments; suggest the closest option for an unknown one."""
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            command = next(action for action in self._actions if action.dest == "command").choices[parsed.command]
            options = [option for action in command._actions for option in action.option_strings]
            remedy = did_you_mean(unknown[0], options, "see --help")
            self.error(f"unrecognized arguments: {' '.join(unknown)}; {remedy}")
        return parsed


class Completion(argparse.Action):
    """Option that prints a script with which a shell completes commands, options and files."""

    def __call__(self, parser, namespace, values, option_string=None) -> NoReturn:
        """Print the script for a shell, and exit."""
        import shtab

        commands = next(action for action in parser._actions if action.dest == "command").choices.values()
        for action in (action for sub in commands for action in sub._actions if action.type is Path):
            action.complete = shtab.FILE
        print(shtab.complete(parser, shell=values))
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands and their options, without importing any heavy package."""
    top = Parser(
        prog="snakeseg", description="Train, evaluate and apply segmentation networks on microscopy images and volumes."
    )
    top.add_argument("--version", action="version", version=f"snakeseg {__version__}")
    shells = ("bash", "zsh", "tcsh")
    top.add_argument("--completion", action=Completion, choices=shells, help="print a completion script for this shell")
    top.add_argument("--debug", action="store_true", help="show tracebacks of errors")
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
    """Add a subcommand with options of `OPTIONS`; it runs the function of its name in `snakeseg.commands.MODULE`."""
    command = commands.add_parser(name, help=description, description=description)
    command.set_defaults(module=module)
    command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks of errors")
    for option in options:
        command.add_argument(option, **OPTIONS[option])
    return command


def _declare_init(commands) -> None:
    text = "write a config and a sample sheet for a folder of images and labels"
    init = _declare(commands, "init", "init", text)
    init.add_argument("folder", type=Path, help="folder with images and labels, also in subfolders")
    init.add_argument(
        "-o", "--output", type=Path, help="config to write, with the sheet beside it; default: FOLDER.yaml"
    )
    init.add_argument("--layout", choices=LAYOUTS, help="layout of the folder; default: detected")
    init.add_argument("--yes", action="store_true", help="write the files without asking")
    init.add_argument("--json", action="store_true", help="print the result as JSON, without asking")


def _declare_images(commands) -> None:
    text = "convert a 2D label image to outlines (GeoJSON, ImageJ ROI), or outlines or masks to a label image"
    convert = _declare(commands, "images", "convert", text, "--output")
    convert.add_argument(
        "input", type=Path, help="a label image; outlines (.geojson, .roi, .zip); or a folder of masks, one per object"
    )
    convert.add_argument(
        "--like", type=Path, help="the image on which outlines or masks were drawn, for shape and format of the labels"
    )
    sheet = _declare(commands, "images", "sheet", "write a sample sheet of images to predict", "--output")
    sheet.add_argument("images", help="a folder of images, or a pattern such as 'plates/*/*.tif'")
    _declare(commands, "images", "simulate", "simulate the images and labels of the demo", "--settings", "--output")


def _declare_checks(commands) -> None:
    declare = partial(_declare, commands, "checks")
    text = "check the files of a batch and collect facts about them"
    declare("inspect", text, *SHEET, "--batch", "--settings", "--output")
    text = "check the input and report all problems at once (with a config: snakemake check)"
    check = declare("check", text, *SHEET, "--inspected", "--settings", "--output")
    check.add_argument("--trained", type=int, default=1, help="number of folds to train, for the estimate of time")
    check.add_argument("--json", action="store_true", help="print the result as JSON")
    report = declare("data-report", "write the report about the data", *SHEET, "--inspected", "--settings", "--output")
    report.add_argument("--name", required=True, help="name of the run")


def _declare_preparation(commands) -> None:
    declare = partial(_declare, commands, "prepare")
    text = "compute statistics of intensities and classes over all training images"
    declare("statistics", text, *SHEET, "--settings", "--output")
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
    declare("learning-rate", "plot the loss over rising learning rates, and propose a learning rate", *options)
    text = "measure a trained network: parameters, cost, checkerboard artefacts"
    declare("measure", text, "--model", "--threads", "--gpus", "--output")
    fetch = declare("fetch-weights", "download published weights to start from, and check them", "--output")
    fetch.add_argument("name", choices=["vgg16"], help="name of the weights")
    fetch.add_argument("--url", help="another https:// address of the same file; default: that of the publisher")


def _declare_prediction(commands) -> None:
    declare = partial(_declare, commands, "predict")
    options = (*SHEET, "--batch", "--fold", "--settings", "--threads", "--gpus")
    text = "predict images with a model, or with the mean of several models"
    predict = declare("predict", text, *options, "--probabilities")
    predict.add_argument("-o", "--output", type=Path, help="folder for the label files, one per image")
    predict.add_argument("--plan", type=Path, help="tile sizes from `plan`; default: chosen anew")
    predict.add_argument("--part", default="0/1", help="K/N: the K-th (from 0) of N parts of each image")
    predict.add_argument("--keep-probabilities", action="store_true", help="also write all class probabilities")
    predict.add_argument("--uncertainty", action="store_true", help="also write maps of the uncertainty")
    _add_models_and_images(predict)
    plan = declare("plan", "print how images will be tiled, with the time and memory that it takes", *options)
    plan.add_argument("-o", "--output", type=Path, help="file for the tile sizes, for `predict --plan`")
    plan.add_argument("--json", action="store_true", help="print the result as JSON")
    _add_models_and_images(plan)
    text = "measure time and memory of tiles of a model on this device"
    declare("calibrate", text, "--model", "--threads", "--gpus", "--output")


def _add_models_and_images(command: argparse.ArgumentParser) -> None:
    text = "folder of a model, or of an experiment (with fold-* models), or a package from `export`"
    command.add_argument("model", type=Path, help=text)
    text = "image files, or folders of images; without any, rows of --sheet"
    command.add_argument("images", type=Path, nargs="*", help=text)
    command.add_argument("--ensemble", type=Path, nargs="+", help="further models to average with")
    command.add_argument("--folds", type=int, nargs="+", help="numbers of the folds to average; default: all")
    command.add_argument("--memory-gb", type=float, help="limit of memory in GB; default: half of the free memory")
    _add_skip_golden(command)


def _add_skip_golden(command: argparse.ArgumentParser) -> None:
    command.add_argument("--skip-golden", action="store_true", help="skip the test that a model works as when trained")


def _declare_export(commands) -> None:
    text = "pack a model for another program, and test the package with that program"
    export = _declare(commands, "export", "export", text, "--settings")
    export.add_argument("model", type=Path, help="folder of a model")
    formats = ("bioimageio", "onnx", "torchscript", "monai")
    export.add_argument("--format", required=True, choices=formats, help="format of the package")
    export.add_argument("-o", "--output", type=Path, required=True, help="folder to make, or file that ends in .zip")
    export.add_argument("--scores", type=Path, help="folder from `evaluate`, of images not used in training")
    _add_skip_golden(export)


def _declare_objects(commands) -> None:
    declare = partial(_declare, commands, "objects")
    text = "choose the parameters that separate objects, on validation images"
    declare("tune", text, *SHEET, "--models", "--stores", "--settings")
    instances = declare("instances", "segment objects from probabilities", *SHEET, "--model", "--output")
    instances.add_argument("--probabilities", type=Path, nargs="+", required=True, help="stores, one per part")
    instances.add_argument("--cross-fitted", action="store_true", help="use parameters chosen on the other groups")


def _declare_evaluation(commands) -> None:
    declare = partial(_declare, commands, "evaluate")
    options = ("--batch", "--fold", "--experiment", "--predictions", "--settings", "--output")
    declare("evaluate", "score predictions against labels", *SHEET, *options)
    summarise = declare("summarise", "concatenate and summarise the score tables", "--sheet", "--tables", "--output")
    summarise.add_argument("--experiments", nargs="+", required=True, help="names of the experiments")
    summarise.add_argument("--folds", type=int, nargs="+", required=True, help="numbers of the folds")
    declare("compare", "test experiments against each other", "--images", "--output")
    declare("report", "write the report and its figures", *SHEET, "--run", "--settings", "--output")


def _declare_monitor(commands) -> None:
    declare = partial(_declare, commands, "monitor")
    status = declare("status", "list the unfinished jobs of a run, with the cause of each failure and its remedy")
    status.add_argument("run", nargs="?", help="name of the run; default: the latest one in this folder")
    status.add_argument("--watch", action="store_true", help="repeat every 15 seconds until snakemake ends")
    doctor = declare("doctor", "check packages, device, profile and file system of this machine")
    doctor.add_argument("--profile", type=Path, help="folder of a Snakemake profile to check, such as profiles/slurm")
    doctor.add_argument("--submit", action="store_true", help="submit a short GPU job with the profile")
    for command in (status, doctor):
        command.add_argument("--json", action="store_true", help="print the result as JSON")
    declare("probe", "describe the node on which it runs", "--output")


# Names of the layouts of `snakeseg.setup.detect`.
LAYOUTS = ("bids", "nnunet", "ctc", "names")
# Options that name the sample sheet and its data folder.
SHEET = ("--sheet", "--data")
# Options that several subcommands share, and those of subcommands without options of their own.
OPTIONS = {
    "--settings": {"default": "{}", "help": "sections of the config, as JSON"},
    "--output": {"type": Path, "required": True, "help": "file or folder to write"},
    "--sheet": {"type": Path, "help": "sample sheet"},
    "--data": {"type": Path, "help": "folder to which paths in the sheet are relative"},
    "--batch": {"help": "name of the batch of rows to use"},
    "--fold": {"type": int, "help": "number of the fold that is held out for validation"},
    "--inspected": {"type": Path, "required": True, "help": "folder of files from `inspect`"},
    "--statistics": {"type": Path, "help": "file from `statistics`"},
    "--prepared": {"type": Path, "nargs": "+", "default": [], "help": "stores from `prepare`, or a folder of them"},
    "--augmented": {"type": Path, "nargs": "+", "default": [], "help": "stores from `augment`, or a folder of them"},
    "--weights": {"type": Path, "nargs": "+", "default": [], "help": "stores from `weigh`, or a folder of them"},
    "--start": {"type": Path, "help": "weights to start from, matched by layer name"},
    "--threads": {"type": int, "default": 1, "help": "number of compute threads; equal numbers give identical results"},
    "--gpus": {"type": int, "default": 1, "help": "number of GPUs to use; 0 for CPU only"},
    "--probabilities": {"type": Path, "help": "store of class probabilities to write"},
    "--models": {"type": Path, "nargs": "+", "required": True, "help": "folders of the models, one per store"},
    "--stores": {"type": Path, "nargs": "+", "required": True, "help": "stores of the held-out images' probabilities"},
    "--model": {"type": Path, "required": True, "help": "folder of a model"},
    "--experiment": {"required": True, "help": "name of the experiment"},
    "--predictions": {"type": Path, "required": True, "help": "folder of predicted label files"},
    "--tables": {"type": Path, "required": True, "help": "folder that holds the folders from `evaluate`"},
    "--images": {"type": Path, "required": True, "help": "table of images from `summarise`"},
    "--run": {"type": Path, "required": True, "help": "folder of the run's results"},
}


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand and return its exit code.

    Parameters
    ----------
    arguments : list of str, optional
        The command line without the name of the program; by default that of this process.

    Returns
    -------
    int
        0 on success, 1 on bad input or failure, 75 if a signal stopped the work and the same command resumes it, 130 on
        an interrupt from the keyboard. A wrong command line exits with 2.
    """
    args = parser().parse_args(arguments)
    from snakeseg.errors import EXIT_STOPPED, Interrupted

    # Keeps child processes from importing modules from the working folder, where others may write.
    os.environ["PYTHONSAFEPATH"] = "1"

    try:
        module = import_module(f"snakeseg.commands.{args.module}")
        return getattr(module, args.command.replace("-", "_"))(args) or 0
    except KeyboardInterrupt:
        return 130
    except Interrupted as stop:
        print(printable_lines(stop), file=sys.stderr)
        return EXIT_STOPPED
    except Exception as error:  # the user gets a message instead of a traceback
        if args.debug:
            raise
        print(printable_lines(_message(error)), file=sys.stderr)
        return 1


def _message(error: Exception) -> str:
    """Return the lines to print for an error."""
    lines = [f"error: {line}" for line in str(error).splitlines() or [""]]
    if isinstance(error, ValueError | OSError | FloatingPointError):
        return "\n".join(lines)
    return f"error: {type(error).__name__}: {error}; this should not happen, add --debug for details"
