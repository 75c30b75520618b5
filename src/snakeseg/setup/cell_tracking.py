"""Folders of the Cell Tracking Challenge: sequences `01`, with labels in `01_GT/SEG` and `01_ST/SEG`."""

import re
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.io.file_names import stem_and_suffix
from snakeseg.setup.layout import Layout, list_files, sheet_of, some

SEQUENCE, FRAME = re.compile(r"\d\d"), re.compile(r"t(\d+)")
LABEL = re.compile(r"man_seg_?(\d+)")
# People's labels before computers'.
LABELLED = ("GT", "ST")


def is_tracking(root: Path) -> bool:
    """Whether a folder is laid out like this."""
    return any((root / f"{name}_{kind}").is_dir() for name in _sequences(root) for kind in LABELLED)


def tracking(root: Path) -> Layout:
    """Frames with a label to learn from, the others to predict; a sequence is a group.

    Raises
    ------
    BadInput
        If there are no frames.
    """
    rows, problems = [], []
    for name in _sequences(root):
        frames = {m[1]: path for path, m in _matching(root / name, FRAME)}
        labels, odd = _labels(root, name)
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
        odd += [path for number, path in labels.items() if number not in map(int, frames)]
        if odd:
            found = f"labels that are of no frame, or of one slice: {some(odd)}"
            problems.append(
                str(BadInput(root / name, found, "one label for a whole frame", "leave them, or complete them"))
            )
    if not rows:
        raise BadInput(root, "no frames 01/t*.tif", "some", "give the folder that holds 01 and 01_GT")
    return Layout("Cell Tracking Challenge", root, sheet_of(rows), "instance", problems=problems)


def _sequences(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir() and SEQUENCE.fullmatch(path.name))


def _labels(root: Path, name: str) -> tuple[dict[int, str], list[str]]:
    """Label by number of the frame, and files that are labels of something else."""
    labels, odd = {}, []
    for kind in LABELLED:
        folder = root / f"{name}_{kind}" / "SEG"
        if not folder.is_dir():
            continue
        for path in (folder / image for image in list_files(folder).images):
            match = LABEL.fullmatch(stem_and_suffix(path.name)[0])
            if match:
                labels.setdefault(int(match[1]), path.relative_to(root).as_posix())
            else:
                odd.append(path.relative_to(root).as_posix())
    return labels, odd


def _matching(folder: Path, pattern: re.Pattern) -> list[tuple[Path, re.Match]]:
    found = [(folder / path, pattern.fullmatch(stem_and_suffix(path.name)[0])) for path in list_files(folder).images]
    return [(path, match) for path, match in found if match]
