"""Run training, prediction and baselines in a process of their own, and hear of them as events."""

from .client import JobState, Worker
from .commands import (
    BaselineCommand,
    CompareCommand,
    ImageRef,
    ImageToPredict,
    ImageToSegment,
    LiveCommand,
    Painted,
    PredictCommand,
    PredictFilesCommand,
    TrainCommand,
    TrainingImageRef,
)
from .pixels import create_codes, save_array, save_planes

__all__ = [
    "BaselineCommand",
    "CompareCommand",
    "ImageRef",
    "ImageToPredict",
    "ImageToSegment",
    "JobState",
    "LiveCommand",
    "Painted",
    "PredictCommand",
    "PredictFilesCommand",
    "TrainCommand",
    "TrainingImageRef",
    "Worker",
    "create_codes",
    "save_array",
    "save_planes",
]
