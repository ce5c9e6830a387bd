"""The tour, taken by a scripted person in a real window; and left half way."""

from __future__ import annotations

import numpy as np
import pytest
from person import Person
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from scipy.ndimage import label

from napari_unetseg.samples import nuclei_stack
from napari_unetseg.widgets import export_step
from napari_unetseg.widgets.shortcuts_page import shortcuts_page
from napari_unetseg.widgets.tour import STEPS

pytestmark = pytest.mark.window
DATA, BASELINES, TRAIN, CORRECT, EXPORT = range(5)


class Newcomer:
    """Somebody who does what the bar says, with the control that is framed."""

    def __init__(self, viewer) -> None:
        self.viewer = viewer
        viewer.window.resize(1280, 800)
        _, self.dock = viewer.window.add_plugin_dock_widget("napari-unetseg", "U-Net segmentation")
        self.context = self.dock.context
        self.bar = self.dock.tour
        self.person = Person(viewer)
        self.truth = nuclei_stack().objects
        self.person.wait(self.bar.isVisible)

    @property
    def entry(self):
        return next(iter(self.context.workspace.images.values()))

    def at(self, name: str) -> None:
        """Wait until the tour has come to a step."""
        self.person.wait(lambda: self.bar.tour.step and self.bar.tour.step.name == name)
        assert self.bar.text.text() == next(s.text for s in STEPS if s.name == name)

    def framed(self, widget) -> bool:
        """Tell whether a control is in the frame, once the frame has come to it."""
        window = self.viewer.window._qt_window
        corner = widget.mapTo(window, QPoint(0, 0))
        middle = corner + widget.rect().center()
        pointer = self.bar.pointer
        return pointer.isVisible() and pointer.geometry().contains(middle)

    def click(self, widget) -> None:
        """Click what is framed."""
        self.person.wait(lambda: self.framed(widget), 5)
        self.person.click(widget)

    def go_to(self, step: int):
        button = self.dock.step_button(step)
        self.click(button)
        return self.dock.panels[step]

    def click_row(self, row: int) -> None:
        table = self.dock.panels[DATA].classes.table
        self.person.wait(lambda: self.framed(table), 5)
        place = table.visualItemRect(table.item(row, 1)).center()
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
        QApplication.processEvents()

    def paint(self, *strokes) -> None:
        assert self.framed(self.person.canvas) or self.dock.shown == CORRECT
        layer = self.viewer.layers.selection.active
        layer.brush_size = 5
        for points in strokes:
            self.person.stroke(layer, points)

    def middles(self, n: int) -> list:
        """Return lines within the largest nuclei of the slice in view."""
        plane = self.context.layers.current_plane(self.entry)
        ids, sizes = np.unique(self.truth[plane], return_counts=True)
        largest = ids[1:][np.argsort(sizes[1:])[::-1]][:n]
        found = [np.argwhere(self.truth[plane] == i).mean(axis=0) for i in largest]
        return [[(y, x - 3), (y, x + 3)] for y, x in found]

    def ground(self) -> list:
        """Return a line through the background of the slice in view."""
        plane = self.context.layers.current_plane(self.entry)
        empty = self.truth[plane] == 0
        for y in range(40, 200):
            runs, n = label(empty[y])
            for i in range(1, n + 1):
                columns = np.flatnonzero(runs == i)
                if len(columns) > 60:
                    return [(y, int(columns[5])), (y, int(columns[-5]))]
        raise AssertionError("no background")

    def learn_fast(self) -> None:
        """Let Live begin with a small network; not a matter of the tour."""
        settings = self.dock.panels[TRAIN].settings
        recipe = settings.value(30)
        small = recipe.replace(
            network=recipe.network.replace(filters=8, depth=2, reduction=2),
            training=recipe.training.replace(patch_px=64, batch=2),
        )
        settings.value = lambda seconds: small


@pytest.fixture
def newcomer(make_napari_viewer, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_UNETSEG_HOME", str(tmp_path / "home"))
    newcomer = Newcomer(make_napari_viewer(show=True))
    newcomer.home = tmp_path / "home"
    window = newcomer.viewer.window._qt_window
    window.activateWindow()
    newcomer.person.wait(window.isActiveWindow, 10)
    return newcomer


def begin(newcomer) -> None:
    newcomer.person.click(newcomer.bar.take)
    newcomer.at("brush taken")
    newcomer.click(newcomer.dock.panels[DATA].paint)
    newcomer.at("nuclei painted")


def test_a_newcomer_takes_the_whole_tour_and_has_a_model(newcomer, tmp_path, monkeypatch):
    n, person, dock = newcomer, newcomer.person, newcomer.dock
    begin(n)
    n.paint(n.middles(1)[0])
    n.at("nuclei painted")
    n.paint(*n.middles(3)[1:])
    n.at("background taken")
    n.click_row(0)
    n.at("background painted")
    n.paint(n.ground())
    n.at("learning")
    painted = n.entry.codes.copy()
    assert set(np.unique(painted)) == {0, 1, 2}
    n.learn_fast()
    n.go_to(TRAIN)
    n.click(dock.live.live)
    n.at("segmented")
    n.at("looked around")
    assert (n.entry.codes == painted).all(), "nothing is painted for a person"
    x = round(dock.strip.x_of(5))
    person.wait(lambda: n.framed(dock.strip), 5)
    QTest.mouseClick(dock.strip, Qt.MouseButton.LeftButton, pos=QPoint(x, dock.strip.height() // 2))
    n.at("corrected")
    correct = n.go_to(CORRECT)
    person.wait(lambda: n.framed(correct.tools), 5)
    n.paint(n.ground())
    n.at("accepted")
    n.click(correct.accept_slice)
    n.at("kept")
    n.click(dock.live.live)
    n.at("saved")
    target = tmp_path / "mine.unet"
    monkeypatch.setattr(export_step, "ask_paths", lambda *_, **__: [target])
    export = n.go_to(EXPORT)
    person.wait(lambda: export.save_model.isEnabled())
    n.click(export.save_model)
    n.at("")
    assert (target / "model.json").is_file()
    assert n.context.controller.model.info.classes[0].name == "nucleus"
    assert not n.bar.pointer.isVisible()
    person.click(n.bar.out)
    assert not n.bar.isVisible()
    person.click(dock.status.tour)
    assert n.bar.tour.number <= 2, "what was painted on the first tour is none of the second"
    assert not n.entry.codes[n.context.layers.current_plane(n.entry)].any()
    dock.show_step(DATA)
    table = dock.panels[DATA].classes.table
    place = table.visualItemRect(table.item(1, 1)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    n.at("nuclei painted")
    person.wait(lambda: n.framed(person.canvas), 5)
    n.paint(*n.middles(2))
    n.at("background taken")


def test_the_tour_is_left_half_way_with_escape_and_goes_on_where_it_was(newcomer):
    n, person = newcomer, newcomer.person
    begin(n)
    person.undo()
    assert n.context.workspace.classes[0].name == "nucleus", "the sample's classes are no stroke"
    n.paint(*n.middles(2))
    n.at("background taken")
    painted = n.entry.codes.copy()
    shortcuts_page(n.context).toggle()
    person.wait(lambda: not n.bar._leaves.isEnabled(), 5)
    QTest.keyClick(person.canvas, Qt.Key.Key_Escape)
    assert not shortcuts_page(n.context).isVisible()
    assert n.bar.isVisible(), "Esc was for the page of keys"
    person.wait(n.bar._leaves.isEnabled, 5)
    QTest.keyClick(person.canvas, Qt.Key.Key_Escape)
    assert not n.bar.isVisible()
    assert not n.bar.pointer.isVisible()
    assert (n.entry.codes == painted).all()
    assert "Tour" in n.dock.status.sentence.text()
    person.click(n.dock.status.tour)
    n.at("background taken")
    assert len(n.context.workspace.images) == 1
    n.viewer.layers.remove(n.context.layers.image_layers_of(n.entry.id)[0])
    person.wait(lambda: not n.bar.isVisible(), 5)
    assert not n.bar.tour.is_on


def test_the_offer_is_declined_once_and_for_all(newcomer, make_napari_viewer):
    newcomer.person.click(newcomer.bar.out)
    assert not newcomer.bar.isVisible()
    assert "left" not in newcomer.dock.status.sentence.text(), "it was never begun"
    assert "Tour" in newcomer.dock.status.sentence.text()
    again = make_napari_viewer(show=True)
    _, dock = again.window.add_plugin_dock_widget("napari-unetseg", "U-Net segmentation")
    newcomer.person.wait(dock.isVisible)
    assert not dock.tour.isVisible()
    assert dock.status.tour.isEnabled()


def test_an_image_of_ones_own_ends_the_offer_and_the_tour_keeps_off(newcomer):
    n, person = newcomer, newcomer.person
    n.viewer.add_image(np.zeros((3, 64, 64), np.uint8), name="mine")
    images = n.dock.panels[DATA].images
    person.wait(lambda: images.count() == 1)
    images.item(0).setCheckState(Qt.CheckState.Checked)
    person.wait(lambda: n.context.workspace.images)
    assert not n.bar.isVisible()
    person.click(n.dock.status.tour)
    assert not n.bar.isVisible()
    assert "new napari window" in n.dock.status.sentence.text()
    assert [layer.name for layer in n.viewer.layers if "nuclei" in layer.name] == []


def test_every_step_is_short_and_named_once():
    assert len({step.name for step in STEPS}) == len(STEPS)
    assert all(step.text.count(". ") < 3 and len(step.text) < 170 for step in STEPS)
