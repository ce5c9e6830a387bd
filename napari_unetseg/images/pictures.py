"""PNG, JPEG and other pictures of one plane."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_unetseg.errors import UserError

from .axes import arrange
from .damage import no_parts
from .names import stem_of
from .stack import Stack


def read(path: Path, part: str = "", axes: str | None = None) -> Stack:
    """Read a picture; palettes keep their indices where they are label images' or grey.

    `axes` is for files whose axes are uncertain, which a picture's are not: it is ignored.

    Returns
    -------
    Stack
        Axes ``YX``, or ``CYX`` for RGB. Pixel sizes are left out: the dots per inch of a picture
        are a printer's.

    Raises
    ------
    UserError
        If it has more pixels than Pillow takes for honest, about 180 million.
    """
    if part:
        raise no_parts(path, part)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # half as many are fine
            pixels = _pixels(path)
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise UserError(
            f"{path} has more than {most} million pixels, or is damaged; save so large a picture "
            "as TIFF, which need not be read at once."
        ) from error
    if pixels.ndim == 2:
        return Stack(pixels, "YX", {}, stem_of(path), path)
    if pixels.shape[2] in (2, 4):  # with alpha
        pixels = pixels[..., :-1]
    if pixels.shape[2] == 1:
        return Stack(pixels[..., 0], "YX", {}, stem_of(path), path)
    data, ordered = arrange(pixels, "YXC")
    return Stack(data, ordered, {}, stem_of(path), path, ("red", "green", "blue"))


def _pixels(path: Path) -> npt.NDArray[Any]:
    with Image.open(path, formats=("PNG", "JPEG", "BMP")) as picture:
        if picture.format == "PNG" and _deep_colour(path):
            import imagecodecs  # Pillow reduces 16-bit colour to 8 bits

            return np.asarray(imagecodecs.png_decode(path.read_bytes()))
        if picture.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
            return np.asarray(picture.convert("RGB"))
        # "P" stays: indices are what a label image with a palette means.
        return np.array(picture)


def _deep_colour(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(26)
    return header[24] == 16 and header[25] in (2, 4, 6)
