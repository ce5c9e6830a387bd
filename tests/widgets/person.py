"""A scripted person: real mouse and key events in a real napari window."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget


class Person:
    """Paints, clicks and types in the window of a viewer."""

    def __init__(self, viewer) -> None:
        self.viewer = viewer
        self.canvas = viewer.window._qt_viewer.canvas.native

    def stroke(self, layer, points: Sequence[tuple[float, float]], steps: int = 6) -> None:
        """Drag the mouse along (y, x) points, in px of the slice in view."""
        QApplication.processEvents()  # what is still to be laid out would move the canvas
        places = [self._place(layer, *points[0])]
        for start, end in pairwise(np.asarray(points, float)):
            on_the_way = (start + t * (end - start) for t in np.linspace(0, 1, steps + 1)[1:])
            places.extend(self._place(layer, *point) for point in on_the_way)
            places.append(places[-1])  # a hand slows down where it turns
        self._send(QEvent.Type.MouseMove, places[0], down=False)
        self._send(QEvent.Type.MouseButtonPress, places[0], down=True)
        for place in places:
            self._send(QEvent.Type.MouseMove, place, down=True)
        self._send(QEvent.Type.MouseButtonRelease, places[-1], down=False)
        QApplication.processEvents()

    def begin_stroke(self, layer, point: tuple[float, float]) -> None:
        """Press the mouse button and keep it down."""
        self.point_at(layer, point)
        self.press(layer, point)
        self.go_on(layer, point)

    def point_at(self, layer, point: tuple[float, float]) -> None:
        """Move the mouse with no button down."""
        self._send(QEvent.Type.MouseMove, self._place(layer, *point), down=False)

    def press(self, layer, point: tuple[float, float]) -> None:
        """Press the mouse button, and return at once."""
        self._send(QEvent.Type.MouseButtonPress, self._place(layer, *point), down=True)

    def go_on(self, layer, point: tuple[float, float]) -> None:
        """Move with the button down."""
        self._send(QEvent.Type.MouseMove, self._place(layer, *point), down=True)

    def end_stroke(self, layer, point: tuple[float, float]) -> None:
        """Let the button go."""
        self._send(QEvent.Type.MouseButtonRelease, self._place(layer, *point), down=False)
        QApplication.processEvents()

    def undo(self) -> None:
        """Press Ctrl+Z over the canvas."""
        QTest.keyClick(self.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        QApplication.processEvents()

    def redo(self) -> None:
        """Press Ctrl+Shift+Z over the canvas."""
        both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
        QTest.keyClick(self.canvas, Qt.Key.Key_Z, both)
        QApplication.processEvents()

    def new_label(self) -> None:
        """Press M over the canvas: napari chooses a label that is not in use."""
        QTest.keyClick(self.canvas, Qt.Key.Key_M)
        QApplication.processEvents()

    def click(self, widget: QWidget) -> None:
        """Click a widget in its middle; it must be in view and enabled."""
        assert widget.isVisible(), f"{widget} is not in view"
        assert widget.isEnabled(), f"{widget} is disabled: {widget.toolTip()}"
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton)
        QApplication.processEvents()

    def wait(self, until: Callable[[], object], seconds: float = 60) -> None:
        """Let the window run until something is so."""
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {seconds} s in vain")
            QApplication.processEvents()
            time.sleep(0.005)

    def _place(self, layer, y: float, x: float) -> QPointF:
        """Return where a pixel of the slice in view is on the canvas."""
        point = [*self.viewer.dims.point[-layer.ndim : -2], 0, 0]
        data = list(layer.world_to_data(point))
        data[-2:] = (y, x)
        world = np.asarray(layer.data_to_world(data))[-2:]
        centre = np.asarray(self.viewer.scene.camera.center)[-2:]
        row, column = (world - centre) * self.viewer.scene.camera.zoom
        return QPointF(column + self.canvas.width() / 2, row + self.canvas.height() / 2)

    def _send(self, kind, place: QPointF, *, down: bool) -> None:
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        button = none if kind == QEvent.Type.MouseMove else left
        event = QMouseEvent(
            kind,
            place,
            QPointF(self.canvas.mapToGlobal(place.toPoint())),
            button,
            left if down else none,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(self.canvas, event)
        if kind == QEvent.Type.MouseMove:
            # napari lets one move through every 5 ms, and no hand is faster.
            QTest.qWait(12)
