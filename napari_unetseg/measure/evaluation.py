"""The verb `evaluate`: how well predictions agree with the truth."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from napari_unetseg.config import default_class
from napari_unetseg.errors import UserError
from napari_unetseg.images import LabelsKind, kind_notes

from .agreement import agree_on_values
from .compared_slices import Place, notes_on_slices, places_to_compare
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
    show: Callable[..., object] = lambda **_: None,
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
        that were segmented in both, as files of some slices only say themselves; a note says
        which. A file that has as many slices as are chosen, and fewer than the other, is taken to
        hold just these.
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
    show : callable
        Takes ``total``, ``completed`` and ``advance``, as a bar of progress does.

    Returns
    -------
    Scores

    Raises
    ------
    UserError
        If files cannot be read or paired, differ in shape, no truth is labelled, or a slice is
        asked for that one of them leaves out.

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
    places = [places_to_compare(pair, slices) for pair in pairs]
    show(completed=0, total=sum(map(len, places)))
    for pair, at, own in zip(pairs, places, maps, strict=True):
        for _ in tally.add(pair, at, own, contours=contours):
            show(advance=1)
    if tally.matrix.n_px == 0:
        where = pairs[0].names[1]
        raise UserError(
            f"The truth in {where} holds no labelled pixel to compare with; check --slices and "
            "the kind of truth."
        )
    found = tally.scores(iou, contours=contours, objects=kind == "objects")
    is_told = kind is not None or isinstance(truth, np.ndarray)
    notes = [] if is_told else kind_notes([pair.truth.labels for pair in pairs])
    notes += notes_on_slices(pairs, places) if slices is None else []
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
        places: Sequence[Place],
        probabilities: Probabilities | None,
        *,
        contours: bool,
    ) -> Iterator[None]:
        """Compare slices of an image at places in the prediction and in the truth, one by one."""
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
            yield
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
