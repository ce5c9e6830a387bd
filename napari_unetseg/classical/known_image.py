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
    painted : tuple of int
        Slices with strokes.
    strokes : PackedArray or None
        Those on them, shape (painted, Y, X), uint8: 1 background, k + 1 class k. None where the
        method uses none, or nothing was painted.
    """

    name: str
    fingerprint: str
    shape: tuple[int, int, int]
    pixel_size_um: dict[str, float] = Field(default_factory=dict)
    painted: tuple[int, ...] = ()
    strokes: PackedArray | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        n_planes = self.shape[0]
        expected = (len(self.painted), *self.shape[1:])
        if not all(0 <= plane < n_planes for plane in self.painted):
            raise ValueError(f"{self.name} has no slices {self.painted}")
        if self.strokes is not None and (
            self.strokes.dtype != "uint8" or self.strokes.shape != expected
        ):
            raise ValueError(f"the strokes on {self.name} are not of its shape")
        return self

    @classmethod
    def of(cls, source: Source, *, with_strokes: bool) -> KnownImage:
        """Take down what there is to know of an image, and of what is painted on it."""
        stack = source.stack
        painted = source.annotated_planes() if with_strokes else []
        strokes = None
        if painted and source.strokes is not None:
            strokes = PackedArray.of(np.stack([source.strokes[plane] for plane in painted]))
        return cls(
            name=stack.name,
            fingerprint=fingerprint(stack),
            shape=(stack.n_planes, *stack.plane_shape),
            pixel_size_um=dict(stack.pixel_size_um),
            painted=tuple(painted),
            strokes=strokes,
        )

    def codes(self) -> Codes | None:
        """Return what was painted, shape (planes, Y, X); None where nothing was.

        Raises
        ------
        UserError
            If the text is damaged.
        """
        if self.strokes is None:
            return None
        codes = np.zeros(self.shape, np.uint8)
        try:
            codes[list(self.painted)] = self.strokes.array()
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
    wanted = fingerprint(stack)
    for image in known:
        if image.fingerprint == wanted:
            return image
    alone = known[0] if len(known) == 1 else None
    shape = (stack.n_planes, *stack.plane_shape)
    return alone if alone is not None and alone.shape == shape else None
