"""Settings fitted to annotations, and what the answers of a classical method are found to mean."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_unetseg.annotations import held_out_mask
from napari_unetseg.classical import (
    LARGEST_GREY,
    METHODS,
    Chain,
    FittedBaseline,
    Method,
    View,
    filtered,
    fit_method,
)
from napari_unetseg.classical.fit import Spent, unhurried
from napari_unetseg.config import BACKGROUND, UNLABELLED, Config
from napari_unetseg.errors import UserError
from napari_unetseg.images import check_pixels

from .image_entry import ImageEntry

#: Annotated slices that parameters are fitted to; of more, this many evenly spread.
_FITTED_SLICES = 16


@dataclass(frozen=True)
class Meaning:
    """What the answers of a method are found to mean.

    Attributes
    ----------
    method : str
        A name in ``METHODS``.
    params : Config
        Of the method, when that was found.
    slots : dict of int to int
        Answers → what they stand for, as slots of `Results`, whose codes follow the classes.
    told_by : str
        Who says so.
    """

    method: str
    params: Config
    slots: dict[int, int]
    told_by: str = "the fit to your annotations"

    def holds(self, chain: Chain) -> bool:
        """Return whether it says something of a chain.

        It does as long as there are as many answers, of the same polarity.
        """
        found = chain.method()
        if found is None or found[0].name != self.method:
            return False
        method, params = found
        return _answers(method, params) == _answers(method, self.params)


class SearchTime:
    """Time for a search, which a person may end.

    Attributes
    ----------
    longest_s : float
        In seconds.
    is_over : bool
        Set to end the search.
    """

    def __init__(self, longest_s: float = 60.0) -> None:
        self.longest_s = longest_s
        self.is_over = False
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._began

    def spent(self) -> float:
        """Return how much of it is used up, 1 for all."""
        return 1.0 if self.is_over else self.elapsed_s / self.longest_s


def can_be_fitted(method: str | None) -> bool:
    """Return whether settings are searched for a method: whether it answers classes."""
    return method is not None and METHODS[method].answers == "classes"


def fit_chain(
    chain: Chain, entries: Sequence[ImageEntry], *, spent: Spent = unhurried
) -> FittedBaseline:
    """Search parameters of a chain's method; its filters stay, its refinements take no part.

    What is held out is not looked at.

    Parameters
    ----------
    spent : callable
        How much of the time is used up; when all is, the best so far is returned.

    Raises
    ------
    UserError
        If a pixel is no number, all are the same, too little is annotated, or no settings tell
        classes apart.
    """
    found = chain.method()
    if found is None:
        raise ValueError("a chain without a method has nothing to search")
    method = found[0]
    annotated = [(entry, plane) for entry in entries for plane in entry.annotated_planes()]
    n = min(len(annotated), _FITTED_SLICES)
    chosen = [annotated[i] for i in np.linspace(0, len(annotated) - 1, n).round().astype(int)]
    for entry in entries:
        if looked_at := [plane for other, plane in chosen if other is entry]:
            check_pixels(entry.stack, looked_at, largest=LARGEST_GREY)
    views, codes = [], []
    for entry, plane in chosen:
        held_out = held_out_mask(entry.blocks, plane, entry.shape[1:])
        views.append(filtered(chain, View(entry.stack.plane(plane))))
        codes.append(np.where(held_out, np.uint8(UNLABELLED), entry.training_codes(plane)))
    fit = fit_method(method.name, views, codes, spent=spent)
    if fit.mean_iou <= 0:
        raise UserError(
            f"{method.title} is tried with half of what you painted and compared with the other "
            "half; that was too little. Paint more of each class."
        )
    if fit.mapping and len(set(fit.mapping.values())) == 1:
        alike = "background" if BACKGROUND in fit.mapping.values() else "one class"
        raise UserError(
            f"No settings of {method.title} tell your classes apart: the best would call all "
            f"{alike}. Try another method, or a filter before this one."
        )
    return FittedBaseline(method.name, fit.params, fit.mapping or {}, fit.mean_iou)


def _answers(method: Method[Any], params: Config) -> tuple[int, str]:
    return len(method.classes(params)), getattr(params, "foreground", "bright")
