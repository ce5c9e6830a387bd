"""The codes of a result follow the classes, as annotations and predictions do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from napari_unetseg.classical import ChainRecipe

from .slots import Codes


class ResultCodes:
    """Rewrites the codes of a result where classes are moved, merged, deleted or brought back.

    What a pixel was to begin with is remembered, so that a class that is brought back has the
    pixels it had.

    Parameters
    ----------
    meant_as : ndarray of uint8, shape (256,)
        `Results.meant_as` of the moment in which the result was made.
    new_array : callable
        Makes a zeroed array, shape (planes, Y, X), uint8, once it is needed.
    """

    def __init__(self, meant_as: Codes, new_array: Callable[[], Codes]) -> None:
        self._first = self._now = meant_as
        self._new_array = new_array
        self._begun: Codes | None = None

    def follow(self, codes: Codes, meant_as: Codes) -> bool:
        """Write what codes stand for by now over what they stood for.

        Parameters
        ----------
        codes : ndarray, shape (planes, Y, X), uint8
            As they were left by the last call, but for what was painted since. Modified.
        meant_as : ndarray of uint8, shape (256,)

        Returns
        -------
        bool
            Whether they stand for something else.
        """
        before, self._now = self._now, meant_as
        if np.array_equal(before, meant_as):
            return False
        if self._begun is None:
            self._begun = self._new_array()
        back = _back(before)
        for plane, begun in zip(codes, self._begun, strict=True):
            painted = before[begun] != plane
            begun[painted] = back[plane[painted]]
            known = before[begun] == plane
            plane[known] = meant_as[begun[known]]
        return True

    def recipe(self, recipe: ChainRecipe) -> ChainRecipe:
        """Return the recipe of the result with what its answers stand for by now.

        Parameters
        ----------
        recipe : ChainRecipe
            As the result was made.
        """
        if self._begun is None or np.array_equal(self._first, self._now):
            return recipe
        table = self._now[_back(self._first)]
        top = max(int(self._first[plane].max()) for plane in self._begun)
        meant = recipe.mapping or {code: code for code in range(1, top + 1)}
        mapping = {answer: int(table[code]) for answer, code in meant.items()}
        return recipe.model_copy(update={"mapping": mapping})


def _back(meant_as: Codes) -> Codes:
    """Return from which code each has come; of several the lowest."""
    back = np.zeros(256, np.uint8)
    back[meant_as[::-1]] = np.arange(256, dtype=np.uint8)[::-1]
    return back
