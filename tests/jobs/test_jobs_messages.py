import json

import pytest

from napari_unetseg.errors import UserError
from napari_unetseg.events import (
    Finished,
    FinishReason,
    HeldOutScored,
    ModelPreviewed,
    ModelSaved,
    PlanePredicted,
    Preparing,
    Progress,
    TrainingStarted,
    TrainingStep,
    Warned,
)
from napari_unetseg.jobs.commands import (
    BaselineCommand,
    Cancel,
    CompareCommand,
    ImageRef,
    ImageToPredict,
    ImageToSegment,
    LookAt,
    PredictCommand,
    PredictFilesCommand,
    PreviewModelsCommand,
    Shutdown,
    Stop,
    TrainCommand,
    TrainingImageRef,
)
from napari_unetseg.jobs.wire import NO_JOB, read_command, read_event, write_command, write_event

IMAGE = ImageRef("a", "/tmp/ü \n\u2028実.npy", "CZYX", {"Y": 0.1}, 'na"me', ["red", "green"])
COMMANDS = [
    TrainCommand(
        [TrainingImageRef(IMAGE, "a.npy", "b.npy", None)],
        {"training": {"steps": 3, "max_time_s": None}},
        [{"name": "é", "color": "#000000"}],
        "m.unet",
        base="other.unet",
    ),
    PredictCommand([ImageToPredict(IMAGE, "out.npy")], "m.unet", "cuda:1", resample=True),
    PredictCommand([ImageToPredict(IMAGE, "out.npy", objects="ids.npy")], "m.unet"),
    PredictFilesCommand(["a.tif", "b*.tif"], "m.unet", "out", objects=True, overwrite=True),
    BaselineCommand(
        [ImageToSegment(IMAGE, "out.npy", "strokes.npy")], {"steps": [{"step": "otsu"}]}
    ),
    PreviewModelsCommand(IMAGE, 3, "sample.npy", ["a.unet", "b.unet"], "pictures"),
    CompareCommand(
        [TrainingImageRef(IMAGE, "a.npy", "b.npy")],
        [{"name": "é", "color": "#000000"}],
        "folder",
        ["m.unet", "nuclei"],
        90.0,
    ),
    LookAt("a", 7),
    Stop(),
    Cancel(),
    Shutdown(),
]
EVENTS = [
    Preparing("Loading …"),
    Progress("Segmenting", 3, 7, 1.5),
    TrainingStarted("cpu", "bfloat16", 10, 2),
    TrainingStep(4, 0.5, 1e-3, 2.0, 0.25, None),
    HeldOutScored(4, 2.0, 0.75, {"background": 0.5, "é": 1.0}, 100),
    PlanePredicted("a", 3),
    Warned("Careful\nnow"),
    ModelSaved("m.unet"),
    ModelPreviewed("m.unet", "1-0.png", 0.75),
    ModelPreviewed("m.unet", sentence="It does not fit."),
    Finished(FinishReason.FAILED, "It failed.", "Traceback\n…", {"model": "m.unet"}),
]


@pytest.mark.parametrize("message", COMMANDS, ids=lambda message: type(message).__name__)
def test_a_command_survives_the_pipe_as_one_line(message):
    line = write_command(3, message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert read_command(line) == (3, message)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_survives_the_pipe_as_one_line(event):
    line = write_event(3, event)
    assert line.count(b"\n") == 1
    assert read_event(line) == (3, event)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"command": "Dance"}, "'Dance'"),
        ({}, "no command None"),
        ({"command": ["Stop"]}, "no command"),
        ({"command": "LookAt", "image": "a"}, "plane"),
        ({"command": "LookAt", "image": "a", "plane": "7"}, "plane"),
        ({"command": "LookAt", "image": "a", "plane": 7, "colour": 1}, "colour"),
        ({"command": "BaselineCommand", "images": {}, "chain": {}}, "images"),
        ({"command": "BaselineCommand", "images": [{"output": "x"}], "chain": {}}, "image"),
    ],
)
def test_what_is_no_command_is_refused_and_named_with_its_job(fields, complaint):
    job, error = read_command(json.dumps({"job": 5, **fields}).encode())
    assert job == 5
    assert isinstance(error, UserError)
    assert complaint in str(error)


#: More brackets than Python's reader of JSON follows.
DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    "line", [b"garbage\n", b"\n", b"[1]\n", b'{"job": "x"}\n', b"\xff\xfe\n", DEEP]
)
def test_what_is_no_message_at_all_belongs_to_no_job(line):
    job, error = read_command(line)
    assert job == NO_JOB
    assert isinstance(error, UserError)
