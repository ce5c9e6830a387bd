"""Which method to use: every one of them tried on what is annotated, in a table."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_unetseg.comparison.figure import draw_figure
from napari_unetseg.comparison.report import write_csv
from napari_unetseg.config import shipped_models
from napari_unetseg.errors import UserError
from napari_unetseg.events import MethodCompared
from napari_unetseg.images import atomic_file
from napari_unetseg.jobs import JobState
from napari_unetseg.workspace.compared import where_they_differ
from napari_unetseg.workspace.export import check_free, with_suffix

from .choices import SecondsBox
from .context import Context
from .dialogs import ask_paths
from .fold import Fold
from .listen import listen
from .read_only_table import ReadOnlyTable

_COLUMNS = (
    ("Method", "The best first; hover for its scores. Select one to use it, two to compare them."),
    (
        "Mean IoU",
        "How much answers and annotations overlap: the pixels that both call a class, as a share "
        "of those that either does, averaged over the classes; 1 where all agree. On annotations "
        "that the method had not seen, with its standard error.",
    ),
    ("s/slice", "Seconds for a slice, once it is ready."),
)

#: Rows that there is always room for, and how high they are.
_ROWS, _ROW_PX = 4, 24

_ASK = (
    "Tries every method on what you annotated, each on parts that it has not seen, and says which "
    "one to use."
)
_OF_STROKES = (
    "Scores are of what you painted: if those are easy places, paint some that are doubtful, too, "
    "and compare again."
)


class ComparedTable(QWidget):
    """A button, the table, and what can be done with its rows.

    Attributes
    ----------
    used : Signal(object)
        A person wants to go on with a row.
    """

    used = Signal(object)

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._shown: list[MethodCompared] = []
        self._build()
        controller = context.controller
        listen(controller.compared.changed, self._on_compared)
        listen(controller.state_changed, self._update_buttons)
        listen(context.workspace.images_changed, self._update_buttons)
        listen(context.workspace.codes_changed, self._on_codes_changed)
        self._on_compared()

    def _build(self) -> None:
        self.compare = QPushButton("Compare methods")
        self.compare.clicked.connect(self._on_compare)
        self.seconds = SecondsBox(120)
        self.seconds.setToolTip("So long at most; what is quick is tried first.")
        self.table = ReadOnlyTable(_COLUMNS)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        self.table.verticalHeader().setDefaultSectionSize(_ROW_PX)
        self.table.verticalHeader().setMinimumSectionSize(_ROW_PX)
        header = self.table.horizontalHeader()
        for column in (1, 2):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.table.itemSelectionChanged.connect(self._update_buttons)
        self.sentence = _text()
        self.sentence.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self.note = _text()
        self.how = _text()
        self.how_fold = Fold(
            "How they were compared",
            "What they were scored on, and what was not tried.",
            [self.how],
        )
        self.use = QPushButton("Use it")
        self.use.clicked.connect(self._on_use)
        self.differ = QPushButton("Show differences")
        self.differ.clicked.connect(self._on_differ)
        self.save = QPushButton("Save table …")
        self.save.clicked.connect(self._on_save)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self.compare, 0, 0, 1, 2)
        grid.addWidget(self.seconds, 0, 2)
        grid.addWidget(self.sentence, 1, 0, 1, 3)
        grid.addWidget(self.table, 2, 0, 1, 3)
        grid.addWidget(self.note, 3, 0, 1, 3)
        for column, button in enumerate((self.use, self.differ, self.save)):
            grid.addWidget(button, 4, column)
        grid.addWidget(self.how_fold, 5, 0, 1, 3)
        grid.addWidget(self.how, 6, 0, 1, 3)
        grid.setRowStretch(2, 100)
        grid.setRowStretch(7, 1)

    # ----------------------------------------------------------------- state

    def refresh(self) -> None:
        """Bring the buttons up to date: the table comes into view."""
        self._update_buttons()

    def selected(self) -> list[MethodCompared]:
        """Return the rows that are selected, in their order."""
        return [self._shown[i.row()] for i in self.table.selectionModel().selectedRows()]

    def _on_compared(self) -> None:
        compared = self._context.controller.compared
        chosen = {row.name for row in self.selected()}
        self.table.clearSelection()
        self._shown = list(compared.rows)
        self.table.setRowCount(len(compared.rows))
        for i, row in enumerate(compared.rows):
            spread = "" if row.spread is None else f" ± {row.spread:.3f}"
            for column, text in enumerate(
                (row.title, f"{row.mean_iou:.3f}{spread}", f"{row.slice_s:.2g}")
            ):
                item = QTableWidgetItem(text)
                item.setToolTip(_about(row))
                self.table.setItem(i, column, item)
                item.setSelected(row.name in chosen)
        found = compared.recommended
        if found is not None and found.name is not None:
            at = [row.name for row in compared.rows].index(found.name)
            _embolden(self.table, at)
            if not chosen:
                self.table.selectRow(at)
        self._fit_height()
        self.table.setVisible(bool(compared.rows))
        self.sentence.setText(found.sentence if found is not None else compared.scored_on or _ASK)
        self._say_how()
        self._update_buttons()

    def _fit_height(self) -> None:
        """Make the table as high as its rows, and let it scroll where there is less room."""
        head = self.table.horizontalHeader().sizeHint().height() + 2 * self.table.frameWidth()
        n_rows = self.table.rowCount()
        self.table.setMinimumHeight(head + _ROW_PX * min(n_rows, _ROWS))
        self.table.setMaximumHeight(head + _ROW_PX * n_rows)

    def _say_how(self) -> None:
        compared = self._context.controller.compared
        reasons: dict[str, list[str]] = {}
        for missed in compared.not_run:
            reasons.setdefault(missed.reason, []).append(missed.title)
        left_out = [f"• {', '.join(titles)}: {reason}." for reason, titles in reasons.items()]
        lines = [compared.scored_on, _OF_STROKES, *(["Not tried:", *left_out] if left_out else [])]
        self.how.setText("\n".join(lines))
        n_left_out = f" ({len(compared.not_run)} were not)" if left_out else ""
        self.how_fold.setText(f"How they were compared{n_left_out}")
        is_known = compared.recommended is not None
        self.how_fold.setVisible(is_known)
        self.how.setVisible(is_known and self.how_fold.isChecked())

    def _on_codes_changed(self, *_: object) -> None:
        if not self.compare.isEnabled():
            self._update_buttons()

    def _update_buttons(self, *_: object) -> None:
        controller, rows = self._context.controller, self.selected()
        running = controller.is_comparing and controller.state is not JobState.CANCELLING
        self.compare.setText("Stop, and keep the rows so far" if running else "Compare methods")
        busy = None if running else controller.why_not_compare()
        idle = controller.state is JobState.IDLE
        _enable(self.compare, _ASK, busy)
        _enable(
            self.use,
            "Take its steps, or its model, to go on with.",
            None if len(rows) == 1 else "Select one row of the table.",
        )
        _enable(
            self.differ,
            "Show where two of them answer otherwise, in a layer.",
            None if len(rows) == 2 else "Select two rows of the table, with Ctrl or Shift.",
        )
        no_rows = None if controller.compared.rows and idle else "There is no table yet."
        _enable(self.save, "Write the table as CSV, and as a figure beside it.", no_rows)
        for button in (self.use, self.differ, self.save):
            button.setVisible(bool(controller.compared.rows))
        self.note.setText(rows[0].note if len(rows) == 1 else "")
        self.note.setVisible(bool(self.note.text()))

    # --------------------------------------------------------------- actions

    def _on_compare(self) -> None:
        controller = self._context.controller
        if controller.is_comparing:
            controller.stop()
        else:
            controller.compare(list(shipped_models().values()), float(self.seconds.value()))

    def _on_use(self) -> None:
        (row,) = self.selected()
        self.used.emit(row)

    def _on_differ(self) -> None:
        first, second = self.selected()
        entry = self._context.layers.current_image()
        codes = None if entry is None else where_they_differ(first, second, entry.id)
        if entry is None or codes is None:
            self._context.say("Neither was tried on this image; choose another in the layer list.")
            return
        title = f"{first.title} ≠ {second.title}"
        moment = self._context.controller.compared.moment
        self._context.results.show_difference(entry.id, title, codes, moment)
        planes = [plane for plane, labels in enumerate(codes) if labels.any()]
        if planes:
            self._context.layers.show_plane(entry, planes[0])
        self._context.say(
            f"The layer shows what {second.title} answers where they differ (background, too), on "
            "the slices that were scored on."
        )

    def _on_save(self) -> None:
        chosen = ask_paths(self, "new", "Save table", "CSV (*.csv)", "methods.csv")
        if chosen:
            path, completed = with_suffix(chosen[0], (".csv",))
            self.save_table(path, overwrite=not completed)

    def save_table(self, path: Path, *, overwrite: bool) -> None:
        """Write the table, and a figure of it beside it; neither where the other cannot be.

        Parameters
        ----------
        overwrite : bool
            Whether somebody agreed to replace the table; of the figure nobody was asked.
        """
        compared, figure = self._context.controller.compared, path.with_suffix(".png")
        try:
            check_free(figure, overwrite=compared.recommended is None)
            write_csv(path, compared.rows, overwrite=overwrite)
            if compared.recommended is not None:
                drawn = draw_figure(compared.rows, compared.recommended, compared.scored_on)
                with atomic_file(figure) as partial:
                    drawn.save(partial, format="PNG")
        except (OSError, UserError) as error:
            self._context.say(f"The table could not be written: {error}")
            return
        beside = "" if compared.recommended is None else f", with a figure beside it, {figure.name}"
        self._context.say(f"Saved as {path.name}{beside}.")


def _text() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _embolden(table: QTableWidget, row: int) -> None:
    for column in range(table.columnCount()):
        font = table.font()
        font.setBold(True)
        table.item(row, column).setFont(font)


def _about(row: MethodCompared) -> str:
    """Say everything that is known of a row."""
    lines = [
        row.title,
        f"Dice {row.dice:.3f}, F1 {row.f1:.3f}"
        + ("" if row.boundary_f1 is None else f", boundary F1 {row.boundary_f1:.3f}"),
        "IoU: " + ", ".join(f"{name} {value:.3f}" for name, value in row.iou.items()),
        f"{row.prepare_s:.1f} s to prepare, {row.slice_s:.2g} s per slice",
        "Needs annotations." if row.needs_labels else "Works without annotations.",
    ]
    return "\n".join([*lines, row.note] if row.note else lines)


def _enable(button: QPushButton, what: str, why_not: str | None) -> None:
    button.setEnabled(why_not is None)
    button.setToolTip(why_not or what)
