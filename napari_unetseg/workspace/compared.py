"""The table of methods that were compared, row by row as it comes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from psygnal import Signal

from napari_unetseg.comparison import disagreement
from napari_unetseg.events import (
    ComparisonStarted,
    Event,
    MethodCompared,
    MethodNotRun,
    Recommended,
)

from .slots import Codes


class ComparedMethods:
    """What the last comparison has found.

    Attributes
    ----------
    changed : Signal()
    rows : list of MethodCompared
        The best first.
    not_run : list of MethodNotRun
    scored_on : str
        What they were scored on, in a sentence.
    recommended : Recommended or None
        Once all is known.
    moment : ndarray of uint8, shape (256,)
        `Results.moment` when it began: rows speak in the codes of then.
    """

    changed = Signal()

    def __init__(self, moment: Codes) -> None:
        self.moment = moment
        self.rows: list[MethodCompared] = []
        self.not_run: list[MethodNotRun] = []
        self.scored_on = ""
        self.recommended: Recommended | None = None

    def begin(self, folder: Path, moment: Codes) -> None:
        """Forget what was found before, with the files in a folder that is used again."""
        for old in folder.glob("answers-*.npy"):
            old.unlink(missing_ok=True)
        shutil.rmtree(folder / "network.unet", ignore_errors=True)
        self.rows, self.not_run = [], []
        self.scored_on, self.recommended = "", None
        self.moment = moment
        self.changed.emit()

    def hear(self, event: Event) -> None:
        """Take note of an event, if it is one of a comparison."""
        match event:
            case ComparisonStarted():
                self.scored_on = event.sentence
            case MethodCompared():
                self.rows = sorted([*self.rows, event], key=lambda row: -row.mean_iou)
            case MethodNotRun():
                self.not_run.append(event)
            case Recommended():
                self.recommended = event
            case _:
                return
        self.changed.emit()

    def row(self, name: str) -> MethodCompared | None:
        """Return a row by name."""
        return next((row for row in self.rows if row.name == name), None)


def where_they_differ(first: MethodCompared, second: MethodCompared, image: str) -> Codes | None:
    """Return where two rows answer otherwise, on the slices that were scored on.

    Returns
    -------
    ndarray, shape (planes, Y, X), uint8, or None
        What the second answers there, 0 elsewhere; None where either said nothing of the image.
    """
    if image not in first.answers or image not in second.answers:
        return None
    one = np.load(first.answers[image], mmap_mode="r")
    other = np.load(second.answers[image], mmap_mode="r")
    return np.stack([disagreement(a, b) for a, b in zip(one, other, strict=True)])
