"""Text from elsewhere: what may be shown of it, and names made of it.

The workflow loads this file by its path (`load_shared` in `workflow/rules/shared.smk`).
"""

import re
from difflib import get_close_matches
from unicodedata import combining, normalize

# Control characters, line and paragraph separators, changes of the writing direction, halves of characters.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object) -> str:
    r"""Return text with control characters written as escapes, such as ``\x1b``: a terminal would obey them.

    File names, cells of sheets, headers of images and lines of logs may hold any character.
    """
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), str(text))


def printable_lines(text: object) -> str:
    """Return text as `printable` does, line by line; tabs become spaces."""
    return "\n".join(printable(line.expandtabs()) for line in str(text).split("\n"))


def legal_name(text: str) -> str:
    """Return text as a name of a sample: letters without accents, a dash for all that names may not hold."""
    plain = "".join(c for c in normalize("NFKD", text.replace("ß", "ss")) if not combining(c))
    return re.sub("^[._-]+", "", re.sub("[^A-Za-z0-9._-]", "-", plain)) or "image"


def did_you_mean(word: object, known, otherwise: str = "remove it") -> str:
    """Return a remedy for a misspelt word: the closest of the known words, or `otherwise`."""
    close = get_close_matches(str(word), [str(name) for name in known], n=1)
    return f"did you mean '{close[0]}'?" if close else otherwise
