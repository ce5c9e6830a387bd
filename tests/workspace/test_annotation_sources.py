"""Which annotations nobody painted, and where they came from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from napari_unetseg.annotations import delete_class
from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.workspace import Workspace

SHAPE = (2, 10, 10)
STACK = Stack(np.zeros(SHAPE, np.uint8), "ZYX", name="cells")


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(Session(tmp_path / "sessions"))
    yield workspace
    workspace.close()


@pytest.fixture
def entry(workspace):
    return workspace.add_image(STACK)


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


def left_behind(tmp_path, *methods):
    """Close a window in which a stroke was painted and results were taken over; return its work."""
    earlier = Workspace(Session(tmp_path / "sessions"))
    entry = earlier.add_image(STACK)
    paint(earlier, entry, slice(0, 2), 1)
    for plane, method in enumerate(methods):
        earlier.use_as_annotations(entry.id, np.full(SHAPE, 2, np.uint8), [plane], method)
    earlier.close()


def test_where_annotations_came_from_is_brought_back_with_them(tmp_path, workspace, entry):
    left_behind(tmp_path, "Otsu", "Li")
    workspace.use_as_annotations(entry.id, np.eye(10, dtype=np.uint8)[None] * 2, [0], "k-means")
    [work] = workspace.earlier_work(entry.id)
    workspace.restore(entry.id, work)
    after = {"k-means": 10, "Otsu": 72, "Li": 100}
    assert counted(entry) == after
    workspace.undo()
    assert counted(entry) == {"k-means": 10}
    workspace.redo()
    assert counted(entry) == after
    paint(workspace, entry, slice(5, 6), 1)
    assert counted(entry) == {"k-means": 9, "Otsu": 63, "Li": 100}


def test_it_is_brought_back_from_a_session_that_had_brought_it_back(tmp_path):
    left_behind(tmp_path, "Otsu", "Li")
    for _ in range(2):
        workspace = Workspace(Session(tmp_path / "sessions"))
        entry = workspace.add_image(STACK)
        workspace.restore(entry.id, workspace.earlier_work(entry.id)[0])
        assert counted(entry) == {"Otsu": 80, "Li": 100}
        workspace.close()


def test_annotations_without_what_tells_where_they_came_from_are_brought_back(
    tmp_path, workspace, entry
):
    left_behind(tmp_path, "Otsu")
    (texts,) = tmp_path.rglob("sources.json")
    numbers = texts.with_suffix(".npy")
    damaged = (lambda: texts.write_text('{"te'), numbers.unlink, lambda: texts.unlink())
    for n, damage in enumerate(damaged):
        damage()
        workspace.restore(entry.id, workspace.earlier_work(entry.id)[0])
        assert entry.codes[0].all(), n
        assert counted(entry) == {}, n
        workspace.undo()


def test_numbers_without_a_text_are_of_unknown_origin(tmp_path, workspace, entry):
    left_behind(tmp_path, "Otsu", "Li")
    (texts,) = tmp_path.rglob("sources.json")
    texts.write_text('{"texts": ["Otsu"]}')
    workspace.restore(entry.id, workspace.earlier_work(entry.id)[0])
    assert counted(entry) == {"Otsu": 80}


def test_of_more_methods_than_there_are_numbers_the_last_are_unknown(workspace, entry):
    for n in range(257):
        pixel = np.zeros(SHAPE, np.uint8)
        pixel.reshape(-1)[n % 200] = 2
        if n >= 200:
            workspace.undo()
        workspace.use_as_annotations(entry.id, pixel, [0, 1], f"method {n}")
    assert all(n == 1 for n in counted(entry).values())
    assert "method 255" not in counted(entry)
    assert "method 256" not in counted(entry)


_KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.workspace import Workspace
from napari_unetseg.workspace.annotation_sources import AnnotationSources

root, when, what = sys.argv[1:]
workspace = Workspace(Session(Path(root)))
entry = workspace.add_image(Stack(np.zeros((2, 10, 10), np.uint8), "ZYX", name="cells"))

def paint():
    painted = entry.codes.copy()
    painted[0, 5:] = 1
    workspace.commit_annotations(entry.id, painted, [0])
def take_over():
    workspace.use_as_annotations(entry.id, np.full((2, 10, 10), 2, np.uint8), [0, 1], "Otsu")
def die_around(of, name):
    real = getattr(of, name)
    def dying(self, *arguments):
        if when == "after":
            real(self, *arguments)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(of, name, dying)

if what in ("stroke", "undo"):
    take_over()
if what == "undo":
    paint()
die_around(Workspace, "_apply")
{"stroke": paint, "undo": workspace.undo, "filling": take_over}[what]()
"""


@pytest.mark.skipif(os.name != "posix", reason="kills with a signal")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ["stroke", "undo", "filling"])
def test_a_kill_at_any_moment_leaves_nothing_untrue(tmp_path, workspace, entry, what, when):
    root = str(tmp_path / "sessions")
    child = subprocess.run([sys.executable, "-c", _KILLED, root, when, what])
    assert child.returncode == -signal.SIGKILL
    works = workspace.earlier_work(entry.id)
    assert len(works) == (what != "filling" or when == "after")
    for work in works:
        workspace.restore(entry.id, work)
    painted = entry.codes == 1
    assert painted.any() == ((what, when) in {("stroke", "after"), ("undo", "before")})
    # Where it was being painted, nothing is said; what was taken over elsewhere is.
    assert counted(entry) == ({} if what == "filling" else {"Otsu": 150})


def test_a_full_disk_loses_where_annotations_came_from_and_no_annotations(
    tmp_path, workspace, entry, monkeypatch
):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        module = sys.modules["napari_unetseg.project.kept_sources"]
        patched.setattr(module, "write_notes", full)
        left_behind(tmp_path, "Otsu")
    workspace.restore(entry.id, workspace.earlier_work(entry.id)[0])
    assert entry.codes[0].all()
    assert counted(entry) == {}
