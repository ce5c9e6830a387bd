"""Pieces followed from a slice to the one beside it, where a network finds them again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .pieces import Mask, number_pieces

Codes = npt.NDArray[np.uint8]

#: A piece is the same one if it shares this much of the smaller of the two.
_SHARED = 0.1
#: What has grown more has run into something else.
_GROWTH = 2.0


@dataclass(frozen=True, slots=True)
class Followed:
    """Pieces on the slice beside.

    Attributes
    ----------
    codes : ndarray, shape (Y, X), uint8
        Their classes, 0 elsewhere.
    n : int
        How many there are.
    n_outgrown : int
        How many others are left out, as they are more than twice as large as what they go on from.
    """

    codes: Codes
    n: int
    n_outgrown: int


def pieces_with(codes: Codes, chosen: Mask) -> Codes:
    """Return the pieces of classes that hold any of the pixels chosen, 0 elsewhere.

    >>> pieces_with(np.array([[2, 2, 1, 2]], np.uint8), np.array([[True, False, False, False]]))
    array([[2, 2, 0, 0]], dtype=uint8)
    """
    pieces = number_pieces(codes)
    kept = np.zeros(int(pieces.max()) + 1, bool)
    kept[pieces[chosen]] = True
    kept[0] = False
    return np.where(kept[pieces], codes, np.uint8(0))


def follow(here: Codes, beside: Codes) -> Followed:
    """Find the pieces of a slice again on the one beside it.

    Parameters
    ----------
    here : ndarray, shape (Y, X), uint8
        Pieces that are followed, 0 elsewhere.
    beside : ndarray, shape (Y, X), uint8
        What a network answered for the slice beside.
    """
    old, new = number_pieces(here), number_pieces(beside)
    same = (here == beside) & (old > 0)
    n_old, n_new = np.bincount(old.ravel()), np.bincount(new.ravel())
    pairs, shared = np.unique(np.stack((old[same], new[same])), axis=1, return_counts=True)
    enough = shared >= _SHARED * np.minimum(n_old[pairs[0]], n_new[pairs[1]])
    from_, to = pairs[:, enough]
    # Two pieces may come together in one.
    before = np.bincount(to, n_old[from_], minlength=len(n_new))
    found = before > 0
    followed = found & (n_new <= _GROWTH * before)
    codes = np.where(followed[new], beside, np.uint8(0))
    return Followed(codes, int(followed.sum()), int((found & ~followed).sum()))
