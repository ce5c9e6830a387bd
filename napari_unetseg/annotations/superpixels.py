"""A slice divided along its edges into small areas."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.segmentation import watershed

from .pieces import Window

Grey = npt.NDArray[np.float32]

#: Side in px of the squares in which areas are computed, when they are first asked for.
_SQUARE_PX = 128
#: Noise that is finer makes no edges. Of 1, 1.5 and 2, it gave the areas that keep best to the
#: classes of the sample neuropil.
_SIGMA_PX = 1.5
_MIN_WIDTH_PX = 4


class Superpixels:
    """Areas of a slice that keep to its edges, computed where they are asked for.

    Markers lie on a grid, each moved to where the image is most even near by, and grow along the
    gradient of the grey values until they meet.

    Parameters
    ----------
    grey : ndarray, shape (Y, X), float32
    width_px : float
        Distance of the markers: how wide an area is about.

    References
    ----------
    V. Machairas et al., "Waterpixels", IEEE Transactions on Image Processing 24, 2015.
    """

    def __init__(self, grey: Grey, width_px: float) -> None:
        self._grey = grey
        self._width = max(_MIN_WIDTH_PX, round(width_px))
        self._squares: dict[tuple[int, int], tuple[Window, npt.NDArray[np.int32]]] = {}

    def at(self, point: tuple[int, int]) -> tuple[Window, npt.NDArray[np.bool_]]:
        """Return the area that a pixel lies in.

        Returns
        -------
        window : tuple of slice
            Part of the slice.
        area : ndarray of bool
            Pixels of that part.
        """
        square = point[0] // _SQUARE_PX, point[1] // _SQUARE_PX
        if square not in self._squares:
            self._squares[square] = self._divide(*square)
        window, areas = self._squares[square]
        here = areas[point[0] - window[0].start, point[1] - window[1].start]
        return window, areas == here

    def _divide(self, row: int, column: int) -> tuple[Window, npt.NDArray[np.int32]]:
        """Divide a square, and enough around it that its own areas are whole."""
        around = 3 * self._width
        starts = [max(0, i * _SQUARE_PX - around) for i in (row, column)]
        ends = [
            min(n, (i + 1) * _SQUARE_PX + around)
            for i, n in zip((row, column), self._grey.shape, strict=True)
        ]
        window = np.s_[starts[0] : ends[0], starts[1] : ends[1]]
        gradient = ndimage.gaussian_gradient_magnitude(self._grey[window], _SIGMA_PX)
        markers = self._markers(gradient, starts)
        areas: npt.NDArray[np.int32] = watershed(gradient, markers)  # type: ignore[no-untyped-call]
        return window, areas

    def _markers(self, gradient: Grey, starts: list[int]) -> npt.NDArray[np.int32]:
        """Mark the most even pixel near each point of the grid, which is that of the slice."""
        near = self._width // 4
        rows, columns = (
            np.arange(-start % self._width + self._width // 2, length, self._width)
            for start, length in zip(starts, gradient.shape, strict=True)
        )
        markers = np.zeros(gradient.shape, np.int32)
        for number, (y, x) in enumerate(((y, x) for y in rows for x in columns), 1):
            top, left = max(0, y - near), max(0, x - near)
            part = gradient[top : y + near + 1, left : x + near + 1]
            dy, dx = np.unravel_index(part.argmin(), part.shape)
            markers[top + dy, left + dx] = number
        if not markers.any():  # smaller than one area
            markers[0, 0] = 1
        return markers
