"""What stands in a model's ``model.json``; readable without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from napari_unetseg.errors import UserError

from .base import Config
from .classes import LabelClass
from .recipe import Recipe, describe_validation_error

#: The file in a model's folder that this module reads.
MODEL_JSON = "model.json"

#: A file that is in the folder as long as the model is in training.
TRAINING_STATE = "training-state.safetensors"


class ModelCard(Config):
    """What a model for everybody's images is and is not for.

    Attributes
    ----------
    summary : str
        What it segments, in a sentence.
    not_for : str
        What it does not, or has never been tried on.
    licence : str
        SPDX identifier, of the weights.
    command : str
        That makes it again.
    tested : dict of str to dict of str to float
        Scores by data set, none of which it has seen.
    """

    summary: str
    not_for: str = ""
    licence: str = "BSD-3-Clause"
    command: str = ""
    tested: dict[str, dict[str, float]] = Field(default_factory=dict)


class ModelInfo(Config):
    """Everything needed to use a model's weights, and where they came from.

    Attributes
    ----------
    classes : tuple of LabelClass
        Classes 1, 2, …; background, class 0, is implied. The first ``len(classes) + 1`` output
        channels of the network are their logits.
    object_diameter_px : float or None
        Median diameter of the annotated objects, in px of the image. The network then has one
        more channel: the distance to the border of the object, 1 in its middle. None where it
        learned classes alone.
    channels : tuple of str
        Names of the image channels it was trained on, in order.
    pixel_size_um : dict of str to float
        By axis (``"Y"``, ``"X"``), of the training images; empty where unknown.
    label_values : dict of str to int
        Value in the labels file → class `k`, where they differ (masks with values such as 255).
    scores : dict
        On held-out annotations: ``{"mean_iou": …, "iou": {…}, "n_px": …}``; empty where nothing
        was held out.
    history : dict
        Steps, seconds, device, labelled pixels, base model.
    data : list of dict
        Name, shape and fingerprint of each training image.
    versions : dict of str to str
        Of this package, torch, numpy and Python.
    card : ModelCard or None
        Of a model for everybody's images; None where it is somebody's own, for their own.
    """

    format: Literal["napari-unetseg model"] = "napari-unetseg model"
    version: Literal[1] = 1
    name: str
    recipe: Recipe
    classes: tuple[LabelClass, ...] = Field(min_length=1)
    object_diameter_px: float | None = Field(None, gt=0)
    channels: tuple[str, ...] = Field(min_length=1)
    axes: str = "YX"
    pixel_size_um: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    label_values: dict[str, int] = Field(default_factory=dict)
    scores: dict[str, Any] = Field(default_factory=dict)
    history: dict[str, Any] = Field(default_factory=dict)
    data: list[dict[str, Any]] = Field(default_factory=list)
    versions: dict[str, str] = Field(default_factory=dict)
    created: str = ""
    card: ModelCard | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's output channels: background, the classes, what else it learned."""
        extra = () if self.object_diameter_px is None else ("distance",)
        return ("background", *(c.name for c in self.classes), *extra)


def is_unfinished(folder: str | Path) -> bool:
    """Tell whether a folder holds nothing but a training that has not come to its end."""
    return not (Path(folder) / MODEL_JSON).exists() and (Path(folder) / TRAINING_STATE).is_file()


def read_model_info(folder: str | Path) -> ModelInfo:
    """Read what is known of a model, without its weights.

    Raises
    ------
    UserError
        If the folder is no model, or its description cannot be understood.
    """
    path = Path(folder) / MODEL_JSON
    if is_unfinished(folder):
        raise UserError(
            f"The training of {folder} was stopped before its end; finish it by the same train "
            "command with --resume."
        )
    if not path.is_file():
        raise UserError(f"{folder} is no model: a model is a folder NAME.unet with {MODEL_JSON}.")
    try:
        return ModelInfo.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise UserError(f"{path}: {describe_validation_error(error)}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a JSON file ({error}); copy the model again.") from error
