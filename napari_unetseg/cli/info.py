"""``napari-unetseg info``: a file as the program understands it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_unetseg.errors import UserError
from napari_unetseg.wording import ranges

if TYPE_CHECKING:
    from napari_unetseg.config import ModelInfo
    from napari_unetseg.images import Stack

#: Stacks of more pixels than this are not read through to list their values.
_READ_UP_TO_PX = 1 << 28

#: More values than this are summed up by their range: these are no classes.
_LISTED_VALUES = 16

#: Of the images in a folder, no more different sizes than this are listed.
_SIZES = 5


def info(
    path: Annotated[
        Path,
        typer.Argument(
            help="An image, labels, a folder of slices, one of several images in a file "
            "(FILE.h5/volumes/raw, FILE.lif/NAME), or a model, also by the name of one that ships."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Show axes, shape, type, pixel size, channels and classes as they are understood."""
    from napari_unetseg.config import find_model, is_unfinished, read_model_info
    from napari_unetseg.images import (
        container_of,
        images_in,
        is_chunk_store,
        open_stack,
        split_place,
    )

    if split_place(path) is None and not path.suffix and container_of(path) is None:
        path = find_model(path)
    if (path / "model.json").is_file() or is_unfinished(path):
        facts = _describe_model(path, read_model_info(path))
    elif path.is_dir() and not is_chunk_store(path) and (pictures := images_in(path)):
        facts = _describe_folder(path, pictures)
    else:
        facts = _describe_stack(open_stack(path))
    if as_json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        _print_table(facts)


def _describe_folder(folder: Path, pictures: list[Path]) -> dict[str, Any]:
    """Describe a folder as one stack, or where its files are none, as separate images."""
    from napari_unetseg.images import open_stack

    try:
        return _describe_stack(open_stack(folder))
    except UserError as error:
        opened = [open_stack(path) for path in pictures]
        sizes = Counter(" × ".join(map(str, stack.shape)) for stack in opened)
        return {
            "path": str(folder),
            "images": len(opened),
            "sizes": {size: f"({n} of them)" for size, n in sizes.most_common(_SIZES)},
            "dtype": sorted({stack.dtype.name for stack in opened}),
            "no stack because": str(error),
        }


def _describe_stack(stack: Stack) -> dict[str, Any]:
    from napari_unetseg.images import segmented_slices

    facts: dict[str, Any] = {
        "path": str(stack.path),
        "axes": stack.axes,
        "shape": list(stack.shape),
        "dtype": stack.dtype.name,
        "pixel_size_um": stack.pixel_size_um,
        "channels": [name for name in stack.channels if name],
        "slices": stack.n_planes,
    }
    kind = stack.metadata.get("kind")
    if kind is not None:
        facts["kind"] = kind
        facts["classes"] = stack.metadata.get("classes", [])
    segmented = segmented_slices(stack)
    if segmented is not None:
        facts["segmented slices"] = list(segmented)
    facts["values"] = _values(stack)
    facts["other images in it"] = list(stack.parts)
    facts["notes"] = list(stack.notes)
    return facts


def _values(stack: Stack) -> list[int] | dict[str, Any] | None:
    """List the values of labels, or say where those of an image lie; None where that takes long."""
    import numpy as np

    from napari_unetseg.images import values_in

    n_px = stack.n_planes * stack.n_channels * stack.size("Y") * stack.size("X")
    if n_px > _READ_UP_TO_PX:
        return None
    if stack.dtype.kind not in "iub":
        limits: list[float] = []
        for plane in stack.planes():
            finite = plane[np.isfinite(plane)]
            limits += [float(finite.min()), float(finite.max())] if finite.size else []
        return {"from": min(limits), "to": max(limits)} if limits else None
    found: set[int] = set()
    for plane in stack.planes():
        found |= values_in(plane)
    if len(found) <= _LISTED_VALUES:
        return sorted(found)
    return {"different": len(found), "from": min(found), "to": max(found)}


def _describe_model(path: Path, model: ModelInfo) -> dict[str, Any]:
    return {
        "path": str(path),
        "model": model.name,
        "created": model.created,
        "network": model.recipe.network.model_dump(),
        "classes": [label_class.model_dump() for label_class in model.classes],
        "channels": list(model.channels),
        "axes": model.axes,
        "pixel_size_um": model.pixel_size_um,
        "label_values": model.label_values,
        "scores": model.scores,
        "history": model.history,
        "data": model.data,
        "versions": model.versions,
        **({} if model.card is None else model.card.model_dump()),
    }


def _print_table(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in facts.items():
        text = _as_text(key, value, facts)
        if text:
            table.add_row(key.removesuffix("_um").replace("_", " "), text)
    Console(highlight=False, markup=False).print(table)


def _as_text(key: str, value: Any, facts: dict[str, Any]) -> str:
    from napari_unetseg.images import format_length

    if key == "pixel_size_um":
        sizes = ", ".join(f"{axis} {format_length(um)}" for axis, um in value.items())
        return sizes or "unknown"
    if key == "shape":
        return " × ".join(f"{axis} {n}" for axis, n in zip(facts["axes"], value, strict=True))
    if key == "classes":
        return ", ".join(f"{k} {c['name']} ({c['color']})" for k, c in enumerate(value, start=1))
    if key == "data":
        return ", ".join(str(image.get("name", "?")) for image in value)
    if key == "values" and isinstance(value, dict):
        many = f"{value['different']:,} from " if "different" in value else ""
        return f"{many}{_plain(value['from'])} to {_plain(value['to'])}"
    if key == "notes":
        return " ".join(value)
    if key == "segmented slices":
        return ranges(value)
    if key == "history" and isinstance(value, dict):
        value = {name: part for name, part in value.items() if part not in (None, "")}
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(part) for part in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
