"""Which annotated pixels methods may see, and which they are scored on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_unetseg.annotations import BLOCK_PX, held_out_mask
from napari_unetseg.classical import Source, View
from napari_unetseg.config import BACKGROUND, UNLABELLED
from napari_unetseg.errors import UserError
from napari_unetseg.images import Codes as AllCodes
from napari_unetseg.images import Stack, annotated_slices
from napari_unetseg.wording import counted

Codes: TypeAlias = npt.NDArray[np.uint8]

#: A slice: which image, and which slice of it.
Where: TypeAlias = tuple[int, int]

#: Parts into which annotations are divided where too few are held out.
N_FOLDS = 3

#: Sides of the squares that are then tried, in px.
_SIDES_PX = (BLOCK_PX, BLOCK_PX // 2, BLOCK_PX // 4, BLOCK_PX // 8)

#: Held-out squares that are needed to score on them.
_LEAST_SQUARES = 2

#: Slices on which methods are scored; of more, so many are chosen, evenly spread.
MOST_SCORED = 24

#: Slices on which parameters are searched.
MOST_FITTED = 12

#: Slices on either side that steps see which are tried in volumes.
_BESIDE = 4

#: Larger volumes are segmented slice by slice.
_MOST_IN_VOLUME_PX = 2**25

_NEVER = -1


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedImage:
    """A stack with its annotations.

    Attributes
    ----------
    stack : Stack
    codes : ndarray or LazyCodes, shape (planes, Y, X), uint8
        0 unlabelled, 1 background, k + 1 class k.
    blocks : ndarray or None, shape (planes, blocks_y, blocks_x), uint8
        What is held out, as `annotations.assign_blocks` has it; None: nothing is.
    """

    stack: Stack
    codes: AllCodes
    blocks: npt.NDArray[np.uint8] | None = None

    def annotated_planes(self) -> list[int]:
        """Return the slices in which anything is labelled."""
        return annotated_slices(self.codes)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Annotations divided into those that methods are fitted to and those they are scored on.

    Attributes
    ----------
    images : sequence of AnnotatedImage
    kind : {'held out', 'slices', 'squares'}
        Scored on the blocks that are held out, once; or on every slice, or square of a slice, in
        turn, while the others are fitted to.
    n_folds : int
        How often methods are fitted: 1 where something is held out.
    side_px : int
        Of the squares.
    folds : dict of (image, plane) to ndarray of int8, shape (squares_y, squares_x)
        When a square is scored on; −1 where it never is.
    """

    images: Sequence[AnnotatedImage]
    kind: Literal["held out", "slices", "squares"]
    n_folds: int
    side_px: int
    folds: dict[Where, npt.NDArray[np.int8]]

    def parts(self) -> list[Part]:
        """Return what is fitted to and scored on, one after the other."""
        return [Part(self, fold) for fold in range(self.n_folds)]

    def everything(self) -> Part:
        """Return all that may ever be fitted to: what is held out never is."""
        return Part(self, 0 if self.kind == "held out" else None)

    def n_squares(self, where: Where) -> int:
        """Return into how many squares, or other units of scoring, a slice is divided."""
        return 1 if self.kind == "slices" else self.folds[where].size

    def squares(self, where: Where) -> npt.NDArray[np.intp]:
        """Return in which of them each pixel of a slice lies, shape (Y, X), counted from 0."""
        grid = self.folds[where]
        numbers = np.zeros_like(grid, np.intp)
        if self.kind != "slices":
            numbers = np.arange(grid.size).reshape(grid.shape)
        return self._spread(numbers, where)

    def turns(self, where: Where) -> npt.NDArray[np.intp]:
        """Return when pixels of a slice are scored on, shape (Y, X); −1 for never."""
        return self._spread(self.folds[where], where)

    def sentence(self) -> str:
        """Say what is scored on."""
        parts = self.parts()
        n_px = sum(np.count_nonzero(p.scored(where)) for p in parts for where in p.scored_slices)
        n_slices = len({where for part in parts for where in part.scored_slices})
        on = f"{n_px:,} annotated px on {counted(n_slices, 'slice')}"
        if self.kind == "held out":
            return f"Scored on {on}, which are held out: no method sees them before."
        units = "slices" if self.kind == "slices" else f"squares of {self.side_px} px"
        return (
            f"Too little is annotated to hold some out, so methods are fitted {self.n_folds} times "
            f"and scored in turn on the {units} that they have not seen: {on}."
        )

    def _spread(self, grid: npt.NDArray[np.integer], where: Where) -> npt.NDArray[np.intp]:
        height, width = self.images[where[0]].stack.plane_shape
        spread = grid.astype(np.intp).repeat(self.side_px, axis=0).repeat(self.side_px, axis=1)
        return spread[:height, :width]


@dataclass(frozen=True, eq=False)
class Part:
    """What is fitted to, and what is scored on, at a time.

    Attributes
    ----------
    split : Split
    fold : int or None
        What is scored on; None: nothing, and everything is fitted to.
    """

    split: Split
    fold: int | None

    @property
    def images(self) -> Sequence[AnnotatedImage]:
        """The images, with all of their annotations."""
        return self.split.images

    @property
    def is_last(self) -> bool:
        """Whether what is fitted to it is what a person goes on with."""
        return self.fold is None or self.split.kind == "held out"

    def training(self, where: Where) -> Codes:
        """Return what methods may see of the annotations of a slice.

        Returns
        -------
        ndarray, shape (Y, X), uint8
            A copy; 0 where it is not to be seen.
        """
        codes = np.array(self.images[where[0]].codes[where[1]])
        if self.fold is not None:
            codes[self.split.turns(where) == self.fold] = UNLABELLED
        return codes

    def scored(self, where: Where) -> Codes:
        """Return what a slice is scored on, shape (Y, X), uint8; 0 elsewhere; read only."""
        if where not in self._scored:
            self._scored[where] = self._scored_on(where)
        return self._scored[where]

    @cached_property
    def _scored(self) -> dict[Where, Codes]:
        return {}

    def _scored_on(self, where: Where) -> Codes:
        codes = self.images[where[0]].codes[where[1]]
        if self.fold is None:
            return np.zeros_like(codes)
        return np.where(self.split.turns(where) == self.fold, codes, np.uint8(UNLABELLED))

    def training_codes(self, image: int) -> Codes:
        """Return what may be seen of the annotations of an image, shape (planes, Y, X)."""
        # Zeroed memory that is not written to takes none.
        codes = np.zeros(self.images[image].codes.shape, np.uint8)
        for where in self.split.folds:
            if where[0] == image:
                codes[where[1]] = self.training(where)
        return codes

    @cached_property
    def scored_slices(self) -> list[Where]:
        """The slices with something to score on, some of them where they are many."""
        found = [where for where in self.split.folds if self.scored(where).any()]
        return evenly(found, MOST_SCORED)

    @cached_property
    def fitted_slices(self) -> list[Where]:
        """Slices with something to fit to, some of them where they are many."""
        found = [where for where in self.split.folds if self.training(where).any()]
        return evenly(found, MOST_FITTED)

    @cached_property
    def fitted_codes(self) -> list[Codes]:
        """What may be seen of the annotations of `fitted_slices`. Not to be modified."""
        return [self.training(where) for where in self.fitted_slices]

    def scored_area(self) -> int:
        """Return the pixels of all slices that are scored on."""
        return sum(self.images[i].codes[plane].size for i, plane in self.scored_slices)

    @cached_property
    def views(self) -> list[View]:
        """What steps see of `fitted_slices`."""
        sources = [Source(image.stack) for image in self.images]
        return [sources[i].slice_view(plane) for i, plane in self.fitted_slices]

    def around(self, number: int, inside: tuple[slice, slice]) -> tuple[View, int] | None:
        """Return a part of one of `fitted_slices` with the slices beside it.

        Parameters
        ----------
        number : int
            In `fitted_slices`.
        inside : tuple of slice
            Rows and columns.

        Returns
        -------
        tuple of View and int, or None
            A volume, (C, Z, Y, X), and which of its slices it is; None where there is a single
            one, or where the whole volume is too large to segment it for some slices of it.
        """
        image, plane = self.fitted_slices[number]
        stack = self.images[image].stack
        depth = stack.size("Z")
        if depth < 2 or depth * np.prod(stack.plane_shape) > _MOST_IN_VOLUME_PX:
            return None
        first = plane // depth * depth
        low, high = max(first, plane - _BESIDE), min(first + depth, plane + _BESIDE + 1)
        pixels = np.stack([stack.plane(p)[(..., *inside)] for p in range(low, high)], axis=1)
        return replace(self.views[number], pixels=pixels), plane - low

    def seen(self) -> set[int]:
        """Return the codes that may be seen."""
        return _codes_in(self.training(where) for where in self.split.folds)


def split_annotations(images: Sequence[AnnotatedImage]) -> Split:
    """Divide annotations spatially.

    Where at least two blocks, with at least two classes, are held out, these are scored on: a
    single one says nothing of how sure scores are. Else slices take turns, or squares of slices, so
    that every class is seen at every turn.

    Raises
    ------
    UserError
        If fewer than two classes are annotated, or one of them in a single spot.
    """
    annotated = [(i, plane) for i, image in enumerate(images) for plane in image.annotated_planes()]
    classes = _codes_in(images[i].codes[plane] for i, plane in annotated)
    if len(classes) < 2:
        raise UserError(
            "Comparing methods needs annotations of at least two classes (background is one); "
            f"got {len(classes)}."
        )
    folds = {where: _held_out(images[where[0]], where[1]) for where in annotated}
    split = Split(images, "held out", 1, BLOCK_PX, folds)
    if _can_score(split, classes):
        return split
    for split in _in_turn(images, annotated):
        if _can_take_turns(split, classes):
            return split
    raise UserError(
        "Too little is annotated to compare methods: paint each class, and background, in at "
        "least two places."
    )


def evenly(items: Sequence[Where], n: int) -> list[Where]:
    """Return at most `n` of some items, evenly spread."""
    chosen = np.linspace(0, len(items) - 1, min(n, len(items))).round()
    return [items[int(i)] for i in chosen]


def _held_out(image: AnnotatedImage, plane: int) -> npt.NDArray[np.int8]:
    height, width = image.stack.plane_shape
    shape = (-(-height // BLOCK_PX), -(-width // BLOCK_PX))
    if image.blocks is None:
        return np.full(shape, _NEVER, np.int8)
    mask = held_out_mask(image.blocks, plane, image.stack.plane_shape)
    return np.where(mask[::BLOCK_PX, ::BLOCK_PX], 0, _NEVER).astype(np.int8)


def _in_turn(images: Sequence[AnnotatedImage], annotated: Sequence[Where]) -> Iterator[Split]:
    """Yield ways to let parts take turns, the widest parts first."""
    if len(annotated) >= N_FOLDS:
        folds = {}
        for turn, (i, plane) in enumerate(annotated):
            height, width = images[i].stack.plane_shape
            shape = (-(-height // BLOCK_PX), -(-width // BLOCK_PX))
            folds[i, plane] = np.full(shape, turn % N_FOLDS, np.int8)
        yield Split(images, "slices", N_FOLDS, BLOCK_PX, folds)
    for side in _SIDES_PX:
        for n_folds in (N_FOLDS, 2):
            yield Split(images, "squares", n_folds, side, _dealt(images, annotated, side, n_folds))


def _dealt(
    images: Sequence[AnnotatedImage], annotated: Sequence[Where], side: int, n_folds: int
) -> dict[Where, npt.NDArray[np.int8]]:
    """Deal out the squares that are annotated, those of each set of classes by themselves."""
    folds: dict[Where, npt.NDArray[np.int8]] = {}
    dealt: dict[tuple[int, ...], int] = {}
    for i, plane in annotated:
        present = _present(images[i].codes[plane], side)
        grid = folds[i, plane] = np.full(present.shape[1:], _NEVER, np.int8)
        for y, x in np.argwhere(present.any(axis=0)):
            kinds = tuple(np.flatnonzero(present[:, y, x]).tolist())
            turn = dealt[kinds] = dealt.get(kinds, -1) + 1
            grid[y, x] = turn % n_folds
    return folds


def _present(codes: Codes, side: int) -> npt.NDArray[np.bool_]:
    """Return which code occurs in which square, shape (codes, squares_y, squares_x)."""
    starts = [np.arange(0, size, side) for size in codes.shape]
    found = []
    for code in range(BACKGROUND, int(codes.max()) + 1):
        rows = np.logical_or.reduceat(codes == code, starts[0], axis=0)
        found.append(np.logical_or.reduceat(rows, starts[1], axis=1))
    return np.array(found)


def _can_score(split: Split, classes: set[int]) -> bool:
    part = split.everything()
    scored = _codes_in(part.scored(where) for where in split.folds)
    squares = sum(
        np.unique(split.squares(where)[part.scored(where) > 0]).size for where in part.scored_slices
    )
    return len(scored) >= 2 and squares >= _LEAST_SQUARES and part.seen() == classes


def _can_take_turns(split: Split, classes: set[int]) -> bool:
    return all(part.seen() == classes and part.scored_slices for part in split.parts())


def _codes_in(slices: Iterable[Codes]) -> set[int]:
    found = np.zeros(256, bool)
    for codes in slices:
        found |= np.bincount(codes.ravel(), minlength=256) > 0
    found[UNLABELLED] = False
    return set(np.flatnonzero(found).tolist())
