"""What a user chooses: frozen, validated, saved beside every result."""

from .base import Config
from .classes import (
    BACKGROUND,
    BACKGROUND_COLOR,
    MAX_CLASSES,
    PALETTE,
    UNLABELLED,
    LabelClass,
    default_class,
    default_color,
)
from .model_info import (
    MODEL_JSON,
    TRAINING_STATE,
    ModelCard,
    ModelInfo,
    is_unfinished,
    read_model_info,
)
from .network import (
    DEEPEST,
    FEWEST_FILTERS,
    LEAST_ANISOTROPY,
    NetworkConfig,
    UNet2015Config,
    UNetConfig,
)
from .objects import ObjectsConfig
from .recipe import (
    PRESETS,
    NormalisationConfig,
    Recipe,
    describe_validation_error,
    load_recipe,
)
from .shipped import find_model, shipped_models
from .training import SMALLEST_PATCH_PX, AugmentationConfig, LossConfig, TrainingConfig, Transfer

__all__ = [
    "BACKGROUND",
    "BACKGROUND_COLOR",
    "DEEPEST",
    "FEWEST_FILTERS",
    "LEAST_ANISOTROPY",
    "MAX_CLASSES",
    "MODEL_JSON",
    "PALETTE",
    "PRESETS",
    "SMALLEST_PATCH_PX",
    "TRAINING_STATE",
    "UNLABELLED",
    "AugmentationConfig",
    "Config",
    "LabelClass",
    "LossConfig",
    "ModelCard",
    "ModelInfo",
    "NetworkConfig",
    "NormalisationConfig",
    "ObjectsConfig",
    "Recipe",
    "TrainingConfig",
    "Transfer",
    "UNet2015Config",
    "UNetConfig",
    "default_class",
    "default_color",
    "describe_validation_error",
    "find_model",
    "is_unfinished",
    "load_recipe",
    "read_model_info",
    "shipped_models",
]
