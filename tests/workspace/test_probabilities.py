"""How probable each class is: asked for, handed out, and given up again."""

from __future__ import annotations

import numpy as np
import pytest
from desk import SHAPE, Desk

from napari_unetseg.annotations import rename_class
from napari_unetseg.classical import Chain, Source, parse_step, run_stack


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    desk.handed = []
    desk.controller.probabilities_ready.connect(
        lambda image, names, values: desk.handed.append((image, names, np.array(values)))
    )
    yield desk
    desk.controller.close()
    desk.workspace.close()


def files(desk):
    folder = desk.workspace.session.folder / desk.entry.id
    return sorted(path.name for path in folder.glob("probabilities*"))


def test_they_agree_with_what_is_segmented_and_only_the_last_stay_on_disk(desk):
    desk.paint()
    steps: list = []
    desk.controller.stepped.connect(steps.append)
    desk.controller.train(desk.recipe(steps=60), probabilities=True)
    desk.wait(lambda: steps)
    desk.workspace.change_classes(rename_class, 1, "later", label="renaming")
    desk.run()
    (image, names, values) = desk.handed.pop()
    assert (image, values.shape) == (desk.entry.id, (1, *SHAPE))
    assert names == ("class 1",), "they are of the classes that were trained"
    found = desk.entry.prediction == desk.workspace.prediction_slots()[2]
    assert found.any()
    assert (values[0][found] >= 127).all()
    assert (values[0][~found] <= 128).all()
    desk.controller.predict(probabilities=True)
    desk.run()
    assert np.abs(desk.handed.pop()[2].astype(int) - values).max() <= 1
    assert len(files(desk)) == 1
    desk.controller.predict()
    desk.run()
    assert not desk.handed


def test_of_a_job_that_is_given_up_nothing_stays(desk):
    desk.paint()
    steps: list = []
    desk.controller.stepped.connect(steps.append)
    desk.controller.train(desk.recipe(), probabilities=True)
    desk.wait(lambda: desk.controller.model)
    desk.controller.cancel()
    desk.run()
    if desk.handed:  # the child was faster
        assert len(files(desk)) == 1
    else:
        assert files(desk) == []


def test_a_random_field_after_the_network_hears_them_until_there_is_another_answer(desk):
    desk.paint()
    desk.controller.train(desk.recipe(steps=60), probabilities=True)
    desk.run()
    told = desk.controller.told.of(desk.entry.id)
    assert told[0].shape == (2, *SHAPE[1:])
    np.testing.assert_allclose(told[0][1] * 255, desk.handed[-1][2][0, 0], atol=1e-3)
    answered: list = []
    desk.controller.baseline_ready.connect(lambda *said: answered.append(np.array(said[2])))
    chain = Chain(steps=(parse_step("crf:smoothness=4,smoothness_px=4"),))
    desk.controller.baseline(chain)
    desk.run()
    (found,) = answered
    shown = np.stack([desk.entry.segmentation(plane) for plane in range(SHAPE[0])])
    stack = desk.entry.stack
    for probabilities, agrees in ((told, True), (None, False)):
        expected = np.zeros_like(found)
        source = Source(stack, labels=shown, probabilities=probabilities)
        for _ in run_stack(chain, source, out=expected):
            pass
        assert (found == expected).all() == agrees
    desk.workspace.change_classes(rename_class, 1, "later", label="renaming")
    assert desk.controller.told.of(desk.entry.id) is None, "which class that was is not known"
    desk.workspace.undo()
    assert desk.controller.told.of(desk.entry.id) is not None
    desk.controller.predict()
    assert desk.controller.told.of(desk.entry.id) is None
    desk.run()
    assert desk.controller.told.of(desk.entry.id) is None
