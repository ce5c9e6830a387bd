"""A person at the window who knows the truth, and works as it says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from person import Person
from qtpy.QtCore import QEventLoop, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QStyle, QStyleOptionViewItem
from scipy.ndimage import binary_opening, distance_transform_edt, uniform_filter

from napari_unetseg.measure import ConfusionMatrix, scores
from napari_unetseg.samples.strokes import Annotator, Stroke
from napari_unetseg.widgets.dock import SegmentationDock
from napari_unetseg.widgets.frame import centre_on

DATA, BASELINES, TRAIN, CORRECT, EXPORT = range(5)

#: Share of pixels that may be mistaken, rims left out, in what is accepted as right.
RIGHT_ENOUGH = 0.01


@dataclass(frozen=True, slots=True)
class Looked:
    """What a person saw of a part of a slice.

    Attributes
    ----------
    plane : int
    box : tuple of int
        First row and column, and those after the last.
    """

    plane: int
    box: tuple[int, int, int, int]

    @property
    def inside(self) -> tuple[slice, slice]:
        """Rows and columns."""
        top, left, bottom, right = self.box
        return slice(top, bottom), slice(left, right)


class Oracle(Person):
    """Works at a window with the plugin docked, as a true mask says.

    Parameters
    ----------
    viewer : napari.Viewer
    dock : SegmentationDock
    truth : ndarray, shape (planes, Y, X), uint8
        Codes of every pixel: 1 background, ``k + 1`` class `k`.
    seed : int
        Of the strokes.
    brush_px, length_px : float
        The widest brush, and how long strokes are.
    """

    def __init__(
        self,
        viewer,
        dock: SegmentationDock,
        truth: np.ndarray,
        seed: int = 0,
        brush_px: float = 5.0,
        length_px: float = 60.0,
    ) -> None:
        super().__init__(viewer)
        self.dock = dock
        self.truth = truth
        self.layers = dock.context.layers
        self.controller = dock.context.controller
        self.workspace = dock.context.workspace
        self.n_strokes = 0
        self._annotator = Annotator(truth, seed, brush_px)
        self._brush_px, self._length_px = brush_px, length_px

    def pause(self, seconds: float) -> None:
        """Do nothing for a while, as the window runs for a person: idle between events."""
        loop = QEventLoop()
        QTimer.singleShot(round(1000 * seconds), loop.quit)
        loop.exec()

    # ------------------------------------------------------------------ steps

    def open(self, path: Path) -> None:
        """Open a stack and check it in the Data step."""
        self.viewer.open(str(path), plugin="napari-unetseg")
        self.viewer.reset_view()
        images = self.go_to(DATA).images
        self.wait(lambda: images.count() == 1)
        self.click_in(images, self._checkbox_of(images))
        self.wait(lambda: self.workspace.images)
        self.entry = next(iter(self.workspace.images.values()))

    def go_to(self, step: int):
        """Press the button of a step; return the step."""
        self.click(self.dock._buttons.button(step))
        return self.dock.panels[step]

    def click_in(self, widget, place) -> None:
        """Click at a place of a list or a table."""
        QTest.mouseClick(widget.viewport(), Qt.MouseButton.LeftButton, pos=place)

    def key(self, key) -> None:
        """Press a key over the canvas."""
        QTest.keyClick(self.canvas, key)

    @staticmethod
    def _checkbox_of(images):
        option = QStyleOptionViewItem()
        option.initFrom(images)
        option.rect = images.visualItemRect(images.item(0))
        option.features |= QStyleOptionViewItem.ViewItemFeature.HasCheckIndicator
        part = QStyle.SubElement.SE_ItemViewItemCheckIndicator
        return images.style().subElementRect(part, option, images).center()

    # --------------------------------------------------------------- painting

    def first_strokes(self, plane: int, codes: list[int]) -> None:
        """Paint strokes of some codes on the annotations of a slice, in the Data step."""
        self.layers.show_plane(self.entry, plane)
        table = self.go_to(DATA).classes.table
        drawn = np.array(self.entry.codes)
        for stroke in self._annotator.annotate(drawn, plane, codes, self._length_px):
            for row in (0, 1, stroke.code - 1):  # a row that is selected already says nothing
                self.click_in(table, table.visualItemRect(table.item(row, 2)).center())
            self.drag(stroke)

    def correct(self, at: Looked, n: int) -> list[Stroke]:
        """Return strokes where most is wrong in a part of a slice, and beside it."""
        shown = self.truth.copy()  # elsewhere nobody looks for mistakes
        shown[at.plane][at.inside] = self.seen(at)
        drawn = np.array(self.entry.codes)
        return self._annotator.correct(drawn, shown, [at.plane], n, self._length_px)

    def paint(self, stroke: Stroke) -> None:
        """Paint on the segmentation, in the Correct step."""
        tools = self.dock.panels[CORRECT].tools
        if tools.mode != "paint":
            self.click(tools.tools.button(0))
        tools.label.setFocus()
        while tools.label.currentIndex() != stroke.code - 1:
            down = stroke.code - 1 > tools.label.currentIndex()
            QTest.keyClick(tools.label, Qt.Key.Key_Down if down else Qt.Key.Key_Up)
        self.drag(stroke)

    def drag(self, stroke: Stroke) -> None:
        """Drag the mouse along a stroke with what is in hand."""
        layer = self.viewer.layers.selection.active
        layer.brush_size = self._brush_of(stroke)
        self.stroke(layer, [tuple(p) for p in stroke.path[::2]], steps=2)
        self.n_strokes += 1

    def _brush_of(self, stroke: Stroke) -> int:
        """Return the brush that a careful person takes for what a stroke follows."""
        room = distance_transform_edt(self.truth[stroke.plane] == stroke.code)
        y, x = np.round(stroke.path).astype(int).T
        return int(np.clip(2 * np.percentile(room[y, x], 5) - 1, 1, self._brush_px))

    # ---------------------------------------------------------------- looking

    def seen(self, at: Looked) -> np.ndarray:
        """Return the codes shown of a part of a slice."""
        return np.asarray(self.entry.segmentation(at.plane))[at.inside]

    def in_sight(self) -> Looked:
        """Return what is in sight of the slice in view."""
        box = self.layers.box_in_sight(self.entry, seen_only=True)
        return Looked(self.layers.current_plane(self.entry), tuple(map(int, box)))

    def find_right(self, plane: int, size_px: int) -> Looked:
        """Zoom to where a square of a slice is most nearly right; return what is in sight then."""
        wrong = self.truth[plane] != np.asarray(self.entry.segmentation(plane))
        share = uniform_filter(wrong.astype(float), size_px)
        half = size_px // 2
        inner = share[half:-half, half:-half]
        y, x = np.array(np.unravel_index(inner.argmin(), inner.shape))
        centre_on(self.layers, self.entry, (y, x, y + size_px, x + size_px))
        self.pause(0.3)
        return self.in_sight()

    def is_right(self, at: Looked) -> bool:
        """Tell whether a part of a slice would be accepted; thin rims are no mistakes."""
        seen, truth = self.seen(at), self.truth[at.plane][at.inside]
        wrong = sum(
            np.count_nonzero(binary_opening((truth == code) & (seen != code), np.ones((3, 3))))
            for code in np.unique(truth)
        )
        return bool(seen.all()) and wrong <= RIGHT_ENOUGH * truth.size

    def next_suggestion(self, seconds: float = 60) -> Looked:
        """Press N and wait for what it leads to."""
        suggestions = self.controller.suggestions
        before = suggestions.current
        self.key(Qt.Key.Key_N)
        self.wait(
            lambda: not suggestions.is_asked and suggestions.current not in (None, before), seconds
        )
        at = suggestions.current
        return Looked(at.plane, (at.y, at.x, at.y + at.height, at.x + at.width))

    def ask_again(self, seconds: float = 60) -> Looked:
        """Press *Suggest* and wait for the first of what comes."""
        suggestions = self.controller.suggestions
        self.click(self.dock.live.suggestions.suggest)
        self.wait(lambda: not suggestions.is_asked and suggestions.at == 0, seconds)
        at = suggestions.current
        return Looked(at.plane, (at.y, at.x, at.y + at.height, at.x + at.width))

    def mean_iou(self, planes) -> float:
        """Return how well slices agree with the truth as they are shown: mean over classes."""
        matrix = ConfusionMatrix(int(self.truth.max()))
        for plane in planes:
            matrix.add(self.truth[plane], np.asarray(self.entry.segmentation(plane)))
        iou = scores(matrix, ["background", *(c.name for c in self.workspace.classes)]).iou
        return sum(iou.values()) / len(iou)

    def share_right(self) -> float:
        """Return the share of annotated pixels that are annotated as the truth has them."""
        codes = np.array(self.entry.codes)
        return float((codes == self.truth)[codes > 0].mean())
