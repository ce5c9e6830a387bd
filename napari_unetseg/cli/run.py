"""``napari-unetseg run``: what was done before, on these images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    recipe: Annotated[
        Path,
        typer.Argument(help="A recipe saved in the window, or the .json beside a result."),
    ],
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE…", help="Files, folders or quoted globs.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="A .tif or .zarr, or a folder with one .tif per image."
        ),
    ],
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--labels",
            "-l",
            help="Annotations to grow from, or to learn from anew, instead of those that the "
            "recipe keeps; without them a pixel classifier is applied as it was trained, and what "
            "grows from strokes grows from those kept, on the image that they are of.",
        ),
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(
            help="A table of points to grow from, as napari saves one, instead of what is kept."
        ),
    ] = None,
    stack: Annotated[bool, typer.Option("--stack", help="Read a folder as one Z stack.")] = False,
    slices: Annotated[
        str | None,
        typer.Option(help="Segment only these: 0,7,14 or 0-4; the others stay empty."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")] = False,
) -> None:
    """Replay a recipe of classical steps on these or other images.

    On the images that it was made on the result is the same, pixel by pixel; give the same
    --slices where there were some.
    """
    from napari_unetseg.classical import read_recipe

    from .segmenting import Files, segment_files

    files = Files(images, output, labels or (), points, slices, stack, overwrite, recipe=recipe)
    segment_files(read_recipe(recipe), files)
