from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import LabelClass
from napari_unetseg.images import Stack


@dataclass(frozen=True, slots=True)
class Sample:
    """A generated stack and everything that is true of it.

    Attributes
    ----------
    image : Stack
        Axes ``"ZYX"``, uint8, pixel size in µm.
    classes : tuple of LabelClass
        Classes 1, 2, …; background is implied.
    codes : ndarray, shape (N, Y, X), uint8
        The class of every pixel, as annotations hold it: 1 background, ``k + 1`` class `k`.
    objects : ndarray, shape (N, Y, X), uint32
        Which cell or nucleus a pixel belongs to, the same id from slice to slice; 0 outside.
    """

    image: Stack
    classes: tuple[LabelClass, ...]
    codes: npt.NDArray[np.uint8]
    objects: npt.NDArray[np.uint32]
