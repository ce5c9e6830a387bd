"""Groups of pixels shown in their mean colours: the image in few colours."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels
from skimage.color import label2rgb
from stage import Stage, cells

from napari_unetseg.classical import METHODS, parse_params, segment
from napari_unetseg.widgets.baselines_step import BaselinesStep
from napari_unetseg.widgets.open_images import open_images

pytestmark = pytest.mark.window


@pytest.fixture
def make_stage(make_napari_viewer, tmp_path):
    stages = []

    def make(pixels=None, **image):
        stage = Stage(make_napari_viewer(show=True), tmp_path, pixels, **image)
        stages.append(stage)
        return stage

    yield make
    for stage in stages:
        stage.close()


def show(stage, method="kmeans"):
    stage.viewer.window._qt_viewer.window().resize(1300, 900)
    step = stage.show(BaselinesStep)
    step.draft.choose(method)
    stage.person.wait(step.in_means.isVisible)
    stage.person.click(step.in_means)
    return step


def shown(stage, step):
    stage.person.wait(lambda: not step.preview._worker.busy, 20)
    layer = step.preview.layer
    assert isinstance(layer, Image)
    return np.asarray(layer.data)


def grey_means(labels, plane):
    """Return the plane with each pixel the mean of its group."""
    painted = np.zeros(plane.shape)
    for label in np.unique(labels):
        painted[labels == label] = plane[labels == label].mean()
    return painted


def test_a_grey_image_in_few_greys_follows_the_slider_and_the_settings(make_stage):
    stage = make_stage(cells(), contrast_limits=(20, 220))
    step = show(stage)
    for plane in (1, 3):
        stage.viewer.dims.set_current_step(0, plane)
        for k in (2, 5):
            step.editor.form.control("n_clusters").value = k
            found = shown(stage, step)
            pixels = stage.entry.stack.plane(plane)
            labels = segment("kmeans", pixels, parse_params("kmeans", [f"n_clusters={k}"]))
            expected = (grey_means(labels, pixels[0]) - 20) / 200 * 255
            assert np.abs(found[..., 0] - expected.clip(0, 255)).max() <= 1
            assert (found[..., 0] == found[..., 2]).all()
            assert (found[..., 3] == 255).all()


def test_the_picture_has_a_name_of_its_own_and_goes_with_the_preview(make_stage):
    stage = make_stage(cells())
    step = show(stage)
    shown(stage, step)
    layer = step.preview.layer
    assert layer.name == "cells · centroids"
    assert [image.name for image in open_images(stage.viewer.layers)] == ["cells"]
    assert not [la for la in stage.viewer.layers if la.name.endswith("· preview")]
    stage.person.click(step.in_means)
    stage.person.wait(lambda: isinstance(step.preview.layer, Labels), 10)
    assert layer not in stage.viewer.layers
    stage.person.click(step.in_means)
    shown(stage, step)
    stage.person.click(step.show_preview)
    assert step.preview.layer is None
    assert not [la for la in stage.viewer.layers if la.name.endswith("· centroids")]


def test_a_colour_image_in_few_colours_is_that_of_scikit_image(make_stage):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 40, 50, 3), dtype=np.uint8)
    stage = make_stage(pixels, rgb=True)
    step = show(stage)
    found = shown(stage, step)
    plane = stage.entry.stack.plane(stage.layers.current_plane(stage.entry))
    labels = segment("kmeans", plane, step.editor.form.value())
    expected = label2rgb(labels, np.moveaxis(plane, 0, -1), kind="avg", bg_label=0)
    assert np.abs(found[..., :3] - expected.astype(float)).max() <= 1


def test_channels_are_shown_as_the_composite_on_the_screen(make_stage):
    stage = make_stage()
    first, second = cells((1, 40, 50))[0], cells((1, 40, 50))[0][::-1].copy()
    layers = [
        stage.viewer.add_image(pixels, name=name, colormap=name, blending="additive")
        for name, pixels in (("green", first), ("magenta", second))
    ]
    for layer in layers:
        layer.contrast_limits = (0, 255)
    stage.entry = stage.layers.add_image(layers)
    step = show(stage)
    found = shown(stage, step).astype(float)
    labels = segment("kmeans", np.stack([first, second]), step.editor.form.value())
    green, magenta = grey_means(labels, first), grey_means(labels, second)
    for i, channel in enumerate((magenta, green, magenta)):
        assert np.abs(found[..., i] - channel).max() <= 1


def test_what_a_slow_method_is_not_shown_stays_as_it_is(make_stage):
    stage = make_stage(np.tile(cells((1, 128, 128)), (1, 4, 4)))
    step = show(stage, "slic")
    found = shown(stage, step)
    rows, columns = step.preview.answer.box
    assert (found[rows, columns, 3] == 255).all()
    found = found.copy()
    found[rows, columns] = 0
    assert not found.any()


def test_it_is_offered_where_answers_are_groups(make_stage):
    stage = make_stage(cells())
    step = show(stage)
    for method in METHODS:
        step.draft.choose(method)
        groups = METHODS[method].family in ("Clustering", "Superpixels") or method == "multiotsu"
        assert step.in_means.isVisible() == groups
        stage.person.wait(lambda: not step.preview._worker.busy, 20)
        if not groups and step.preview.layer is not None:
            assert isinstance(step.preview.layer, Labels)
