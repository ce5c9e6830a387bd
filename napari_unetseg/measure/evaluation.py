"""The verb `evaluate`: how well predictions agree with the truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from napari_unetseg.config import default_class
from napari_unetseg.errors import UserError
from napari_unetseg.images import Labels, LabelsKind, parse_slices
from napari_unetseg.wording import counted

from .agreement import agree_on_values
from .confusion import ConfusionMatrix
from .objects import ObjectMatcher
from .scores import Scores, scores
from .sources import LabelSource, Pair, read_pairs


def evaluate(
    predicted: LabelSource,
    truth: LabelSource,
    *,
    kind: LabelsKind = "masks",
    slices: str | Sequence[int] | None = None,
) -> Scores:
    """Compare predictions with the truth.

    Counts are pooled over all images and slices; means run over every class present in truth or
    prediction, background included; unlabelled truth is left out.

    Parameters
    ----------
    predicted : path, sequence of paths, or ndarray of shape (Y, X) or (N, Y, X)
        Masks (0 background, k class k) or objects (0 background, ids).
    truth : as `predicted`
        What `kind` says. Files pair up by stem, else in natural order.
    kind : {"masks", "objects", "annotations"}
        What the truth is. Of annotations 0 is unlabelled, 1 background, k + 1 class k. Objects
        are compared as foreground, and matched one by one at an IoU of at least 0.5; those of a
        predicted mask are its connected areas.
    slices : str or sequence of int, optional
        Which slices to compare, counted from 0: ``"0,7-9"`` or ``[0, 7, 8, 9]``; by default all
        that were segmented, as a prediction of some slices only says itself. A file that has
        as many slices as are chosen, and fewer than the other, is taken to hold just these.

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
    pairs = agree_on_values(read_pairs(predicted, truth, kind))
    matrix = ConfusionMatrix()
    matcher = ObjectMatcher()
    volume = n_slices = 0
    for pair in pairs:
        volume += 1
        last = None
        for i, j in _planes_to_compare(pair, slices):
            n_slices += 1
            matrix.add(pair.truth.codes[j], pair.predicted.codes[i])
            time_point = j // pair.planes_per_volume
            volume += last is not None and time_point != last
            last = time_point
            if pair.truth.ids is not None and pair.predicted.ids is not None:
                matcher.add(pair.truth.ids[j], pair.predicted.ids[i], volume)
    if matrix.n_px == 0:
        where = pairs[0].names[1]
        raise UserError(
            f"The truth in {where} holds no labelled pixel to compare with; check --slices and "
            "the kind of truth."
        )
    objects = matcher.scores() if kind == "objects" else None
    scored = scores(matrix, _class_names(pairs), objects=objects)
    return dataclasses.replace(scored, n_slices=n_slices)


def _planes_to_compare(pair: Pair, slices: str | Sequence[int] | None) -> Iterator[tuple[int, int]]:
    """Yield slices of the prediction and of the truth that belong together."""
    predicted, truth = pair.predicted.codes.shape, pair.truth.codes.shape
    n_planes = max(predicted[0], truth[0])
    segmented = pair.predicted.slices if predicted[0] == n_planes else None
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
    names = ["background"]
    candidates = [pair.truth for pair in pairs] + [pair.predicted for pair in pairs]
    n_classes = max(len(labels.classes) for labels in candidates)
    for k in range(1, n_classes + 1):
        plain = default_class(k).name
        given = (_name(labels, k) for labels in candidates)
        names.append(next((name for name in given if name not in (None, plain)), plain) or plain)
    return names


def _name(labels: Labels, k: int) -> str | None:
    return labels.classes[k - 1].name if k <= len(labels.classes) else None
