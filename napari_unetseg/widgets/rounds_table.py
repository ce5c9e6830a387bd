"""Did it get better? One row for each round of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidgetItem

from napari_unetseg.workspace import Round

from .read_only_table import ReadOnlyTable

_COLUMNS = (
    ("Round", "Trainings of this session, in order."),
    ("Held out", "Mean IoU on held-out annotations, before → after the round."),
    ("Learned from", "Annotated pixels that it learned from; held-out ones are not among them."),
    ("Truth", "Mean IoU against the truth layer, before → after the round."),
)

#: With room for three rounds; those before are scrolled to.
_MOST_PX = 104


class RoundsTable(ReadOnlyTable):
    """Rounds with their scores before and after; newest at the bottom and in view."""

    def __init__(self) -> None:
        super().__init__(_COLUMNS)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        fits = QHeaderView.ResizeMode.ResizeToContents
        self.horizontalHeader().setSectionResizeMode(0, fits)

    def show_rounds(
        self,
        rounds: Sequence[Round],
        truth: Mapping[int, tuple[float | None, float | None]],
    ) -> None:
        """Fill the table.

        Parameters
        ----------
        truth : mapping of int to (float or None, float or None)
            By number of the round: mean IoU against a truth before and after.
        """
        self.setRowCount(len(rounds))
        for row, done in enumerate(rounds):
            texts = (
                str(done.number),
                change_of(done.before, done.after),
                f"{done.n_labelled_px:,} px",
                change_of(*truth.get(done.number, (None, None))),
            )
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(done.sentence)
                item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
                self.setItem(row, column, item)
        self.resizeRowsToContents()
        rows_px = sum(self.rowHeight(row) for row in range(self.rowCount()))
        header_px = self.horizontalHeader().sizeHint().height()
        self.setFixedHeight(min(_MOST_PX, header_px + rows_px + 2 * self.frameWidth()))
        self.scrollToBottom()


def change_of(before: float | None, after: float | None) -> str:
    """Write two scores.

    >>> change_of(0.7, 0.75), change_of(None, 0.75), change_of(None, None)
    ('0.700 → 0.750', '0.750', '–')
    """
    if after is None:
        return "–" if before is None else f"{before:.3f} → –"
    return f"{after:.3f}" if before is None else f"{before:.3f} → {after:.3f}"
