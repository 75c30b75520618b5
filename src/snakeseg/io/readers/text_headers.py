"""Names of data files in the text headers of MetaImage (.mha, .mhd) and NRRD (.nrrd, .nhdr).

ITK opens any file that a header names, and accepts headers that no format describes: other control characters as
white space, a carriage return as the end of a line, the format strings of C. This parser accepts less than ITK does,
and a header that it does not fully understand is refused, so that ITK never finds a name that was not checked.
"""

import math
import os
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from snakeseg.errors import BadInput

MAX_HEADER_BYTES = 2**20
MAX_NAME_BYTES = 250  # ITK truncates longer ones
MAX_FILES = 2**16
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# ITK drops bytes beyond ASCII from the end of a name, and white space, which is another in each language, from both.
PLAIN_NAME = re.compile(r"(?![\s\udc80-\udcff]).*[!-~]")
# Key and value of a line of MetaImage; ITK overwrites memory with keys that are much longer.
META_FIELD = re.compile(r"[ \t]*([!-9;<>-~][ -9;<>-~]{0,199}?)[ \t]*[=:][ \t=:]*(.*)")
META_OWN_DATA = ("LOCAL", "Local", "local")
NRRD_MAGIC = re.compile(r"NRRD(000[1-5]|00\.01)")
# Name of a series of files, in which a number stands; ITK gives it to printf.
PATTERN = re.compile(r"[^%]{0,60}%(0?[1-9])?d[^%]{0,15}")


def named_files(path: Path) -> list[str]:
    """Names of the files that hold an image's data, relative to the header's folder; none if they follow the header.

    Raises
    ------
    BadInput
        If the header holds anything that this parser does not understand.
    """
    with open(path, "rb") as file:
        lines = _lines(file.read(MAX_HEADER_BYTES))
    try:
        names = _meta_names(lines) if path.suffix.lower() in (".mha", ".mhd") else _nrrd_names(lines)
        for name in names:
            _require_plain_name(name)
    except ValueError as error:
        reason = str(error).encode(errors="replace").decode()  # as text that can be printed
        found, remedy = f"a damaged file ({reason} in its header)", "export the image again, or convert it to .nii.gz"
        raise BadInput(path, found, "a header as ITK writes it", remedy) from error
    return names


def _lines(header: bytes) -> Iterator[str]:
    """Lines of a header that end in LF or CR LF, without their end."""
    lines = header.split(b"\n")
    for number, line in enumerate(lines, 1):
        if number == len(lines) and len(header) == MAX_HEADER_BYTES:
            raise ValueError(f"no end within {MAX_HEADER_BYTES} bytes")
        line = line.removesuffix(b"\r")
        if CONTROL.search(line):
            raise ValueError(f"a control character (line {number})")
        yield line.decode("utf-8", "surrogateescape")


def _require_plain_name(name: str) -> None:
    """Raise ValueError if a library might read a name in another way than `open` does."""
    odd = not PLAIN_NAME.fullmatch(name) or name == "-" or name[1:2] == ":"  # stdin, and the drives of Windows
    if odd or len(os.fsencode(name)) > MAX_NAME_BYTES:
        raise ValueError(f"the file name '{name[:80]}'")


def _meta_names(lines: Iterator[str]) -> list[str]:
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
    if len(names) != (files := math.prod(sizes[axes:])):  # ITK would leave pixels as they were in memory
        raise ValueError(f"{len(names)} names of {files} files")
    return names


def _meta_series(data: str, lines: Iterator[str], axes: int) -> tuple[list[str], int]:
    """Names of a series of files, and the number of axes of each."""
    if "%" in data:
        return _numbered(data.split(" "), 4), axes - 1
    match = re.fullmatch("LIST(?: +([1-9]))?", data)
    held = int(match[1] or axes - 1) if match else 0
    if not 0 < held < axes:
        raise ValueError(f"'{data[:80]}'")
    return list(takewhile(bool, lines)), held


def _meta_sizes(fields: dict[str, str]) -> list[int]:
    """Sides of the image. More than nine axes crash ITK."""
    axes, sizes = fields.get("NDims", ""), fields.get("DimSize", "").split()
    if not re.fullmatch("[1-9]", axes, re.ASCII):
        raise ValueError(f"{axes[:20] or 'no number of'} axes")
    if len(sizes) != int(axes) or not all(re.fullmatch("[0-9]{1,18}", size) for size in sizes):
        raise ValueError(f"'DimSize = {' '.join(sizes)[:80]}'")
    return [int(size) for size in sizes]


def _nrrd_names(lines: Iterator[str]) -> list[str]:
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
    return _numbered(data.split(), 5) if "%" in data else [data]


def _numbered(words: list[str], most: int) -> list[str]:
    """Names of a series of files: a pattern, the first and last number, the step; NRRD may add a number of axes."""
    pattern, *numbers = words
    if not (
        PATTERN.fullmatch(pattern)
        and 3 <= len(numbers) < most
        and all(re.fullmatch("[0-9]{1,9}", number) for number in numbers)
    ):
        raise ValueError(f"'{' '.join(words)[:80]}' for 'NAME%03d.raw FIRST LAST STEP'")
    first, last, step = map(int, numbers[:3])
    if step == 0 or not 0 <= last - first < MAX_FILES * step:
        raise ValueError(f"files {first} to {last} by {step}")
    return [pattern % number for number in range(first, last + 1, step)]
