# ruff: noqa: E501 - messages are on one line, so that they can be searched
"""Cases of bad volumes with text headers (MHA, MHD, NRRD) and of bad DICOM folders."""

from pathlib import Path

from bad_input.case import VOLUMES, Case, damaged, folder, link, pipe
from bad_input.planes import LINK_OUTSIDE, OUTSIDE_FOLDER
from bad_input.volumes import SMALL, volume


def write_header(name: str, content: str, *others):
    """Return a function that writes a header and calls the functions of other files."""

    def make():
        Path(name).write_text(content, encoding="utf-8")
        for other in others:
            other()

    return make


def write_raw(name: str = "b.raw"):
    """Return a function that writes the pixels of a header."""
    return lambda: Path(name).write_bytes(SMALL.tobytes())


def bad_part(part: str, make, message: str, name: str = "a.mhd") -> Case:
    """Make a case of an image of several files, of which one is at fault."""
    return Case(make, ["predict", VOLUMES, name, "-o", "out"], f"{part}: {message}")


def mhd(data: str, size: str = "8 7 6") -> str:
    return f"ObjectType = Image\nNDims = 3\nDimSize = {size}\nElementType = MET_UCHAR\nElementDataFile = {data}\n"


def nhdr(data: str) -> str:
    return f"NRRD0004\ntype: uchar\ndimension: 3\nspace: left-posterior-superior\nsizes: 8 7 6\nencoding: raw\ndata file: {data}\n\n"


PART_IS_PIPE = "b.raw: found a pipe, socket or device; expected a file; move it elsewhere"
BAD_HEADER = "in its header); expected a header as ITK writes it; export the image again, or convert it to .nii.gz"
NO_DATA_FILE = "found no such file; expected the data of {}; copy all files of the image into one folder"
CASES: dict[str, Case] = {
    "mha: text": volume("a.mha", b"no image" * 99, f"found a damaged file (the line 'no image...' {BAD_HEADER}"),
    "mha: cut off": volume("a.mha", mhd("LOCAL").encode() + bytes(99), damaged()),
    "mha: a terapixel": volume(
        "a.mha", mhd("LOCAL", "10000 10000 10000").encode() + bytes(99),
        "found 10000 x 10000 x 10000 pixels in one piece; expected at most ... million (half of the memory); convert it to .nii",
    ),
    "mha: a header without end": volume(
        "a.mha", b"Comment = " + b"x" * 2**20 + b"\n" + mhd("/etc/hostname").encode(), f"found a damaged file (no end within 1048576 bytes {BAD_HEADER}"
    ),
    "mhd: more axes than there are": volume(
        "a.mhd", write_header("a.mhd", mhd("b.raw").replace("NDims = 3", f"NDims = {10**20}")), f"found a damaged file (1... axes {BAD_HEADER}"
    ),
    "mhd: a file elsewhere": volume("a.mhd", write_header("a.mhd", mhd("../b.raw")), f"found '../b.raw' in its header; {OUTSIDE_FOLDER}"),
    "mhd: a file by its whole path": volume("a.mhd", write_header("a.mhd", mhd("/dev/zero")), f"found '/dev/zero' in its header; {OUTSIDE_FOLDER}"),
    "mhd: no such file": bad_part("b.raw", write_header("a.mhd", mhd("b.raw")), NO_DATA_FILE.format("a.mhd")),
    "mhd: a file that is a pipe": Case(write_header("a.mhd", mhd("b.raw"), pipe("b.raw")), ["predict", VOLUMES, "a.mhd", "-o", "out"], PART_IS_PIPE),
    "mhd: a list with a pipe": Case(
        write_header("a.mhd", mhd("LIST") + "b.raw\n" * 6, pipe("b.raw")), ["predict", VOLUMES, "a.mhd", "-o", "out"], PART_IS_PIPE
    ),
    "mhd: a list that is too short": volume(
        "a.mhd", write_header("a.mhd", mhd("LIST") + "b.raw\n", write_raw()), f"found a damaged file (1 names of 6 files {BAD_HEADER}"
    ),
    "mhd: a list of whole images": volume("a.mhd", write_header("a.mhd", mhd("LIST 3") + "b.raw\n", write_raw()), f"found a damaged file ('LIST 3' {BAD_HEADER}"),
    "mhd: a pattern that fits a pipe": bad_part(
        "b3.raw", write_header("a.mhd", mhd("b%d.raw 1 6 1"), write_raw("b1.raw"), write_raw("b2.raw"), pipe("b3.raw")), PART_IS_PIPE.split(": ", 1)[1]
    ),
    "mhd: a format string": volume(
        "a.mhd", write_header("a.mhd", mhd("b%s%n.raw 1 6 1")), f"found a damaged file ('b%s%n.raw 1 6 1' for 'NAME%03d.raw FIRST LAST STEP' {BAD_HEADER}"
    ),
    "mhd: a pattern without end": volume("a.mhd", write_header("a.mhd", mhd("b%d.raw 1 6 0")), f"found a damaged file (files 1 to 6 by 0 {BAD_HEADER}"),
    "mhd: a key behind a vertical tab": volume(
        "a.mhd", write_header("a.mhd", mhd("b.raw").replace("Elem", "\x0bElem").replace("b.raw", "/etc/passwd"), write_raw()),
        f"found a damaged file (a control character (line 4) {BAD_HEADER}",
    ),
    "mhd: a number of axes behind a vertical tab": volume(
        "a.mhd", write_header("a.mhd", mhd("b.raw").replace("NDims = 3", "NDims = 3\n\x0bNDims = 5000"), write_raw()),
        f"found a damaged file (a control character (line 3) {BAD_HEADER}",
    ),
    "mhd: two numbers of axes": volume(
        "a.mhd", write_header("a.mhd", mhd("b.raw").replace("NDims = 3", "NDims = 3\nNDims = 2"), write_raw()), f"found a damaged file (two lines of NDims {BAD_HEADER}"
    ),
    "mhd: a line that ends in a carriage return": volume(
        "a.mhd", lambda: Path("a.mhd").write_bytes(mhd("/etc/passwd").replace("\nElementD", "\rElementD").encode()),
        f"found a damaged file (a control character (line 4) {BAD_HEADER}",
    ),
    "mhd: a key on the line before": volume(
        "a.mhd", write_header("a.mhd", mhd("x").replace("File = x", "File\nComment = /etc/passwd")), f"found a damaged file (the line 'ElementDataFile' {BAD_HEADER}"
    ),
    "mhd: a byte order mark": volume("a.mhd", write_header("a.mhd", "\ufeff" + mhd("b.raw"), write_raw()), f"found a damaged file (the line '\ufeffObjectType = Image' {BAD_HEADER}"),
    "mhd: a name with an end in it": volume(
        "a.mhd", write_header("a.mhd", mhd("/etc/passwd\0b.raw"), write_raw()), f"found a damaged file (a control character (line 5) {BAD_HEADER}"
    ),
    "mhd: a name that is too long": volume(
        "a.mhd", write_header("a.mhd", mhd("b" * 600)), f"found a damaged file (the file name '{'b' * 80}' {BAD_HEADER}"
    ),
    "mhd: a name of which ITK drops the end": volume(
        "a.mhd", write_header("a.mhd", mhd("b.raw\u00e4"), link("b.raw", "/etc/passwd"), write_raw("b.raw\u00e4")), f"found a damaged file (the file name 'b.raw\u00e4' {BAD_HEADER}"
    ),
    "mhd: no data": volume("a.mhd", write_header("a.mhd", mhd("x").split("ElementD")[0]), f"found a damaged file (no ElementDataFile {BAD_HEADER}"),
    "mhd: a link that leads elsewhere": bad_part("b.raw", write_header("a.mhd", mhd("b.raw"), link("b.raw", "/etc/passwd")), LINK_OUTSIDE),
    "mhd: a folder that leads elsewhere": bad_part("b/passwd", write_header("a.mhd", mhd("b/passwd"), link("b", "/etc")), LINK_OUTSIDE),
    "mhd: a link to the standard input": bad_part(
        "b.raw", write_header("a.mhd", mhd("b.raw"), link("b.raw", "/dev/stdin")), LINK_OUTSIDE.replace("/etc/passwd", "...")
    ),
    "mhd: spaces without end": volume(
        "a.mhd", write_header("a.mhd", "data file: " + " " * 10**6 + "x\n"), f"found a damaged file (no ElementDataFile {BAD_HEADER}"
    ),
    "mhd: more than could be packed": volume(
        "a.mhd", write_header("a.mhd", mhd("b.raw", "1000 1000 500").replace("ElementD", "CompressedData = True\nElementD"), write_raw()),
        "found 1000 x 1000 x 500 pixels in 336 bytes; expected at least 484497 bytes for them; copy it again from its source",
    ),
    "nrrd: nothing in it": volume("a.nrrd", b"", f"found a damaged file (no NRRD0004 or the like {BAD_HEADER}"),
    "nrrd: cut off": volume("a.nrrd", nhdr("x").replace("data file: x\n", "").encode() + bytes(99), damaged()),
    "nhdr: a file elsewhere": volume("a.nhdr", write_header("a.nhdr", nhdr("../b.raw")), f"found '../b.raw' in its header; {OUTSIDE_FOLDER}"),
    "nhdr: a file that is a pipe": Case(
        write_header("a.nhdr", nhdr("b.raw"), pipe("b.raw")), ["predict", VOLUMES, "a.nhdr", "-o", "out"], PART_IS_PIPE
    ),
    "nhdr: lines that end in a carriage return": volume(
        "a.nhdr", lambda: Path("a.nhdr").write_bytes(nhdr("/etc/passwd").replace("\n", "\r").encode()),
        f"found a damaged file (a control character (line 1) {BAD_HEADER}",
    ),
    "nhdr: a carriage return in a comment": volume(
        "a.nhdr", lambda: Path("a.nhdr").write_bytes(nhdr("/etc/passwd").replace("data file", "#\rdata file").encode()),
        f"found a damaged file (a control character (line 7) {BAD_HEADER}",
    ),
    "nhdr: its other spelling": volume(
        "a.nhdr", write_header("a.nhdr", nhdr("../b.raw").replace("data file", "DataFile")), f"found '../b.raw' in its header; {OUTSIDE_FOLDER}"
    ),
    "nhdr: the standard input": volume("a.nhdr", write_header("a.nhdr", nhdr("-")), f"found a damaged file (the file name '-' {BAD_HEADER}"),
    "nhdr: a drive": volume("a.nhdr", write_header("a.nhdr", nhdr("b:raw")), f"found a damaged file (the file name 'b:raw' {BAD_HEADER}"),
    "nhdr: a list with a link": bad_part(
        "b.raw", write_header("a.nhdr", nhdr("LIST").strip() + "\nb.raw\n", link("b.raw", "/etc/passwd")), LINK_OUTSIDE, "a.nhdr"
    ),
    "nhdr: a link that leads elsewhere": bad_part("b.raw", write_header("a.nhdr", nhdr("b.raw"), link("b.raw", "/etc/passwd")), LINK_OUTSIDE, "a.nhdr"),
    "nhdr: a format string": volume(
        "a.nhdr", write_header("a.nhdr", nhdr("b%d%n.raw 1 6 1")), f"found a damaged file ('b%d%n.raw 1 6 1' for 'NAME%03d.raw FIRST LAST STEP' {BAD_HEADER}"
    ),
    "dicom: a link that leads elsewhere": bad_part("a/b.dcm", lambda: (folder("a")(), link("a/b.dcm", "/etc/passwd")()), LINK_OUTSIDE, "a"),
    "dicom: an empty folder": volume(
        "a", folder("a"), "found a folder without DICOM files; expected one DICOM series; name a folder with the files of a single series"
    ),
    "dicom: other files": volume(
        "a", lambda: (folder("a")(), Path("a/b.txt").write_text("none", encoding="utf-8")),
        "found a folder without DICOM files; expected one DICOM series; name a folder with the files of a single series",
    ),
    "dicom: a pipe among the files": Case(
        lambda: (folder("a")(), pipe("a/b.dcm")()), ["predict", VOLUMES, "a", "-o", "out"],
        "a/b.dcm: found a pipe, socket or device; expected a file; move it elsewhere",
    ),
}  # fmt: skip
