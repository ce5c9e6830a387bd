"""What the microscope and the bench add: uneven stain, drift of contrast, folds, dirt, noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from .fields import Floats, SmoothField, smoothstep


class ElectronMicroscope:
    """Turns stain into grey values, each section a little differently.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where everything random comes from.
    shape : tuple of int
        Sections, height and width in px.
    """

    def __init__(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> None:
        self._rng, self._shape = rng, shape
        n_z = shape[0]
        self._gain = 1 + 0.045 * rng.standard_normal(n_z) + 0.03 * np.sin(np.arange(n_z) / 3)
        self._offset = 6.0 * rng.standard_normal(n_z)
        self._focus = 0.5 + 0.3 * rng.random(n_z) ** 2
        self._shading = SmoothField(rng, shape, 170, 1)
        self._folded = set(rng.choice(n_z, max(1, n_z // 12), replace=False).tolist())
        self._dirty = set(rng.choice(n_z, max(1, n_z // 5), replace=False).tolist())

    def image(self, density: Floats, index: int) -> npt.NDArray[np.uint8]:
        """Take a picture of a section.

        Parameters
        ----------
        density : ndarray, shape (Y, X)
            Stain: 0 lets everything through, 1 nearly nothing.
        """
        if index in self._folded:
            density = density + self._fold()
        if index in self._dirty:
            density = density + self._dirt()
        light = 196.0 * np.exp(-1.9 * np.maximum(density, -0.12))
        light = gaussian_filter(light, float(self._focus[index]), truncate=3)
        light = light * (1 + 0.035 * self._shading.plane(index))
        light = self._gain[index] * light + self._offset[index]
        light += self._noise(light)
        grey: npt.NDArray[np.uint8] = np.clip(np.round(light), 0, 255).astype(np.uint8)
        return grey

    def _noise(self, light: Floats) -> Floats:
        rng = self._rng
        shot = gaussian_filter(rng.standard_normal(light.shape), 0.5, truncate=3)
        correlated = gaussian_filter(rng.standard_normal(light.shape), 0.8, truncate=3)
        grey: Floats = 1.45 * np.sqrt(np.maximum(light, 4) + 20) * shot + 20.0 * correlated
        return grey

    def _fold(self) -> Floats:
        """Return the stain of a fold: the section lies double along a bent line."""
        rng, (height, width) = self._rng, self._shape[1:]
        angle = float(rng.uniform(0, np.pi))
        at = rng.uniform(0.25, 0.75, 2) * (height, width)
        y, x = np.mgrid[0:height, 0:width].astype(float)
        along = (x - at[1]) * np.cos(angle) + (y - at[0]) * np.sin(angle)
        away = (y - at[0]) * np.cos(angle) - (x - at[1]) * np.sin(angle)
        for swing, wave_px in ((22.0, rng.uniform(60, 110)), (5.0, rng.uniform(14, 30))):
            away += swing * np.sin(along / wave_px + rng.uniform(0, 2 * np.pi))
        ends = smoothstep(np.abs(along), rng.uniform(150, 320), 60)
        return 0.75 * ends * smoothstep(np.abs(away) / (4.5 * ends + 0.1), 1.5, 0.6)

    def _dirt(self) -> Floats:
        """Return the stain of a speck of dirt: dark, ragged, a bright rim."""
        rng, (height, width) = self._rng, self._shape[1:]
        at, radius = rng.random(2) * (height, width), rng.uniform(3, 9)
        y, x = np.mgrid[0:height, 0:width].astype(float)
        ragged = SmoothField(rng, self._shape, 7, 1).plane(0)
        away = np.sqrt((y - at[0]) ** 2 + (x - at[1]) ** 2) + 2.5 * ragged
        return 1.3 * smoothstep(away, radius + 2, radius - 2)
