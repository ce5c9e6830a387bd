"""Which annotations nobody painted, and where they came from."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetseg.annotations import delete_class
from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.workspace import Workspace

SHAPE = (2, 10, 10)


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(Session(tmp_path / "sessions"))
    yield workspace
    workspace.close()


@pytest.fixture
def entry(workspace):
    return workspace.add_image(Stack(np.zeros(SHAPE, np.uint8), "ZYX", name="cells"))


def counted(entry):
    return entry.sources.count(entry.codes, entry.annotated_planes())


def paint(workspace, entry, rows, code):
    painted = entry.codes.copy()
    painted[0, rows] = code
    workspace.commit_annotations(entry.id, painted, [0])


def test_pixels_count_for_the_method_until_somebody_paints_over_them(workspace, entry):
    paint(workspace, entry, slice(0, 2), 1)
    assert counted(entry) == {}
    answer = np.full(SHAPE, 2, np.uint8)
    workspace.use_as_annotations(entry.id, answer, [0], "Otsu")
    workspace.use_as_annotations(entry.id, answer, [1], "Li")
    assert counted(entry) == {"Otsu": 80, "Li": 100}
    paint(workspace, entry, slice(5, 7), 1)
    assert counted(entry) == {"Otsu": 60, "Li": 100}
    workspace.undo()
    assert counted(entry) == {"Otsu": 80, "Li": 100}
    workspace.redo()
    assert counted(entry) == {"Otsu": 60, "Li": 100}
    for _ in range(3):
        workspace.undo()
    assert counted(entry) == {}
    assert entry.codes.any()


def test_what_is_erased_and_painted_again_was_painted(workspace, entry):
    workspace.use_as_annotations(entry.id, np.full(SHAPE, 2, np.uint8), [0], "Otsu")
    paint(workspace, entry, slice(0, 10), 0)
    assert counted(entry) == {}
    paint(workspace, entry, slice(0, 4), 2)
    assert counted(entry) == {}


def test_accepted_pixels_are_the_networks_and_classes_may_change(workspace, entry):
    slots = workspace.prediction_slots()
    workspace.set_prediction(entry.id, 1, slots[np.full(SHAPE[1:], 2, np.uint8)])
    workspace.accept(entry.id, [1])
    assert counted(entry) == {"the network": 100}
    workspace.use_as_annotations(entry.id, np.full(SHAPE, 3, np.uint8), [0], "k-means")
    workspace.change_classes(delete_class, 1, label="deleting")
    assert counted(entry) == {"k-means": 100}
    workspace.undo()
    assert counted(entry) == {"the network": 100, "k-means": 100}
