"""Lengths in the units files use, in µm."""

from __future__ import annotations

import math

_UM_PER_UNIT = {
    "km": 1e9,
    "m": 1e6,
    "meter": 1e6,
    "cm": 1e4,
    "centimeter": 1e4,
    "mm": 1e3,
    "millimeter": 1e3,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "å": 1e-4,
    "a": 1e-4,
    "angstrom": 1e-4,
    "pm": 1e-6,
    "picometer": 1e-6,
    "inch": 25400.0,
    "in": 25400.0,
}

#: Resolutions that printers, screens and scanners put into files, in dots per inch.
_PRINT_DPI = (36, 72, 75, 90, 96, 100, 120, 144, 150, 180, 200, 240, 300, 360, 400, 600, 720,
              1200, 2400, 4800)  # fmt: skip

#: Above this a pixel is a print's, not a microscope's, unless a unit says so.
_LARGEST_PIXEL_UM = 100.0


def length_um(length: float | str | None, unit: str | None) -> float | None:
    """Convert a length to µm.

    Returns
    -------
    float or None
        None where the length is not a positive number or the unit is not a unit of length
        (``"pixel"``, ``"reference frame"``).

    Examples
    --------
    >>> length_um("4.6", "nm")
    0.0046
    """
    if length is None or unit is None:
        return None
    unit = unit.strip().replace("\\u00B5", "u").replace("µ", "u").replace("μ", "u")
    factor = _UM_PER_UNIT.get(unit.lower())
    try:
        value = abs(float(length))
    except ValueError:
        return None
    if factor is None or not math.isfinite(value) or value == 0:
        return None
    return float(f"{value * factor:.12g}")


def resolution_um(pixels_per_unit: float, unit: str) -> float | None:
    """Take a TIFF resolution for a pixel size only where it is plausibly one.

    Most programs write the resolution of a printer or a screen into these tags. So sizes above
    100 µm and the usual numbers of dots per inch are not believed.

    Parameters
    ----------
    pixels_per_unit : float
        Of the tags XResolution or YResolution.
    unit : {"cm", "inch"}
        Of the tag ResolutionUnit.

    Returns
    -------
    float or None
        Size of a pixel in µm.

    Examples
    --------
    >>> resolution_um(72, "inch") is None
    True
    """
    if not math.isfinite(pixels_per_unit) or pixels_per_unit <= 0:
        return None
    dpi = pixels_per_unit * (2.54 if unit == "cm" else 1.0)
    if any(abs(dpi - usual) < 0.005 * usual for usual in _PRINT_DPI):
        return None
    size = length_um(1 / pixels_per_unit, unit)
    return size if size is not None and size <= _LARGEST_PIXEL_UM else None
