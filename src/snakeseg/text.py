"""Untrusted text: escape control characters, derive sample names, suggest known words for misspelt ones.

The workflow loads this file by its path (`load_shared` in `workflow/rules/shared.smk`).
"""

import re
from difflib import get_close_matches
from unicodedata import combining, normalize

# Control characters, line and paragraph separators, marks of the writing direction, unpaired surrogates.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object) -> str:
    r"""Escape control characters, such as ``\x1b``, which a terminal would execute.

    File names, cells of sheets, image headers and log lines can contain any character.
    """
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), str(text))


def printable_lines(text: object) -> str:
    """Escape control characters other than line breaks; tabs become spaces."""
    return "\n".join(printable(line.expandtabs()) for line in str(text).split("\n"))


def legal_name(text: str) -> str:
    """Return text as a valid sample name: accents are dropped, and other invalid characters replaced by dashes."""
    plain = "".join(c for c in normalize("NFKD", text.replace("ß", "ss")) if not combining(c))
    return re.sub("^[._-]+", "", re.sub("[^A-Za-z0-9._-]", "-", plain)) or "image"


def did_you_mean(word: object, known, otherwise: str = "remove it") -> str:
    """Return the remedy for a misspelt word: suggest the closest known word, or return `otherwise`."""
    close = get_close_matches(str(word), [str(name) for name in known], n=1)
    return f"did you mean '{close[0]}'?" if close else otherwise
