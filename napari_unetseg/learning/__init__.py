"""Training and prediction; importing this imports torch."""

from .answers import Answer, codes_from_probabilities
from .bundle import HISTORY_COLUMNS, Model, check_model_output, load_model
from .data import TrainingImage
from .dataset import TrainingSet, open_inputs, read_source_set, read_training_set
from .device import Device, choose_device
from .objects import check_memory_for_objects, objects_found
from .predictor import Predictor, iter_predict, predict_plane
from .resume import StateFile
from .suggestions import Suggester, Suggestion, suggest_regions
from .trainer import Trainer
from .verbs import predict, train

__all__ = [
    "HISTORY_COLUMNS",
    "Answer",
    "Device",
    "Model",
    "Predictor",
    "StateFile",
    "Suggester",
    "Suggestion",
    "Trainer",
    "TrainingImage",
    "TrainingSet",
    "check_memory_for_objects",
    "check_model_output",
    "choose_device",
    "codes_from_probabilities",
    "iter_predict",
    "load_model",
    "objects_found",
    "open_inputs",
    "predict",
    "predict_plane",
    "read_source_set",
    "read_training_set",
    "suggest_regions",
    "train",
]
