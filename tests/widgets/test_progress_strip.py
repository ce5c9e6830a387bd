"""The strip of slices: drawn, pointed at, clicked, dragged and typed at in a real window."""

from __future__ import annotations

import time

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QHelpEvent, QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QToolTip
from stage import Stage, cells
from test_whole_loop import CORRECT, DATA, TRAIN, Sitting

from napari_unetseg.widgets.progress_strip import ProgressStrip, merged
from napari_unetseg.workspace import SliceState

pytestmark = pytest.mark.window


class StripStage(Stage):
    """A stage with the strip alone, in a dock of its own."""

    def __init__(self, viewer, folder, pixels=None, **image) -> None:
        super().__init__(viewer, folder, cells((8, 96, 128)) if pixels is None else pixels, **image)
        self.strip = ProgressStrip(self.context)
        self.strip.setMinimumWidth(360)
        viewer.window.add_dock_widget(self.strip, name="strip")
        self.strip.set_wanted(True)
        self.person.wait(self.strip.isVisible)

    def counted(self):
        """Wait until everything is counted; return the states."""
        progress = self.context.progress
        self.person.wait(lambda: progress.question(self.entry.id, 0) is None)
        return progress.states(self.entry.id).tolist()

    def click(self, plane):
        place = QPoint(round(self.strip.x_of(plane)), 8)
        QTest.mouseClick(self.strip, Qt.MouseButton.LeftButton, pos=place)
        QApplication.processEvents()

    @property
    def here(self):
        return self.layers.current_plane(self.entry)

    def heights(self):
        """How high the bar of every slice is drawn, in px, beside the marks over it."""
        image = self.strip.grab().toImage()
        ground = image.pixelColor(0, 4).name()
        found = []
        for plane in range(self.entry.shape[0]):
            x = round(self.strip.x_of(plane))
            colors = [image.pixelColor(x, y).name() for y in range(5, image.height())]
            found.append(sum(color != ground for color in colors))
        return found


class Stopwatch:
    """How long the window is kept busy by some methods, for each stroke."""

    def __init__(self):
        self.seconds = []

    def begin(self):
        self.seconds.append(0.0)

    def on(self, method):
        def measured(*arguments):
            start = time.perf_counter()
            method(*arguments)
            if self.seconds:
                self.seconds[-1] += time.perf_counter() - start

        return measured


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = StripStage(make_napari_viewer(show=True), tmp_path)
    yield stage
    stage.close()


def predict(stage, *planes):
    for plane in planes:
        stage.workspace.set_prediction(stage.entry.id, plane, np.ones((96, 128), np.uint8))


def test_what_is_done_is_told_by_the_height_of_the_bars_in_both_themes(stage):
    stage.viewer.dims.set_current_step(0, 7)
    predict(stage, 1, 2, 3)
    stage.annotate(2)
    stage.workspace.accept(stage.entry.id, [3])
    assert stage.counted() == [0, 1, 2, 3, 0, 0, 0, 0]
    for theme in ("dark", "light"):
        stage.viewer.theme = theme
        heights = stage.heights()
        assert 0 < heights[0] < heights[1] < heights[2] < heights[3], theme
        assert len({*heights[4:7], heights[0]}) == 1


def test_a_stroke_with_the_mouse_raises_the_bar_and_undo_lowers_it(stage):
    stage.viewer.dims.set_current_step(0, 5)
    stage.layers.set_tool("annotations", stage.entry.id, "paint", 1)
    layer = stage.viewer.layers.selection.active
    stage.person.stroke(layer, [(20, 20), (20, 60)])
    assert stage.counted()[5] == SliceState.ANNOTATED
    stage.person.undo()
    assert stage.counted() == [0] * 8


def test_a_click_goes_to_the_slice_and_a_drag_follows_the_pointer(stage):
    stage.click(6)
    assert stage.here == 6
    strip, left = stage.strip, Qt.MouseButton.LeftButton
    seen = []
    stage.viewer.dims.events.current_step.connect(lambda: seen.append(stage.here))
    QTest.mousePress(strip, left, pos=QPoint(round(strip.x_of(6)), 8))
    for plane in (5, 3, 2):
        place = QPointF(strip.x_of(plane), 8)
        move = QMouseEvent(
            QEvent.Type.MouseMove,
            place,
            QPointF(strip.mapToGlobal(place.toPoint())),
            Qt.MouseButton.NoButton,
            left,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(strip, move)
    QTest.mouseRelease(strip, left, pos=QPoint(round(strip.x_of(2)), 8))
    assert seen == [5, 3, 2]
    QTest.mouseMove(strip, QPoint(round(strip.x_of(7)), 8))
    QApplication.processEvents()
    assert stage.here == 2, "no button is down"


def test_arrow_keys_go_to_the_slices_beside_and_end_at_the_ends(stage):
    stage.click(6)
    for key, plane in (
        (Qt.Key.Key_Right, 7),
        (Qt.Key.Key_Right, 7),
        (Qt.Key.Key_Left, 6),
        (Qt.Key.Key_Home, 0),
        (Qt.Key.Key_Left, 0),
        (Qt.Key.Key_PageDown, 7),
        (Qt.Key.Key_PageUp, 0),
        (Qt.Key.Key_End, 7),
    ):
        QTest.keyClick(stage.strip, key)
        assert stage.here == plane


def test_other_keys_still_reach_napari_after_a_click(stage):
    stage.layers.set_tool("annotations", stage.entry.id, "pan_zoom", 1)
    stage.click(6)
    QTest.keyClick(stage.strip, Qt.Key.Key_P)
    assert str(stage.viewer.layers.selection.active.mode) == "paint"


def test_the_pointer_is_told_what_is_on_a_slice(stage):
    predict(stage, 2)
    stage.annotate(2)
    stage.strip.set_suggested([4])
    stage.counted()
    tooltip_at = stage.strip.tooltip_at
    assert tooltip_at(stage.strip.x_of(0)) == "slice 0: nothing yet"
    said = "slice 2: annotated, less than 1 % painted; predicted"
    assert tooltip_at(stage.strip.x_of(2)) == said
    assert tooltip_at(stage.strip.x_of(4)) == "slice 4: nothing yet; suggested next"
    place = QPoint(round(stage.strip.x_of(2)), 8)
    event = QHelpEvent(QEvent.Type.ToolTip, place, stage.strip.mapToGlobal(place))
    QApplication.sendEvent(stage.strip, event)
    assert QToolTip.text().splitlines()[0] == said
    QToolTip.hideText()


def test_a_stroke_that_changes_no_state_draws_nothing_anew(stage):
    stage.annotate(2)
    stage.counted()
    told = []
    stage.context.progress.changed.connect(told.append)
    codes = stage.entry.codes.copy()
    codes[2, 60:70, 60:90] = 2
    stage.workspace.commit_annotations(stage.entry.id, codes, [2])
    stage.counted()
    assert not told
    assert "2 % painted" in stage.strip.tooltip_at(stage.strip.x_of(2))


def test_suggested_slices_have_a_mark_over_their_bar(stage):
    def mark(plane):
        image = stage.strip.grab().toImage()
        return image.pixelColor(round(stage.strip.x_of(plane)), 1).name()

    before = mark(4)
    stage.strip.set_suggested([4])
    assert mark(4) != before
    assert mark(5) == before
    stage.strip.set_suggested([])
    assert mark(4) == before


def test_the_slice_in_view_is_marked_also_where_slices_are_narrow(make_napari_viewer, tmp_path):
    pixels = np.zeros((900, 8, 8), np.uint8)
    stage = StripStage(make_napari_viewer(show=True), tmp_path, pixels)
    stage.click(100)
    pictures = [stage.strip.grab().toImage()]
    stage.click(450)
    assert abs(stage.here - 450) <= 2, "a pixel stands for several slices"
    pictures.append(stage.strip.grab().toImage())
    x = round(stage.strip.x_of(stage.here))
    columns = [{image.pixelColor(x, y).name() for y in range(6, 14)} for image in pictures]
    assert not columns[0] & columns[1]
    stage.close()


def test_slices_of_a_time_series_of_volumes_are_in_one_row(make_napari_viewer, tmp_path):
    pixels = np.zeros((2, 3, 40, 50), np.uint8)
    stage = StripStage(make_napari_viewer(show=True), tmp_path, pixels)
    stage.click(4)
    assert stage.viewer.dims.current_step[:2] == (1, 1)
    assert stage.strip.tooltip_at(stage.strip.x_of(4)) == "time point 1, slice 1: nothing yet"
    stage.close()


def test_a_stack_of_a_thousand_large_slices_costs_little_for_each_stroke(
    make_napari_viewer, tmp_path, monkeypatch
):
    stage = Stage(make_napari_viewer(show=True), tmp_path)
    stage.image = stage.viewer.add_image(
        np.zeros((1000, 1024, 1024), np.uint8), name="large", contrast_limits=(0, 1)
    )
    stage.entry = stage.layers.add_image([stage.image])
    progress = stage.context.progress
    spent = Stopwatch()
    for method in ("_on_outdated", "_on_counted", "_on_progress_changed", "paintEvent"):
        monkeypatch.setattr(ProgressStrip, method, spent.on(getattr(ProgressStrip, method)))
    strip = ProgressStrip(stage.context)
    stage.viewer.window.add_dock_widget(strip, name="strip")
    strip.set_wanted(True)
    stage.person.wait(strip.isVisible)
    for plane in range(0, 1000, 50):
        painted = np.zeros((1024, 1024), np.uint8)
        painted[:50] = 2
        spent.begin()
        stage.workspace.rewrite(stage.entry.id, [(plane, painted)], "stroke")
        stage.person.wait(lambda: progress.question(stage.entry.id, 0) is None)
    assert np.median(spent.seconds) < 0.005
    assert np.count_nonzero(progress.states(stage.entry.id)) == 20
    stage.close()


def test_the_farthest_state_is_that_of_a_pixel_for_several_slices():
    states = np.array([0, 1, 3, 0, 0, 0, 2], np.uint8)
    assert merged(states, 7).tolist() == states.tolist()
    assert merged(states, 3).tolist() == [1, 3, 2]
    for n_cells in (1, 2, 5):
        assert merged(states, n_cells).max() == 3


def test_the_strip_is_there_in_the_steps_of_painting_for_stacks_alone(
    make_napari_viewer, tmp_path, monkeypatch
):
    monkeypatch.setenv("NAPARI_UNETSEG_HOME", str(tmp_path / "home"))
    sitting = Sitting(make_napari_viewer(show=True))
    sitting.person.wait(sitting.dock.isVisible)
    strip = sitting.dock.strip
    sitting.step(CORRECT)
    assert not strip.isVisible(), "there is no image yet"
    entry = sitting.take_image()
    assert not strip.isVisible()
    sitting.step(TRAIN)
    sitting.person.wait(strip.isVisible)
    assert strip.geometry().bottom() < sitting.dock.live.geometry().top()
    sitting.step(DATA)
    assert not strip.isVisible()
    sitting.step(CORRECT)
    sitting.context.layers.remove_image(entry.id)
    assert not strip.isVisible()
    flat = sitting.viewer.add_image(np.zeros((40, 50), np.uint8), name="flat")
    sitting.context.layers.add_image([flat])
    assert not strip.isVisible(), "it has a single slice"
