from __future__ import annotations

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from person import Person
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_unetseg.annotations import add_class, recolor_class
from napari_unetseg.project import Session
from napari_unetseg.widgets.layers import LayerBinder
from napari_unetseg.widgets.strokes import covered_by_brush
from napari_unetseg.workspace import SlicesBeside, Workspace

pytestmark = pytest.mark.window
SHAPE = (4, 120, 160)


class Bench:
    """A window with one image taken into the data set."""

    def __init__(self, viewer, folder) -> None:
        self.viewer = viewer
        self.workspace = Workspace(Session(folder))
        self.layers = LayerBinder(viewer, self.workspace)
        pixels = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
        self.image = viewer.add_image(pixels, name="cells", scale=(2, 1, 1))
        self.entry = self.layers.add_image([self.image])
        self.person = Person(viewer)
        viewer.reset_view()
        viewer.dims.set_current_step(0, 0)

    def paint(self, role, points, k=1, mode="paint"):
        self.layers.set_tool(role, self.entry.id, mode, k)
        layer = self.viewer.layers.selection.active
        layer.brush_size = 5
        self.person.stroke(layer, points)
        return layer


@pytest.fixture
def bench(make_napari_viewer, tmp_path):
    bench = Bench(make_napari_viewer(show=True), tmp_path)
    yield bench
    bench.layers.close()
    bench.workspace.close()


def test_a_stroke_with_the_mouse_becomes_an_annotation_of_that_slice(bench):
    bench.viewer.dims.set_current_step(0, 2)
    layer = bench.paint("annotations", [(60, 30), (60, 90)])
    codes = bench.entry.codes
    assert (codes[2, 60, 40:80] == 2).all()
    assert not codes[[0, 1, 3]].any()
    assert (np.asarray(layer.data) == codes).all()
    assert bench.workspace.log.undo_label == "stroke"


def test_ctrl_z_takes_a_stroke_back_and_ctrl_shift_z_brings_it_again(bench):
    bench.paint("annotations", [(60, 30), (60, 90)])
    painted = bench.entry.codes.copy()
    layer = bench.paint("annotations", [(20, 30), (80, 90)], k=0)
    both = bench.entry.codes.copy()
    bench.person.undo()
    assert (bench.entry.codes == painted).all()
    assert (np.asarray(layer.data) == painted).all()
    bench.person.undo()
    assert not bench.entry.codes.any()
    bench.person.redo()
    bench.person.redo()
    assert (np.asarray(layer.data) == both).all()


def test_a_stroke_on_the_segmentation_is_a_correction_and_is_undone_there(bench):
    prediction = np.full(SHAPE[1:], 1, np.uint8)
    bench.workspace.set_prediction(bench.entry.id, 0, prediction)
    shown = bench.paint("segmentation", [(60, 30), (60, 90)])
    assert shown.name == "cells · segmentation"
    assert (bench.entry.codes[0, 60, 40:80] == 2).all()
    annotations = bench.layers.annotations_layer(bench.entry.id)
    assert (np.asarray(annotations.data) == bench.entry.codes).all()
    bench.paint("segmentation", [(60, 30), (60, 90)], mode="erase")
    assert (bench.entry.codes[0, 60, 40:80] == 1).all()
    bench.person.undo()
    bench.person.undo()
    assert not bench.entry.codes.any()
    assert (np.asarray(shown.data)[0] == prediction).all()


def test_a_stroke_where_the_segmentation_is_right_confirms_it(bench):
    half = np.full(SHAPE[1:], 1, np.uint8)
    half[:, 60:] = bench.workspace.prediction_slots()[2]
    bench.workspace.set_prediction(bench.entry.id, 1, half)
    bench.viewer.dims.set_current_step(0, 1)
    layer = bench.paint("segmentation", [(60, 30), (60, 90)])
    bench.layers.flush()
    # napari leaves the last move of a quick stroke out now and then.
    assert (bench.entry.codes[1, 60, 32:78] == 2).all()
    rows, columns = np.nonzero(bench.entry.codes[1])
    assert rows.min() >= 57
    assert rows.max() <= 63
    assert columns.min() >= 26
    assert columns.max() <= 94
    bench.person.undo()
    assert not bench.entry.codes.any(), "one stroke is one step"
    bench.person.stroke(layer, [(80, 70), (80, 100)])
    bench.layers.flush()
    assert (bench.entry.codes[1, 80, 72:88] == 2).all(), "nothing changed, all was confirmed"
    assert not bench.entry.codes[0].any()
    bench.person.undo()
    assert not bench.entry.codes.any()


def test_what_a_brush_covers_ends_with_the_image():
    covered = covered_by_brush(np.array([[-3.0, 4.0], [2.0, 4.0]]), 5, (8, 9))
    assert covered[:4, 3:6].all()
    assert not covered[6:].any()
    assert not covered_by_brush(np.array([[-30.0, 4.0]]), 5, (8, 9)).any()


def test_a_prediction_that_comes_during_a_stroke_waits_until_it_has_ended(bench):
    bench.workspace.change_classes(add_class, "b", label="adding")
    bench.workspace.set_prediction(bench.entry.id, 0, np.full(SHAPE[1:], 1, np.uint8))
    bench.layers.set_tool("segmentation", bench.entry.id, "paint", 1)
    layer = bench.viewer.layers.selection.active
    layer.brush_size = 5
    bench.person.begin_stroke(layer, (60, 40))
    bench.workspace.set_prediction(bench.entry.id, 0, np.full(SHAPE[1:], 3, np.uint8))
    bench.layers.flush()
    bench.person.go_on(layer, (60, 80))
    assert int(layer.data[0, 5, 5]) == 1
    bench.person.end_stroke(layer, (60, 80))
    bench.layers.flush()
    assert int(layer.data[0, 5, 5]) == 3
    assert (bench.entry.codes[0, 60, 42:78] == 2).all()
    assert set(np.unique(bench.entry.codes)) == {0, 2}


@pytest.mark.parametrize("role", ["annotations", "segmentation"])
def test_a_polygon_becomes_an_annotation_and_is_undone(bench, role):
    bench.workspace.set_prediction(bench.entry.id, 0, np.full(SHAPE[1:], 1, np.uint8))
    bench.layers.set_tool(role, bench.entry.id, "polygon", 1)
    layer = bench.viewer.layers.selection.active
    layer.paint_polygon([(0, 20, 20), (0, 20, 60), (0, 60, 60), (0, 60, 20)], 2)
    bench.layers.flush()
    assert (bench.entry.codes[0, 25:55, 25:55] == 2).all()
    annotations = bench.layers.annotations_layer(bench.entry.id)
    assert (np.asarray(annotations.data) == bench.entry.codes).all()
    bench.person.undo()
    assert not bench.entry.codes.any()
    assert not np.asarray(annotations.data).any()


def test_a_closed_layer_comes_back_with_everything_that_was_painted(bench):
    layer = bench.paint("annotations", [(60, 30), (60, 90)])
    bench.viewer.layers.remove(layer)
    again = bench.layers.annotations_layer(bench.entry.id)
    assert again is not layer
    assert (np.asarray(again.data) == bench.entry.codes).all()
    assert again.data.any()


def test_layers_are_found_after_they_were_renamed(bench):
    bench.layers.annotations_layer(bench.entry.id).name = "mine"
    bench.paint("annotations", [(60, 30), (60, 90)])
    assert bench.entry.codes.any()
    assert sum(layer.name.startswith("cells ·") for layer in bench.viewer.layers) == 0


def test_class_colours_are_the_same_in_every_layer(bench):
    bench.workspace.set_prediction(bench.entry.id, 0, np.full(SHAPE[1:], 1, np.uint8))
    bench.workspace.change_classes(add_class, "b", label="adding")
    bench.workspace.change_classes(recolor_class, 2, "#123456", label="colouring")
    for layer in bench.layers.labels_layers():
        assert np.allclose(layer.colormap.color_dict[3][:3], np.array([0x12, 0x34, 0x56]) / 255)


def test_a_new_layer_does_not_take_the_brush_out_of_the_hand(bench):
    layer = bench.paint("annotations", [(60, 30), (60, 90)])
    bench.workspace.set_prediction(bench.entry.id, 0, np.full(SHAPE[1:], 1, np.uint8))
    assert bench.viewer.layers.selection.active is layer
    assert str(layer.mode) == "paint"


def test_the_labels_lie_on_the_image(bench):
    layer = bench.layers.annotations_layer(bench.entry.id)
    assert (layer.scale == bench.image.scale).all()
    assert layer.data.shape == bench.image.data.shape


@pytest.mark.parametrize(
    ("shape", "rgb", "axes", "expected"),
    [
        ((30, 40), False, "YX", ("YX", 1)),
        ((30, 40, 3), True, "YX", ("CYX", 3)),
        ((2, 30, 40), False, "CYX", ("CYX", 2)),
        ((3, 2, 30, 40), False, "TZYX", ("TZYX", 1)),
        ((5, 30, 40, 3), True, "ZYX", ("CZYX", 3)),
    ],
)
def test_images_of_every_kind_become_stacks(
    make_napari_viewer, tmp_path, shape, rgb, axes, expected
):
    viewer = make_napari_viewer()
    workspace = Workspace(Session(tmp_path))
    layers = LayerBinder(viewer, workspace)
    pixels = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    image = viewer.add_image(pixels, rgb=rgb)
    entry = layers.add_image([image], axes)
    assert (entry.stack.axes, entry.stack.n_channels) == expected
    assert layers.annotations_layer(entry.id).data.shape == entry.stack.labels_shape
    layers.close()
    workspace.close()


def test_the_first_prediction_arrives_in_3d_before_the_mouse_has_moved_again(bench):
    Person(bench.viewer).point_at(bench.layers.annotations_layer(bench.entry.id), (40, 40))
    bench.viewer.dims.ndisplay = 3
    slots = bench.workspace.prediction_slots()
    for plane in range(2):
        bench.workspace.set_prediction(
            bench.entry.id, plane, slots[np.full(bench.entry.shape[1:], 2, np.uint8)]
        )
    names = [layer.name for layer in bench.viewer.layers]
    assert names == ["cells", "cells · segmentation", "cells · annotations"]
    bench.layers.set_tool("annotations", bench.entry.id, "paint", 1)


def test_pixels_put_in_place_of_a_layers_are_taken_over_and_strokes_go_on_counting(bench):
    layer = bench.layers.annotations_layer(bench.entry.id)
    bench.layers.set_tool("annotations", bench.entry.id, "paint", 1)
    Person(bench.viewer).stroke(layer, [(20, 20), (20, 60)])
    before = bench.entry.codes.copy()
    assert before.any()
    layer.data = np.asarray(layer.data).astype(np.int32)
    assert (bench.entry.codes == before).all()
    other = np.asarray(layer.data).astype(np.int64)
    other[0, 60:64, 60:64] = 1
    other[0, 70, 70] = 99
    layer.data = other
    said = notification_manager.records[-1].message
    assert said.startswith("1 pixel of cells · annotations stayed")
    assert (bench.entry.codes[0, 60:64, 60:64] == 1).all()
    assert bench.entry.codes[0, 70, 70] == 0
    Person(bench.viewer).stroke(layer, [(80, 20), (80, 60)])
    assert (np.asarray(layer.data) == bench.entry.codes).all()
    assert (bench.entry.codes != before).sum() > 100


def test_a_region_follows_polygons_undo_and_pixels_put_in_its_place(bench):
    entry = bench.entry
    layer = bench.layers.region_layer(entry.id)
    bench.layers.set_tool("region", entry.id, "polygon", 1)
    layer.paint_polygon([(0, 20, 20), (0, 20, 90), (0, 80, 90), (0, 80, 20)], 1)
    bench.layers.flush()
    assert entry.allowed(0)[30:70, 30:80].all()
    assert not entry.allowed(0)[100:].any()
    bench.person.undo()
    assert entry.allowed(0).all(), "no region is left, so the whole image is used"
    bench.person.redo()
    assert not entry.allowed(0).all()
    layer.data = np.zeros_like(layer.data)
    assert entry.allowed(0).all()
    bench.layers.set_tool("region", entry.id, "paint", 1)
    bench.person.stroke(layer, [(60, 30), (60, 90)])
    assert entry.allowed(0)[60, 40:80].all()
    assert not entry.allowed(0)[100:].any()


def test_painting_with_naparis_new_label_makes_a_class_and_undo_takes_both_back(bench):
    bench.paint("annotations", [(60, 30), (60, 90)])
    layer = bench.viewer.layers.selection.active
    assert len(bench.workspace.classes) == 1
    bench.person.new_label()
    assert layer.selected_label == 3
    color = layer.colormap.map(3)
    bench.person.stroke(layer, [(20, 30), (20, 90)])
    assert len(bench.workspace.classes) == 2
    assert (bench.entry.codes[0, 20, 40:80] == 3).all()
    assert color[-1] > 0
    assert (layer.colormap.map(3) == color).all(), "the stroke was seen in the class's colour"
    bench.person.undo()
    assert len(bench.workspace.classes) == 1
    assert not (bench.entry.codes == 3).any()


def test_no_label_can_be_chosen_that_lies_beyond_the_next_class(bench):
    layer = bench.paint("annotations", [(60, 30), (60, 90)])
    layer.selected_label = 200
    assert layer.selected_label == 3
    region = bench.layers.region_layer(bench.entry.id)
    region.selected_label = 9
    assert region.selected_label == 2


def test_undo_is_shown_where_the_slices_are_seen_from_the_side(bench):
    layer = bench.layers.annotations_layer(bench.entry.id)
    bench.viewer.dims.order = (1, 0, 2)
    bench.viewer.dims.set_point(1, 20)
    codes = bench.entry.codes.copy()
    codes[2, 20, 10:20] = 2
    bench.workspace.commit_annotations(bench.entry.id, codes, [2])
    Person(bench.viewer).wait(lambda: 2 in np.asarray(layer._slice.image.raw), 5)
    bench.workspace.undo()
    Person(bench.viewer).wait(lambda: 2 not in np.asarray(layer._slice.image.raw), 5)


@pytest.mark.parametrize("role", ["annotations", "segmentation"])
def test_a_polygon_whose_layer_is_closed_at_once_is_kept(bench, role):
    bench.workspace.set_prediction(bench.entry.id, 0, np.full(SHAPE[1:], 1, np.uint8))
    bench.layers.set_tool(role, bench.entry.id, "polygon", 1)
    layer = bench.viewer.layers.selection.active
    layer.paint_polygon([(0, 20, 20), (0, 20, 60), (0, 60, 60), (0, 60, 20)], 2)
    bench.viewer.layers.remove(layer)
    assert (bench.entry.codes[0, 25:55, 25:55] == 2).all()
    assert bench.workspace.undo() is not None
    assert not bench.entry.codes.any()


def test_a_polygon_on_an_image_that_is_left_out_at_once_is_kept(bench):
    bench.layers.set_tool("annotations", bench.entry.id, "polygon", 1)
    layer = bench.viewer.layers.selection.active
    layer.paint_polygon([(0, 20, 20), (0, 20, 60), (0, 60, 60), (0, 60, 20)], 2)
    bench.layers.remove_image(bench.entry.id)
    assert (bench.entry.codes[0, 25:55, 25:55] == 2).all()


def test_a_key_pressed_in_the_middle_of_a_stroke_takes_nothing_of_it(bench):
    bench.workspace.commit_annotations(bench.entry.id, np.ones(SHAPE, np.uint8), [0])
    copied = []
    slices = SlicesBeside(bench.workspace)
    bench.layers.key_pressed.connect(
        lambda _: copied.append(slices.copy_from(bench.entry.id, 1, -1))
    )
    bench.viewer.dims.set_current_step(0, 1)
    bench.layers.set_tool("annotations", bench.entry.id, "paint", 1)
    layer = bench.viewer.layers.selection.active
    layer.brush_size = 5
    bench.person.begin_stroke(layer, (60, 30))
    bench.person.go_on(layer, (60, 60))
    QTest.keyClick(bench.person.canvas, Qt.Key.Key_Comma)
    bench.person.go_on(layer, (60, 90))
    bench.person.end_stroke(layer, (60, 90))
    assert (bench.entry.codes[1, 60, 32:58] == 2).all()
    assert not copied
    QTest.keyClick(bench.person.canvas, Qt.Key.Key_Comma)
    assert (bench.entry.codes[1, 60, 32:58] == 2).all()
    assert copied[0] > 0


def test_erasing_background_on_the_segmentation_leaves_it_in_view(bench):
    bench.workspace.commit_annotations(bench.entry.id, np.ones(SHAPE, np.uint8), [0])
    layer = bench.paint("segmentation", [(60, 30), (60, 90)], mode="erase")
    bench.layers.flush()
    assert (bench.entry.codes[0] == 1).all()
    assert (np.asarray(layer.data)[0] == 1).all()
