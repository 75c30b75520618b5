"""Units of pixel sizes, as image formats write them."""

MICROMETRES_PER_INCH = 25_400.0
# Micrometres in a unit, by its symbol (OME-TIFF, ImageJ; "u" for the Greek letter) and by its name (OME-Zarr).
MICROMETRES = {
    "m": 1e6, "cm": 1e4, "mm": 1e3, "um": 1.0, "nm": 1e-3, "pm": 1e-6, "Å": 1e-4, "in": MICROMETRES_PER_INCH,
    "meter": 1e6, "centimeter": 1e4, "millimeter": 1e3, "micrometer": 1.0, "micron": 1.0, "nanometer": 1e-3,
    "picometer": 1e-6, "angstrom": 1e-4, "inch": MICROMETRES_PER_INCH, "inche": MICROMETRES_PER_INCH,
}  # fmt: skip


def micrometres(unit: str) -> float | None:
    """Return the length of a unit in micrometres.

    Parameters
    ----------
    unit : str
        Symbol or name: "µm" with either Unicode letter or as ImageJ escapes it, "micron", "nanometers".

    Returns
    -------
    float or None
        None for units that are no length, such as "pixel", and unknown ones.
    """
    symbol = unit.strip().replace("\\u00B5", "u").replace("µ", "u").replace("μ", "u")
    name = symbol.lower().replace("metre", "meter")
    return next((MICROMETRES[key] for key in (symbol, name, name.removesuffix("s")) if key in MICROMETRES), None)
