"""Contours of truth and prediction: how much of them agrees, and how far apart they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from .class_names import names_of
from .distance_totals import STEP_PX, ClassDistances, Distances
from .nearest import Outline
from .surfaces import VolumeSurfaces, codes_in, contour_codes

#: Contours this close agree, in pixel widths.
TOLERANCE_PX = 2.0


@dataclass(frozen=True, slots=True)
class ContourScores:
    """How well the contour of one class was found.

    What has no value (the distance to a contour that is nowhere) is None. Distances leave out
    slices in which only one of the two has a contour, `n_one_sided` of them; shares do not.

    Attributes
    ----------
    boundary_precision, boundary_recall : float or None
        Share of the predicted contour that is close to the true one, and of the true contour
        that is close to the predicted one, in [0, 1].
    boundary_f1 : float or None
        Their harmonic mean; None where neither has a contour.
    hausdorff_95, hausdorff : float or None
        Distance that 95 % of a contour, or all of it, is at most away from the other: the larger
        of both directions.
    mean_distance : float or None
        Average symmetric surface distance: mean over the pixels of both contours of the distance
        to the other.
    n_px, n_predicted_px : int
        Pixels of the true and of the predicted contour.
    n_one_sided : int
    """

    name: str
    k: int
    boundary_precision: float | None
    boundary_recall: float | None
    boundary_f1: float | None
    hausdorff_95: float | None
    hausdorff: float | None
    mean_distance: float | None
    n_px: int
    n_predicted_px: int
    n_one_sided: int


@dataclass(frozen=True, slots=True)
class Contours:
    """Scores of the contours of all classes.

    Attributes
    ----------
    classes : tuple of ContourScores
        Every class that has a contour in truth or prediction.
    unit : str
        Of distances: ``"µm"`` or ``"px"``.
    tolerance_px : float
    in_3d : bool
        Surfaces of volumes; else outlines in slices.
    """

    classes: tuple[ContourScores, ...]
    unit: str
    tolerance_px: float
    in_3d: bool

    def mean(self, metric: str) -> float | None:
        """Return the mean of a metric over the classes that have it, None where none has."""
        values = [getattr(scored, metric) for scored in self.classes]
        defined = [value for value in values if value is not None]
        return fmean(defined) if defined else None

    def as_dict(self) -> dict[str, Any]:
        """Return everything as builtins, for JSON."""
        metrics = ("boundary_f1", "hausdorff_95", "hausdorff", "mean_distance")
        return {
            **{f"mean_{metric.removeprefix('mean_')}": self.mean(metric) for metric in metrics},
            "unit": self.unit,
            "tolerance_px": self.tolerance_px,
            "in_3d": self.in_3d,
            "classes": {
                scored.name: {k: v for k, v in dataclasses.asdict(scored).items() if k != "name"}
                for scored in self.classes
            },
        }


class ContourDistances:
    """Distances between contours, added slice by slice, pooled over everything that is added.

    The contour of a class is the pixels of it that have a neighbour (4 in a slice, 6 in a
    volume) of another class. The edge of the image, and that of what is labelled, are no
    contours. Only one slice is held in memory; contours of volumes wait on disk.

    Parameters
    ----------
    tolerance_px : float
        Contours that are so close agree, in pixel widths.
    in_3d : bool
        Compare the surfaces of volumes: distances go through slices, and `end_volume` says
        where a volume ends.
    near_only : bool
        In slices, look no farther than the tolerance, which is faster: shares have values then,
        and distances mean nothing.

    References
    ----------
    G. Csurka, D. Larlus and F. Perronnin, "What is a good evaluation measure for semantic
    segmentation?", BMVC 2013 (boundary F1). T. Heimann et al., "Comparison and evaluation of
    methods for liver segmentation from CT datasets", IEEE Trans. Med. Imaging 28 (2009) 1251–1265
    (average symmetric surface distance). L. Maier-Hein et al., "Metrics reloaded", Nature Methods
    21 (2024) 195–212 (95 % Hausdorff distance, the larger of both directions).

    Examples
    --------
    >>> truth = np.ones((5, 9), np.uint8)
    >>> predicted = truth.copy()
    >>> truth[:, 4:], predicted[:, 5:] = 2, 2
    >>> distances = ContourDistances()
    >>> distances.add(truth, predicted, spacing=(1, 0.5, 0.5))
    >>> distances.scores(unit="µm").mean("mean_distance")
    0.5
    """

    def __init__(
        self, *, tolerance_px: float = TOLERANCE_PX, in_3d: bool = False, near_only: bool = False
    ) -> None:
        self.tolerance_px = tolerance_px
        self._near_only = near_only
        self.in_3d = in_3d
        self._step: float | None = None
        self._classes: dict[int, ClassDistances] = {}
        self._volume: VolumeSurfaces | None = None

    def add(
        self,
        truth_codes: npt.NDArray[np.uint8],
        predicted_codes: npt.NDArray[np.uint8],
        *,
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        ids: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None,
        where: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Compare the contours of a slice; of a volume, slices follow each other.

        Parameters
        ----------
        truth_codes, predicted_codes : ndarray, shape (Y, X), uint8
            0 unlabelled, 1 background, k + 1 class k. Nothing is said of the prediction where
            the truth is unlabelled.
        spacing : tuple of float
            Size of a voxel along Z, Y and X; distances are in its unit. Outlines in slices need
            no Z.
        ids : tuple of ndarray, shape (Y, X), optional
            True and predicted objects: then there is a contour between two that touch.
        where : ndarray, shape (Y, X), bool, optional
            Only the contour in here counts; what lies around it is what it may match.

        Raises
        ------
        ValueError
            If shapes differ.
        """
        if truth_codes.shape != predicted_codes.shape:
            raise ValueError(f"shapes {truth_codes.shape} and {predicted_codes.shape} differ")
        sides = (truth_codes, predicted_codes)
        self._step = self._step or STEP_PX * spacing[-1]
        if self.in_3d:
            self._volume = self._volume or VolumeSurfaces(spacing)
            self._volume.add(sides, ids or sides, where)
            return
        self._compare(contour_codes(sides, ids or sides), spacing, where)

    def _compare(
        self,
        contours: Sequence[npt.NDArray[np.uint8]],
        spacing: tuple[float, float, float],
        where: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Compare the outlines in a slice, class by class."""
        at_most = self.tolerance_px * spacing[-1] if self._near_only else np.inf
        places = [np.argwhere(contour) for contour in contours]
        codes = [plane[tuple(at.T)] for plane, at in zip(contours, places, strict=True)]
        counted = [np.ones(len(at), bool) if where is None else where[tuple(at.T)] for at in places]
        for code in codes_in(*(c[inside] for c, inside in zip(codes, counted, strict=True))):
            here = [c == code for c in codes]
            outlines = [
                Outline(at[own], contours[0].shape, spacing[1:])
                for at, own in zip(places, here, strict=True)
            ]
            counts = self._classes.setdefault(code, ClassDistances())
            counts.n_one_sided += not (here[0].any() and here[1].any())
            self._count(
                counts,
                outlines[1].distances(places[0][here[0] & counted[0]], at_most),
                outlines[0].distances(places[1][here[1] & counted[1]], at_most),
                spacing,
            )

    def _count(
        self,
        counts: ClassDistances,
        from_truth: Distances,
        from_predicted: Distances,
        spacing: tuple[float, float, float],
    ) -> None:
        tolerance, step = self.tolerance_px * spacing[-1], self._step or STEP_PX
        counts.from_truth.add(from_truth, tolerance, step)
        counts.from_predicted.add(from_predicted, tolerance, step)

    def end_volume(self) -> None:
        """Compare the surfaces of the slices added since the last volume ended; in 3D alone."""
        if self._volume is None:
            return
        with self._volume as volume:
            volume.complete()
            for code in volume.codes():
                counts = self._classes.setdefault(code, ClassDistances())
                counts.n_one_sided += volume.is_one_sided(code)
                for from_truth, from_predicted in volume.distances(code):
                    self._count(counts, from_truth, from_predicted, volume.spacing)
        self._volume = None

    def scores(self, class_names: Sequence[str] = (), *, unit: str = "px") -> Contours:
        """Score what was added.

        Parameters
        ----------
        class_names : sequence of str
            As `measure.scores` takes them.
        unit : str
            Of `spacing`.
        """
        self.end_volume()
        codes = sorted(self._classes)
        names = names_of(codes, class_names)
        step = self._step or STEP_PX
        classes = (_contour_scores(self._classes[c], c, names[c], step) for c in codes)
        return Contours(tuple(classes), unit, self.tolerance_px, self.in_3d)


def _contour_scores(found: ClassDistances, code: int, name: str, step: float) -> ContourScores:
    true, predicted = found.from_truth, found.from_predicted
    precision = predicted.n_near_px / predicted.n_px if predicted.n_px else None
    recall = true.n_near_px / true.n_px if true.n_px else None
    near = (precision or 0) + (recall or 0)
    measured = true.n_measured_px + predicted.n_measured_px
    both = [side for side in (true, predicted) if side.n_measured_px]
    return ContourScores(
        name=name,
        k=code - 1,
        boundary_precision=precision,
        boundary_recall=recall,
        boundary_f1=2 * (precision or 0) * (recall or 0) / near if near else 0.0,
        hausdorff_95=max((side.percentile(95, step) for side in both), default=None),
        hausdorff=max((side.longest for side in both), default=None),
        mean_distance=(true.total + predicted.total) / measured if measured else None,
        n_px=true.n_px,
        n_predicted_px=predicted.n_px,
        n_one_sided=found.n_one_sided,
    )
