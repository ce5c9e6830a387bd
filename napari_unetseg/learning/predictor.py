"""Segmenting slices: overlapping tiles with mirrored context, whatever the size."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_unetseg.images import Normalisation, Stack, check_channels, fit_normalisation
from napari_unetseg.networks import Network
from napari_unetseg.networks.padding import mirrored

from .bundle import Model
from .placement import Device, autocast, choose_device, place_image, place_network, suited

#: Mirrored around every slice, so that its edge is not seen as the edge of the world.
BORDER_PX = 32

#: Side of the part of a tile that is kept.
TILE_PX = 1024


class Predictor:
    """A model made ready for one stack on one device.

    Parameters
    ----------
    model : Model
    stack : Stack
        With as many channels as the model was trained on.
    device : str or Device
    resample : bool
        Scale slices to the model's pixel size before, and the answer back after.
    tile_px : int
        Side of the kept part of a tile; only memory and speed depend on it.
    normalisation : Normalisation, optional
        Of this stack, from an earlier predictor: fitting it reads up to 16 slices.
    """

    def __init__(
        self,
        model: Model,
        stack: Stack,
        *,
        device: str | Device = "auto",
        resample: bool = False,
        tile_px: int = TILE_PX,
        normalisation: Normalisation | None = None,
    ) -> None:
        check_channels(model.info, stack)
        chosen = choose_device(device) if isinstance(device, str) else device
        self._device = suited(chosen, model.network)
        self._network = place_network(copy.deepcopy(model.network), self._device).eval()
        self._stack = stack
        if normalisation is None:
            normalisation = fit_normalisation(stack, model.info.recipe.normalisation)
        self.normalisation = normalisation
        self._scale = _scale(model, stack) if resample else None
        self._tile_px = tile_px

    def plane(self, index: int) -> npt.NDArray[np.float32]:
        """Segment one slice.

        Returns
        -------
        ndarray, shape (K, Y, X), float32
            Probabilities by class, background first; they sum to 1.
        """
        pixels = self.normalisation.apply(self._stack.plane(index))
        image = torch.from_numpy(np.ascontiguousarray(pixels, np.float32))[None]
        if self._scale is not None:
            image = F.interpolate(image, scale_factor=self._scale, mode="bilinear", antialias=True)
        probabilities = tiled_probabilities(self._network, image, self._device, self._tile_px)
        if self._scale is not None:
            probabilities = F.interpolate(
                probabilities[None], size=self._stack.plane_shape, mode="bilinear"
            )[0]
        return probabilities.numpy()


@torch.inference_mode()
def tiled_probabilities(
    network: Network, image: Tensor, device: Device, tile_px: int = TILE_PX
) -> Tensor:
    """Predict a slice tile by tile.

    The slice is continued by mirroring on all sides. Tiles begin at multiples of the network's
    ``multiple_px`` and are predicted with ``halo_px`` of context, so that every pixel gets the
    value it would get if the whole slice were predicted at once.

    Parameters
    ----------
    network : Network
        On the device, in evaluation mode.
    image : Tensor, shape (1, C, Y, X), float32, normalised
    device : Device
    tile_px : int
        Side of the kept part of a tile, rounded up to a multiple of ``multiple_px``.

    Returns
    -------
    Tensor, shape (K, Y, X), float32
        On the CPU.
    """
    height, width = image.shape[-2:]
    multiple, halo = network.multiple_px[-1], network.halo_px[-1]
    border = -(-BORDER_PX // multiple) * multiple
    stop_y = height + border + (-height % multiple)
    stop_x = width + border + (-width % multiple)
    step = -(-tile_px // multiple) * multiple
    result = torch.empty(network.head.out_channels, height, width)
    for y in range(0, height, step):
        for x in range(0, width, step):
            top, left = max(-border, y - halo), max(-border, x - halo)
            bottom = min(stop_y, y + step + halo)
            right = min(stop_x, x + step + halo)
            tile = place_image(mirrored(image, (top, left), (bottom, right)), device)
            with autocast(device):
                logits = network(tile)
            rows = slice(y - top, min(y + step, height) - top)
            columns = slice(x - left, min(x + step, width) - left)
            kept = logits[0, :, rows, columns].float().softmax(dim=0)
            result[:, y : y + step, x : x + step] = kept.cpu()
    return result


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
    for index in range(stack.n_planes) if planes is None else planes:
        yield index, predictor.plane(index)


def codes_from_probabilities(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return the most probable class as a code.

    Parameters
    ----------
    probabilities : ndarray, shape (K, Y, X)

    Returns
    -------
    ndarray, shape (Y, X), uint8
        1 background, k + 1 class k; never 0.
    """
    codes: npt.NDArray[np.uint8] = (probabilities.argmax(axis=0) + 1).astype(np.uint8)
    return codes


def _scale(model: Model, stack: Stack) -> tuple[float, float] | None:
    """Return by how much to enlarge Y and X to reach the model's pixel size; None: unknown."""
    theirs, ours = stack.pixel_size_um, model.info.pixel_size_um
    if not all(axis in sizes for axis in "YX" for sizes in (theirs, ours)):
        return None
    scale = theirs["Y"] / ours["Y"], theirs["X"] / ours["X"]
    return None if all(abs(s - 1) < 0.01 for s in scale) else scale
