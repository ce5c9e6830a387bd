"""What two rows of the table answer, beside each other."""

from __future__ import annotations

import numpy as np

from napari_unetseg.config import UNLABELLED

from .split import Codes


def disagreement(first: Codes, second: Codes) -> Codes:
    """Return where two answers to a slice disagree.

    Parameters
    ----------
    first, second : ndarray of equal shape, uint8
        Codes, 0 where nothing is answered.

    Returns
    -------
    ndarray of that shape, uint8
        Where both answer and disagree, what the second answers; 0 elsewhere.

    Examples
    --------
    >>> disagreement(np.array([1, 2, 2, 0], np.uint8), np.array([1, 1, 2, 2], np.uint8)).tolist()
    [0, 1, 0, 0]
    """
    differ = (first != second) & (first != UNLABELLED) & (second != UNLABELLED)
    return np.where(differ, second, np.uint8(UNLABELLED))
