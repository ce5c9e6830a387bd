"""``napari-unetseg evaluate``: how well a segmentation agrees with the truth."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from .printing import say


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
        str | None,
        typer.Option(
            show_default="masks", help="What the truth is: masks, objects or annotations."
        ),
    ] = None,
    slices: Annotated[str | None, typer.Option(help="Compare only these: 0,7,14 or 0-4.")] = None,
    probabilities: Annotated[
        list[str] | None,
        typer.Option(
            help="Probabilities that belong to the prediction, as predict --probabilities writes "
            "them: adds the average precision (AP)."
        ),
    ] = None,
    iou: Annotated[
        float, typer.Option("--iou", help="How much objects must overlap to count as found.")
    ] = 0.5,
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="Contours and distances between them too; for objects, all scores."
        ),
    ] = False,
    tolerance_px: Annotated[
        float | None,
        typer.Option(
            "--tolerance", help="With --all: contours this close agree, in pixels; 2 by default."
        ),
    ] = None,
    in_3d: Annotated[
        bool,
        typer.Option(
            "--in-3d", help="With --all: surfaces of volumes instead of outlines in slices."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="All of it as JSON, for programs.")
    ] = False,
) -> None:
    """Compare a segmentation with the truth: IoU, Dice, precision, recall, F1 and accuracy.

    Counts are pooled over all images and slices; the means run over every class present in truth
    or prediction, background included; unlabelled truth is left out. With --all also how well
    contours agree, and how far apart they are in µm where the pixel size is known.
    """
    import json

    from napari_unetseg.errors import UserError
    from napari_unetseg.measure import TOLERANCE_PX
    from napari_unetseg.measure import evaluate as compare

    from .progress import bar
    from .scores_table import print_scores

    contours = everything or as_json
    if not contours and (in_3d or tolerance_px is not None):
        given = "--in-3d" if in_3d else "--tolerance"
        raise UserError(f"{given} is about contours, which are compared with --all; add that.")

    with bar(stays=False) as progress:
        task = progress.add_task("Comparing", total=None)
        scores = compare(
            predicted,
            truth,
            kind=kind,  # type: ignore[arg-type] # anything else is refused there, in one sentence
            slices=slices,
            iou=iou,
            contours=contours,
            tolerance_px=TOLERANCE_PX if tolerance_px is None else tolerance_px,
            in_3d=in_3d,
            probabilities=probabilities or None,
            show=partial(progress.update, task),
        )
    for note in scores.notes:
        say(note, err=True)
    if as_json:
        say(json.dumps(scores.as_dict(), indent=2, ensure_ascii=False))
    else:
        print_scores(scores, everything=everything)
