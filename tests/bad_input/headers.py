# ruff: noqa: E501 - messages stand in one piece, as they are looked for
"""Bad volumes with text headers, MHA, MHD and NRRD, and bad folders of DICOM."""

from pathlib import Path

from bad_input.case import VOLUMES, Case, damaged, folder, link, pipe
from bad_input.planes import OUT, OUTSIDE
from bad_input.volumes import SMALL, volume


def text(name: str, content: str, *others):
    """A header, and what else is to be made."""

    def make():
        Path(name).write_text(content, encoding="utf-8")
        for other in others:
            other()

    return make


def raw(name: str = "b.raw"):
    """The pixels of a header."""
    return lambda: Path(name).write_bytes(SMALL.tobytes())


def told_of(part: str, make, told: str, name: str = "a.mhd") -> Case:
    """An image of several files, of which one is at fault."""
    return Case(make, ["predict", VOLUMES, name, "-o", "out"], f"{part}: {told}")


def mhd(data: str, size: str = "8 7 6") -> str:
    return f"ObjectType = Image\nNDims = 3\nDimSize = {size}\nElementType = MET_UCHAR\nElementDataFile = {data}\n"


def nhdr(data: str) -> str:
    return f"NRRD0004\ntype: uchar\ndimension: 3\nspace: left-posterior-superior\nsizes: 8 7 6\nencoding: raw\ndata file: {data}\n\n"


PIPE = "b.raw: found a pipe, socket or device; expected a file; move it elsewhere"
HEADER = "in its header); expected a header as ITK writes it; export the image again, or convert it to .nii.gz"
NOT_THERE = "found no such file; expected the data of {}; copy all files of the image into one folder"
CASES: dict[str, Case] = {
    "mha: text": volume("a.mha", b"no image" * 99, f"found a damaged file (the line 'no image...' {HEADER}"),
    "mha: cut off": volume("a.mha", mhd("LOCAL").encode() + bytes(99), damaged()),
    "mha: a terapixel": volume(
        "a.mha", mhd("LOCAL", "10000 10000 10000").encode() + bytes(99),
        "found 10000 x 10000 x 10000 pixels in one piece; expected at most ... million (half of the memory); convert it to .nii",
    ),
    "mha: a header without end": volume(
        "a.mha", b"Comment = " + b"x" * 2**20 + b"\n" + mhd("/etc/hostname").encode(), f"found a damaged file (no end within 1048576 bytes {HEADER}"
    ),
    "mhd: more axes than there are": volume(
        "a.mhd", text("a.mhd", mhd("b.raw").replace("NDims = 3", f"NDims = {10**20}")), f"found a damaged file (1... axes {HEADER}"
    ),
    "mhd: a file elsewhere": volume("a.mhd", text("a.mhd", mhd("../b.raw")), f"found '../b.raw' in its header; {OUTSIDE}"),
    "mhd: a file by its whole path": volume("a.mhd", text("a.mhd", mhd("/dev/zero")), f"found '/dev/zero' in its header; {OUTSIDE}"),
    "mhd: no such file": told_of("b.raw", text("a.mhd", mhd("b.raw")), NOT_THERE.format("a.mhd")),
    "mhd: a file that is a pipe": Case(text("a.mhd", mhd("b.raw"), pipe("b.raw")), ["predict", VOLUMES, "a.mhd", "-o", "out"], PIPE),
    "mhd: a list with a pipe": Case(
        text("a.mhd", mhd("LIST") + "b.raw\n" * 6, pipe("b.raw")), ["predict", VOLUMES, "a.mhd", "-o", "out"], PIPE
    ),
    "mhd: a list that is too short": volume(
        "a.mhd", text("a.mhd", mhd("LIST") + "b.raw\n", raw()), f"found a damaged file (1 names of 6 files {HEADER}"
    ),
    "mhd: a list of whole images": volume("a.mhd", text("a.mhd", mhd("LIST 3") + "b.raw\n", raw()), f"found a damaged file ('LIST 3' {HEADER}"),
    "mhd: a pattern that fits a pipe": told_of(
        "b3.raw", text("a.mhd", mhd("b%d.raw 1 6 1"), raw("b1.raw"), raw("b2.raw"), pipe("b3.raw")), PIPE.split(": ", 1)[1]
    ),
    "mhd: a format string": volume(
        "a.mhd", text("a.mhd", mhd("b%s%n.raw 1 6 1")), f"found a damaged file ('b%s%n.raw 1 6 1' for 'NAME%03d.raw FIRST LAST STEP' {HEADER}"
    ),
    "mhd: a pattern without end": volume("a.mhd", text("a.mhd", mhd("b%d.raw 1 6 0")), f"found a damaged file (files 1 to 6 by 0 {HEADER}"),
    "mhd: a key behind a vertical tab": volume(
        "a.mhd", text("a.mhd", mhd("b.raw").replace("Elem", "\x0bElem").replace("b.raw", "/etc/passwd"), raw()),
        f"found a damaged file (a control character (line 4) {HEADER}",
    ),
    "mhd: a number of axes behind a vertical tab": volume(
        "a.mhd", text("a.mhd", mhd("b.raw").replace("NDims = 3", "NDims = 3\n\x0bNDims = 5000"), raw()),
        f"found a damaged file (a control character (line 3) {HEADER}",
    ),
    "mhd: two numbers of axes": volume(
        "a.mhd", text("a.mhd", mhd("b.raw").replace("NDims = 3", "NDims = 3\nNDims = 2"), raw()), f"found a damaged file (two lines of NDims {HEADER}"
    ),
    "mhd: a line that ends in a carriage return": volume(
        "a.mhd", lambda: Path("a.mhd").write_bytes(mhd("/etc/passwd").replace("\nElementD", "\rElementD").encode()),
        f"found a damaged file (a control character (line 4) {HEADER}",
    ),
    "mhd: a key on the line before": volume(
        "a.mhd", text("a.mhd", mhd("x").replace("File = x", "File\nComment = /etc/passwd")), f"found a damaged file (the line 'ElementDataFile' {HEADER}"
    ),
    "mhd: a byte order mark": volume("a.mhd", text("a.mhd", "\ufeff" + mhd("b.raw"), raw()), f"found a damaged file (the line '\ufeffObjectType = Image' {HEADER}"),
    "mhd: a name with an end in it": volume(
        "a.mhd", text("a.mhd", mhd("/etc/passwd\0b.raw"), raw()), f"found a damaged file (a control character (line 5) {HEADER}"
    ),
    "mhd: a name that is too long": volume(
        "a.mhd", text("a.mhd", mhd("b" * 600)), f"found a damaged file (the file name '{'b' * 80}' {HEADER}"
    ),
    "mhd: a name of which ITK drops the end": volume(
        "a.mhd", text("a.mhd", mhd("b.raw\u00e4"), link("b.raw", "/etc/passwd"), raw("b.raw\u00e4")), f"found a damaged file (the file name 'b.raw\u00e4' {HEADER}"
    ),
    "mhd: no data": volume("a.mhd", text("a.mhd", mhd("x").split("ElementD")[0]), f"found a damaged file (no ElementDataFile {HEADER}"),
    "mhd: a link that leads elsewhere": told_of("b.raw", text("a.mhd", mhd("b.raw"), link("b.raw", "/etc/passwd")), OUT),
    "mhd: a folder that leads elsewhere": told_of("b/passwd", text("a.mhd", mhd("b/passwd"), link("b", "/etc")), OUT),
    "mhd: a link to the standard input": told_of(
        "b.raw", text("a.mhd", mhd("b.raw"), link("b.raw", "/dev/stdin")), OUT.replace("/etc/passwd", "...")
    ),
    "mhd: spaces without end": volume(
        "a.mhd", text("a.mhd", "data file: " + " " * 10**6 + "x\n"), f"found a damaged file (no ElementDataFile {HEADER}"
    ),
    "mhd: more than could be packed": volume(
        "a.mhd", text("a.mhd", mhd("b.raw", "1000 1000 500").replace("ElementD", "CompressedData = True\nElementD"), raw()),
        "found 1000 x 1000 x 500 pixels in 336 bytes; expected at least 484497 bytes for them; copy it again from its source",
    ),
    "nrrd: nothing in it": volume("a.nrrd", b"", f"found a damaged file (no NRRD0004 or the like {HEADER}"),
    "nrrd: cut off": volume("a.nrrd", nhdr("x").replace("data file: x\n", "").encode() + bytes(99), damaged()),
    "nhdr: a file elsewhere": volume("a.nhdr", text("a.nhdr", nhdr("../b.raw")), f"found '../b.raw' in its header; {OUTSIDE}"),
    "nhdr: a file that is a pipe": Case(
        text("a.nhdr", nhdr("b.raw"), pipe("b.raw")), ["predict", VOLUMES, "a.nhdr", "-o", "out"], PIPE
    ),
    "nhdr: lines that end in a carriage return": volume(
        "a.nhdr", lambda: Path("a.nhdr").write_bytes(nhdr("/etc/passwd").replace("\n", "\r").encode()),
        f"found a damaged file (a control character (line 1) {HEADER}",
    ),
    "nhdr: a carriage return in a comment": volume(
        "a.nhdr", lambda: Path("a.nhdr").write_bytes(nhdr("/etc/passwd").replace("data file", "#\rdata file").encode()),
        f"found a damaged file (a control character (line 7) {HEADER}",
    ),
    "nhdr: its other spelling": volume(
        "a.nhdr", text("a.nhdr", nhdr("../b.raw").replace("data file", "DataFile")), f"found '../b.raw' in its header; {OUTSIDE}"
    ),
    "nhdr: the standard input": volume("a.nhdr", text("a.nhdr", nhdr("-")), f"found a damaged file (the file name '-' {HEADER}"),
    "nhdr: a drive": volume("a.nhdr", text("a.nhdr", nhdr("b:raw")), f"found a damaged file (the file name 'b:raw' {HEADER}"),
    "nhdr: a list with a link": told_of(
        "b.raw", text("a.nhdr", nhdr("LIST").strip() + "\nb.raw\n", link("b.raw", "/etc/passwd")), OUT, "a.nhdr"
    ),
    "nhdr: a link that leads elsewhere": told_of("b.raw", text("a.nhdr", nhdr("b.raw"), link("b.raw", "/etc/passwd")), OUT, "a.nhdr"),
    "nhdr: a format string": volume(
        "a.nhdr", text("a.nhdr", nhdr("b%d%n.raw 1 6 1")), f"found a damaged file ('b%d%n.raw 1 6 1' for 'NAME%03d.raw FIRST LAST STEP' {HEADER}"
    ),
    "dicom: a link that leads elsewhere": told_of("a/b.dcm", lambda: (folder("a")(), link("a/b.dcm", "/etc/passwd")()), OUT, "a"),
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
