"""A page of all keys: ours, and those of napari that a painter needs, as they are bound now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from html import escape
from typing import TypeAlias

from napari.layers import Labels
from napari.settings import get_settings
from napari.utils.interactions import Shortcut as NapariShortcut
from napari.utils.key_bindings import coerce_keybinding
from napari.viewer import Viewer
from qtpy.QtCore import Qt
from qtpy.QtGui import QHideEvent, QKeySequence, QShortcut, QShowEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from .context import Context
from .listen import listen
from .shortcuts import ON_OBJECTS, ON_THE_STRIP, PAGE, REPLACED, SHORTCUTS, Shortcut
from .stack_from_layers import METADATA

#: Keys, name, sentence.
Row: TypeAlias = tuple[str, str, str]

_WIDTH_PX, _HEIGHT_PX = 880, 700

#: napari's actions by the names of its settings, in words for who paints classes.
NAPARI: tuple[tuple[str, str], ...] = (
    ("activate_labels_paint_mode", "Paint"),
    ("activate_labels_erase_mode", "Erase"),
    ("activate_labels_fill_mode", "Fill the connected area"),
    ("activate_labels_polygon_mode", "Paint an area, corner by corner"),
    ("complete_polygon", "Close that area"),
    ("reset_polygon", "Give that area up"),
    ("activate_labels_picker_mode", "Take up the class under the pointer"),
    ("activate_labels_pan_zoom_mode", "Put the tools down: move and zoom"),
    ("hold_for_pan_zoom", "Move and zoom while it is held"),
    ("decrease_brush_size", "Narrower brush"),
    ("increase_brush_size", "Wider brush"),
    ("decrease_label_id", "Class before"),
    ("increase_label_id", "Class after"),
    ("new_label", "Class that is not in use yet"),
    ("swap_selected_and_background_labels", "Swap the class with unlabelled"),
    ("toggle_preserve_labels", "Preserve what is painted"),
    ("increment_dims_left", "Slice before"),
    ("increment_dims_right", "Slice after"),
    ("toggle_selected_visibility", "Show or hide the layer"),
    ("reset_view", "Whole image"),
    ("toggle_ndisplay", "Volume or slice"),
    ("roll_axes", "View along the next axis"),
)


class ShortcutsPage(QWidget):
    """A window beside the viewer's that never takes the keyboard from it.

    Parameters
    ----------
    viewer : Viewer
    window : QWidget
        The viewer's, in which the keys work.
    """

    def __init__(self, viewer: Viewer, window: QWidget) -> None:
        # Of a tool window Qt looks for shortcuts in the window that it belongs to, too.
        super().__init__(window, Qt.WindowType.Tool)
        self.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
        self.setWindowTitle("Keys")
        self._viewer = viewer
        self.ours, self.naparis = QLabel(), QLabel()
        self._build()
        self._shows = QShortcut(QKeySequence(PAGE.key), window)
        self._shows.activated.connect(self.toggle)
        self._hides = QShortcut(QKeySequence(Qt.Key.Key_Escape), window)
        self._hides.activated.connect(self.hide)
        self._hides.setEnabled(False)
        listen(get_settings().shortcuts.events.shortcuts, self._on_rebound)

    def _build(self) -> None:
        columns = QWidget()
        row = QHBoxLayout(columns)
        row.setSpacing(24)
        for label, stretch in ((self.ours, 3), (self.naparis, 2)):
            label.setTextFormat(Qt.TextFormat.RichText)
            label.setWordWrap(True)
            label.setAlignment(Qt.AlignmentFlag.AlignTop)
            row.addWidget(label, stretch)
        scrolling = QScrollArea()
        scrolling.setWidgetResizable(True)
        scrolling.setWidget(columns)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 4, 4, 4)
        column.addWidget(scrolling)
        self.resize(_WIDTH_PX, _HEIGHT_PX)

    def toggle(self) -> None:
        """Show the page, or hide it."""
        if self.isVisible():
            self.hide()
            return
        self._write()
        around = self.parentWidget().frameGeometry()
        corner = around.center() - self.rect().center()
        self.move(max(corner.x(), around.left()), max(corner.y(), around.top()))
        self.show()

    def showEvent(self, event: QShowEvent) -> None:
        """Let Escape close the page, wherever the keyboard is."""
        super().showEvent(event)
        self._hides.setEnabled(True)

    def hideEvent(self, event: QHideEvent) -> None:
        """Give Escape back."""
        super().hideEvent(event)
        self._hides.setEnabled(False)

    def _on_rebound(self, *_: object) -> None:
        if self.isVisible():
            self._write()

    def _write(self) -> None:
        replaced = [_row(REPLACED[action]) for action in ("undo", "redo", "new_class")]
        in_hand = [_row(REPLACED[action]) for action in ("put_down", "move")]
        on_objects = [
            replace(SHORTCUTS[action], sentence=said) for action, said in ON_OBJECTS.items()
        ]
        self.ours.setText(
            _table(
                "In the Correct step", [self._row_of(shortcut) for shortcut in SHORTCUTS.values()]
            )
            + _table("On a layer of objects", map(self._row_of, on_objects))
            + _table("With a tool under <i>Fix</i> in hand", in_hand)
            + _table("Annotations and segmentation", replaced)
            + _table("Everywhere", [_row(PAGE)])
        )
        on_the_strip = [(keys, sentence, "") for keys, _, sentence in map(_row, ON_THE_STRIP)]
        self.naparis.setText(
            _table("napari", napari_rows())
            + _table("Strip of slices, after a click on it", on_the_strip)
        )

    def _row_of(self, shortcut: Shortcut) -> Row:
        """Return what to say of a key, which a person may have given to napari."""
        keys, name, sentence = _row(shortcut)
        if self._is_ours(shortcut):
            return keys, name, sentence
        return "–", name, f"{keys} has another meaning in napari's preferences. {sentence}"

    def _is_ours(self, shortcut: Shortcut) -> bool:
        key, viewer = coerce_keybinding(shortcut.key), self._viewer
        for layer in viewer.layers:
            if layer.metadata.get(METADATA, {}).get("role") in ("annotations", "segmentation"):
                return key in layer.keymap
        return key not in {*Labels.class_keymap, *viewer.class_keymap, *viewer.keymap}


def shortcuts_page(context: Context) -> ShortcutsPage:
    """Return the page of a viewer, made when it is first asked for."""
    window = context.viewer.window._qt_window  # noqa: SLF001 - napari names its window nowhere
    return window.findChild(ShortcutsPage) or ShortcutsPage(context.viewer, window)


def napari_rows() -> list[Row]:
    """Return the keys that napari's actions have now, those without one left out."""
    bound = get_settings().shortcuts.shortcuts
    rows = []
    for action, words in NAPARI:
        keys = [NapariShortcut(key).platform for key in bound.get(f"napari:{action}", ())]
        if keys:
            rows.append((" · ".join(_spelt(key) for key in keys), words, ""))
    return rows


def _spelt(key: str) -> str:
    """Return a key as keyboards have it, not by napari's signs.

    >>> _spelt("Ctrl+⎋")
    'Ctrl+Esc'
    """
    for sign, word in (("␣", "Space"), ("⎋", "Esc"), ("↵", "Enter"), ("←", "Left"), ("→", "Right")):
        key = key.replace(sign, word)
    return key


def _row(shortcut: Shortcut) -> Row:
    native = QKeySequence.SequenceFormat.NativeText
    return QKeySequence(shortcut.key).toString(native), shortcut.name, shortcut.sentence


def _table(title: str, rows: Iterable[Row]) -> str:
    cells = "".join(
        f"<tr><td width='100'><b>{escape(keys)}</b></td><td>{_said(name, sentence)}</td></tr>"
        for keys, name, sentence in rows
    )
    return f"<h3>{title}</h3><table cellspacing='3'>{cells}</table>"


def _said(name: str, sentence: str) -> str:
    return f"<b>{escape(name)}.</b> {escape(sentence)}" if sentence else escape(name)
