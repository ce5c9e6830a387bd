"""The classes of a model, or of a recipe, among those of the window."""

from __future__ import annotations

import numpy as np

from napari_unetseg.annotations import Classes
from napari_unetseg.config import BACKGROUND, ModelInfo

from .slots import Codes
from .workspace import Workspace


def slots_for(workspace: Workspace, info: ModelInfo) -> Codes:
    """Return where to store the codes of a model; classes that are missing are added.

    Returns
    -------
    ndarray of uint8, shape (256,)
    """
    codes = codes_for(workspace, info.classes, "the model's")
    ours = workspace.prediction_slots()
    slots = np.zeros(256, np.uint8)
    for code, our_code in codes.items():
        slots[code] = ours[our_code]
    return slots


def codes_for(workspace: Workspace, classes: Classes, whose: str) -> dict[int, int]:
    """Return the codes of classes → those that they have here; classes that are missing are added.

    Parameters
    ----------
    whose : str
        For the history, such as "the model's".
    """
    names = [c.name for c in workspace.classes]
    missing = tuple(c for c in classes if c.name not in names)
    if missing:
        workspace.change_classes(_append, missing, label=f"adding {whose} classes")
        names = [c.name for c in workspace.classes]
    codes = {BACKGROUND: BACKGROUND}
    return codes | {code: names.index(c.name) + 2 for code, c in enumerate(classes, 2)}


def _append(classes: Classes, more: Classes) -> tuple[Classes, Codes]:
    return classes + more, np.arange(256, dtype=np.uint8)
