"""How probable each class is: asked for, handed out, and given up again."""

from __future__ import annotations

import numpy as np
import pytest
from desk import SHAPE, Desk

from napari_unetseg.annotations import rename_class


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
