"""What a training run reports, and what of that stays in its model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from napari_unetseg.config import ModelInfo
from napari_unetseg.events import HeldOutScored, SourceScored, TrainingStep

from .patches import Patches
from .schedule import Budget
from .scoring import mean_iou


class RunRecord:
    """Steps and scores of a run, in the order in which they came.

    Parameters
    ----------
    info : ModelInfo
        What is known of the model before its first step.
    budget : Budget
        Of the run.

    Attributes
    ----------
    rows : list of dict
        The history of the model: its columns are `bundle.HISTORY_COLUMNS`.
    budget : Budget
    """

    def __init__(self, info: ModelInfo, budget: Budget) -> None:
        self.rows: list[dict[str, float]] = []
        self._info = info
        self.budget = budget
        self._scores: dict[str, Any] = {}
        self._source: dict[str, Any] = {}

    def elapsed_s(self) -> float:
        """Return the seconds since the first step could begin."""
        return time.time() - self.budget.began

    def step(self, step: int, loss: float, rate: float, finishing_s: float) -> TrainingStep:
        """Keep what a step did; `finishing_s` is the time for what comes after the last one."""
        now, elapsed = time.time(), self.elapsed_s()
        self.rows.append({"step": step, "elapsed_s": elapsed, "loss": loss, "learning_rate": rate})
        fraction = self.budget.fraction(step, now, finishing_s)
        left = self.budget.seconds_left(step, now, finishing_s)
        return TrainingStep(step, loss, rate, elapsed, fraction, left)

    def score(self, step: int, iou: dict[str, float], n_px: int) -> HeldOutScored:
        """Keep a score on so many held-out pixels; the last one becomes that of the model."""
        mean, elapsed = mean_iou(iou), self.elapsed_s()
        self.rows.append({"step": step, "elapsed_s": elapsed, "held_out_mean_iou": mean})
        self._scores = {"mean_iou": mean, "iou": iou, "n_px": n_px}
        return HeldOutScored(step, elapsed, mean, iou, n_px)

    def source(self, scored: SourceScored) -> None:
        """Keep how well the model still does on what its base learned from."""
        self._source = {"before": scored.before, "after": scored.after}

    def info(self, steps: int, patches: Patches) -> ModelInfo:
        """Return what is known of the model after so many steps."""
        history = {
            **self._info.history,
            "steps": steps,
            "patch_px": patches.patch_px,
            "batch": patches.batch,
            **({"source": self._source} if self._source else {}),
            "seconds": round(self.elapsed_s(), 2),
        }
        return self._info.replace(history=history, scores=self._scores)

    def values(self) -> dict[str, Any]:
        """Return what is kept so far, as builtins."""
        return {"rows": self.rows, "scores": self._scores}

    def restore(self, values: Mapping[str, Any]) -> None:
        """Go on from what `values` returned."""
        self.rows, self._scores = values["rows"], values["scores"]
