from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication, QFileDialog
from stage import Stage, cells

from napari_unetseg.annotations import rename_class
from napari_unetseg.classical import Chain, ChainRecipe, Source, in_words, prepare, run_stack
from napari_unetseg.cli import main
from napari_unetseg.config import LabelClass
from napari_unetseg.images import open_stack, write_image
from napari_unetseg.widgets import export_step
from napari_unetseg.widgets.dialogs import _follow
from napari_unetseg.widgets.export_step import ExportStep
from napari_unetseg.widgets.readers import get_reader

pytestmark = pytest.mark.window


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer(show=True)
    stage = Stage(viewer, tmp_path, cells(), scale=(0.05, 0.01, 0.01), units="um")
    yield stage
    stage.close()


@pytest.fixture
def step(stage):
    return stage.show(ExportStep)


@pytest.fixture
def answer(monkeypatch):
    """Stand in for the file dialogs: what the person chooses, and what was asked."""
    dialog = {"path": None, "asked": []}

    def ask_paths(_parent, *question, **more):
        dialog["asked"].append((*question, *more.values()))
        return [] if dialog["path"] is None else [dialog["path"]]

    monkeypatch.setattr(export_step, "ask_paths", ask_paths)
    return dialog


def settle(stage, step):
    threads = (step._writer, step._describer)
    stage.person.wait(lambda: not any(thread.busy for thread in threads), 20)
    QApplication.processEvents()


def segment(stage):
    for plane in range(stage.entry.shape[0]):
        slots = np.where(cells()[plane] > 120, 2, 1).astype(np.uint8)
        stage.workspace.set_prediction(stage.entry.id, plane, slots)


def test_with_nothing_to_save_every_button_says_why(stage, step):
    assert step.save_segmentation.toolTip() == "Nothing is segmented or painted yet."
    assert step.save_annotations.toolTip() == "Nothing is painted."
    assert step.save_model.toolTip() == "Train a model or open one first."
    assert step.save_table.toolTip() == "Nothing is segmented or painted yet."
    for button in (step.save_segmentation, step.save_annotations, step.save_model, step.save_table):
        assert not button.isEnabled()


def test_a_saved_segmentation_opens_again_with_names_colours_and_scale(stage, step, answer):
    stage.workspace.change_classes(rename_class, 1, "nucleus", label="naming")
    segment(stage)
    step.entered()
    answer["path"] = stage.folder / "out.ome.tif"
    stage.person.click(step.save_segmentation)
    settle(stage, step)
    assert stage.said[-1] == f"Saved the segmentation of cells as {answer['path']}."
    assert (tifffile.imread(answer["path"]) == (cells() > 120)).all()
    path = str(answer["path"])
    (layer,) = stage.viewer._add_layers_with_plugins([path], stack=False, plugin="napari-unetseg")
    own = stage.layers.segmentation_layer(stage.entry.id)
    assert (np.asarray(layer.data) == np.asarray(own.data)).all()
    assert layer.scale == pytest.approx(own.scale)
    assert layer.get_color(2) == pytest.approx(own.get_color(2))
    assert list(layer.features["class"])[-1] == "nucleus"


def test_what_exists_is_replaced_only_where_the_dialog_has_asked(stage, step, answer):
    stage.annotate()
    step.entered()
    there = stage.folder / "out.ome.tif"
    there.write_bytes(b"old")
    answer["path"] = stage.folder / "out"
    stage.person.click(step.save_annotations)
    settle(stage, step)
    assert "exists already" in stage.said[-1]
    assert there.read_bytes() == b"old"
    answer["path"] = there
    stage.person.click(step.save_annotations)
    settle(stage, step)
    assert (tifffile.imread(there) == stage.entry.codes).all()


def test_a_dialog_that_is_closed_writes_nothing(stage, step, answer):
    stage.annotate()
    step.entered()
    before = sorted(stage.folder.iterdir())
    stage.person.click(step.save_segmentation)
    settle(stage, step)
    assert len(answer["asked"]) == 1
    assert sorted(stage.folder.iterdir()) == before
    assert stage.said == []


def test_all_images_go_into_a_folder_and_nothing_there_is_replaced(stage, step, answer):
    segment(stage)
    stage.layers.add_image([stage.viewer.add_image(255 - cells(), name="more")])
    step.entered()
    step.image.setCurrentIndex(step.image.findData("all"))
    answer["path"] = stage.folder / "masks"
    answer["path"].mkdir()
    stage.person.click(step.save_segmentation)
    settle(stage, step)
    assert answer["asked"][0][0] == "new", "one image is segmented, so one file is asked for"
    stage.entry = list(stage.workspace.images.values())[1]
    segment(stage)
    stage.person.click(step.save_segmentation)
    settle(stage, step)
    assert answer["asked"][1][0] == "folder"
    assert sorted(p.name for p in answer["path"].iterdir()) == [
        "cells_masks.ome.tif",
        "more_masks.ome.tif",
    ]
    stage.person.click(step.save_segmentation)
    settle(stage, step)
    assert "exists already" in stage.said[-1]


def test_the_result_of_a_baseline_can_be_saved(stage, step, answer):
    codes = np.where(cells() > 60, 2, 1).astype(np.uint8)
    stage.context.results.add(stage.entry.id, "Otsu", codes, "Otsu (foreground bright)")
    assert [step.what.itemText(i) for i in range(step.what.count())][1:] == ["cells · Otsu"]
    step.what.setCurrentIndex(1)
    step.what.activated.emit(1)
    answer["path"] = stage.folder / "otsu.tif"
    stage.person.click(step.save_segmentation)
    settle(stage, step)
    assert (tifffile.imread(answer["path"]) == codes - 1).all()
    stage.person.wait(lambda: "Otsu (foreground bright)" in step.methods.toPlainText(), 5)
    assert "network" not in step.methods.toPlainText()
    assert open_stack(answer["path"]).pixel_size_um["X"] == pytest.approx(0.01)


def test_a_result_is_saved_with_what_replays_it(stage, step, answer):
    stage.workspace.set_classes((LabelClass(name="cell", color="#e69f00"),))
    strokes = np.zeros(stage.entry.shape, np.uint8)
    strokes[1, 2:6, 2:60], strokes[1, 46:50, 18:22] = 1, 2
    source = Source(stage.entry.stack, strokes=strokes)
    recipe = ChainRecipe(chain=Chain.of("forest"))
    prepared = prepare(recipe.chain, [source])
    codes = np.zeros(stage.entry.shape, np.uint8)
    list(run_stack(recipe.chain, source, out=codes, prepared=prepared[0]))
    recipe = recipe.keeping([source], prepared)
    stage.context.results.add(stage.entry.id, "Forest", codes, in_words(recipe.chain), recipe)
    step.what.setCurrentIndex(1)
    step.what.activated.emit(1)
    said = "segmented into background and cell by Pixel classifier (sigma min 1 px, "
    stage.person.wait(lambda: said in step.methods.toPlainText(), 5)
    painted = "It learned from pixels annotated as background (232 px) and cell (16 px)."
    assert painted in step.methods.toPlainText()
    answer["path"] = stage.folder / "forest.tif"
    stage.person.click(step.save_segmentation)
    settle(stage, step)
    write_image(stage.folder / "cells.tif", stage.entry.stack)
    record, again = stage.folder / "forest.tif.json", stage.folder / "again.tif"
    assert main(["run", str(record), str(stage.folder / "cells.tif"), "-o", str(again)]) == 0
    first = open_stack(answer["path"])
    np.testing.assert_array_equal(open_stack(again).data, first.data)
    assert open_stack(again).metadata["classes"] == first.metadata["classes"]
    assert first.metadata["classes"] == [{"name": "cell", "color": "#e69f00"}]


def read_table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_of_pieces_and_of_objects_is_saved_in_physical_units(stage, step, answer, tmp_path):
    segment(stage)
    step.entered()
    answer["path"] = tmp_path / "cells"
    stage.person.click(step.save_table)
    settle(stage, step)
    assert stage.said[-1] == f"Saved the sizes of 4 objects as {tmp_path / 'cells.csv'}."
    rows = read_table(tmp_path / "cells.csv")
    assert {row["class"] for row in rows} == {"class 1"}
    n_px = [int((cells()[plane] > 120).sum()) for plane in range(4)]
    assert sum(int(row["n_px"]) for row in rows) == sum(n_px)
    assert sum(float(row["volume_um3"]) for row in rows) == pytest.approx(
        sum(n_px) * 0.05 * 0.01 * 0.01
    )
    assert all(float(row["mean"]) > 150 for row in rows)
    stage.person.click(step.save_table)
    settle(stage, step)
    assert "exists already" in stage.said[-1]
    ids = np.zeros(stage.entry.shape, np.uint32)
    ids[0, 2:9, 2:9] = 7
    stage.workspace.number_objects(stage.entry.id, ids)
    step.what.setCurrentIndex(step.what.count() - 1)
    answer["path"] = tmp_path / "objects.parquet"
    stage.person.click(step.save_table)
    settle(stage, step)
    assert "1 object " in stage.said[-1]


def test_the_model_is_copied_to_a_folder_of_that_name(stage, step, answer):
    stage.controller.open_model(stage.model("first"))
    answer["path"] = stage.folder / "mine"
    stage.person.click(step.save_model)
    settle(stage, step)
    copied = stage.folder / "mine.unet"
    assert stage.said[-1] == f"Saved the model as {copied}."
    assert (copied / "model.json").read_text() == (
        stage.folder / "first.unet" / "model.json"
    ).read_text()


def test_a_place_that_cannot_be_written_is_told_and_the_step_stays_usable(stage, step, answer):
    stage.annotate()
    step.entered()
    (stage.folder / "file").write_bytes(b"")
    answer["path"] = stage.folder / "file" / "a.tif"
    stage.person.click(step.save_segmentation)
    settle(stage, step)
    assert "cannot be written" in stage.said[-1]
    assert step.save_segmentation.isEnabled()


def test_the_paragraph_is_there_to_copy(stage, step):
    stage.annotate()
    step.entered()
    settle(stage, step)
    assert "32 pixels were annotated as background (16 px) and class 1 (16 px)" in (
        step.methods.toPlainText()
    )
    stage.person.click(step.copy)
    assert QApplication.clipboard().text() == step.methods.toPlainText()


def test_our_reader_is_the_one_the_manifest_names(stage):
    from npe2 import PluginManager

    manifest = PluginManager.instance().get_manifest("napari-unetseg")
    names = [c.python_name for c in manifest.contributions.commands]
    assert f"{get_reader.__module__}:{get_reader.__qualname__}" in names


def test_objects_are_described_with_how_they_were_found(stage, step):
    ids = np.zeros(stage.entry.shape, np.uint32)
    ids[0, 2:9, 2:9], ids[1, 2:9, 2:9] = 1, 2
    stage.context.objects.found(stage.entry.id, ids, "Blobs (sigma 2)")
    step.entered()
    step.what.setCurrentIndex(1)
    step.what.activated.emit(1)
    said = "2 objects on 2 slices were found by Blobs (sigma 2)."
    stage.person.wait(lambda: said in step.methods.toPlainText(), 10)


def test_the_ending_follows_the_kind_of_file_that_is_chosen(stage):
    start = stage.folder / "cells_masks.ome.tif"
    kinds = export_step._LABELS
    dialog = QFileDialog(stage.viewer.window._qt_window, "Save", str(start), kinds)
    dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.selectFile(str(start))
    seen = []
    for kind in kinds.split(";;"):
        _follow(dialog, kind)
        seen.append((Path(dialog.selectedFiles()[0]).name, dialog.defaultSuffix()))
    endings = ["ome.tif", "zarr", "h5", "geojson", "zip", "png", "glb"]
    assert seen == [(f"cells_masks.{ending}", ending) for ending in endings]
    dialog.selectFile(str(stage.folder / "mine"))
    _follow(dialog, kinds.split(";;")[3])
    assert Path(dialog.selectedFiles()[0]).name == "mine.geojson"
    dialog.close()
    dialog.deleteLater()
    QApplication.sendPostedEvents(dialog, QEvent.Type.DeferredDelete)
