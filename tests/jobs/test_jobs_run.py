"""Jobs in a real child process, from the first command to `Finished`."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg import predict
from napari_unetseg.classical import Chain, parse_params
from napari_unetseg.config import Recipe, find_model, read_model_info
from napari_unetseg.events import (
    FinishReason,
    ModelSaved,
    PlanePredicted,
    Preparing,
    Progress,
    TrainingStarted,
    TrainingStep,
)
from napari_unetseg.images import Stack, read_labels, write_image
from napari_unetseg.jobs import (
    BaselineCommand,
    ImageToPredict,
    ImageToSegment,
    JobState,
    PredictCommand,
    PredictFilesCommand,
    create_codes,
)
from napari_unetseg.jobs.pixels import open_image
from napari_unetseg.learning import Predictor, load_model
from napari_unetseg.synthesis.light import fluorescent_nuclei

N_PLANES = 5


def is_step(event):
    return isinstance(event, TrainingStep)


def test_training_saves_a_model_and_segments_every_slice(worker, scene, jobs):
    command = scene.training(steps=40)
    events, finished = jobs.run(worker, command)
    assert finished.reason is FinishReason.COMPLETED, finished
    assert worker.state is JobState.IDLE
    kinds = [type(event) for event in events]
    assert kinds.index(TrainingStarted) < kinds.index(TrainingStep) < kinds.index(ModelSaved)
    planes = [event.plane for event in events if isinstance(event, PlanePredicted)]
    assert sorted(planes) == list(range(N_PLANES))
    progress = [event for event in events if isinstance(event, Progress)]
    assert progress[-1].done == progress[-1].total == N_PLANES
    assert read_model_info(command.model_path).classes[0].name == "blanc"
    assert (scene.prediction == scene.truth).mean() > 0.9


def test_the_slice_in_view_comes_first_then_its_neighbours(worker, scene, jobs):
    worker.submit(scene.training())
    worker.look_at("scene", 3)
    events = jobs.events_until(worker, lambda _: False)
    planes = [e.plane for e in events if isinstance(e, PlanePredicted) and e.step < 0]
    assert planes == [3, 2, 4, 1, 0]


def test_the_slice_in_view_is_remembered_for_the_next_job(worker, scene, jobs):
    worker.look_at("scene", 4)
    events, _ = jobs.run(worker, scene.training())
    planes = [e.plane for e in events if isinstance(e, PlanePredicted) and e.step < 0]
    assert planes[0] == 4


def test_the_slice_in_view_is_segmented_again_and_again_while_training(worker, scene, jobs):
    worker.submit(scene.training(steps=10**6))
    seen = []

    def is_enough(event):
        if isinstance(event, PlanePredicted):
            seen.append((event.plane, event.step))
            worker.look_at("scene", 1)
        return len(seen) == 3

    worker.look_at("scene", 2)
    jobs.events_until(worker, is_enough)
    planes, steps = zip(*seen, strict=True)
    assert planes == (2, 1, 1)
    assert 0 < steps[0] < steps[1] < steps[2]
    assert scene.prediction[2].all()
    assert not scene.prediction[4].any()


def test_stopping_keeps_the_model_and_segments(worker, scene, jobs):
    command = scene.training(steps=10**6)
    worker.submit(command)
    jobs.events_until(worker, is_step)
    worker.stop()
    finished = jobs.events_until(worker, lambda _: False)[-1]
    assert finished.reason is FinishReason.STOPPED_EARLY
    assert read_model_info(command.model_path).history["steps"] >= 1
    assert scene.prediction.all()


def test_stopping_before_the_first_step_makes_no_model(worker, scene, jobs):
    command = scene.training(steps=10**6)
    worker.submit(command)
    worker.stop()
    finished = jobs.events_until(worker, lambda _: False)[-1]
    assert finished.reason is FinishReason.CANCELLED
    assert not Path(command.model_path).exists()


def test_cancelling_takes_less_than_the_grace_and_the_child_stays(worker, scene, jobs):
    command = scene.training(steps=10**6)
    worker.submit(command)
    jobs.events_until(worker, is_step)
    pid, began = worker.pid, time.monotonic()
    worker.cancel()
    assert worker.state is JobState.CANCELLING
    finished = jobs.events_until(worker, lambda _: False)[-1]
    assert finished.reason is FinishReason.CANCELLED
    assert time.monotonic() - began < 3
    assert worker.pid == pid
    assert not Path(command.model_path).exists()


def test_cancelling_the_segmentation_keeps_the_model(worker, scene, jobs):
    command = scene.training()
    worker.submit(command)
    jobs.events_until(worker, lambda event: isinstance(event, ModelSaved))
    worker.cancel()
    finished = jobs.events_until(worker, lambda _: False)[-1]
    if finished.reason is FinishReason.CANCELLED:  # the child may have been faster
        assert finished.results["model"] == command.model_path
    assert read_model_info(command.model_path).history["steps"] == 3


def test_states_follow_the_diagram(worker, scene, jobs):
    assert worker.state is JobState.IDLE
    worker.submit(scene.training(steps=10**6))
    assert worker.state is JobState.PREPARING
    with pytest.raises(RuntimeError, match="preparing"):
        worker.submit(scene.training())
    jobs.events_until(worker, lambda event: isinstance(event, TrainingStarted))
    assert worker.state is JobState.RUNNING


def test_training_continues_from_a_model_and_a_model_segments(worker, scene, jobs):
    first = scene.training(steps=20)
    jobs.run(worker, first)
    second = scene.training(base=first.model_path, predict_after=False)
    events, finished = jobs.run(worker, second)
    assert finished.reason is FinishReason.COMPLETED, finished
    assert all(event.step > 0 for event in events if isinstance(event, PlanePredicted))
    assert not any(isinstance(event, Progress) for event in events)
    output = create_codes(scene.folder / "answer.npy", (N_PLANES, 64, 64))
    target = ImageToPredict(scene.image, str(scene.folder / "answer.npy"))
    events, finished = jobs.run(worker, PredictCommand([target], first.model_path, "cpu"))
    assert finished.reason is FinishReason.COMPLETED, finished
    assert output.all()
    assert [e.done for e in events if isinstance(e, Progress)] == list(range(N_PLANES + 1))
    uncertainty = create_codes(scene.folder / "uncertainty.npy", (N_PLANES, 64, 64))
    target = replace(target, uncertainty=str(scene.folder / "uncertainty.npy"))
    jobs.run(worker, PredictCommand([target], first.model_path, "cpu"))
    expected = Predictor(load_model(first.model_path), open_image(scene.image), device="cpu")
    for plane in range(N_PLANES):
        of_plane = 255 * expected.answer(plane, uncertainty=True).uncertainty
        assert np.abs(uncertainty[plane] - of_plane).max() < 1


def test_files_are_segmented_into_a_folder_and_not_overwritten(worker, scene, jobs):
    trained = scene.training(steps=40, predict_after=False)
    jobs.run(worker, trained)
    pixels = np.load(scene.folder / "image.npy")
    for name in ("ä", "b c"):
        image = Stack(pixels[:2], "ZYX", {"Y": 0.5, "X": 0.5}, name)
        write_image(scene.folder / "in" / f"{name}.tif", image)
    out = scene.folder / "out"
    command = PredictFilesCommand([str(scene.folder / "in")], trained.model_path, str(out), "cpu")
    _, finished = jobs.run(worker, command)
    assert finished.reason is FinishReason.COMPLETED, finished
    assert sorted(path.name for path in out.glob("*.tif")) == ["b c.tif", "ä.tif"]
    labels = read_labels(out / "ä.tif", "masks")
    assert (labels.codes == scene.truth).mean() > 0.9
    assert labels.classes[0].name == "blanc"
    record = json.loads((scene.folder / "out.json").read_text(encoding="utf-8"))
    assert record["model"]["path"] == trained.model_path
    assert [Path(image["output"]).name for image in record["images"]] == ["b c.tif", "ä.tif"]
    onto_itself = replace(command, out_dir=str(scene.folder / "in"), overwrite=True)
    for wrong, hint in ((command, "exists"), (onto_itself, "own result")):
        _, again = jobs.run(worker, wrong)
        assert again.reason is FinishReason.FAILED
        assert hint in again.sentence


def test_objects_are_numbered_in_the_window_and_in_files(worker, scene, jobs):
    """By a model that tells them apart, whatever order slices are segmented in."""
    drawn = [fluorescent_nuclei(np.random.default_rng([n, 98]), (128, 160)) for n in range(3)]
    pixels = np.stack([example.pixels[0] for example in drawn])
    np.save(scene.folder / "nuclei.npy", pixels)
    image = replace(scene.image, path=str(scene.folder / "nuclei.npy"), axes="TYX")
    codes = create_codes(scene.folder / "codes.npy", pixels.shape)
    ids = scene.folder / "ids.npy"
    target = ImageToPredict(image, str(scene.folder / "codes.npy"), objects=str(ids))
    model = str(find_model("nuclei"))
    worker.look_at(image.id, 2)
    events, finished = jobs.run(worker, PredictCommand([target], model, "cpu", resample=True))
    assert finished.reason is FinishReason.COMPLETED, finished
    assert any(isinstance(e, Preparing) and "objects" in e.sentence for e in events)
    expected = predict(open_image(image), model, objects=True, device="cpu")
    assert expected.max() > 3
    assert np.load(ids).dtype == np.uint32
    np.testing.assert_array_equal(np.load(ids), expected)
    np.testing.assert_array_equal(np.load(ids) > 0, (codes == 2) & (expected > 0))

    write_image(scene.folder / "in" / "n.tif", Stack(pixels, "TYX", name="n"))
    out = scene.folder / "out"
    command = PredictFilesCommand(
        [str(scene.folder / "in")], model, str(out), "cpu", resample=True, objects=True
    )
    _, finished = jobs.run(worker, command)
    assert finished.reason is FinishReason.COMPLETED, finished
    written = read_labels(scene.folder / "out_objects" / "n.tif", "objects")
    np.testing.assert_array_equal(written.ids, expected)
    assert (out / "n.tif").is_file()
    (out / "n.tif").unlink()
    (scene.folder / "out.json").unlink()
    _, again = jobs.run(worker, command)
    assert again.reason is FinishReason.FAILED
    assert "out_objects" in again.sentence
    assert not (out / "n.tif").exists(), "all is checked before the first file is written"


def test_a_baseline_fills_its_output(worker, scene, jobs):
    target = ImageToSegment(scene.image, str(scene.folder / "otsu.npy"))
    chain = {"steps": [{"step": "otsu", "params": {"sigma_px": 1.0}}]}
    events, finished = jobs.run(worker, BaselineCommand([target], chain))
    assert finished.reason is FinishReason.COMPLETED, finished
    assert (np.load(target.output) == scene.truth).mean() > 0.9
    assert [e.done for e in events if isinstance(e, Progress)][-1] == N_PLANES


@pytest.mark.parametrize(
    ("spoil", "says"),
    [(np.nan, "contains NaN in slice 1"), (np.inf, "infinite values"), (None, "same value")],
)
@pytest.mark.parametrize("step", ["otsu", "kmeans", "sobel"])
def test_a_baseline_on_pixels_that_are_none_is_one_sentence(worker, scene, jobs, step, spoil, says):
    pixels = np.load(scene.image.path).astype(np.float32)
    if spoil is None:
        pixels[:] = 3
    else:
        pixels[1, 5, 5] = spoil
    np.save(scene.image.path, pixels)
    target = ImageToSegment(scene.image, str(scene.folder / "answer.npy"))
    _, finished = jobs.run(worker, BaselineCommand([target], {"steps": [{"step": step}]}))
    assert finished.reason is FinishReason.FAILED
    assert says in finished.sentence
    assert not Path(target.output).exists()


def test_what_cannot_work_is_one_sentence_and_the_child_stays(worker, scene, jobs):
    jobs.run(worker, scene.training(steps=1, predict_after=False))
    pid = worker.pid
    target = ImageToPredict(scene.image, str(scene.folder / "prediction-1.npy"))
    output = ImageToSegment(scene.image, str(scene.folder / "otsu.npy"))
    good = Recipe().model_dump(mode="json")
    wrong = {
        "no-such.unet": PredictCommand([target], "no-such.unet"),
        "'dance'": BaselineCommand([output], {"steps": [{"step": "dance"}]}),
        "sigma_px": BaselineCommand(
            [output], {"steps": [{"step": "otsu", "params": {"sigma_px": -1}}]}
        ),
        "nonsense": scene.training(recipe={"nonsense": 1}),
        "device": scene.training(device="abacus"),
        "color": scene.training(recipe=good, classes=[{"name": "a", "color": "red"}]),
        "recipe": scene.training(recipe="default"),
        "absent.npy": scene.training(
            images=[type(scene.training().images[0])(scene.image, str(scene.folder / "absent.npy"))]
        ),
    }
    for hint, command in wrong.items():
        _, finished = jobs.run(worker, command)
        assert finished.reason is FinishReason.FAILED
        assert hint in finished.sentence
        assert "\n" not in finished.sentence
    assert worker.pid == pid


def test_a_model_never_replaces_anything_but_a_model(worker, scene, jobs):
    keep = scene.folder / "photos"
    keep.mkdir()
    (keep / "a.txt").write_text("mine")
    _, finished = jobs.run(worker, scene.training(model_path=str(keep)))
    assert finished.reason is FinishReason.FAILED
    assert (keep / "a.txt").read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="niceness is of POSIX")
def test_the_child_gives_way_to_the_window(worker, scene, jobs):
    jobs.run(worker, scene.training(steps=1, predict_after=False))
    assert os.getpriority(os.PRIO_PROCESS, worker.pid) > os.getpriority(os.PRIO_PROCESS, 0)


def test_slices_that_nothing_grows_on_are_told(worker, scene, jobs):
    stack = open_image(scene.image)
    shape = (stack.n_planes, *stack.plane_shape)
    strokes = create_codes(scene.folder / "strokes.npy", shape)
    strokes[0, 2:4, 2:4], strokes[0, 20:24, 20:24] = 1, 2
    strokes.flush()
    for in_3d, said in ((False, "empty: nothing is painted there; in 3D it grows"), (True, "")):
        chain = Chain.of("watershed", parse_params("watershed", [f"in_3d={str(in_3d).lower()}"]))
        output = scene.folder / f"watershed-{in_3d}.npy"
        target = ImageToSegment(scene.image, str(output), str(scene.folder / "strokes.npy"))
        command = BaselineCommand([target], chain.model_dump(mode="json"))
        _, finished = jobs.run(worker, command)
        assert finished.reason is FinishReason.COMPLETED, finished
        n_empty = sum(not plane.any() for plane in np.load(output))
        assert bool(n_empty) == (not in_3d)
        assert said in finished.sentence
        assert ("empty" in finished.sentence) == (not in_3d)
