"""The dock *U-Net segmentation*: a row of steps, the step at hand, and the status line."""

from __future__ import annotations

import weakref

from napari import Viewer
from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_unetseg.jobs import Worker
from napari_unetseg.workspace import JobController, Workspace

from .baselines_step import BaselinesStep
from .context import Context
from .correct_step import CorrectStep
from .data_step import DataStep
from .export_step import ExportStep
from .live_bar import LiveBar
from .next_line import NextLine
from .progress_strip import ProgressStrip
from .status_line import StatusLine
from .step import StepPanel
from .suggest_bar import SuggestBar
from .tour_bar import TourBar
from .train_step import TrainStep

_WIDTH_PX = 396

#: One workspace per viewer, however often the dock is closed and opened.
_CONTEXTS: weakref.WeakKeyDictionary[Viewer, Context] = weakref.WeakKeyDictionary()


class SegmentationDock(QWidget):
    """The plugin's one dock widget.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari. Closing the dock keeps everything; closing the viewer ends the job and
        writes the session out.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        # napari hands plugins a proxy, whose layers are proxies too and equal to nothing.
        self.context = _context_of(getattr(napari_viewer, "__wrapped__", napari_viewer))
        self.setMaximumWidth(_WIDTH_PX)
        # Else napari adds empty room below, the more docks were opened before the more.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.panels: list[StepPanel] = [
            step(self.context)
            for step in (DataStep, BaselinesStep, TrainStep, CorrectStep, ExportStep)
        ]
        data, _, train, _, export = self.panels
        assert isinstance(data, DataStep)
        assert isinstance(train, TrainStep)
        assert isinstance(export, ExportStep)
        self.train: TrainStep = train
        self.live = LiveBar(self.context, train.live_settings, SuggestBar(self.context))
        self.strip: ProgressStrip = ProgressStrip(self.context)
        next_line = NextLine(self.context, self)
        data.classes.counts.counted.connect(next_line.take_counts)
        self.status: StatusLine = StatusLine(self.context, next_line)
        self._stack = QStackedWidget()
        self._buttons = QButtonGroup(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 4, 4, 4)
        self.tour = TourBar(self.context, self)
        self.status.tour.clicked.connect(self.tour.start)
        self.tour.tour.changed.connect(self._hide_next)
        export.saved.connect(self.tour.tour.note_saved)
        column.addWidget(self.tour)
        column.addLayout(self._step_row())
        column.addWidget(self._stack, 1)
        column.addWidget(self.strip)
        column.addWidget(self.live)
        column.addWidget(self.status)
        self.show_step(0)

    @property
    def shown(self) -> int:
        """Number of the step in view."""
        return int(self._stack.currentIndex())

    def step_button(self, index: int) -> QPushButton:
        """Return the button that brings a step into view."""
        button: QPushButton = self._buttons.button(index)
        return button

    def show_step(self, index: int) -> None:
        """Bring a step into view."""
        self._buttons.button(index).setChecked(True)
        self._stack.setCurrentIndex(index)
        panel = self.panels[index]
        panel.entered()
        self.live.setVisible(isinstance(panel, TrainStep | CorrectStep))
        self.strip.set_wanted(isinstance(panel, TrainStep | CorrectStep))
        self.live.refresh()
        self.status.forget()
        self.status.next.refresh()

    def _hide_next(self) -> None:
        """Let the tour alone say what comes next."""
        self.status.next.setVisible(not self.tour.tour.is_on)

    def _step_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(2)
        for index, panel in enumerate(self.panels):
            self._stack.addWidget(_Scrolling(panel))
            button = QPushButton(panel.TITLE)
            button.setToolTip(panel.HINT)
            button.setCheckable(True)
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            self._buttons.addButton(button, index)
            row.addWidget(button)
        self._buttons.idClicked.connect(self.show_step)
        return row


class _Scrolling(QScrollArea):
    """A step that is scrolled where the window is not high enough for it."""

    def __init__(self, panel: StepPanel) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidgetResizable(True)
        self.setWidget(panel)

    def minimumSizeHint(self) -> QSize:
        """Return the width that the step needs beside a scroll bar, and next to no height."""
        panel, bar = self.widget(), self.verticalScrollBar()
        assert panel is not None
        assert bar is not None
        width = panel.minimumSizeHint().width() + bar.sizeHint().width()
        return QSize(width, super().minimumSizeHint().height())


def _context_of(viewer: Viewer) -> Context:
    """Return what the dock works with, made when the viewer first needs it."""
    context = _CONTEXTS.get(viewer)
    if context is None:
        workspace = Workspace()
        controller = JobController(workspace, Worker())
        context = Context(viewer, workspace, controller)
        _CONTEXTS[viewer] = context
        _Closing(context)
    return context


class _Closing(QObject):
    """Ends the job and writes the session out when the viewer's window closes.

    The window waits for what is being saved: a thread could not finish it once the program ends.
    napari removes and unparents a dock that is closed, so this hangs on the window: a close that
    is accepted is followed at once by hiding, one that the person takes back is not.
    """

    def __init__(self, context: Context) -> None:
        window = context.viewer.window._qt_window  # noqa: SLF001 - napari names no close event
        super().__init__(window)
        self._window: QWidget = window
        self._context: Context | None = context
        self._close_asked = False
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """See the window's events go by."""
        if event.type() == QEvent.Type.Close:
            if self._context is not None:
                self._context.saver.finish(self._window)
            self._close_asked = True
            QTimer.singleShot(0, self._forget)
        elif event.type() == QEvent.Type.Hide and self._close_asked:
            self._close()
        return False

    def _forget(self) -> None:
        self._close_asked = False

    def _close(self) -> None:
        context, self._context = self._context, None
        if context is not None:
            _CONTEXTS.pop(context.viewer, None)
            context.timer.stop()
            context.probabilities.close()
            context.layers.close()
            context.controller.close()
            context.workspace.close()
