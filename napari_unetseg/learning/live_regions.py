"""Annotations that go on changing while a network learns from them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from .data import LabelledRegion, RegionReader
from .detail import Painted
from .patch_sampler import RegionPart

#: Changes that count as new: strokes come in bursts, and none of a burst is to be left out.
MOST_NEW = 8


@dataclass(frozen=True, slots=True)
class Change:
    """A part of a slice in which annotations have changed.

    Attributes
    ----------
    image : int
        Its number among the images that are learned from.
    plane : int
    box : tuple of int
        First row, first column, and the row and the column after the last.
    """

    image: int
    plane: int
    box: tuple[int, int, int, int]


class LiveRegions:
    """The regions of all images, read again where something has changed.

    Parameters
    ----------
    reader : RegionReader
    n_images : int
    n_classes : int
        Beside background; codes beyond are no annotation yet.
    """

    def __init__(self, reader: RegionReader, n_images: int, n_classes: int) -> None:
        self._reader = reader
        self._highest = n_classes + 1
        self._regions: dict[tuple[int, int], LabelledRegion] = {}
        self._painted: dict[tuple[int, int], int] = {}
        self._newest: deque[Change] = deque(maxlen=MOST_NEW)
        for image in range(n_images):
            self._read(image, None)

    @property
    def regions(self) -> list[LabelledRegion]:
        """All of them, in the order of images and slices."""
        return [self._regions[key] for key in sorted(self._regions)]

    @property
    def can_train(self) -> bool:
        """Whether there is any pixel to learn from."""
        return any(bool(region.targets.any()) for region in self._regions.values())

    @property
    def painted(self) -> Painted:
        """How much is painted."""
        px = sum(self._painted.values())
        return Painted(px, sum(self._reader.area_px(image) for image, _ in self._regions))

    def take(self, changes: Iterable[Change]) -> None:
        """Read again what has changed."""
        by_image: dict[int, set[int]] = {}
        for change in changes:
            by_image.setdefault(change.image, set()).add(change.plane)
            self._newest.append(change)
        for image, planes in by_image.items():
            self._read(image, planes if self._reader.of_slices else None)

    def newest(self) -> list[RegionPart]:
        """Return the parts of `regions` that were changed last, the newest at the end."""
        parts = []
        keys = sorted(self._regions)
        for change in self._newest:
            key = self._key_of(change)
            if key is not None:
                parts.append((keys.index(key), self._part(key, change)))
        return parts

    def _key_of(self, change: Change) -> tuple[int, int] | None:
        """Return the region in which a change lies; None where nothing is left of it."""
        for (image, first), region in self._regions.items():
            depth = 1 if self._reader.of_slices else len(region.targets)
            if image == change.image and first <= change.plane < first + depth:
                return image, first
        return None

    def _part(self, key: tuple[int, int], change: Change) -> tuple[slice, ...]:
        region, (top, left, bottom, right) = self._regions[key], change.box
        y, x = region.corner
        inside = (
            slice(max(0, top - y), max(0, bottom - y)),
            slice(max(0, left - x), max(0, right - x)),
        )
        if self._reader.of_slices:
            return inside
        z = change.plane - key[1]
        return (slice(z, z + 1), *inside)

    def _read(self, image: int, planes: set[int] | None) -> None:
        """Read regions of an image again: those of some slices, or all."""
        old = [k for k in self._regions if k[0] == image and (planes is None or k[1] in planes)]
        for key in old:
            del self._regions[key], self._painted[key]
        for first, region in self._reader.read(image, planes):
            for codes in (region.targets, region.held_out):
                codes[codes > self._highest] = 0
            key = image, first
            self._regions[key] = region
            counts = (torch.count_nonzero(c) for c in (region.targets, region.held_out))
            self._painted[key] = sum(int(n) for n in counts)
