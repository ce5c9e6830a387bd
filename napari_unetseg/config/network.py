"""What a person can choose about a network: one class for each architecture."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Config


class UNetConfig(Config):
    """A U-Net: how deep, how wide, how normalised."""

    kind: Literal["unet"] = "unet"
    depth: int = Field(4, ge=1, le=6, description="times the image is halved")
    filters: int = Field(16, ge=4, le=128, description="channels at the top level")
    norm: Literal["batch", "instance", "group"] = "batch"
    dropout: float = Field(0.0, ge=0, lt=1, description="at the end of the contracting path")
