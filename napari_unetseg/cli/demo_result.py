"""What ``napari-unetseg demo`` does and what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import BACKGROUND
from napari_unetseg.measure import Scores
from napari_unetseg.samples import Sample, Stroke

if TYPE_CHECKING:
    from napari_unetseg.learning import Model

Codes: TypeAlias = npt.NDArray[np.uint8]

#: Names of the three networks among the methods.
BEFORE = "U-Net, first strokes"
CONTROL = "U-Net, longer, uncorrected"
CORRECTED = "U-Net, corrected"

_MEMBRANE, _MITOCHONDRION = BACKGROUND + 1, BACKGROUND + 2


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What the experiment does.

    Attributes
    ----------
    seed : int
        Of the stack, the annotator and the network.
    shape : tuple of int
        Of the stack: sections, height and width in px.
    annotated : tuple of int
        The slices that the annotator sees; all others are only scored.
    strokes : tuple of int
        The codes painted on each of them, stroke by stroke.
    stroke_px : float
        Length of a stroke.
    n_corrections : int
        Strokes in the second round.
    first_s, second_s : float
        Wall clock of the rounds of training.
    steps : tuple of int or None
        Of the rounds, in place of the wall clock.
    """

    seed: int = 0
    shape: tuple[int, int, int] = (24, 512, 512)
    annotated: tuple[int, ...] = (3, 11, 19)
    strokes: tuple[int, ...] = (BACKGROUND, _MEMBRANE, _MITOCHONDRION, BACKGROUND)
    stroke_px: float = 160.0
    n_corrections: int = 42
    first_s: float = 60.0
    second_s: float = 80.0
    steps: tuple[int, int] | None = None

    @property
    def held_out(self) -> tuple[int, ...]:
        """The slices that nobody paints on."""
        return tuple(i for i in range(self.shape[0]) if i not in self.annotated)


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a stage of the experiment is.

    Attributes
    ----------
    title : str
    fraction : float
        Of this stage, in [0, 1].
    note : str
        The latest news of it.
    """

    title: str
    fraction: float
    note: str = ""


@dataclass(slots=True)
class DemoResult:
    """Everything the experiment found.

    Attributes
    ----------
    segmentations : dict of str to dict of int to ndarray
        By method and slice: codes.
    scores : dict of str to Scores
        By method, on the held-out slices.
    parameters : dict of str to dict
        Of each baseline, as fitted.
    annotations, corrected : ndarray, shape (N, Y, X), uint8
        Before and after the corrections.
    model : Model
        After the corrections.
    seconds : dict of str to float
        By stage.
    """

    settings: DemoSettings
    sample: Sample
    annotations: Codes
    corrected: Codes
    model: Model
    segmentations: dict[str, dict[int, Codes]] = field(default_factory=dict)
    scores: dict[str, Scores] = field(default_factory=dict)
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    strokes: list[Stroke] = field(default_factory=list)
    corrections: list[Stroke] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def best_baseline(self) -> str:
        """The baseline with the highest mean IoU."""
        return max(self.parameters, key=lambda name: self.scores[name].mean_iou)

    @property
    def gain_over_baseline(self) -> float:
        """Mean IoU of the network after corrections above that of the best baseline."""
        return self.scores[CORRECTED].mean_iou - self.scores[self.best_baseline].mean_iou

    @property
    def gain_by_correcting(self) -> float:
        """Mean IoU after corrections above that after the same time without."""
        return self.scores[CORRECTED].mean_iou - self.scores[CONTROL].mean_iou
