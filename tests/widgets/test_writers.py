"""*File > Save selected layers* of labels layers, ours and others'."""

from __future__ import annotations

import json

import numpy as np
import pytest
import roifile
from npe2 import PluginManager
from qtpy.QtWidgets import QApplication
from stage import Stage, cells

from napari_unetseg.config import LabelClass
from napari_unetseg.images import open_label_stack, open_stack
from napari_unetseg.widgets.export_step import ExportStep

pytestmark = pytest.mark.window

CLASSES = (LabelClass(name="nucleus", color="#123456"), LabelClass(name="dirt", color="#abcdef"))


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    PluginManager.instance().discover()
    viewer = make_napari_viewer(show=True)
    stage = Stage(viewer, tmp_path, cells(), scale=(0.05, 0.01, 0.01), units="um")
    stage.workspace.set_classes(CLASSES)
    yield stage
    stage.close()


def segment(stage):
    for plane in range(stage.entry.shape[0]):
        slots = stage.workspace.prediction_slots()[np.where(cells()[plane] > 120, 2, 1)]
        stage.workspace.set_prediction(stage.entry.id, plane, slots)
    stage.layers.flush()


@pytest.mark.parametrize("name", ["a.ome.tif", "a.zarr", "a.geojson", "a.zip"])
@pytest.mark.parametrize("role", ["annotations", "segmentation"])
def test_our_layers_are_saved_with_all_that_is_known_of_them(stage, name, role):
    stage.annotate()
    segment(stage)
    layer = getattr(stage.layers, f"{role}_layer")(stage.entry.id)
    path = stage.folder / name
    assert layer.save(str(path)) == [str(path)]
    found = open_label_stack(path)
    shown = np.asarray(layer.data)
    assert shown.any(axis=(1, 2)).tolist() == [role == "segmentation" or z == 1 for z in range(4)]
    expected = shown if role == "annotations" else shown - 1
    np.testing.assert_array_equal(np.asarray(found.data), expected)
    assert found.metadata["kind"] == ("annotations" if role == "annotations" else "masks")
    assert found.metadata["classes"] == [c.model_dump() for c in CLASSES]
    assert found.pixel_size_um == pytest.approx({"Z": 0.05, "Y": 0.01, "X": 0.01})
    assert layer.save(str(path)) == [str(path)], "the dialog has asked"


def test_labels_of_others_are_objects(stage):
    ids = np.zeros((6, 40, 50), np.int64)
    ids[2, 3:9, 4:11], ids[3, 20, 20] = 7, 70_000
    layer = stage.viewer.add_labels(ids, scale=(2, 500, 500), units=("um", "nm", "nm"))
    for name in ("a.ome.tif", "a.geojson"):
        layer.save(str(stage.folder / name))
        found = open_label_stack(stage.folder / name)
        np.testing.assert_array_equal(np.asarray(found.data), ids)
        assert found.pixel_size_um == pytest.approx({"Z": 2, "Y": 0.5, "X": 0.5})
    layer.save(str(stage.folder / "a.zip"))
    assert [roi.position for roi in roifile.roiread(stage.folder / "a.zip")] == [3, 4]
    layer.units = ("pixel",) * 3
    layer.save(str(stage.folder / "b.ome.tif"))
    assert open_stack(stage.folder / "b.ome.tif").pixel_size_um == {}


def test_a_layer_of_two_axes_and_one_of_levels(stage):
    ids = np.zeros((16, 20), np.uint8)
    ids[3:9, 4:11] = 7
    flat = stage.viewer.add_labels(ids)
    levels = stage.viewer.add_labels([ids, ids[::2, ::2]], multiscale=True)
    for layer in (flat, levels):
        layer.save(str(stage.folder / "a.geojson"))
        np.testing.assert_array_equal(open_label_stack(stage.folder / "a.geojson").data, ids)


def test_a_name_without_an_ending_gets_the_one_of_its_format(stage):
    ids = np.zeros((16, 20), np.uint8)
    ids[3:9, 4:11] = 7
    layer = stage.viewer.add_labels(ids, name="cells")
    writers = PluginManager.instance().iter_compatible_writers(["labels"])
    (writer,) = [w for w in writers if w.filename_extensions == [".geojson"]]
    stage.viewer.layers.selection = {layer}
    stage.viewer.layers.save(str(stage.folder / "cells"), selected=True, _writer=writer)
    content = json.loads((stage.folder / "cells.geojson").read_text())
    assert content["features"][0]["properties"]["name"] == "7"


def test_what_is_saved_by_the_step_opens_in_its_format(stage, monkeypatch):
    """Every format of the dialog, with the pixels that are shown."""
    from napari_unetseg.widgets import export_step

    step = stage.show(ExportStep)
    QApplication.processEvents()
    segment(stage)
    step.entered()
    for name in ("a.ome.tif", "a.zarr", "a.geojson", "a.zip", "a.h5", "a.png"):
        path = stage.folder / name
        monkeypatch.setattr(export_step, "ask_paths", lambda *_, path=path: [path])
        stage.person.click(step.save_segmentation)
        stage.person.wait(lambda: not step._writer.busy, 20)
        QApplication.processEvents()
        written = path.with_suffix("") if name == "a.png" else path
        assert stage.said[-1] == f"Saved the segmentation of cells as {written}."
        if name == "a.h5":
            continue
        found = open_label_stack(written)
        np.testing.assert_array_equal(np.asarray(found.data), cells() > 120)
        assert found.metadata["classes"] == [c.model_dump() for c in CLASSES]
