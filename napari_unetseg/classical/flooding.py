"""Watershed from strokes: they flood the image until they meet where it is steep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import ndimage

from napari_unetseg.config import BACKGROUND, Config

from .channels import steepness
from .step import IN_3D, SMOOTHING, Codes, Kind, Labels, Method, View


class WatershedParams(Config):
    """Parameters of the watershed from strokes."""

    sigma_px: float = Field(1.5, ge=0, le=50, description=SMOOTHING)
    answer: Kind = Field(
        "classes",
        description="classes: pixels take the class of the stroke that reaches them; objects: each "
        "connected stroke of a class grows into one object",
    )
    in_3d: bool = Field(False, description=IN_3D)


class Watershed(Method[WatershedParams]):
    """Every pixel goes to the stroke that reaches it without crossing anything steeper.

    Background floods like a class. Where there are strokes of one class alone, what is painted
    stays, and nothing else is answered.

    References
    ----------
    S. Beucher and C. Lantuéjoul, "Use of watersheds in contour detection", International Workshop
    on Image Processing, Rennes 1979; from markers: F. Meyer and S. Beucher, "Morphological
    segmentation", Journal of Visual Communication and Image Representation 1 (1990) 21–46.
    """

    name: ClassVar[str] = "watershed"
    title: ClassVar[str] = "Watershed"
    family: ClassVar[str] = "Regions"
    summary: ClassVar[str] = "Floods the image from your strokes; borders form where it is steep."
    good_for: ClassVar[str] = (
        "Touching cells with visible outlines: one stroke in each, one in the background."
    )
    params = WatershedParams
    needs_strokes: ClassVar[bool] = True
    is_slow: ClassVar[bool] = True

    def answers_with(self, params: WatershedParams) -> Kind:
        """Return what is chosen."""
        return params.answer

    def n_codes_needed(self, params: WatershedParams) -> int:
        """Need two to find a border between classes."""
        return 1 if params.answer == "objects" else 2

    def segment(self, view: View, params: WatershedParams, prepared: Any = None) -> Labels:
        """Flood from all strokes at once."""
        strokes = np.zeros(view.shape, np.uint8) if view.strokes is None else view.strokes
        if params.answer == "objects":
            return _flooded(view, *_one_each(strokes), params)
        if len(np.unique(strokes[strokes > 0])) < 2:
            return strokes.copy()
        return _flooded(view, strokes, int(strokes.max()), params).astype(np.uint8)

    def grid(self, views: Sequence[View]) -> Iterator[WatershedParams]:
        """Try smoothings."""
        for sigma in (0.5, 1.0, 1.5, 2.0, 3.0, 5.0):
            yield WatershedParams(sigma_px=sigma)


def _flooded(
    view: View, markers: npt.NDArray[Any], last: int, params: WatershedParams
) -> npt.NDArray[np.uint32]:
    """Return which marker reaches each pixel, 0 for those after the last, or without any."""
    found = np.zeros(view.shape, np.uint32)
    if markers.any():
        found[...] = flood(steepness(view, params.sigma_px), markers)
        found[found > last] = 0
    return found


def flood(
    steep: npt.NDArray[np.float32],
    markers: npt.NDArray[Any],
    *,
    compactness: float = 0.0,
) -> npt.NDArray[np.int32]:
    """Return which marker reaches each pixel first (scikit-image's watershed)."""
    # Takes a tenth of a second to import, and forms are made from this module.
    from skimage.segmentation import watershed

    found: Any = watershed(  # type: ignore[no-untyped-call]
        steep, markers.astype(np.int32), compactness=compactness
    )
    return np.asarray(found, np.int32)


def _one_each(strokes: Codes) -> tuple[npt.NDArray[np.int32], int]:
    """Return connected strokes of classes numbered, and how many; background is one more."""
    markers = np.zeros(strokes.shape, np.int32)
    last = 0
    for code in np.unique(strokes[strokes > BACKGROUND]):
        ids, n = ndimage.label(strokes == code, np.ones((3,) * strokes.ndim))
        markers[ids > 0] = ids[ids > 0] + last
        last += n
    markers[strokes == BACKGROUND] = last + 1
    return markers, last


WATERSHED = Watershed()
