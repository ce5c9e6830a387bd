"""Where painting is worth most next: asked for, and gone to one after the other."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from napari_unetseg.events import Finished
from napari_unetseg.workspace import SuggestedRegion

from .context import Context
from .frame import centre_on, show_frame
from .listen import listen
from .shortcuts import tooltip

_COMING = "Slices are being looked at."
_NONE = "Press Suggest first."
_NOTHING_LEFT = "Nothing is left to suggest: what can be painted is painted."


class SuggestBar(QWidget):
    """*Suggest*, the way from one suggestion to the next, and why each of them is one."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._go_when_told = self._says_again = False
        self._build()
        controller = context.controller
        listen(controller.suggestions.changed, self._update)
        listen(controller.suggestions.answered, self._on_answered)
        listen(controller.state_changed, self._update)
        listen(controller.finished, self._on_finished)
        listen(controller.live.changed, self._update)
        listen(context.workspace.images_changed, self._update)
        listen(context.layers.key_pressed, self._on_key)
        self._update()

    def _build(self) -> None:
        self.suggest = QPushButton("Suggest")
        self.suggest.clicked.connect(self._on_suggest)
        self.before, self.next = QPushButton("‹"), QPushButton("›")
        for button, by in ((self.before, -1), (self.next, 1)):
            button.setFixedWidth(26)
            button.clicked.connect(lambda _=False, by=by: self._go(by))
        self.number = QLabel()
        self.number.setTextFormat(Qt.TextFormat.PlainText)
        self.number.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.number.setMinimumWidth(self.number.fontMetrics().horizontalAdvance("10/10 "))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        for widget in (self.suggest, self.before, self.number, self.next):
            row.addWidget(widget)

    # ----------------------------------------------------------------- state

    def _update(self, *_: object) -> None:
        suggestions = self._context.controller.suggestions
        why_not = self._why_not()
        self.suggest.setEnabled(why_not is None)
        self.suggest.setToolTip(
            why_not or "Look through all slices for places where painting is worth most."
        )
        for button, said in (
            (self.before, "The suggestion before."),
            (self.next, tooltip("next_suggestion")),
        ):
            button.setEnabled(bool(suggestions.regions))
            button.setToolTip(said if suggestions.regions else _NONE)
        self.number.setText(self._said())
        current = suggestions.current
        self.number.setToolTip("" if current is None else current.reason)

    def _why_not(self) -> str | None:
        controller = self._context.controller
        if controller.suggestions.is_asked:
            return _COMING
        why_not: str | None = controller.why_not_suggest()
        return why_not

    def _said(self) -> str:
        suggestions = self._context.controller.suggestions
        if suggestions.is_asked:
            return "…"
        region, n = suggestions.current, len(suggestions.regions)
        if region is None:
            return str(n) if n else ""
        return f"{suggestions.at + 1}/{n}"

    # --------------------------------------------------------------- actions

    def _on_suggest(self) -> None:
        self._go_when_told = True
        self._context.controller.suggest()

    def _on_key(self, action: str) -> None:
        if action != "next_suggestion":
            return
        if self._context.controller.suggestions.regions:
            self._go(1)
        elif self._why_not() is None:
            self._on_suggest()

    def _on_answered(self) -> None:
        if not self._go_when_told:
            return
        self._go_when_told = False
        if self._context.controller.suggestions.regions:
            # The job has a last word, which tells less than the reason does.
            self._says_again = not self._context.controller.live.is_on
            self._context.layers.after_stroke(lambda: self._go(1))
        else:
            self._context.say(_NOTHING_LEFT)

    def _go(self, by: int) -> None:
        region = self._context.controller.suggestions.go(by)
        entry = None if region is None else self._context.workspace.images.get(region.image)
        if region is None or entry is None:
            return
        layers = self._context.layers
        layers.show_plane(entry, region.plane)
        box = (region.y, region.x, region.y + region.height, region.x + region.width)
        show_frame(layers, entry, region.plane, box)
        centre_on(layers, entry, box)
        self._say_why(region)

    def _say_why(self, region: SuggestedRegion) -> None:
        self._context.say(f"Worth painting: {region.reason}. N goes on to the next place.")

    def _on_finished(self, _: Finished) -> None:
        region = self._context.controller.suggestions.current
        if self._says_again and region is not None:
            self._say_why(region)
        self._go_when_told = self._says_again = False
