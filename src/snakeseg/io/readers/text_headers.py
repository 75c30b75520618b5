"""Names of data files in the text headers of MetaImage (.mha, .mhd) and NRRD (.nrrd, .nhdr).

ITK opens any file that a header names, and accepts headers beyond the format: control characters as white space,
a carriage return as the end of a line, format strings of C. This parser is stricter and rejects any header that it
cannot parse completely, so that ITK never opens a file whose name was not checked.
"""

import math
import os
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from snakeseg.errors import BadInput

MAX_TEXT_HEADER_BYTES = 2**20
MAX_NAME_BYTES = 250  # ITK truncates longer names
MAX_FILES = 2**16
CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# ITK strips white space (by the locale) from both ends of a name, and bytes beyond ASCII from its end.
PLAIN_NAME = re.compile(r"(?![\s\udc80-\udcff]).*[!-~]")
# Key and value of a MetaImage line. Much longer keys make ITK write outside of its buffers.
META_FIELD = re.compile(r"[ \t]*([!-9;<>-~][ -9;<>-~]{0,199}?)[ \t]*[=:][ \t=:]*(.*)")
META_OWN_DATA = ("LOCAL", "Local", "local")
NRRD_MAGIC = re.compile(r"NRRD(000[1-5]|00\.01)")
# File name with a printf format for the number in a series of files.
NUMBERED_NAME = re.compile(r"[^%]{0,60}%(0?[1-9])?d[^%]{0,15}")


def named_files(path: Path) -> list[str]:
    """Parse a header and return the names of its data files.

    Parameters
    ----------
    path : path
        MetaImage (.mha, .mhd) or NRRD (.nrrd, .nhdr).

    Returns
    -------
    list of str
        Names relative to the header's folder; empty if the data follow the header in the same file.

    Raises
    ------
    BadInput
        If the header contains anything that this parser does not accept.
    """
    with open(path, "rb") as file:
        lines = _lines(file.read(MAX_TEXT_HEADER_BYTES))
    try:
        names = _meta_names(lines) if path.suffix.lower() in (".mha", ".mhd") else _nrrd_names(lines)
        for name in names:
            _require_plain_name(name)
    except ValueError as error:
        reason = str(error).encode(errors="replace").decode()  # without unpaired surrogates, which cannot be printed
        found, remedy = f"a damaged file ({reason} in its header)", "export the image again, or convert it to .nii.gz"
        raise BadInput(path, found, "a header as ITK writes it", remedy) from error
    return names


def _lines(header: bytes) -> Iterator[str]:
    """Yield the lines of a header without their ends (LF or CR LF); raise ValueError for control characters."""
    lines = header.split(b"\n")
    for number, line in enumerate(lines, 1):
        if number == len(lines) and len(header) == MAX_TEXT_HEADER_BYTES:
            raise ValueError(f"no end within {MAX_TEXT_HEADER_BYTES} bytes")
        line = line.removesuffix(b"\r")
        if CONTROL_BYTES.search(line):
            raise ValueError(f"a control character (line {number})")
        yield line.decode("utf-8", "surrogateescape")


def _require_plain_name(name: str) -> None:
    """Raise ValueError if a library might interpret a file name differently from `open`."""
    is_special = not PLAIN_NAME.fullmatch(name) or name == "-" or name[1:2] == ":"  # standard input, Windows drives
    if is_special or len(os.fsencode(name)) > MAX_NAME_BYTES:
        raise ValueError(f"the file name '{name[:80]}'")


def _meta_names(lines: Iterator[str]) -> list[str]:
    """Parse a MetaImage header and return the names of its data files."""
    fields: dict[str, str] = {}
    while "ElementDataFile" not in fields:
        line = next(lines, None)
        if line is None:
            raise ValueError("no ElementDataFile")
        if not line.strip(" \t"):
            continue
        match = META_FIELD.fullmatch(line)
        if match is None:
            raise ValueError(f"the line '{line[:80]}'")
        if match[1] in fields:
            raise ValueError(f"two lines of {match[1]}")
        fields[match[1]] = match[2].rstrip(" \t")
    sizes = _meta_sizes(fields)
    data = fields["ElementDataFile"]
    if data in META_OWN_DATA:
        return []
    if not (data.startswith("LIST") or "%" in data):
        return [data]
    names, axes = _meta_series(data, lines, len(sizes))
    if len(names) != (files := math.prod(sizes[axes:])):  # ITK would leave missing pixels uninitialised
        raise ValueError(f"{len(names)} names of {files} files")
    return names


def _meta_series(data: str, lines: Iterator[str], axes: int) -> tuple[list[str], int]:
    """Return the names of a series of data files, and the number of axes in each file."""
    if "%" in data:
        return _numbered_names(data.split(" "), 4), axes - 1
    match = re.fullmatch("LIST(?: +([1-9]))?", data)
    axes_per_file = int(match[1] or axes - 1) if match else 0
    if not 0 < axes_per_file < axes:
        raise ValueError(f"'{data[:80]}'")
    return list(takewhile(bool, lines)), axes_per_file


def _meta_sizes(fields: dict[str, str]) -> list[int]:
    """Return the length of each axis in pixels. More than nine axes crash ITK."""
    axes, sizes = fields.get("NDims", ""), fields.get("DimSize", "").split()
    if not re.fullmatch("[1-9]", axes, re.ASCII):
        raise ValueError(f"{axes[:20] or 'no number of'} axes")
    if len(sizes) != int(axes) or not all(re.fullmatch("[0-9]{1,18}", size) for size in sizes):
        raise ValueError(f"'DimSize = {' '.join(sizes)[:80]}'")
    return [int(size) for size in sizes]


def _nrrd_names(lines: Iterator[str]) -> list[str]:
    """Parse an NRRD header and return the names of its data files."""
    if not NRRD_MAGIC.fullmatch(next(lines)):
        raise ValueError("no NRRD0004 or the like")
    for line in takewhile(bool, lines):
        field, _, data = line.partition(": ")
        if field.lower().replace(" ", "") == "datafile":
            break
    else:
        return []
    data = data.lstrip(" \t")
    if data.startswith("LIST"):
        return list(takewhile(bool, lines))
    return _numbered_names(data.split(), 5) if "%" in data else [data]


def _numbered_names(words: list[str], max_words: int) -> list[str]:
    """Expand a pattern, the first and last number and the step to names; NRRD may append the number of axes."""
    pattern, *numbers = words
    if not (
        NUMBERED_NAME.fullmatch(pattern)
        and 3 <= len(numbers) < max_words
        and all(re.fullmatch("[0-9]{1,9}", number) for number in numbers)
    ):
        raise ValueError(f"'{' '.join(words)[:80]}' for 'NAME%03d.raw FIRST LAST STEP'")
    first, last, step = map(int, numbers[:3])
    if step == 0 or not 0 <= last - first < MAX_FILES * step:
        raise ValueError(f"files {first} to {last} by {step}")
    return [pattern % number for number in range(first, last + 1, step)]
