"""Run all steps of `snakeseg init`: from a folder to the sample sheet and the config to write."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from snakeseg.io.sheet import assign_folds
from snakeseg.setup.config_file import config_text
from snakeseg.setup.detect import read_layout
from snakeseg.setup.groups import assign_groups, choose_folds
from snakeseg.setup.layout import LAYOUT_COLUMNS, Layout
from snakeseg.setup.left_out import describe_use
from snakeseg.setup.proposal import Proposal, propose_settings
from snakeseg.setup.survey import Survey, survey_files


class SetupPlan(NamedTuple):
    """Interpretation of a folder and the proposed settings.

    Attributes
    ----------
    layout : Layout
        Images and labels of the folder.
    found : Survey
        Facts about the images and labels.
    sheet : DataFrame
        Sample sheet to write; paths relative to the root of the layout.
    together : str
        Description of the groups; "" if every image is a group of its own.
    folds : (dict, str)
        Keys of the config about folds, and their explanation.
    proposal : Proposal
        Proposed settings.
    left_out : str
        Description of unlabelled images that are not in the sheet, to save time; "" without any.
    use : str
        Number of images that are used, and reasons for those that are left out.
    """

    layout: Layout
    found: Survey
    sheet: pd.DataFrame
    together: str
    folds: tuple[dict, str]
    proposal: Proposal
    left_out: str
    use: str

    def config(self, name: str, sheet: Path) -> str:
        """Return the text of the config of a run, given its name and the path of its sheet."""
        paths = {"name": name, "sheet": str(sheet), "data": str(self.layout.root)}
        return config_text(paths, self.use, self.found, self.folds, self.proposal)


def plan_setup(folder: Path, layout: str | None) -> SetupPlan:
    """Read a folder, survey its files and propose a sample sheet and a config.

    Parameters
    ----------
    folder : path
        Folder of images and labels.
    layout : str or None
        Name of the layout (a key of `detect.LAYOUTS`); None to detect it.

    Returns
    -------
    SetupPlan
        Sample sheet, config and their explanations; nothing is written.

    Raises
    ------
    BadInput, BadInputs
        From `read_layout`, `survey_files` and `assign_folds`.
    """
    images = read_layout(folder, layout)
    survey = survey_files(images)
    # A folder with a validation part has already separated images that belong together.
    if images.validation:
        sheet, together = survey.sheet.assign(group=""), ""
    else:
        sheet, together = assign_groups(survey.sheet, survey.dims)
    folds = choose_folds(sheet, images.validation, survey.classes)
    with_groups = sheet.assign(group=sheet["group"].where(sheet["group"] != "", sheet["sample"]))
    # Raises if no image is left to train on.
    assign_folds(with_groups, folds[0].get("folds", 1), folds[0].get("validation", []))
    proposal = propose_settings(survey)
    unlabelled = sheet.index[sheet["subset"] == "predict"]
    dropped = unlabelled[proposal.predicted :]
    left_out = ""
    if len(dropped):
        left_out = f"{len(dropped)} of {len(unlabelled)} images without labels are left out to save time"
        left_out += "; predict them later with snakeseg predict"
    sheet = sheet.drop(index=dropped)
    paths = images.sheet.loc[sheet.index, ["image", "label"]]
    kept = [column for column in LAYOUT_COLUMNS if column != "group" or (sheet["group"] != "").any()]
    use = describe_use(images, survey, sheet)
    return SetupPlan(images, survey, sheet.assign(**paths)[kept], together, folds, proposal, left_out, use)
