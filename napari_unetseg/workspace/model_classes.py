"""The classes of a model, or of a recipe, among those of the window."""

from __future__ import annotations

import numpy as np

from napari_unetseg.annotations import Classes, join_classes, unchanged
from napari_unetseg.config import ModelInfo

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
    joined, table = join_classes(workspace.classes, classes)
    if len(joined) > len(workspace.classes):
        label = f"adding {whose} classes"
        workspace.change_classes(lambda _: (joined, unchanged()), label=label)
    return {code: int(table[code]) for code in range(1, len(classes) + 2)}
