"""``napari-unetseg measure``: sizes, distances and brightness of objects, as a table."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from .printing import say


def measure(
    labels: Annotated[
        list[str],
        typer.Argument(
            metavar="LABELS…",
            help="Objects, or masks whose connected pieces are measured: files, folders or globs.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The table, a .csv or a .parquet.")
    ],
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image",
            "-i",
            help="The images that were segmented: brightness is measured in them, and their pixel "
            "size counts; may be given several times.",
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="What the labels are: objects, masks or annotations; what the file says of "
            "itself, else objects, where left out."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")] = False,
) -> None:
    """Measure objects: area or volume, axes, distance to the nearest, brightness.

    In µm where the file, or its image, knows the size of a pixel, else in pixels. A row per object
    and time point.
    """
    from typing import get_args

    from napari_unetseg.errors import UserError
    from napari_unetseg.images import LabelsKind, check_output, find_inputs, pair_inputs, stem_of
    from napari_unetseg.measure import TABLE_SUFFIXES, measured_file, write_table
    from napari_unetseg.wording import counted

    from .inputs_kept import check_inputs_kept
    from .progress import bar

    if kind is not None and kind not in get_args(LabelsKind):
        raise UserError(
            f"{kind!r} is no kind of labels; it is one of {', '.join(get_args(LabelsKind))}."
        )
    if output.suffix.lower() not in TABLE_SUFFIXES:
        raise UserError(f"{output} would be no table; give a name that ends in .csv or .parquet.")
    files = find_inputs(labels)
    images = find_inputs(image or [])
    check_inputs_kept({"labels file": files, "image": images}, [output])
    check_output(output, overwrite)
    pairs = pair_inputs(images, files) if images else [(None, path) for path in files]
    rows: list[dict[str, object]] = []
    with bar() as progress:
        task = progress.add_task("Measuring", total=None)
        for of_image, path in pairs:
            progress.update(task, description=f"Measuring {stem_of(path)}")
            rows += measured_file(
                path,
                of_image,
                kind,  # type: ignore[arg-type] # checked above
                show=partial(progress.update, task),
                say=progress.console.print,
            )
    write_table(output, rows, overwrite=overwrite)
    calibrated = any("x_um" in row for row in rows)
    unit = "" if calibrated or not rows else ", in pixels: their size is not known"
    say(f"{counted(len(rows), 'object')} in {output}{unit}.")
