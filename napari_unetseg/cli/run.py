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
        typer.Option("--labels", "-l", help="Annotations, for methods that grow from them."),
    ] = None,
    points: Annotated[
        Path | None, typer.Option(help="A table of points to grow from, as napari saves one.")
    ] = None,
    stack: Annotated[bool, typer.Option("--stack", help="Read a folder as one Z stack.")] = False,
    slices: Annotated[
        str | None,
        typer.Option(help="Segment only these: 0,7,14 or 0-4; the others stay empty."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")] = False,
) -> None:
    """Replay a recipe of classical steps on these or other images."""
    from napari_unetseg.classical import read_recipe

    from .segmenting import Files, segment_files

    files = Files(images, output, labels or (), points, slices, stack, overwrite)
    segment_files(read_recipe(recipe), files)
