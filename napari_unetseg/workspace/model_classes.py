"""The classes of a model, among those of the window."""

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
    names = [c.name for c in workspace.classes]
    missing = tuple(c for c in info.classes if c.name not in names)
    if missing:
        workspace.change_classes(_append, missing, label="adding the model's classes")
        names = [c.name for c in workspace.classes]
    ours = workspace.prediction_slots()
    slots = np.zeros(256, np.uint8)
    slots[BACKGROUND] = ours[BACKGROUND]
    for k, cls in enumerate(info.classes, 1):
        slots[k + 1] = ours[names.index(cls.name) + 2]
    return slots


def _append(classes: Classes, more: Classes) -> tuple[Classes, Codes]:
    return classes + more, np.arange(256, dtype=np.uint8)
