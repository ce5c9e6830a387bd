"""Which class does each answer of a method mean? Decided by annotated pixels."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import BACKGROUND, MAX_CLASSES

#: Up to this many ways to give classes to answers, all are tried; beyond, each goes by majority.
_MAX_ASSIGNMENTS = 2048

N_CODES = MAX_CLASSES + 2


def contingency(raw: npt.NDArray[np.uint8], codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Count pixels by answer and annotated code.

    Parameters
    ----------
    raw, codes : ndarray of equal shape, uint8
        What a method answered, and what was annotated.

    Returns
    -------
    ndarray, shape (256, 256)
        Rows are answers.
    """
    pairs = raw.astype(np.int64) * N_CODES + codes
    return np.bincount(pairs.ravel(), minlength=N_CODES * N_CODES).reshape(N_CODES, N_CODES)


def best_mapping(table: npt.NDArray[np.int64]) -> tuple[dict[int, int], float]:
    """Find the classes that answers should mean for the best mean IoU.

    Parameters
    ----------
    table : ndarray, shape (256, 256)
        Of `contingency`.

    Returns
    -------
    mapping : dict of int to int
        Answer → code, for every answer that occurs; of equally good mappings the one that
        changes least.
    mean_iou : float
        Over the classes annotated or answered, in [0, 1].
    """
    raw = np.flatnonzero(table.sum(axis=1))
    codes = np.flatnonzero(table.sum(axis=0))
    counts = table[np.ix_(raw, codes)]
    if len(codes) ** len(raw) <= _MAX_ASSIGNMENTS:
        ways = np.array(list(itertools.product(range(len(codes)), repeat=len(raw))))
    else:
        ways = counts.argmax(axis=1)[np.newaxis]
    scores = _mean_ious(counts, ways)
    changes = (codes[ways] != raw).sum(axis=1)
    best = np.lexsort((changes, -scores.round(12)))[0]
    mapping = {int(r): int(codes[c]) for r, c in zip(raw, ways[best], strict=True)}
    return mapping, float(scores[best])


def _mean_ious(counts: npt.NDArray[np.int64], ways: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the mean IoU of each way, shape (n,), to give classes to answers, shape (n, R)."""
    n_classes = counts.shape[1]
    chosen = ways[:, :, np.newaxis] == np.arange(n_classes)  # (n, R, C)
    hits = (chosen * counts).sum(axis=1)
    answered = (chosen * counts.sum(axis=1)[:, np.newaxis]).sum(axis=1)
    union = answered + counts.sum(axis=0) - hits
    return np.asarray((hits / union).mean(axis=1), dtype=np.float64)


def lookup(mapping: dict[int, int]) -> npt.NDArray[np.uint8]:
    """Return a table from answers to codes, shape (256,), for `mapping` and what it leaves out.

    An answer that no annotated pixel had takes the class of the nearest one that some had:
    answers are ordered by brightness.
    """
    known = np.array(sorted(mapping) or [BACKGROUND])
    nearest = known[np.abs(np.arange(N_CODES)[:, np.newaxis] - known).argmin(axis=1)]
    return np.array([mapping.get(int(r), BACKGROUND) for r in nearest], np.uint8)
