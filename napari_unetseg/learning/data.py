"""Training images and the patches drawn from them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_unetseg.annotations import BLOCK_PX, held_out_mask
from napari_unetseg.config import LabelClass, NormalisationConfig
from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    Codes,
    Ids,
    Normalisation,
    Stack,
    annotated_slices,
    check_same_slices,
    fit_normalisation,
)

#: Computes a number for each pixel from ids of objects, as `border_weights` does.
FromIds: TypeAlias = Callable[[npt.NDArray[np.uint32]], npt.NDArray[np.float32]]

#: Sections with labels are a region of their own from so many voxels on.
MOST_VOXELS = 1 << 26

#: Numbers of pixels beside their codes, by name, and only those in use. From ids of objects come
#: ``"border"``, extra weights of pixels between objects, and ``"distance"``, that to the border of
#: the object. ``"unlabelled"`` is 1 where nothing is annotated, and 0 where something is held out.
PixelMaps: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class TrainingImage:
    """A stack with its annotations.

    Attributes
    ----------
    stack : Stack
    codes : ndarray or LazyCodes, shape (planes, Y, X), uint8
        0 unlabelled, 1 background, k + 1 class k.
    blocks : ndarray or None, shape (planes, blocks_y, blocks_x), uint8
        Which blocks are held out, as `annotations.assign_blocks` has it; None: nothing is. Squares
        for networks of single slices, boxes for those that see several sections.
    ids : ndarray, LazyPlanes or None, shape (planes, Y, X), uint32
        Which object a pixel belongs to, 0 background; None where objects are not told apart.
    """

    stack: Stack
    codes: Codes
    blocks: npt.NDArray[np.uint8] | None = None
    ids: Ids | None = None

    def __post_init__(self) -> None:
        """Check that the annotations fit the stack."""
        check_same_slices(self.codes.shape, self.stack, f"The labels of {self.stack.name}")

    def annotated_planes(self) -> list[int]:
        """Return the slices in which anything is labelled."""
        return annotated_slices(self.codes)

    def held_out(self, plane: int, *, boxes: bool) -> npt.NDArray[np.bool_]:
        """Return which pixels of a slice are held out, in boxes or in squares of that slice."""
        if self.blocks is None:
            return np.zeros(self.stack.plane_shape, bool)
        return held_out_mask(self.blocks, plane, self.stack.plane_shape, boxes=boxes)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class LabelledRegion:
    """What training needs of a part of a slice or of a volume.

    Attributes
    ----------
    pixels : Tensor, shape (C, Y, X) or (C, Z, Y, X), float16
        Normalised grey values of the annotated region and its surroundings; in 2.5D the channels
        of several sections, from the first to the last.
    targets : Tensor, shape (Y, X) or (Z, Y, X), uint8
        Codes that may enter a loss; 0 where nothing is annotated or it is held out.
    held_out : Tensor, of the same shape, uint8
        Codes to score with; 0 elsewhere.
    maps : dict of str to Tensor, of the same shape, float16
        As `PixelMaps` has them.
    corner : tuple of int
        (y, x) in the slice of the region's first pixel.
    """

    pixels: Tensor
    targets: Tensor
    held_out: Tensor
    maps: PixelMaps = field(default_factory=dict)
    corner: tuple[int, int] = (0, 0)


class RegionReader:
    """Reads and normalises what is annotated, cut to the annotations and a margin around them.

    Parameters
    ----------
    images : sequence of TrainingImage
    normalisation : NormalisationConfig
    margin_px : sequence of int
        Per axis. With two, (Y, X), a region is a slice; with three, (Z, Y, X), it is a part of the
        volume of a time point, and what is annotated far apart along Z, or on very many sections,
        is in several.
    neighbours : int
        Sections on each side whose channels are stacked, of slices.
    from_ids : dict of str to callable, optional
        What computes the maps of objects; they are 0 in images whose objects are not told apart.
    unlabelled : bool
        Whether to say where nothing is annotated.
    """

    def __init__(
        self,
        images: Sequence[TrainingImage],
        normalisation: NormalisationConfig,
        margin_px: Sequence[int],
        neighbours: int = 0,
        from_ids: Mapping[str, FromIds] | None = None,
        *,
        unlabelled: bool = False,
    ) -> None:
        self._images = images
        self._normalisation = normalisation
        self._margin_px = margin_px
        self._neighbours = neighbours
        self._from_ids = from_ids or {}
        self._unlabelled = unlabelled
        self._fitted: dict[int, Normalisation] = {}

    @property
    def of_slices(self) -> bool:
        """Whether each region is of one slice."""
        return len(self._margin_px) == 2

    def read(
        self, index: int, planes: Iterable[int] | None = None
    ) -> Iterator[tuple[int, LabelledRegion]]:
        """Yield the regions of an image, each with its first slice.

        Parameters
        ----------
        index : int
            Of the image.
        planes : iterable of int, optional
            Slices that may be annotated; all by default.
        """
        image = self._images[index]
        if planes is None:
            annotated = image.annotated_planes()
        else:
            annotated = [plane for plane in sorted(planes) if image.codes[plane].any()]
        for run, labelled in _runs(image.stack, annotated, self._margin_px):
            if index not in self._fitted:
                self._fitted[index] = fit_normalisation(image.stack, self._normalisation)
            fitted = self._fitted[index]
            region = _read(image, run, fitted, self._margin_px, self._neighbours, self._from_ids)
            if self._unlabelled:
                region = _with_unlabelled(region)
            if len(self._margin_px) == 3:
                _keep_labels(region, labelled.start - run.start, labelled.stop - run.start)
            yield run.start, region

    def area_px(self, index: int) -> int:
        """Return the pixels of a slice of an image."""
        height, width = self._images[index].stack.plane_shape
        return height * width

    def read_all(self) -> Iterator[LabelledRegion]:
        """Yield the regions of all images."""
        for index in range(len(self._images)):
            for _, region in self.read(index):
                yield region


def load_regions(
    images: Sequence[TrainingImage],
    normalisation: NormalisationConfig,
    margin_px: Sequence[int],
    neighbours: int = 0,
    from_ids: Mapping[str, FromIds] | None = None,
    *,
    unlabelled: bool = False,
) -> Iterator[LabelledRegion]:
    """Yield all regions of some images; see `RegionReader`."""
    reader = RegionReader(
        images, normalisation, margin_px, neighbours, from_ids, unlabelled=unlabelled
    )
    return reader.read_all()


def _runs(
    stack: Stack, annotated: Sequence[int], margin_px: Sequence[int]
) -> Iterator[tuple[range, range]]:
    """Yield which slices make one region each, and the labels of which of them count there."""
    if len(margin_px) == 2:
        yield from ((range(plane, plane + 1),) * 2 for plane in annotated)
        return
    depth, planes, margin = stack.size("Z"), np.array(annotated, int), margin_px[0]
    most = max(MOST_VOXELS // math.prod(stack.plane_shape), 2 * margin, 1)
    for frame in range(stack.size("T")):
        here = planes[planes // depth == frame]
        for run in np.split(here, np.flatnonzero(np.diff(here) > 2 * margin) + 1):
            if not len(run):
                continue
            first, last = int(run[0]), int(run[-1]) + 1
            n_parts = -(-(last - first) // most)
            ends = [first + (last - first) * part // n_parts for part in range(n_parts + 1)]
            for begin, end in itertools.pairwise(ends):
                around = range(
                    max(begin - margin, frame * depth), min(end + margin, (frame + 1) * depth)
                )
                yield around, range(begin, end)


def _keep_labels(region: LabelledRegion, first: int, last: int) -> None:
    """Take away what is labelled on other slices of a volume: it is in the region beside it."""
    for codes in (region.targets, region.held_out):
        codes[:first] = 0
        codes[last:] = 0


def _read(
    image: TrainingImage,
    planes: range,
    fitted: Normalisation,
    margin_px: Sequence[int],
    neighbours: int,
    from_ids: Mapping[str, FromIds],
) -> LabelledRegion:
    """Read one region; of slices only the first of `planes` is meant."""
    codes = image.codes[planes.start : planes.stop]
    where = _around(np.asarray(codes.any(axis=0)), margin_px[-2:])
    inside = (slice(None), *where)
    boxes = len(margin_px) == 3 or neighbours > 0
    held = np.stack([image.held_out(plane, boxes=boxes)[where] for plane in planes])
    codes = codes[inside]

    def pixels_of(plane: int) -> npt.NDArray[np.float16]:
        pixels = fitted.apply(image.stack.plane(plane)[inside])
        return np.ascontiguousarray(pixels, np.float16)

    if len(margin_px) == 3:
        pixels = np.stack([pixels_of(plane) for plane in planes], axis=1)
    else:
        sections = image.stack.neighbouring_planes(planes.start, neighbours)
        pixels = np.concatenate([pixels_of(plane) for plane in sections])
        codes, held = codes[0], held[0]
    maps = {
        name: torch.from_numpy(_of_objects(image, planes, inside, compute)).reshape(codes.shape)
        for name, compute in from_ids.items()
    }
    return LabelledRegion(
        torch.from_numpy(pixels),
        torch.from_numpy(np.where(held, 0, codes).astype(np.uint8)),
        torch.from_numpy(np.where(held, codes, 0).astype(np.uint8)),
        maps,
        (where[0].start, where[1].start),
    )


def _with_unlabelled(region: LabelledRegion) -> LabelledRegion:
    nowhere = (region.targets == 0) & (region.held_out == 0)
    return replace(region, maps={**region.maps, "unlabelled": nowhere.half()})


def _of_objects(
    image: TrainingImage, planes: range, inside: tuple[slice, ...], compute: FromIds
) -> npt.NDArray[np.float16]:
    if image.ids is None:
        return np.zeros(image.codes[planes.start : planes.stop][inside].shape, np.float16)
    ids = image.ids[planes.start : planes.stop][inside]
    return compute(ids[0] if len(planes) == 1 else ids).astype(np.float16)


def check_annotations(
    regions: Sequence[LabelledRegion],
    classes: Sequence[LabelClass],
    known: Container[str] = frozenset(),
) -> None:
    """Raise `UserError` unless every class has pixels that may enter a loss.

    Parameters
    ----------
    known : container of str
        Names of the classes that the network knows already; these need no pixels.
    """
    n_codes = len(classes) + 2
    trains, held = np.zeros(n_codes, np.int64), np.zeros(n_codes, np.int64)
    for region in regions:
        for counts, codes in ((trains, region.targets), (held, region.held_out)):
            found = torch.bincount(codes.ravel(), minlength=n_codes).numpy()
            if len(found) > n_codes:
                raise UserError(
                    f"The labels hold class {len(found) - 2}, but only {len(classes)} classes "
                    "are named; name every class."
                )
            counts += found
    if not trains[1:].any():
        raise UserError(
            "All that is painted lies in blocks kept to score with; paint some more elsewhere."
        )
    for k, name in enumerate((c.name for c in classes), start=1):
        if name in known or trains[k + 1]:
            continue
        if held[k + 1]:
            raise UserError(
                f"All pixels of class {name!r} lie in blocks kept to score with; "
                "paint some of it elsewhere."
            )
        raise UserError(f"Class {name!r} has no pixel; paint some of it, or delete the class.")


def _around(labelled: npt.NDArray[np.bool_], margin_px: Sequence[int]) -> tuple[slice, slice]:
    """Return the rows and columns of everything labelled, with a margin around it."""
    spans = []
    for axis, (size, margin) in enumerate(zip(labelled.shape, margin_px, strict=True)):
        hits = np.flatnonzero(labelled.any(axis=1 - axis))
        # Whole blocks, so that held-out windows are cut alike whatever else is painted.
        start = max(0, int(hits[0]) - margin) // BLOCK_PX * BLOCK_PX
        spans.append(slice(start, min(size, int(hits[-1]) + 1 + margin)))
    return spans[0], spans[1]
