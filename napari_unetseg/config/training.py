"""What a person can choose about how a network learns."""

from __future__ import annotations

from typing import Literal, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from .base import Config

#: The network halves a patch several times, and something must be left.
SMALLEST_PATCH_PX = 32

#: What of a base model learns on: all of it, all but the contracting path, or the head alone.
Transfer: TypeAlias = Literal["all", "expanding", "head"]


class AugmentationConfig(Config):
    """Random changes of each training patch; 0 turns one off."""

    flip: bool = True
    rotation_deg: float = Field(180.0, ge=0, le=180)
    scale: float = Field(0.2, ge=0, lt=1, description="up to this much larger or smaller")
    elastic: float = Field(
        0.03, ge=0, le=1, description="standard deviation of the displacement ÷ side of a patch"
    )
    elastic_grid: int = Field(
        4, ge=2, le=64, description="random vectors along each side of a patch"
    )
    brightness: float = Field(0.08, ge=0)
    contrast: float = Field(0.12, ge=0, lt=1)
    gamma: float = Field(0.12, ge=0, lt=1)
    noise: float = Field(0.025, ge=0)
    blur_px: float = Field(0.5, ge=0, le=8)
    section_dropout: float = Field(
        0.1, ge=0, le=1, description="share of patches of several slices that lack one"
    )

    @classmethod
    def none(cls) -> Self:
        """Return the settings that leave patches as they are."""
        off = ("rotation_deg", "scale", "elastic", "brightness", "contrast", "gamma", "noise")
        return cls(flip=False, blur_px=0.0, section_dropout=0.0, **dict.fromkeys(off, 0.0))


class LossConfig(Config):
    """What a step makes smaller: a weighted sum, over labelled pixels alone.

    `class_balanced` and `border_weight` weigh single pixels, so they act on the losses that are
    means over pixels (cross entropy, binary, focal) and not on those of whole classes (Dice,
    Tversky). Classes are read off as the largest channel, whatever was minimised.
    """

    cross_entropy: float = Field(1.0, ge=0, description="share of softmax cross entropy")
    dice: float = Field(1.0, ge=0, description="share of the Dice loss")
    binary: float = Field(0.0, ge=0, description="share of one sigmoid per class")
    focal: float = Field(0.0, ge=0, description="share of the focal loss")
    tversky: float = Field(0.0, ge=0, description="share of the Tversky loss")
    class_balanced: bool = Field(False, description="rare classes count as much as frequent ones")
    focal_gamma: float = Field(2.0, ge=0, le=10, description="how little certain pixels count")
    tversky_alpha: float = Field(0.3, gt=0, le=1, description="weight of false positives")
    tversky_beta: float = Field(0.7, gt=0, le=1, description="weight of false negatives")
    border_weight: float = Field(
        0.0, ge=0, le=1000, description="extra weight between objects, where these are known"
    )
    border_sigma_px: float = Field(5.0, gt=0, le=100, description="how far apart still touches")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.cross_entropy or self.dice or self.binary or self.focal or self.tversky):
            raise ValueError(
                "nothing to learn from: give cross_entropy, dice, binary, focal or tversky a weight"
            )
        return self


class TrainingConfig(Config):
    """How the network learns."""

    max_time_s: float | None = Field(60.0, gt=0, description="wall clock; None: by steps alone")
    steps: int | None = Field(None, ge=1, description="optimiser steps; None: by time alone")
    patch_px: int = Field(0, ge=0, description="side of a patch; 0: by how much is painted")
    batch: int = Field(0, ge=0, description="patches per step; 0: by how much is painted")
    learning_rate: float = Field(2e-3, gt=0, le=1)
    warmup_steps: int = Field(3, ge=0, description="over which the learning rate rises")
    weight_decay: float = Field(1e-2, ge=0)
    ema_decay: float = Field(0.99, ge=0, lt=1, description="averaging of the weights")
    optimiser: Literal["muon", "adamw", "sgd"] = Field(
        "muon", description="muon: in hidden convolutions, and AdamW in the other layers"
    )
    momentum: float = Field(0.99, ge=0, lt=1, description="of sgd alone")
    seed: int = Field(0, ge=0, lt=2**63)
    loss: LossConfig = LossConfig()
    transfer: Transfer = Field("all", description="what of a base model learns on")
    distillation: float = Field(
        1.0,
        ge=0,
        le=100,
        description="how far a base model's answers count where nothing is painted",
    )
    new_head: bool = Field(False, description="forget what a base model knows of its classes")
    pretrain: float = Field(
        0.0, ge=0, le=0.9, description="share of the budget spent on unlabelled slices first"
    )
    early_stop: float = Field(
        0.0, ge=0, lt=1, description="end after this share of the budget without progress; 0: never"
    )
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
