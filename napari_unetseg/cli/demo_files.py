"""What ``napari-unetseg demo`` leaves behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.box import SIMPLE_HEAD
from rich.table import Table

from napari_unetseg import __version__
from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    LabelsKind,
    atomic_file,
    check_output,
    is_of_system,
    write_image,
    write_labels,
)

from .demo_figure import draw_figure
from .demo_result import BEFORE, CONTROL, CORRECTED, DemoResult

IMAGE, ANNOTATIONS, MASKS = "image.ome.tif", "annotations.ome.tif", "masks.ome.tif"
MODEL, FIGURE, SCORES = "demo.unet", "figure.png", "scores.json"

#: In the order in which they are written; the scores say that the others are complete.
FILES = (IMAGE, ANNOTATIONS, MASKS, MODEL, FIGURE, SCORES)


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Raise `UserError`, before minutes of work, if the results could not be written."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, not a folder; choose another name for the results.")
    found = folder.iterdir() if folder.is_dir() else ()
    if not overwrite and any(not is_of_system(path) for path in found):
        raise UserError(
            f"{folder} holds files already; choose another folder, or replace the results of an "
            "earlier demo with --overwrite."
        )
    for name in FILES:
        check_output(folder / name, overwrite=True)


def write_results(folder: Path, result: DemoResult) -> None:
    """Write every file, replacing those of an earlier demo."""
    folder.mkdir(parents=True, exist_ok=True)
    sample = result.sample
    masks = np.stack([result.segmentations[CORRECTED][i] for i in range(sample.image.n_planes)])
    write_image(folder / IMAGE, sample.image, overwrite=True)
    labels: tuple[tuple[str, LabelsKind, npt.NDArray[np.uint8]], ...] = (
        (ANNOTATIONS, "annotations", result.corrected),
        (MASKS, "masks", masks),
    )
    for name, kind, codes in labels:
        path, classes = folder / name, sample.classes
        write_labels(path, codes, like=sample.image, kind=kind, classes=classes, overwrite=True)
    result.model.save(folder / MODEL, overwrite=True)
    with atomic_file(folder / FIGURE, overwrite=True) as partial:
        draw_figure(result).save(partial, format="PNG")
    with atomic_file(folder / SCORES, overwrite=True) as partial:
        partial.write_text(json.dumps(facts(result), indent=2) + "\n", encoding="utf-8")


def facts(result: DemoResult) -> dict[str, Any]:
    """Return everything that was measured, for JSON."""
    settings = result.settings
    return {
        "version": __version__,
        "seed": settings.seed,
        "shape": list(settings.shape),
        "annotated_slices": list(settings.annotated),
        "held_out_slices": list(settings.held_out),
        "n_strokes": len(result.strokes),
        "n_corrections": len(result.corrections),
        "annotated_px": int(np.count_nonzero(result.annotations)),
        "annotated_px_after_corrections": int(np.count_nonzero(result.corrected)),
        "best_baseline": result.best_baseline,
        "gain_over_best_baseline": result.gain_over_baseline,
        "gain_over_same_time_without_corrections": result.gain_by_correcting,
        "methods": {name: scores.as_dict() for name, scores in result.scores.items()},
        "baseline_parameters": result.parameters,
        "seconds": {stage: round(seconds, 1) for stage, seconds in result.seconds.items()},
    }


def score_table(result: DemoResult) -> Table:
    """Return the scores as a table for the terminal."""
    n_slices = len(result.settings.held_out)
    table = Table(
        title=f"IoU on {n_slices} held-out slices",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("method", no_wrap=True)
    table.add_column("mean IoU", justify="right", no_wrap=True)
    names = list(result.scores[CORRECTED].iou)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    best = max(result.scores, key=lambda name: result.scores[name].mean_iou)
    for method in [*result.parameters, BEFORE, CONTROL, CORRECTED]:
        scored = result.scores[method]
        table.add_row(
            method,
            f"{scored.mean_iou:.3f}",
            *(f"{scored.iou.get(name, 0.0):.3f}" for name in names),
            style="bold" if method == best else None,
            end_section=method == list(result.parameters)[-1],
        )
    return table
