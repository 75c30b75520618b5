"""Cases of bad planes: PNG, TIFF, OME-TIFF."""

import os
import stat
import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from bad_input.case import IN_PIECES, Case, damaged, folder, image, link, pipe, zeros
from PIL import Image

SMALL = np.random.default_rng(0).integers(0, 255, (24, 24)).astype(np.uint8)
IMAGE = "expected an image; correct the path in the sample sheet or the key 'data'"


def png(width: int, height: int, *more: tuple[bytes, bytes], data: bytes = b"") -> bytes:
    """Make the bytes of an 8-bit PNG of one channel, with further chunks before the pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", data or zlib.compress(bytes((width + 1) * height)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunk(*content) for content in more) + pixels + chunk(b"IEND", b"")


def write_postscript() -> None:
    """Write PostScript, and a program `gs` into the PATH, because Pillow passes PostScript to gs."""
    Path("bin").mkdir()
    Path("bin/gs").write_text("#!/bin/sh\ntouch canary\n", encoding="utf-8")
    os.chmod("bin/gs", stat.S_IRWXU)
    os.environ["PATH"] = f"{Path('bin').resolve()}:{os.environ['PATH']}"  # restored after the test
    Path("a.png").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n", encoding="utf-8"
    )


def write_tiff(name: str = "a.tif", array: np.ndarray = SMALL, **options):
    """Return a function that writes a TIFF."""
    return lambda: tifffile.imwrite(name, array, **options)


def changed(change, name: str = "a.tif", array: np.ndarray = SMALL, **options):
    """Return a function that writes a TIFF and changes its bytes."""

    def make():
        tifffile.imwrite(name, array, **options)
        Path(name).write_bytes(change(bytearray(Path(name).read_bytes())))

    return make


def with_tag(code: int, value, name: str = "a.tif", array: np.ndarray = SMALL, **options):
    """Return a function that writes a TIFF and overwrites tags."""

    def make():
        tifffile.imwrite(name, array, **options)
        with tifffile.TiffFile(name, mode="r+b") as file:
            for tag, new in zip(np.atleast_1d(code).tolist(), np.atleast_1d(value).tolist(), strict=True):
                file.pages[0].tags[tag].overwrite(new)

    return make


def write_circle():
    """Write a TIFF of two pages, the second of which points to the first as the next."""
    with tifffile.TiffWriter("a.tif") as file:
        for _ in range(2):
            file.write(SMALL, metadata=None, contiguous=False)
    with tifffile.TiffFile("a.tif") as file:
        first, second = (page.offset for page in file.pages)
        next_offset = second + 2 + 12 * len(file.pages[1].tags)
    content = bytearray(Path("a.tif").read_bytes())
    content[next_offset : next_offset + 4] = struct.pack("<I", first)
    Path("a.tif").write_bytes(content)


def ome(image_name: str, prologue: str = "", sizes: str = 'SizeT="1"', planes: str = "<TiffData/>", name="a.ome.tif"):
    """Return a function that writes an OME-TIFF of one plane with the given name, prologue, sizes and planes."""
    xml = (
        f'<?xml version="1.0"?>{prologue}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:1">'
        f'<Image ID="Image:0" Name="{image_name}"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="24"'
        f' SizeY="24" SizeC="1" SizeZ="1" {sizes}><Channel ID="Channel:0"/>{planes}</Pixels></Image></OME>'
    )
    return lambda: tifffile.imwrite(name, SMALL, description=xml, metadata=None)


BILLION_LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "ha" * 50}">' for i in range(10))
DOCUMENT_TYPE = "found a document type in its OME header; expected XML without one; export the image again"


def planes_in(file: str) -> str:
    """Return the XML of two planes, one of which is in another file."""
    other = f'<TiffData FirstT="1" PlaneCount="1"><UUID FileName="{file}">urn:2</UUID></TiffData>'
    return f'{other}<TiffData PlaneCount="1"/>'


def with_second_file(make_second):
    """Return a function that writes an OME-TIFF of two planes, one of which is in the second file."""

    def make():
        make_second()
        ome("a", sizes='SizeT="2"', planes=planes_in("b.tif"))()

    return make


OUTSIDE_FOLDER = "expected files in its own folder; move them there, and correct the header"
LINK_OUTSIDE = "found a link to /etc/passwd; expected a file in its own folder; put the file there in place of the link"
WRONG_AXES = (
    "found shape {} with axes '{}'; expected 2 spatial axes and at most one channel axis;"
    " set spatial_dims, or save the file with its axes named"
)
ALL_FILES = "expected all files that its OME header names; copy all of its files into one folder"
STRIPS = {"rowsperstrip": 4, "compression": "zlib"}

CASES: dict[str, Case] = {
    "png: nothing in it": image("a.png", b"", damaged("cannot identify image file ...")),
    "png: text": image("a.png", b"no image" * 99, damaged("cannot identify image file ...")),
    "png: cut off": image("a.png", png(24, 24)[:45], damaged()),
    "png: a changed byte": image("a.png", png(24, 24).replace(b"IDATx", b"IDATy"), damaged()),
    "png: pixels missing": image(
        "a.png", png(24, 24, data=zlib.compress(bytes(99))), damaged("image file is truncated...")
    ),
    "png: ten terapixels": image(
        "a.png",
        png(3_000_000, 3_000_000, data=b"x"),
        f"found 3000000 x 3000000 {IN_PIECES}",
    ),
    "png: a gigabyte of text": image(
        "a.png",
        lambda: Path("a.png").write_bytes(png(24, 24, (b"zTXt", b"Comment\0\0" + zeros(1)))),
        damaged("Decompressed data too large..."),
    ),
    "png: PostScript": image("a.png", write_postscript, damaged("cannot identify image file ...")),
    "png: colours for a model of one channel": image(
        "a.png",
        lambda: Image.fromarray(np.stack([SMALL, SMALL, SMALL ^ 1], 2)).save("a.png"),
        "found 3 channels; expected 1, as in training; save it with the channels of the training images",
    ),
    "png: a folder": image("a.png", folder("a.png"), f"found a folder, not a file; {IMAGE}"),
    "png: a pipe": image("a.png", pipe("a.png"), f"found a pipe, socket or device, not a file; {IMAGE}"),
    "png: a device without end": image(
        "a.png", link("a.png", "/dev/zero"), f"found a pipe, socket or device, not a file; {IMAGE}"
    ),
    "png: a link to nothing": image(
        "a.png", link("a.png", "b.png"), "found no such file; expected an image; correct the path"
    ),
    "png: a link to itself": image(
        "a.png", link("a.png", "a.png"), "found no such file; expected an image; correct the path"
    ),
    "no such file": image("a.tif", lambda: None, "found no such file; expected an image; correct the path"),
    "a name that is too long": image(
        "a" * 300 + ".tif", lambda: None, "found no such file; expected an image; correct the path"
    ),
    "another format": image("a.gif", b"x", "found format '.gif'; expected .ome.tiff, ...; convert it to one of these"),
    "tiff: nothing in it": image("a.tif", b"", damaged()),
    "tiff: text": image("a.tif", b"no image" * 99, damaged("not a TIFF file...")),
    "tiff: cut off": image("a.tif", changed(lambda b: b[: len(b) // 2]), damaged()),
    "tiff: damage within": image("a.tif", changed(lambda b: b[:-60] + bytes(60), **STRIPS), damaged()),
    "tiff: a height that is no integer": image(
        "a.tif",
        changed(  # a double, at the end of the file
            lambda b: (
                b.replace(
                    b"\x01\x01\x04\0\x01\0\0\0\x18\0\0\0", b"\x01\x01\x0c\0\x01\0\0\0" + struct.pack("<I", len(b)), 1
                )
                + struct.pack("<d", 23.5)
            )
        ),
        damaged("'float' object cannot be interpreted as an integer"),
    ),
    "tiff: a page that is its own successor": image(
        "a.tif", write_circle, damaged("pages that follow each other in a circle")
    ),
    "tiff: a terapixel in one strip": image(
        "a.tif",
        with_tag([256, 257, 278], [10**6, 10**6, 10**6], compression="zlib"),
        f"found 1000000 x 1000000 {IN_PIECES}",
    ),
    "tiff: fewer tiles than it says": image(
        "a.tif",
        with_tag([256, 257], [10**6, 10**6], array=np.zeros((64, 64), np.uint8), tile=(16, 16), compression="zlib"),
        damaged("16 of 3906250000 tiles or strips"),
    ),
    "tiff: a strip that unpacks to a gigabyte": image(
        "a.tif",
        lambda: tifffile.imwrite(
            "a.tif", iter([zeros(1)]), shape=(24, 24), dtype=np.uint8, compression="zlib", rowsperstrip=24
        ),
        damaged(),
    ),
    "tiff: an unknown codec": image("a.tif", with_tag(259, 34676, compression="zlib"), damaged("...COMPRESSION...")),
    "tiff: NaN": image(
        "a.tif",
        write_tiff(array=np.full((24, 24), np.nan, np.float32)),
        "found 576 pixels that are NaN or infinite; expected finite numbers; repair or drop the image",
    ),
    "tiff: infinite": image(
        "a.tif",
        write_tiff(array=np.full((24, 24), np.inf, np.float32)),
        "found 576 pixels that are NaN or infinite; expected finite numbers; repair or drop the image",
    ),
    "tiff: complex numbers": image(
        "a.tif",
        write_tiff(array=SMALL.astype(np.complex64)),
        "found pixels of type complex64; expected one real number per pixel and channel;"
        " save each channel as integers or floats",
    ),
    "tiff: a stack for planes": image(
        "a.tif",
        write_tiff(array=np.stack([SMALL] * 3), photometric="minisblack"),
        WRONG_AXES.format("(3, 24, 24)", "ZYX"),
    ),
    "tiff: a folder": image("a.tif", folder("a.tif/b"), f"found a folder, not a file; {IMAGE}"),
    "tiff: a pipe": image("a.tif", pipe("a.tif"), f"found a pipe, socket or device, not a file; {IMAGE}"),
    "ome: a time series": image(
        "a.ome.tif",
        write_tiff("a.ome.tif", np.stack([SMALL] * 3), metadata={"axes": "TYX"}),
        WRONG_AXES.format("(3, 24, 24)", "TYX"),
    ),
    "ome: a billion laughs": image("a.ome.tif", ome("&l9;", f"<!DOCTYPE x [{BILLION_LAUGHS}]>"), DOCUMENT_TYPE),
    "ome: an entity from a file": image(
        "a.ome.tif", ome("&e;", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'), DOCUMENT_TYPE
    ),
    "ome: no XML": image("a.ome.tif", ome("<"), damaged()),
    "ome: a file elsewhere": image(
        "a.ome.tif",
        ome("a", sizes='SizeT="2"', planes=planes_in("../b.tif")),
        f"found '../b.tif' in its header; {OUTSIDE_FOLDER}",
    ),
    "ome: a file by its whole path": image(
        "a.ome.tif",
        ome("a", sizes='SizeT="2"', planes=planes_in("/etc/hostname")),
        f"found '/etc/hostname' in its header; {OUTSIDE_FOLDER}",
    ),
    "ome: a path in disguise": image(
        "a.ome.tif",
        ome("a", sizes='SizeT="2"', planes=planes_in("&#46;&#46;&#47;b.tif")),
        f"found '../b.tif' in its header; {OUTSIDE_FOLDER}",
    ),
    "ome: a file that is a pipe": Case(
        with_second_file(pipe("b.tif")),
        ["predict", "PLANES", "a.ome.tif", "-o", "out"],
        "b.tif: found a pipe, socket or device; expected a file; move it elsewhere",
    ),
    "ome: a file that leads elsewhere": Case(
        with_second_file(link("b.tif", "/etc/passwd")),
        ["predict", "PLANES", "a.ome.tif", "-o", "out"],
        f"b.tif: {LINK_OUTSIDE}",
    ),
    "ome: a file that is missing": image(
        "a.ome.tif",
        with_second_file(lambda: None),
        f"found 1 of 2 planes missing; {ALL_FILES}",
    ),
    "ome: four thousand million planes": image(
        "a.ome.tif",
        ome("a", planes='<TiffData PlaneCount="4000000000"/>'),
        "found PlaneCount=4000000000 in its OME header; expected 0 to 16777216; export the image again",
    ),
    "ome: a thousand million planes by their axes": image(
        "a.ome.tif",
        ome("a", sizes=f'SizeT="{2**15}" SizeA="{2**15}"', planes=f'<TiffData FirstT="{2**15 - 1}" FirstZ="0"/>'),
        "found planes=1073741824 in its OME header; expected 0 to 16777216; export the image again",
    ),
    "ome: ten million planes again and again": image(
        "a.ome.tif",
        ome("a", sizes='SizeT="10000000"', planes='<TiffData PlaneCount="10000000"/>' * 3),
        "found planes=20000000 in its OME header; expected 0 to 16777216; export the image again",
    ),
    "ome: a plane before the first": image(
        "a.ome.tif",
        ome("a", planes='<TiffData FirstT="-5" PlaneCount="1"/>'),
        "found FirstT=-5 in its OME header; expected 0 to 16777216; export the image again",
    ),
    "ome: steps of nearly nothing": image(
        "a.ome.tif",
        ome("a", planes='<TiffData/><ModuloAlongT Type="lifetime" Start="0" End="9" Step="1e-12"/>'),
        "found steps=9000000000000 in its OME header; expected 0 to 16777216; export the image again",
    ),
    "ome: pixels of no size": image(
        "a.ome.tif",
        ome("a", sizes='SizeT="1" PhysicalSizeX="0" PhysicalSizeY="0"'),
        "found pixels of 0 x 0; expected positive sizes; correct the pixel size in its header",
    ),
    "ome: pixels of no known size": image(
        "a.ome.tif", ome("a", sizes='SizeT="1" PhysicalSizeX="wide" PhysicalSizeY="1"'), damaged("...'wide'")
    ),
}
