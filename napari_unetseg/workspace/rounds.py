"""Training in rounds: what one of them did, and whether it got better."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from napari_unetseg.classical import Chain
from napari_unetseg.events import (
    AnnotationsTaken,
    HeldOutScored,
    TrainingStarted,
    TrainingStep,
)

from .next_step import HELPED
from .slots import Codes


@dataclass(frozen=True, slots=True)
class Round:
    """One training, for the table of rounds.

    Attributes
    ----------
    before, after : float or None
        Mean IoU on the held-out annotations; None where nothing is held out, and for `before`
        where training began from scratch.
    """

    number: int
    before: float | None
    after: float | None
    n_labelled_px: int
    n_held_out_px: int
    steps: int
    seconds: float
    sentence: str


@dataclass(eq=False)
class JobRecord:
    """What the controller remembers of the job in progress.

    Attributes
    ----------
    slots : ndarray of uint8, shape (256,)
        Where each code of the job's answer is stored: see `Workspace.prediction_slots`.
    baseline : tuple of (Chain, str, Path) or None
        Steps and array of a baseline's answer, and the recipe that is written with it.
    uncertainty : str or None
        Array of how uncertain a model is.
    objects : str or None
        Array of ids of objects.
    probabilities : tuple of (str, tuple of str) or None
        Array of how probable each class is, and what the classes are called.
    before, after : float or None
        Mean IoU on held-out annotations.
    started : TrainingStarted or None
        With the pixels that were last taken.
    """

    slots: Codes
    is_training: bool = False
    is_comparison: bool = False
    has_base: bool = False
    saved: bool = False
    baseline: tuple[Chain, str, Path] | None = None
    uncertainty: str | None = None
    objects: str | None = None
    probabilities: tuple[str, tuple[str, ...]] | None = None
    started: TrainingStarted | None = None
    last_step: TrainingStep | None = None
    before: float | None = None
    after: float | None = None

    def score(self, event: HeldOutScored) -> None:
        """Take note of a score."""
        if event.step == 0 and self.has_base:
            self.before = event.mean_iou
        self.after = event.mean_iou

    def take(self, event: AnnotationsTaken) -> None:
        """Take note of what is learned from, and scored with, from now on."""
        if self.started is not None:
            self.started = replace(
                self.started,
                n_labelled_px=event.n_labelled_px,
                n_held_out_px=event.n_held_out_px,
            )

    def as_round(self, number: int) -> Round:
        """Sum up a training that has ended."""
        step, started = self.last_step, self.started
        return Round(
            number,
            self.before,
            self.after,
            started.n_labelled_px if started else 0,
            started.n_held_out_px if started else 0,
            step.step if step else 0,
            step.elapsed_s if step else 0.0,
            _round_sentence(self.before, self.after),
        )


def _round_sentence(before: float | None, after: float | None) -> str:
    if after is None:
        return "Too little is annotated to hold anything out, so there is no score yet."
    if before is None:
        return f"Mean IoU {after:.3f} on held-out annotations."
    change = after - before
    if abs(change) < HELPED:
        verdict = "As good as before"
    else:
        verdict = f"Better by {change:.3f}" if change > 0 else "Worse"
    return f"{verdict}: mean IoU {before:.3f} → {after:.3f} on held-out annotations."
