"""What every classical method has in common: parameters, three stages, and a grid to search."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_unetseg.config import BACKGROUND, Config, LabelClass, default_color

Plane = npt.NDArray[Any]
Codes = npt.NDArray[np.uint8]
Levels = npt.NDArray[np.float64]

#: Smoothing that a search tries, in px.
SIGMAS_PX = (0.0, 1.0, 2.0, 4.0)


class BaselineParams(Config):
    """Parameters that every classical method has."""

    foreground: Literal["bright", "dark"] = Field(
        "bright", description="is the structure brighter or darker than what surrounds it"
    )
    sigma_px: float = Field(
        1.0, ge=0, le=50, description="smoothing beforehand: standard deviation in px, 0 for none"
    )
    per_slice: bool = Field(
        True,
        description="on: each slice has its own levels, which follows drift in brightness; "
        "off: the whole stack shares one set, which is steadier where slices are empty",
    )


P = TypeVar("P", bound=BaselineParams)


class Method(ABC, Generic[P]):
    """A classical way to segment a plane, in three stages.

    `features` depends on the pixels around each pixel, `measure` boils features down to a few
    levels (thresholds, cluster centres), and `label` decides with them. Levels measured on one
    slice and on many are the same kind of thing, so a stack can share them.

    Attributes
    ----------
    name : str
        As in ``METHODS`` and on the command line.
    title, summary : str
        For a menu and its tooltip.
    params : type of BaselineParams
        Fields with ranges, and descriptions with units, from which forms are made.
    pixelwise : bool
        Whether `label` looks at each pixel's features alone, so that it takes any subset of pixels.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    params: type[P]
    pixelwise: ClassVar[bool] = True

    @abstractmethod
    def features(self, plane: Plane, params: P) -> Plane:
        """Return what `measure` and `label` look at.

        Parameters
        ----------
        plane : ndarray, shape (C, Y, X), any dtype

        Returns
        -------
        ndarray, shape (F, Y, X)
        """

    @abstractmethod
    def measure(self, features: Sequence[Plane], params: P) -> Levels:
        """Boil the features of one plane or of many, each (F, Y, X), down to levels."""

    @abstractmethod
    def label(self, features: Plane, params: P, levels: Levels) -> Codes:
        """Decide.

        Parameters
        ----------
        features : ndarray, shape (F, Y, X), or (F, n) where the method is pixelwise

        Returns
        -------
        ndarray, shape (Y, X) or (n,), uint8
            1 background, 2 and up the classes.
        """

    @abstractmethod
    def grid(self, planes: Sequence[Plane]) -> Iterable[P]:
        """Return the parameters that a search on `planes` tries."""

    def refine(self, best: P) -> Iterable[P]:
        """Return what a search tries around the best of the grid."""
        return ()

    def feature_key(self, params: P) -> tuple[object, ...]:
        """Return what `features` depends on: equal keys have equal features."""
        return (params.sigma_px,)

    def classes(self, params: P) -> tuple[LabelClass, ...]:
        """Return the classes 1, 2, … that codes 2, 3, … stand for."""
        return (LabelClass(name="foreground", color=default_color(1)),)


def foreground_codes(is_foreground: npt.NDArray[np.bool_]) -> Codes:
    """Return 1 for background and 2 for foreground."""
    return is_foreground.astype(np.uint8) + np.uint8(BACKGROUND)


def is_beyond(grey: Plane, level: float, foreground: str) -> npt.NDArray[np.bool_]:
    """Return which pixels lie on the foreground's side; at the level itself is the dark side."""
    beyond = grey > level
    return np.asarray(beyond if foreground == "bright" else ~beyond)


def nowhere(foreground: str) -> float:
    """Return a level beyond which nothing lies, for planes without contrast."""
    return np.inf if foreground == "bright" else -np.inf
