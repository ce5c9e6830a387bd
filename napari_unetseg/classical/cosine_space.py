"""An image at any scale, read off its cosine transform."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import fft

Image = npt.NDArray[np.float32]


class CosineSpace:
    """Smoothed images and their derivatives, as fine or coarse as their scale allows.

    A Gaussian of the image mirrored at its borders is a product of its cosine coefficients,
    whatever its width; and an image that is smooth is known from few of them, on a coarse grid.

    Parameters
    ----------
    image : ndarray, shape (Y, X) or (Z, Y, X), float32
    spacing_px : sequence of float
        A step along each axis, in px of Y and X.
    """

    def __init__(self, image: Image, spacing_px: Sequence[float]) -> None:
        self.shape = image.shape
        self.spacing_px = tuple(spacing_px)
        self._coefficients = fft.dctn(image - image.mean(), norm="ortho")

    def grid(self, sigma_px: float) -> tuple[int, ...]:
        """Return the shape of a grid that shows all of an image smoothed that much.

        Two points per standard deviation: of what that leaves out, 3 · 10⁻⁹ was there.
        """
        shape = []
        for length, spacing in zip(self.shape, self.spacing_px, strict=True):
            enough = fft.next_fast_len(max(1, math.ceil(2 * length * spacing / sigma_px)), True)
            shape.append(min(length, enough))
        return tuple(shape)

    def in_px(self, at: npt.NDArray[np.float64], grid: Sequence[int]) -> npt.NDArray[np.float64]:
        """Return positions on a grid, shape (n, axes), as positions in the image."""
        per_point = np.array(self.shape) / np.array(grid)
        return np.asarray((at + 0.5) * per_point - 0.5)

    def frequencies(self, grid: Sequence[int]) -> list[Image]:
        """Return the angular frequency of coefficients along each axis, per px; broadcastable."""
        along = [
            np.arange(n, dtype=np.float32) * np.float32(np.pi / (length * spacing))
            for n, length, spacing in zip(grid, self.shape, self.spacing_px, strict=True)
        ]
        return [np.asarray(one) for one in np.ix_(*along)]

    def square_frequency(self, grid: Sequence[int]) -> Image:
        """Return the sum of their squares, shape `grid`: minus the Laplacian."""
        total: Image = sum(one**2 for one in self.frequencies(grid))  # type: ignore[assignment]
        return total

    def image_of(self, gain: Image, grid: Sequence[int]) -> Image:
        """Return the image whose coefficients are multiplied by `gain`, shape `grid`."""
        return np.asarray(fft.idctn(self._scaled(gain, grid), norm="ortho", overwrite_x=True))

    def mixed_derivative_of(self, gain: Image, grid: Sequence[int]) -> Image:
        """Return the derivative along both axes of a slice, of the image multiplied by `gain`."""
        y, x = self.frequencies(grid)
        waves = self._scaled(gain * (y * x), grid)
        # Derivatives of cosines are sines, whose coefficients begin one frequency higher.
        sines = np.zeros_like(waves)
        sines[:-1, :-1] = waves[1:, 1:]
        return np.asarray(fft.idstn(sines, norm="ortho", overwrite_x=True))

    def _scaled(self, gain: Image, grid: Sequence[int]) -> Image:
        kept = self._coefficients[tuple(slice(n) for n in grid)]
        share = math.sqrt(math.prod(grid) / math.prod(self.shape))
        return np.asarray(kept * (gain * np.float32(share)))
