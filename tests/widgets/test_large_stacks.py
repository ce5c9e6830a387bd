"""A stack of hundreds of slices in a real window: none is read that nobody looks at."""

from __future__ import annotations

import time

import dask.array as da
import numpy as np
import pytest
import zarr
from qtpy.QtWidgets import QApplication
from stage import Stage

from napari_unetseg.annotations import new_blocks
from napari_unetseg.events import PlanePredicted
from napari_unetseg.images import written_planes
from napari_unetseg.project import Session
from napari_unetseg.widgets import dock, volume_guard
from napari_unetseg.workspace import pixel_places, workspace
from napari_unetseg.workspace.pixel_places import place_of_pixels

pytestmark = pytest.mark.window

N, SIDE = 400, 96

#: By which the image is told from others.
SAMPLED = 16


class Watched(np.memmap):
    """Notes which slices of it anybody asks for."""

    def __array_finalize__(self, other):
        super().__array_finalize__(other)
        self.seen = None

    def __getitem__(self, index):
        if self.seen is not None:
            if isinstance(index, int | np.integer):
                self.seen.add(int(index) % len(self))
            elif index is not Ellipsis or self.ndim == 3:
                self.seen.add(repr(index))
        return super().__getitem__(index)


@pytest.fixture
def watched(monkeypatch):
    """What was asked for of every array of a stack's size, by role."""
    seen = {}
    whole = Session.array

    def array(self, image, role, shape):
        made = whole(self, image, role, shape)
        if shape == (N, SIDE, SIDE):
            made = made.view(Watched)
            made.seen = seen.setdefault(role, set())
        return made

    monkeypatch.setattr(Session, "array", array)
    return seen


@pytest.fixture
def seated(make_napari_viewer, tmp_path, monkeypatch):
    """Return a function that opens pixels in a window with the whole dock."""
    stages = []

    def seat(pixels, **image):
        viewer = make_napari_viewer(show=True)
        stage = Stage(viewer, tmp_path)
        monkeypatch.setitem(dock._CONTEXTS, viewer, stage.context)
        stage.dock = dock.SegmentationDock(viewer)
        viewer.window.add_dock_widget(stage.dock, name="U-Net segmentation")
        stage.image = viewer.add_image(pixels, name="cells", **image)
        stage.entry = stage.layers.add_image([stage.image])
        stages.append((viewer, stage))
        return stage

    yield seat
    for viewer, stage in stages:
        dock._CONTEXTS.pop(viewer, None)
        stage.close()


class Lazy:
    """Pixels that note which slices are read of them."""

    def __init__(self) -> None:
        self.read = set()
        blank = da.zeros((N, SIDE, SIDE), np.uint8, chunks=(1, SIDE, SIDE))
        self.pixels = blank.map_blocks(self._block, dtype=np.uint8, meta=np.empty((0, 0, 0), "u1"))

    def _block(self, block, block_info=None):
        (plane, _), *_ = block_info[None]["array-location"]
        self.read.add(plane)
        pixels = np.full(block.shape, 40 + plane % 100, np.uint8)
        pixels[:, 20:40, 20:40] = 200
        return pixels


def paint(stage, plane, **tool):
    layer = stage.layers.annotations_layer(stage.entry.id)
    stage.layers.set_tool("annotations", stage.entry.id, "paint", 1)
    layer.brush_size = 8
    stage.layers.show_plane(stage.entry, plane)
    QApplication.processEvents()
    stage.person.stroke(layer, [(25, 25), (35, 60)])
    return layer


def test_nothing_is_read_but_what_is_looked_at_and_painted(seated, watched):
    lazy = Lazy()
    stage = seated(lazy.pixels)
    assert len(lazy.read) <= SAMPLED + 2
    painted = [3, 150, 151, 390]
    for plane in painted:
        paint(stage, plane)
    stage.person.undo()
    stage.person.redo()
    for step in range(5):
        stage.dock.show_step(step)
        QApplication.processEvents()
    counts = stage.dock.panels[0].classes.counts
    stage.person.wait(lambda: not counts._thread.busy)
    assert stage.entry.annotated_planes() == painted
    looked_at = {0, N // 2, (N - 1) // 2, *painted}
    beside = {389, 391}  # the Correct step offers to go on from there
    sampled = set(np.linspace(0, N - 1, SAMPLED).round().astype(int))
    around = set(range(386, 395))  # the Train step shows what models make of the slice
    assert lazy.read - sampled <= looked_at | around
    for role in ("annotations", "annotations-shown", "prediction"):
        assert watched[role] <= looked_at | beside, role
    assert set(painted) <= watched["annotations"]


def test_an_answer_for_one_slice_reads_no_other(seated, watched):
    stage = seated(Lazy().pixels)
    paint(stage, 7)
    stage.controller.open_model(stage.model())
    stage.dock.show_step(3)
    stage.layers.show_plane(stage.entry, 200)
    stage.controller.predict()
    command = stage.submitted()
    answers = np.lib.format.open_memmap(command.images[0].output, "r+")
    answers[200, :50] = 2
    for seen in watched.values():
        seen.clear()
    stage.say(PlanePredicted(stage.entry.id, 200))
    correct = stage.dock.panels[3]
    stage.person.wait(lambda: stage.layers.shown_segmentation(stage.entry.id) is not None)
    stage.finish()
    stage.person.wait(correct.accept_all.isEnabled)
    stage.person.click(correct.accept_all)
    assert stage.entry.annotated_planes() == [7, 200]
    assert stage.entry.predicted == {200}
    beside = {199, 201}  # the Correct step offers to go on from there
    assert set().union(*watched.values()) <= {7, 200} | beside


def test_the_next_window_finds_the_work_and_reads_only_that(seated, watched, tmp_path):
    first = seated(Lazy().pixels)
    for plane in (5, 395):
        paint(first, plane)
    before = first.entry.codes[5].copy()
    first.workspace.close()
    second = seated(Lazy().pixels)
    data = second.dock.panels[0]
    second.person.wait(data.earlier_works.count)
    for seen in watched.values():
        seen.clear()
    second.person.click(data.bring_back)
    assert second.entry.annotated_planes() == [5, 395]
    assert np.array_equal(second.entry.codes[5], before)
    assert watched["annotations"] <= {5, 395}


def test_a_file_of_the_session_is_made_anew_without_a_byte(tmp_path):
    session = Session(tmp_path)
    first = session.array("image-1", "answers", (N, SIDE, SIDE))
    first[9] = 3
    second = session.array("image-1", "answers", (N, SIDE, SIDE))
    # The header of the file lies before the first slice, and its end is written.
    assert set(written_planes(second)) <= {0, N - 1}
    assert not second[9].any()
    assert first[9].all(), "who still reads the one before must not be disturbed"


def test_a_region_is_taken_note_of_without_reading_the_others(seated):
    stage = seated(Lazy().pixels)
    layer = stage.layers.region_layer(stage.entry.id)
    stage.layers.set_tool("region", stage.entry.id, "paint", 1)
    stage.layers.show_plane(stage.entry, 300)
    layer.brush_size = 10
    stage.person.stroke(layer, [(25, 25), (35, 60)])
    assert stage.entry.has_inside
    assert 300 in written_planes(stage.entry.region)
    assert len(written_planes(stage.entry.region)) < N
    stage.workspace.clear_region(stage.entry.id)
    assert stage.entry.region is None


def levels(pixels):
    return [pixels, pixels[:, ::2, ::2], pixels[:, ::4, ::4]]


@pytest.mark.parametrize("kind", ["dask", "zarr", "dask levels", "zarr levels", "map"])
def test_layers_that_scripts_and_other_readers_make_are_worked_on_alike(
    seated, tmp_path, monkeypatch, kind
):
    monkeypatch.setattr(pixel_places, "LARGE_BYTES", 0)
    pixels = np.asarray(Lazy().pixels[:12])
    store = tmp_path / "cells.zarr"
    group = zarr.open_group(store, mode="w")
    for number, level in enumerate(levels(pixels)):
        group.create_array(str(number), data=level, chunks=(1, 32, 32))
    arrays = [group[str(number)] for number in range(3)]
    lazy = [da.from_zarr(array) for array in arrays]
    np.save(tmp_path / "cells.npy", pixels)
    given, expected = {
        "dask": (lazy[0], store / "0"),
        "zarr": (arrays[0], store / "0"),
        "dask levels": (lazy, store / "0"),
        "zarr levels": (arrays, store / "0"),
        "map": (np.load(tmp_path / "cells.npy", mmap_mode="r"), tmp_path / "cells.npy"),
    }[kind]
    stage = seated(given, multiscale=kind.endswith("levels"))
    assert stage.entry.shape == (12, SIDE, SIDE)
    paint(stage, 8)
    assert stage.entry.annotated_planes() == [8]
    place = place_of_pixels(stage.entry.stack)
    assert place is not None
    assert place.samefile(expected)
    stage.controller.open_model(stage.model())
    stage.controller.predict()
    assert stage.submitted().images[0].image.path == str(place)
    assert not stage.workspace.session.path(stage.entry.id, "pixels").exists()


def test_pixels_that_are_in_no_file_as_they_are_shown_are_copied(seated, tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_places, "LARGE_BYTES", 0)
    zarr.save_array(tmp_path / "cells.zarr", np.asarray(Lazy().pixels[:6]))
    shown = 255 - da.from_zarr(tmp_path / "cells.zarr")
    stage = seated(shown)
    assert place_of_pixels(stage.entry.stack) is None
    stage.controller.open_model(stage.model())
    stage.controller.predict()
    copied = np.load(stage.submitted().images[0].image.path)
    assert np.array_equal(copied, shown.compute())


def test_copying_an_image_is_told_and_ends_when_it_is_cancelled(seated):
    slow = Lazy().pixels.map_blocks(_slowly, dtype=np.uint8, meta=np.empty((0, 0, 0), "u1"))
    stage = seated(slow)
    stage.controller.open_model(stage.model())
    said = []
    stage.controller.status.connect(said.append)
    stage.context.timer.start()
    stage.controller.predict()
    stage.person.wait(lambda: any("Copying the image" in sentence for sentence in said), 20)
    stage.controller.cancel()
    stage.person.wait(lambda: stage.controller._files.copying is None, 2)
    assert not stage.worker.commands
    path = stage.workspace.session.path(stage.entry.id, "pixels")
    assert len(written_planes(np.lib.format.open_memmap(path, "r"))) < N // 2


def _slowly(block):
    time.sleep(0.02)
    return block


def test_a_volume_that_does_not_fit_into_the_memory_is_not_shown(seated, monkeypatch):
    stage = seated(Lazy().pixels)
    monkeypatch.setattr(volume_guard, "free_memory_bytes", lambda: N * SIDE * SIDE)
    stage.viewer.dims.ndisplay = 3
    assert stage.viewer.dims.ndisplay == 2
    assert "GB of memory" in stage.said[-1]
    stage.layers.show_plane(stage.entry, 9)
    assert stage.layers.current_plane(stage.entry) == 9
    monkeypatch.setattr(volume_guard, "free_memory_bytes", lambda: 1 << 40)
    stage.viewer.dims.ndisplay = 3
    assert stage.viewer.dims.ndisplay == 3


def test_accepting_more_than_can_be_taken_back_is_refused(seated, monkeypatch):
    stage = seated(Lazy().pixels)
    stage.dock.show_step(3)
    for plane in (3, 4):
        stage.workspace.set_prediction(stage.entry.id, plane, np.full((SIDE, SIDE), 2, np.uint8))
    correct = stage.dock.panels[3]
    monkeypatch.setattr(workspace, "free_memory_bytes", lambda: 4 * SIDE * SIDE)
    stage.person.wait(lambda: correct.accept_all.isVisible() and correct.accept_all.isEnabled())
    stage.person.click(correct.accept_all)
    assert "so that it can be taken back" in stage.said[-1]
    assert not stage.entry.annotated_planes()
    stage.layers.show_plane(stage.entry, 3)
    stage.person.click(correct.accept_slice)
    assert stage.entry.annotated_planes() == [3]


def test_a_new_label_is_found_without_looking_for_it(seated, watched):
    stage = seated(Lazy().pixels)
    layer = paint(stage, 4)
    watched["annotations-shown"].clear()
    stage.person.new_label()
    assert layer.selected_label == 3
    assert watched["annotations-shown"] <= {4}


def test_blocks_are_decided_alike_however_many_slices_there_are(seated):
    stage = seated(Lazy().pixels)
    paint(stage, 4)
    assert stage.entry.blocks.shape == new_blocks((N, SIDE, SIDE)).shape
    assert np.flatnonzero(stage.entry.blocks.any(axis=(1, 2))).tolist() == [4]
