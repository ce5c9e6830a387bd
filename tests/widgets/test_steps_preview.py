"""What a preview is made of: the same as what Apply is given, and renewed whenever that changes."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from qtpy.QtTest import QTest
from stage import Stage, cells

from napari_unetseg.classical import METHODS, REFINEMENTS, Chain, Source, prepare, run_stack
from napari_unetseg.widgets.baselines_step import BaselinesStep

pytestmark = pytest.mark.window


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(show=True), tmp_path, cells(), scale=(0.05, 0.01, 0.01))
    stage.viewer.scene.camera.zoom /= 4  # slow methods are shown for what is in sight
    stage.viewer.dims.set_current_step(0, 1)
    yield stage
    stage.close()


@pytest.fixture
def step(stage):
    return stage.show(BaselinesStep)


def preview(stage, step):
    stage.person.wait(lambda: not step.preview._worker.busy, 20)
    layer = step.preview.layer
    return None if layer is None else np.asarray(layer.data).copy()


def applied(stage, step):
    """Press Apply; return what the child will find on the slice in view."""
    entry = stage.layers.current_image()
    stage.person.click(step.apply)
    command = stage.submitted()
    stage.finish()
    sources = {
        image.image.id: Source(
            stage.workspace.images[image.image.id].stack, strokes=np.load(image.strokes)
        )
        for image in command.images
    }
    chain = Chain.model_validate(command.chain)
    prepared = dict(zip(sources, prepare(chain, list(sources.values())), strict=True))
    out = np.zeros(entry.shape, np.uint8)
    list(run_stack(chain, sources[entry.id], out=out, prepared=prepared[entry.id]))
    return out[stage.layers.current_plane(entry)]


def shown_and_applied(stage, step):
    """Return the preview, which must be what Apply gives."""
    step.show_preview.setChecked(True)
    shown = preview(stage, step)
    np.testing.assert_array_equal(shown, applied(stage, step))
    step.show_preview.setChecked(True)
    return shown


def region_over(stage, rows, columns):
    stage.layers.region_layer(stage.entry.id)
    region = stage.workspace.session.array(stage.entry.id, "region", stage.entry.shape)
    region[:, rows, columns] = 2  # excluded
    stage.entry.region = region
    stage.workspace.update_region(stage.entry.id)


@pytest.mark.parametrize("method", ["watershed", "forest"])
def test_strokes_outside_the_region_count_neither_in_the_preview_nor_in_apply(stage, step, method):
    stage.annotate()
    codes = stage.entry.codes.copy()
    codes[1, 80:90, 10:120] = 2
    stage.workspace.commit_annotations(stage.entry.id, codes, [1])
    step.draft.choose(method)
    before = shown_and_applied(stage, step)
    region_over(stage, slice(70, 96), slice(0, 128))
    after = shown_and_applied(stage, step)
    assert (before != after).any()


def test_points_that_are_moved_are_seen_at_once(stage, step):
    stage.annotate()  # background as well
    points = stage.viewer.add_points([[1, 48, 20]], scale=(0.05, 0.01, 0.01), name="clicks")
    stage.viewer.layers.selection.active = stage.image
    step.draft.choose("watershed")
    step.seeds.box.setCurrentIndex(step.seeds.box.findText("clicks"))
    before = shown_and_applied(stage, step)
    points.data = [[1, 48, 20], [1, 80, 100]]
    assert (shown_and_applied(stage, step) != before).any()


def test_a_forest_learns_from_points_that_are_moved(stage, step):
    stage.annotate()
    points = stage.viewer.add_points([[1, 48, 20]], scale=(0.05, 0.01, 0.01), name="clicks")
    stage.viewer.layers.selection.active = stage.image
    step.draft.choose("forest")
    step.seeds.box.setCurrentIndex(step.seeds.box.findText("clicks"))
    before = shown_and_applied(stage, step)
    points.data = [[1, 48, 20], [1, 90, 100], [1, 90, 60], [1, 70, 100]]
    assert (shown_and_applied(stage, step) != before).any()


def test_a_forest_learns_from_the_images_that_are_there(stage, step):
    stage.annotate()
    step.draft.choose("forest")
    few = step.editor.form.value().replace(n_px=100)  # drawn at random, from one after the other
    step.draft.set_params(few)
    alone = preview(stage, step)
    noise = np.random.default_rng(0).integers(0, 255, (1, 96, 128)).astype(np.uint8)
    other = stage.viewer.add_image(noise, name="other", translate=(0, 0, 5))
    entry = stage.layers.add_image([other])
    codes = np.where(noise > 120, 2, 1).astype(np.uint8)
    stage.workspace.commit_annotations(entry.id, codes, [0])
    stage.viewer.layers.selection.active = stage.image
    both = shown_and_applied(stage, step)
    assert (alone != both).any()
    stage.viewer.layers.selection.active = other
    shown_and_applied(stage, step)
    stage.layers.remove_image(entry.id)
    stage.viewer.layers.selection.active = stage.image
    np.testing.assert_array_equal(preview(stage, step), alone)


def test_a_slice_without_a_stack_is_previewed_in_3d(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(show=True), tmp_path, cells()[1])
    stage.annotate(plane=0)
    step = stage.show(BaselinesStep)
    stage.viewer.scene.camera.zoom /= 4
    for method in ("sobel", "watershed"):
        step.draft.choose(method)
        step.editor.form.control("in_3d").value = True
        assert set(np.unique(preview(stage, step))) == {1, 2}
    stage.close()


@pytest.mark.parametrize("method", ["watershed", "random_walker", "forest"])
def test_one_class_alone_is_pointed_out_before_anything_is_flooded(stage, step, method):
    codes = stage.entry.codes.copy()
    codes[1, 46:50, 18:22] = 2
    stage.workspace.commit_annotations(stage.entry.id, codes, [1])
    step.draft.choose(method)
    name = stage.workspace.classes[0].name
    said = f"Only {name} is painted; paint some of another class, or background, too."
    assert step.apply.toolTip() == step.seen.text() == said
    assert step.seen.isVisible()
    assert not step.apply.isEnabled()
    assert not step.fit.isEnabled()
    assert preview(stage, step) is None
    stage.annotate()
    assert preview(stage, step) is not None
    assert step.apply.isEnabled()
    assert step.fit.isEnabled()
    assert said not in step.seen.text()


def test_points_are_one_class_and_grow_without_another(stage, step):
    stage.viewer.add_points(np.zeros((0, 3)), scale=(0.05, 0.01, 0.01), name="clicks")
    stage.viewer.layers.selection.active = stage.image
    step.draft.choose("grow")
    step.seeds.box.setCurrentIndex(step.seeds.box.findText("clicks"))
    assert "Paint some of each class" in step.seen.text(), "nothing is clicked yet"
    step.seeds.points.data = [[1, 48, 20]]
    assert (shown_and_applied(stage, step) == 2).any()
    step.draft.choose("watershed")
    assert "Only" in step.seen.text()
    assert not step.apply.isEnabled()


def test_a_slice_on_which_too_little_is_painted_says_so(stage, step):
    stage.annotate(plane=1)
    step.draft.choose("watershed")
    preview(stage, step)
    assert not step.seen.isVisible()
    stage.viewer.dims.set_current_step(0, 2)
    assert not preview(stage, step).any()
    assert step.seen.text().startswith("Paint some of each class on this slice, too")
    stage.viewer.dims.set_current_step(0, 1)
    preview(stage, step)
    assert not step.seen.isVisible()


@pytest.fixture
def slowly(monkeypatch):
    """Let Otsu's method wait for a word; return what begins, the word, and what it was asked."""
    otsu, begun, go_on, asked = METHODS["otsu"], threading.Event(), threading.Event(), []
    label = type(otsu).label

    def waits(self, features, params, levels):
        asked.append(params)
        begun.set()
        go_on.wait(20)
        return label(self, features, params, levels)

    monkeypatch.setattr(type(otsu), "label", waits)
    yield begun, go_on, asked
    go_on.set()


def test_a_preview_that_takes_long_is_said_to_be_computed(stage, slowly):
    _, go_on, _ = slowly
    step = stage.show(BaselinesStep)
    assert not step.seen.isVisible()
    stage.person.wait(step.seen.isVisible, 5)
    assert step.seen.text() == "Computing …"
    go_on.set()
    stage.person.wait(lambda: not step.seen.isVisible(), 10)
    assert preview(stage, step) is not None


def test_a_slow_preview_that_is_obsolete_is_given_up_between_steps(stage, slowly, monkeypatch):
    begun, go_on, asked = slowly
    filled = []
    fill = type(REFINEMENTS["fill_holes"])
    apply = fill.apply
    monkeypatch.setattr(
        fill, "apply", lambda *arguments: (filled.append(len(asked)), apply(*arguments))[1]
    )
    step = stage.show(BaselinesStep)
    go_on.set()
    step.draft.add("fill_holes")
    step.draft.look_at(0)
    preview(stage, step)
    filled.clear()
    asked.clear()
    begun.clear()
    go_on.clear()
    step.editor.form.control("sigma_px").value = 2.0
    assert begun.wait(10)
    step.editor.form.control("sigma_px").value = 3.0
    stage.person.wait(lambda: step.seen.text() == "Computing …", 5)
    QTest.qWait(100)
    go_on.set()
    preview(stage, step)
    assert [params.sigma_px for params in asked] == [2.0, 3.0]
    assert filled == [2], "only of what is wanted by then"


def test_a_quick_preview_is_shown_though_another_is_wanted_by_then(stage, step, slowly):
    begun, go_on, asked = slowly
    go_on.set()
    step.draft.add("fill_holes")
    step.draft.look_at(0)
    preview(stage, step)
    go_on.clear()
    begun.clear()
    asked.clear()
    shown = []
    step.preview.shown.connect(lambda: shown.append(len(asked)))
    step.editor.form.control("sigma_px").value = 2.0
    assert begun.wait(10)
    step.editor.form.control("sigma_px").value = 3.0
    go_on.set()
    preview(stage, step)
    assert len(shown) == len(asked) == 2


def test_a_failure_goes_when_its_cause_has_gone(stage, step):
    stage.annotate()
    points = stage.viewer.add_points([[1, 48, 900]], scale=(0.05, 0.01, 0.01), name="clicks")
    stage.viewer.layers.selection.active = stage.image
    step.draft.choose("grow")
    step.seeds.box.setCurrentIndex(step.seeds.box.findText("clicks"))
    assert "of clicks lies on no image" in step.seen.text()
    assert preview(stage, step) is None
    points.data = [[1, 48, 20]]
    assert preview(stage, step) is not None
    assert "lies on no image" not in step.seen.text()
