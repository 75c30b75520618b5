"""Interpret names of files and folders by the words in them: role (image or label), part, remaining words."""

import re
from pathlib import Path
from typing import NamedTuple

from snakeseg.io.file_names import stem_and_suffix

# Words in names of labels. If an image has several labels, the one whose word comes first is used.
LABEL_WORDS = (
    "instances", "instance", "labels", "label", "lbls", "lbl", "masks", "mask", "segmentations", "segmentation",
    "segmented", "segs", "seg", "annotations", "annotation", "annotated", "gt", "truth", "manual", "targets", "target",
)  # fmt: skip
IMAGE_WORDS = (
    "images", "image", "imgs", "img", "ims", "im", "raw", "raws", "originals", "original", "inputs", "input",
    "sources", "source",
)  # fmt: skip
PART_WORDS = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("test", "testing", "ts"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("predict", "unlabelled", "unlabeled"), "predict"),
}
# Words in names of files that other programs write beside labels, such as x_flows.tif of Cellpose.
SKIP_WORDS = ("flows", "outlines", "output", "overlay", "overlays", "probabilities", "prob", "preview")
# Replacements in names: spellings of one word, and a separator between lower and upper case.
REPLACEMENTS = ((r"(?i)ground[ _-]?truth", "gt"), (r"(?i)cp[_-](masks|output)", r"\1"), (r"(?<=[a-z])(?=[A-Z])", "_"))


class ParsedPath(NamedTuple):
    """Interpretation of the path of a file.

    Attributes
    ----------
    path : path
        Path relative to the folder.
    role, word : str
        "image", "label" or "other", and the word that determines it ("" without one).
    part : str
        "train", "test", "val", "predict" or "".
    key : tuple of str
        Names of folders and file without the words above.
    """

    path: Path
    role: str
    word: str
    part: str
    key: tuple[str, ...]


def interpret_path(path: Path, by_stem: bool) -> ParsedPath:
    """Determine role, part and key of a file from the words in its path.

    Parameters
    ----------
    path : path
        Path relative to the folder.
    by_stem : bool
        If True, a word for labels in the file name takes precedence over the names of folders.
    """
    role, word, part, key = "", "", "", []
    for folder in path.parts[:-1]:
        words = interpret_name(stem_and_suffix(folder)[0])
        if words.role in ("image", "label"):
            role, word = words.role, words.word
        part = words.part or part
        key += [words.rest] if words.rest else []
    words = interpret_name(stem_and_suffix(path.name)[0], parts=False)
    if words.role and (not role or words.role == "other" or (by_stem and words.role == "label")):
        role, word = words.role, words.word
    return ParsedPath(path, role or "image", word, part, (*key, words.rest))


class ParsedName(NamedTuple):
    """Interpretation of a name: role, the word that determines it, part, and the remaining words."""

    role: str
    word: str
    part: str
    rest: str


def interpret_name(text: str, parts: bool = True) -> ParsedName:
    """Split a name into words and interpret them; words for parts only if `parts` is True."""
    for pattern, replacement in REPLACEMENTS:
        text = re.sub(pattern, replacement, text)
    words = [word for word in re.split(r"[_\-. ]+", text) if word]
    split = [re.fullmatch(r"([A-Za-z]+)(\d+)", word) for word in words]
    words = [
        piece
        for word, match in zip(words, split, strict=True)
        for piece in (match.groups() if match and _role(match[1].lower()) else (word,))
    ]
    roles = [(role, word.lower()) for word in words if (role := _role(word.lower()))]
    role, role_word = max(roles, key=lambda pair: ("image", "label", "other").index(pair[0]), default=("", ""))
    part = next((PART_WORDS[w.lower()] for w in words if parts and w.lower() in PART_WORDS), "")
    rest = [w for w in words if not _role(w.lower()) and not (parts and w.lower() in PART_WORDS)]
    return ParsedName(role, role_word, part, "_".join(rest))


def _role(word: str) -> str:
    """Return the role that a word indicates: "label", "image", "other" or ""."""
    return "label" if word in LABEL_WORDS else "image" if word in IMAGE_WORDS else "other" if word in SKIP_WORDS else ""
