"""What a person can choose about how single objects are learned and told apart."""

from __future__ import annotations

from pydantic import Field

from .base import Config


class ObjectsConfig(Config):
    """How the network learns objects, where the labels say which pixels belong to one.

    Beside its class, every pixel is given a distance: 0 on the border of its object, 1 in the
    middle. Objects grow from where it is largest, and meet where it is smallest.
    """

    diameter_px: float = Field(
        40.0, ge=8, description="images are reduced until the median object is about this wide"
    )
    distance_weight: float = Field(
        4.0, gt=0, description="of the error of distances beside that of classes"
    )
    prominence: float = Field(
        0.15,
        gt=0,
        lt=1,
        description="so much must the distance fall between two middles for them to be two objects",
    )
    smallest: float = Field(
        0.02, ge=0, lt=1, description="area of the smallest object ÷ that of the median one"
    )
