"""The settings that reproduce a result; what ``--config`` reads and every model carries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from napari_unetseg.errors import UserError

from .base import Config

#: The network halves a patch several times, and something must be left.
SMALLEST_PATCH_PX = 32


class UNetConfig(Config):
    """A U-Net: how deep, how wide, how normalised."""

    kind: Literal["unet"] = "unet"
    depth: int = Field(4, ge=1, le=6, description="times the image is halved")
    filters: int = Field(16, ge=4, le=128, description="channels at the top level")
    norm: Literal["batch", "instance", "group"] = "batch"
    dropout: float = Field(0.0, ge=0, lt=1, description="at the end of the contracting path")


class NormalisationConfig(Config):
    """How grey values become numbers near [0, 1]: percentiles of each image and channel."""

    low_percentile: float = Field(0.5, ge=0, lt=50)
    high_percentile: float = Field(99.5, gt=50, le=100)


class AugmentationConfig(Config):
    """Random changes of each training patch; 0 turns one off."""

    flip: bool = True
    rotation_deg: float = Field(180.0, ge=0, le=180)
    scale: float = Field(0.2, ge=0, lt=1, description="up to this much larger or smaller")
    elastic: float = Field(
        0.03, ge=0, description="standard deviation of the displacement ÷ side of a patch"
    )
    elastic_grid: int = Field(4, ge=2, description="random vectors along each side of a patch")
    brightness: float = Field(0.08, ge=0)
    contrast: float = Field(0.12, ge=0, lt=1)
    gamma: float = Field(0.12, ge=0, lt=1)
    noise: float = Field(0.025, ge=0)
    blur_px: float = Field(0.5, ge=0, le=8)

    def without_grey_values(self) -> Self:
        """Return the same changes of geometry, with grey values left as they are."""
        return self.replace(brightness=0, contrast=0, gamma=0, noise=0, blur_px=0)


class TrainingConfig(Config):
    """How the network learns."""

    max_time_s: float | None = Field(60.0, gt=0, description="wall clock; None: by steps alone")
    steps: int | None = Field(None, ge=1, description="optimiser steps; None: by time alone")
    patch_px: int = Field(0, ge=0, description="side of a patch; 0: by how much is painted")
    batch: int = Field(0, ge=0, description="patches per step; 0: by how much is painted")
    learning_rate: float = Field(2e-3, gt=0, le=1)
    warmup_steps: int = Field(10, ge=0, description="over which the learning rate rises")
    weight_decay: float = Field(1e-2, ge=0)
    ema_decay: float = Field(0.99, ge=0, lt=1, description="averaging of the weights")
    dice_weight: float = Field(1.0, ge=0, description="of the Dice loss beside cross entropy")
    seed: int = Field(0, ge=0, lt=2**63)
    augmentation: AugmentationConfig = AugmentationConfig()

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.steps is None and self.max_time_s is None:
            raise ValueError("training needs an end: give steps, max_time_s or both")
        return self

    @field_validator("patch_px")
    @classmethod
    def _large_enough(cls, value: int) -> int:
        if 0 < value < SMALLEST_PATCH_PX:
            raise ValueError(f"a patch has at least {SMALLEST_PATCH_PX} px; 0 leaves the choice")
        return value


class Recipe(Config):
    """Everything a person can choose about a network and its training."""

    version: Literal[1] = 1
    network: UNetConfig = UNetConfig()
    normalisation: NormalisationConfig = NormalisationConfig()
    training: TrainingConfig = TrainingConfig()


PRESETS: dict[str, Recipe] = {
    "default": Recipe(),
    "wide": Recipe(network=UNetConfig(filters=32)),
}


def load_recipe(path_or_preset: str) -> Recipe:
    """Read a recipe from a JSON file, or take a preset by name.

    Raises
    ------
    UserError
        If there is no such file or preset, or a key or value in it is not known.
    """
    if path_or_preset in PRESETS:
        return PRESETS[path_or_preset]
    path = Path(path_or_preset)
    if not path.is_file():
        raise UserError(
            f"No config file {path_or_preset!r} and no preset of that name; "
            f"the presets are {', '.join(PRESETS)}."
        )
    try:
        return Recipe.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise UserError(f"{path}: {describe_validation_error(error)}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a JSON file ({error}).") from error


def describe_validation_error(error: ValidationError) -> str:
    """Say in one sentence what pydantic objects to first."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "the top level"
    if first["type"] == "extra_forbidden":
        return f"{key!r} is not a setting; remove it or correct its spelling."
    return f"{key!r} is {first['input']!r}: {first['msg'].lower()}."
