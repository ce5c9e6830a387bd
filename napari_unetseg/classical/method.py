"""Methods that decide by levels: thresholds, steepnesses, centres of clusters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_unetseg.config import BACKGROUND, Config

from .grey import thinned
from .step import IN_3D, SMOOTHING, Codes, Method, Pixels, View

Levels = npt.NDArray[np.float64]

#: Description of the switch `in_3d` of methods with levels.
LEVELS_IN_3D = f"{IN_3D}; levels are then those of the volume"

#: Smoothing that a search tries, in px.
SIGMAS_PX = (0.0, 1.0, 2.0, 4.0)


class BaselineParams(Config):
    """Parameters that methods with levels have."""

    foreground: Literal["bright", "dark"] = Field(
        "bright", description="is the structure brighter or darker than what surrounds it"
    )
    sigma_px: float = Field(1.0, ge=0, le=50, description=SMOOTHING)
    per_slice: bool = Field(
        True,
        description="on: each slice has its own levels, which follows drift in brightness; "
        "off: the whole stack shares one set, which is steadier where slices are empty",
    )


P = TypeVar("P", bound=BaselineParams)


class LevelMethod(Method[P]):
    """A method in three stages.

    `features` depends on the pixels around each pixel, `measure` boils features down to a few
    levels (thresholds, cluster centres), and `label` decides with them. Levels measured on one
    slice and on many are the same kind of thing, so a stack can share them.

    Attributes
    ----------
    pixelwise : bool
        Whether `label` looks at each pixel's features alone, so that it takes any subset of pixels.
    is_mirrored : bool
        Whether what is foreground where that is bright is background where it is dark, and the
        other way round; so a search need not try both.
    decides_by_grey : bool
        Whether the first feature is a grey value, and levels are thresholds of it.
    set_by_hand : tuple of str
        Fields of the parameters that are these thresholds, where a person sets them.
    """

    pixelwise: ClassVar[bool] = True
    is_mirrored: ClassVar[bool] = True
    decides_by_grey: ClassVar[bool] = False
    set_by_hand: ClassVar[tuple[str, ...]] = ()

    def names_of_levels(self, params: P) -> tuple[str, ...]:
        """Return what thresholds are called where they are drawn; nothing where none needs that."""
        return ()

    @abstractmethod
    def features(self, view: View, params: P) -> Pixels:
        """Return what `measure` and `label` look at, shape (F, Y, X) or (F, Z, Y, X)."""

    @abstractmethod
    def measure(self, features: Sequence[Pixels], params: P) -> Levels:
        """Boil the features of one view or of many, each (F, …), down to levels."""

    @abstractmethod
    def label(self, features: Pixels, params: P, levels: Levels) -> Codes:
        """Decide.

        Parameters
        ----------
        features : ndarray, shape (F, Y, X) or (F, Z, Y, X), or (F, n) where it is pixelwise

        Returns
        -------
        ndarray, shape without F, uint8
            1 background, 2 and up the classes.
        """

    def feature_key(self, params: P) -> tuple[object, ...]:
        """Return what `features` depends on: equal keys have equal features."""
        return (params.sigma_px, self.sees_volumes(params))

    def prepare_on(self, params: P) -> Literal["nothing", "slices"]:
        """Ask for some slices where all share their levels."""
        return "nothing" if params.per_slice else "slices"

    def prepare(self, views: Sequence[View], params: P) -> Levels:
        """Measure the levels that views have in common."""
        return self.measure([thinned(self.features(view, params)) for view in views], params)

    def segment(self, view: View, params: P, prepared: Levels | None = None) -> Codes:
        """Take the three stages one after the other."""
        features = self.features(view, params)
        levels = self.measure([features], params) if prepared is None else prepared
        return self.label(features, params, levels)


def foreground_codes(is_foreground: npt.NDArray[np.bool_]) -> Codes:
    """Return 1 for background and 2 for foreground."""
    return is_foreground.astype(np.uint8) + np.uint8(BACKGROUND)


def is_beyond(grey: Pixels, level: float, foreground: str) -> npt.NDArray[np.bool_]:
    """Return which pixels lie on the foreground's side; at the level itself is the dark side."""
    beyond = grey > level
    return np.asarray(beyond if foreground == "bright" else ~beyond)


def nowhere(foreground: str) -> float:
    """Return a level beyond which nothing lies, for planes without contrast."""
    return np.inf if foreground == "bright" else -np.inf
