"""What a person can choose about a network: one class for each architecture."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field, field_validator

from .base import Config

#: The narrowest network there is.
FEWEST_FILTERS = 4

#: Sections are no thinner than this, as a share of the width of a pixel.
LEAST_ANISOTROPY = 0.1

#: The most that a network halves the image.
DEEPEST = 6


class UNetConfig(Config):
    """A U-Net: of what it sees, how deep, how wide, how normalised."""

    kind: Literal["unet"] = "unet"
    dims: Literal["2", "2.5", "3"] = Field(
        "2", description="2: single slices; 2.5: with neighbouring slices; 3: volumes"
    )
    neighbours: int = Field(1, ge=1, le=8, description="slices on each side, in 2.5D")
    anisotropy: float = Field(
        0.0, ge=0, le=1000, description="of voxels in 3D, Z ÷ X; 0: from the images"
    )
    reduction: int = Field(
        0,
        ge=0,
        le=8,
        description="times smaller than the image what the network sees is; 0: by how fine and how "
        "complete the annotations are",
    )
    depth: int = Field(
        0,
        ge=0,
        le=DEEPEST,
        description="times the image is halved; 0: by how much is painted",
    )
    filters: int = Field(
        0,
        ge=0,
        le=128,
        description=f"channels at the top level, from {FEWEST_FILTERS} on; 0: by the time there is",
    )
    norm: Literal["batch", "instance", "group"] = "batch"
    dropout: float = Field(0.0, ge=0, lt=1, description="at the end of the contracting path")
    residual: bool = Field(False, description="each level adds what goes in to what comes out")
    upsampling: Literal["transposed", "nearest"] = Field(
        "transposed", description="a transposed convolution, or repeated pixels and a convolution"
    )

    @field_validator("filters")
    @classmethod
    def _enough(cls, value: int) -> int:
        if 0 < value < FEWEST_FILTERS:
            raise ValueError(
                f"a network has at least {FEWEST_FILTERS} filters; 0 leaves the choice"
            )
        return value

    @field_validator("anisotropy")
    @classmethod
    def _plausible(cls, value: float) -> float:
        if 0 < value < LEAST_ANISOTROPY:
            raise ValueError(f"sections are at least {LEAST_ANISOTROPY} times as thick as pixels")
        return value

    @field_validator("dims", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        """Take 2, 2.5 and 3 as they stand in JSON."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return f"{value:g}" if is_number else value


class UNet2015Config(Config):
    """The U-Net of the paper of 2015: unpadded convolutions, nothing normalised."""

    dims: ClassVar[Literal["2"]] = "2"
    depth: ClassVar[int] = 4
    reduction: ClassVar[int] = 1

    kind: Literal["unet2015"] = "unet2015"
    filters: int = Field(64, ge=FEWEST_FILTERS, le=128, description="channels at the top level")
    dropout: float = Field(0.5, ge=0, lt=1, description="at the end of the contracting path")


def _with_kind(network: Any) -> Any:
    """Take a network whose kind nobody wrote down for the usual one."""
    return {"kind": "unet", **network} if isinstance(network, dict) else network


#: Any architecture, told apart by its ``kind``; the plain U-Net where there is none.
NetworkConfig: TypeAlias = Annotated[
    UNetConfig | UNet2015Config, Field(discriminator="kind"), BeforeValidator(_with_kind)
]
