"""``napari-unetseg info``: a file as the program understands it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_unetseg.wording import ranges

from .printing import console, say


def info(
    path: Annotated[
        Path,
        typer.Argument(
            help="An image, labels of any format, a folder, one of several images in a file "
            "(FILE.h5/volumes/raw, FILE.lif/NAME), or a model, also by the name of one that ships."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Show axes, shape, type, pixel size, channels and classes as they are understood."""
    from .described import describe

    facts = describe(path)
    if as_json:
        say(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        _print_table(facts)


def _print_table(facts: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in facts.items():
        text = _as_text(key, value, facts)
        if text:
            table.add_row(key.removesuffix("_um").replace("_", " "), text)
    console().print(table)


def _as_text(key: str, value: Any, facts: dict[str, Any]) -> str:
    from napari_unetseg.images import format_length

    if key == "pixel_size_um":
        sizes = ", ".join(f"{axis} {format_length(um)}" for axis, um in value.items())
        return sizes or "unknown"
    if key == "shape":
        return " × ".join(f"{axis} {n}" for axis, n in zip(facts["axes"], value, strict=True))
    if key == "classes":
        return ", ".join(f"{k} {c['name']} ({c['color']})" for k, c in enumerate(value, start=1))
    if key == "by_class":
        counts = [f"{n} {name or 'without a class'}" for name, n in value.items()]
        return ", ".join(counts) if any(value) else ""
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
