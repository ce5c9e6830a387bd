"""Choose two segmentations, and see one, the other, both beside a line, or where they differ."""

from __future__ import annotations

from html import escape
from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QWidget,
)

from napari_unetseg.annotations import Classes
from napari_unetseg.config import BACKGROUND
from napari_unetseg.workspace import ImageEntry
from napari_unetseg.workspace.comparison import Change, Differences
from napari_unetseg.workspace.sizes import area_um2, in_units

from .comparison import Comparison, Source, View, was_color
from .context import Context
from .listen import listen
from .shortcuts import SHORTCUTS
from .stack_from_layers import METADATA

#: A key that is down for longer is held: what it shows goes when it is let go.
HOLD_MS = 300

#: Changes that are told one by one.
MOST_CHANGES = 3

#: Always there to choose from.
SOURCES = (
    Source("before", "Network before training"),
    Source("now", "Network now"),
    Source("segmentation", "Segmentation, corrected"),
    Source("annotations", "Annotations"),
)

_NOTHING_BEFORE = (
    "Nothing was segmented here before the last training, so the first is empty; choose another "
    "to compare with."
)
_EMPTY = "On this slice one of them is empty, so there is nothing to compare."

_KEY = SHORTCUTS["compare"].key
_VIEWS: dict[View, tuple[str, str]] = {
    "first": ("First", f"See this one; {_KEY} goes to and fro."),
    "second": ("Second", f"See this one; {_KEY} goes to and fro."),
    "swipe": (
        "Swipe",
        "See the first on the left of a line and the second on the right; drag the line.",
    ),
    "difference": (
        "Differences",
        "See where they differ: bright is what is in the second, dark what was in the first.",
    ),
}
_TOOLTIP = "What is compared, on the slice in view; the network's answer without what is painted."

#: Layers that can be compared are of other people, or of these roles.
_ROLES = (None, "baseline", "objects")


class CompareBox(QWidget):
    """Two choices, four buttons, and how much differs on the slice in view."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.comparison = Comparison(context, SOURCES[0], SOURCES[1], self)
        self._before_key: View | None = None
        self._tap = QTimer(self)
        self._tap.setSingleShot(True)
        self._came_from: View | None = None
        self._is_clicked = self._is_down = False
        self._build()
        self.comparison.changed.connect(self._update)
        listen(context.layers.key_released, self._on_key_released)
        # Who takes the keyboard away takes the release with it.
        QApplication.instance().focusChanged.connect(self._on_focus_changed)
        listen(context.controller.finished, self._update)
        for event in ("inserted", "removed", "renamed"):
            listen(getattr(context.viewer.layers.events, event), self._on_layers_changed)
        listen(context.viewer.dims.events.ndisplay, self._update)
        listen(context.viewer.dims.events.order, self._update)
        listen(context.workspace.images_changed, self._on_layers_changed)

    def _build(self) -> None:
        self.first, self.second = QComboBox(), QComboBox()
        self.buttons: dict[View, QPushButton] = {}
        for view, (text, _) in _VIEWS.items():
            button = QPushButton(text)
            button.setCheckable(True)
            button.clicked.connect(lambda on, view=view: self._on_clicked(view, on))
            self.buttons[view] = button
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.sentence.setTextFormat(Qt.TextFormat.RichText)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        adjust = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        for row, box in enumerate((self.first, self.second)):
            box.setSizeAdjustPolicy(adjust)  # names of layers may be long
            box.setToolTip(_TOOLTIP)
            box.activated.connect(self._on_chosen)
            grid.addWidget(box, row, 1)
        grid.addWidget(self.buttons["first"], 0, 0)
        grid.addWidget(self.buttons["second"], 1, 0)
        grid.setColumnStretch(1, 1)
        both = QHBoxLayout()
        both.addWidget(self.buttons["swipe"])
        both.addWidget(self.buttons["difference"])
        grid.addLayout(both, 2, 0, 1, 2)
        grid.addWidget(self.sentence, 3, 0, 1, 2)
        self._list_sources()
        self._update()

    # --------------------------------------------------------------- sources

    def _list_sources(self) -> None:
        """Bring what can be chosen up to date; what was chosen stays while it is there."""
        entry = self._context.layers.current_image()
        layers = [
            Source("layer", layer.name, layer)
            for layer in self._context.layers.labels_layers()
            if layer.metadata.get(METADATA, {}).get("role") in _ROLES
            and entry is not None
            and tuple(layer.data.shape) == entry.stack.labels_shape
        ]
        sources = [*SOURCES, *layers]
        for box, chosen, fallback in (
            (self.first, self.comparison.first, 0),
            (self.second, self.comparison.second, 1),
        ):
            box.clear()
            for source in sources:
                box.addItem(source.title, source)
            same = (
                n for n, s in enumerate(sources) if (s.kind, s.layer) == (chosen.kind, chosen.layer)
            )
            box.setCurrentIndex(next(same, fallback))
        self._take_chosen()

    def _take_chosen(self) -> None:
        self.comparison.choose(self.first.currentData(), self.second.currentData())

    def _on_chosen(self) -> None:
        self._take_chosen()
        self._update()

    def _on_layers_changed(self, event: Any = None) -> None:
        layer = getattr(event, "value", None)
        if layer is None or layer is not self.comparison.layer:
            self._list_sources()
        self._update()

    # ---------------------------------------------------------------- state

    def _update(self, *_: object) -> None:
        why_not, view = self.comparison.why_not(), self.comparison.view
        for name, button in self.buttons.items():
            button.setEnabled(why_not is None)
            button.setToolTip(why_not or _VIEWS[name][1])
            button.setChecked(name == view)
        self.sentence.setText(self._said())

    def _said(self) -> str:
        found, entry = self.comparison.found, self._context.layers.current_image()
        if found is None or entry is None:
            return f"Hold or tap {_KEY} over the image to see the first."
        if not found.n_known_px:
            was_nothing = self.comparison.first.kind == "before" and self.comparison.is_first_empty
            return _NOTHING_BEFORE if was_nothing else _EMPTY
        follow = self.comparison.first.kind == "before"
        return differences_said(found, entry, self._context.workspace.classes, follow=follow)

    # --------------------------------------------------------------- actions

    def _on_clicked(self, view: View, on: bool) -> None:
        self._is_clicked = True
        self.comparison.show(view if on else None)
        self._update()

    def press_key(self) -> None:
        """Show the first, or what was in view before it."""
        why_not = self.comparison.why_not()
        if why_not is not None:
            self._context.say(why_not)
            return
        view = self.comparison.view
        self._before_key = view
        if view == "first":
            self.comparison.show("second" if self._is_clicked else self._came_from)
        else:
            self._came_from, self._is_clicked = view, False
            self.comparison.show("first")
        found = self.comparison.found
        if found is not None and not found.n_known_px:
            self._context.say(self._said())
        self._is_down = True
        self._tap.start(HOLD_MS)

    def _on_key_released(self, action: str) -> None:
        if action == "compare":
            self._let_go()

    def _on_focus_changed(self, *_: object) -> None:
        self._let_go()

    def _let_go(self) -> None:
        if not self._is_down:
            return
        self._is_down = False
        if not self._tap.isActive():
            self.comparison.show(self._before_key)


def differences_said(
    found: Differences, entry: ImageEntry, classes: Classes, *, follow: bool
) -> str:
    """Write how much of a slice differs, and in what, with the colours that it is shown in.

    Parameters
    ----------
    follow : bool
        Whether the second came after the first: what is only in it is there *now*.

    Returns
    -------
    str
        Rich text.
    """
    whole = found.n_known_px == found.n_px
    of_what = "this slice" if whole else f"the {found.n_known_px:,} px that both know"
    if not found.changes:
        return f"Nothing of {of_what} differs."
    area = area_um2(entry.stack, found.n_different_px)
    size = f" ({in_units(area, 'µm²')})" if area is not None else ""
    told = [
        f"{_swatch(change, classes)} {_share(change.n_px, found)} {_what(change, classes, follow)}"
        for change in found.changes[:MOST_CHANGES]
    ]
    rest = sum(change.n_px for change in found.changes[MOST_CHANGES:])
    told += [f"{_share(rest, found)} otherwise"] if rest else []
    return f"{_share(found.n_different_px, found)} of {of_what} differs{size}: {', '.join(told)}."


def _share(n_px: int, found: Differences) -> str:
    percent = 100 * n_px / found.n_known_px
    return f"{percent:.1f} %" if percent >= 0.05 else "under 0.1 %"


def _what(change: Change, classes: Classes, follow: bool) -> str:
    first, second = _name(change.first, classes), _name(change.second, classes)
    if change.first == BACKGROUND:
        return f"now {second}" if follow else f"{second} in the second alone"
    if change.second == BACKGROUND:
        return f"no longer {first}" if follow else f"{first} in the first alone"
    return f"{second} instead of {first}"


def _name(code: int, classes: Classes) -> str:
    k = code - BACKGROUND
    return escape(classes[k - 1].name) if 0 < k <= len(classes) else "background"


def _swatch(change: Change, classes: Classes) -> str:
    """Return squares of the colours of a change: dark what was, bright what is."""
    colors = []
    if BACKGROUND < change.first <= len(classes) + BACKGROUND:
        colors.append(was_color(classes[change.first - 2].color))
    if BACKGROUND < change.second <= len(classes) + BACKGROUND:
        colors.append(classes[change.second - 2].color)
    return "".join(f"<span style='color:{color}'>■</span>" for color in colors)
