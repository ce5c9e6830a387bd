"""Maximally stable extremal regions: spots whose outline hardly depends on a threshold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import ndimage

from .blobs import BlobMethod, BlobParams, Points
from .channels import unit_range
from .grey import intensity, smoothed
from .step import IN_3D, SMOOTHING, Labels, View

Ints = npt.NDArray[np.int64]

#: Thresholds that are compared; grey values run from 0 to this.
_HIGHEST = 127


class MserParams(BlobParams):
    """Parameters of maximally stable extremal regions."""

    delta_percent: float = Field(
        4.0,
        ge=0.8,
        le=50,
        description="how far a threshold is moved to see whether an outline stays, in % of the way "
        "from the darkest to the brightest grey value; higher: only spots that stand out clearly",
    )
    max_change_percent: float = Field(
        40.0,
        ge=0,
        le=1000,
        description="by how much of its area a spot may grow meanwhile, in %; higher: more are "
        "found, also with soft outlines",
    )
    sigma_px: float = Field(1.0, ge=0, le=50, description=SMOOTHING)
    in_3d: bool = Field(False, description=IN_3D)


class Mser(BlobMethod[MserParams]):
    """Connected areas beyond a threshold that hardly grow while the threshold moves.

    Of areas within each other that are stable, the most stable is kept. Radii are those of discs or
    balls of the same size.

    References
    ----------
    J. Matas, O. Chum, M. Urban and T. Pajdla, "Robust wide-baseline stereo from maximally stable
    extremal regions", British Machine Vision Conference 2002; from a tree of components: D. Nistér
    and H. Stewénius, "Linear time maximally stable extremal regions", European Conference on
    Computer Vision 2008.
    """

    name: ClassVar[str] = "mser"
    title: ClassVar[str] = "Stable regions (MSER)"
    summary: ClassVar[str] = (
        "Finds spots of any shape whose outline stays when a threshold is moved."
    )
    good_for: ClassVar[str] = (
        "Cells or nuclei that differ so much in brightness that no one threshold suits all."
    )
    params = MserParams
    is_slow: ClassVar[bool] = True

    def segment(self, view: View, params: MserParams, prepared: Any = None) -> Labels:
        """Return each region as an object, the most stable first."""
        tree = ComponentTree.of(levels_of(view, params))
        smallest, largest = (
            _size_px(radius, view) for radius in (params.min_radius_px, params.max_radius_px)
        )
        delta = max(1, round(params.delta_percent / 100 * _HIGHEST))
        growth = tree.growth(delta)
        stable = tree.least_of_branch(growth)
        stable &= (tree.sizes >= smallest) & (tree.sizes <= largest)
        stable &= growth <= params.max_change_percent / 100
        return tree.painted(tree.outermost_first(stable, growth))

    def points(self, view: View, params: MserParams) -> Points:
        """Return the middle of each region and the radius of a disc or ball as large."""
        ids = self.segment(view, params)
        sizes = np.bincount(ids.ravel())[1:]
        centres = ndimage.center_of_mass(ids > 0, ids, np.arange(1, len(sizes) + 1))
        one_px = _size_px(1.0, view)
        radii = (sizes / one_px) ** (1 / view.ndim)
        return np.column_stack([np.reshape(centres, (-1, view.ndim)), radii])


def levels_of(view: View, params: MserParams) -> npt.NDArray[np.uint8]:
    """Return smoothed grey values as whole numbers, 0 to 127, spots being bright."""
    grey = unit_range(smoothed(intensity(view.pixels), view.per_axis(params.sigma_px)))
    level = np.rint(grey * _HIGHEST).astype(np.uint8)
    return level if params.foreground == "bright" else np.uint8(_HIGHEST) - level


def _size_px(radius_px: float, view: View) -> float:
    """Return how many pixels a disc or ball has."""
    unit = math.pi if view.ndim == 2 else 4 / 3 * math.pi
    return unit * math.prod(view.per_axis(radius_px))


@dataclass(frozen=True, slots=True)
class _Growing:
    """The components of the level that has been come to, in the order of the areas there.

    Attributes
    ----------
    numbers, sizes, pixels : ndarray, shape (areas,)
        Of each its number, how large it is, and one pixel of it.
    n_found : int
        Components of all levels so far.
    """

    numbers: Ints
    sizes: Ints
    pixels: Ints
    n_found: int

    @classmethod
    def nothing(cls) -> _Growing:
        none = np.zeros(0, np.int64)
        return cls(none, none, none, 0)

    def down_to(self, areas: npt.NDArray[Any], n: int, added: Ints) -> tuple[_Growing, Ints, Ints]:
        """Go down to the next level.

        Parameters
        ----------
        areas : ndarray, shape (pixels,)
            Connected areas at or above the level, 1 to `n`.
        added : ndarray
            Pixels of the level itself: areas with any are new components, others stay what they
            were.

        Returns
        -------
        next : _Growing
        linked : ndarray, shape (2, links)
            Components, and the new components that they lie in.
        new : ndarray
            Which areas are new components.
        """
        lies_in, at = areas[self.pixels] - 1, areas[added] - 1
        n_added = np.bincount(at, minlength=n)
        sizes = n_added.copy()
        np.add.at(sizes, lies_in, self.sizes)
        pixels, numbers = np.zeros(n, np.int64), np.zeros(n, np.int64)
        pixels[lies_in], numbers[lies_in] = self.pixels, self.numbers
        pixels[at] = added
        new = np.flatnonzero(n_added)
        numbers[new] = self.n_found + np.arange(len(new))
        grows = n_added[lies_in] > 0
        linked = np.stack([self.numbers[grows], numbers[lies_in[grows]]])
        return _Growing(numbers, sizes, pixels, self.n_found + len(new)), linked, new


@dataclass(frozen=True, slots=True)
class ComponentTree:
    """Connected areas (4 or 6 neighbours) at or above every grey level, each in a lower one.

    Attributes
    ----------
    shape : tuple of int
        Of the image.
    component_of : ndarray, shape (pixels,)
        The smallest component that a pixel lies in.
    parents : ndarray, shape (components,)
        The next larger component; of the whole image, itself.
    levels : ndarray, shape (components,)
        Lowest grey value in it.
    sizes : ndarray, shape (components,)
        In pixels.
    """

    shape: tuple[int, ...]
    component_of: Ints
    parents: Ints
    levels: Ints
    sizes: Ints

    @classmethod
    def of(cls, image: npt.NDArray[np.uint8]) -> ComponentTree:
        """Find all components of an image, level by level from the highest.

        ``skimage.morphology.max_tree`` tells the same, but takes up to twenty times as long.
        """
        grey = image.ravel()
        order = np.argsort(grey, kind="stable")
        starts = np.flatnonzero(np.diff(grey[order])) + 1
        component_of = np.empty(grey.size, np.int64)
        growing = _Growing.nothing()
        levels, sizes, links = [], [], []
        for pixels in reversed(np.split(order, starts)):
            level = grey[pixels[0]]
            areas, n_areas = ndimage.label(image >= level)
            growing, linked, new = growing.down_to(areas.ravel(), n_areas, pixels)
            links.append(linked)
            component_of[pixels] = growing.numbers[areas.ravel()[pixels] - 1]
            sizes.append(growing.sizes[new])
            levels.append(np.full(len(new), level, np.int64))
        parents = np.arange(growing.n_found)
        children, of = np.concatenate(links, axis=1)
        parents[children] = of
        return cls(
            image.shape, component_of, parents, np.concatenate(levels), np.concatenate(sizes)
        )

    def growth(self, delta: int) -> npt.NDArray[np.float64]:
        """Return by which share of its size each grows where the threshold is `delta` lower.

        Infinite where there is no such threshold in the image.
        """
        lowest = self.levels - delta
        grown = np.arange(len(self.levels))
        while True:
            larger = self.parents[grown]
            reaches = (self.levels[larger] >= lowest) & (larger != grown)
            if not reaches.any():
                break
            grown = np.where(reaches, larger, grown)
        growth = self.sizes[grown] / self.sizes - 1
        growth[lowest < self.levels.min()] = np.inf
        return np.asarray(growth)

    def least_of_branch(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return where values are lower than that of the parent, and no higher than any child's."""
        is_root = self.parents == np.arange(len(values))
        below_parent = (values < values[self.parents]) | is_root
        is_least = below_parent.copy()
        is_least[self.parents[below_parent & ~is_root]] = False
        return np.asarray(is_least)

    def outermost_first(
        self, chosen: npt.NDArray[np.bool_], growth: npt.NDArray[np.float64]
    ) -> list[int]:
        """Return those of the components chosen of which none lies in another, lowest growth first.

        Of equal growth, that comes first which grows no more over the most thresholds.
        """
        candidates = np.flatnonzero(chosen)
        order = np.lexsort((-self._lasts(candidates, growth[candidates]), growth[candidates]))
        above = self._next_chosen(chosen)
        kept: list[int] = []
        is_kept, holds_kept = set[int](), set[int]()
        for one in candidates[order].tolist():
            larger = list(self._chain(above, one))
            if one in holds_kept or any(other in is_kept for other in larger):
                continue
            kept.append(one)
            is_kept.add(one)
            holds_kept.update(larger)
        return kept

    def _lasts(self, components: Ints, growth: npt.NDArray[np.float64]) -> Ints:
        """Return by how far a threshold can be lowered until components grow more than that."""
        largest = self.sizes[components] * (1 + growth)
        grown = components
        while True:
            larger = self.parents[grown]
            reaches = (self.sizes[larger] <= largest + 0.5) & (larger != grown)
            if not reaches.any():
                return np.asarray(self.levels[components] - self.levels[self.parents[grown]])
            grown = np.where(reaches, larger, grown)

    def painted(self, components: list[int]) -> npt.NDArray[np.uint32]:
        """Return an image in which the i-th of some components, none in another, has id i + 1."""
        ids = np.zeros(len(self.parents), np.uint32)
        ids[components] = np.arange(1, len(components) + 1)
        for at in self._by_level()[1:]:
            ids[at] = np.where(ids[at] > 0, ids[at], ids[self.parents[at]])
        return ids[self.component_of].reshape(self.shape)

    def _by_level(self) -> list[Ints]:
        """Return the components of each grey level there is, the lowest first."""
        order = np.argsort(self.levels, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(self.levels[order])) + 1)

    def _next_chosen(self, chosen: npt.NDArray[np.bool_]) -> Ints:
        """Return the smallest larger component that is chosen; −1 where there is none."""
        above = np.full(len(chosen), -1)
        for at in self._by_level()[1:]:
            parents = self.parents[at]
            above[at] = np.where(chosen[parents], parents, above[parents])
        return above

    @staticmethod
    def _chain(above: Ints, one: int) -> Iterator[int]:
        while (one := int(above[one])) >= 0:
            yield one


MSER = Mser()
