"""``napari-unetseg baseline``: images segmented by a classical method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_unetseg.errors import UserError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from napari_unetseg.classical import BaselineParams
    from napari_unetseg.images import Stack


def baseline(
    method: Annotated[
        str | None, typer.Argument(help="otsu, threshold, canny, sobel or kmeans; see --list.")
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
    list_methods: Annotated[
        bool, typer.Option("--list", help="List the methods and their parameters.")
    ] = False,
    stack: Annotated[bool, typer.Option("--stack", help="Read a folder as one Z stack.")] = False,
    slices: Annotated[
        str | None,
        typer.Option(help="Segment only these: 0,7,14 or 0-4; the others stay empty."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")] = False,
) -> None:
    """Segment images with a classical method: a threshold, edges or clusters."""
    if list_methods:
        _print_methods(method)
        return
    if method is None or not images or output is None:
        raise UserError(
            "A baseline needs a method, an image and an output, as in: baseline otsu cells.tif "
            "-o masks.tif; --list shows the methods."
        )
    from napari_unetseg.classical import parse_params
    from napari_unetseg.images import find_inputs

    from .outputs import check_outputs, plan_outputs, write_record

    params = parse_params(method, param or [])
    paths: list[Path] = []
    for image in images:
        paths += [Path(image)] if stack and Path(image).is_dir() else find_inputs([image])
    plan = plan_outputs(paths, output)
    check_outputs(plan, overwrite=overwrite)
    outputs = [files.labels for files in plan.files]
    record = _segment_all(method, params, _open(paths, slices), outputs, overwrite=overwrite)
    write_record(plan.record, record, overwrite=overwrite)
    print(f"Segmentation: {output}, and how it was made: {plan.record}")


def _open(paths: list[Path], slices: str | None) -> list[tuple[Stack, list[int]]]:
    """Open every image and check it before the first is segmented."""
    from napari_unetseg.images import check_pixels, open_stack, parse_slices

    opened = []
    for path in paths:
        stack = open_stack(path)
        planes = parse_slices(slices, stack.n_planes)
        check_pixels(stack, planes)
        opened.append((stack, planes))
    return opened


def _segment_all(
    method: str,
    params: BaselineParams,
    opened: list[tuple[Stack, list[int]]],
    outputs: list[Path],
    *,
    overwrite: bool,
) -> dict[str, Any]:
    """Segment and write every image; return how it was done."""
    from napari_unetseg import __version__
    from napari_unetseg.classical import METHODS
    from napari_unetseg.images import fingerprint, write_labels

    from .progress import bar

    classes = METHODS[method].classes(params)
    facts = []
    with bar() as progress:
        task = progress.add_task("Segmenting", total=None)
        for (stack, planes), path in zip(opened, outputs, strict=True):
            progress.update(task, description=f"Segmenting {stack.name}", completed=0)
            codes = _segment(method, params, stack, planes, (progress, task))
            write_labels(
                path,
                codes,
                like=stack,
                kind="masks",
                classes=classes,
                slices=planes,
                overwrite=overwrite,
            )
            facts.append(
                {
                    "image": str(stack.path),
                    "output": str(path),
                    "slices": planes,
                    "fingerprint": fingerprint(stack),
                }
            )
    return {
        "method": method,
        "params": params.model_dump(mode="json"),
        "classes": [label_class.model_dump() for label_class in classes],
        "images": facts,
        "version": __version__,
    }


def _segment(
    method: str,
    params: BaselineParams,
    stack: Stack,
    planes: list[int],
    progress: tuple[Progress, TaskID],
) -> Any:
    """Return codes, shape (N, Y, X); 0 in slices that are not among `planes`."""
    import numpy as np

    from napari_unetseg.classical import Chain, run_stack

    shown, task = progress
    segmented = np.zeros((len(planes), *stack.plane_shape), np.uint8)
    for event in run_stack(Chain.of(method, params), stack, out=segmented, planes=planes):
        shown.update(task, completed=event.done, total=event.total)
    if len(planes) == stack.n_planes:
        return segmented
    codes = np.zeros((stack.n_planes, *stack.plane_shape), np.uint8)
    codes[planes] = segmented
    return codes


def _print_methods(only: str | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from napari_unetseg.classical import METHODS, find_method

    console = Console(highlight=False, markup=False)
    for name in [only] if only else METHODS:
        method = find_method(name)
        console.print(f"{name} · {method.title}. {method.summary}", style="bold")
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for key, field in method.params.model_json_schema()["properties"].items():
            default = field["default"]
            allowed = f" ({_allowed(field)})" if _allowed(field) else ""
            text = f"{field['description']}{allowed}"
            table.add_row(f"{key}={'' if default is None else default}", text)
        console.print(table)


def _allowed(field: dict[str, Any]) -> str:
    """Say which values a parameter may have, from its JSON schema; nothing where any will do."""
    if "enum" in field:
        return " or ".join(map(str, field["enum"]))
    if "minimum" in field and "maximum" in field:
        return f"{field['minimum']:g} to {field['maximum']:g}"
    return ""
