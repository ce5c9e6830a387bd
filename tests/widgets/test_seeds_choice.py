"""Points to grow from: on which image each of them counts."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication
from stage import Stage, cells

from napari_unetseg.widgets.baselines_step import BaselinesStep

pytestmark = pytest.mark.window


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    stage = Stage(make_napari_viewer(show=True), tmp_path, cells())
    yield stage
    stage.close()


def beside(stage, **placed):
    """Add another image; return it."""
    layer = stage.viewer.add_image(cells((2, 60, 80)), name="other", **placed)
    entry = stage.layers.add_image([layer])
    stage.viewer.layers.selection.active = stage.image
    return layer, entry


def growing(stage, points):
    stage.viewer.add_points(points, name="clicks")
    stage.viewer.layers.selection.active = stage.image
    step = stage.show(BaselinesStep)
    step.draft.choose("grow")
    step.seeds.box.setCurrentIndex(step.seeds.box.findText("clicks"))
    QApplication.processEvents()
    return step


def seeds_of(step, entry):
    return [tuple(map(int, at)) for at in np.argwhere(step.seeds.strokes(entry)[:] == 2)]


def test_a_point_counts_on_the_image_that_it_lies_on(stage):
    layer, other = beside(stage, translate=(0, 0, 200))
    step = growing(stage, [[1, 48, 20], [0, 30, 240]])
    assert (1, 48, 20) in seeds_of(step, stage.entry)
    assert {at[0] for at in seeds_of(step, stage.entry)} == {1}
    assert (0, 30, 40) in seeds_of(step, other)
    assert {at[0] for at in seeds_of(step, other)} == {0}
    stage.viewer.layers.selection.active = layer
    assert (0, 30, 40) in seeds_of(step, other)


def test_where_images_lie_on_each_other_a_point_counts_on_the_one_in_view(stage):
    layer, other = beside(stage)
    step = growing(stage, [[1, 48, 20]])
    assert (1, 48, 20) in seeds_of(step, stage.entry)
    assert not seeds_of(step, other)
    stage.viewer.layers.selection.active = layer
    assert not seeds_of(step, stage.entry)
    assert (1, 48, 20) in seeds_of(step, other)


def test_images_on_which_nothing_is_clicked_or_painted_are_left_out_and_named(stage):
    layer, other = beside(stage, translate=(0, 0, 200))
    step = growing(stage, [[1, 48, 20]])
    stage.viewer.layers.selection.active = layer
    assert step.seen.text() == "Nothing is painted or clicked on other."
    stage.viewer.layers.selection.active = stage.image
    assert "Nothing is painted" not in step.seen.text()
    stage.person.click(step.apply)
    command = stage.submitted()
    assert [image.image.id for image in command.images] == [stage.entry.id]
    stage.finish("Region growing was applied to 4 slices.")
    assert stage.said[-1] == (
        "Region growing was applied to 4 slices. Left out other: nothing is painted or clicked "
        "there."
    )
    codes = np.zeros(other.shape, np.uint8)
    codes[0, 20:24, 20:24] = 2
    stage.workspace.commit_annotations(other.id, codes, [0])
    stage.person.click(step.apply)
    command = stage.submitted()
    assert [image.image.id for image in command.images] == [stage.entry.id, other.id]
    written = {image.image.id: np.load(image.strokes) for image in command.images}
    np.testing.assert_array_equal(written[other.id], codes)
    assert (written[stage.entry.id][1] == 2).sum() == 9
    stage.said.clear()
    stage.finish()
    assert not any("Left out" in sentence for sentence in stage.said)


def test_a_point_on_no_image_is_named_and_nothing_is_applied(stage):
    step = growing(stage, [[1, 48, 20], [1, 48, 900]])
    n = len(stage.worker.commands)
    stage.person.click(step.apply)
    assert stage.said[-1] == (
        "The point at 1, 48, 900 of clicks lies on no image; move it onto one, or delete it."
    )
    assert len(stage.worker.commands) == n


def test_points_at_the_edges_of_an_image_are_on_it(stage):
    step = growing(stage, [[-0.4, -0.4, -0.4], [3.4, 95.4, 127.4]])
    found = seeds_of(step, stage.entry)
    assert (0, 0, 0) in found
    assert (3, 95, 127) in found
