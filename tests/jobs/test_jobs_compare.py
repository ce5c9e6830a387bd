"""The table that says which method to use, made by the child."""

import numpy as np
import pytest

from napari_unetseg.annotations import assign_blocks, new_blocks
from napari_unetseg.classical import ChainRecipe, Source, prepare, run_stack
from napari_unetseg.comparison import disagreement
from napari_unetseg.events import FinishReason, MethodCompared, MethodNotRun, Recommended
from napari_unetseg.images import Stack
from napari_unetseg.jobs import CompareCommand, ImageRef, TrainingImageRef


@pytest.fixture
def command(tmp_path):
    """Return a command for a noisy checkerboard, all of it annotated."""
    y, x = np.mgrid[:256, :256]
    truth = np.broadcast_to(((y // 16 + x // 16) % 2 + 1).astype(np.uint8), (2, 256, 256))
    pixels = np.random.default_rng(0).normal(60, 40, truth.shape) + 100 * (truth == 2)
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    blocks = new_blocks(truth.shape)
    assign_blocks(truth, blocks, Stack(pixels, "ZYX"))
    for name, array in (("image", pixels), ("annotations", truth), ("blocks", blocks)):
        np.save(tmp_path / f"{name}.npy", array)
    folder = tmp_path / "table"
    folder.mkdir()
    image = ImageRef("board", str(tmp_path / "image.npy"), "ZYX", name="board")
    return CompareCommand(
        [TrainingImageRef(image, str(tmp_path / "annotations.npy"), str(tmp_path / "blocks.npy"))],
        [{"name": "blanc", "color": "#e69f00"}],
        str(folder),
        max_time_s=20,
        device="cpu",
    )


def test_rows_come_with_their_answers_and_their_recipes(worker, jobs, command, tmp_path):
    events, finished = jobs.run(worker, command)
    assert finished.reason == FinishReason.COMPLETED
    rows = [event for event in events if isinstance(event, MethodCompared)]
    (recommended,) = (event for event in events if isinstance(event, Recommended))
    assert finished.sentence == recommended.sentence
    assert finished.results == {"recommended": recommended.name}
    assert recommended.name in {row.name for row in rows}
    stack = Stack(np.load(tmp_path / "image.npy"), "ZYX")
    answers = {row.name: np.load(row.answers["board"]) for row in rows}
    rows = [row for row in rows if not row.needs_labels]
    best = max(rows, key=lambda row: row.mean_iou)
    recipe = ChainRecipe.model_validate(best.recipe)
    out = np.zeros(stack.labels_shape, np.uint8)
    source = Source(stack)
    list(run_stack(recipe.chain, source, out=out, prepared=prepare(recipe.chain, [source])[0]))
    np.testing.assert_array_equal(recipe.meant(out[0]), answers[best.name][0])
    worst = min(rows, key=lambda row: row.mean_iou)
    differ = disagreement(answers[best.name], answers[worst.name])
    assert differ.any()
    np.testing.assert_array_equal(differ[differ > 0], answers[worst.name][differ > 0])


def test_stopping_keeps_the_rows_so_far(worker, jobs, command):
    worker.submit(command)
    events = jobs.events_until(worker, lambda event: isinstance(event, MethodCompared))
    worker.stop()
    events += jobs.events_until(worker, lambda _: False)
    assert events[-1].reason == FinishReason.STOPPED_EARLY
    assert any(isinstance(event, MethodNotRun) for event in events)
    assert "recommended" in events[-1].results


def test_cancelling_ends_in_the_middle_of_a_method(worker, jobs, command):
    worker.submit(command)
    jobs.events_until(worker, lambda event: isinstance(event, MethodCompared))
    worker.cancel()
    assert jobs.events_until(worker, lambda _: False)[-1].reason == FinishReason.CANCELLED


def test_too_little_annotated_is_one_sentence(worker, jobs, command, tmp_path):
    np.save(tmp_path / "annotations.npy", np.zeros((2, 256, 256), np.uint8))
    _, finished = jobs.run(worker, command)
    assert finished.reason == FinishReason.FAILED
    assert "hold no label" in finished.sentence
