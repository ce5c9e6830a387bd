"""``napari-unetseg baseline``: images segmented by a classical method."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_unetseg.errors import UserError

from .printing import console, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_unetseg.classical import ChainRecipe, Step

_MIXES_CHANNELS = (
    "    Channels: it looks at the mean of them; --before channel:channel=2 takes the second alone."
)


def baseline(
    context: typer.Context,
    method: Annotated[
        str | None,
        typer.Argument(help="A method or a refinement: otsu, canny, kmeans, …; see --list."),
    ] = None,
    images: Annotated[
        list[str] | None, typer.Argument(metavar="IMAGE…", help="Files, folders or quoted globs.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="A .tif or .zarr, or a folder with one .tif per image."
        ),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="KEY=VALUE", help="A parameter of the method."),
    ] = None,
    before: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STEP", help="A filter to apply first, such as gaussian or median:radius_px=2."
        ),
    ] = None,
    then: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STEP",
            help="A refinement to apply afterwards, such as fill_holes or "
            "remove_small:min_area_px=50; may be given several times.",
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--labels",
            "-l",
            help="Annotations, for methods that grow or learn; for a refinement such as crf, "
            "the masks to better.",
        ),
    ] = None,
    points: Annotated[
        Path | None, typer.Option(help="A table of points to grow from, as napari saves one.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            help="Also write the blobs found as a table of points with radii (.csv), which napari "
            "opens; of a single image."
        ),
    ] = None,
    list_methods: Annotated[
        bool, typer.Option("--list", help="List the methods; of one, its parameters.")
    ] = False,
    stack: Annotated[bool, typer.Option("--stack", help="Read a folder as one Z stack.")] = False,
    slices: Annotated[
        str | None,
        typer.Option(help="Segment only these: 0,7,14 or 0-4; the others stay empty."),
    ] = None,
    quantised: Annotated[
        bool,
        typer.Option(
            "--quantised",
            help="Also write the image in few colours, as NAME_quantised: each pixel has the mean "
            "of its cluster or object.",
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")] = False,
    show_help: Annotated[
        bool,
        typer.Option("--help", help="Show this; after a method, what it is good for and takes."),
    ] = False,
) -> None:
    """Segment images by a classical method, such as a threshold, edges or clusters."""
    if show_help and method is None:
        say(context.get_help())
        return
    if list_methods or show_help:
        _print_steps(method)
        return
    if method is None or not images or output is None:
        raise UserError(
            "A baseline needs a method, an image and an output, as in: baseline otsu cells.tif "
            "-o masks.tif; --list shows the methods."
        )
    from .segmenting import Files, segment_files
    from .steps import option_for_3d

    recipe = _recipe(method, param or [], before or [], then or [])
    option = option_for_3d(recipe.chain, ",".join(param or []), then or [])
    files = Files(images, output, labels or (), points, slices, stack, overwrite, table, quantised)
    segment_files(recipe, replace(files, option_for_3d=option))


def _recipe(method: str, param: list[str], before: list[str], then: list[str]) -> ChainRecipe:
    from pydantic import ValidationError

    from napari_unetseg.classical import Chain, ChainRecipe, parse_params
    from napari_unetseg.config import describe_validation_error

    from .steps import check_method, filters_of, refinements_of

    check_method(method)
    own = parse_params(method, param)
    filters, refinements = filters_of(before), refinements_of(then)
    try:
        chain = Chain.of(method, own, before=filters, then=refinements)
    except ValidationError as error:
        raise UserError(describe_validation_error(error)) from error
    found = chain.method()
    classes = () if found is None else found[0].classes(found[1])
    return ChainRecipe(chain=chain, classes=classes)


def _print_steps(only: str | None) -> None:

    from napari_unetseg.classical import FILTERS, METHODS, REFINEMENTS, find_step

    printed = console()
    if only is not None:
        _print_step(printed, only, find_step(only), with_parameters=True)
        return
    headings = (
        (METHODS, ""),
        (FILTERS, "Before a method (--before)"),
        (REFINEMENTS, "After a method (--then), or on masks"),
    )
    for registry, heading in headings:
        for family, steps in _by_family(registry.items()):
            title = f"{heading} · {family}" if heading else family
            printed.print(f"\n{title}", style="bold underline")
            for name, step in steps:
                _print_step(printed, name, step, with_parameters=False)
    printed.print("\nParameters of one of them: baseline NAME --help")


def _by_family(steps: Iterable[tuple[str, Step[Any]]]) -> list[tuple[str, Any]]:
    families: dict[str, list[tuple[str, Step[Any]]]] = {}
    for name, step in steps:
        families.setdefault(step.family, []).append((name, step))
    return list(families.items())


def _print_step(console: Any, name: str, step: Step[Any], *, with_parameters: bool) -> None:
    from rich.table import Table

    headline = f"{name} · {step.title}. {step.summary}"
    console.print(_indented(headline, console.width), style="bold")
    console.print(_indented(f"    Good for: {step.good_for}", console.width))
    if not with_parameters:
        return
    if getattr(step, "mixes_channels", False):
        console.print(_indented(_MIXES_CHANNELS, console.width))
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, field in step.params.model_json_schema().get("properties", {}).items():
        default = field["default"]
        allowed = f" ({_allowed(field)})" if _allowed(field) else ""
        text = f"{field['description']}{allowed}"
        table.add_row(f"{key}={'' if default is None else default}", text)
    console.print(table)


def _indented(text: str, width: int) -> str:
    """Break a text into lines, all but the first of which begin 4 columns to the right."""
    return textwrap.fill(text, width, subsequent_indent=" " * 4, break_on_hyphens=False)


def _allowed(field: dict[str, Any]) -> str:
    """Say which values a parameter may have, from its JSON schema; nothing where any will do."""
    if "enum" in field:
        return " or ".join(map(str, field["enum"]))
    if "minimum" in field and "maximum" in field:
        ends = field["minimum"], field["maximum"]
        return " to ".join(f"{int(end)}" if end == int(end) else f"{end:g}" for end in ends)
    return ""
