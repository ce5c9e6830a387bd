"""Training and prediction; importing this imports torch."""

from .bundle import HISTORY_COLUMNS, Model, check_model_output, load_model
from .data import TrainingImage
from .predictor import Predictor, codes_from_probabilities, iter_predict, predict_plane
from .trainer import Trainer

__all__ = [
    "HISTORY_COLUMNS",
    "Model",
    "Predictor",
    "Trainer",
    "TrainingImage",
    "check_model_output",
    "codes_from_probabilities",
    "iter_predict",
    "load_model",
    "predict_plane",
]
