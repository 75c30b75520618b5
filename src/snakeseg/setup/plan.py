"""All of it in one: from a folder to what is to be written."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from snakeseg.io.sheet import assign_folds
from snakeseg.setup.config_file import config_text
from snakeseg.setup.detect import understand
from snakeseg.setup.groups import folds_of, grouped
from snakeseg.setup.layout import COLUMNS, Layout
from snakeseg.setup.proposal import Proposal, propose
from snakeseg.setup.survey import Survey, look


class Plan(NamedTuple):
    """What was understood of a folder, and what is proposed.

    Parameters
    ----------
    layout : Layout
    found : Survey
    sheet : DataFrame
        As it is to be written: paths from the layout's root.
    together : str
        Why images are in groups, in words; "" if they are not.
    folds : (dict, str)
        Keys of the config about who is held out, and what they mean.
    proposal : Proposal
    left_out : str
        What is not in the sheet for the sake of time, in words.
    """

    layout: Layout
    found: Survey
    sheet: pd.DataFrame
    together: str
    folds: tuple[dict, str]
    proposal: Proposal
    left_out: str

    def config(self, name: str, sheet: Path) -> str:
        """The config's text, for a run of that name with its sheet at that path."""
        return config_text(name, sheet, self.layout.root, self.found, self.folds, self.proposal)


def plan(folder: Path, layout: str | None) -> Plan:
    """Find, look and propose; errors as in `understand`, `look` and `assign_folds`."""
    read = understand(folder, layout)
    found = look(read)
    # Who holds images out knows what belongs together.
    sheet, together = (found.sheet.assign(group=""), "") if read.validation else grouped(found.sheet, found.dims)
    folds = folds_of(sheet, read.validation)
    own = sheet.assign(group=sheet["group"].where(sheet["group"] != "", sheet["sample"]))
    assign_folds(own, folds[0].get("folds", 1), read.validation)  # tells if nobody would be left to train on
    proposal = propose(found)
    unlabelled = sheet.index[sheet["subset"] == "predict"]
    dropped = unlabelled[proposal.predicted :]
    left_out = ""
    if len(dropped):
        left_out = f"{len(dropped)} of {len(unlabelled)} images without labels are left to `snakeseg predict`, for now"
    sheet = sheet.drop(index=dropped)
    paths = read.sheet.loc[sheet.index, ["image", "label"]]
    kept = [column for column in COLUMNS if column != "group" or (sheet["group"] != "").any()]
    return Plan(read, found, sheet.assign(**paths)[kept], together, folds, proposal, left_out)
