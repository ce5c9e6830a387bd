"""What a recipe keeps of an image that it was made on, for the identical result on it."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from napari_unetseg.config import Config
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack, fingerprint

from .packed import PackedArray
from .source import Source
from .step import Codes


class KnownImage(Config):
    """An image, and what was painted on it for a method to grow from.

    Attributes
    ----------
    name : str
        For people.
    fingerprint : str
        Of its pixels, see `images.fingerprint`.
    shape : tuple of int
        Slices, rows, columns.
    pixel_size_um : dict of str to float
        As it was known when the recipe was made: a step that looks along Z depends on it.
    strokes : dict of int to PackedArray
        Slices with strokes, and those on them, shape (Y, X), uint8: 1 background, k + 1 class k.
        Empty where the method uses none, or nothing was painted.
    """

    name: str
    fingerprint: str
    shape: tuple[int, int, int]
    pixel_size_um: dict[str, float] = Field(default_factory=dict)
    strokes: dict[int, PackedArray] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for plane, packed in self.strokes.items():
            if not 0 <= plane < self.shape[0]:
                raise ValueError(f"{self.name} has no slice {plane}")
            if (packed.dtype, packed.shape) != ("uint8", self.shape[1:]):
                raise ValueError(f"the strokes on slice {plane} of {self.name} are not of its size")
        return self

    @classmethod
    def of(cls, source: Source, *, with_strokes: bool) -> KnownImage:
        """Take down what there is to know of an image, and of what is painted on it."""
        stack = source.stack
        strokes = {}
        if with_strokes and source.strokes is not None:
            painted = source.annotated_planes()
            strokes = {plane: PackedArray.of(source.strokes[plane]) for plane in painted}
        return cls(
            name=stack.name,
            fingerprint=fingerprint(stack),
            shape=(stack.n_planes, *stack.plane_shape),
            pixel_size_um=dict(stack.pixel_size_um),
            strokes=strokes,
        )

    def codes(self) -> Codes | None:
        """Return what was painted, shape (planes, Y, X); None where nothing was.

        Raises
        ------
        UserError
            If the text is damaged.
        """
        if not self.strokes:
            return None
        codes = np.zeros(self.shape, np.uint8)
        try:
            for plane, packed in self.strokes.items():
                codes[plane] = packed.array()
        except ValueError as error:
            raise UserError(
                f"What the recipe keeps of {self.name} cannot be read ({error}); give annotations "
                "or points instead."
            ) from error
        return codes

    def size(self) -> str:
        """Return its size in words.

        >>> KnownImage(name="a", fingerprint="", shape=(3, 20, 30)).size()
        '3 × 20 × 30'
        """
        return " × ".join(map(str, self.shape))


def find_known(known: tuple[KnownImage, ...], stack: Stack) -> KnownImage | None:
    """Return what is known of an image: of the same pixels, or else of the only one of its size."""
    wanted, shape = fingerprint(stack), (stack.n_planes, *stack.plane_shape)
    of_its_size = [image for image in known if image.shape == shape]
    same = [image for image in of_its_size if image.fingerprint == wanted]
    alone = of_its_size if len(known) == 1 else []
    return next(iter([*same, *alone]), None)
