from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from stage import Stage, cells

from napari_unetseg.classical import (
    METHODS,
    Chain,
    Source,
    View,
    prepare,
    run_stack,
    run_view,
    segment,
)
from napari_unetseg.classical.fit import with_defaults
from napari_unetseg.jobs import BaselineCommand
from napari_unetseg.widgets.baselines_step import BaselinesStep

pytestmark = pytest.mark.window


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(show=True), tmp_path, cells(), scale=(0.05, 0.01, 0.01))
    yield stage
    stage.close()


@pytest.fixture
def step(stage):
    return stage.show(BaselinesStep)


def choose(step, method):
    step.draft.choose(method)


def preview(stage, step):
    """Return the preview's pixels when no answer is to come."""
    stage.person.wait(lambda: not step.preview._worker.busy, 10)
    layer = step.preview.layer
    return None if layer is None else np.asarray(layer.data)


def test_the_slice_in_view_is_previewed_with_the_method_chosen(stage, step):
    plane = stage.layers.current_plane(stage.entry)
    stage.viewer.scene.camera.zoom /= 4  # slow methods are shown for what is in sight
    for method in METHODS:
        choose(step, method)
        params = step.editor.form.value()
        if METHODS[method].use_of_strokes(params) == "needed":
            assert preview(stage, step) is None
            assert "Paint some of each class" in step.apply.toolTip()
            continue
        expected = segment(method, stage.entry.stack.plane(plane), params)
        np.testing.assert_array_equal(preview(stage, step), expected)


def test_strokes_grow_and_claim_superpixels_in_the_preview(stage, step):
    stage.annotate(everything=True)
    step.entered()
    for method in ("grow", "watershed", "slic"):
        choose(step, method)
        if method == "slic":
            before = preview(stage, step).copy()
            step.editor.form.control("claim").value = True
            assert step.seeds.isVisible()
            assert preview(stage, step).max() < before.max()
        shown = preview(stage, step)
        part = step.preview.answer.box or (slice(None), slice(None))
        painted = stage.entry.codes[stage.layers.current_plane(stage.entry)][part]
        agree = shown[part][painted > 0] == painted[painted > 0]
        assert agree.mean() > 0.8


def test_the_preview_follows_the_slider_of_the_stack_and_those_of_the_form(stage, step):
    stage.viewer.dims.set_current_step(0, 3)
    np.testing.assert_array_equal(preview(stage, step), segment("otsu", stage.entry.stack.plane(3)))
    choose(step, "threshold")
    before = preview(stage, step).copy()
    step.editor.form.control("percent").value = 2.0
    assert (preview(stage, step) == 2).sum() > (before == 2).sum()


def test_the_preview_is_what_apply_to_stack_will_give_where_slices_share_levels(stage, step):
    choose(step, "kmeans")
    step.editor.form.control("per_slice").value = False
    out = np.zeros(stage.entry.shape, np.uint8)
    chain = Chain.of("kmeans", step.editor.form.value())
    list(run_stack(chain, Source(stage.entry.stack), out=out))
    stage.viewer.dims.set_current_step(0, 2)
    np.testing.assert_array_equal(preview(stage, step), out[2])


def test_the_pixel_classifier_learns_what_is_painted_as_it_is_painted(stage, step):
    stage.annotate()
    plane = stage.layers.current_plane(stage.entry)
    choose(step, "forest")
    chain = Chain.of("forest", step.editor.form.value())
    layer = stage.layers.annotations_layer(stage.entry.id)
    shown = []
    for stroke in (None, [(80, 30), (80, 90)]):
        if stroke is not None:
            stage.viewer.layers.selection.active = layer
            layer.mode, layer.selected_label, layer.brush_size = "paint", 2, 9
            stage.person.stroke(layer, stroke)
            assert (stage.entry.codes[plane, 80, 40:80] == 2).all()
        source = Source(stage.entry.stack, strokes=np.asarray(stage.entry.codes))
        (learned,) = prepare(chain, [source])
        expected = run_view(chain, source.slice_view(plane), prepared=learned)
        np.testing.assert_array_equal(preview(stage, step), expected)
        shown.append(expected)
    assert (shown[0] != shown[1]).any()


def test_the_preview_lies_on_the_image_and_takes_neither_selection_nor_camera(stage, step):
    preview(stage, step)
    step.preview.remove()
    stage.viewer.layers.selection.clear()
    stage.viewer.layers.selection.update({stage.image, stage.viewer.layers[1]})
    stage.viewer.scene.camera.zoom = 3.21
    step.show_preview.setChecked(False)
    step.show_preview.setChecked(True)
    preview(stage, step)
    annotations = stage.layers.annotations_layer(stage.entry.id)
    assert set(stage.viewer.layers.selection) == {stage.image, annotations}
    assert stage.viewer.scene.camera.zoom == 3.21
    layer = step.preview.layer
    np.testing.assert_allclose(layer.extent.world, stage.image.extent.world[:, 1:])
    assert not layer.editable


def test_the_preview_goes_with_its_check_box_and_with_the_step(stage, step):
    preview(stage, step)
    stage.person.click(step.show_preview)
    assert step.preview.layer is None
    step.show_preview.setChecked(True)
    assert preview(stage, step) is not None
    step.hide()
    assert step.preview.layer is None
    stage.viewer.dims.set_current_step(0, 2)
    assert preview(stage, step) is None
    step.show()
    assert preview(stage, step) is not None


def test_what_is_chosen_for_a_method_is_there_again_when_the_method_is(stage, step):
    step.editor.form.control("sigma_px").value = 3.0
    choose(step, "canny")
    step.editor.form.control("sigma_px").value = 7.0
    choose(step, "otsu")
    assert step.editor.form.value().sigma_px == 3.0


def test_settings_that_do_not_go_together_are_said_in_the_form_s_own_words(stage, step):
    choose(step, "canny")
    step.editor.form.control("low_percent").value = 99.0
    assert stage.said[-1].startswith("These settings do not go together: “Edges begin above (%)”")


def test_every_number_has_a_range_and_every_control_a_tooltip(stage, step):
    for method in METHODS:
        choose(step, method)
        for name in METHODS[method].params.model_fields:
            control = step.editor.form.control(name)
            assert control.tooltip.endswith(".")
            if hasattr(control, "max"):
                assert control.min < control.max


def test_fitting_finds_the_polarity_and_the_meaning_of_groups(stage, step):
    stage.annotate(everything=True)
    step.entered()
    for method in ("otsu", "kmeans"):
        choose(step, method)
        step.editor.form.control("foreground").value = "dark"
        stage.said.clear()
        stage.person.click(step.fit)
        stage.person.wait(lambda: any("Fitted" in s for s in stage.said), 20)
        stage.viewer.dims.set_current_step(0, 2)
        truth = np.where(stage.entry.stack.plane(2)[0] > 120, 2, 1)
        assert (preview(stage, step) == truth).mean() > 0.98


def test_every_method_that_answers_classes_is_fitted_off_the_window_s_thread(stage, step):
    stage.annotate(everything=True)
    step.entered()
    threads = set()
    for method in METHODS:
        choose(step, method)
        if METHODS[method].answers == "objects":
            assert not step.fit.isEnabled()
            assert "methods that find classes" in step.fit.toolTip()
            continue
        segments = METHODS[method].segment
        if method == "chan_vese":
            step.editor.form.control("foreground").value = "dark"
        if method in ("grow", "chan_vese", "forest"):
            said = fit(stage, step, threads, METHODS[method], segments)
            found = step.editor.form.value()
            # The squares that grow was not shown hold a disc in which nothing is painted.
            least = 0.4 if method == "grow" else 0.8
            assert float(said.split("mean IoU ")[1].split()[0]) > least, method
            assert found in with_defaults(METHODS[method], [View(stage.entry.stack.plane(1))])
            halved = METHODS[method].needs_strokes
            assert ("half of what you painted" in said) == halved
    assert threads
    assert threading.main_thread().name not in threads


def fit(stage, step, threads, method, segments):
    """Press the button and wait; return what is said, and note who computes."""

    def noted(*arguments):
        threads.add(threading.current_thread().name)
        return segments(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(method), "segment", lambda _, *arguments: noted(*arguments))
        stage.said.clear()
        stage.person.click(step.fit)
        assert step.fit.text().startswith("Stop (")
        stage.person.wait(lambda: not step.fit.busy, 60)
    stage.person.wait(lambda: step.fit.text() == "Fit to my annotations", 5)
    return stage.said[-1]


def test_a_search_is_stopped_with_the_best_so_far(stage, step, monkeypatch):
    stage.annotate(everything=True)
    step.entered()
    choose(step, "grow")
    grow, begun, go_on = METHODS["grow"], threading.Event(), threading.Event()
    tried = []

    def slowly(_, view, params, prepared=None):
        tried.append(params)
        begun.set()
        go_on.wait(20)
        return np.full(view.shape, 2, np.uint8)

    step.show_preview.setChecked(False)
    preview(stage, step)
    monkeypatch.setattr(type(grow), "segment", slowly)
    stage.person.click(step.fit)
    assert begun.wait(20)
    assert "best settings that were found so far" in step.fit.toolTip()
    stage.person.click(step.fit)
    go_on.set()
    stage.person.wait(lambda: any(s.startswith("Fitted") for s in stage.said), 20)
    assert len(set(tried)) == 1
    assert step.editor.form.value() == tried[0]
    assert "Search the settings" in step.fit.toolTip()


def test_too_little_to_fit_to_is_said(stage, step):
    codes = stage.entry.codes.copy()
    codes[1, 2, 2:4] = 1, 2
    stage.workspace.commit_annotations(stage.entry.id, codes, [1])
    choose(step, "grow")
    stage.person.click(step.fit)
    stage.person.wait(lambda: not step.fit.busy, 20)
    stage.person.wait(lambda: "Paint more of each class" in stage.said[-1], 5)


def test_apply_to_stack_gives_an_editable_layer_that_can_become_annotations(stage, step):
    stage.annotate(everything=True)
    step.entered()
    choose(step, "kmeans")
    stage.person.click(step.fit)
    stage.person.wait(lambda: any("Fitted" in s for s in stage.said), 20)
    assert not step.use.this_slice.isEnabled()
    stage.person.click(step.apply)
    command = stage.submitted()
    assert isinstance(command, BaselineCommand)
    _, params = Chain.model_validate(command.chain).method()
    raw = stage.workspace.session.array(stage.entry.id, "baseline-1", stage.entry.shape)
    for plane in range(4):
        raw[plane] = segment("kmeans", stage.entry.stack.plane(plane), params)
    stage.finish()
    (layer,) = stage.layers.result_layers(stage.entry.id)
    truth = np.where(np.asarray(stage.image.data) > 120, 2, 1)
    assert (np.asarray(layer.data) == truth).mean() > 0.98
    assert layer.editable
    assert step.preview.layer is None, "the preview makes way for the result"
    step.editor.form.control("sigma_px").value = 3.0
    assert preview(stage, step) is not None
    before = stage.entry.codes.copy()
    stage.viewer.dims.set_current_step(0, 2)
    stage.person.click(step.use.this_slice)
    stage.person.wait(lambda: not step.use.busy)
    assert (stage.entry.codes[2] == layer.data[2]).all()
    assert (stage.entry.codes[[0, 1, 3]] == before[[0, 1, 3]]).all()
    stage.person.click(step.use.all_slices)
    stage.person.wait(lambda: not step.use.busy)
    assert (stage.entry.codes != 0).all()
    assert (stage.entry.codes[1] == before[1]).all()


def test_a_button_that_can_do_nothing_says_why(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(show=True), tmp_path)
    step = stage.show(BaselinesStep)
    for button in (step.apply, step.fit, step.use.this_slice, step.use.all_slices):
        assert not button.isEnabled()
        assert button.toolTip() == "Choose an image in the Data step first."
    stage.close()


def least_work(deed):
    """Return the processor time of a deed, the least of five: what else runs adds to it."""
    times = []
    for i in range(5):
        started = time.process_time()
        deed(i)
        times.append(time.process_time() - started)
    return min(times)


@pytest.fixture
def megapixel_stage(make_napari_viewer, tmp_path):
    pixels = np.tile(cells((1, 128, 128)), (2, 8, 8))
    stage = Stage(make_napari_viewer(show=True), tmp_path, pixels)
    yield stage
    stage.close()


def test_a_preview_of_a_megapixel_is_as_much_work_as_a_few_gaussians(megapixel_stage):
    stage = megapixel_stage
    step = stage.show(BaselinesStep)
    plane = np.asarray(stage.entry.stack.plane(0)[0], np.float32)
    gaussian = least_work(lambda i: gaussian_filter(plane, 1.5 + i))
    moves = {"otsu": "sigma_px", "threshold": "percent", "sobel": "percent", "kmeans": "sigma_px"}
    for method, name in moves.items():
        choose(step, method)
        preview(stage, step)

        def move(i, name=name):
            step.editor.form.control(name).value = 1.5 + i
            preview(stage, step)

        work = least_work(move)
        assert work < 6 * gaussian, (method, work, gaussian)


def test_closing_all_layers_makes_none_again(stage, step):
    assert preview(stage, step) is not None
    stage.viewer.layers.clear()
    preview(stage, step)
    assert not list(stage.viewer.layers)


def test_what_a_fit_came_to_is_said_of_its_own_settings_alone(stage, step):
    stage.annotate(everything=True)
    step.entered()
    choose(step, "otsu")
    taken_back = []
    stage.context.taken_back.connect(taken_back.append)
    stage.person.click(step.fit)
    stage.person.wait(lambda: "mean IoU" in stage.said[-1], 20)
    assert stage.said[-1] not in taken_back
    choose(step, "li")
    assert stage.said[-1] in taken_back
