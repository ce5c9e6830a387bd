"""Segmenting slices and volumes: overlapping tiles with mirrored context, whatever the size.

Tiles are read with the halo that the network's receptive field needs, so their answers meet
exactly and nothing is blended. Instance and group normalisation measure each tile by itself; such
networks see tiles that are as large as memory allows, which for most images is the whole slice.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_unetseg.errors import UserError
from napari_unetseg.events import Event, Warned
from napari_unetseg.hardware import is_out_of_memory
from napari_unetseg.images import (
    Normalisation,
    Stack,
    Tile,
    check_channels,
    check_resampling,
    even_size,
    fit_normalisation,
    is_scale_open,
    plan_tiles,
)
from napari_unetseg.networks import Network

from .allocator import keep_freed_memory
from .answers import Answer, SlabOutput, Wanted, entropy, most_probable
from .bundle import Model
from .cores import FREE_CORES
from .inference import for_inference, place_tile
from .placement import Device, choose_device, suited
from .sections import Sections
from .tile_size import halved, largest_tile
from .tta import View, all_views
from .unknown_scale import best_scale

#: Mirrored around every slice, so that its edge is not seen as the edge of the world. On EM
#: membranes, IoU within 16 px of the edge was 0.588 without, 0.602 with 16 px, 0.601 with 32 and
#: 0.602 with 96.
BORDER_PX = 16

#: Mirrored before the first and after the last section of a volume.
BORDER_SECTIONS = 4

#: Slabs kept while slices are asked for from the middle outwards.
KEPT_SLABS = 2

_TOO_LARGE = (
    "There is not enough memory to segment even a small part of a slice; close other programs or "
    "choose another device."
)


#: Slices beside each other in a time point: frame, first, the one after the last.
Slab: TypeAlias = tuple[int, int, int]


class Predictor:
    """A model made ready for one stack on one device.

    Parameters
    ----------
    model : Model
    stack : Stack
        With as many channels as the model was trained on.
    device : str or Device
    resample : bool
        Scale slices to the model's pixel size before, and the answer back after. Where one of both
        sizes is unknown, a model that comes with the package sees them as it is surest.
    scale : float, optional
        Scale slices by this instead: px of the stack for each px that the network sees.
    tta : bool
        Average over eight flips and turns of a slice, eight flips of a volume: slower, better.
    tile_px : sequence of int, optional
        Size of the kept part of a tile, (Y, X) or (Z, Y, X): only memory and speed depend on it.
        As large as memory allows where left out.
    normalisation : Normalisation, optional
        Of this stack, from an earlier predictor: fitting it reads up to 16 slices.
    on_event : callable, optional
        Called with a `Warned` where memory ran out and tiles became smaller.

    Attributes
    ----------
    scale : float
        Px of the stack for each px that the network sees, along Y and X: 1 unless resampled.
    """

    def __init__(
        self,
        model: Model,
        stack: Stack,
        *,
        device: str | Device = "auto",
        resample: bool = False,
        scale: float | None = None,
        tta: bool = False,
        tile_px: Sequence[int] | None = None,
        normalisation: Normalisation | None = None,
        on_event: Callable[[Event], Any] | None = None,
    ) -> None:
        check_channels(model.info, stack)
        chosen = choose_device(device) if isinstance(device, str) else device
        self._device = suited(chosen, model.network)
        if self._device.kind == "cpu":
            keep_freed_memory()
        self._network = for_inference(model.network, self._device)
        self._stack = stack
        if normalisation is None:
            normalisation = fit_normalisation(stack, model.info.recipe.normalisation)
        self.normalisation = normalisation
        self._on_event = on_event
        size = stack.plane_shape
        if scale is None and resample and is_scale_open(model.info, stack):
            scale = self._best_scale(model)
        if scale is not None:
            size = _at_least_one(size[0] / scale, size[1] / scale)
        elif resample:
            size = _working_size(model, stack)
        self.scale = math.sqrt(math.prod(stack.plane_shape) / math.prod(size))
        neighbours = self._network.neighbours
        self._sections = Sections(stack, normalisation, size, neighbours)
        self._shape: tuple[int, ...] = size
        if self._network.spatial_dims == 3:
            self._shape = (stack.size("Z"), *size)
        self._n_inputs = stack.n_channels * (2 * neighbours + 1)
        self._n_classes = len(model.class_names)
        self._learned_objects = model.info.object_diameter_px is not None
        self._views = all_views(self._network.spatial_dims) if tta else [View()]
        self._tile = None if tile_px is None else tuple(tile_px)

    def _best_scale(self, model: Model) -> float:
        ready, how = replace(model, network=self._network), self.normalisation

        def answer_to(part: Stack) -> Answer:
            predictor = Predictor(
                ready, part, device=self._device, normalisation=how, tile_px=part.plane_shape
            )
            return predictor.answer(0, probabilities=True, distances=True)

        scale = best_scale(self._stack, model.info, answer_to)
        if scale != 1:
            self._tell(
                f"{model.info.name} is surest of {self._stack.name} seen {scale:g} times smaller, "
                "so it is segmented at that scale; without resampling it is seen as it is."
            )
        return scale

    def codes(self, index: int) -> npt.NDArray[np.uint8]:
        """Segment one slice.

        Returns
        -------
        ndarray, shape (Y, X), uint8
            1 background, k + 1 class k.
        """
        return self.answer(index).codes

    def plane(self, index: int) -> npt.NDArray[np.float32]:
        """Segment one slice.

        Returns
        -------
        ndarray, shape (K, Y, X), float32
            Probabilities by class, background first; they sum to 1.
        """
        probabilities = self.answer(index, probabilities=True).probabilities
        assert probabilities is not None
        return probabilities

    def answer(
        self,
        index: int,
        *,
        probabilities: bool = False,
        uncertainty: bool = False,
        distances: bool = False,
    ) -> Answer:
        """Segment one slice; of a volume, no more than what it needs around it.

        Parameters
        ----------
        index : int
            As of `Stack.plane`.
        probabilities, uncertainty, distances : bool
            What to keep beside the codes. Uncertainty is the entropy of the probabilities, and
            with `tta` the disagreement between the views: the entropy of their mean less the mean
            of their entropies, which a pixel that is ambiguous to all of them has not.
        """
        frame, z = divmod(index, self._stack.size("Z"))
        wanted = self._wanted(probabilities, uncertainty, distances)
        return self._predict((frame, z, z + 1), wanted)[0]

    def answers(
        self,
        planes: Iterable[int],
        *,
        probabilities: bool = False,
        uncertainty: bool = False,
        distances: bool = False,
    ) -> Iterator[tuple[int, Answer]]:
        """Segment slice after slice; memory does not grow with the stack.

        A volume is predicted in slabs along Z, of which the last two are kept.

        Parameters
        ----------
        planes : iterable of int
            In any order; the next is asked for when the one before has been taken. Of a sequence,
            what comes next is read meanwhile.
        probabilities, uncertainty, distances : bool
            As for `answer`.

        Yields
        ------
        plane : int
        answer : Answer
        """
        wanted = self._wanted(probabilities, uncertainty, distances)
        slabs: OrderedDict[Slab, list[Answer]] = OrderedDict()
        for n, index in enumerate(planes):
            here = divmod(index, self._stack.size("Z"))
            slab = next((slab for slab in slabs if _contains(slab, here)), None)
            if slab is None:
                slab = self._slab_of(*here)
                while len(slabs) >= (KEPT_SLABS if self._network.spatial_dims == 3 else 1):
                    slabs.popitem(last=False)
                if isinstance(planes, Sequence):
                    self._read_ahead(slab, planes, n + 1)
                slabs[slab] = self._predict(slab, wanted)
            slabs.move_to_end(slab)
            yield index, slabs[slab][here[1] - slab[1]]

    def _read_ahead(self, slab: Slab, planes: Sequence[int], n: int) -> None:
        """Begin to read what the first of `planes`, from number `n` on, beyond a slab needs."""
        while n < len(planes):
            here = divmod(planes[n], self._stack.size("Z"))
            if not _contains(slab, here):
                frame, first, last = self._slab_of(*here)
                tile = self.tiles(first, last)[0]
                self._sections.read_ahead(self._sections.planes_of(frame, first, tile))
                return
            n += 1

    @property
    def tile_px(self) -> tuple[int, ...]:
        """Size of the kept part of a tile, (Y, X) or (Z, Y, X)."""
        return self._tile_size()

    def _wanted(self, probabilities: bool, uncertainty: bool, distances: bool) -> Wanted:
        return Wanted(probabilities, uncertainty, distances and self._learned_objects)

    def _slab_of(self, frame: int, z: int) -> Slab:
        if self._network.spatial_dims == 2:
            return frame, z, z + 1
        depth = self._shape[0]
        thickness = even_size(depth, self._tile_size()[0], self._network.multiple_px[0])
        first = z - z % thickness
        return frame, first, min(first + thickness, depth)

    def _tile_size(self) -> tuple[int, ...]:
        if self._tile is None:
            self._tile = largest_tile(self._network, self._n_inputs, self._shape, self._device)
        return self._tile

    def tiles(self, first: int, last: int) -> list[Tile]:
        """Plan the tiles of slices `first` … `last` − 1 of a volume, or of any single slice."""
        network = self._network
        start, stop = [0] * len(self._shape), list(self._shape)
        if network.spatial_dims == 3:
            start[0], stop[0] = first, last
        return plan_tiles(
            self._shape,
            self._tile_size(),
            network.halo_px,
            border_px(network),
            network.multiple_px,
            start=start,
            stop=stop,
        )

    def _predict(self, slab: Slab, wanted: Wanted) -> list[Answer]:
        """Segment a slab, in smaller tiles where memory runs out."""
        while True:
            try:
                return self._predict_tiles(slab, wanted)
            except (RuntimeError, MemoryError) as error:
                if self._tile is None or not is_out_of_memory(error):
                    raise
                smaller = halved(self._tile, self._network)
                if smaller is None:
                    raise UserError(_TOO_LARGE) from error
                self._tile = smaller
            finally:
                FREE_CORES.use_all()
            if self._device.kind == "cuda":
                torch.cuda.empty_cache()
            size = " × ".join(str(n) for n in self._tile)
            self._tell(
                f"Memory ran out, so parts of {size} px are segmented at a time from now on."
            )

    def _tell(self, sentence: str) -> None:
        if self._on_event is not None:
            self._on_event(Warned(sentence))

    @torch.inference_mode()
    def _predict_tiles(self, slab: Slab, wanted: Wanted) -> list[Answer]:
        frame, first, last = slab
        resized = self._sections.size != self._stack.plane_shape
        if resized:  # interpolated probabilities decide, not interpolated classes
            wanted = replace(wanted, probabilities=True)
        output = SlabOutput(last - first, self._n_classes, self._sections.size, wanted)
        for tile in self.tiles(first, last):
            if self._device.kind == "cpu":
                FREE_CORES.follow()
            pixels = place_tile(self._sections.tile(frame, first, tile), self._device)
            for name, values in self._tile_answer(pixels, tile, wanted).items():
                output.put(name, values, tile, first)
        size = self._stack.plane_shape
        return [output.answer(n, size if resized else None) for n in range(last - first)]

    def _tile_answer(self, pixels: Tensor, tile: Tile, wanted: Wanted) -> dict[str, Tensor]:
        """Return codes (1, …), and probabilities (1, K, …) and others (1, …) if wanted."""
        classes = slice(self._n_classes)
        if len(self._views) == 1 and wanted == Wanted():
            logits = self._views[0].logits(self._network, pixels, tile.inner)
            return {"codes": most_probable(logits[:, classes])}
        mean: Any = 0.0
        alone: Any = 0.0
        distances: Any = 0.0
        for view in self._views:
            logits = view.logits(self._network, pixels, tile.inner).float()
            probabilities = logits[:, classes].softmax(dim=1)
            mean = mean + probabilities / len(self._views)
            if wanted.distances:
                distances = distances + logits[:, -1] / len(self._views)
            if wanted.uncertainty and len(self._views) > 1:
                alone = alone + entropy(probabilities) / len(self._views)
        found = {"codes": most_probable(mean)}
        if wanted.probabilities:
            found["probabilities"] = mean
        if wanted.uncertainty:
            found["uncertainty"] = (entropy(mean) - alone).clamp_(0, 1)
        if wanted.distances:
            found["distances"] = distances
        return found


def border_px(network: Network) -> list[int]:
    """Return what is mirrored around an image, per spatial axis."""
    wanted = [BORDER_SECTIONS, BORDER_PX, BORDER_PX][-network.spatial_dims :]
    return [
        math.ceil(min(border, halo) / multiple) * multiple
        for border, halo, multiple in zip(wanted, network.halo_px, network.multiple_px, strict=True)
    ]


def _contains(slab: Slab, here: tuple[int, int]) -> bool:
    frame, first, last = slab
    return frame == here[0] and first <= here[1] < last


def predict_plane(
    model: Model,
    stack: Stack,
    plane: int,
    *,
    device: str | Device = "auto",
    resample: bool = False,
) -> npt.NDArray[np.float32]:
    """Segment one slice; for several, `Predictor` and `iter_predict` prepare only once.

    Returns
    -------
    ndarray, shape (K, Y, X), float32
        Probabilities by class, background first.
    """
    return Predictor(model, stack, device=device, resample=resample).plane(plane)


def iter_predict(
    model: Model,
    stack: Stack,
    planes: Sequence[int] | None = None,
    *,
    device: str | Device = "auto",
    resample: bool = False,
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Segment slice after slice; memory does not grow with the stack.

    Yields
    ------
    plane : int
    probabilities : ndarray, shape (K, Y, X), float32
    """
    predictor = Predictor(model, stack, device=device, resample=resample)
    chosen = range(stack.n_planes) if planes is None else planes
    for index, answer in predictor.answers(chosen, probabilities=True):
        assert answer.probabilities is not None
        yield index, answer.probabilities


def _working_size(model: Model, stack: Stack) -> tuple[int, int]:
    """Return height and width of a slice at the model's pixel size, where both sizes are known."""
    height, width = stack.plane_shape
    check_resampling(model.info, stack)
    theirs, ours = stack.pixel_size_um, model.info.pixel_size_um
    if not all(axis in sizes for axis in "YX" for sizes in (theirs, ours)):
        return height, width
    scale = theirs["Y"] / ours["Y"], theirs["X"] / ours["X"]
    if all(abs(s - 1) < 0.01 for s in scale):
        return height, width
    return _at_least_one(height * scale[0], width * scale[1])


def _at_least_one(height: float, width: float) -> tuple[int, int]:
    return max(1, round(height)), max(1, round(width))
