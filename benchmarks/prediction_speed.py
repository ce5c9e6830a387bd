"""Whole-stack prediction beside MONAI's sliding window, with the same network and weights.

MONAI is needed beside torch, and nothing that it would bring along::

    pip install --no-deps "monai>=1.3"
    UNETSEG_DATA=../shared/data python benchmarks/prediction_speed.py --slices 4

The sides take turns, slice by slice, so that whatever else the machine does meets all of them;
MONAI's have a process of their own, which allocates memory as it does for its users.
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
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from monai.inferers import sliding_window_inference
from torch.utils.flop_counter import FlopCounterMode

from napari_unetseg import open_stack
from napari_unetseg.config import LabelClass, ModelInfo, Recipe, UNetConfig
from napari_unetseg.images import Normalisation, Stack, fit_normalisation
from napari_unetseg.learning import Device, Model, Predictor, choose_device
from napari_unetseg.learning.placement import autocast, place_image, place_network
from napari_unetseg.networks import Network, build_network

Side = Callable[[int], npt.NDArray[Any]]

MATRIX = 4096

#: Between two sides: threads that computed wait for more to do, busily, for a while.
PAUSE_S = 0.5

MONAI = ("MONAI, defaults, 256 px", "MONAI, defaults, 512 px", "MONAI with ours")


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
    stack = _stack()
    device = choose_device(options.device)
    print(f"{device.reason} {torch.get_num_threads()} threads, torch {torch.__version__}")
    for filters in map(int, options.filters.split(",")):
        _compare(stack, filters, device, min(options.slices, stack.n_planes))


def _compare(stack: Stack, filters: int, device: Device, n_slices: int) -> None:
    model = _model(filters)
    predictor = Predictor(model, stack, device=device)
    # Where bfloat16 is emulated, the product takes minutes.
    rates: dict[str, list[tuple[float, float]]] = {
        name: [] for name in {"float32", device.precision}
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ("ours", *MONAI)}
    context = multiprocessing.get_context("spawn")
    asks, answers = context.Pipe()
    process = context.Process(
        target=_serve_monai,
        args=(answers, filters, device, _window(predictor, model.network), torch.get_num_threads()),
        daemon=True,
    )
    process.start()
    predictor.codes(0)  # the first time is slower
    for index in range(n_slices):
        time.sleep(PAUSE_S)
        began = _clocks()
        predictor.codes(index)  # ends on the CPU, so a graphics card has finished
        seconds["ours"].append(_since(began))
        for name in MONAI:
            time.sleep(PAUSE_S)
            asks.send((name, index))
            seconds[name].append(asks.recv())
        for name, found in rates.items():
            time.sleep(PAUSE_S)
            asks.send((name, None))
            found.append(asks.recv())
    asks.send(None)
    process.join()
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


def _window(predictor: Predictor, network: Network) -> tuple[tuple[int, ...], list[float]]:
    """Return the size of our tiles with their halo, and the overlap that MONAI would call it."""
    tiles = predictor.tiles(0, 1)
    first = tiles[0]
    size = tuple(b - a for a, b in zip(first.read_start, first.read_stop, strict=True))
    if len(tiles) == 1:
        return size, [0.0, 0.0]
    return size, [2 * halo / n for halo, n in zip(network.halo_px, size, strict=True)]


def _serve_monai(
    connection: Connection,
    filters: int,
    device: Device,
    window: tuple[tuple[int, ...], list[float]],
    n_threads: int,
) -> None:
    """Predict the slices that are asked for, and answer with the time it took.

    The matrix product is measured here too: our side leaves cores to programs beside it, and a
    process that has been busy itself takes what the other one did for such a program.
    """
    torch.set_num_threads(n_threads)
    stack, model = _stack(), _model(filters)
    normalisation = fit_normalisation(stack, model.info.recipe.normalisation)
    usual = Device(device.name, "float32", False, "")
    sides = dict(
        zip(
            MONAI,
            (
                _monai(model, stack, normalisation, usual, (256, 256), 4, 0.25),
                _monai(model, stack, normalisation, usual, (512, 512), 4, 0.25),
                _monai(model, stack, normalisation, device, window[0], 1, window[1]),
            ),
            strict=True,
        )
    )
    for side in sides.values():
        side(0)
    while (asked := connection.recv()) is not None:
        name, index = asked
        if index is None:
            connection.send(_matrix_rate(getattr(torch, name), device))
            continue
        began = _clocks()
        sides[name](index)
        connection.send(_since(began))


def _monai(
    model: Model,
    stack: Stack,
    normalisation: Normalisation,
    device: Device,
    window: tuple[int, ...],
    n_windows: int,
    overlap: float | list[float],
) -> Side:
    network = place_network(copy.deepcopy(model.network), device)

    @torch.no_grad()
    def predict(index: int) -> npt.NDArray[Any]:
        pixels = torch.from_numpy(normalisation.apply(stack.plane(index)))[None]
        with autocast(device):
            logits = sliding_window_inference(
                place_image(pixels, device), window, n_windows, network, overlap=overlap
            )
        classes: npt.NDArray[Any] = logits.argmax(dim=1).cpu().numpy()
        return classes

    return predict


def _stack() -> Stack:
    return open_stack(Path(os.environ.get("UNETSEG_DATA", "../shared/data")) / "vnc/raw.ome.tif")


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
