"""Images and their labels by the names of files and folders: `x.png` and `x_mask.png`, `images/x` and `labels/x`."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from snakeseg.errors import BadInput, BadInputs
from snakeseg.io.file_names import stem_and_suffix
from snakeseg.setup.layout import Layout, list_files, sheet_of, some
from snakeseg.text import legal_name

# What words in names say. Of labels of two kinds, those of the first word are taken.
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
MERGE = "merge the masks of each image: snakeseg convert FOLDER --like IMAGE --output LABEL"
# What other programs leave beside labels, such as Cellpose: x_flows.tif, x_cp_output.png.
LEFT_ALONE = ("flows", "outlines", "output", "overlay", "overlays", "probabilities", "prob", "preview")
# Formats of images that are not read.
STRANGE = (
    ".jpg", ".jpeg", ".gif", ".bmp", ".dcm", ".oib", ".vsi", ".svs", ".h5", ".hdf5", ".ims",
    "_seg.npy",
)  # fmt: skip
# Two words for one; and numbers that follow a word at once.
SPELT = ((r"(?i)ground[ _-]?truth", "gt"), (r"(?i)cp[_-](masks|output)", r"\1"), (r"(?<=[a-z])(?=[A-Z])", "_"))
# What ends a name when several images are of one thing: a number, perhaps with what it counts.
NUMBERED = re.compile(
    r"(?P<thing>.+?)[_\-. ]+(?:t|z|s|f|c|frame|slice|tile|crop|patch|field|fov|site|time|section)?[_\- ]?\d+",
    re.IGNORECASE,
)


class Named(NamedTuple):
    """A file and what its names say: role (image, label or other), which word says so, part, and what is left."""

    path: Path
    role: str
    word: str
    part: str
    key: tuple[str, ...]


def by_names(root: Path) -> Layout:
    """Images and labels of a folder whose names belong together.

    Raises
    ------
    BadInput
        If there are no images.
    """
    listing = list_files(root)
    problems = list(_strange_formats(root, listing.others))
    if not listing.images:
        if problems:
            raise BadInputs(problems)
        found = f"no images ({len(listing.others)} other files)"
        raise BadInput(root, found, "images and labels", "give the folder that holds them")
    folders = {folder for path in listing.images for folder in path.parts[:-1]}
    apart = any(_words(folder).role == "label" for folder in folders)
    files = [named(path, by_stem=not apart) for path in listing.images]
    pairs, left = _pairs(files)
    problems += list(_left_over(root, files, pairs, left))
    rows, validation = _rows(pairs)
    return Layout("files that belong together by name", root, sheet_of(rows), validation=validation, problems=problems)


def named(path: Path, by_stem: bool) -> Named:
    """What the words of a path say; folders go before the file's own name, unless that tells labels (`by_stem`)."""
    role, word, part, key = "", "", "", []
    for folder in path.parts[:-1]:
        own = _words(folder)
        if own.role in ("image", "label"):
            role, word = own.role, own.word
        part = own.part or part
        key += [own.rest] if own.rest else []
    own = _words(stem_and_suffix(path.name)[0], parts=False)
    if own.role and (not role or own.role == "other" or (by_stem and own.role == "label")):
        role, word = own.role, own.word
    return Named(path, role or "image", word, part, (*key, own.rest))


class Words(NamedTuple):
    """What the words of a name say: role, the word that says so, part; and the words that say neither."""

    role: str
    word: str
    part: str
    rest: str


def _words(text: str, parts: bool = True) -> Words:
    for pattern, instead in SPELT:
        text = re.sub(pattern, instead, text)
    words = [word for word in re.split(r"[_\-. ]+", text) if word]
    split = [re.fullmatch(r"([A-Za-z]+)(\d+)", word) for word in words]
    words = [
        piece
        for word, match in zip(words, split, strict=True)
        for piece in (match.groups() if match and _role(match[1].lower()) else (word,))
    ]
    roles = [(role, word.lower()) for word in words if (role := _role(word.lower()))]
    role, said = max(roles, key=lambda each: ("image", "label", "other").index(each[0]), default=("", ""))
    part = next((PART_WORDS[w.lower()] for w in words if parts and w.lower() in PART_WORDS), "")
    rest = [w for w in words if not _role(w.lower()) and not (parts and w.lower() in PART_WORDS)]
    return Words(role, said, part, "_".join(rest))


def _role(word: str) -> str:
    return "label" if word in LABEL_WORDS else "image" if word in IMAGE_WORDS else "other" if word in LEFT_ALONE else ""


def _pairs(files: list[Named]) -> tuple[list[tuple[Named, Named | None]], list[Named]]:
    """Every image with its label, if it has one; and the other labels."""
    images = [file for file in files if file.role == "image"]
    labels = [file for file in files if file.role == "label"]
    found: dict[Path, Named] = {}
    met: set[Path] = set()
    # By the same name; by all that is left of names, with and without the part; by the last of it; by how that begins.
    for key_of in (
        lambda f: (f.part, *f.key, stem_and_suffix(f.path.name)[0]),
        lambda f: (f.part, *f.key),
        lambda f: f.key,
        lambda f: (f.part, f.key[-1]),
        lambda f: f.key[-1],
    ):
        free = [image for image in images if image.path not in found]
        sharing, by_key = Counter(map(key_of, free)), defaultdict(list)
        for label in labels:
            by_key[key_of(label)] += [label] if label.path not in met else []
        for image in free:
            own = [label for label in by_key[key_of(image)] if _may_meet(image, label)]
            if own and sharing[key_of(image)] == 1:
                found[image.path] = min(own, key=lambda f: (LABEL_WORDS.index(f.word), f.path))
                met |= {label.path for label in own}
    by_beginning = defaultdict(list)
    for label in (label for label in labels if label.path not in met):
        words = label.key[-1].split("_")
        for count in range(1, len(words)):
            by_beginning["_".join(words[:count])].append(label)
    for image in [image for image in images if image.path not in found]:
        longer = [f for f in by_beginning[image.key[-1]] if _may_meet(image, f) and f.path not in met]
        if len(longer) == 1:
            found[image.path] = longer[0]
            met.add(longer[0].path)
    used = {label.path for label in found.values()}
    return [(image, found.get(image.path)) for image in images], [f for f in labels if f.path not in used]


def _may_meet(image: Named, label: Named) -> bool:
    """Whether they are of one part, as far as their folders say."""
    return image.part == label.part or not (image.part and label.part)


def _rows(pairs: list[tuple[Named, Named | None]]) -> tuple[list[dict], list[str]]:
    """Rows of the sheet, and patterns of those that the folder holds out."""
    names, groups = _sample_names([image for image, _ in pairs]), _groups([image for image, _ in pairs])
    rows = []
    for (image, label), name, group in zip(pairs, names, groups, strict=True):
        subset = ("test" if image.part == "test" else "train") if label and image.part != "predict" else "predict"
        rows.append(
            {
                "sample": name,
                "image": image.path.as_posix(),
                "label": label.path.as_posix() if label else "",
                "subset": subset,
                "group": group,
            }
        )
    learned = {image.part for (image, label) in pairs if label}
    held_out = "val" in learned and "train" in learned
    return rows, ["val-*"] if held_out else []


def _sample_names(images: list[Named]) -> list[str]:
    """As short as they can be without two that are alike; those that the folder holds out begin with "val-"."""

    def short(image: Named) -> str:
        return stem_and_suffix(image.path.name)[0] if image.key[-1] else "-".join(image.key[:-1])

    def whole(image: Named) -> str:
        return "-".join(filter(None, [*image.key[:-1], short(image)])) if image.key[-1] else short(image)

    ways = (short, whole, lambda f: "-".join(filter(None, [f.part, whole(f)])),
            lambda f: "-".join([*f.path.parts[:-1], stem_and_suffix(f.path.name)[0]]))  # fmt: skip
    for way in ways:
        names = [
            legal_name(way(f) if f.part != "val" or way(f).startswith("val-") else f"val-{way(f)}") for f in images
        ]
        if len(set(names)) == len(names):
            return names
    return [f"{name}-{number}" for number, name in enumerate(names, 1)]


def _groups(images: list[Named]) -> list[str]:
    """What several images are of, by their folders or by what stands before a number; "" if that parts nothing."""
    folders = ["-".join(image.key[:-1]) for image in images]
    things = [match["thing"] if (match := NUMBERED.fullmatch(image.key[-1])) else "" for image in images]
    for groups in (folders, things):
        counts = Counter(filter(None, groups))
        if len(counts) > 1 and max(counts.values()) > 1:
            return [legal_name(group) if group else "" for group in groups]
    return [""] * len(images)


def _left_over(root: Path, files: list[Named], pairs: list, left: list[Named]) -> Iterator[str]:
    """A line for labels without images, for those of one image that are many, and for what is neither."""
    places = defaultdict(list)
    for label in left:
        places[label.path.parent].append(label)
    images_in = Counter(file.key[:-1] for file in files if file.role == "image")
    taken = {label.word for _, label in pairs if label}
    single = [parent for parent, of in places.items() if len(of) > 1 and images_in[of[0].key[:-1]] == 1]
    for parent, labels in places.items():
        names = some(label.path.name for label in labels)
        if parent not in single and taken and labels[0].word not in taken:
            found = f"further labels ({names}), beside those called '{', '.join(sorted(taken))}'"
            yield _line(
                root / parent, found, "one label for each image", "put them into the sheet if they are the right ones"
            )
        elif parent not in single:
            remedy = "name both alike, or put image and label into the sheet"
            yield _line(root / parent, f"labels without an image: {names}", "an image of that name", remedy)
    if single:
        found = f"several label files for one image ({len(single)} such folders)"
        yield _line(root / single[0], found, "one with an id for each object", MERGE)
    others = [file.path.name for file in files if file.role == "other"]
    if others:
        remedy = "put them into the sheet if they are"
        yield _line(root, f"files that seem neither image nor label: {some(others)}", "one of both", remedy)


def _strange_formats(root: Path, others: list[Path]) -> Iterator[str]:
    """A line for each format of images that is not read."""
    by_suffix = defaultdict(list)
    for path in others:
        end = "_seg.npy" if path.name.endswith("_seg.npy") else path.suffix.lower()
        if end in STRANGE:
            by_suffix[end].append(path)
    for suffix, paths in sorted(by_suffix.items()):
        remedy = "save the masks as TIFF or PNG" if suffix == "_seg.npy" else "convert them, as to TIFF or OME-Zarr"
        found = f"{len(paths)} files of the format {suffix} ({some(path.name for path in paths)})"
        yield _line(
            root / paths[0].parent, found, "PNG, TIFF, OME-Zarr, NIfTI or another of docs/how-to/formats.md", remedy
        )


def _line(where: Path, found: str, expected: str, remedy: str) -> str:
    return str(BadInput(where, found, expected, remedy))
