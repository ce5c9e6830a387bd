"""How probable each class is, as the child writes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_unetseg.config import find_model
from napari_unetseg.events import FinishReason
from napari_unetseg.jobs.commands import ImageToPredict, PredictCommand
from napari_unetseg.jobs.pixels import create_codes, open_image
from napari_unetseg.learning import Predictor, load_model


def test_training_and_applying_write_the_models_own_probabilities(worker, scene, jobs):
    trained, applied = scene.folder / "trained.npy", scene.folder / "applied.npy"
    command = scene.training(steps=20)
    asked = replace(command.images[0], probabilities=str(trained))
    _, finished = jobs.run(worker, replace(command, images=[asked]))
    assert finished.reason is FinishReason.COMPLETED, finished
    model, stack = load_model(command.model_path), open_image(scene.image)
    create_codes(scene.folder / "answer.npy", (stack.n_planes, *stack.plane_shape))
    target = ImageToPredict(
        scene.image, str(scene.folder / "answer.npy"), probabilities=str(applied)
    )
    _, finished = jobs.run(worker, PredictCommand([target], command.model_path, "cpu"))
    assert finished.reason is FinishReason.COMPLETED, finished
    expected = Predictor(model, stack, device="cpu")
    shape = (len(model.info.classes), stack.n_planes, *stack.plane_shape)
    for path in (trained, applied):
        written = np.load(path)
        assert (written.dtype, written.shape) == (np.uint8, shape)
        for plane in range(stack.n_planes):
            answer = expected.answer(plane, probabilities=True).probabilities
            difference = written[:, plane] - 255 * answer[1:]
            assert np.abs(difference).max() < 1
    assert written.max() > 200


def test_where_they_are_not_asked_for_no_file_is_written(worker, scene, jobs):
    jobs.run(worker, scene.training(steps=3))
    assert not list(scene.folder.glob("*probab*"))


def test_a_resized_image_is_answered_without_them(worker, scene, jobs):
    """Its answer is decided by resized probabilities, which nobody asked for."""
    image = replace(scene.image, pixel_size_um={"Y": 0.004, "X": 0.004})
    stack = open_image(image)
    codes = create_codes(scene.folder / "codes.npy", (stack.n_planes, *stack.plane_shape))
    target = ImageToPredict(image, str(scene.folder / "codes.npy"))
    model = str(find_model("membranes"))
    expected = Predictor(load_model(model), stack, device="cpu", resample=True)
    assert expected.scale == pytest.approx(2)
    _, finished = jobs.run(worker, PredictCommand([target], model, "cpu", resample=True))
    assert finished.reason is FinishReason.COMPLETED, finished
    np.testing.assert_array_equal(codes[0], expected.answer(0).codes)
