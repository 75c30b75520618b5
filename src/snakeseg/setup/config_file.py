"""The proposal as a commented config."""

import textwrap
from pathlib import Path

import yaml

from snakeseg.settings import Labels
from snakeseg.setup.proposal import Key, Proposal
from snakeseg.setup.survey import Survey

WIDTH = 110


def config_text(name: str, sheet: Path, data: Path, look: Survey, folds: tuple[dict, str], proposal: Proposal) -> str:
    """YAML with a comment wherever a choice was made."""
    head = [Key("name", name), Key("sheet", str(sheet)), Key("data", str(data)), Key("spatial_dims", look.dims)]
    keys, why = folds
    parts = [
        "# Written by `snakeseg init`: where to begin, not what was tuned. Every key is in config/README.md.",
        *_lines(head, ""),
        "",
        *_comment(f"Labels: {look.why}.", ""),
        "labels:",
        *_lines(_labels(look.labels), "  "),
        "",
        *_comment(why, ""),
        *_lines([Key(key, value) for key, value in keys.items()], ""),
    ]
    for section, values in proposal.sections.items():
        parts += ["", f"{section}:", *_lines(values, "  ")] if values else []
    return "\n".join(parts) + "\n"


def _labels(labels: Labels) -> list[Key]:
    keys = [Key("kind", labels.kind)]
    if labels.kind == "semantic":
        named = any(name.startswith("class-") for name in labels.values)
        keys.append(Key("values", labels.values, "Name them as you like." if named else ""))
    if labels.ignore is not None:
        keys.append(Key("ignore", labels.ignore, "Pixels of this value count neither in training nor in scores."))
    return keys


def _lines(keys: list[Key], indent: str) -> list[str]:
    lines = []
    for key in keys:
        lines += [*_comment(key.why, indent), f"{indent}{key.name}: {_inline(key.value)}"]
    return lines


def _comment(text: str, indent: str) -> list[str]:
    return [f"{indent}# {line}" for line in textwrap.wrap(text, WIDTH)]


def _inline(value) -> str:
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000).removesuffix("...\n").strip()
