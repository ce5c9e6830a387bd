"""The settings that reproduce a result; what ``--config`` reads and every model carries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from napari_unetseg.errors import UserError

from .base import Config
from .network import NetworkConfig, UNet2015Config, UNetConfig
from .objects import ObjectsConfig
from .training import AugmentationConfig, LossConfig, TrainingConfig


class NormalisationConfig(Config):
    """How grey values become numbers near [0, 1]: percentiles of each image and channel."""

    low_percentile: float = Field(0.5, ge=0, lt=50)
    high_percentile: float = Field(99.5, gt=50, le=100)


class Recipe(Config):
    """Everything a person can choose about a network and its training."""

    version: Literal[1] = 1
    network: NetworkConfig = UNetConfig()
    normalisation: NormalisationConfig = NormalisationConfig()
    training: TrainingConfig = TrainingConfig()
    objects: ObjectsConfig | None = Field(ObjectsConfig(), description="None: classes alone")


#: Side of a patch that the U-Net of 2015 takes for its tile of 572 × 572 px.
_TILE_OF_2015_PX = 384

#: As O. Ronneberger et al., "U-Net", MICCAI 2015, have it, as far as they say: one large tile a
#: step, momentum 0.99, weights that balance classes and stress borders (equation 2), and
#: displacements of 10 px on a grid of 3 × 3. They trained for 10 h on a GPU.
_UNET_2015 = Recipe(
    network=UNet2015Config(),
    objects=None,
    training=TrainingConfig(
        max_time_s=1800,
        patch_px=_TILE_OF_2015_PX,
        batch=1,
        optimiser="sgd",
        momentum=0.99,
        # On three frames of PhC-C2DH-U373, with 8 filters and tiles of half the side, the loss was
        # 0.21 and mean IoU 0.73 after 120 steps; 0.55 and 0.56 at ten times this rate; and 0.64
        # and 0.59, after 80 steps, at a third of it.
        learning_rate=3e-3,
        warmup_steps=0,
        weight_decay=0,
        ema_decay=0,
        loss=LossConfig(dice=0, class_balanced=True, border_weight=10, border_sigma_px=5),
        augmentation=AugmentationConfig(
            flip=False,
            scale=0,
            elastic=10 / _TILE_OF_2015_PX,
            elastic_grid=3,
            gamma=0,
            noise=0,
            blur_px=0,
        ),
    ),
)

PRESETS: dict[str, Recipe] = {
    "default": Recipe(),
    "wide": Recipe(network=UNetConfig(filters=32)),
    "unet2015": _UNET_2015,
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
        return Recipe.model_validate(json.loads(path.read_text(encoding="utf-8-sig")))
    except ValidationError as error:
        raise UserError(f"{path}: {describe_validation_error(error)}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a JSON file ({error}).") from error


def describe_validation_error(error: ValidationError) -> str:
    """Say in one sentence what pydantic objects to first."""
    first = error.errors()[0]
    keys = [str(part) for part in first["loc"]]
    # Pydantic names the kind of a network as if it were a key.
    shown = [key for before, key in zip(["", *keys], keys, strict=False) if before != "network"]
    key = ".".join(shown) or "the top level"
    if first["type"] == "extra_forbidden":
        return f"{key!r} is not a setting; remove it or correct its spelling."
    said = str(first.get("ctx", {}).get("error", "")).rstrip(".")
    if said and isinstance(first["input"], dict | list | tuple):
        return (
            f"{said}."  # a sentence of ours on several settings, of which it names those it means
        )
    return f"{key!r} is {first['input']!r}: {said or first['msg'].lower()}."
