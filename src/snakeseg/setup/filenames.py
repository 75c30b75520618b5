"""Pair images and labels by names of files and folders, such as `x.png` and `x_mask.png`, `images/x` and `labels/x`."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from snakeseg.errors import BadInput, BadInputs
from snakeseg.io.file_names import stem_and_suffix
from snakeseg.setup.layout import Layout, format_first, list_files, sheet_of
from snakeseg.setup.name_words import LABEL_WORDS, ParsedPath, interpret_name, interpret_path
from snakeseg.text import legal_name

MERGE = "merge the masks of each image: snakeseg convert FOLDER --like IMAGE --output LABEL"
# Suffixes of image formats that cannot be read.
UNSUPPORTED_SUFFIXES = (
    ".gif", ".bmp", ".dcm", ".oib", ".vsi", ".svs", ".h5", ".hdf5", ".ims", "_seg.npy",
)  # fmt: skip
# A name that ends in a number, such as mouse1_slice03; what stands before the number may be a group.
NUMBERED = re.compile(
    r"(?P<group>.+?)[_\-. ]+(?:t|z|s|f|c|frame|slice|tile|crop|patch|field|fov|site|time|section)?[_\- ]?\d+",
    re.IGNORECASE,
)


def read_by_names(root: Path) -> Layout:
    """Pair the images and labels of a folder by their names; no file is opened, except to count its images.

    Parameters
    ----------
    root : path
        Folder of images and labels.

    Returns
    -------
    Layout
        With the problems of files that are not used.

    Raises
    ------
    BadInput
        If there are no images.
    BadInputs
        If all images have unsupported formats.
    """
    listing = list_files(root)
    problems = list(_unsupported_formats(root, listing.others))
    if not listing.images:
        if problems:
            raise BadInputs(problems)
        found = f"no images ({len(listing.others)} other files)"
        raise BadInput(root, found, "images and labels", "give the folder that contains them: snakeseg init FOLDER")
    images = set(listing.images)
    owners = {path: parent for path in listing.images for parent in path.parents if parent in images}
    folders = {folder for path in listing.images if path not in owners for folder in path.parts[:-1]}
    by_stem = not any(interpret_name(folder).role == "label" for folder in folders)
    interpreted = [
        _inner_label(path, owners[path]) if path in owners else interpret_path(path, by_stem) for path in listing.images
    ]
    files, of_equal_stems = _split_equal_stems(root, interpreted)
    pairs, unpaired = _pairs(files)
    unused = [label for label in unpaired if label.path not in owners]
    problems += [*of_equal_stems, *_several_inner_labels(root, owners), *_unused_files(root, files, pairs, unused)]
    left_out = _left_out(interpreted, files) | _unsupported_images(listing.others, by_stem)
    rows, validation = _rows(pairs)
    options = {"validation": validation, "problems": problems, "left_out": left_out}
    return Layout("images and labels paired by name", root, sheet_of(rows), **options)


def _left_out(interpreted: list[ParsedPath], files: list[ParsedPath]) -> dict[str, str]:
    """Return a reason for each image that `_split_equal_stems` separated."""
    kept = {file.path for file in files}
    images = [file.path for file in interpreted if file.role == "image"]
    return {str(path): "equal names" for path in images if path not in kept}


def _unsupported_images(others: list[Path], by_stem: bool) -> dict[str, str]:
    """Return a reason for each image of a format that cannot be read."""
    paths = [path for path in others if path.suffix.lower() in UNSUPPORTED_SUFFIXES]
    images = [path for path in paths if interpret_path(path, by_stem).role == "image"]
    return {str(path): f"format {path.suffix.lower()}" for path in images}


def _split_equal_stems(root: Path, files: list[ParsedPath]) -> tuple[list[ParsedPath], list[str]]:
    """Separate files of one folder and role whose names differ only in the suffix; return the others, and problems."""
    by_stem = defaultdict(list)
    for file in files:
        by_stem[file.role, file.path.parent, stem_and_suffix(file.path.name)[0]].append(file)
    equal = [group for (role, *_), group in by_stem.items() if role != "other" and len(group) > 1]
    problems = []
    for group in equal:
        found = f"equal names: {format_first(file.path.name for file in group)}"
        remedy = "rename these files, or keep one of them"
        problems.append(_problem(root / group[0].path.parent, found, "names that differ before the suffix", remedy))
    dropped = {file.path for group in equal for file in group}
    # The labels in a Zarr are dropped with it.
    return [file for file in files if dropped.isdisjoint((file.path, *file.path.parents))], problems


def _inner_label(path: Path, image: Path) -> ParsedPath:
    """Interpret the path of a label image in the group `labels` of an OME-Zarr: it has the key of its image."""
    return interpret_path(image, by_stem=False)._replace(path=path, role="label", word="labels")


def _several_inner_labels(root: Path, owners: dict[Path, Path]) -> Iterator[str]:
    """Yield a problem if an OME-Zarr has several label images, of which the first is used."""
    for image, count in Counter(owners.values()).items():
        if count > 1:
            labels = sorted(path for path in owners if owners[path] == image)
            found, expected = f"{count} label images: {format_first(labels)}", f"one ({labels[0]} is used)"
            yield _problem(root / image, found, expected, "name another one in the column label of the sheet")
            return


def _pairs(files: list[ParsedPath]) -> tuple[list[tuple[ParsedPath, ParsedPath | None]], list[ParsedPath]]:
    """Pair each image with its label, or with None; also return the unpaired labels."""
    images = [file for file in files if file.role == "image"]
    labels = [file for file in files if file.role == "label"]
    label_of: dict[Path, ParsedPath] = {}
    taken: set[Path] = set()
    # Compare, from strict to lenient: the whole name; the key, with and without the part; the key as a single name
    # (plate-A-1-0 for plate.zarr/A/1/0); the last part of the key.
    for key_of in (
        lambda f: (f.part, *f.key, stem_and_suffix(f.path.name)[0]),
        lambda f: (f.part, *f.key),
        lambda f: f.key,
        lambda f: "_".join(f.key),
        lambda f: (f.part, f.key[-1]),
        lambda f: f.key[-1],
    ):
        unpaired = [image for image in images if image.path not in label_of]
        sharing, by_key = Counter(map(key_of, unpaired)), defaultdict(list)
        for label in labels:
            by_key[key_of(label)] += [label] if label.path not in taken else []
        for image in unpaired:
            matches = [label for label in by_key[key_of(image)] if _same_part(image, label)]
            if matches and sharing[key_of(image)] == 1:
                label_of[image.path] = min(matches, key=lambda f: (LABEL_WORDS.index(f.word), f.path))
                taken |= {label.path for label in matches}
    # Then by the first words of the name of the label.
    by_beginning = defaultdict(list)
    for label in (label for label in labels if label.path not in taken):
        words = label.key[-1].split("_")
        for count in range(1, len(words)):
            by_beginning["_".join(words[:count])].append(label)
    for image in [image for image in images if image.path not in label_of]:
        longer = [f for f in by_beginning[image.key[-1]] if _same_part(image, f) and f.path not in taken]
        if len(longer) == 1:
            label_of[image.path] = longer[0]
            taken.add(longer[0].path)
    used = {label.path for label in label_of.values()}
    return [(image, label_of.get(image.path)) for image in images], [f for f in labels if f.path not in used]


def _same_part(image: ParsedPath, label: ParsedPath) -> bool:
    """Return True unless image and label belong to different parts."""
    return image.part == label.part or not (image.part and label.part)


def _rows(pairs: list[tuple[ParsedPath, ParsedPath | None]]) -> tuple[list[dict], list[str]]:
    """Return the rows of the sheet, and patterns of the samples in the validation part of the folder."""
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
    labelled_parts = {image.part for (image, label) in pairs if label}
    held_out = "val" in labelled_parts and "train" in labelled_parts
    return rows, ["val-*"] if held_out else []


def _sample_names(images: list[ParsedPath]) -> list[str]:
    """Return the shortest distinct names; names of the validation part begin with "val-"."""

    def short(image: ParsedPath) -> str:
        return stem_and_suffix(image.path.name)[0] if image.key[-1] else "-".join(image.key[:-1])

    def whole(image: ParsedPath) -> str:
        return "-".join(filter(None, [*image.key[:-1], short(image)])) if image.key[-1] else short(image)

    namings = (short, whole, lambda f: "-".join(filter(None, [f.part, whole(f)])),
               lambda f: "-".join([*f.path.parts[:-1], stem_and_suffix(f.path.name)[0]]))  # fmt: skip
    for naming in namings:
        names = [
            legal_name(naming(f) if f.part != "val" or naming(f).startswith("val-") else f"val-{naming(f)}")
            for f in images
        ]
        if len(set(names)) == len(names):
            return names
    return [f"{name}-{number}" for number, name in enumerate(names, 1)]


def _groups(images: list[ParsedPath]) -> list[str]:
    """Return groups by folder, else by the name before a final number; "" for all images if neither gives groups."""
    folders = ["-".join(image.key[:-1]) for image in images]
    numbered = [match["group"] if (match := NUMBERED.fullmatch(image.key[-1])) else "" for image in images]
    for groups in (folders, numbered):
        counts = Counter(filter(None, groups))
        if len(counts) > 1 and max(counts.values()) > 1:
            return [legal_name(group) if group else "" for group in groups]
    return [""] * len(images)


def _unused_files(root: Path, files: list[ParsedPath], pairs: list, unpaired: list[ParsedPath]) -> Iterator[str]:
    """Yield problems: labels without an image, several labels of one image, files that are neither."""
    labels_in = defaultdict(list)
    for label in unpaired:
        labels_in[label.path.parent].append(label)
    image_count = Counter(file.key[:-1] for file in files if file.role == "image")
    used_words = {label.word for _, label in pairs if label}
    # Folders with several labels for a single image.
    of_one_image = [
        folder for folder, labels in labels_in.items() if len(labels) > 1 and image_count[labels[0].key[:-1]] == 1
    ]
    for folder, labels in labels_in.items():
        names = format_first(label.path.name for label in labels)
        if folder not in of_one_image and used_words and labels[0].word not in used_words:
            found = f"further labels ({names}), besides those named '{', '.join(sorted(used_words))}'"
            remedy = "if these are the right ones, name them in the column label of the sheet"
            yield _problem(root / folder, found, "one label for each image", remedy)
        elif folder not in of_one_image:
            remedy = "give both the same name, or add image and label to the sheet"
            yield _problem(root / folder, f"labels without an image: {names}", "an image of the same name", remedy)
    if of_one_image:
        found = f"several label files for one image ({len(of_one_image)} such folders)"
        yield _problem(root / of_one_image[0], found, "one label file with an id for each object", MERGE)
    others = [file.path.name for file in files if file.role == "other"]
    if others:
        remedy = "if they are images or labels, add them to the sheet"
        found = f"files that seem to be neither images nor labels: {format_first(others)}"
        yield _problem(root, found, "images and labels only", remedy)


def _unsupported_formats(root: Path, others: list[Path]) -> Iterator[str]:
    """Yield a problem for each image format that cannot be read."""
    by_suffix = defaultdict(list)
    for path in others:
        end = "_seg.npy" if path.name.endswith("_seg.npy") else path.suffix.lower()
        if end in UNSUPPORTED_SUFFIXES:
            by_suffix[end].append(path)
    for suffix, paths in sorted(by_suffix.items()):
        remedy = "save the masks as TIFF or PNG" if suffix == "_seg.npy" else "convert them to TIFF or OME-Zarr"
        found = f"{len(paths)} files of the format {suffix} ({format_first(path.name for path in paths)})"
        expected = "PNG, TIFF, OME-Zarr, NIfTI or another format of docs/how-to/formats.md"
        yield _problem(root / paths[0].parent, found, expected, remedy)


def _problem(where: Path, found: str, expected: str, remedy: str) -> str:
    """Return the message of a `BadInput` as text."""
    return str(BadInput(where, found, expected, remedy))
