"""Where patches are cut: around what is painted, each class as often as the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_unetseg.networks.padding import mirrored

from .data import LabelledRegion

#: A part of a region: its number, and where in it.
RegionPart: TypeAlias = tuple[int, tuple[slice, ...]]

#: Pixels that are searched for one of a class, once it is known to be among them.
_SEARCHED_PX = 1 << 14

#: Steps in which half of the patches are cut around what has just been painted.
NEW_FOR_STEPS = 24


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a class lies in a region, in so few numbers that it is known of many regions.

    Attributes
    ----------
    code : int
    ends : ndarray, shape (n,), int64
        How many pixels of it are in the first `_SEARCHED_PX` of the region, twice as many, and so
        on.
    """

    code: int
    ends: npt.NDArray[np.int64]

    @classmethod
    def of(cls, codes: Tensor, code: int) -> _Places:
        """Look them up in the codes of a region."""
        flat = codes.numpy().ravel()
        parts = (flat[i : i + _SEARCHED_PX] for i in range(0, len(flat), _SEARCHED_PX))
        return cls(code, np.cumsum([np.count_nonzero(part == code) for part in parts]))

    @property
    def n(self) -> int:
        """Pixels of it."""
        return int(self.ends[-1])

    def place(self, number: int, codes: Tensor) -> list[int]:
        """Return the position of one of them, counted from 0, in the codes they were found in."""
        part = int(np.searchsorted(self.ends, number, side="right"))
        first = part * _SEARCHED_PX
        part_of = codes.numpy().ravel()[first : first + _SEARCHED_PX]
        inside = np.flatnonzero(part_of == self.code)
        at = first + int(inside[number - (int(self.ends[part - 1]) if part else 0)])
        return [int(i) for i in np.unravel_index(at, codes.shape)]


class PatchSampler:
    """Draws crops where annotations are, each class as often as the others.

    Parameters
    ----------
    regions : sequence of LabelledRegion
    crop_px : sequence of int
        Size of a crop, (Y, X) or (Z, Y, X): a patch and what its rotation, scaling and bending
        need around it.
    jitter_px : sequence of int
        How far, along each axis, the labelled pixel that was drawn may lie from the middle.
    generator : Generator
        Of the CPU.
    """

    def __init__(
        self,
        regions: Sequence[LabelledRegion],
        crop_px: Sequence[int],
        jitter_px: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        self._generator = generator
        self._known: WeakKeyDictionary[LabelledRegion, list[_Places]] = WeakKeyDictionary()
        self._new: list[tuple[int, _Places, Tensor]] = []
        self._steps_left = 0
        self._regions: Sequence[LabelledRegion] = ()
        self.learn_from(regions)
        self.cut(crop_px, jitter_px)

    def cut(self, crop_px: Sequence[int], jitter_px: Sequence[int]) -> None:
        """Draw crops of another size from now on."""
        self._crop = crop_px
        self._jitter = jitter_px

    def learn_from(
        self, regions: Sequence[LabelledRegion], newest: Sequence[RegionPart] = ()
    ) -> None:
        """Draw from other regions from now on; those that are the same are not searched again.

        Parameters
        ----------
        regions : sequence of LabelledRegion
        newest : sequence of (int, tuple of slice)
            Parts of them, by their number, that have just been painted, the newest last: half of
            the patches are cut around what is painted there, for some steps.
        """
        self._regions = regions
        by_code: dict[int, list[tuple[int, _Places]]] = defaultdict(list)
        for index, region in enumerate(regions):
            if region not in self._known:
                self._known[region] = _places_by_code(region.targets)
            for places in self._known[region]:
                by_code[places.code].append((index, places))
        self._by_code = [by_code[code] for code in sorted(by_code)]
        self._ends = [np.cumsum([places.n for _, places in of]) for of in self._by_code]
        new = [(index, *_painted_in(regions[index], part)) for index, part in newest]
        self._new = [(index, places, inside) for index, places, inside in new if places.n]
        self._steps_left = NEW_FOR_STEPS

    def draw(self, batch: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Draw `batch` crops.

        Returns
        -------
        pixels : Tensor, shape (batch, C, *crop_px), float32
            Mirrored where a crop reaches beyond its region.
        codes : Tensor, shape (batch, *crop_px), uint8
        maps : dict of str to Tensor, shape (batch, *crop_px), float32
            Those that the regions have.
        """
        pixels, codes, maps = [], [], defaultdict(list)
        for number in range(batch):
            is_new = self._new and self._steps_left > 0 and number % 2 == 0
            index, middle = self._among_new(number // 2) if is_new else self._anywhere()
            region = self._regions[index]
            start = [
                at - size // 2 + self._offset(jitter)
                for at, size, jitter in zip(middle, self._crop, self._jitter, strict=True)
            ]
            stop = [first + size for first, size in zip(start, self._crop, strict=True)]
            pixels.append(mirrored(region.pixels, start, stop))
            codes.append(mirrored(region.targets, start, stop))
            for name, values in region.maps.items():
                maps[name].append(mirrored(values, start, stop))
        self._steps_left -= 1
        stacked = {name: torch.stack(values).float() for name, values in maps.items()}
        return torch.stack(pixels).float(), torch.stack(codes), stacked

    def _anywhere(self) -> tuple[int, list[int]]:
        """Draw a region and a position in it, of a class."""
        which = self._integer(len(self._by_code))
        ends = self._ends[which]
        number = self._integer(int(ends[-1]))
        of = int(np.searchsorted(ends, number, side="right"))
        index, places = self._by_code[which][of]
        number -= int(ends[of - 1]) if of else 0
        return index, places.place(number, self._regions[index].targets)

    def _among_new(self, number: int) -> tuple[int, list[int]]:
        """Draw a position among what has just been painted: the newest first, then any of it."""
        index, places, inside = self._new[-1 if number == 0 else self._integer(len(self._new))]
        return index, places.place(self._integer(places.n), inside)

    def _integer(self, n: int) -> int:
        return int(torch.randint(n, (), generator=self._generator))

    def _offset(self, jitter: int) -> int:
        return self._integer(2 * jitter + 1) - jitter


def _painted_in(region: LabelledRegion, part: tuple[slice, ...]) -> tuple[_Places, Tensor]:
    """Return where anything is painted in a part of a region, and 1 there, shape of the region."""
    inside = torch.zeros_like(region.targets)
    inside[part] = (region.targets[part] > 0).byte()
    return _Places.of(inside, 1), inside


def _places_by_code(codes: Tensor) -> list[_Places]:
    present = torch.bincount(codes.flatten()).nonzero().flatten().tolist()
    return [_Places.of(codes, code) for code in present if code]
