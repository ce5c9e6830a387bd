"""Whole-stack prediction beside MONAI's sliding window, with the same network and weights.

MONAI is needed beside torch, and nothing that it would bring along::

    pip install --no-deps "monai>=1.3"
    UNETSEG_DATA=../shared/data python benchmarks/prediction_speed.py --slices 4

The sides take turns, slice by slice, so that whatever else the machine does meets all of them.
Figures are medians over the slices, by the wall clock and by the time that the processors spent,
which other programs change less. A side reads the slice, normalises it, predicts it and ends with
the class of every pixel.

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
import ctypes
import os
import statistics
import sys
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
from napari_unetseg.learning.allocator import keep_freed_memory
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
    rates: dict[str, list[tuple[float, float]]] = {
        name: [] for name in {"float32", device.precision}
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for side in sides.values():
        side(0)  # the first time is slower
    for index in range(n_slices):
        for name, side in sides.items():
            _allocate_as_usual() if name != "ours" else keep_freed_memory()
            began = _clocks()
            side(index)  # ends on the CPU, so a graphics card has finished
            seconds[name].append(_since(began))
        for name, found in rates.items():
            found.append(_matrix_rate(getattr(torch, name), device))
    operations = _operations(model.network, stack.plane_shape)
    print(f"\n{filters} filters, {n_slices} slices, {operations / 1e9:.1f} GFLOP a slice\n")
    print(
        "| side | seconds a slice | ours is faster by | processor seconds | ours needs fewer by |"
    )
    print("|---|---|---|---|---|")
    for name, values in seconds.items():
        cells = [
            f"{_median(values, clock):.3f} | {_ratio(values, seconds['ours'], clock):.2f}"
            for clock in (0, 1)
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    for clock, title in enumerate(("by the wall clock", "by processor time")):
        ours = operations / _median(seconds["ours"], clock)
        for name, found in rates.items():
            rate = _median(found, clock)
            print(
                f"{title}: {ours / 1e9:.1f} useful GFLOP/s, {ours / rate:.2f} of a {name} "
                f"{MATRIX}² matrix product ({rate / 1e9:.1f} GFLOP/s)"
            )


def _allocate_as_usual() -> None:
    """Undo `keep_freed_memory`, which is ours alone, with the values glibc begins with."""
    if sys.platform.startswith("linux"):
        library = ctypes.CDLL(None)
        for parameter in (-1, -3):
            library.mallopt(parameter, 128 * 1024)
        library.malloc_trim(0)


def _clocks() -> tuple[float, float]:
    """Return the wall clock, and the time of this process on all processors."""
    return time.perf_counter(), time.process_time()


def _since(began: tuple[float, float]) -> tuple[float, float]:
    now = _clocks()
    return now[0] - began[0], now[1] - began[1]


def _median(values: list[tuple[float, float]], clock: int) -> float:
    return statistics.median(value[clock] for value in values)


def _ratio(values: list[tuple[float, float]], ours: list[tuple[float, float]], clock: int) -> float:
    return statistics.median(a[clock] / b[clock] for a, b in zip(values, ours, strict=True))


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
    overlap = [0.0, 0.0]
    if len(predictor.tiles(0, 1)) > 1:
        overlap = [2 * halo / size for halo, size in zip(network.halo_px, roi, strict=True)]

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


def _matrix_rate(dtype: torch.dtype, device: Device) -> tuple[float, float]:
    """Return the operations per second of a matrix product, by both clocks."""
    a, b = (torch.rand(MATRIX, MATRIX, device=device.name).to(dtype) for _ in range(2))
    began = _clocks()
    for _ in range(2):
        began = _clocks()  # the first time is slower
        float((a @ b)[0, 0])
    wall, processor = _since(began)
    return 2 * MATRIX**3 / wall, 2 * MATRIX**3 / processor


if __name__ == "__main__":
    main()
