"""What a slice takes from those beside it, or gives them: copied, interpolated, propagated."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QSpinBox, QVBoxLayout, QWidget

from napari_unetseg.errors import UserError
from napari_unetseg.wording import counted
from napari_unetseg.workspace import ImageEntry

from .context import Context
from .shortcuts import tooltip

_INTERPOLATE = (
    "Fill the unlabelled pixels of this slice, and of those beside it, with shapes between those "
    "on the nearest annotated slices before and after it."
)
_PROPAGATE = (
    "Follow the pieces annotated on this slice, as the segmentation finds them again on the slices "
    "{where} it: what overlaps becomes annotations there, until it fades or more than doubles."
)


class SlicesRows(QWidget):
    """Buttons for the slices beside the one in view."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.copy_before = _button("Copy before", lambda: self._on_copy(-1))
        self.interpolate = _button("Interpolate", self._on_interpolate)
        self.copy_after = _button("Copy after", lambda: self._on_copy(1))
        self.propagate_before = _button("Propagate back", lambda: self._on_propagate(-1))
        self.propagate_after = _button("Propagate on", lambda: self._on_propagate(1))
        self.n_slices = QSpinBox()
        self.n_slices.setRange(1, 999)
        self.n_slices.setValue(5)
        self.n_slices.setSuffix(" slices")
        self.n_slices.setToolTip("How many slices pieces are followed through at most.")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widgets in (
            (self.copy_before, self.interpolate, self.copy_after),
            (self.propagate_before, self.n_slices, self.propagate_after),
        ):
            row = QHBoxLayout()
            for widget in widgets:
                row.addWidget(widget, 1)
            column.addLayout(row)

    def refresh(self, why_no_image: str | None) -> None:
        """Enable what can be done on the slice in view; the rest says why not."""
        entry, slices = self._context.layers.current_image(), self._context.slices
        here = 0 if entry is None else self._context.layers.current_plane(entry)
        image = "" if entry is None else entry.id
        for button, sentence, find in (
            (self.interpolate, _INTERPOLATE, lambda: slices.annotated_around(image, here)),
            (self.copy_before, tooltip("copy_before"), lambda: slices.to_copy(image, here, -1)),
            (self.copy_after, tooltip("copy_after"), lambda: slices.to_copy(image, here, 1)),
            (
                self.propagate_before,
                _PROPAGATE.format(where="before"),
                lambda: slices.to_propagate(image, here, -1),
            ),
            (
                self.propagate_after,
                _PROPAGATE.format(where="after"),
                lambda: slices.to_propagate(image, here, 1),
            ),
        ):
            why_not = why_no_image or _why_not(find)
            button.setEnabled(why_not is None)
            button.setToolTip(why_not or sentence)

    # --------------------------------------------------------------- actions

    def _here(self) -> tuple[ImageEntry, int] | None:
        entry = self._context.layers.current_image()
        return None if entry is None else (entry, self._context.layers.current_plane(entry))

    def _on_copy(self, step: int) -> None:
        if (at := self._here()) is not None:
            n_px = self._context.slices.copy_from(at[0].id, at[1], step)
            self._say("Copied", "copied to", n_px)

    def _on_interpolate(self) -> None:
        if (at := self._here()) is None:
            return
        try:
            n_px = self._context.slices.interpolate(at[0].id, at[1])
        except UserError as error:
            self._context.say(str(error))
            return
        self._say("Interpolated", "interpolated", n_px)

    def _on_propagate(self, step: int) -> None:
        if (at := self._here()) is None:
            return
        done = self._context.slices.propagate(at[0].id, at[1], step, self.n_slices.value())
        left = ""
        if done.n_outgrown:
            pieces = counted(done.n_outgrown, "piece")
            left = f" {pieces} that more than doubled: not followed."
        if done.n_px:
            through = counted(done.n_slices, "slice")
            self._context.say(
                f"Propagated through {through}: {done.n_px:,} px became annotations; Undo takes "
                f"that back.{left}"
            )
        elif done.n_slices:
            self._context.say(f"All of that is annotated already.{left}")
        else:
            self._context.say(f"The segmentation beside holds nothing of these pieces.{left}")

    def _say(self, done: str, could: str, n_px: int) -> None:
        self._context.say(
            f"{done}: {n_px:,} px became annotations; Undo takes that back."
            if n_px
            else f"Every pixel that could be {could} is annotated already."
        )


def _button(text: str, slot: Callable[[], object]) -> QPushButton:
    button = QPushButton(text)
    button.clicked.connect(lambda: slot())
    return button


def _why_not(find: Callable[[], object]) -> str | None:
    """Return why something is not found; None where it is."""
    try:
        find()
    except UserError as error:
        return str(error)
    return None
