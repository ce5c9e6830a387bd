"""Scores as tables that a person reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from .printing import console, say

if TYPE_CHECKING:
    from rich.table import Table

    from napari_unetseg.measure import Contours, ObjectScores, RegionScores, Scores


def print_scores(scores: Scores, *, everything: bool) -> None:
    """Print the main scores, and with `everything` the others below."""
    from napari_unetseg.images import MANY_CLASSES

    _print_classes(scores)
    if len(scores.classes) > MANY_CLASSES:
        note = "So many classes are rather the ids of objects; compare these with --kind objects."
        say(note, err=True)
    if scores.objects is not None:
        _print_objects(scores.objects)
    if everything and scores.objects is not None and scores.objects.average_precisions:
        _print_more_of_objects(scores.objects)
    if everything and scores.regions is not None:
        _print_regions(scores.regions)
    if everything and scores.contours is not None:
        _print_contours(scores.contours)


def _print_classes(scores: Scores) -> None:
    from napari_unetseg.wording import counted

    metrics = ("iou", "dice", "precision", "recall", "f1")
    titles = ["IoU", "Dice", "precision", "recall", "F1"]
    given = scores.probabilities
    table = _table("class", *titles, *(["AP"] if given else []), "pixels")
    for scored in scores.classes:
        values = [f"{getattr(scored, metric):.4f}" for metric in metrics]
        if given:
            values.append(_cell(given.average_precision.get(scored.name)))
        table.add_row(scored.name, *values, f"{scored.n_px:,}")
    means = [f"{scores.mean(metric):.4f}" for metric in metrics]
    if given:
        means.append(_cell(given.mean_average_precision))
    table.add_row("mean", *means, f"{scores.n_px:,}", style="bold")
    _print(table)
    compared = counted(scores.n_slices or 0, "slice")
    say(f"pixel accuracy {scores.pixel_accuracy:.4f}, {compared} compared")
    if given and any(given.average_precision.get(c.name) is None for c in scores.classes):
        say("– not defined, as the truth has no pixel of this class")


def _print_objects(objects: ObjectScores) -> None:
    if not objects.n_true + objects.n_predicted:
        say("objects: none in the truth and none in the prediction, so scores are not defined")
        return
    say(
        f"objects: {objects.n_matched} of {objects.n_true} found (IoU of at least "
        f"{objects.iou:g}), "
        f"{objects.n_predicted} predicted; precision {objects.precision:.4f}, "
        f"recall {objects.recall:.4f}, F1 {objects.f1:.4f}, "
        f"mean IoU of those found {objects.mean_matched_iou:.4f}, SEG {objects.seg:.4f}"
    )


def _print_more_of_objects(objects: ObjectScores) -> None:
    say(
        f"average precision of objects (AP) {objects.average_precision:.4f}, mean over IoUs "
        f"of 0.5 to 0.95 {objects.mean_average_precision:.4f}, panoptic quality "
        f"{objects.panoptic_quality:.4f}"
    )
    table = _table("IoU of at least", *(f"{iou:.2f}" for iou in objects.average_precisions))
    table.add_row("AP", *(f"{value:.2f}" for value in objects.average_precisions.values()))
    _print(table)


def _print_regions(regions: RegionScores) -> None:
    if regions.adapted_rand_error is None:
        return
    information = "not defined"
    if regions.voi_split is not None and regions.voi_merge is not None:
        information = (
            f"{regions.voi_split:.4f} bits by splits and {regions.voi_merge:.4f} by merges"
        )
    say(
        "pixels of an object kept together: adapted Rand error "
        f"{regions.adapted_rand_error:.4f}, variation of information {information}"
    )


def _print_contours(contours: Contours) -> None:
    if not contours.classes:
        say("contours: none in the truth and none in the prediction, so scores are not defined")
        return
    unit = contours.unit
    lengths = [f"{name} ({unit})" for name in ("mean", "95 %", "all")]
    table = _table("contour", "boundary F1", "precision", "recall", *lengths)
    for scored in contours.classes:
        table.add_row(scored.name, *_contour_row(partial(getattr, scored)))
    table.add_row("mean", *_contour_row(contours.mean), style="bold")
    say()
    _print(table)
    what = "surfaces of volumes" if contours.in_3d else "outlines in slices"
    say(f"{what}; for boundary F1, contours agree within {contours.tolerance_px:g} px;")
    say("distance to the other contour: mean, that of 95 % at most, that of all at most")
    if any(None in dataclasses.astuple(scored) for scored in contours.classes):
        say("– not defined, as only one side has a contour of this class")
    one_sided = [f"{s.name} in {s.n_one_sided:,}" for s in contours.classes if s.n_one_sided]
    if one_sided:
        places = "volumes" if contours.in_3d else "slices"
        say(f"distances leave out {places} where only one side has it: {', '.join(one_sided)}")


def _contour_row(value_of: Callable[[str], float | None]) -> list[str]:
    shares = ("boundary_f1", "boundary_precision", "boundary_recall")
    distances = ("mean_distance", "hausdorff_95", "hausdorff")
    return [_cell(value_of(metric)) for metric in shares] + [
        _cell(value_of(metric), ".3g") for metric in distances
    ]


def _cell(value: float | None, digits: str = ".4f") -> str:
    return "–" if value is None else f"{value:{digits}}"


def _table(*titles: str) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(titles[0])
    for title in titles[1:]:
        table.add_column(title, justify="right")
    return table


def _print(table: Table) -> None:

    console().print(table)
