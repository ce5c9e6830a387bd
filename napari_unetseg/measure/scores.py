"""Scores of a segmentation, from a confusion matrix."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from .class_names import names_of
from .confusion import ConfusionMatrix
from .contours import Contours
from .objects import ObjectScores
from .precision_recall import ProbabilityScores
from .regions import RegionScores


@dataclass(frozen=True, slots=True)
class ClassScores:
    """How well one class was found; all but the counts in [0, 1].

    A ratio whose denominator is 0 (the precision of a class never predicted) is 0.

    Attributes
    ----------
    k : int
        The class, 0 for background.
    iou, dice, precision, recall, f1 : float
        Intersection over union (Jaccard); Dice equals F1, and both names are in use.
    n_px, n_predicted_px : int
        Labelled pixels that are, and that were taken for, this class.
    """

    name: str
    k: int
    iou: float
    dice: float
    precision: float
    recall: float
    f1: float
    n_px: int
    n_predicted_px: int


@dataclass(frozen=True, slots=True)
class Scores:
    """How well a segmentation agrees with the truth, on labelled pixels.

    Attributes
    ----------
    classes : tuple of ClassScores
        Every class present in truth or prediction, background included.
    pixel_accuracy : float
        Share of pixels whose class is right, in [0, 1].
    n_px : int
        Labelled pixels that were compared.
    objects : ObjectScores or None
        Where objects were compared too.
    n_slices : int or None
        That were compared, in all images; None where nobody counted them.
    contours : Contours or None
        Where these were compared too.
    regions : RegionScores or None
        Of objects as groups of pixels.
    probabilities : ProbabilityScores or None
        Where probabilities were given.
    notes : tuple of str
        What a person may not expect of how files were understood, in sentences.
    """

    classes: tuple[ClassScores, ...]
    pixel_accuracy: float
    n_px: int
    objects: ObjectScores | None = None
    n_slices: int | None = None
    contours: Contours | None = None
    regions: RegionScores | None = None
    probabilities: ProbabilityScores | None = None
    notes: tuple[str, ...] = ()

    @property
    def mean_iou(self) -> float:
        """Mean IoU over `classes`."""
        return self.mean("iou")

    @property
    def iou(self) -> dict[str, float]:
        """IoU by class name."""
        return {scored.name: scored.iou for scored in self.classes}

    def mean(self, metric: str) -> float:
        """Return the mean over `classes` of ``"iou"``, ``"dice"``, ``"precision"`` and so on."""
        return fmean(getattr(scored, metric) for scored in self.classes)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as builtins, for JSON."""
        means = {
            f"mean_{metric}": self.mean(metric)
            for metric in ("iou", "dice", "precision", "recall", "f1")
        }
        result: dict[str, Any] = {
            **means,
            "pixel_accuracy": self.pixel_accuracy,
            "n_px": self.n_px,
            **({} if self.n_slices is None else {"n_slices": self.n_slices}),
            "iou": self.iou,
            "classes": {
                scored.name: {k: v for k, v in dataclasses.asdict(scored).items() if k != "name"}
                for scored in self.classes
            },
        }
        if self.objects is not None:
            result["objects"] = self.objects.as_dict()
        if self.regions is not None:
            result["regions"] = dataclasses.asdict(self.regions)
        if self.contours is not None:
            result["contours"] = self.contours.as_dict()
        if self.probabilities is not None:
            result["probabilities"] = self.probabilities.as_dict()
        return result


def scores(
    matrix: ConfusionMatrix,
    class_names: Sequence[str] = (),
    *,
    objects: ObjectScores | None = None,
) -> Scores:
    """Compute scores from a confusion matrix.

    Parameters
    ----------
    matrix : ConfusionMatrix
    class_names : sequence of str
        Names of codes 1, 2, …: background first. Those left out are "background", "class 1"….

    Raises
    ------
    ValueError
        If nothing was counted.

    Examples
    --------
    >>> import numpy as np
    >>> matrix = ConfusionMatrix(2)
    >>> matrix.add(np.array([1, 1, 1, 2]), np.array([1, 1, 2, 2]))
    >>> {name: round(iou, 3) for name, iou in scores(matrix).iou.items()}
    {'background': 0.667, 'class 1': 0.5}
    """
    if matrix.n_px == 0:
        raise ValueError("no labelled pixel was counted")
    counts = matrix.counts
    present = [
        code
        for code in range(1, matrix.n_classes + 1)
        if counts[code].sum() or counts[:, code].sum()
    ]
    names = names_of(present, class_names)
    return Scores(
        tuple(_class_scores(matrix, code, names[code]) for code in present),
        float(counts[1:, 1:].trace() / matrix.n_px),
        matrix.n_px,
        objects,
    )


def _class_scores(matrix: ConfusionMatrix, code: int, name: str) -> ClassScores:
    hits = int(matrix.counts[code, code])
    true = int(matrix.counts[code].sum())
    predicted = int(matrix.counts[:, code].sum())
    f1 = _ratio(2 * hits, true + predicted)
    return ClassScores(
        name=name,
        k=code - 1,
        iou=_ratio(hits, true + predicted - hits),
        dice=f1,
        precision=_ratio(hits, predicted),
        recall=_ratio(hits, true),
        f1=f1,
        n_px=true,
        n_predicted_px=predicted,
    )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
