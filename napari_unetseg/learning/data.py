"""Training images and the patches drawn from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_unetseg.annotations import BLOCK_PX, held_out_mask
from napari_unetseg.config import LabelClass, NormalisationConfig
from napari_unetseg.errors import UserError
from napari_unetseg.images import Normalisation, Stack, check_same_slices, fit_normalisation
from napari_unetseg.networks.padding import mirrored

#: Computes a number for each pixel from ids of objects, as `border_weights` does.
FromIds: TypeAlias = Callable[[npt.NDArray[np.uint32]], npt.NDArray[np.float32]]

#: Numbers of pixels beside their codes, by name, and only those in use. From ids of objects come
#: ``"border"``, extra weights of pixels between objects, and ``"distance"``, that to the border of
#: the object. ``"unlabelled"`` is 1 where nothing is annotated, and 0 where something is held out.
PixelMaps: TypeAlias = Mapping[str, Tensor]

#: Positions kept of each class, from which patches are centred; more would change nothing.
MAX_POSITIONS = 200_000


@dataclass(frozen=True, slots=True)
class TrainingImage:
    """A stack with its annotations.

    Attributes
    ----------
    stack : Stack
    codes : ndarray, shape (planes, Y, X), uint8
        0 unlabelled, 1 background, k + 1 class k.
    blocks : ndarray or None, shape (planes, blocks_y, blocks_x), uint8
        Which blocks are held out, as `annotations.assign_blocks` has it; None: nothing is. Squares
        for networks of single slices, boxes for those that see several sections.
    ids : ndarray or None, shape (planes, Y, X), uint32
        Which object a pixel belongs to, 0 background; None where objects are not told apart.
    """

    stack: Stack
    codes: npt.NDArray[np.uint8]
    blocks: npt.NDArray[np.uint8] | None = None
    ids: npt.NDArray[np.uint32] | None = None

    def __post_init__(self) -> None:
        """Check that the annotations fit the stack."""
        check_same_slices(self.codes, self.stack, f"The labels of {self.stack.name}")

    def annotated_planes(self) -> list[int]:
        """Return the slices in which anything is labelled."""
        return [index for index, codes in enumerate(self.codes) if codes.any()]

    def held_out(self, plane: int, *, boxes: bool) -> npt.NDArray[np.bool_]:
        """Return which pixels of a slice are held out, in boxes or in squares of that slice."""
        if self.blocks is None:
            return np.zeros(self.stack.plane_shape, bool)
        return held_out_mask(self.blocks, plane, self.stack.plane_shape, boxes=boxes)


@dataclass(frozen=True, slots=True)
class LabelledRegion:
    """What training needs of a part of a slice or of a volume, in memory.

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
    """

    pixels: Tensor
    targets: Tensor
    held_out: Tensor
    maps: PixelMaps = field(default_factory=dict)


def load_regions(
    images: Sequence[TrainingImage],
    normalisation: NormalisationConfig,
    margin_px: Sequence[int],
    neighbours: int = 0,
    from_ids: Mapping[str, FromIds] | None = None,
    *,
    unlabelled: bool = False,
) -> Iterator[LabelledRegion]:
    """Read and normalise what is annotated, cut to the annotations and a margin around them.

    Parameters
    ----------
    images : sequence of TrainingImage
    normalisation : NormalisationConfig
    margin_px : sequence of int
        Per axis. With two, (Y, X), a region is a slice; with three, (Z, Y, X), it is a part of the
        volume of a time point, and what is annotated far apart along Z is in several.
    neighbours : int
        Sections on each side whose channels are stacked, of slices.
    from_ids : dict of str to callable, optional
        What computes the maps of objects; they are 0 in images whose objects are not told apart.
    unlabelled : bool
        Whether to say where nothing is annotated.
    """
    for image in images:
        fitted = None
        for planes in _annotated_runs(image, margin_px):
            fitted = fitted or fit_normalisation(image.stack, normalisation)
            region = _read(image, planes, fitted, margin_px, neighbours, from_ids or {})
            yield _with_unlabelled(region) if unlabelled else region


def _annotated_runs(image: TrainingImage, margin_px: Sequence[int]) -> Iterator[range]:
    """Yield which slices make one region each."""
    annotated = image.annotated_planes()
    if len(margin_px) == 2:
        yield from (range(plane, plane + 1) for plane in annotated)
        return
    depth = image.stack.size("Z")
    for frame in range(image.stack.size("T")):
        here = np.array([plane for plane in annotated if plane // depth == frame])
        for run in np.split(here, np.flatnonzero(np.diff(here) > 2 * margin_px[0]) + 1):
            if len(run):
                first, last = int(run[0]) - margin_px[0], int(run[-1]) + 1 + margin_px[0]
                yield range(max(first, frame * depth), min(last, (frame + 1) * depth))


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
            found = np.bincount(codes.numpy().ravel(), minlength=n_codes)
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
        self._regions = regions
        self._crop = crop_px
        self._jitter = jitter_px
        self._generator = generator
        codes = sorted(set().union(*(np.unique(r.targets.numpy()).tolist() for r in regions)))
        self._positions = [self._positions_of(code) for code in codes if code]

    def _positions_of(self, code: int) -> Tensor:
        """Return (region, …, y, x) of pixels of a class, at most `MAX_POSITIONS` of them."""
        found = []
        for index, region in enumerate(self._regions):
            where = torch.nonzero(region.targets == code)
            found.append(torch.cat([torch.full((len(where), 1), index), where], dim=1).int())
        positions = torch.cat(found)
        if len(positions) <= MAX_POSITIONS:
            return positions
        keep = torch.randint(len(positions), (MAX_POSITIONS,), generator=self._generator)
        return positions[keep]

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
        for _ in range(batch):
            positions = self._positions[self._integer(len(self._positions))]
            index, *middle = positions[self._integer(len(positions))].tolist()
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
        stacked = {name: torch.stack(values).float() for name, values in maps.items()}
        return torch.stack(pixels).float(), torch.stack(codes), stacked

    def _integer(self, n: int) -> int:
        return int(torch.randint(n, (), generator=self._generator))

    def _offset(self, jitter: int) -> int:
        return self._integer(2 * jitter + 1) - jitter
