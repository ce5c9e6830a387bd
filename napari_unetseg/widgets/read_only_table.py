"""A small table to read, with a tooltip on each heading."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem


class ReadOnlyTable(QTableWidget):
    """Columns as wide as the dock allows; nothing in it can be edited.

    Parameters
    ----------
    columns : sequence of (str, str)
        Heading and tooltip of each.
    """

    def __init__(self, columns: Sequence[tuple[str, str]]) -> None:
        super().__init__(0, len(columns))
        for column, (title, tooltip) in enumerate(columns):
            item = QTableWidgetItem(title)
            item.setToolTip(tooltip)
            self.setHorizontalHeaderItem(column, item)
        self.verticalHeader().hide()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
