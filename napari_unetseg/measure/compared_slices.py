"""Which slices of a prediction and of the truth `evaluate` compares."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TypeAlias

from napari_unetseg.errors import UserError
from napari_unetseg.images import LabelPlanes, parse_slices
from napari_unetseg.wording import counted, ranges

from .sources import Pair

#: Where a slice is in the prediction, and where in the truth.
Place: TypeAlias = tuple[int, int]


def places_to_compare(pair: Pair, slices: str | Sequence[int] | None) -> list[Place]:
    """List where slices that belong together are in the prediction and in the truth.

    Parameters
    ----------
    pair : Pair
    slices : str or sequence of int or None
        Those that are asked for; all that were segmented in both where None.

    Raises
    ------
    UserError
        If shapes differ, a slice is asked for that one of them leaves out, or none is in both.
    """
    predicted, truth = pair.predicted.labels, pair.truth.labels
    n_planes = max(predicted.shape[0], truth.shape[0])
    is_whole = [labels.shape[0] == n_planes for labels in (predicted, truth)]
    chosen = _chosen(slices, n_planes)
    if slices is None:
        whole = list(itertools.compress((predicted, truth), is_whole))
        chosen = [plane for plane in chosen if all(_has(labels, plane) for labels in whole)]
    # A file may hold the chosen slices alone.
    lengths = [n_planes if is_all else len(chosen) for is_all in is_whole]
    if predicted.shape[1:] != truth.shape[1:] or lengths != [predicted.shape[0], truth.shape[0]]:
        raise UserError(
            f"{pair.names[0]} has {_described(predicted)} and {pair.names[1]} has "
            f"{_described(truth)}; a prediction is compared with truth of the same shape."
        )
    places = []
    for at, plane in enumerate(chosen):
        i, j = (plane if is_all else at for is_all in is_whole)
        left_out = [] if _has(predicted, i) else [pair.names[0]]
        left_out += [] if _has(truth, j) else [pair.names[1]]
        if left_out and slices is not None:
            raise UserError(
                f"Slice {plane} was left out when {left_out[0]} was made; compare the slices that "
                "were segmented, which is the default."
            )
        if not left_out:
            places.append((i, j))
    if not places:
        raise UserError(
            f"{pair.names[0]} and {pair.names[1]} say which of their slices were segmented, and "
            "none was in both; segment some slices of which there is truth."
        )
    return places


def notes_on_slices(pairs: Sequence[Pair], places: Sequence[Sequence[Place]]) -> list[str]:
    """Say which slices were compared where these are not all.

    Parameters
    ----------
    pairs : sequence of Pair
    places : sequence of sequence of Place
        What `places_to_compare` returned for each, nothing being asked for.
    """
    notes = []
    for pair, compared in zip(pairs, places, strict=True):
        n_planes = max(pair.predicted.labels.shape[0], pair.truth.labels.shape[0])
        if len(compared) < n_planes:
            notes.append(
                f"Of the {n_planes:,} slices of {pair.names[1]} only "
                f"{ranges([max(place) for place in compared])} are compared, as the others were "
                "not segmented in both truth and prediction"
            )
    more = f"; nor were all of {counted(len(notes) - 1, 'other image')}" if notes[1:] else ""
    return [f"{note}{more}." for note in notes[:1]]


def _has(labels: LabelPlanes, index: int) -> bool:
    return labels.slices is None or index in labels.slices


def _chosen(slices: str | Sequence[int] | None, n_planes: int) -> list[int]:
    if slices is None or isinstance(slices, str):
        return parse_slices(slices, n_planes)
    return parse_slices(",".join(str(index) for index in slices), n_planes)


def _described(labels: LabelPlanes) -> str:
    planes, height, width = labels.shape
    return f"{counted(planes, 'slice')} of {height} × {width} px"
