from __future__ import annotations

import json
import threading
from contextlib import contextmanager

import dask.array
import h5py
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QLineEdit
from stage import Stage, cells

from napari_unetseg.annotations import ALL_HELD_OUT, add_class
from napari_unetseg.config import LabelClass
from napari_unetseg.images import Stack, write_image, write_labels
from napari_unetseg.project import Session
from napari_unetseg.widgets import class_table, labels_source
from napari_unetseg.widgets.data_step import DataStep
from napari_unetseg.widgets.parts import add_layers
from napari_unetseg.workspace import Workspace

pytestmark = pytest.mark.window


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(show=True), tmp_path)
    yield stage
    stage.close()


@pytest.fixture
def step(stage):
    return stage.show(DataStep)


@pytest.fixture
def image(stage):
    return stage.viewer.add_image(cells(), name="cells", scale=(0.05, 0.01, 0.01), units="um")


@pytest.fixture
def entry(stage, image, step):
    check(stage, step, 0)
    stage.entry = next(iter(stage.workspace.images.values()))
    return stage.entry


def check(stage, step, row, checked=True):
    """Click the box of an image."""
    settle(stage, step)
    item = step.images.item(row)
    place = step.images.visualItemRect(item).center()
    place.setX(10)
    QTest.mouseClick(step.images.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert (item.checkState() == Qt.CheckState.Checked) is checked
    settle(stage, step)


def settle(stage, step):
    """Let the window show what has changed, and its threads answer."""
    QApplication.processEvents()
    source = step.source
    threads = (step._searcher, step.classes.counts._thread, source._thread, source._opener)
    stage.person.wait(lambda: not any(thread.busy for thread in threads), 10)
    stage.person.wait(lambda: not step._soon.isActive(), 10)
    QApplication.processEvents()


def click_class(stage, step, k, column=1):
    table = step.classes.table
    place = table.visualItemRect(table.item(k, column)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    QApplication.processEvents()


def names(step):
    table = step.classes.table
    return [table.item(k, 1).text() for k in range(table.rowCount())]


def counts(stage, step):
    settle(stage, step)
    table = step.classes.table
    return [table.item(k, 2).text() for k in range(table.rowCount())]


def test_with_nothing_open_the_step_says_how_to_open_an_image(stage, step):
    assert step.hint.isVisible()
    assert "File → Open Sample" in step.hint.text()
    assert not step.paint.isEnabled()
    assert step.paint.toolTip() == "Tick the box of the image that you want to work on."


def test_checking_an_image_takes_it_in_and_unchecking_keeps_what_was_painted(stage, step, entry):
    assert entry.stack.pixel_size_um == pytest.approx({"Z": 0.05, "Y": 0.01, "X": 0.01})
    stage.annotate()
    check(stage, step, 0, checked=False)
    assert not stage.workspace.images
    assert [layer.name for layer in stage.viewer.layers] == ["cells"]
    check(stage, step, 0)
    assert stage.workspace.images[entry.id].codes.any()
    shown = stage.layers.annotations_layer(entry.id)
    assert (np.asarray(shown.data) == entry.codes).all()


def test_a_stroke_right_after_one_click_on_paint_is_an_annotation(stage, step, entry):
    stage.person.click(step.paint)
    layer = stage.viewer.layers.selection.active
    stage.person.stroke(layer, [(40, 30), (40, 60)])
    plane = stage.layers.current_plane(entry)
    assert (entry.codes[plane, 40, 35:55] == 2).all()
    assert counts(stage, step)[1] == f"{int((entry.codes == 2).sum()):,} px"


def test_layers_of_one_group_are_the_channels_of_one_image(stage, step):
    for i, name in enumerate(["dapi", "actin", "tubulin"]):
        facts = {"group": "a.tif", "name": "a", "channel": i, "axes": "ZYX"}
        stage.viewer.add_image(cells(), name=name, metadata={"napari_unetseg": facts})
    stage.viewer.add_image(cells()[0], name="other")
    settle(stage, step)
    assert [step.images.item(i).text() for i in range(step.images.count())] == ["a", "other"]
    check(stage, step, 0)
    (entry,) = stage.workspace.images.values()
    assert (entry.stack.axes, entry.stack.channels) == ("CZYX", ("dapi", "actin", "tubulin"))
    assert [box.text() for box in step.facts.channels] == ["dapi", "actin", "tubulin"]


def test_a_channel_can_be_left_out_after_painting(stage, step):
    stage.viewer.add_image(np.stack([cells(), 255 - cells()]), name="two")
    settle(stage, step)
    step.facts.axes.setCurrentText("CZYX")
    step.facts.axes_chosen.emit("CZYX")
    check(stage, step, 0)
    (stage.entry,) = stage.workspace.images.values()
    stage.annotate(everything=True)
    stage.entry.blocks[1, 0, 0] = ALL_HELD_OUT
    painted, blocks = stage.entry.codes.copy(), stage.entry.blocks.copy()
    stage.person.click(step.facts.channels[0])
    settle(stage, step)
    (entry,) = stage.workspace.images.values()
    assert entry.stack.channels == ("channel 2",)
    assert (entry.stack.plane(0)[0] == 255 - cells()[0]).all()
    assert (entry.codes == painted).all()
    assert (entry.blocks == blocks).all()
    assert not step.facts.channels[1].isEnabled()


def test_what_was_taken_over_is_known_of_an_image_that_is_read_anew(stage, step):
    stage.viewer.add_image(np.stack([cells(), 255 - cells()]), name="two")
    settle(stage, step)
    step.facts.axes.setCurrentText("CZYX")
    step.facts.axes_chosen.emit("CZYX")
    check(stage, step, 0)
    (entry,) = stage.workspace.images.values()
    answer = np.full(entry.shape, 2, np.uint8)
    n_px = stage.workspace.use_as_annotations(entry.id, answer, [1], "Otsu")
    stage.person.click(step.facts.channels[0])
    settle(stage, step)
    (again,) = stage.workspace.images.values()
    assert again is not entry
    assert again.sources.count(again.codes, [1]) == {"Otsu": n_px}


def test_axes_are_corrected_with_the_annotations_kept(stage, step, entry):
    stage.annotate()
    step.facts.axes.setCurrentText("TYX")
    step.facts.axes_chosen.emit("TYX")
    settle(stage, step)
    (again,) = stage.workspace.images.values()
    assert again.stack.axes == "TYX"
    assert again.codes.any()
    assert step.facts.axes.currentText() == "TYX"
    assert "Z" not in again.stack.pixel_size_um


def test_a_pixel_size_that_is_typed_goes_into_every_layer_of_the_image(stage, step):
    image = stage.viewer.add_image(cells(), name="plain")
    check(stage, step, 0)
    (entry,) = stage.workspace.images.values()
    assert entry.stack.pixel_size_um == {}
    assert step.facts.pixel_size.xy.text() == "unknown"
    box = step.facts.pixel_size.xy
    step.facts.pixel_size.unit.setCurrentText("nm")
    box.selectAll()
    QTest.keyClicks(box, "4.6")
    QTest.keyClick(box, Qt.Key.Key_Return)
    QApplication.processEvents()
    assert entry.stack.pixel_size_um == pytest.approx({"Y": 0.0046, "X": 0.0046})
    for layer in (image, stage.layers.annotations_layer(entry.id)):
        assert layer.scale == pytest.approx([1, 0.0046, 0.0046])
        assert str(layer.units[-1]) == "micrometer"
    assert box.text() == "4.6"


def test_classes_are_renamed_in_place_and_undo_takes_it_back(stage, step, entry):
    table = step.classes.table
    table.editItem(table.item(1, 1))
    editor = table.findChild(QLineEdit)
    editor.selectAll()
    QTest.keyClicks(editor, "membrane")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    QApplication.processEvents()
    assert stage.workspace.classes[0].name == "membrane"
    stage.person.click(step.classes.undo)
    assert names(step) == ["background", "class 1"]
    assert stage.said[-1].startswith("Took back: renaming")


def test_a_name_that_is_taken_is_refused_with_the_reason(stage, step):
    stage.workspace.change_classes(add_class, "nucleus", label="adding")
    step.classes.table.item(1, 1).setText("nucleus")
    assert names(step) == ["background", "class 1", "nucleus"]
    assert "is taken" in stage.said[-1]


def test_merging_and_deleting_take_the_pixels_along_and_undo_brings_them_back(stage, step, entry):
    for name in ("b", "c"):
        stage.workspace.change_classes(add_class, name, label="adding")
    codes = entry.codes.copy()
    codes[0, :4], codes[0, 10:14], codes[0, 20:24] = 2, 3, 4
    stage.workspace.commit_annotations(entry.id, codes, [0])
    assert counts(stage, step) == ["0 px", "512 px", "512 px", "512 px"]
    click_class(stage, step, 3)
    step.classes._on_merge(1)
    assert names(step) == ["background", "class 1", "b"]
    assert counts(stage, step) == ["0 px", "1,024 px", "512 px"]
    click_class(stage, step, 2)
    stage.person.click(step.classes.delete)
    assert counts(stage, step) == ["0 px", "1,024 px"]
    stage.person.click(step.classes.undo)
    stage.person.click(step.classes.undo)
    assert names(step) == ["background", "class 1", "b", "c"]
    assert (entry.codes == codes).all()


def test_the_brush_stays_on_a_class_that_is_moved(stage, step, entry):
    stage.workspace.change_classes(add_class, "b", label="adding")
    click_class(stage, step, 2)
    layer = stage.viewer.layers.selection.active
    assert layer.selected_label == 3
    stage.person.click(step.classes.up)
    assert names(step) == ["background", "b", "class 1"]
    assert layer.selected_label == 2
    assert step.classes.k == 1


def test_the_colour_of_a_class_is_the_colour_of_its_pixels(stage, step, entry, monkeypatch):
    monkeypatch.setattr(class_table, "ask_color", lambda *_: "#123456")
    click_class(stage, step, 1, column=0)
    assert stage.workspace.classes[0].color == "#123456"
    layer = stage.layers.annotations_layer(entry.id)
    assert layer.colormap.color_dict[2][:3] == pytest.approx(np.array([0x12, 0x34, 0x56]) / 255)


def test_background_can_be_painted_but_not_changed(stage, step, entry):
    click_class(stage, step, 0)
    assert stage.viewer.layers.selection.active.selected_label == 1
    assert not step.classes.delete.isEnabled()
    assert not step.classes.table.item(0, 1).flags() & Qt.ItemFlag.ItemIsEditable


def test_a_region_limits_where_is_learned_and_clearing_it_ends_that(stage, step, entry):
    stage.person.click(step.region)
    layer = stage.viewer.layers.selection.active
    stage.person.stroke(layer, [(40, 30), (40, 60)])
    plane = stage.layers.current_plane(entry)
    assert entry.allowed(plane)[40, 45]
    assert not entry.allowed(plane)[5, 5]
    stage.person.click(step.exclude)
    assert stage.viewer.layers.selection.active.selected_label == 2
    stage.person.click(step.clear_region)
    assert entry.allowed(plane).all()
    assert not any(layer.name.endswith("region") for layer in stage.viewer.layers)
    assert not step.clear_region.isEnabled()


def test_annotations_of_an_earlier_session_are_found_and_brought_back(stage, step, image):
    before = Workspace(Session(stage.workspace.session.root))
    check(stage, step, 0)
    (stage.entry,) = stage.workspace.images.values()
    earlier = before.add_image(stage.entry.stack)
    codes = earlier.codes.copy()
    codes[2, 10:20, 10:20] = 2
    before.commit_annotations(earlier.id, codes, [2])
    before.close()
    check(stage, step, 0, checked=False)
    check(stage, step, 0)
    assert step.earlier.isVisible()
    assert step.earlier_works.currentText().endswith(", 100 px")
    stage.person.click(step.bring_back)
    assert (stage.entry.codes == codes).all()
    assert not step.earlier.isVisible()


def test_closing_the_image_layer_leaves_it_out_and_keeps_what_was_painted(stage, step, entry):
    stage.annotate()
    pixels = stage.viewer.layers["cells"]
    stage.viewer.layers.remove(pixels)
    settle(stage, step)
    assert not stage.workspace.images
    assert len(stage.viewer.layers) == 0
    stage.viewer.add_layer(pixels)
    check(stage, step, 0)
    assert entry.codes.any()


def test_images_with_other_channels_are_refused_with_the_reason(stage, step, entry):
    stage.viewer.add_image(np.zeros((8, 8, 3), np.uint8), rgb=True, name="photo")
    settle(stage, step)
    step.images.item(1).setCheckState(Qt.CheckState.Checked)
    settle(stage, step)
    assert "choose images with the same channels" in stage.said[-1]
    assert step.images.item(1).checkState() == Qt.CheckState.Unchecked


@pytest.mark.parametrize("kind", ["labels", "image"])
def test_masks_in_a_layer_become_annotations(stage, step, entry, kind):
    masks = (cells() > 120).astype(np.uint8) * 255
    getattr(stage.viewer, f"add_{kind}")(masks, name="mine")
    settle(stage, step)
    step.section.expand(animate=False)
    stage.person.wait(lambda: step.source.use.height() > 10, 10)
    stage.person.click(step.source.use)
    settle(stage, step)
    assert (entry.codes == np.where(masks > 0, 2, 1)).all()
    assert f"{masks.size:,} px of “mine” became annotations" in stage.said[-1]


def test_strokes_drawn_while_masks_are_read_stay(stage, step, entry):
    may_go_on, read = threading.Event(), []

    def slow(block, block_info=None):
        read.append(block.shape)
        assert may_go_on.wait(30)
        return block

    masks = np.ones(entry.shape, np.uint8)
    lazy = dask.array.from_array(masks, (1, *masks.shape[1:])).map_blocks(
        slow, dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8)
    )
    stage.viewer.add_labels(masks, name="mine")
    settle(stage, step)
    step.source.layer.currentData()._data = lazy  # the window itself looks at none of it
    step.section.expand(animate=False)
    stage.person.wait(lambda: step.source.use.height() > 10, 10)
    stage.person.click(step.source.use)
    stage.person.wait(lambda: bool(read), 10)
    painted = entry.codes.copy()
    painted[1, 5:9, 5:9] = 1
    stage.workspace.commit_annotations(entry.id, painted, [1])
    may_go_on.set()
    settle(stage, step)
    assert (entry.codes[1, 5:9, 5:9] == 1).all()
    assert np.count_nonzero(entry.codes == 2) == masks.size - 16


def open_file(stage, step, monkeypatch, path):
    monkeypatch.setattr(labels_source, "ask_paths", lambda *_: [path])
    step.section.expand(animate=False)
    stage.person.wait(lambda: step.source.open.height() > 10, 10)
    stage.person.click(step.source.open)
    settle(stage, step)


def outlines(path, *rings, name="cell"):
    """Write outlines of QuPath, each on the next slice."""
    classification = {"name": name, "color": [0, 128, 255]} if name else None
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring], "plane": {"z": z, "t": 0}},
            "properties": {"classification": classification},
        }
        for z, ring in enumerate(rings)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


RING = [[2, 2], [12, 2], [12, 8], [2, 8], [2, 2]]


def test_outlines_with_classes_become_annotations_in_their_colours(
    stage, step, entry, image, monkeypatch, tmp_path
):
    open_file(stage, step, monkeypatch, outlines(tmp_path / "export.geojson", RING, RING))
    assert "Opened export: cell, the rest unlabelled." in stage.said[-1]
    (layer,) = [la for la in stage.viewer.layers if la.name == "export"]
    assert layer.get_color(2)[:3] == pytest.approx([0, 128 / 255, 1], abs=1e-6)
    assert layer.scale == pytest.approx(image.scale)
    assert step.source.layer.currentData() is layer
    assert step.source.meaning.currentData() == "annotations"
    stage.person.click(step.source.use)
    settle(stage, step)
    assert np.count_nonzero(entry.codes == 2) == 120
    assert np.count_nonzero(entry.codes) == 120
    assert [c.name for c in stage.workspace.classes] == ["cell"]
    assert stage.workspace.classes[0].color == "#0080ff"


def test_outlines_without_classes_are_objects(stage, step, entry, monkeypatch, tmp_path):
    path = outlines(tmp_path / "export.geojson", RING, RING, RING, name="")
    open_file(stage, step, monkeypatch, path)
    assert "Opened export: 3 objects." in stage.said[-1]
    assert step.source.meaning.currentData() == "objects"
    stage.person.click(step.source.use)
    settle(stage, step)
    assert np.count_nonzero(entry.codes == 2) == 180
    assert np.count_nonzero(entry.codes == 1) == entry.codes.size - 180


def test_our_own_masks_and_foreign_pictures_of_labels_are_opened(
    stage, step, entry, monkeypatch, tmp_path
):
    codes = np.where(cells() > 120, 2, 1).astype(np.uint8)
    classes = (LabelClass(name="nucleus", color="#123456"),)
    like = entry.stack
    write_labels(tmp_path / "ours.zip", codes, like=like, kind="masks", classes=classes)
    open_file(stage, step, monkeypatch, tmp_path / "ours.zip")
    assert "Opened ours: nucleus." in stage.said[-1]
    np.testing.assert_array_equal(step.source.layer.currentData().data, codes)
    np.save(tmp_path / "foreign.npy", (codes == 2).astype(np.uint8) * 255)
    open_file(stage, step, monkeypatch, tmp_path / "foreign.npy")
    assert step.source.meaning.currentData() == "masks"
    stage.workspace.set_classes(classes)
    stage.person.click(step.source.use)
    settle(stage, step)
    np.testing.assert_array_equal(entry.codes, codes)


def test_a_file_of_another_image_or_none_at_all_is_told(stage, step, entry, monkeypatch, tmp_path):
    n_layers = len(stage.viewer.layers)
    np.save(tmp_path / "other.npy", np.zeros((5, 6), np.uint8))
    open_file(stage, step, monkeypatch, tmp_path / "other.npy")
    assert "labels need the slices, height and width of their image" in stage.said[-1]
    (tmp_path / "broken.geojson").write_text("{")
    open_file(stage, step, monkeypatch, tmp_path / "broken.geojson")
    assert "cannot be read" in stage.said[-1]
    assert len(stage.viewer.layers) == n_layers
    assert step.source.open.isEnabled()


def test_every_button_has_a_tooltip(stage, step, entry):
    own = [b for b in step.findChildren(QAbstractButton) if b.isVisible() and b.text()]
    assert len(own) > 8
    assert [b.text() for b in own if not b.toolTip()] == []


def test_other_images_in_the_same_file_are_listed_and_open_when_chosen(stage, step, tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["raw"], file["other/stain"] = cells(), cells() // 2
    add_layers(stage.viewer, path)
    settle(stage, step)
    parts = step.facts.parts
    assert parts.isVisible()
    assert parts.placeholderText() == "1 more in this file"
    assert [parts.itemText(i) for i in range(parts.count())] == ["other/stain"]
    parts.setCurrentIndex(0)
    parts.activated.emit(0)
    settle(stage, step)
    assert [layer.name for layer in stage.viewer.layers] == ["a", "a_other_stain"]
    assert [step.images.item(i).text() for i in range(2)] == ["a", "a_other_stain"]
    path.write_bytes(b"gone bad")
    with signals(stage.context.said) as said:
        parts.chosen.emit(path / "raw")
    assert "cannot be read as H5" in said[0]


def test_an_image_alone_in_its_file_has_no_row_for_others(stage, step, image):
    settle(stage, step)
    assert step.facts.isVisible()
    assert not step.facts.parts.isVisible()


@contextmanager
def signals(signal):
    """Collect what a signal says."""
    said = []
    signal.connect(said.append)
    yield said
    signal.disconnect(said.append)


def test_sizes_and_types_are_shown_whole_however_narrow_the_dock(stage, step):
    step.setFixedWidth(370)
    big = dask.array.zeros((1240, 20480, 20480), dtype=np.uint16, chunks=(1, 2048, 2048))
    stage.viewer.add_image(big, name="big", contrast_limits=(0, 9))
    settle(stage, step)
    size = step.facts.size
    assert size.text() == "1240 slices, 20480 × 20480 px, uint16"
    assert size.fontMetrics().horizontalAdvance(size.text()) > size.width()
    needed = size.fontMetrics().boundingRect(size.rect(), Qt.TextFlag.TextWordWrap, size.text())
    assert size.rect().contains(needed)


@pytest.mark.parametrize("n_channels", [2, 4, 24])
def test_an_image_of_several_channels_is_not_wider_than_the_dock(
    make_napari_viewer, tmp_path, n_channels
):
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1380, 860)
    _, dock = viewer.window.add_plugin_dock_widget("napari-unetseg", "U-Net segmentation")
    names = [f"a channel with a long name {i}" for i in range(n_channels)]
    sizes = {"Z": 0.1, "Y": 0.1, "X": 0.1}
    pixels = np.zeros((n_channels, 2, 32, 32), np.uint8)
    write_image(tmp_path / "many.ome.tif", Stack(pixels, "CZYX", sizes, channels=tuple(names)))
    viewer.open(tmp_path / "many.ome.tif", plugin="napari-unetseg")
    step = dock.panels[0]
    QTest.qWait(100)
    assert len(step.facts.channels) == n_channels
    area = step.parentWidget()
    assert step.minimumSizeHint().width() <= area.width()
    for shown in (*step.facts.channels, step.facts.pixel_size.unit, step.classes):
        assert shown.mapTo(area, shown.rect().topRight()).x() < area.width()
    box = step.facts.pixel_size.xy
    assert box.text() == "0.1", "of a file that knows its size"
    box.setValue(0)
    line = box.lineEdit()
    assert line.fontMetrics().horizontalAdvance(line.text()) < line.width(), "unknown is read whole"
