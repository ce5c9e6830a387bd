"""What a fit has said that the answers of a classical method mean."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_unetseg.annotations import held_out_mask
from napari_unetseg.classical import (
    METHODS,
    Chain,
    FittedBaseline,
    View,
    filtered,
    fit_method,
)
from napari_unetseg.classical.fit import Spent, unhurried
from napari_unetseg.classical.mapping import lookup
from napari_unetseg.config import UNLABELLED
from napari_unetseg.errors import UserError
from napari_unetseg.images import check_pixels

from .image_entry import ImageEntry

Codes = npt.NDArray[np.uint8]

#: Annotated slices that parameters are fitted to; of more, this many evenly spread.
_FITTED_SLICES = 16


@dataclass
class BaselineFits:
    """The last fit of each method, for as long as its answers are those that were fitted."""

    _fits: dict[str, FittedBaseline] = field(default_factory=dict)

    def take(self, fitted: FittedBaseline) -> None:
        """Remember a fit."""
        self._fits[fitted.method] = fitted

    def mapping(self, chain: Chain) -> dict[int, int] | None:
        """Return answers → codes, for `chain`; None where they stay as they are.

        A fit counts as long as there are as many answers, of the same polarity.
        """
        found = chain.method()
        fitted = None if found is None else self._fits.get(found[0].name)
        if found is None or fitted is None or _answers(*found) != _answers_of(fitted):
            return None
        unchanged = all(answer == code for answer, code in fitted.mapping.items())
        return None if unchanged else fitted.mapping

    def table(self, chain: Chain) -> Codes | None:
        """Return the same as a table, shape (256,)."""
        mapping = self.mapping(chain)
        return None if mapping is None else lookup(mapping)


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
        If a pixel is no number, all are the same, or too little is annotated.
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
            check_pixels(entry.stack, looked_at)
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
    return FittedBaseline(method.name, fit.params, fit.mapping or {}, fit.mean_iou)


def _answers(method: object, params: object) -> tuple[int, str]:
    return len(method.classes(params)), getattr(params, "foreground", "bright")  # type: ignore[attr-defined]


def _answers_of(fitted: FittedBaseline) -> tuple[int, str]:
    return _answers(METHODS[fitted.method], fitted.params)
