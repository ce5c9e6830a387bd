"""Two hundred things done at random with mouse and keys, against a plain model of what is there."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
from person import Person
from plain_model import PlainModel
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from scipy import ndimage
from skimage.draw import polygon2mask

from napari_unetseg.annotations import add_class, delete_class, merge_classes
from napari_unetseg.errors import UserError
from napari_unetseg.project import Session
from napari_unetseg.widgets.layers import LayerBinder
from napari_unetseg.workspace import SlicesBeside, Workspace

pytestmark = [pytest.mark.window, pytest.mark.timeout(600)]

SHAPE = (3, 90, 120)
BRUSH_PX = 7
MOST_CLASSES = 4
N_ACTIONS = 120
FOUR = ndimage.generate_binary_structure(2, 1)


class Desk:
    """A window, a hand that does anything, and the model that is told of it."""

    def __init__(self, viewer, folder, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.viewer = viewer
        self.workspace = Workspace(Session(folder))
        self.layers = LayerBinder(viewer, self.workspace)
        pixels = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
        image = viewer.add_image(pixels, name="cells", scale=(2, 1, 1))
        self.entry = self.layers.add_image([image])
        self.model = PlainModel("class 1")
        self.model.add_image(self.entry.id, SHAPE)
        self.slices = SlicesBeside(self.workspace)
        self.layers.key_pressed.connect(self.on_key)
        self.person = Person(viewer)
        viewer.reset_view()
        viewer.dims.set_current_step(0, 0)

    def on_key(self, action: str) -> None:
        """Do what the dock does for a key."""
        assert action == "copy_before"
        with suppress(UserError):
            self.slices.copy_from(self.entry.id, self.plane, -1)

    # ---------------------------------------------------------------- chances

    def one_of(self, *choices):
        return choices[int(self.rng.integers(len(choices)))]

    def point(self) -> tuple[int, int]:
        return tuple(int(self.rng.integers(6, n - 6)) for n in SHAPE[1:])

    def class_in_hand(self) -> int:
        return int(self.rng.integers(self.model.n_classes + 1))

    @property
    def plane(self) -> int:
        return int(self.viewer.dims.current_step[0])

    def take_up(self, mode, role=None):
        """Return a layer with a tool in hand, its role, and what the tool leaves there."""
        role = role or self.one_of("annotations", "segmentation")
        k = self.class_in_hand()
        self.layers.set_tool(role, self.entry.id, mode, k)
        layer = self.viewer.layers.selection.active
        layer.brush_size = BRUSH_PX
        return layer, role, 0 if mode == "erase" else k + 1

    # ---------------------------------------------------------------- painting

    def before(self, role) -> np.ndarray:
        model = self.model
        seen = model.codes if role == "annotations" else model.shown
        return seen(self.entry.id)[self.plane]

    def take_over(self, plane, code, role, *, surely, at_most, seen) -> None:
        """Let the model follow a tool of which the edge is napari's business.

        Parameters
        ----------
        surely, at_most : ndarray of bool, shape (Y, X)
            Where it has painted, and outside of which nothing is another.
        seen : ndarray of uint8, shape (Y, X)
            What the layer showed before.
        """
        self.layers.flush()
        was, now = self.model.codes(self.entry.id), self.entry.codes.copy()
        meant = code if role == "annotations" else max(code, 1)
        changed = was[plane] != now[plane]
        others = np.arange(SHAPE[0]) != plane
        assert (was == now)[others].all(), "another slice was painted on"
        assert not changed[~at_most].any(), "painted where the tool has not been"
        assert (now[plane][changed] == meant).all()
        # Erased where nothing was, nothing is.
        surely = surely & ((seen != 0) | (code != 0))
        assert (now[plane][surely] == meant).all(), "painted pixels were lost"
        self.model.write(self.entry.id, now, [c.name for c in self.workspace.classes])

    def near(self, points, reach: float) -> np.ndarray:
        """Return what lies within reach of a path."""
        away = np.full(SHAPE[1:], np.inf)
        pixels = np.moveaxis(np.indices(SHAPE[1:]), 0, -1)
        for start, end in pairwise(np.asarray(points, float)):
            along = end - start
            t = np.clip((pixels - start) @ along / max(float(along @ along), 1e-9), 0, 1)
            away = np.minimum(away, np.linalg.norm(pixels - start - t[..., None] * along, axis=-1))
        return away <= reach

    def sure(self, points) -> np.ndarray:
        """Return what a brush has covered; napari leaves the last moves of a quick one out."""
        *most, start, end = np.asarray(points, float)
        return self.near([*most, start, start + 0.6 * (end - start)], BRUSH_PX / 2 - 1.5)

    def stroke(self, mode="paint") -> None:
        layer, role, code = self.take_up(mode)
        seen, points = self.before(role), [self.point() for _ in range(self.one_of(2, 2, 3))]
        self.person.stroke(layer, points)
        reached = self.near(points, BRUSH_PX / 2 + 1.5)
        self.take_over(self.plane, code, role, surely=self.sure(points), at_most=reached, seen=seen)

    def erase(self) -> None:
        self.stroke("erase")

    def fill(self) -> None:
        layer, role, code = self.take_up("fill")
        seen, point = self.before(role), self.point()
        self.person.point_at(layer, point)
        self.person.press(layer, point)
        self.person.end_stroke(layer, point)
        pieces, _ = ndimage.label(seen == seen[point], FOUR)
        piece = (pieces == pieces[point]) & (seen != code)
        self.take_over(self.plane, code, role, surely=piece, at_most=piece, seen=seen)

    def polygon(self) -> None:
        layer, role, code = self.take_up("polygon")
        seen, (top, left) = self.before(role), self.point()
        bottom, right = (min(n - 2, at + 30) for n, at in zip(SHAPE[1:], (top, left), strict=True))
        corners = [(top, left), (top, right), (bottom, (left + right) // 2)]
        layer.paint_polygon([(self.plane, *corner) for corner in corners], code)
        if self.rng.random() < 0.3:  # closed before anybody has looked at what was painted
            self.viewer.layers.remove(layer)
        inside = polygon2mask(SHAPE[1:], corners)
        self.take_over(
            self.plane,
            code,
            role,
            # Where the segmentation shows as much, only the brush confirms it.
            surely=ndimage.binary_erosion(inside, iterations=2) & (seen != code),
            at_most=ndimage.binary_dilation(inside, iterations=2),
            seen=seen,
        )

    def stroke_while_something_happens(self) -> None:
        """Predictions, undo and keys in the middle of a stroke change nothing of it."""
        layer, role, code = self.take_up("paint")
        plane, seen, points = self.plane, self.before(role), [self.point(), self.point()]
        self.person.begin_stroke(layer, points[0])
        between = np.mean(points, axis=0)
        self.person.go_on(layer, between)
        shown = np.asarray(layer.data).copy()
        happenings = ("predict", "press_undo", "press_copy")
        for happens in (self.one_of(*happenings), self.one_of(*happenings)):
            getattr(self, happens)()
            self.layers.flush()
            now = np.asarray(layer.data)
            # The canvas may hand the last move on late.
            by_brush = (now == code) & np.isin(np.arange(SHAPE[0]), plane)[:, None, None]
            same = (now == shown) | (by_brush & self.near([points[0], between], BRUSH_PX))
            assert same.all(), f"{happens} has written under the brush on the {role}"
        self.person.go_on(layer, points[1])
        self.person.go_on(layer, points[1])
        self.person.end_stroke(layer, points[1])
        path = [points[0], between, points[1]]
        reached = self.near(path, BRUSH_PX / 2 + 1.5)
        surely = self.near(path[:2], BRUSH_PX / 2 - 1.5)
        self.take_over(plane, code, role, surely=surely, at_most=reached, seen=seen)

    def press_undo(self) -> None:
        self.person.undo()

    def press_copy(self) -> None:
        QTest.keyClick(self.person.canvas, Qt.Key.Key_Comma)
        QApplication.processEvents()

    # ------------------------------------------------------------- all the rest

    def predict(self) -> None:
        plane = int(self.rng.integers(SHAPE[0]))
        identities = self.model.oldest_identities()
        slots = self.workspace.prediction_slots()
        patches = self.rng.integers(1, len(identities) + 2, (6, 8))
        codes = patches.repeat(15, 0).repeat(15, 1)
        self.workspace.set_prediction(self.entry.id, plane, slots[codes])
        self.model.answer(self.entry.id, plane, np.array([0, 1, *identities])[codes])

    def accept(self) -> None:
        planes = self.one_of([self.plane], list(range(SHAPE[0])))
        after, shown = self.model.codes(self.entry.id), self.model.shown(self.entry.id)
        for plane in planes:
            after[plane] = np.where(after[plane] == 0, shown[plane], after[plane])
        self.workspace.accept(self.entry.id, planes)
        self.model.write(self.entry.id, after, [])

    def undo(self) -> None:
        self.hold_a_layer()
        for _ in range(self.one_of(1, 1, 3)):
            self.person.undo()
            self.model.undo()

    def redo(self) -> None:
        self.hold_a_layer()
        for _ in range(self.one_of(1, 1, 3)):
            self.person.redo()
            self.model.redo()

    def hold_a_layer(self) -> None:
        """Have one of our layers be the active one: keys are its."""
        role = self.one_of("annotations", "segmentation")
        self.layers.set_tool(role, self.entry.id, "pan_zoom", 1)

    def move_the_slider(self) -> None:
        self.viewer.dims.set_current_step(0, int(self.rng.integers(SHAPE[0])))

    def hide_or_show(self) -> None:
        layer = self.a_layer()
        layer.visible = not layer.visible

    def close_a_layer(self) -> None:
        layer = self.a_layer()
        self.viewer.layers.remove(layer)
        if self.rng.random() < 0.5:
            self.layers.annotations_layer(self.entry.id)

    def a_layer(self):
        role = self.one_of(self.layers.annotations_layer, self.layers.segmentation_layer)
        return role(self.entry.id)

    def change_classes(self) -> None:
        n, change = self.model.n_classes, self.workspace.change_classes
        if n < MOST_CLASSES and (n == 1 or self.rng.random() < 0.5):
            change(add_class, label="adding")
            self.model.add_class(self.workspace.classes[-1].name)
        elif self.rng.random() < 0.5:
            change(delete_class, n, label="deleting")
            self.model.turn_class(n, None)
        else:
            change(merge_classes, n, 1, label="merging")
            self.model.turn_class(n, 1)

    #: What is done how often.
    ACTIONS = (
        "stroke", "stroke", "stroke", "stroke", "erase", "erase", "fill", "polygon", "polygon",
        "stroke_while_something_happens", "stroke_while_something_happens", "predict", "predict",
        "predict", "accept", "undo", "undo", "undo", "redo", "redo", "move_the_slider",
        "hide_or_show", "close_a_layer", "change_classes",
    )  # fmt: skip

    def act(self) -> str:
        action = self.one_of(*self.ACTIONS)
        getattr(self, action)()
        self.layers.flush()
        return action

    # ------------------------------------------------------------------ checks

    def check(self) -> None:
        image = self.entry.id
        codes, shown = self.model.codes(image), self.model.shown(image)
        assert (self.entry.codes == codes).all(), "annotations"
        assert len(self.workspace.log._done) == len(self.model.past), "steps done"
        assert len(self.workspace.log._undone) == len(self.model.future), "steps undone"
        for plane in range(SHAPE[0]):
            assert (self.entry.segmentation(plane) == shown[plane]).all(), "segmentation"
        if self.layers.is_shown(image):
            layer = self.layers.annotations_layer(image)
            assert (np.asarray(layer.data) == codes).all(), "annotations layer"
        layer = self.layers.shown_segmentation(image)
        if layer is not None:
            assert (np.asarray(layer.data) == shown).all(), "segmentation layer"

    def all_the_way_and_back(self) -> None:
        codes = self.entry.codes.copy()
        n_steps = len(self.model.past)
        for _ in range(n_steps):
            assert self.workspace.undo() is not None
            assert self.model.undo()
        self.check()
        assert not self.entry.codes.any()
        for _ in range(n_steps):
            assert self.workspace.redo() is not None
            assert self.model.redo()
        self.check()
        assert (self.entry.codes == codes).all()

    def close(self) -> None:
        self.layers.close()
        self.workspace.close()


@pytest.mark.parametrize("seed", [0, 1])
def test_layers_workspace_and_a_plain_model_agree_after_every_action(
    make_napari_viewer, tmp_path, seed
):
    desk = Desk(make_napari_viewer(show=True), tmp_path, seed)
    done = []
    try:
        for _ in range(N_ACTIONS):
            try:
                done.append(desk.act())
                desk.check()
            except AssertionError as error:
                raise AssertionError(f"action {len(done)} after {done[-8:]}: {error}") from error
        desk.all_the_way_and_back()
    finally:
        desk.close()
