"""Which row of the table to use, in one sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from napari_unetseg.events import MethodCompared, Recommended

#: Rows whose mean IoU differs by less are as good as each other, however sure the difference is.
NEGLIGIBLE = 0.01

#: Rows whose mean IoU differs by more are never taken for equally good, however unsure that is.
_LARGEST_TIE = 0.02

#: Below this mean IoU nothing in the table is of use yet.
_OF_USE = 0.5

#: From here on "times faster" is worth a word.
_FASTER = 1.5

#: Returns the standard error of the difference of two rows' mean IoU, or None.
Uncertainty = Callable[[MethodCompared, MethodCompared], float | None]


#: What the best of the simpler methods is, by `_effort` of the one they are simpler than.
_SIMPLER = {
    1: "the best that needs neither annotations nor a model",
    2: "the best that needs no annotations",
    3: "the best that trains no network",
}


def recommend(rows: Sequence[MethodCompared], uncertainty: Uncertainty) -> Recommended:
    """Choose the simplest of the rows that are as good as the best.

    As good is what is within 0.01 of the best, or cannot be told from it: where the difference is
    less than its own standard error over the squares scored on, which are the same for both, and at
    most 0.02. Squares lie near each other, so that error is rather too small than too large, and
    fewer are called as good than might be.

    A method that only needs its parameters is simpler than a model as it is, that simpler than a
    method that learns from annotations, and a network that has to be trained the least simple; one
    step is simpler than several. What needs annotations on every slice is not chosen, however good:
    it leaves a person to annotate every slice. Nor is a model whose background is a class here: it
    would answer the wrong way round. Where several are equally simple, the better one is
    chosen.

    Parameters
    ----------
    rows : sequence of MethodCompared
        The best first.
    uncertainty : callable
        Of the difference of two rows.

    References
    ----------
    L. Breiman, J. Friedman, R. Olshen and C. Stone, "Classification and regression trees",
    Wadsworth 1984, section 3.4.3 (the simplest within one standard error of the best).
    """
    rows = [row for row in rows if not row.is_swapped]
    rows = [row for row in rows if not row.on_each_slice] or rows
    if not rows:
        return Recommended(None, "No method could be compared.")
    best = rows[0]
    if best.mean_iou < _OF_USE:
        return Recommended(
            best.name,
            f"No method is of use yet: the best, {best.title}, has a mean IoU of "
            f"{best.mean_iou:.2f}; annotate more, and train a network for longer.",
        )
    as_good = [row for row in rows if best.mean_iou - row.mean_iou <= _tie(best, row, uncertainty)]
    chosen = min(as_good, key=lambda row: (_effort(row), _n_steps(row), -row.mean_iou))
    if chosen is not best:
        return Recommended(chosen.name, _instead(chosen, best))
    return Recommended(best.name, _clearly(best, rows))


def _tie(best: MethodCompared, row: MethodCompared, uncertainty: Uncertainty) -> float:
    unsure = uncertainty(best, row) or 0.0
    return max(NEGLIGIBLE, min(unsure, _LARGEST_TIE))


def _effort(row: MethodCompared) -> int:
    if row.kind == "network":
        return 3
    if row.needs_labels:
        return 2
    return 1 if row.kind == "model" else 0


def _steps(row: MethodCompared) -> list[dict[str, Any]]:
    return [] if row.recipe is None else list(row.recipe["chain"]["steps"])


def _n_steps(row: MethodCompared) -> int:
    return max(1, len(_steps(row)))


def _instead(chosen: MethodCompared, best: MethodCompared) -> str:
    """Say why a row is chosen that is not the best."""
    behind = max(NEGLIGIBLE, math.ceil(100 * (best.mean_iou - chosen.mean_iou) - 1e-9) / 100)
    begin = f"{_called(chosen)} is within {behind:.2f} of {_the(best)} and"
    faster = _times(best.slice_s, chosen.slice_s)
    sooner = _times(best.prepare_s, chosen.prepare_s)
    if faster and sooner:
        return f"{begin} {faster} × faster, {sooner} × to prepare: use it."
    if faster:
        return f"{begin} {faster} × faster: use it."
    if best.kind == "network":
        return f"{begin} needs no training: use it."
    if best.needs_labels and not chosen.needs_labels:
        return f"{begin} needs no annotations: use it."
    return f"{begin} simpler: use it."


def _times(theirs: float, ours: float) -> str:
    """Return how many times less time it takes; empty where that is not worth a word."""
    times = theirs / ours if ours else 0.0
    return _rounded(times) if times >= _FASTER else ""


def _clearly(best: MethodCompared, rows: Sequence[MethodCompared]) -> str:
    """Say by how much the best is the best."""
    begin = f"{_called(best)} is best, with a mean IoU of {best.mean_iou:.2f}"
    other = next((row for row in rows if _effort(row) < _effort(best)), None)
    if other is not None:
        by = best.mean_iou - other.mean_iou
        return f"{begin}, {by:.2f} more than {_the(other)}, {_SIMPLER[_effort(best)]}: use it."
    if best.kind == "classical" and any(row.kind != "classical" for row in rows):
        return f"{begin}: use it; no network does better here."
    return f"{begin}: use it."


def _called(row: MethodCompared) -> str:
    """Return a row's title, and whether its method smooths first."""
    steps = _steps(row)
    smooths = len(steps) == 1 and bool(steps[0]["params"].get("sigma_px"))
    return f"{row.title} after smoothing" if smooths else row.title


def _the(row: MethodCompared) -> str:
    if row.kind == "network":
        return "the network"
    return f"the m{row.title[1:]}" if row.kind == "model" else row.title


def _rounded(times: float) -> str:
    """Return a factor with no more digits than it deserves."""
    if times < 10:
        return f"{times:.1f}".removesuffix(".0")
    digits = len(str(int(times))) - 2
    return f"{round(times, -digits):,.0f}"
