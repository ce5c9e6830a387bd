"""What to do next, state by state."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from napari_unetseg.workspace.next_step import Situation, next_step

STEPS = ("data", "baselines", "train", "correct", "export")

#: An image is ticked and both classes are painted; then what is different.
PAINTED = Situation("train", n_open=1, n_images=1, is_painted=True, can_train=True, n_slices=4)
TRAINED = replace(PAINTED, has_model=True, is_predicted=True, n_rounds=1)
LIVE = replace(TRAINED, live="learning", is_training=True, is_busy=True, n_rounds=0)

TABLE = (
    ("nothing is open", Situation("data"), "Once an image is ticked"),
    ("nothing is open elsewhere", Situation("train"), "Open an image first"),
    ("nothing is ticked", Situation("correct", n_open=2), "Tick the box"),
    ("nothing painted", Situation("data", 1, 1), "press Paint"),
    ("nothing painted, in Train", Situation("train", 1, 1), "Click a model"),
    (
        "nothing painted and a model",
        Situation("train", 1, 1, has_model=True),
        "Press Predict now",
    ),
    (
        "nothing painted and a model, in Data",
        Situation("data", 1, 1, has_model=True),
        "Apply the model",
    ),
    (
        "only a class painted",
        Situation("train", 1, 1, ("background",), is_painted=True),
        "Paint some background, too",
    ),
    (
        "only background painted",
        Situation("data", 1, 1, ("nucleus",), is_painted=True),
        "Nothing of nucleus is painted yet",
    ),
    (
        "two classes unpainted",
        Situation("data", 1, 1, ("nucleus", "spine"), is_painted=True),
        "Nothing of nucleus and spine",
    ),
    (
        "one class is enough for the model",
        replace(PAINTED, unpainted=("background",)),
        "Press Train",
    ),
    ("all painted", replace(PAINTED, step="data"), "go to Train"),
    ("all painted, in Train", PAINTED, "Press Train"),
    (
        "all painted, in Baselines",
        replace(PAINTED, step="baselines", offer="fit"),
        "Fit to my annotations",
    ),
    (
        "nothing painted, in Baselines",
        Situation("baselines", 1, 1, offer="preview"),
        "Move the sliders",
    ),
    (
        "without a preview",
        Situation("baselines", 1, 1, offer="apply"),
        "Tick Preview",
    ),
    (
        "a method that needs strokes",
        Situation("baselines", 1, 1, why_not="Paint some of each class first."),
        "Paint some of each class first.",
    ),
    ("settings are searched", Situation("baselines", 1, 1, offer="stop"), "or stop"),
    ("the table", Situation("baselines", 1, 1, offer="compare"), "Press Compare methods"),
    (
        "rows of the table, and a result",
        Situation("baselines", 1, 1, offer="rows", has_result=True),
        "Select a method",
    ),
    (
        "a model for other channels",
        Situation("train", 1, 1, has_model=True, can_predict=False),
        "Click a model",
    ),
    (
        "a result at hand",
        replace(TRAINED, step="correct", has_result=True, is_on_result=True),
        "Better the result with Refine",
    ),
    ("a baseline runs", Situation("baselines", 1, 1, is_busy=True), "Wait until"),
    ("a baseline has answered", Situation("baselines", 1, 1, has_result=True), "Save the result"),
    (
        "training on the processor",
        replace(PAINTED, is_busy=True, is_training=True, seconds_left=47.0),
        "when the processor is done, in about 50 s",
    ),
    (
        "training on a card",
        replace(PAINTED, is_busy=True, is_training=True, device="cuda", seconds_left=130.0),
        "when the graphics card is done, in about 2 min",
    ),
    (
        "who knows when",
        replace(PAINTED, is_busy=True, is_training=True, seconds_left=float("inf")),
        "the processor is done. What",
    ),
    ("segmenting after training", replace(PAINTED, is_busy=True), "Painting can go on"),
    ("live, nothing seen yet", replace(LIVE, is_predicted=False), "Wait some seconds"),
    ("live, learning", LIVE, "Look at other slices"),
    ("live, resting", replace(LIVE, live="resting"), "Accept slices that are right"),
    ("live, frozen", replace(LIVE, live="frozen"), "press Freeze again"),
    ("trained", TRAINED, "Put right what is wrong in Correct"),
    ("trained, in Data", replace(TRAINED, step="data"), "Go on in Correct"),
    ("training did not help", replace(TRAINED, gain=-0.01), "did not help"),
    ("hardly any gain", replace(TRAINED, gain=0.001, step="correct"), "did not help"),
    ("no gain, but good already", replace(TRAINED, gain=0.0, score=0.95), "Put right"),
    ("a gain", replace(TRAINED, gain=0.1), "Put right what is wrong in Correct"),
    ("nothing segmented", replace(PAINTED, step="correct"), "Nothing is segmented yet"),
    (
        "only a baseline",
        replace(PAINTED, step="correct", has_result=True),
        "Turn the result into annotations",
    ),
    ("nothing corrected", replace(TRAINED, step="correct"), "Paint over mistakes"),
    ("corrected", replace(TRAINED, step="correct", is_corrected=True), "Press Retrain"),
    (
        "corrected after no gain",
        replace(TRAINED, step="correct", is_corrected=True, gain=0.0),
        "Press Retrain",
    ),
    (
        "corrected, but nothing can train",
        replace(TRAINED, step="correct", is_corrected=True, can_train=False),
        "Paint over mistakes",
    ),
    (
        "all of it taken back",
        replace(TRAINED, step="correct", is_corrected=True, is_painted=False),
        "Paint over mistakes",
    ),
    ("a model opened", replace(PAINTED, has_model=True), "Press Predict now to see"),
    ("objects", replace(TRAINED, step="correct", n_unreviewed=2), "2 objects to review: U goes"),
    (
        "objects, and corrections of classes",
        replace(TRAINED, step="correct", n_unreviewed=2, is_corrected=True),
        "Press Retrain",
    ),
    (
        "objects in hand",
        replace(TRAINED, step="correct", n_unreviewed=1, is_corrected=True, is_on_objects=True),
        "1 object to review",
    ),
    ("some accepted", replace(TRAINED, step="correct", n_complete=1), "3 slices to look through"),
    ("one left", replace(TRAINED, step="correct", n_complete=3), "1 slice to look through"),
    ("all accepted", replace(TRAINED, step="correct", n_complete=4), "Every slice is completely"),
    (
        "and one is gone",
        replace(TRAINED, step="correct", n_complete=5),
        "Every slice is completely",
    ),
    ("nothing to save", Situation("export", 1, 1), "nothing to save yet"),
    ("only painted", replace(PAINTED, step="export"), "Save the annotations"),
    ("a baseline to save", Situation("export", 1, 1, has_result=True), "Save the segmentation."),
    ("a model to save", replace(TRAINED, step="export"), "and the model"),
    ("saving while training", replace(LIVE, step="export"), "Wait until what is running"),
)


@pytest.mark.parametrize(
    ("situation", "said"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_what_is_said(situation, said):
    assert said in next_step(situation)


def test_no_situation_is_without_a_short_sentence():
    flags = ("is_painted", "can_train", "is_busy", "is_training", "has_model", "is_predicted")
    for step, n_images, unpainted, live in itertools.product(
        STEPS, (0, 1), ((), ("background",)), ("off", "learning", "resting", "frozen")
    ):
        for values in itertools.product((False, True), repeat=len(flags)):
            now = Situation(
                step,
                n_images,
                n_images,
                unpainted,
                live=live,
                n_slices=4,
                **dict(zip(flags, values, strict=True)),
            )
            said = next_step(now)
            assert said.endswith("."), now
            assert 20 < len(said) < 140, said
