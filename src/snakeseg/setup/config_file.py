"""Format the proposed settings as a config file with comments."""

import textwrap

import yaml

from snakeseg.settings import Labels
from snakeseg.setup.proposal import Proposal, ProposedKey
from snakeseg.setup.survey import Survey
from snakeseg.text import printable

MAX_COMMENT_CHARS = 110


def config_text(paths: dict[str, str], use: str, survey: Survey, folds: tuple[dict, str], proposal: Proposal) -> str:
    """Format a config as YAML, with comments that explain the choices.

    Parameters
    ----------
    paths : dict of str
        Keys name, sheet and data of the config.
    use : str
        Number of images that are used, from `left_out.describe_use`.
    survey : Survey
        Facts about the images and labels.
    folds : (dict, str)
        From `groups.choose_folds`.
    proposal : Proposal
        From `proposal.propose_settings`.

    Returns
    -------
    str
        The text of the config file.
    """
    head = [*(ProposedKey(key, value) for key, value in paths.items()), ProposedKey("spatial_dims", survey.dims)]
    fold_keys, fold_comment = folds
    parts = [
        "# Written by `snakeseg init`: settings to start with, not tuned. All keys are listed in config/README.md.",
        *_comment(f"{printable(use)}.", ""),
        *_lines(head, ""),
        "",
        *_comment(f"Labels: {survey.why}.", ""),
        "labels:",
        *_lines(_labels(survey.labels), "  "),
        "",
        *_comment(fold_comment, ""),
        *_lines([ProposedKey(key, value) for key, value in fold_keys.items()], ""),
    ]
    for section, values in proposal.sections.items():
        parts += ["", f"{section}:", *_lines(values, "  ")] if values else []
    return "\n".join(parts) + "\n"


def _labels(labels: Labels) -> list[ProposedKey]:
    """Return the keys of the section `labels`."""
    keys = [ProposedKey("kind", labels.kind)]
    if labels.kind == "semantic":
        numbered = any(name.startswith("class-") for name in labels.values)
        keys.append(ProposedKey("values", labels.values, "The names can be changed." if numbered else ""))
    if labels.ignore is not None:
        keys.append(
            ProposedKey("ignore", labels.ignore, "Pixels with this value are excluded from training and scores.")
        )
    return keys


def _lines(keys: list[ProposedKey], indent: str) -> list[str]:
    """Format keys as lines of YAML, each after its comment."""
    lines = []
    for key in keys:
        lines += [*_comment(key.why, indent), f"{indent}{key.name}: {_inline(key.value)}"]
    return lines


def _comment(text: str, indent: str) -> list[str]:
    """Wrap a comment into lines."""
    return [f"{indent}# {line}" for line in textwrap.wrap(text, MAX_COMMENT_CHARS)]


def _inline(value) -> str:
    """Format a value as YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000).removesuffix("...\n").strip()
