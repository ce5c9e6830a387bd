"""Files that are being saved while a person goes on, cancels, or closes the window."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication, QLabel
from stage import Stage

from napari_unetseg.images import open_stack
from napari_unetseg.widgets import export_step
from napari_unetseg.widgets.export_step import ExportStep
from napari_unetseg.widgets.status_line import StatusLine

pytestmark = pytest.mark.window

SHAPE = (40, 64, 80)

#: Segments an image, saves that, and closes the window at once.
CLOSING = """
import sys
from pathlib import Path

import napari
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QProgressDialog

from napari_unetseg.widgets import export_step

viewer = napari.Viewer()
_, dock = viewer.window.add_plugin_dock_widget("napari-unetseg", "U-Net segmentation")
pixels = np.random.default_rng(0).integers(0, 255, (48, 512, 512), dtype=np.uint8)
context = dock.context
entry = context.layers.add_image([viewer.add_image(pixels, name="noise")])
for plane in range(len(pixels)):
    slots = np.where(pixels[plane] > 120, 2, 1).astype(np.uint8)
    context.workspace.set_prediction(entry.id, plane, slots)
dock.show_step(4)
export_step.ask_paths = lambda *_, **__: [Path(sys.argv[1])]
window = viewer.window._qt_window


def look():
    dialogs = QApplication.instance().topLevelWidgets()
    for dialog in (d for d in dialogs if isinstance(d, QProgressDialog) and d.isVisible()):
        print("waits:", dialog.labelText())
        if "cancel" in sys.argv:
            dialog.canceled.emit()


def save_and_close():
    dock.panels[4].save_segmentation.click()
    QTimer.singleShot(100, look)
    window.close()


QTimer.singleShot(0, save_and_close)
napari.run()
"""


def close_while_saving(folder, *more):
    path = folder / "out.ome.zarr"
    command = [sys.executable, "-X", "faulthandler", "-c", CLOSING, str(path), *more]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr, ended.stderr
    assert "waits: The window closes once" in ended.stdout
    return path


def test_a_window_that_is_closed_waits_for_what_is_being_saved(tmp_path):
    path = close_while_saving(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (48, 512, 512), dtype=np.uint8)
    assert (np.asarray(open_stack(path).data) == (pixels > 120)).all()


def test_what_is_being_saved_can_be_given_up_while_a_window_closes(tmp_path):
    close_while_saving(tmp_path, "cancel")
    assert not list(tmp_path.iterdir()), "nor is there anything unfinished"


@pytest.fixture
def stage(make_napari_viewer, tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
    stage = Stage(make_napari_viewer(show=True), tmp_path, pixels)
    for plane in range(len(pixels)):
        slots = np.where(pixels[plane] > 120, 2, 1).astype(np.uint8)
        stage.workspace.set_prediction(stage.entry.id, plane, slots)
    stage.line = StatusLine(stage.context, QLabel())
    stage.viewer.window.add_dock_widget(stage.line, name="said")
    stage.step = stage.show(ExportStep)
    stage.saved_as = tmp_path / "out"
    stage.saved_as.mkdir()
    stage.saver = stage.context.saver
    yield stage
    stage.close()


@pytest.fixture
def gate(stage, monkeypatch):
    """Hold what writes before the second half of its work."""
    opened, reach = threading.Event(), stage.saver.reach

    def hold(done):
        reach(done)
        if done >= 0.6:
            opened.wait(20)

    monkeypatch.setattr(stage.saver, "reach", hold)
    yield opened
    opened.set()


@pytest.mark.parametrize("name", ["a.ome.tif", "a.ome.zarr", "a.h5", "a.geojson", "a.png"])
def test_saving_shows_how_far_it_is_and_can_be_cancelled(stage, gate, monkeypatch, name):
    target = stage.saved_as / name
    monkeypatch.setattr(export_step, "ask_paths", lambda *_, **__: [target])
    stage.person.click(stage.step.save_segmentation)
    stage.person.wait(lambda: stage.line.bar.value() >= 600, 20)
    assert stage.line.bar.value() < 1000
    assert not stage.step.save_segmentation.isEnabled()
    stage.person.click(stage.line.cancel)
    gate.set()
    stage.person.wait(lambda: stage.step.save_segmentation.isEnabled(), 20)
    stage.person.wait(lambda: not stage.line.cancel.isEnabled(), 20)
    QApplication.processEvents()
    assert stage.said[-1] == "Saving was cancelled; no unfinished file is left."
    assert not list(stage.saved_as.iterdir())
    assert stage.line.bar.value() == 0
    stage.person.click(stage.step.save_segmentation)
    stage.person.wait(lambda: not stage.saver.busy, 20)
    assert stage.said[-1].startswith(f"Saved the segmentation of cells as {stage.saved_as}")
    assert list(stage.saved_as.iterdir())
