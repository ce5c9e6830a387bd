"""Why something cannot begin yet, in one sentence that says what to do."""

from __future__ import annotations

import numpy as np

from napari_unetseg.config import BACKGROUND, ModelInfo
from napari_unetseg.wording import counted

from .workspace import Workspace


def why_not_train(workspace: Workspace, base: ModelInfo | None = None) -> str | None:
    """Return why there is nothing to learn from; None when there is.

    Parameters
    ----------
    base : ModelInfo, optional
        Of the model that training would start from. One that may know all classes, if perhaps by
        other names, can be told of one alone.
    """
    if not workspace.images:
        return "Choose an image in the Data step first."
    painted = _codes_painted(workspace)
    if not painted:
        return "Paint a few strokes on the annotations first: some of each class."
    n_known = 0 if base is None else len(base.classes)
    if len(painted) < 2 and n_known < len(workspace.classes):
        code = min(painted)
        name = "background" if code == BACKGROUND else workspace.classes[code - 2].name
        return f"Only {name} is painted; paint some of another class or of background too."
    return None


def why_not_predict(workspace: Workspace, model: ModelInfo | None) -> str | None:
    """Return why a model cannot be applied to the images; None when it can."""
    if model is None:
        return "Train a model or open one first."
    n_channels = len(model.channels)
    for entry in workspace.images.values():
        if entry.stack.n_channels != n_channels:
            return (
                f"The model takes {counted(n_channels, 'channel')} and {entry.stack.name} has "
                f"{entry.stack.n_channels}."
            )
    return None


def _codes_painted(workspace: Workspace) -> set[int]:
    """Return codes that are painted: all of them, or the first two or more that are found."""
    painted: set[int] = set()
    for entry in workspace.images.values():
        for plane in entry.annotated_planes():
            counts = np.bincount(entry.training_codes(plane).reshape(-1))
            painted.update(int(c) for c in np.flatnonzero(counts) if c)
            if len(painted) > 1:
                return painted
    return painted
