"""Where two segmentations of a slice differ, and in what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_unetseg.config import BACKGROUND, UNLABELLED
from napari_unetseg.errors import UserError

from .image_entry import ImageEntry
from .scores import TruthKind, codes_of_slice
from .slots import Codes

#: In `difference_labels`: what it was, beside codes for what it is.
WAS = 128

#: Width of the stripes of what is one class in the first and another in the second, in px.
_STRIPE_PX = 3


@dataclass(frozen=True, slots=True)
class Change:
    """Pixels that are one thing in the first and another in the second.

    Attributes
    ----------
    first, second : int
        Codes: 1 background, k + 1 class k.
    n_px : int
    """

    first: int
    second: int
    n_px: int


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs on a slice.

    Attributes
    ----------
    n_px, n_known_px : int
        Of the slice, and those of which both say something.
    changes : tuple of Change
        The largest first.
    """

    n_px: int
    n_known_px: int
    changes: tuple[Change, ...]

    @property
    def n_different_px(self) -> int:
        """Pixels that differ."""
        return sum(change.n_px for change in self.changes)


def differences(first: Codes, second: Codes) -> tuple[Differences, Codes]:
    """Compare two segmentations of a slice where both say something.

    Parameters
    ----------
    first, second : ndarray, shape (Y, X), uint8
        Codes, 0 where nothing is known.

    Returns
    -------
    differences : Differences
    labels : ndarray, shape (Y, X), uint8
        0 where nothing differs; the code of a class that is in the second, `WAS` and the code of
        one that was in the first, and stripes of both where either is a class.

    Examples
    --------
    >>> first = np.array([[1, 1, 2, 0]], np.uint8)
    >>> second = np.array([[1, 2, 1, 2]], np.uint8)
    >>> found, labels = differences(first, second)
    >>> found.n_known_px, found.changes[0], labels.tolist()
    (3, Change(first=1, second=2, n_px=1), [[0, 2, 130, 0]])
    """
    known = (first != UNLABELLED) & (second != UNLABELLED)
    n_known = int(np.count_nonzero(known))
    known &= first != second
    where = np.flatnonzero(known)
    was, now = first.reshape(-1)[where], second.reshape(-1)[where]
    counts = np.bincount(was.astype(np.intp) << 8 | now)
    pairs = np.flatnonzero(counts)
    changes = [Change(int(pair) >> 8, int(pair) & 255, int(counts[pair])) for pair in pairs]
    changes.sort(key=lambda change: -change.n_px)
    labels = np.zeros(first.size, np.uint8)
    labels[where] = _labels(was, now, where, first.shape[1])
    found = Differences(first.size, n_known, tuple(changes))
    return found, labels.reshape(first.shape)


def _labels(was: Codes, now: Codes, where: Any, width: int) -> Codes:
    shows_was = now == BACKGROUND
    both = np.flatnonzero(~shows_was & (was != BACKGROUND))
    y, x = np.divmod(where[both], width)
    shows_was[both] = (y + x) // _STRIPE_PX % 2 == 1
    # With more classes than there are labels, the last of them share a colour.
    was, now = (np.minimum(codes, WAS - 1) for codes in (was, now))
    labels: Codes = np.where(shows_was, was + np.uint8(WAS), now)
    return labels


def layer_codes(
    data: Any, entry: ImageEntry, plane: int, kind: TruthKind, n_classes: int, name: str
) -> Codes:
    """Return a slice of somebody's labels as codes.

    Parameters
    ----------
    data : array-like of int, shape of the image's labels
    kind : {'masks', 'annotations'}
    name : str
        What a person calls them, for errors.

    Raises
    ------
    UserError
        If shape or values do not fit.
    """
    shape = entry.stack.labels_shape
    if tuple(data.shape) != shape:
        raise UserError(
            f"{name} has shape {tuple(data.shape)} and {entry.stack.name} {shape}; choose a labels "
            "layer of this image."
        )
    where = np.unravel_index(plane, shape[:-2]) if len(shape) > 2 else ()
    return codes_of_slice(np.asarray(data[where]), kind, n_classes, name)
