"""Whole-stack prediction beside MONAI's sliding window, with the same network and weights.

MONAI is needed beside torch, and nothing that it would bring along::

    pip install --no-deps "monai>=1.3"
    UNETSEG_DATA=../shared/data python benchmarks/prediction_speed.py --slices 4

The sides take turns, slice by slice, so that whatever else the machine does meets all of them;
each figure is the median over the slices. A side reads the slice, normalises it, predicts it and
ends with the class of every pixel.

- ours: `Predictor`, as the command line and the window use it.
- MONAI at its defaults: overlap 0.25, constant weights, four windows at a time, float32, the
  default memory layout, a border of zeros; windows of 256 and of 512 px.
- MONAI with ours: our precision, memory layout, tile and overlap.

Useful operations are those of the network on the slice alone, without border and halo, against
the rate of a matrix product measured in the same run.
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from monai.inferers import sliding_window_inference
from torch.utils.flop_counter import FlopCounterMode

from napari_unetseg import open_stack
from napari_unetseg.config import LabelClass, ModelInfo, Recipe, UNetConfig
from napari_unetseg.images import Normalisation, Stack
from napari_unetseg.learning import Device, Model, Predictor, choose_device
from napari_unetseg.learning.placement import autocast, place_image, place_network
from napari_unetseg.networks import Network, build_network

Side = Callable[[int], npt.NDArray[Any]]

MATRIX = 4096


def main() -> None:
    """Run every side and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=20, help="how many of the stack")
    parser.add_argument("--filters", default="16,32")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0, help="0: as torch chooses")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    folder = Path(os.environ.get("UNETSEG_DATA", "../shared/data")) / "vnc"
    stack = open_stack(folder / "raw.ome.tif")
    device = choose_device(options.device)
    print(f"{device.reason} {torch.get_num_threads()} threads, torch {torch.__version__}")
    for filters in map(int, options.filters.split(",")):
        _compare(stack, filters, device, min(options.slices, stack.n_planes))


def _compare(stack: Stack, filters: int, device: Device, n_slices: int) -> None:
    model = _model(filters)
    predictor = Predictor(model, stack, device=device)
    sides = {
        "ours": predictor.codes,
        "MONAI, defaults, 256 px": _monai(model, stack, predictor.normalisation, device, 256),
        "MONAI, defaults, 512 px": _monai(model, stack, predictor.normalisation, device, 512),
        "MONAI with ours": _monai_with_ours(model, stack, predictor, device),
    }
    # Where bfloat16 is emulated, the product takes minutes.
    rates: dict[str, list[float]] = {name: [] for name in {"float32", device.precision}}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side(0)  # the first time is slower
    for index in range(n_slices):
        for name, side in sides.items():
            began = time.perf_counter()
            side(index)  # ends on the CPU, so a graphics card has finished
            seconds[name].append(time.perf_counter() - began)
        for name, found in rates.items():
            found.append(_matrix_rate(getattr(torch, name), device))
    operations = _operations(model.network, stack.plane_shape)
    ours = operations / statistics.median(seconds["ours"])
    print(f"\n{filters} filters, {n_slices} slices, {operations / 1e9:.1f} GFLOP a slice\n")
    print("| side | seconds a slice | ours is faster by |")
    print("|---|---|---|")
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(values, seconds["ours"], strict=True))
        print(f"| {name} | {statistics.median(values):.3f} | {ratio:.2f} |")
    for name, found in rates.items():
        rate = statistics.median(found)
        print(
            f"useful: {ours / 1e9:.1f} GFLOP/s, {ours / rate:.2f} of a {name} {MATRIX}² matrix "
            f"product ({rate / 1e9:.1f} GFLOP/s)"
        )


def _model(filters: int) -> Model:
    recipe = Recipe(network=UNetConfig(filters=filters))
    network = build_network(recipe.network, 1, 2)
    network.initialise(torch.Generator().manual_seed(0))
    classes = (LabelClass(name="membrane", color="#e69f00"),)
    info = ModelInfo(name="speed", recipe=recipe, classes=classes, channels=("",))
    return Model(info, network.eval().requires_grad_(False))


def _monai(
    model: Model, stack: Stack, normalisation: Normalisation, device: Device, roi_px: int
) -> Side:
    network = place_network(copy.deepcopy(model.network), Device(device.name, "float32", False, ""))

    @torch.no_grad()
    def predict(index: int) -> npt.NDArray[Any]:
        pixels = torch.from_numpy(normalisation.apply(stack.plane(index)))[None].to(device.name)
        logits = sliding_window_inference(pixels, (roi_px, roi_px), 4, network)
        return logits.argmax(dim=1).cpu().numpy()

    return predict


def _monai_with_ours(model: Model, stack: Stack, predictor: Predictor, device: Device) -> Side:
    network = place_network(copy.deepcopy(model.network), device)
    tile = predictor.tiles(0, 1)[0]
    roi = tuple(b - a for a, b in zip(tile.read_start, tile.read_stop, strict=True))
    overlap = tuple(
        2 * h / n if several else 0.0 for h, n in zip(network.halo_px, roi, strict=True)
    )

    @torch.inference_mode()
    def predict(index: int) -> npt.NDArray[Any]:
        pixels = torch.from_numpy(predictor.normalisation.apply(stack.plane(index)))[None]
        with autocast(device):
            logits = sliding_window_inference(
                place_image(pixels, device), roi, 1, network, overlap=overlap
            )
        return logits.argmax(dim=1).cpu().numpy()

    return predict


def _operations(network: Network, shape: tuple[int, int]) -> int:
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        copy.deepcopy(network).to("meta")(torch.empty(1, 1, *shape))
    return int(counter.get_total_flops())


def _matrix_rate(dtype: torch.dtype, device: Device) -> float:
    """Return the operations per second of a matrix product, of which one is not counted."""
    a, b = (torch.rand(MATRIX, MATRIX, device=device.name).to(dtype) for _ in range(2))
    for _ in range(2):
        began = time.perf_counter()
        float((a @ b)[0, 0])
        seconds = time.perf_counter() - began
    return 2 * MATRIX**3 / seconds


if __name__ == "__main__":
    main()
