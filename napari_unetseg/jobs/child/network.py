"""Jobs that need the network library; imports torch."""

from __future__ import annotations

from napari_unetseg.events import Finished
from napari_unetseg.jobs.commands import PredictCommand, PredictFilesCommand, TrainCommand

from .files import run_predict_files
from .job import Emit, Job
from .prediction import LastModel, run_predict
from .training import run_training

NetworkCommand = TrainCommand | PredictCommand | PredictFilesCommand


class NetworkJobs:
    """Runs them one after the other, and remembers the last model."""

    def __init__(self) -> None:
        self._models = LastModel()

    def run(self, command: NetworkCommand, job: Job, emit: Emit) -> Finished:
        """Do what is asked; return what to report at the end."""
        match command:
            case TrainCommand():
                return run_training(command, job, emit, self._models)
            case PredictCommand():
                return run_predict(command, job, emit, self._models)
            case PredictFilesCommand():
                return run_predict_files(command, job, emit, self._models)
