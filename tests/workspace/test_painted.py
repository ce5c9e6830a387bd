"""What is painted, as methods are given it."""

from __future__ import annotations

import numpy as np

from napari_unetseg.annotations import add_class
from napari_unetseg.classical import Source
from napari_unetseg.images import Stack, annotated_slices
from napari_unetseg.project import Session
from napari_unetseg.workspace import Workspace
from napari_unetseg.workspace.painted import Painted


class Watched(Painted):
    """Notes which slices are read."""

    read: list[int]

    def __getitem__(self, planes):
        self.read.append(planes)
        return super().__getitem__(planes)


def test_only_slices_with_strokes_or_points_are_read(tmp_path):
    workspace = Workspace(Session(tmp_path))
    try:
        workspace.change_classes(add_class, "vesicle", label="adding a class")
        entry = workspace.add_image(Stack(np.zeros((50, 20, 20), np.uint8), "ZYX"))
        codes = entry.codes.copy()
        codes[7, 2:5, 2:5] = 2
        workspace.commit_annotations(entry.id, codes, [7])
        clicked = np.zeros(entry.shape, np.uint8)
        clicked[31, 4, 4] = 1
        strokes = Watched(entry, clicked)
        strokes.read = []
        assert annotated_slices(strokes) == [7, 31]
        assert set(Source(entry.stack, strokes=strokes).codes()) == {1, 2}
        assert set(strokes.read) == {7, 31}
    finally:
        workspace.close()
