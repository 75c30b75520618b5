"""Write small CZI, LIF and ND2 files.

Arrays have the axes (channels, planes, rows, columns); each array is an image of the file, and all have one shape.
"""

import struct
from pathlib import Path

import numpy as np

SIZES = {"Z": 2.0, "Y": 0.25, "X": 0.5}  # micrometres
ND2_MAGIC = 0x0ABECEDA


def write_czi(path: Path, *arrays: np.ndarray) -> None:
    """Write a CZI by the library of Zeiss; scenes lie side by side."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path)) as file:
        for scene, array in enumerate(arrays):
            place = {"location": (scene * 1000, 7 * scene), "scene": scene} if len(arrays) > 1 else {}
            for c, z in np.ndindex(array.shape[:2]):
                file.write(array[c, z][..., None], plane={"C": c, "Z": z}, **place)
        scales = {f"scale_{axis.lower()}": size / 1e6 for axis, size in SIZES.items()}
        file.write_metadata(document_name="made", **scales)


def write_czi_colours(path: Path, image: np.ndarray) -> None:
    """Write an RGB plane, shape (rows, columns, 3), as a CZI."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path)) as file:
        file.write(image[..., ::-1].copy())
        file.write_metadata(document_name="made")


def write_lif(path: Path, *arrays: np.ndarray) -> None:
    """Write a LIF: a header in UTF-16 that describes the images, then the pixels of each, channels within planes."""
    elements = "".join(_lif_image(array, number) for number, array in enumerate(arrays))
    header = (
        '<LMSDataContainerHeader Version="2"><Element Name="all" Visibility="1" UniqueID="r">'
        '<Data><Experiment Path="a"/></Data><Memory Size="0" MemoryBlockID="none"/>'
        f"<Children>{elements}</Children></Element></LMSDataContainerHeader>"
    )
    with path.open("wb") as file:
        file.write(struct.pack("<IIBI", 0x70, 2 * len(header) + 5, 0x2A, len(header)) + header.encode("utf-16-le"))
        for number, array in enumerate(arrays):
            memory = np.ascontiguousarray(array.transpose(1, 0, 2, 3)).tobytes()
            name = f"MemBlock_{number}"
            size = 2 * len(name) + 14
            file.write(struct.pack("<IIBQBI", 0x70, size, 0x2A, len(memory), 0x2A, len(name)))
            file.write(name.encode("utf-16-le") + memory)


def _lif_image(array: np.ndarray, number: int) -> str:
    count, planes, rows, columns = array.shape
    size, plane = array.itemsize, rows * columns * array.itemsize
    channels = "".join(
        f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="{8 * size}" Min="0" Max="1" Unit="" '
        f'NameOfMeasuredQuantity="" LUTName="Gray" IsLUTInverted="0" BytesInc="{i * plane}" BitInc="0"/>'
        for i in range(count)
    )
    dimensions = "".join(
        f'<DimensionDescription DimID="{axis}" NumberOfElements="{length}" Origin="0" BitInc="0" Unit="m" '
        f'Length="{(length - 1) * SIZES[letter] / 1e6}" BytesInc="{step}"/>'
        for axis, letter, length, step in (
            (1, "X", columns, size), (2, "Y", rows, columns * size), (3, "Z", planes, count * plane)
        )
        if length > 1
    )  # fmt: skip
    return (
        f'<Element Name="image {number}" Visibility="1" UniqueID="u{number}"><Data><Image TextDescription="">'
        f"<ImageDescription><Channels>{channels}</Channels><Dimensions>{dimensions}</Dimensions></ImageDescription>"
        f'</Image></Data><Memory Size="{array.nbytes}" MemoryBlockID="MemBlock_{number}"/><Children/></Element>'
    )


def write_nd2(path: Path, *arrays: np.ndarray) -> None:
    """Write an ND2 of version 2.1: chunks of XML, pixels by plane (channels innermost), and a map of the chunks."""
    array = np.concatenate(arrays, axis=1)
    count, frames, rows, columns = array.shape
    planes = frames // len(arrays)
    bits = 8 * array.itemsize
    plane = {"uiCompCount": 1, "sDescription": "c", "uiColor": 255, "pFluorescentProbe": {"m_Name": "p"}}
    picture = {"uiCount": count, "sPlaneNew": {f"a{i}": {**plane, "uiSampleIndex": i} for i in range(count)}}
    chunks = {
        "ImageAttributes!": _nd2_list(
            uiWidth=columns, uiWidthBytes=columns * count * array.itemsize, uiHeight=rows, uiComp=count,
            uiBpcInMemory=bits, uiBpcSignificant=bits, uiSequenceCount=frames, eCompression=2,
        ),
        "ImageMetadataSeq|0!": _nd2_list(bCalibrated=1, dCalibration=SIZES["X"], sPicturePlanes=picture),
    }  # fmt: skip
    loops = {}
    if planes > 1:
        loop = {"uiCount": planes, "dZStep": SIZES["Z"], "dZLow": 0.0, "dZHigh": SIZES["Z"] * (planes - 1)}
        loops = {"eType": 4, "uLoopPars": loop}
    if len(arrays) > 1:
        points = {f"i{n}": {"dPosX": 100.0 * n, "dPosY": 0.0, "dPosZ": 0.0} for n in range(len(arrays))}
        loops = {"eType": 2, "uLoopPars": {"Points": points}, **({"ppNextLevelEx": {"i0": loops}} if loops else {})}
    if loops:
        chunks["ImageMetadata!"] = _nd2_list(**loops)
    for number in range(frames):
        chunks[f"ImageDataSeq|{number}!"] = struct.pack("<d", 0) + array[:, number].transpose(1, 2, 0).tobytes()
    table = b""
    with path.open("wb") as file:
        file.write(struct.pack("<IIQ32s64s", ND2_MAGIC, 32, 64, b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver2.1"))
        for name, data in chunks.items():
            table += name.encode() + struct.pack("<QQ", file.tell(), len(data))
            file.write(struct.pack("<IIQ4072s", ND2_MAGIC, 4072, len(data), name.encode()) + data)
        table += b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", file.tell())
        file.write(struct.pack("<IIQ32s", ND2_MAGIC, 32, len(table), b"ND2 FILEMAP SIGNATURE NAME 0001!") + table)


def _nd2_list(**values) -> bytes:
    return f'<variant version="1.0">{_nd2_node("no_name", values)}</variant>'.encode()


def _nd2_node(name: str, value) -> str:
    if isinstance(value, dict):
        return f'<{name} runtype="CLxListVariant">{"".join(_nd2_node(*item) for item in value.items())}</{name}>'
    kind = {int: "lx_uint32", float: "double", str: "CLxStringW"}[type(value)]
    return f'<{name} runtype="{kind}" value="{value}"/>'
