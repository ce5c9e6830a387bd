"""Results of classical methods as layers: painted on, undone, brought back, counted, exported."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from stage import Stage, cells

from napari_unetseg.annotations import (
    add_class,
    delete_class,
    reorder_classes,
    unchanged,
)
from napari_unetseg.classical import Chain, ChainRecipe, Source, find_step, read_recipe, run_stack
from napari_unetseg.images import read_labels
from napari_unetseg.jobs.commands import BaselineCommand
from napari_unetseg.project import KeptResult, ResultNotes, Session
from napari_unetseg.widgets import export_step
from napari_unetseg.widgets.baselines_step import BaselinesStep
from napari_unetseg.widgets.correct_step import CorrectStep
from napari_unetseg.widgets.export_step import ExportStep
from napari_unetseg.widgets.method_choice import REFINE

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


def bring_back(stage, *kept):
    stage.workspace.results.bring_back(stage.entry.id, kept, unchanged(), unchanged())


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
    bring_back(stage, kept)
    assert len(stage.layers.result_layers(stage.entry.id)) == 1  # it is here already
    later.close()


def test_a_result_of_an_earlier_session_becomes_a_layer_that_can_be_painted_on(stage, tmp_path):
    path = tmp_path / "baseline-3.npy"
    np.save(path, bright())
    kept = KeptResult(path, ResultNotes(uid="a", title="Otsu", made_by="by Otsu"))
    bring_back(stage, kept, kept)
    [layer] = stage.layers.result_layers(stage.entry.id)
    np.testing.assert_array_equal(layer.data, bright())
    paint(stage, layer)
    [now] = stage.workspace.results.kept(stage.entry.id)
    assert (now.notes.title, now.notes.made_by) == ("Otsu", "by Otsu")
    assert now.notes.follows == ("a",)
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
    step.show_preview.setChecked(False)
    first = stage.context.results.add(stage.entry.id, "Otsu", bright(), "by Otsu")
    second = stage.context.results.add(stage.entry.id, "Li", bright(), "by Li")
    assert (first.visible, second.visible) == (False, True)
    objects = stage.workspace.number_objects(stage.entry.id, bright().astype(np.uint32))
    step.draft.choose("li")
    step.show_preview.setChecked(True)
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
    stage.person.wait(step.use.all_slices.isEnabled)
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


def test_an_image_may_be_left_out_while_its_result_becomes_annotations(stage):
    step = stage.show(BaselinesStep)
    stage.context.results.add(stage.entry.id, "k-means", bright(2), "by k-means")
    left_out = threading.Event()
    step.use._worker._pool.submit(left_out.wait)
    step.use.all_slices.click()
    stage.workspace.remove_image(stage.entry.id)
    left_out.set()
    stage.person.wait(lambda: not step.use.busy)
    assert not stage.entry.codes.any(), "nothing is written into an image that is left out"
    assert stage.workspace.add_image(stage.entry.stack) is stage.entry
    step.use.all_slices.click()
    stage.person.wait(lambda: not step.use.busy and stage.entry.codes.any())


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


def test_results_follow_the_classes_and_come_back_with_undo(stage):
    stage.workspace.change_classes(add_class, "other", label="adding")
    codes = np.clip(bright(3), 1, 3)
    recipe = ChainRecipe(chain=Chain.of("kmeans"))
    layer = stage.context.results.add(
        stage.entry.id, "k", answered(stage, codes), "k-means", recipe
    )
    difference = stage.context.results.show_difference(stage.entry.id, "a ≠ b", codes.copy())
    stage.workspace.change_classes(reorder_classes, [2, 1], label="moving")
    swapped = np.array([0, 1, 3, 2], np.uint8)[codes]
    for shown in (layer, difference):
        np.testing.assert_array_equal(shown.data, swapped)
    assert stage.context.results.result_of(layer).recipe.mapping == {1: 1, 2: 3, 3: 2}
    stage.workspace.change_classes(delete_class, 1, label="deleting")
    np.testing.assert_array_equal(layer.data == 0, swapped == 2)
    stage.workspace.undo()
    np.testing.assert_array_equal(layer.data, swapped)
    stage.workspace.undo()
    np.testing.assert_array_equal(layer.data, codes)
    assert stage.context.results.result_of(layer).recipe == recipe


def test_strokes_on_a_result_and_changes_of_classes_are_undone_in_their_order(stage):
    stage.workspace.change_classes(add_class, "other", label="adding")
    layer = stage.context.results.add(stage.entry.id, "Otsu", answered(stage, bright()), "by Otsu")
    seen = [np.asarray(layer.data).copy()]
    paint(stage, layer)
    seen.append(np.asarray(layer.data).copy())
    stage.workspace.change_classes(reorder_classes, [2, 1], label="moving")
    seen.append(np.asarray(layer.data).copy())
    assert (seen[-1] == 3).any()
    layer.selected_label = 2
    stage.person.stroke(layer, [(15, 60), (15, 90)])
    seen.append(np.asarray(layer.data).copy())
    stage.workspace.change_classes(delete_class, 1, label="deleting")
    assert not np.array_equal(layer.data, seen[-1])
    for expected in reversed(seen):
        stage.person.undo()
        np.testing.assert_array_equal(layer.data, expected)
    assert stage.said[-1] == "Took back: stroke."
    for expected in seen[1:]:
        stage.workspace.redo()
        np.testing.assert_array_equal(layer.data, expected)


def test_a_stroke_is_undone_from_any_layer_and_in_a_layer_that_was_closed(stage):
    layer = stage.context.results.add(stage.entry.id, "Otsu", answered(stage, bright()), "by Otsu")
    paint(stage, layer)
    painted = np.asarray(layer.data).copy()
    layer.visible = False
    stage.layers.activate(stage.layers.annotations_layer(stage.entry.id))
    stage.person.undo()
    assert layer.visible
    np.testing.assert_array_equal(layer.data, bright())
    stage.viewer.layers.remove(layer)
    stage.workspace.redo()
    [again] = stage.layers.result_layers(stage.entry.id)
    np.testing.assert_array_equal(again.data, painted)


def test_an_image_that_comes_back_has_its_results(stage):
    layer = stage.context.results.add(stage.entry.id, "Otsu", answered(stage, bright()), "by Otsu")
    hidden = stage.context.results.add(stage.entry.id, "Li", answered(stage, bright(), "b"), "Li")
    hidden.visible, layer.visible = False, True
    paint(stage, layer)
    painted = np.asarray(layer.data).copy()
    stage.layers.remove_image(stage.entry.id)
    assert not stage.layers.labels_layers()
    stage.workspace.undo()
    stage.layers.add_image([stage.image])
    first, second = stage.layers.result_layers(stage.entry.id)
    assert (first.name, first.visible, second.visible) == ("cells · Otsu", True, False)
    np.testing.assert_array_equal(first.data, bright())
    stage.workspace.redo()
    np.testing.assert_array_equal(first.data, painted)


def test_a_result_that_was_brought_back_has_its_recipe_and_is_exported_with_it(
    stage, tmp_path, monkeypatch
):
    recipe = ChainRecipe(chain=Chain.of("otsu"))
    layer = stage.context.results.add(
        stage.entry.id, "Otsu", answered(stage, bright()), "by Otsu", recipe
    )
    paint(stage, layer)
    [kept] = stage.workspace.results.kept(stage.entry.id)
    elsewhere = tmp_path / "earlier" / kept.path.name
    elsewhere.parent.mkdir()
    for ending in (".npy", ".recipe"):
        kept.path.with_suffix(ending).rename(elsewhere.with_suffix(ending))
    kept.path.with_suffix(".json").unlink()
    stage.viewer.layers.remove(layer)
    bring_back(stage, KeptResult(elsewhere, kept.notes))
    export = stage.show(ExportStep)
    assert export.what.currentText() == "cells · Otsu"
    monkeypatch.setattr(export_step, "ask_paths", lambda *_, **__: [tmp_path / "out.tif"])
    stage.person.wait(export.isVisible)
    stage.person.click(export.save_segmentation)
    stage.person.wait(lambda: not export._writer.busy, 20)
    assert read_recipe(tmp_path / "out.tif.json").chain == recipe.chain
    [again] = stage.workspace.results.kept(stage.entry.id)
    assert read_recipe(again.path.with_suffix(".recipe")) == recipe


def test_notes_of_before_recipes_are_read(stage, tmp_path):
    path = tmp_path / "baseline-3.npy"
    np.save(path, bright())
    written = {"version": 1, "uid": "a", "title": "Otsu", "made_by": "by Otsu"}
    kept = KeptResult(path, ResultNotes.model_validate_json(json.dumps(written)))
    bring_back(stage, kept)
    [layer] = stage.layers.result_layers(stage.entry.id)
    assert stage.context.results.result_of(layer).recipe is None


def segment(stage):
    """Let a network answer, otherwise than Otsu."""
    slots = stage.workspace.prediction_slots()
    for plane in range(SHAPE[0]):
        answer = np.ones(SHAPE[1:], np.uint8)
        answer[60:70, 60:90] = 2
        stage.workspace.set_prediction(stage.entry.id, plane, slots[answer])


def refine(stage, name):
    step = stage.show(BaselinesStep)
    step.choice.family.setCurrentText(REFINE)
    (action,) = [a for a in step.editor.menu.actions() if a.data() == name]
    action.trigger()
    return step


def preview(stage, step):
    stage.person.wait(lambda: not step.preview._worker.busy and step.preview.layer, 20)
    return np.asarray(step.preview.layer.data)


def with_holes():
    codes = bright()
    codes[:, 46:50, 18:22] = 1
    return codes


def test_refinements_better_the_result_in_view_and_say_so(stage):
    segment(stage)
    result = stage.context.results.add(stage.entry.id, "Otsu", with_holes(), "Otsu (bright)")
    step = refine(stage, "fill_holes")
    assert "Betters “cells · Otsu”" in step.summary.text()
    plane = stage.layers.current_plane(stage.entry)
    shown = preview(stage, step)
    assert not result.visible, "the preview is seen alone"
    np.testing.assert_array_equal(shown == 2, bright()[plane] == 2)
    stage.person.click(step.apply)
    command = stage.submitted()
    assert isinstance(command, BaselineCommand)
    (image,) = command.images
    assert image.probabilities is None
    np.testing.assert_array_equal(np.load(image.labels), with_holes())
    np.save(image.output, bright())
    stage.finish()
    layer = stage.layers.result_layers(stage.entry.id)[-1]
    assert layer.name == "cells · Otsu · Fill holes"
    assert stage.context.results.result_of(layer).made_by.startswith(
        "Otsu (bright), then Fill holes"
    )


@pytest.mark.parametrize("corrected", [False, True])
def test_a_refined_result_is_replayed_as_a_whole_unless_it_was_painted_on(stage, corrected):
    recipe = ChainRecipe(chain=Chain.of("otsu"))
    source = Source(stage.entry.stack)

    def answer_of(chain):
        codes = np.zeros(SHAPE, np.uint8)
        list(run_stack(chain, source, out=codes))
        return codes

    codes = answer_of(recipe.chain)
    codes[:, 46:50, 18:22] = 1 if corrected else codes[:, 46:50, 18:22]
    result = stage.context.results.add(stage.entry.id, "Otsu", codes, "Otsu", recipe)
    if corrected:
        stage.layers.activate(result)
        result.mode, result.selected_label = "paint", 2
        stage.person.stroke(result, [(5, 60), (5, 90)])
    step = refine(stage, "smooth")
    stage.person.wait(step.apply.isVisible)
    stage.person.click(step.apply)
    (image,) = stage.submitted().images
    source_of_refinement = Source(stage.entry.stack, labels=np.load(image.labels))
    refined = np.zeros(SHAPE, np.uint8)
    list(run_stack(step.draft.chain(), source_of_refinement, out=refined))
    np.save(image.output, refined)
    stage.finish()
    layer = stage.layers.result_layers(stage.entry.id)[-1]
    replayed_by = stage.context.results.result_of(layer).recipe
    if corrected:
        assert replayed_by is None
    else:
        np.testing.assert_array_equal(answer_of(replayed_by.chain), np.asarray(layer.data))


def test_refinements_better_what_is_selected(stage):
    segment(stage)
    result = stage.context.results.add(stage.entry.id, "Otsu", with_holes(), "Otsu (bright)")
    step = refine(stage, "fill_holes")
    preview(stage, step)
    plane = stage.layers.current_plane(stage.entry)
    stage.layers.activate(stage.layers.shown_segmentation(stage.entry.id))
    assert "Betters the network's segmentation" in step.summary.text()
    stage.person.wait(
        lambda: np.array_equal(preview(stage, step), stage.entry.segmentation(plane)), 20
    )
    stage.layers.activate(result)
    assert "Betters “cells · Otsu”" in step.summary.text()
    stage.person.wait(lambda: np.array_equal(preview(stage, step) == 2, bright()[plane] == 2), 20)
    ids = np.zeros(SHAPE, np.uint32)
    ids[:, 10:20, 10:20] = 4
    ids[:, 14:16, 14:16] = 0
    objects = stage.workspace.number_objects(stage.entry.id, ids)
    stage.layers.activate(stage.context.objects.layer_of(objects))
    stage.person.wait(lambda: preview(stage, step)[15, 15] == 4, 20)


def test_tools_that_correct_say_why_they_leave_a_result_alone(stage):
    segment(stage)
    step = stage.show(CorrectStep)
    buttons = (step.small.button, step.accept_slice, step.accept_all, step.objects.number)
    fixes = step.tools.fixes.buttons.values()
    assert all(button.isEnabled() for button in (*buttons, *fixes))
    result = stage.context.results.add(stage.entry.id, "Otsu", bright(), "Otsu (bright)")
    for button in (*buttons, *fixes):
        assert not button.isEnabled()
        assert "“cells · Otsu” is the result of a classical method" in button.toolTip()
        assert "Refine in Baselines" in button.toolTip()
    result.visible = False
    assert all(button.isEnabled() for button in (*buttons, *fixes))
    result.visible = True
    assert not step.small.button.isEnabled()
    stage.layers.activate(stage.layers.shown_segmentation(stage.entry.id))
    assert all(button.isEnabled() for button in (*buttons, *fixes))
    stage.layers.activate(result)
    assert not step.small.button.isEnabled()
    stage.controller.renewing.emit()
    assert not result.visible, "another answer of the network is on its way"


def test_a_result_that_became_annotations_makes_way_for_them(stage):
    step = stage.show(BaselinesStep)
    step.show_preview.setChecked(False)
    result = stage.context.results.add(stage.entry.id, "Otsu", bright(), "Otsu (bright)")
    step.use.this_slice.click()
    stage.person.wait(lambda: not step.use.busy)
    assert result.visible
    step.use.all_slices.click()
    stage.person.wait(lambda: not step.use.busy)
    assert not result.visible
    counts = stage.entry.sources.count(stage.entry.codes, range(SHAPE[0]))
    assert counts == {"Otsu (bright)": bright().size}


def test_how_many_objects_were_found_is_said(stage):
    step = stage.show(BaselinesStep)
    result = stage.context.results.add(stage.entry.id, "Otsu", bright(), "Otsu (bright)")
    step.draft.choose("blob_log")
    stage.person.wait(step.isVisible)
    stage.person.click(step.apply)
    (image,) = stage.submitted().images
    ids = np.zeros(SHAPE, np.uint32)
    ids[0, 2:5, 2:5], ids[0, 8:9, 2:5], ids[2, 2:5, 2:5] = 1, 2, 3
    np.save(image.output, ids)
    stage.finish("Blobs was applied to 4 slices.")
    stage.person.wait(lambda: "Found 3 objects on 2 slices." in stage.said, 10)
    assert stage.workspace.log.undo_label == "finding objects"
    assert not result.visible
    (objects,) = stage.workspace.objects.of(stage.entry.id)
    assert objects.made_by.startswith(find_step("blob_log").title)
    stage.person.click(step.apply)
    (image,) = stage.submitted().images
    np.save(image.output, np.zeros(SHAPE, np.uint32))
    stage.finish()
    stage.person.wait(lambda: "Found no object; try other settings." in stage.said, 10)


def test_the_newest_result_is_used_and_exported_though_an_older_one_was_corrected(stage):
    step = stage.show(BaselinesStep)
    step.show_preview.setChecked(False)
    older = stage.context.results.add(stage.entry.id, "Otsu", bright(), "by Otsu")
    paint(stage, older)
    export = stage.show(ExportStep)
    assert export.what.currentText() == "cells · Otsu"
    newer = stage.context.results.add(stage.entry.id, "Li", bright(3), "by Li")
    assert stage.viewer.layers.selection.active is newer
    export.entered()
    assert export.what.currentText() == "cells · Li"
    stage.show(BaselinesStep)
    step.use.all_slices.click()
    stage.person.wait(lambda: not step.use.busy)
    np.testing.assert_array_equal(stage.entry.codes, bright(3))
    assert not newer.visible
    stage.workspace.undo()
    assert newer.visible
    assert not stage.entry.codes.any()


def test_what_was_painted_on_a_result_is_told(stage, tmp_path, monkeypatch):
    recipe = ChainRecipe(chain=Chain.of("otsu"))
    layer = stage.context.results.add(stage.entry.id, "Otsu", bright(), "Otsu", recipe)
    export = stage.show(ExportStep)

    def record(name):
        monkeypatch.setattr(export_step, "ask_paths", lambda *_, **__: [tmp_path / name])
        export.save_segmentation.click()
        stage.person.wait(lambda: name in stage.said[-1], 10)
        return json.loads((tmp_path / f"{name}.json").read_text())

    assert "by hand" not in record("first.tif")
    paint(stage, layer)
    assert "by hand" in record("second.tif")
    export.entered()
    stage.person.wait(lambda: "by Otsu, corrected by hand" in export.methods.toPlainText(), 5)


def test_nothing_is_refined_where_there_is_nothing(stage):
    step = stage.show(BaselinesStep)
    step.draft.choose(None)
    step.draft.add("fill_holes")
    assert not step.apply.isEnabled()
    assert "nothing to better" in step.apply.toolTip()
    assert "nothing to better" in step.summary.text()
    stage.context.results.add(stage.entry.id, "Otsu", bright(), "by Otsu")
    assert step.apply.isEnabled()


def test_a_difference_is_seen_alone_until_there_is_a_preview(stage):
    step = stage.show(BaselinesStep)
    step.show_preview.setChecked(False)
    result = stage.context.results.add(stage.entry.id, "Otsu", bright(), "by Otsu")
    difference = stage.context.results.show_difference(stage.entry.id, "a ≠ b", bright())
    assert not result.visible
    step.show_preview.setChecked(True)
    stage.person.wait(lambda: step.preview.layer is not None, 10)
    assert not difference.visible


def test_classes_may_be_changed_while_a_result_is_computed(stage):
    stage.workspace.change_classes(add_class, "other", label="adding")
    step = stage.show(BaselinesStep)
    step.show_preview.setChecked(False)
    step.draft.choose("kmeans")
    stage.person.wait(lambda: step.apply.isVisible() and step.apply.isEnabled())
    stage.person.click(step.apply)
    (image,) = stage.submitted().images
    stage.workspace.change_classes(reorder_classes, [2, 1], label="moving")
    codes = np.clip(bright(3), 1, 3)
    np.save(image.output, codes)
    stage.finish()
    [layer] = stage.layers.result_layers(stage.entry.id)
    np.testing.assert_array_equal(layer.data, np.array([0, 1, 3, 2], np.uint8)[codes])
    assert stage.context.results.result_of(layer).recipe.mapping == {1: 1, 2: 3, 3: 2}
    stage.workspace.undo()
    np.testing.assert_array_equal(layer.data, codes)


def test_what_answers_mean_follows_the_classes(stage):
    stage.workspace.change_classes(add_class, "other", label="adding")
    step = stage.show(BaselinesStep)
    step.show_preview.setChecked(False)
    recipe = ChainRecipe(chain=Chain.of("otsu"), mapping={1: 3, 2: 2})
    step.taken.take_recipe("cells.json", recipe)
    assert step.taken.mapping() == {1: 3, 2: 2}
    stage.workspace.change_classes(reorder_classes, [2, 1], label="moving")
    assert step.taken.mapping() == {1: 2, 2: 3}
    assert step.taken.recipe()().mapping == {1: 2, 2: 3}
    stage.workspace.undo()
    assert step.taken.mapping() == {1: 3, 2: 2}


def test_an_answer_that_comes_while_somebody_paints_waits_for_the_stroke(stage):
    step = stage.show(BaselinesStep)
    step.show_preview.setChecked(False)
    step.draft.choose("li")
    codes = answered(stage, bright(), "earlier")
    layer = stage.context.results.add(stage.entry.id, "Otsu", codes, "by Otsu")
    stage.person.wait(lambda: step.apply.isVisible() and step.apply.isEnabled())
    stage.person.click(step.apply)
    (image,) = stage.submitted().images
    np.save(image.output, bright(3))
    stage.layers.activate(layer)
    layer.mode, layer.selected_label = "paint", 2
    stage.person.begin_stroke(layer, (5, 60))
    stage.person.go_on(layer, (5, 75))
    stage.finish()
    segment(stage)
    assert layer.visible
    stage.person.go_on(layer, (5, 90))
    stage.person.end_stroke(layer, (5, 90))
    painted = np.asarray(layer.data)[stage.layers.current_plane(stage.entry), 5, 60:90]
    assert (painted == 2).all()
    stage.layers.flush()
    newer = stage.layers.result_layers(stage.entry.id)[-1]
    assert (newer.name, layer.visible) == ("cells · Li threshold", False)
    assert stage.context.results.result_of(layer).is_corrected
    assert stage.workspace.undo() == "stroke"
    np.testing.assert_array_equal(layer.data, bright())


def test_a_layer_that_is_hidden_under_the_brush_keeps_what_was_painted(stage):
    layer = stage.context.results.add(stage.entry.id, "Otsu", answered(stage, bright()), "by Otsu")
    stage.layers.activate(layer)
    layer.mode, layer.selected_label = "paint", 2
    stage.person.begin_stroke(layer, (5, 60))
    stage.person.go_on(layer, (5, 75))
    layer.visible = False
    assert stage.context.results.result_of(layer).is_corrected
    stage.person.end_stroke(layer, (5, 75))
    stage.person.undo()
    np.testing.assert_array_equal(layer.data, bright())


def test_a_copy_of_a_result_is_nothing_of_ours(stage):
    layer = stage.context.results.add(stage.entry.id, "Otsu", answered(stage, bright()), "by Otsu")
    copy = type(layer)(np.asarray(layer.data).copy(), name="copy", metadata=layer.metadata)
    stage.viewer.add_layer(copy)
    assert stage.layers.result_layers(stage.entry.id) == [layer]


def test_another_view_of_the_same_pixels_is_taken_over(stage):
    layer = stage.context.results.add(stage.entry.id, "Otsu", answered(stage, bright()), "by Otsu")
    layer.data = layer.data[::-1]
    np.testing.assert_array_equal(layer.data, bright()[::-1])
    stage.layers.activate(layer)
    layer.mode, layer.selected_label = "paint", 2
    stage.person.stroke(layer, [(5, 60), (5, 90)])
    result = stage.context.results.result_of(layer)
    plane = stage.layers.current_plane(stage.entry)
    assert (result.codes(plane)[5, 60:90] == 2).all()


def test_a_result_painted_on_while_it_becomes_annotations_is_used_as_it_is_then(stage):
    step = stage.show(BaselinesStep)
    step.show_preview.setChecked(False)
    layer = stage.context.results.add(stage.entry.id, "Otsu", answered(stage, bright()), "by Otsu")
    step.use.all_slices.click()
    painted = bright()
    painted[1, 5, 60:90] = 2
    result = stage.context.results.result_of(layer)
    stage.workspace.commit_result(result, painted, [1], stage.workspace.results.meant_as)
    stage.person.wait(lambda: not step.use.busy)
    np.testing.assert_array_equal(stage.entry.codes, painted)


def test_a_stroke_while_a_result_is_refined_is_no_part_of_a_recipe(stage):
    recipe = ChainRecipe(chain=Chain.of("otsu"))
    layer = stage.context.results.add(
        stage.entry.id, "Otsu", answered(stage, bright()), "Otsu", recipe
    )
    step = refine(stage, "smooth")
    step.show_preview.setChecked(False)
    stage.person.wait(step.apply.isVisible)
    stage.person.click(step.apply)
    (image,) = stage.submitted().images
    paint(stage, layer)
    np.save(image.output, bright())
    stage.finish()
    refined = stage.context.results.result_of(stage.layers.result_layers(stage.entry.id)[-1])
    assert refined.recipe is None
    assert "corrected by hand, then" in refined.made_by


def test_a_segmentation_is_saved_with_the_classes_it_has_when_it_is_written(
    stage, tmp_path, monkeypatch
):
    stage.workspace.change_classes(add_class, "other", label="adding")
    codes = np.clip(bright(3), 1, 3)
    stage.context.results.add(stage.entry.id, "k", answered(stage, codes), "k-means")
    export = stage.show(ExportStep)
    monkeypatch.setattr(export_step, "ask_paths", lambda *_, **__: [tmp_path / "out.tif"])
    held = threading.Event()
    export._writer.ask(lambda: held.wait(20) and "")
    export.save_segmentation.click()
    stage.workspace.change_classes(reorder_classes, [2, 1], label="moving")
    held.set()
    stage.person.wait(lambda: (tmp_path / "out.tif").exists() and not export._writer.busy, 20)
    saved = read_labels(tmp_path / "out.tif", "masks")
    assert [c.name for c in saved.classes] == ["other", "class 1"]
    np.testing.assert_array_equal(saved.codes, np.array([0, 1, 3, 2], np.uint8)[codes])


def test_the_brush_goes_on_with_its_class_where_classes_are_moved(stage):
    stage.workspace.change_classes(add_class, "other", label="adding")
    layer = stage.context.results.add(stage.entry.id, "Otsu", answered(stage, bright()), "by Otsu")
    layer.selected_label = 2
    stage.workspace.change_classes(reorder_classes, [2, 1], label="moving")
    assert layer.selected_label == 3
    stage.workspace.undo()
    assert layer.selected_label == 2


def test_closing_a_corrected_result_says_that_it_is_kept(stage):
    for corrected in (False, True):
        codes = answered(stage, bright(), f"otsu-{corrected}")
        layer = stage.context.results.add(stage.entry.id, "Otsu", codes, "by Otsu")
        if corrected:
            paint(stage, layer)
        stage.viewer.layers.remove(layer)
        assert any("Otsu is kept" in said for said in stage.said) == corrected
