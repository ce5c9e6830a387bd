"""Jobs that need the network library; imports torch."""

from __future__ import annotations

from napari_unetseg.events import Finished
from napari_unetseg.jobs.commands import (
    CompareCommand,
    LiveCommand,
    PredictCommand,
    PredictFilesCommand,
    PreviewModelsCommand,
    SuggestCommand,
    TrainCommand,
)

from .compare import run_compare
from .files import run_predict_files
from .job import Emit, Job
from .live import run_live
from .model_previews import run_previews
from .prediction import RecentModels, run_predict
from .suggesting import run_suggest
from .training import run_training

NetworkCommand = (
    TrainCommand
    | LiveCommand
    | PredictCommand
    | PredictFilesCommand
    | SuggestCommand
    | PreviewModelsCommand
    | CompareCommand
)


class NetworkJobs:
    """Runs them one after the other, and remembers the last models."""

    def __init__(self) -> None:
        self._models = RecentModels()

    def run(self, command: NetworkCommand, job: Job, emit: Emit) -> Finished:
        """Do what is asked; return what to report at the end."""
        match command:
            case TrainCommand():
                return run_training(command, job, emit, self._models)
            case LiveCommand():
                return run_live(command, job, emit, self._models)
            case PredictCommand():
                return run_predict(command, job, emit, self._models)
            case PredictFilesCommand():
                return run_predict_files(command, job, emit, self._models)
            case SuggestCommand():
                return run_suggest(command, job, emit, self._models)
            case PreviewModelsCommand():
                return run_previews(command, job, emit, self._models)
            case CompareCommand():
                return run_compare(command, job, emit)
