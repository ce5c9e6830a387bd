"""Before and after, in a real window: a key shows one, a line parts both, numbers tell."""

from __future__ import annotations

import re

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit
from stage import Stage, cells
from test_whole_loop import CORRECT, Sitting

from napari_unetseg.annotations import rename_class
from napari_unetseg.widgets import compare_box
from napari_unetseg.widgets.correct_step import CorrectStep
from napari_unetseg.workspace.comparison import WAS

pytestmark = pytest.mark.window

#: Rows in which the network saw a cell before training, and columns in which it does now.
WAS_ROWS, NOW_COLUMNS = slice(0, 24), slice(0, 32)


class CompareStage(Stage):
    """A stage on which a network has answered before a training and after it."""

    def __init__(self, viewer, folder, pixels=None, **image) -> None:
        pixels = cells() if pixels is None else pixels
        super().__init__(viewer, folder, pixels, **image)
        shape = self.entry.shape[1:]
        self.was, self.now = np.ones((2, *shape), np.uint8)
        self.was[WAS_ROWS], self.now[:, NOW_COLUMNS] = 2, 2
        self.annotate(0)
        for plane in range(self.entry.shape[0]):
            self.workspace.set_prediction(self.entry.id, plane, self.was)
        self.step = self.show(CorrectStep)
        self.box = self.step.compare
        viewer.dims.set_current_step(0, 1)

    def train(self) -> None:
        before = self.controller.before
        before.begin()
        for plane in range(self.entry.shape[0]):
            before.keep(self.entry.id, plane)
            self.workspace.set_prediction(self.entry.id, plane, self.now)
        before.end(saved=True)
        self.box._update()

    def unfold(self) -> None:
        self.step.compare_section.expand(animate=False)
        self.person.wait(self.box.isVisible, 10)
        button = self.box.buttons["difference"]
        self.person.wait(lambda: button.visibleRegion().contains(button.rect().center()), 10)

    def click(self, view) -> None:
        self.person.click(self.box.buttons[view])

    def take_up_brush(self):
        self.layers.set_tool("annotations", self.entry.id, "paint", 1)
        return self.viewer.layers.selection.active

    @property
    def seen(self):
        """What the layer of the comparison shows; None where it shows nothing."""
        layer = self.box.comparison.layer
        return np.asarray(layer.data) if layer is not None and layer.visible else None

    def hidden(self):
        """Return the layers that are hidden, but for that of the comparison."""
        ours = self.box.comparison.layer
        labels = self.layers.labels_layers()
        return {la.name for la in labels if la is not ours and not la.visible}

    def press(self):
        QTest.keyPress(self.person.canvas, Qt.Key.Key_W)
        QApplication.processEvents()

    def release(self):
        QTest.keyRelease(self.person.canvas, Qt.Key.Key_W)
        QApplication.processEvents()

    def tap(self):
        self.press()
        self.release()

    def hold(self, monkeypatch):
        monkeypatch.setattr(compare_box, "HOLD_MS", 0)
        self.press()
        QTest.qWait(20)

    def told(self) -> str:
        return re.sub("<[^>]+>", "", self.box.sentence.text())


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A slow machine makes a tap look like a hold."""
    monkeypatch.setattr(compare_box, "HOLD_MS", 10_000)


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = CompareStage(make_napari_viewer(show=True), tmp_path)
    yield stage
    stage.close()


def test_holding_the_key_shows_how_it_was_and_letting_go_what_there_was_in_view(stage, monkeypatch):
    stage.train()
    layer = stage.take_up_brush()
    layer.brush_size = 9
    stage.hold(monkeypatch)
    assert np.array_equal(stage.seen, stage.was)
    assert stage.hidden() == {"cells · annotations", "cells · segmentation"}
    stage.release()
    assert stage.seen is None
    assert not stage.hidden()
    assert stage.viewer.layers.selection.active is layer
    assert (str(layer.mode), layer.brush_size) == ("paint", 9)
    stage.person.stroke(layer, [(80, 30), (80, 90)])
    assert (stage.entry.codes[1, 80, 40:80] == 2).all(), "painting goes on as before"


def test_losing_the_keyboard_is_letting_the_key_go(stage, monkeypatch):
    stage.train()
    stage.take_up_brush()
    window, canvas = stage.viewer.window._qt_window, stage.person.canvas
    window.activateWindow()
    stage.person.wait(window.isActiveWindow, 10)
    canvas.setFocus()
    stage.hold(monkeypatch)
    assert np.array_equal(stage.seen, stage.was)
    other = QLineEdit()
    other.show()
    other.activateWindow()
    stage.person.wait(lambda: stage.seen is None, 10)
    assert not stage.hidden()
    other.close()
    window.activateWindow()
    stage.person.wait(window.isActiveWindow, 10)
    stage.hold(monkeypatch)
    assert np.array_equal(stage.seen, stage.was)
    stage.release()
    assert stage.seen is None


def test_a_tap_shows_it_until_the_next_tap(stage):
    stage.train()
    stage.take_up_brush()
    stage.tap()
    assert np.array_equal(stage.seen, stage.was)
    stage.viewer.dims.set_current_step(0, 2)
    stage.tap()
    assert stage.seen is None
    assert not stage.hidden()


def test_buttons_show_one_and_the_other_and_the_key_goes_to_and_fro(stage, monkeypatch):
    stage.train()
    stage.unfold()
    stage.take_up_brush()
    stage.click("second")
    assert np.array_equal(stage.seen, stage.now)
    stage.tap()
    assert np.array_equal(stage.seen, stage.was)
    assert stage.box.buttons["first"].isChecked()
    stage.tap()
    assert np.array_equal(stage.seen, stage.now)
    stage.click("first")
    stage.tap()
    assert np.array_equal(stage.seen, stage.now)
    stage.hold(monkeypatch)
    assert np.array_equal(stage.seen, stage.was)
    stage.release()
    assert np.array_equal(stage.seen, stage.now)
    stage.click("second")
    assert stage.seen is None
    assert not any(button.isChecked() for button in stage.box.buttons.values())


def test_the_key_works_with_the_image_as_the_active_layer(stage):
    stage.train()
    stage.viewer.layers.selection.active = stage.image
    stage.tap()
    assert np.array_equal(stage.seen, stage.was)
    stage.tap()
    assert stage.seen is None
    assert stage.viewer.layers.selection.active is stage.image


def test_a_key_during_a_stroke_waits_for_its_end(stage):
    stage.train()
    layer = stage.take_up_brush()
    stage.person.begin_stroke(layer, (80, 30))
    stage.tap()
    assert stage.seen is None
    stage.person.go_on(layer, (80, 90))
    stage.person.end_stroke(layer, (80, 90))
    assert (stage.entry.codes[1, 80, 40:80] == 2).all()


def test_while_it_compares_the_mouse_paints_nothing(stage):
    stage.train()
    layer = stage.take_up_brush()
    stage.tap()
    before = stage.entry.codes.copy()
    stage.person.stroke(layer, [(80, 30), (80, 90)])
    assert np.array_equal(stage.entry.codes, before)
    assert np.array_equal(stage.seen, stage.was)


def test_taking_up_a_brush_ends_it(stage):
    stage.train()
    stage.take_up_brush()
    stage.tap()
    layer = stage.take_up_brush()
    assert stage.seen is None
    assert not stage.hidden()
    stage.person.stroke(layer, [(80, 30), (80, 90)])
    assert (stage.entry.codes[1, 80, 40:80] == 2).all()


def test_a_tool_in_hand_is_in_hand_again(stage):
    stage.train()
    layer = stage.take_up_brush()
    stage.context.proofreader.take_up("delete", layer)
    stage.tap()
    assert stage.context.proofreader.tool is None
    stage.tap()
    assert stage.context.proofreader.tool == "delete"


def drag_line(stage, to: float) -> None:
    """Drag the line to a column of the image, with the mouse."""
    line, left = stage.box.comparison._line, Qt.MouseButton.LeftButton
    goal = int(stage.person._place(stage.box.comparison.layer, 10, to).x())
    y = line.height() // 3
    start = line.x() + line.width() // 2
    QTest.mousePress(line, left, pos=QPoint(line.width() // 2, y))
    for share in (0.3, 0.7, 1.0):
        x = round(start + share * (goal - start))
        QTest.mouseMove(line, line.mapFromParent(QPoint(x, y)))
        QTest.qWait(20)
    QTest.mouseRelease(line, left, pos=QPoint(line.width() // 2, y))
    QTest.qWait(20)


def columns(stage) -> int:
    """Count the columns, from the left, that show the first; the others show the second."""
    n = int((stage.seen[0] == 1).sum())
    assert (stage.seen[:, :n] == 1).all()
    assert (stage.seen[:, n:] == 2).all()
    return n


def test_the_line_is_dragged_across_the_image(stage):
    stage.was[:], stage.now[:] = 1, 2
    for plane in range(stage.entry.shape[0]):
        stage.workspace.set_prediction(stage.entry.id, plane, stage.was)
    stage.train()
    stage.unfold()
    stage.click("swipe")
    line = stage.box.comparison._line
    assert line.isVisible()
    centre = stage.viewer.scene.camera.center
    for column in (90, 50):
        drag_line(stage, column)
        assert abs(columns(stage) - column) <= 1
    assert stage.viewer.scene.camera.center == centre, "the line moves, not the image"
    x = line.x()
    stage.viewer.scene.camera.zoom *= 3
    stage.person.wait(lambda: abs(columns(stage) - 50) > 2, 5)
    assert line.x() == x, "the image moves under the line"
    at_boundary = stage.person._place(stage.box.comparison.layer, 0, columns(stage) - 0.5).x()
    assert abs(at_boundary - (x + line.width() / 2)) < stage.viewer.scene.camera.zoom
    stage.click("swipe")
    assert not line.isVisible()
    assert stage.seen is None


def test_differences_are_shown_and_told_in_numbers(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer(show=True)
    stage = CompareStage(viewer, tmp_path, scale=(0.05, 0.01, 0.01), units="um")
    stage.train()
    stage.unfold()
    stage.click("difference")
    came = (stage.now == 2) & (stage.was == 1)
    went = (stage.now == 1) & (stage.was == 2)
    assert np.array_equal(stage.seen == 2, came)
    assert np.array_equal(stage.seen == WAS + 2, went)
    assert (stage.seen[~came & ~went] == 0).all()
    percent = [100 * np.mean(where) for where in (came | went, came, went)]
    assert stage.told() == (
        f"{percent[0]:.1f} % of this slice differs (0.461 µm²): ■ {percent[1]:.1f} % now class 1, "
        f"■ {percent[2]:.1f} % no longer class 1."
    )
    stage.close()


def test_it_follows_the_slice_and_new_answers(stage):
    stage.train()
    stage.unfold()
    stage.click("difference")
    stage.workspace.set_prediction(stage.entry.id, 2, stage.was)
    stage.viewer.dims.set_current_step(0, 2)
    assert not stage.seen.any()
    assert stage.told() == "Nothing of this slice differs."
    stage.workspace.set_prediction(stage.entry.id, 2, stage.now)
    assert stage.seen.any()


def test_where_nothing_was_before_that_is_said(stage):
    stage.workspace.set_prediction(stage.entry.id, 1, np.zeros_like(stage.was))
    stage.train()
    stage.unfold()
    stage.click("difference")
    assert not stage.seen.any()
    assert stage.told().startswith("Nothing was segmented here before the last training")
    choose(stage, stage.box.first, "Segmentation, corrected")
    choose(stage, stage.box.second, "Network before training")
    assert stage.told().startswith("On this slice one of them is empty")


def test_the_key_says_that_nothing_was_before(stage):
    stage.workspace.set_prediction(stage.entry.id, 1, np.zeros_like(stage.was))
    stage.train()
    stage.take_up_brush()
    QTest.keyClick(stage.person.canvas, Qt.Key.Key_W)
    assert stage.said[-1].startswith("Nothing was segmented here before the last training")


def choose(stage, box, title) -> None:
    box.setCurrentIndex(box.findText(title))
    box.activated.emit(box.currentIndex())


def test_annotations_baselines_and_layers_of_others_can_be_compared(stage):
    stage.train()
    baseline = np.full(stage.entry.shape, 1, np.uint8)
    baseline[:, :, 64:] = 2
    stage.context.results.add(stage.entry.id, "Otsu", baseline, "Otsu")
    stage.viewer.add_labels((baseline - 1).astype(np.int32), name="expert")
    stage.viewer.add_labels(np.zeros((5, 5), int), name="small")
    stage.unfold()
    titles = [stage.box.first.itemText(n) for n in range(stage.box.first.count())]
    assert titles[4:] == ["cells · Otsu", "expert"]
    stage.click("first")
    for title in ("cells · Otsu", "expert"):
        choose(stage, stage.box.first, title)
        assert np.array_equal(stage.seen, baseline[1])
    assert "in the second alone" in stage.told()
    stage.viewer.dims.set_current_step(0, 0)
    choose(stage, stage.box.first, "Annotations")
    assert np.array_equal(stage.seen, stage.entry.codes[0])
    assert f"of the {np.count_nonzero(stage.entry.codes[0]):,} px that both know" in stage.told()
    choose(stage, stage.box.second, "Segmentation, corrected")
    assert "Nothing of the" in stage.told()


def test_a_layer_that_is_closed_or_does_not_fit_ends_it_with_a_sentence(stage):
    stage.train()
    expert = stage.viewer.add_labels(np.full(stage.entry.shape, 1), name="expert")
    stage.unfold()
    choose(stage, stage.box.first, "expert")
    stage.click("first")
    stage.viewer.layers.remove(expert)
    assert stage.seen is None
    assert stage.box.first.currentText() == "Network before training"
    stage.viewer.add_labels(np.full(stage.entry.shape, -3), name="wrong")
    stage.workspace.change_classes(
        lambda classes: ((*classes, classes[0].model_copy(update={"name": "b"})), np.arange(256)),
        label="adding",
    )
    choose(stage, stage.box.first, "wrong")
    stage.click("first")
    assert stage.seen is None
    assert stage.said[-1].startswith("wrong has values from -3")


def test_what_cannot_be_compared_says_why(stage):
    stage.unfold()
    assert "train first" in stage.box.buttons["first"].toolTip()
    assert not stage.box.buttons["swipe"].isEnabled()
    stage.take_up_brush()
    stage.tap()
    assert stage.seen is None
    assert "train first" in stage.said[-1]
    stage.train()
    assert stage.box.buttons["swipe"].isEnabled()
    choose(stage, stage.box.second, "Network before training")
    assert stage.box.buttons["first"].toolTip().startswith("Both are the same")
    choose(stage, stage.box.second, "Network now")
    stage.click("first")
    stage.viewer.dims.ndisplay = 3
    assert stage.seen is None
    assert not stage.hidden()
    assert stage.said[-1] == stage.box.buttons["first"].toolTip()
    stage.viewer.dims.ndisplay = 2
    assert stage.box.buttons["first"].isEnabled()


def test_it_ends_with_the_step_with_its_layer_and_when_it_is_folded(stage):
    stage.train()
    stage.take_up_brush()
    for end in (
        lambda: stage.step.parentWidget().hide(),
        lambda: stage.viewer.layers.remove(stage.box.comparison.layer),
    ):
        stage.step.parentWidget().show()
        stage.tap()
        assert stage.seen is not None
        end()
        assert stage.seen is None
        assert not stage.hidden()
    stage.step.parentWidget().show()
    stage.unfold()
    stage.click("second")
    stage.step.compare_section.collapse(animate=False)
    stage.person.wait(lambda: stage.seen is None, 5)


def test_the_eye_in_the_layer_list_ends_it_and_begins_it(stage):
    stage.train()
    stage.take_up_brush()
    stage.tap()
    layer = stage.box.comparison.layer
    layer.visible = False
    assert (stage.box.comparison.view, stage.hidden()) == (None, set())
    layer.visible = True
    assert stage.box.buttons["first"].isChecked()
    assert len(stage.hidden()) == 2


def test_it_leaves_with_its_image(stage):
    stage.train()
    stage.take_up_brush()
    stage.tap()
    stage.layers.remove_image(stage.entry.id)
    assert stage.box.comparison.layer is None
    assert "Data step" in stage.box.buttons["first"].toolTip()


def test_classes_that_are_renamed_are_called_so_and_names_are_no_markup(stage):
    stage.train()
    stage.unfold()
    stage.click("difference")
    stage.workspace.change_classes(rename_class, 1, "<b>wall", label="renaming")
    assert "now &lt;b&gt;wall" in stage.box.sentence.text()


def test_the_layer_is_no_truth_and_leaves_the_choices_alone(stage):
    stage.train()
    stage.unfold()
    stage.click("second")
    assert stage.step.truth.layer.findText("cells · comparison") < 0
    stage.viewer.add_labels(np.zeros(stage.entry.shape, int), name="late")
    assert stage.box.first.findText("late") > 0
    titles = [stage.box.first.itemText(n) for n in range(stage.box.first.count())]
    assert "cells · comparison" not in titles


def test_the_key_of_suggestions_is_no_button_of_this_step(stage):
    stage.take_up_brush()
    QTest.keyClick(stage.person.canvas, Qt.Key.Key_N)


def test_a_dock_that_is_closed_ends_it_and_so_does_the_window(
    make_napari_viewer, tmp_path, monkeypatch
):
    monkeypatch.setenv("NAPARI_UNETSEG_HOME", str(tmp_path / "home"))
    sitting = Sitting(make_napari_viewer(show=True))
    sitting.person.wait(sitting.dock.isVisible)
    entry = sitting.take_image()
    sitting.paint_both_classes(entry)
    compare = sitting.step(CORRECT).compare
    for kind in (0, 1):
        compare.first.setCurrentIndex(compare.first.findText("Annotations"))
        compare.first.activated.emit(kind)
        compare.comparison.show("swipe")
        assert compare.comparison.layer.visible
        if kind == 0:
            sitting.viewer.window.remove_dock_widget(sitting.dock)
            assert [la.name for la in sitting.viewer.layers if la.visible] == [
                "cells",
                "cells · annotations",
            ]
            assert len(sitting.viewer.layers) == 2
            _, dock = sitting.viewer.window.add_plugin_dock_widget(
                "napari-unetseg", "U-Net segmentation"
            )
            dock.show_step(CORRECT)
            compare = dock.panels[CORRECT].compare
