"""An image with what is known about its pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Example:
    """An image, and by structure what is known about every pixel.

    Attributes
    ----------
    pixels : ndarray, shape (Z, Y, X), uint8
    codes : dict of str to ndarray, shape (Z, Y, X), uint8
        By the name of a class: 0 cannot be told, 1 is not of it, 2 is. Nothing is known of classes
        that are not there.
    ids : dict of str to ndarray, shape (Z, Y, X), uint32
        Objects of some of the classes, 0 where there is none.
    """

    pixels: npt.NDArray[np.uint8]
    codes: Mapping[str, npt.NDArray[np.uint8]]
    ids: Mapping[str, npt.NDArray[np.uint32]] = field(default_factory=dict)
