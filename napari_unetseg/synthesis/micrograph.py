"""What microscope, bench and file format add to stain: every picture taken differently."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.exposure import equalize_adapthist

from napari_unetseg.samples.fields import Floats, SmoothField, smoothstep

from .draws import log_uniform

Pixels = npt.NDArray[np.uint8]

#: Stain of folds and dirt above which nobody sees what lies below.
_COVERED = 0.45


class ElectronMicroscope:
    """Turns stain into grey values.

    Parameters
    ----------
    rng : numpy.random.Generator
        What it is like is drawn when it is made, and noise and accidents at every picture.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._absorption = rng.uniform(0.7, 2.6)
        self._gamma = log_uniform(rng, 0.6, 1.6)
        self._blur_px = rng.uniform(0.0, 1.1)
        self._noise = log_uniform(rng, 0.01, 0.14)
        self._shot = rng.random()
        self._correlation_px = rng.uniform(0.0, 1.1) * (rng.random() < 0.5)
        self._shading = rng.uniform(0, 0.2)
        self._lines = rng.uniform(0, 0.03) * (rng.random() < 0.25)
        self._inverted = rng.random() < 0.12
        self._equalised = rng.uniform(0.003, 0.02) if rng.random() < 0.15 else 0.0
        self._range = rng.uniform(0, 60), rng.uniform(150, 255)
        self._clipped = rng.uniform(0, 0.02), rng.uniform(0, 0.02)
        self._jpeg = int(rng.integers(40, 95)) if rng.random() < 0.1 else 0

    def picture(self, stain: Floats) -> tuple[Pixels, npt.NDArray[np.bool_]]:
        """Take a picture.

        Parameters
        ----------
        stain : ndarray, shape (Y, X)

        Returns
        -------
        pixels : ndarray, shape (Y, X), uint8
        readable : ndarray, shape (Y, X), bool
            False where something covers the tissue.
        """
        rng = self._rng
        readable = np.ones(stain.shape, bool)
        for accident, share in ((_fold, 0.06), (_dirt, 0.12), (_knife_marks, 0.06)):
            if rng.random() < share:
                cover = accident(rng, stain.shape)
                readable &= cover < _COVERED
                stain = stain + cover
        light = np.exp(-self._absorption * np.maximum(stain, -0.1))
        light = gaussian_filter(light, self._blur_px * rng.uniform(0.6, 1.2), truncate=3)
        light = _stretched(light, 0.0, 0.0) ** self._gamma
        light = light * (1 + self._shading * _slow(rng, stain.shape))
        light += self._grain(light)
        if rng.random() < 0.05:
            light += _charging(rng, light.shape)
        light = _stretched(light, *self._clipped)
        if self._equalised:
            light = equalize_adapthist(light, clip_limit=self._equalised)
        low, high = self._range
        grey = low + (high - low) * (1 - light if self._inverted else light)
        pixels: Pixels = np.clip(np.round(grey), 0, 255).astype(np.uint8)
        return (_compressed(pixels, self._jpeg) if self._jpeg else pixels), readable

    def _grain(self, light: Floats) -> Floats:
        rng = self._rng
        noise = rng.standard_normal(light.shape)
        if self._correlation_px:
            noise = gaussian_filter(noise, self._correlation_px, truncate=3)
            noise /= noise.std()
        counted = 1 + self._shot * (np.sqrt(np.maximum(light, 0)) - 0.7)
        rows = self._lines * rng.standard_normal((light.shape[0], 1))
        grain: Floats = self._noise * counted * noise + rows
        return grain


def _stretched(light: Floats, dark_share: float, bright_share: float) -> Floats:
    low, high = np.quantile(light, [dark_share, 1 - bright_share])
    stretched: Floats = np.clip((light - low) / max(high - low, 1e-6), 0, 1)
    return stretched


def _slow(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return SmoothField(rng, (1, shape[0], shape[1]), max(shape) / 3, 1).plane(0)


def _line(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Return distances along and across a line somewhere in the picture, in px."""
    angle = float(rng.uniform(0, np.pi))
    at = rng.uniform(0, 1, 2) * shape
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(float)
    along = (x - at[1]) * np.cos(angle) + (y - at[0]) * np.sin(angle)
    return along, (y - at[0]) * np.cos(angle) - (x - at[1]) * np.sin(angle)


def _fold(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Return the stain of a fold: the section lies double along a bent line."""
    along, away = _line(rng, shape)
    for swing, wave_px in ((16.0, rng.uniform(40, 90)), (3.0, rng.uniform(10, 25))):
        away += swing * np.sin(along / wave_px + rng.uniform(0, 2 * np.pi))
    width = rng.uniform(1.5, 8)
    return rng.uniform(0.4, 1.0) * smoothstep(np.abs(away) / width, 1.5, 0.6)


def _knife_marks(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Return the stain of scratches, all in one direction."""
    _, away = _line(rng, shape)
    marks = np.zeros(shape)
    for _ in range(int(rng.integers(1, 6))):
        at, width = rng.uniform(-0.6, 0.6) * shape[0], rng.uniform(0.6, 3)
        marks += rng.uniform(-0.25, 0.4) * np.exp(-(((away - at) / width) ** 2))
    return marks


def _dirt(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Return the stain of specks of dirt: dark and ragged."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(float)
    ragged = SmoothField(rng, (1, shape[0], shape[1]), 5, 1).plane(0)
    stain = np.zeros(shape)
    for _ in range(int(rng.integers(1, 4))):
        at, radius = rng.random(2) * shape, rng.uniform(2, 9)
        away = np.sqrt((y - at[0]) ** 2 + (x - at[1]) ** 2) + 2 * ragged
        stain += rng.uniform(0.5, 1.5) * smoothstep(away, radius + 1.5, radius - 1.5)
    return stain


def _charging(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Return the light of streaks along some scan lines."""
    rows = gaussian_filter(rng.standard_normal(shape[0]), rng.uniform(1, 8))
    rows = smoothstep(rows / rows.std(), 1.0, 2.5)
    return rng.uniform(-0.3, 0.5) * rows[:, None] * (1 + 0.3 * _slow(rng, shape))


def _compressed(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        return np.asarray(image)
