"""``napari-unetseg convert``: labels of one format as labels of another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .printing import say


def convert(
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS",
            help="Labels: an image of them, a folder of slices, QuPath's GeoJSON, ImageJ's regions "
            "(.roi, .zip), COCO's JSON, Cellpose's _seg.npy or another .npy.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="OME-TIFF (.tif), OME-Zarr (.zarr), HDF5 (.h5), QuPath's GeoJSON (.geojson), "
            "ImageJ's regions (.zip), surfaces in µm (.stl, .ply, .glb), a folder of PNGs, one per "
            "slice, or labels inside the OME-Zarr of their image (image.zarr/labels/NAME).",
        ),
    ],
    like: Annotated[
        Path | None,
        typer.Option(
            help="The image that was labelled: its size, which files of outlines do not know, its "
            "axes and its pixel size."
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="What the labels are: objects, masks or annotations; what the file says of "
            "itself, else objects, where left out. Outlines are objects, each with an id, or masks "
            "or annotations of their classes."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")] = False,
) -> None:
    """Turn labels of any format that is read into any that is written.

    Pixel size, kind, names and colours of classes go along wherever the format has room. Where
    outlines overlap, the later one counts.
    """
    from typing import get_args

    from napari_unetseg.errors import UserError
    from napari_unetseg.images import (
        MESH_SUFFIXES,
        LabelsKind,
        check_output,
        labels_as,
        open_label_stack,
        open_stack,
        saved_kind,
        segmented_slices,
        source_of,
        suffix_of,
        write_label_stack,
    )
    from napari_unetseg.wording import counted, ranges

    from .inputs_kept import check_inputs_kept

    if kind is not None and kind not in get_args(LabelsKind):
        raise UserError(
            f"{kind!r} is no kind of labels; it is one of {', '.join(get_args(LabelsKind))}."
        )
    # Labels may go into their image, as OME-Zarr has it.
    source = source_of(output)
    is_inside = like is not None and source is not None and source.resolve() == like.resolve()
    kept = [like] if like is not None and not is_inside else []
    check_inputs_kept({"labels file": [labels], "image": kept}, [output])
    check_output(output, overwrite)
    image = None if like is None else open_stack(like)
    found = open_label_stack(labels, kind, image)  # type: ignore[arg-type] # checked above
    meant = kind or saved_kind(found) or "objects"
    converted = labels_as(found, meant, str(labels))  # type: ignore[arg-type]
    for note in converted.notes:
        say(f"Note: {note}")
    segmented = segmented_slices(converted)
    if segmented is not None and suffix_of(output) in MESH_SUFFIXES:
        say(f"Note: surfaces do not say that only slices {ranges(segmented)} were segmented.")
    write_label_stack(output, converted, overwrite=overwrite)
    say(f"{meant.capitalize()} on {counted(converted.n_planes, 'slice')} in {output}.")
