"""``napari-unetseg evaluate``: how well a segmentation agrees with the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from napari_unetseg.measure import ObjectScores, Scores


def evaluate(
    predicted: Annotated[
        list[str],
        typer.Argument(metavar="PREDICTED…", help="Masks or objects: files, folders or globs."),
    ],
    truth: Annotated[
        list[str],
        typer.Option("--truth", "-t", help="File, folder or glob; may be given several times."),
    ],
    kind: Annotated[
        str, typer.Option(help="What the truth is: masks, objects or annotations.")
    ] = "masks",
    slices: Annotated[str | None, typer.Option(help="Compare only these: 0,7,14 or 0-4.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Compare a segmentation with the truth: IoU, Dice, precision, recall, F1 and accuracy.

    Counts are pooled over all images and slices; the means run over every class present in truth
    or prediction, background included; unlabelled truth is left out.
    """
    import json

    from napari_unetseg.measure import evaluate as compare

    # Anything else than a kind of labels is refused there, in one sentence.
    scores = compare(predicted, truth, kind=kind, slices=slices)  # type: ignore[arg-type]
    if as_json:
        print(json.dumps(scores.as_dict(), indent=2, ensure_ascii=False))
        return
    _print_classes(scores)
    if scores.objects is not None:
        _print_objects(scores.objects)


def _print_classes(scores: Scores) -> None:
    from rich.console import Console
    from rich.table import Table

    from napari_unetseg.images import MANY_CLASSES
    from napari_unetseg.wording import counted

    metrics = ("iou", "dice", "precision", "recall", "f1")
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("class")
    for title in ("IoU", "Dice", "precision", "recall", "F1", "pixels"):
        table.add_column(title, justify="right")
    for scored in scores.classes:
        values = [f"{getattr(scored, metric):.4f}" for metric in metrics]
        table.add_row(scored.name, *values, f"{scored.n_px:,}")
    means = [f"{scores.mean(metric):.4f}" for metric in metrics]
    table.add_row("mean", *means, f"{scores.n_px:,}", style="bold")
    console = Console(highlight=False, markup=False)
    console.print(table)
    compared = counted(scores.n_slices or 0, "slice")
    console.print(f"pixel accuracy {scores.pixel_accuracy:.4f}, {compared} compared")
    if len(scores.classes) > MANY_CLASSES:
        note = "So many classes are rather the ids of objects; compare these with --kind objects."
        typer.echo(note, err=True)


def _print_objects(objects: ObjectScores) -> None:
    print(
        f"objects: {objects.n_matched} of {objects.n_true} found (IoU of at least 0.5), "
        f"{objects.n_predicted} predicted; precision {objects.precision:.4f}, "
        f"recall {objects.recall:.4f}, F1 {objects.f1:.4f}, "
        f"mean IoU of those found {objects.mean_matched_iou:.4f}, SEG {objects.seg:.4f}"
    )
