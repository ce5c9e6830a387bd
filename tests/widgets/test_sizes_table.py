"""Areas and volumes of classes, under a fold of the Export step."""

from __future__ import annotations

import numpy as np
import pytest
from stage import Stage, cells

from napari_unetseg.annotations import rename_class
from napari_unetseg.widgets.export_step import ExportStep

pytestmark = pytest.mark.window


def make_stage(viewer, folder, pixels, **image):
    stage = Stage(viewer, folder, pixels, **image)
    for plane in range(stage.entry.shape[0]):
        codes = np.ones(stage.entry.shape[1:], np.uint8)
        codes[:10, : 5 * (plane + 1)] = 2
        stage.workspace.set_prediction(stage.entry.id, plane, codes)
    return stage


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer(show=True)
    stage = make_stage(viewer, tmp_path, cells(), scale=(0.05, 0.01, 0.01), units="um")
    yield stage
    stage.close()


def texts(stage, step):
    """Unfold the section and wait; return the texts of the first class."""
    if not step.sizes_section.isExpanded():
        step.sizes_section.expand(animate=False)
    table = step.sizes
    stage.person.wait(table.isVisible, 10)
    stage.person.wait(
        lambda: table.item(1, 1) and "counting" not in table.item(1, 1).text() + cell(table, 2), 10
    )
    return [cell(table, column) for column in range(3)]


def cell(table, column):
    return table.item(1, column).text()


def test_areas_and_volumes_are_those_of_what_is_segmented(stage):
    step = stage.show(ExportStep)
    stage.viewer.dims.set_current_step(0, 1)
    assert step.sizes._counts.of(stage.entry.id, [1]) is None, "nothing is counted under a fold"
    said = texts(stage, step)
    # 10 × 10 px of 0.01 µm; 500 px in all, 0.05 µm thick
    assert said == ["class 1", "100 px\n0.01 µm²", "500 px\n0.0025 µm³"]
    stage.viewer.dims.set_current_step(0, 3)
    assert texts(stage, step)[1] == "200 px\n0.02 µm²"


def test_a_correction_is_counted_at_once_and_classes_keep_their_names(stage):
    step = stage.show(ExportStep)
    stage.viewer.dims.set_current_step(0, 0)
    assert texts(stage, step)[1] == "50 px\n0.005 µm²"
    codes = stage.entry.codes.copy()
    codes[0, 50:60, 50:60] = 2
    stage.workspace.commit_annotations(stage.entry.id, codes, [0])
    now = ["150 px\n0.015 µm²", "600 px\n0.003 µm³"]
    stage.person.wait(lambda: texts(stage, step)[1:] == now, 10)
    stage.workspace.change_classes(rename_class, 1, "nucleus", label="renaming")
    assert texts(stage, step) == ["nucleus", *now]


def test_without_a_pixel_size_pixels_are_counted_and_a_slice_is_no_volume(
    make_napari_viewer, tmp_path
):
    stage = make_stage(make_napari_viewer(show=True), tmp_path, cells()[:1][0])
    step = stage.show(ExportStep)
    assert texts(stage, step) == ["class 1", "50 px", "–"]
    stage.close()


def test_volumes_are_those_of_the_time_point_in_view(make_napari_viewer, tmp_path):
    pixels = cells((6, 96, 128)).reshape(2, 3, 96, 128)
    stage = make_stage(make_napari_viewer(show=True), tmp_path, pixels)
    step = stage.show(ExportStep)
    stage.viewer.dims.set_current_step(0, 1)
    stage.viewer.dims.set_current_step(1, 0)
    assert texts(stage, step)[1:] == ["200 px", "750 px"]
    stage.close()
