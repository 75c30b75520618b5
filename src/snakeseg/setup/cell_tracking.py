"""Read folders of the Cell Tracking Challenge: sequences `01`, with labels in `01_GT/SEG` and `01_ST/SEG`."""

import re
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.io.file_names import stem_and_suffix
from snakeseg.setup.layout import Layout, format_first, list_files, sheet_of

SEQUENCE, FRAME = re.compile(r"\d\d"), re.compile(r"t(\d+)")
LABEL = re.compile(r"man_seg_?(\d+)")
# Gold truth (manual) takes precedence over silver truth (computed).
TRUTHS = ("GT", "ST")


def is_cell_tracking(root: Path) -> bool:
    """Return True if the folder contains a sequence with labels."""
    return any((root / f"{name}_{kind}").is_dir() for name in _sequences(root) for kind in TRUTHS)


def read_cell_tracking(root: Path) -> Layout:
    """Pair the frames of each sequence with their labels.

    Frames without a label are to be predicted. Each sequence is a group.

    Parameters
    ----------
    root : path
        Folder that contains 01 and 01_GT.

    Returns
    -------
    Layout
        With instance labels.

    Raises
    ------
    BadInput
        If there are no frames.
    """
    rows, problems = [], []
    for name in _sequences(root):
        frames = {m[1]: path for path, m in _matching(root / name, FRAME)}
        labels, unused = _labels(root, name)
        rows += [
            {
                "sample": f"{name}-t{number}",
                "image": path.relative_to(root).as_posix(),
                "label": labels.get(int(number), ""),
                "subset": "train" if int(number) in labels else "predict",
                "group": f"sequence-{name}",
            }
            for number, path in sorted(frames.items())
        ]
        unused += [path for number, path in labels.items() if number not in map(int, frames)]
        if unused:
            found = f"labels without a frame, or of a single slice: {format_first(unused)}"
            remedy = "ignore this if these labels may be left out, or label whole frames"
            problems.append(str(BadInput(root / name, found, "one label for a whole frame", remedy)))
    if not rows:
        raise BadInput(
            root, "no frames 01/t*.tif", "at least one frame",
            "give the folder that contains 01 and 01_GT: snakeseg init FOLDER",
        )  # fmt: skip
    return Layout("Cell Tracking Challenge", root, sheet_of(rows), "instance", problems=problems)


def _sequences(root: Path) -> list[str]:
    """List the names of the folders of sequences: two digits."""
    return sorted(path.name for path in root.iterdir() if path.is_dir() and SEQUENCE.fullmatch(path.name))


def _labels(root: Path, name: str) -> tuple[dict[int, str], list[str]]:
    """Return the label of each frame by its number, and the label files of no whole frame."""
    labels, unused = {}, []
    for kind in TRUTHS:
        folder = root / f"{name}_{kind}" / "SEG"
        if not folder.is_dir():
            continue
        for path in (folder / image for image in list_files(folder).images):
            match = LABEL.fullmatch(stem_and_suffix(path.name)[0])
            if match:
                labels.setdefault(int(match[1]), path.relative_to(root).as_posix())
            else:
                unused.append(path.relative_to(root).as_posix())
    return labels, unused


def _matching(folder: Path, pattern: re.Pattern) -> list[tuple[Path, re.Match]]:
    """List the images whose names match a pattern, with their matches."""
    images = [(folder / path, pattern.fullmatch(stem_and_suffix(path.name)[0])) for path in list_files(folder).images]
    return [(path, match) for path, match in images if match]
