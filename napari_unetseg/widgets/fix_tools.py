"""The row of tools that put pieces of a segmentation right."""

from __future__ import annotations

from napari.utils.theme import get_theme
from qtpy.QtCore import QSize, Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from .context import Context
from .fix_icons import fix_icon
from .listen import listen
from .shortcuts import ON_OBJECTS, tooltip

FIX_TOOLS = ("superpixel", "grow", "smooth", "holes", "delete", "split", "join")

_NOT_ON_OBJECTS = (
    "This tool works on classes. Objects are painted with the brush, cut, joined and deleted."
)


class FixTools(QWidget):
    """Buttons of which that of the tool in hand is down.

    Attributes
    ----------
    chosen : Signal(str)
        The tool that a person wants.
    """

    chosen = Signal(str)

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.buttons: dict[str, QPushButton] = {}
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for tool in FIX_TOOLS:
            button = QPushButton()
            button.setCheckable(True)
            button.setFixedSize(28, 28)
            button.setIconSize(QSize(18, 18))
            button.clicked.connect(lambda _=False, tool=tool: self.chosen.emit(tool))
            self.buttons[tool] = button
            row.addWidget(button)
        row.addStretch(1)
        self._show_icons()
        self._update()
        listen(context.viewer.events.theme, self._show_icons)
        for event in ("ndisplay", "order", "ndim"):
            listen(getattr(context.viewer.dims.events, event), self._update)
        listen(context.viewer.layers.selection.events.active, self._update)
        listen(context.at_hand.changed, self._update)
        listen(context.proofreader.changed, self._show_tool)

    def _update(self, *_: object) -> None:
        """Enable the tools, or disable them and say why."""
        on_objects = self._context.objects.are_active
        why_none = self.why_not() or (None if on_objects else self._why_not_on_result())
        for tool, button in self.buttons.items():
            why_not = _NOT_ON_OBJECTS if on_objects and tool not in ON_OBJECTS else why_none
            button.setEnabled(why_not is None)
            button.setToolTip(why_not or tooltip(tool, "objects" if on_objects else ""))
        if why_none:
            self._context.proofreader.put_down()

    def why_not(self) -> str | None:
        """Return why no tool can be used; None where all can."""
        dims = self._context.viewer.dims
        if dims.ndisplay == 3:
            return "These tools work on slices; go back to the view of one (Ctrl+Y)."
        if tuple(dims.displayed) != (dims.ndim - 2, dims.ndim - 1):
            return "These tools work on slices; the view is across them (Ctrl+E turns it)."
        return None

    def _why_not_on_result(self) -> str | None:
        entry = self._context.layers.current_image()
        return None if entry is None else self._context.at_hand.why_not_correct(entry.id)

    def _show_tool(self) -> None:
        for tool, button in self.buttons.items():
            button.setChecked(tool == self._context.proofreader.tool)

    def _show_icons(self, *_: object) -> None:
        color = get_theme(self._context.viewer.theme).icon.as_hex(format="long")
        for tool, button in self.buttons.items():
            button.setIcon(fix_icon(tool, color))
