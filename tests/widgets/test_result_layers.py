"""Results of classical methods as layers: painted on, undone, brought back, counted, exported."""

from __future__ import annotations

import json

import numpy as np
import pytest
from stage import Stage, cells

from napari_unetseg.project import KeptResult, ResultNotes, Session
from napari_unetseg.widgets.baselines_step import BaselinesStep
from napari_unetseg.widgets.export_step import ExportStep

pytestmark = pytest.mark.window

SHAPE = (4, 96, 128)
NOBODY = [2**22 + 1, 1.0]


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(show=True), tmp_path, cells(), scale=(0.05, 0.01, 0.01))
    yield stage
    stage.close()


def bright(n_groups=2):
    """Return codes by grey value."""
    return (1 + (cells(SHAPE).astype(int) * n_groups) // 256).astype(np.uint8)


def paint(stage, layer):
    """Paint a class onto background, with the mouse."""
    stage.layers.activate(layer)
    layer.mode, layer.selected_label = "paint", 2
    stage.person.stroke(layer, [(5, 60), (5, 90)])
    assert (np.asarray(layer.data) != bright()).any()


def answered(stage, codes, name="baseline-1"):
    """Return codes in a file of the session, as the child leaves them."""
    path = stage.workspace.session.path(stage.entry.id, name)
    np.save(path, codes)
    return np.load(path, mmap_mode="r+")


def test_a_corrected_result_is_on_disk_and_comes_back_with_the_next_session(stage, tmp_path):
    layer = stage.context.results.add(stage.entry.id, "Otsu", answered(stage, bright()), "by Otsu")
    paint(stage, layer)
    painted = np.asarray(layer.data).copy()
    assert (painted != bright()).any()
    stage.workspace.session.flush()
    folder = stage.workspace.session.folder
    written = json.loads((folder / "session.json").read_text())
    (folder / "session.json").write_text(json.dumps({**written, "process": NOBODY}))
    later = Session(tmp_path / "sessions")  # as after a kill: it throws away what is not work
    [work] = stage.workspace.earlier_work(stage.entry.id) or later.earlier_work(
        written["images"][stage.entry.id]["fingerprint"]
    )
    [kept] = work.results
    np.testing.assert_array_equal(np.load(kept.path), painted)
    stage.workspace.results.bring_back(stage.entry.id, [kept])
    assert len(stage.layers.result_layers(stage.entry.id)) == 1  # it is here already
    later.close()


def test_a_result_of_an_earlier_session_becomes_a_layer_that_can_be_painted_on(stage, tmp_path):
    path = tmp_path / "baseline-3.npy"
    np.save(path, bright())
    kept = KeptResult(path, ResultNotes(uid="a", title="Otsu", made_by="by Otsu"))
    stage.workspace.results.bring_back(stage.entry.id, [kept, kept])
    [layer] = stage.layers.result_layers(stage.entry.id)
    np.testing.assert_array_equal(layer.data, bright())
    paint(stage, layer)
    [now] = stage.workspace.results.kept(stage.entry.id)
    assert now.notes == kept.notes
    np.testing.assert_array_equal(np.load(now.path), layer.data)
    assert (np.asarray(layer.data) != bright()).any()


def test_undo_on_a_result_takes_back_what_was_done_last(stage):
    layer = stage.context.results.add(stage.entry.id, "Otsu", answered(stage, bright()), "by Otsu")
    paint(stage, layer)
    painted = np.asarray(layer.data).copy()
    n_px = stage.workspace.use_as_annotations(stage.entry.id, painted, [1])
    assert n_px == painted[1].size
    stage.person.undo()
    assert not stage.entry.codes.any()
    np.testing.assert_array_equal(layer.data, painted)
    stage.person.undo()
    np.testing.assert_array_equal(layer.data, bright())


def test_undo_works_with_the_image_chosen(stage):
    stage.annotate()
    stage.layers.activate(stage.image)
    stage.person.undo()
    assert not stage.entry.codes.any()


def test_every_group_has_a_colour(stage):
    layer = stage.context.results.add(stage.entry.id, "k-means", bright(9), "by k-means")
    colors = {code: tuple(layer.get_color(code)) for code in range(2, 10)}
    assert all(colors[code] != colors[code + 1] for code in range(2, 9))
    assert all(color[3] > 0 for color in colors.values())


def test_a_new_result_and_a_preview_are_seen_alone(stage):
    step = stage.show(BaselinesStep)
    first = stage.context.results.add(stage.entry.id, "Otsu", bright(), "by Otsu")
    second = stage.context.results.add(stage.entry.id, "Li", bright(), "by Li")
    assert (first.visible, second.visible) == (False, True)
    objects = stage.workspace.number_objects(stage.entry.id, bright().astype(np.uint32))
    step.draft.choose("li")
    stage.person.wait(lambda: step.preview.layer is not None, 10)
    assert not second.visible
    assert not stage.context.objects.layer_of(objects).visible
    step.show_preview.setChecked(False)
    assert second.visible


def test_objects_become_annotations_of_the_first_class(stage):
    step = stage.show(BaselinesStep)
    ids = np.zeros(SHAPE, np.uint32)
    ids[0, 2:9, 2:9] = 7
    stage.workspace.number_objects(stage.entry.id, ids)
    step.entered()
    assert step.use.this_slice.isEnabled()
    stage.layers.show_plane(stage.entry, 0)
    step.use.this_slice.click()
    stage.person.wait(lambda: not step.use.busy)
    np.testing.assert_array_equal(stage.entry.codes[0], np.where(ids[0], 2, 1))


def test_what_is_painted_while_a_result_becomes_annotations_stays(stage):
    step = stage.show(BaselinesStep)
    stage.context.results.add(stage.entry.id, "k-means", bright(2), "by k-means")
    step.use.all_slices.click()
    assert step.use.busy
    assert not stage.entry.codes.any(), "the window does not wait"
    painted = stage.entry.codes.copy()
    painted[1, 3:6, 3:6] = 1
    stage.workspace.commit_annotations(stage.entry.id, painted, [1])
    stage.person.wait(lambda: not step.use.busy)
    assert (stage.entry.codes != 0).all()
    assert (stage.entry.codes[1, 3:6, 3:6] == 1).all()
    stage.workspace.undo()
    np.testing.assert_array_equal(stage.entry.codes, painted)


def test_new_classes_are_told_of(stage):
    step = stage.show(BaselinesStep)
    stage.context.results.add(stage.entry.id, "k-means", bright(4), "by k-means")
    step.use.all_slices.click()
    stage.person.wait(lambda: not step.use.busy)
    assert [c.name for c in stage.workspace.classes][1:] == ["class 2", "class 3"]
    assert "with the new classes class 2 and class 3" in stage.said[-1]


def test_a_difference_shows_background_and_is_no_result(stage):
    stage.context.results.show_difference(stage.entry.id, "a ≠ b", bright())
    layer = stage.context.results.show_difference(stage.entry.id, "a ≠ c", bright())
    assert layer.get_color(1)[3] > 0
    assert not stage.layers.result_layers(stage.entry.id)
    assert [la.name for la in stage.viewer.layers if "≠" in la.name] == ["cells · a ≠ c"]


def test_the_export_offers_and_counts_what_there_is(stage):
    step = stage.show(BaselinesStep)
    del step
    stage.context.results.add(stage.entry.id, "Otsu", bright(), "by Otsu")
    export = stage.show(ExportStep)
    assert export.what.currentText() == "cells · Otsu"
    assert export.save_segmentation.isEnabled()
    export.sizes_section.expand(animate=False)
    n_px = int((bright()[stage.layers.current_plane(stage.entry)] == 2).sum())
    counted = export.sizes
    stage.person.wait(
        lambda: counted.item(1, 1) and f"{n_px:,} px" in counted.item(1, 1).text(), 10
    )
