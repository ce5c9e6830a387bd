"""The table as a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_unetseg.classical import ChainRecipe, in_words
from napari_unetseg.events import MethodCompared
from napari_unetseg.images import atomic_file

#: Digits after the point, of scores and of seconds.
_DIGITS = 4

_COLUMNS = (
    "name",
    "title",
    "kind",
    "needs_labels",
    "on_each_slice",
    "mean_iou",
    "spread",
    "dice",
    "f1",
    "boundary_f1",
    "n_px",
    "prepare_s",
    "slice_s",
)


def write_csv(path: Path, rows: Sequence[MethodCompared], *, overwrite: bool = False) -> None:
    """Write rows in their order, with the IoU of each class and the settings in words.

    Raises
    ------
    UserError
        If the file is there already, without `overwrite`.
    """
    classes = list(dict.fromkeys(name for row in rows for name in row.iou))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_COLUMNS, *(f"iou {name}" for name in classes), "settings", "note"])
    for row in rows:
        values = [_written(getattr(row, column)) for column in _COLUMNS]
        ious = [_written(row.iou.get(name)) for name in classes]
        writer.writerow([*values, *ious, settings(row), row.note])
    with atomic_file(path, overwrite=overwrite) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")


def settings(row: MethodCompared) -> str:
    """Return what makes a row's answers again: its steps in words, or where its model is."""
    if row.recipe is None:
        return row.model or ""
    return in_words(ChainRecipe.model_validate(row.recipe).chain)


def write_recipe(path: Path, row: MethodCompared, *, overwrite: bool = False) -> None:
    """Write the recipe of a classical row, for `napari-unetseg run`."""
    with atomic_file(path, overwrite=overwrite) as partial:
        partial.write_text(json.dumps(row.recipe, indent=2) + "\n", encoding="utf-8")


def _written(value: Any) -> Any:
    return "" if value is None else round(value, _DIGITS) if isinstance(value, float) else value
