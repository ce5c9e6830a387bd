"""Prediction from OME-Zarr into OME-Zarr beside the same slices from memory into memory.

::

    python benchmarks/streamed_prediction.py --rounds 5

The sides take turns, so that whatever else the machine does meets both. Each reads slices of
1024 × 1024 px, 8 bits, normalises and predicts them and keeps the class of every pixel; that of
OME-Zarr opens the store anew and ends when the result has its name, with all its resolution
levels. Figures are medians of the rounds, by the wall clock. The quick network sees a quarter of
each side, and is as fast as one on a graphics card: where computing takes little time, reading and
writing show.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from large_stacks import SIZES_UM, cells

from napari_unetseg import open_stack
from napari_unetseg.config import LabelClass, ModelInfo, Recipe, UNetConfig
from napari_unetseg.images import (
    Stack,
    UnfinishedStack,
    codes_to_masks,
    fit_normalisation,
    labels_like,
    write_image,
)
from napari_unetseg.learning import Model, Predictor
from napari_unetseg.networks import build_network

CLASSES = (LabelClass(name="cell", color="#ff0000"),)
NETWORKS = {
    "usual: 16 filters, 4 levels": (UNetConfig(filters=16, depth=4, reduction=1), 12),
    "quick: 8 filters, 2 levels, a quarter": (UNetConfig(filters=8, depth=2, reduction=4), 64),
}


def main() -> None:
    """Print what OME-Zarr costs, by network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    pixels = cells()[0]
    print("| network | slices | memory, s | OME-Zarr, s | OME-Zarr ÷ memory |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, (config, n) in NETWORKS.items():
            memory, zarr = _sides(config, Stack(pixels[:n], "ZYX", SIZES_UM), Path(folder))
            for side in (memory, zarr):
                side()  # once to warm up
            pairs = [(_seconds(memory), _seconds(zarr)) for _ in range(rounds)]
            of_memory, of_zarr = (statistics.median(times) for times in zip(*pairs, strict=True))
            ratio = statistics.median(z / m for m, z in pairs)
            print(f"| {name} | {n} | {of_memory:.1f} | {of_zarr:.1f} | {ratio:.3f} |", flush=True)


def _sides(
    config: UNetConfig, stack: Stack, folder: Path
) -> tuple[Callable[[], None], Callable[[], None]]:
    recipe = Recipe(network=config, objects=None)
    info = ModelInfo(name="any", classes=CLASSES, channels=("",), recipe=recipe)
    model = Model(info, build_network(config, 1, 2).eval())
    known = fit_normalisation(stack, recipe.normalisation)
    store, output = folder / "in.zarr", folder / "out.zarr"
    write_image(store, stack, overwrite=True)

    def memory() -> None:
        codes = np.zeros(stack.shape, np.uint8)
        for plane, answer in Predictor(model, stack, normalisation=known).answers(
            range(stack.n_planes)
        ):
            codes[plane] = answer.codes

    def zarr() -> None:
        opened = open_stack(store)
        predictor = Predictor(model, opened, normalisation=known)
        like = labels_like(opened, "masks", CLASSES)
        with UnfinishedStack(output, like, overwrite=True) as result:
            for plane, answer in predictor.answers(range(opened.n_planes)):
                result.put(plane, codes_to_masks(answer.codes))
            result.finish()

    return memory, zarr


def _seconds(side: Callable[[], None]) -> float:
    began = time.perf_counter()
    side()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
