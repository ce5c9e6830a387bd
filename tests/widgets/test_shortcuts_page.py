"""The page of keys, opened and closed in a real window, and what its tables say."""

from __future__ import annotations

import re
from html import unescape

import pytest
from napari._app_model import get_app_model
from napari.components import ViewerModel
from napari.layers import Labels
from napari.settings import get_settings
from napari.utils.action_manager import action_manager
from napari.utils.key_bindings import coerce_keybinding
from napari.utils.shortcuts import default_shortcuts
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit
from test_whole_loop import CORRECT, Sitting

from napari_unetseg.widgets.shortcuts import ON_OBJECTS, ON_THE_STRIP, PAGE, REPLACED, SHORTCUTS
from napari_unetseg.widgets.shortcuts_page import NAPARI, ShortcutsPage, shortcuts_page

pytestmark = pytest.mark.window


@pytest.fixture
def sitting(make_napari_viewer, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_UNETSEG_HOME", str(tmp_path / "home"))
    sitting = Sitting(make_napari_viewer(show=True))
    sitting.person.wait(sitting.dock.isVisible)
    window = sitting.viewer.window._qt_window
    window.activateWindow()
    sitting.person.wait(window.isActiveWindow, 10)
    return sitting


@pytest.fixture
def page(sitting):
    return shortcuts_page(sitting.context)


@pytest.fixture
def settings():
    shortcuts = get_settings().shortcuts
    before = dict(shortcuts.shortcuts)
    yield shortcuts
    shortcuts.shortcuts = before


def press(widget, key):
    QTest.keyClick(widget, key)
    QApplication.processEvents()


def native(shortcut):
    key = QKeySequence(shortcut.key).toString(QKeySequence.SequenceFormat.NativeText)
    assert key
    return key


def text(label):
    return re.sub(r"\s+", " ", unescape(re.sub("<[^>]+>", " ", label.text())))


def test_a_question_mark_over_the_image_shows_the_page_and_again_hides_it(sitting, page):
    canvas = sitting.person.canvas
    press(canvas, "?")
    assert page.isVisible()
    assert not page.isModal()
    press(canvas, "?")
    assert not page.isVisible()


def test_escape_closes_the_page_and_is_naparis_otherwise(sitting, page):
    entry = sitting.take_image()
    sitting.step(CORRECT)
    sitting.context.layers.set_tool("annotations", entry.id, "paint", 1)
    canvas, proofreader = sitting.person.canvas, sitting.context.proofreader
    press(canvas, "d")
    assert proofreader.tool == "delete"
    press(canvas, "?")
    press(canvas, Qt.Key.Key_Escape)
    assert not page.isVisible()
    assert proofreader.tool == "delete"
    press(canvas, Qt.Key.Key_Escape)
    assert proofreader.tool is None
    press(canvas, "?")
    press(page, Qt.Key.Key_Escape)
    assert not page.isVisible()


def test_the_button_shows_the_page_and_painting_goes_on_beside_it(sitting, page):
    entry = sitting.take_image()
    layer = sitting.stroke(entry, 1, [(10, 10), (10, 30)])
    active = QApplication.activeWindow()
    assert active is not None
    sitting.person.click(sitting.dock.status.keys)
    assert page.isVisible()
    assert QApplication.activeWindow() is active, "the page does not take the keyboard"
    press(QApplication.focusWidget(), "e")
    assert str(layer.mode) == "erase"
    press(QApplication.focusWidget(), "p")
    painted = entry.codes.copy()
    sitting.person.stroke(layer, [(90, 10), (90, 30)])
    assert (entry.codes != painted).any()
    sitting.person.undo()
    assert (entry.codes == painted).all()
    assert page.isVisible()
    sitting.person.click(sitting.dock.status.keys)
    assert not page.isVisible()


def test_a_question_mark_can_be_written(sitting, page):
    field = QLineEdit(sitting.dock)
    field.show()
    field.setFocus()
    press(field, "?")
    assert field.text() == "?"
    assert not page.isVisible()


def test_there_is_one_page_for_a_viewer_however_often_the_dock_is_opened(sitting, page):
    closed, sitting.dock = sitting.dock, None
    sitting.viewer.window.remove_dock_widget(closed)
    closed.deleteLater()
    QTest.qWait(1)
    sitting.viewer.window.add_plugin_dock_widget("napari-unetseg", "U-Net segmentation")
    window = sitting.viewer.window._qt_window
    assert window.findChildren(ShortcutsPage) == [page]
    press(sitting.person.canvas, "?")
    assert page.isVisible()


def test_every_key_of_ours_is_on_the_page(page):
    page.toggle()
    for shortcut in (*SHORTCUTS.values(), *REPLACED.values(), PAGE):
        said = f" {native(shortcut)} {shortcut.name}. {shortcut.sentence} "
        assert said in text(page.ours)
    for shortcut in ON_THE_STRIP:
        assert f" {native(shortcut)} {shortcut.sentence} " in text(page.naparis)
    for action, sentence in ON_OBJECTS.items():
        shortcut = SHORTCUTS[action]
        assert f" {native(shortcut)} {shortcut.name}. {sentence} " in text(page.ours)


def test_naparis_keys_are_those_of_its_settings_also_when_they_change(page, settings):
    page.toggle()
    assert " 2 · P Paint " in text(page.naparis)
    assert " Space Move and zoom while it is held " in text(page.naparis)
    rebound = dict(settings.shortcuts)
    rebound["napari:activate_labels_paint_mode"] = [coerce_keybinding("Y")]
    rebound["napari:new_label"] = []
    settings.shortcuts = rebound
    assert " Y Paint " in text(page.naparis)
    assert "not in use yet" not in text(page.naparis)


def test_every_action_named_is_one_of_naparis():
    assert {f"napari:{action}" for action, _ in NAPARI} <= set(default_shortcuts)


def test_a_key_that_a_person_gave_to_napari_is_not_said_to_be_ours(sitting, page):
    key = coerce_keybinding("G")
    sitting.viewer.bind_key("G", lambda viewer: None, overwrite=True)
    assert key in sitting.viewer.keymap
    page.toggle()
    assert "– Grow. G has another meaning in napari's preferences." in text(page.ours)
    assert " A Claim superpixels. " in text(page.ours)


def test_no_key_of_ours_is_naparis_nor_another_of_ours(sitting):
    viewer = sitting.viewer
    ours = [coerce_keybinding(shortcut.key) for shortcut in SHORTCUTS.values()]
    defaults = {
        coerce_keybinding(key)
        for action, keys in default_shortcuts.items()
        if action in action_manager._actions
        and action_manager._actions[action].keymapprovider in (ViewerModel, Labels)
        for key in keys
    }
    assert coerce_keybinding("P") in defaults
    assert coerce_keybinding("Left") in defaults
    naparis = defaults | {*Labels.class_keymap, *viewer.class_keymap, *viewer.keymap}
    assert not naparis & set(ours)
    replaced = [coerce_keybinding(shortcut.key) for shortcut in REPLACED.values()]
    assert set(replaced) <= naparis, "only what is napari's is replaced"
    together = [*ours, *replaced]
    assert len(set(together)) == len(together)
    assert PAGE.key not in {shortcut.key for shortcut in (*SHORTCUTS.values(), *ON_THE_STRIP)}


def test_the_key_of_the_page_is_none_of_naparis_menus(sitting):
    in_menus = {str(bound.keybinding) for bound in get_app_model().keybindings}
    assert "Ctrl+O" in in_menus
    assert not in_menus & {PAGE.key, "Shift+/", *(s.key for s in SHORTCUTS.values())}


def test_every_key_that_is_bound_to_our_layers_is_in_the_tables(sitting):
    entry = sitting.take_image()
    sitting.step(CORRECT)
    sitting.context.layers.set_tool("annotations", entry.id, "paint", 1)
    layer = sitting.viewer.layers.selection.active
    sitting.context.proofreader.take_up("delete", layer)
    tables = [*SHORTCUTS.values(), *REPLACED.values()]
    known = {coerce_keybinding(shortcut.key) for shortcut in tables}
    # With a tool in hand these do what they always do: it is put down for napari's.
    same = {coerce_keybinding(key) for key in ("Z", "6")}
    assert known <= set(layer.keymap) <= known | same
    sitting.context.proofreader.put_down()
