"""Images in a TIFF: which series of pages are images, which are stacks in parts, previews, or in other files."""

import math

import tifffile

# Names that slide scanners and Bio-Formats give to previews.
PREVIEWS = {"thumbnail", "label", "macro", "overview", "label image", "macro image"}
# Bits of the tag NewSubfileType of a reduced copy and of a transparency mask.
REDUCED_OR_MASK = 1 | 4
# Largest side of an unmarked preview, relative to the image.
MAX_PREVIEW_SIDE = 0.5


def list_images(file: tifffile.TiffFile) -> list[tifffile.TiffPageSeries]:
    """List the images in a TIFF as series of pages.

    Pages that were written one by one, with equal shape and type, are one stack whose pages have the axis I. Previews
    and masks of transparency are no images. Of a set of OME-TIFF files, the images with a plane in this file count.

    Parameters
    ----------
    file : TiffFile

    Returns
    -------
    list of TiffPageSeries
        In the order of the file.
    """
    series = file.series
    if file.is_ome:
        series = [s for s in series if any(page is not None and page.parent is file for page in s.pages)] or series
    return _join_pages(_without_previews(series))


def _without_previews(series: list[tifffile.TiffPageSeries]) -> list[tifffile.TiffPageSeries]:
    """Return the series without previews and masks of the largest one."""
    marked = [bool(int(s.keyframe.subfiletype) & REDUCED_OR_MASK) for s in series]
    series = [s for s, mark in zip(series, marked, strict=True) if not mark or all(marked)]
    largest = max(series, key=lambda s: math.prod(_sides(s)))
    return [s for s in series if s is largest or not _is_preview(s, largest)]


def _sides(series: tifffile.TiffPageSeries) -> tuple[int, int]:
    return series.keyframe.imagelength, series.keyframe.imagewidth


def _is_preview(series: tifffile.TiffPageSeries, image: tifffile.TiffPageSeries) -> bool:
    """Return True for a smaller series that is called a preview, or has the proportions of the image.

    Proportions decide nothing in OME-TIFF, whose header lists the images.
    """
    (height, width), (full_height, full_width) = _sides(series), _sides(image)
    if max(height / full_height, width / full_width) > MAX_PREVIEW_SIDE:
        return False
    # The sides of a copy are rounded to whole pixels.
    has_proportions = abs(height * full_width / full_height - width) <= max(1, full_width / full_height)
    return series.name.lower() in PREVIEWS or (series.kind != "ome" and has_proportions)


def _join_pages(series: list[tifffile.TiffPageSeries]) -> list[tifffile.TiffPageSeries]:
    """Join series of one page each, of equal shape and storage, to a stack; OME-TIFF names its stacks itself."""
    groups: dict[tuple, list[tifffile.TiffPageSeries]] = {}
    for number, one in enumerate(series):
        is_page = one.kind != "ome" and math.prod(one.shape) == math.prod(one.keyframe.shape)
        groups.setdefault(("pages", one.keyframe.hash) if is_page else ("series", number), []).append(one)
    return [_stack(group) if len(group) > 1 else group[0] for group in groups.values()]


def _stack(series: list[tifffile.TiffPageSeries]) -> tifffile.TiffPageSeries:
    """Return a stack of series of one page each."""
    page = series[0].keyframe
    pages = [one.keyframe for one in series]
    return tifffile.TiffPageSeries(pages, (len(pages), *page.shape), page.dtype, f"I{page.axes}", kind="generic")
