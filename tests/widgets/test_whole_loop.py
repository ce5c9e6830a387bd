"""One person, one window, one child process: open, paint, train, correct, retrain, export."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from person import Person
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_unetseg.events import FinishReason
from napari_unetseg.jobs import JobState
from napari_unetseg.widgets import export_step

pytestmark = pytest.mark.window
SHAPE = (4, 128, 160)
DATA, BASELINES, TRAIN, CORRECT, EXPORT = range(5)


class Sitting:
    """A viewer with the plugin docked from napari's menu, and an image dropped on it."""

    def __init__(self, viewer) -> None:
        self.viewer = viewer
        viewer.window.resize(1280, 800)
        _, self.dock = viewer.window.add_plugin_dock_widget("napari-unetseg", "U-Net segmentation")
        self.context = self.dock.context
        self.controller = self.context.controller
        self.person = Person(viewer)
        self.finished: list = []
        self.controller.finished.connect(self.finished.append)
        rng = np.random.default_rng(0)
        self.truth = np.zeros(SHAPE, bool)
        self.truth[:, 30:70, 30:100] = True
        pixels = (80 + 90 * self.truth + rng.normal(0, 15, SHAPE)).clip(0, 255).astype(np.uint8)
        viewer.add_image(pixels, name="cells", scale=(0.05, 0.005, 0.005), units=["micrometer"] * 3)
        viewer.reset_view()
        viewer.dims.set_current_step(0, 0)

    def take_image(self):
        """Check the image in the Data step."""
        self.step(DATA)
        images = self.dock.panels[DATA].images
        self.person.wait(lambda: images.count() == 1)
        images.item(0).setCheckState(Qt.CheckState.Checked)
        self.person.wait(lambda: self.context.workspace.images)
        return next(iter(self.context.workspace.images.values()))

    def step(self, index: int):
        self.person.click(self.dock._buttons.button(index))
        return self.dock.panels[index]

    def stroke(self, entry, k, points, role="annotations"):
        self.context.layers.set_tool(role, entry.id, "paint", k)
        layer = self.viewer.layers.selection.active
        layer.brush_size = 7
        self.person.stroke(layer, points)
        return layer

    def paint_both_classes(self, entry):
        self.stroke(entry, 1, [(40, 40), (40, 90), (60, 90)])
        self.stroke(entry, 0, [(90, 20), (90, 140), (20, 140)])

    def choose_small_network(self, steps: int):
        settings = self.dock.panels[TRAIN].settings
        recipe = settings.value(30)
        settings._recipe = recipe.replace(
            network=recipe.network.replace(filters=8, depth=2, reduction=2),
            training=recipe.training.replace(patch_px=64, batch=2, steps=steps, max_time_s=None),
        )
        settings.value = lambda seconds: settings._recipe

    def until_finished(self):
        n = len(self.finished)
        self.person.wait(lambda: len(self.finished) > n, 120)
        return self.finished[-1]

    @property
    def sentence(self) -> str:
        return self.dock.status.sentence.text()


@pytest.fixture
def sitting(make_napari_viewer, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_UNETSEG_HOME", str(tmp_path / "home"))
    return Sitting(make_napari_viewer(show=True))


def test_open_paint_train_correct_undo_retrain_export_reopen(sitting, tmp_path, monkeypatch):
    entry = sitting.take_image()
    sitting.paint_both_classes(entry)
    painted = entry.codes.copy()
    assert set(np.unique(painted)) == {0, 1, 2}

    train = sitting.step(TRAIN)
    sitting.choose_small_network(steps=60)
    sitting.person.click(train.train)
    steps: list = []
    sitting.controller.stepped.connect(steps.append)
    sitting.person.wait(lambda: steps)
    assert sitting.until_finished().reason is FinishReason.COMPLETED, sitting.finished
    assert (entry.codes == painted).all()
    segmentation = sitting.context.layers.segmentation_layer(entry.id)
    found = np.asarray(segmentation.data) == 2
    assert (found & sitting.truth).sum() / (found | sitting.truth).sum() > 0.7

    correct = sitting.step(CORRECT)
    before = np.asarray(segmentation.data).copy()
    sitting.stroke(entry, 1, [(110, 20), (110, 120)], role="segmentation")
    corrected = entry.codes.copy()
    assert (corrected[0, 110, 30:110] == 2).all()
    sitting.person.undo()
    assert (entry.codes == painted).all()
    assert (np.asarray(segmentation.data) == before).all()
    sitting.person.redo()
    assert (entry.codes == corrected).all()

    sitting.person.click(correct.retrain)
    assert sitting.until_finished().reason is FinishReason.COMPLETED, sitting.finished
    assert len(sitting.controller.rounds) == 2
    assert sitting.controller.model.info.history.get("base")
    assert (np.asarray(segmentation.data)[0, 110, 30:110] == 2).all()

    export = sitting.step(EXPORT)
    target = tmp_path / "masks.ome.tif"
    monkeypatch.setattr(export_step, "ask_paths", lambda *_, **__: [target])
    sitting.person.click(export.save_segmentation)
    sitting.person.wait(target.is_file)
    sitting.person.wait(lambda: "Saved" in sitting.sentence)
    assert "napari-unetseg" in export.methods.toPlainText()
    again = sitting.viewer.open(str(target), plugin="napari-unetseg")[0]
    assert np.allclose(again.scale, (0.05, 0.005, 0.005))
    assert again.data.shape == SHAPE
    assert (np.maximum(segmentation.data, 1) == again.data).all()
    assert "class 1" in list(again.features["class"])
    assert np.allclose(again.colormap.color_dict[2], segmentation.colormap.color_dict[2])


def test_a_low_window_scrolls_a_step_instead_of_growing(sitting):
    window = sitting.viewer.window._qt_window
    sitting.viewer.window.resize(1280, 700)
    step = sitting.step(TRAIN)
    step.section.expand(animate=False)
    sitting.person.wait(lambda: step.height() > step.parentWidget().height())
    assert window.height() == 700
    assert step.minimumSizeHint().width() <= step.parentWidget().width(), "nothing is cut off"


def test_painting_goes_on_while_training_and_cancel_keeps_the_strokes(sitting):
    entry = sitting.take_image()
    sitting.paint_both_classes(entry)
    train = sitting.step(TRAIN)
    sitting.choose_small_network(steps=100_000)
    predicted: list = []
    sitting.context.workspace.segmentation_changed.connect(
        lambda image, planes: predicted.append(planes)
    )
    sitting.person.click(train.train)
    sitting.person.wait(lambda: sitting.controller.state is JobState.RUNNING)
    sitting.person.wait(lambda: entry.prediction[0].any())
    before = entry.codes.copy()
    sitting.stroke(entry, 1, [(50, 50), (50, 80)])
    assert (entry.codes != before).any()
    painted = entry.codes.copy()
    sitting.person.click(sitting.dock.status.cancel)
    assert sitting.until_finished().reason is FinishReason.CANCELLED
    assert (entry.codes == painted).all()
    assert sitting.controller.model is None
    assert sitting.controller.state is JobState.IDLE


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is of POSIX")
def test_a_killed_child_leaves_the_window_usable_and_says_what_happened(sitting):
    entry = sitting.take_image()
    sitting.paint_both_classes(entry)
    train = sitting.step(TRAIN)
    sitting.choose_small_network(steps=100_000)
    steps: list = []
    sitting.controller.stepped.connect(steps.append)
    sitting.person.click(train.train)
    sitting.person.wait(lambda: steps)
    painted = entry.codes.copy()
    os.kill(sitting.controller.child_pid, signal.SIGKILL)
    assert sitting.until_finished().reason is FinishReason.FAILED
    assert "unexpectedly" in sitting.sentence
    assert (entry.codes == painted).all()
    sitting.stroke(entry, 1, [(50, 50), (50, 80)])
    assert (entry.codes != painted).any()
    sitting.choose_small_network(steps=5)
    sitting.person.click(train.train)
    assert sitting.until_finished().reason is FinishReason.COMPLETED, sitting.finished


def test_closing_and_opening_the_dock_again_keeps_everything(sitting):
    entry = sitting.take_image()
    sitting.paint_both_classes(entry)
    painted = entry.codes.copy()
    workspace = sitting.context.workspace
    signals = workspace.history_changed, workspace.classes_changed, sitting.controller.finished
    n_listeners = [len(signal) for signal in signals]
    closed = sitting.dock
    sitting.viewer.window.remove_dock_widget(closed)
    closed.deleteLater()
    sitting.person.wait(lambda: True)
    _, again = sitting.viewer.window.add_plugin_dock_widget("napari-unetseg", "U-Net segmentation")
    assert again is not closed
    assert again.context is sitting.context
    assert (entry.codes == painted).all()
    sitting.dock = again
    sitting.stroke(entry, 1, [(50, 50), (50, 80)])
    assert (entry.codes != painted).any()
    assert sitting.step(TRAIN).train.isEnabled()
    # `closed` is still held by Python: what listened in it must not be called any more.
    assert [len(signal) for signal in signals] == n_listeners
    sitting.person.click(sitting.step(DATA).classes.add)
    sitting.person.click(sitting.step(DATA).classes.undo)
    assert len(workspace.classes) == 1


def test_closing_the_window_ends_the_child_and_leaves_the_strokes_on_disk(sitting, tmp_path):
    entry = sitting.take_image()
    sitting.paint_both_classes(entry)
    n_painted = int(np.count_nonzero(entry.codes))
    sitting.person.wait(lambda: sitting.controller.child_pid is not None)
    sitting.viewer.close()
    sitting.person.wait(lambda: sitting.controller.child_pid is None, 10)
    saved = list((tmp_path / "home").glob("sessions/*/*/annotations.npy"))
    assert len(saved) == 1
    assert np.count_nonzero(np.load(saved[0])) == n_painted
    assert {p.name for p in saved[0].parent.iterdir()} == {"annotations.npy", "blocks.npy"}


def test_all_of_the_height_is_for_the_steps_whatever_was_docked_before(
    make_napari_viewer, tmp_path, monkeypatch
):
    # napari counts the docks of a session, and gives empty room below each such a share.
    monkeypatch.setenv("NAPARI_UNETSEG_HOME", str(tmp_path / "home"))
    viewer = make_napari_viewer(show=True)
    for name in ("one", "two"):
        other = QWidget()
        other.setLayout(QVBoxLayout())
        viewer.window.add_dock_widget(other, name=name, area="left")
    dock = Sitting(viewer).dock
    Person(viewer).wait(lambda: dock.status.geometry().bottom() > dock.height() - 20, 5)
