"""The verb `evaluate`: how well predictions agree with the truth."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from napari_unetseg.config import default_class
from napari_unetseg.errors import UserError
from napari_unetseg.images import LabelsKind, kind_notes, parse_slices
from napari_unetseg.wording import counted

from .agreement import agree_on_values
from .confusion import ConfusionMatrix
from .contours import TOLERANCE_PX, ContourDistances
from .objects import MATCHING_IOU, ObjectMatcher
from .precision_recall import PrecisionRecall
from .probabilities import Probabilities, ProbabilityCounts, read_probabilities
from .scores import Scores, scores
from .sources import LabelSource, OpenSide, Pair, read_pairs
from .spacing import spacing_of


def evaluate(
    predicted: LabelSource,
    truth: LabelSource,
    *,
    kind: LabelsKind | None = None,
    slices: str | Sequence[int] | None = None,
    iou: float = MATCHING_IOU,
    contours: bool = False,
    tolerance_px: float = TOLERANCE_PX,
    in_3d: bool = False,
    probabilities: LabelSource | None = None,
) -> Scores:
    """Compare predictions with the truth.

    Counts are pooled over all images and slices; means run over every class present in truth or
    prediction, background included; unlabelled truth is left out. Files are read slice by slice
    and may be larger than memory.

    Parameters
    ----------
    predicted : path, sequence of paths, or ndarray of shape (Y, X) or (N, Y, X)
        Masks (0 background, k class k) or objects (0 background, ids).
    truth : as `predicted`
        What `kind` says. Files pair up by stem, else in natural order.
    kind : {"masks", "objects", "annotations"}, optional
        What the truth is; masks where left out, with a note where it could be annotations. Of
        annotations 0 is unlabelled, 1 background, k + 1 class k. Objects are compared as
        foreground, matched one by one, and compared as groups of pixels; those of a predicted
        mask are its connected areas.
    slices : str or sequence of int, optional
        Which slices to compare, counted from 0: ``"0,7-9"`` or ``[0, 7, 8, 9]``; by default all
        that were segmented, as a prediction of some slices only says itself. A file that has
        as many slices as are chosen, and fewer than the other, is taken to hold just these.
    iou : float
        At which objects match, in (0, 1].
    contours : bool
        Compare contours too: boundary F1, Hausdorff and surface distances, in µm where pixel
        sizes are known. Those of objects run between touching ones as well.
    tolerance_px : float
        Contours this close agree, in pixel widths.
    in_3d : bool
        Contours are surfaces of volumes, and not outlines in slices. Chosen slices that do not
        follow each other are volumes of their own.
    probabilities : path, sequence of paths, or ndarray of shape (K, Y, X) or (N, K, Y, X), optional
        Of each class, background first (or of class 1 alone), in [0, 1] or 8 or 16 bits: for the
        average precision. Files pair up with predictions.

    Returns
    -------
    Scores

    Raises
    ------
    UserError
        If files cannot be read or paired, differ in shape, no truth is labelled, or a slice is
        asked for that the prediction leaves out.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.array([[0, 0, 1, 1]])
    >>> evaluate(np.array([[0, 1, 1, 1]]), truth).pixel_accuracy
    0.75
    """
    _check_number("IoU", iou, most=1)
    _check_number("tolerance", tolerance_px)
    pairs = agree_on_values(read_pairs(predicted, truth, kind or "masks"))
    tally = _Tally(pairs, ContourDistances(tolerance_px=tolerance_px, in_3d=in_3d))
    maps: Sequence[Probabilities | None] = [None] * len(pairs)
    if probabilities is not None:
        maps = read_probabilities(probabilities, pairs)
        tally.curves = PrecisionRecall()
    for pair, own in zip(pairs, maps, strict=True):
        tally.add(pair, slices, own, contours=contours)
    if tally.matrix.n_px == 0:
        where = pairs[0].names[1]
        raise UserError(
            f"The truth in {where} holds no labelled pixel to compare with; check --slices and "
            "the kind of truth."
        )
    found = tally.scores(iou, contours=contours, objects=kind == "objects")
    is_told = kind is not None or isinstance(truth, np.ndarray)
    notes = [] if is_told else kind_notes([pair.truth.labels for pair in pairs])
    return dataclasses.replace(found, notes=tuple(notes))


def _check_number(name: str, value: float, *, most: float = math.inf) -> None:
    if not 0 < value <= most:
        upto = f" and at most {most:g}" if most < math.inf else ""
        raise UserError(f"The {name} is {value:g}; it must be above 0{upto}.")


class _Tally:
    """Everything that is counted while slices are compared."""

    def __init__(self, pairs: Sequence[Pair], distances: ContourDistances) -> None:
        self.matrix = ConfusionMatrix()
        self.matcher = ObjectMatcher()
        self.distances = distances
        self.curves: PrecisionRecall | None = None
        self._names = _class_names(pairs)
        self._spacing = spacing_of(pairs, in_3d=distances.in_3d)
        self._volume = self._n_slices = 0

    def add(
        self,
        pair: Pair,
        slices: str | Sequence[int] | None,
        probabilities: Probabilities | None,
        *,
        contours: bool,
    ) -> None:
        """Compare the slices of an image."""
        places = list(_planes_to_compare(pair, slices))
        predicted, truth = OpenSide(pair.predicted), OpenSide(pair.truth)
        maps = None
        if probabilities is not None and self.curves is not None:
            n_codes = max(pair.truth.classes_present, default=0) + 1
            maps = ProbabilityCounts(self.curves, probabilities, pair, n_codes)
        depth = pair.truth.labels.planes_per_volume
        before: tuple[int, int] | None = None
        for i, j in places:
            begins = before is None or j // depth != before[1] // depth
            self._volume += begins
            # One of the files may hold the chosen slices alone: the other tells how far apart.
            if before is None or begins or max(i, j) != max(before) + 1:
                self.distances.end_volume()
            before = i, j
            codes, ids = truth.plane(j)
            predicted_codes, predicted_ids = predicted.plane(i)
            both = None if ids is None or predicted_ids is None else (ids, predicted_ids)
            self._n_slices += 1
            self.matrix.add(codes, predicted_codes)
            if both is not None:
                self.matcher.add(*both, self._volume)
            if contours:
                self.distances.add(codes, predicted_codes, spacing=self._spacing.of(pair), ids=both)
            if maps is not None:
                maps.add(codes, (i, j))
        self.distances.end_volume()

    def scores(self, iou: float, *, contours: bool, objects: bool) -> Scores:
        """Score what was counted."""
        return dataclasses.replace(
            scores(self.matrix, self._names, objects=self.matcher.scores(iou) if objects else None),
            n_slices=self._n_slices,
            contours=self.distances.scores(self._names, unit=self._spacing.unit)
            if contours
            else None,
            regions=self.matcher.regions() if objects else None,
            probabilities=self.curves.scores(self._names) if self.curves else None,
        )


def _planes_to_compare(pair: Pair, slices: str | Sequence[int] | None) -> Iterator[tuple[int, int]]:
    """Yield slices of the prediction and of the truth that belong together."""
    predicted, truth = pair.predicted.labels.shape, pair.truth.labels.shape
    n_planes = max(predicted[0], truth[0])
    segmented = pair.predicted.labels.slices if predicted[0] == n_planes else None
    chosen = list(segmented) if slices is None and segmented else _chosen(slices, n_planes)
    left_out = sorted(set(chosen) - set(segmented)) if segmented else []
    if left_out:
        raise UserError(
            f"Slice {left_out[0]} was left out when {pair.names[0]} was made; compare the slices "
            "that were segmented, which is the default."
        )
    held = [n if n == n_planes else len(chosen) for n in (predicted[0], truth[0])]
    if predicted[1:] != truth[1:] or held != [predicted[0], truth[0]]:
        raise UserError(
            f"{pair.names[0]} has {_described(predicted)} and {pair.names[1]} has "
            f"{_described(truth)}; a prediction is compared with truth of the same shape."
        )
    for at, plane in enumerate(chosen):
        yield (
            plane if predicted[0] == n_planes else at,
            plane if truth[0] == n_planes else at,
        )


def _chosen(slices: str | Sequence[int] | None, n_planes: int) -> list[int]:
    if slices is None or isinstance(slices, str):
        return parse_slices(slices, n_planes)
    return parse_slices(",".join(str(index) for index in slices), n_planes)


def _described(shape: tuple[int, ...]) -> str:
    planes, height, width = shape
    return f"{counted(planes, 'slice')} of {height} × {width} px"


def _class_names(pairs: Sequence[Pair]) -> list[str]:
    """Take names that somebody gave, from the truth if it has them, else from the prediction."""
    given: dict[int, str] = {}
    for side in [*(pair.truth for pair in pairs), *(pair.predicted for pair in pairs)]:
        for own, label_class in enumerate(side.labels.classes, start=1):
            k = own if side.table is None else int(side.table[own + 1]) - 1
            given.setdefault(k, default_class(k).name)
            if label_class.name != default_class(own).name and given[k] == default_class(k).name:
                given[k] = label_class.name
    every = range(1, max(given, default=0) + 1)
    return ["background", *(given.get(k, default_class(k).name) for k in every)]
