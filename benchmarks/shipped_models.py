"""The models that come with the package, untrained, on images that none of them has seen.

::

    UNETSEG_DATA=../shared/data python benchmarks/shipped_models.py

Membranes and mitochondria: all slices of `vnc`, brought to the model's pixel size. Nuclei: the 100
images of BBBC038 that are kept out of all pretraining. Cells: the completely annotated frames of
the Cell Tracking Challenge. SEG is that of the challenge; IoU is pooled over all scored pixels.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from cell_tracking import SETS, annotated_frames

from napari_unetseg import evaluate, load_model, open_stack
from napari_unetseg.config import MODEL_JSON, find_model, read_model_info
from napari_unetseg.images import Stack, atomic_file, codes_to_masks, read_labels
from napari_unetseg.learning import Model, Predictor, objects_found
from napari_unetseg.measure import ObjectMatcher
from napari_unetseg.synthesis.nuclei_images import split_names

Codes = npt.NDArray[np.uint8]


def main() -> None:
    """Score every model on its data and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, help="a folder of them; those that ship by default")
    parser.add_argument("--only", default="membranes,mitochondria,nuclei,cells")
    parser.add_argument("--record", action="store_true", help="write the scores into the cards")
    options = parser.parse_args()
    print("| model | on | seconds | mean IoU | IoU | SEG |")
    print("|---|---|---|---|---|---|")
    for name in options.only.split(","):
        folder = find_model(name if options.models is None else options.models / f"{name}.unet")
        model, tested = load_model(folder), {}
        for data, truths in _data(name):
            began = time.perf_counter()
            scores = _scored(model, truths)
            seconds = time.perf_counter() - began
            row = [name, data, f"{seconds:.0f}", *(f"{score:.3f}" for score in scores)]
            print(f"| {' | '.join(row)} |", flush=True)
            scored = zip(("mean IoU", "IoU", "SEG"), scores, strict=False)
            tested[data] = {measure: round(score, 3) for measure, score in scored}
        if options.record:
            _record(folder, tested)


def _record(folder: Path, tested: dict[str, dict[str, float]]) -> None:
    """Write into the card of a model how well it does."""
    info = read_model_info(folder)
    if info.card is None:
        raise SystemExit(f"{folder} has no card.")
    info = info.replace(card=info.card.replace(tested=tested).model_dump())
    with atomic_file(folder / MODEL_JSON, overwrite=True) as path:
        path.write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")


#: A stack, its true codes and, where they are known, its true ids, each (planes, Y, X).
Truth = tuple[Stack, Codes, npt.NDArray[Any] | None]


def _data(name: str) -> Iterator[tuple[str, Iterator[Truth]]]:
    folder = Path(os.environ.get("UNETSEG_DATA", "../shared/data"))
    if name == "nuclei":
        yield "BBBC038, 100 kept out", _nuclei(folder / "nuclei")
    elif name == "cells":
        for data in SETS:
            yield data, _cells(data)
    else:
        yield "vnc", _vnc(folder / "vnc", name)


def _vnc(folder: Path, structure: str) -> Iterator[Truth]:
    stack = open_stack(folder / "raw.ome.tif")
    yield stack, read_labels(folder / f"{structure}.ome.tif", "masks", like=stack).codes, None


def _nuclei(folder: Path) -> Iterator[Truth]:
    _, kept_out = split_names([path.name for path in (folder / "images").glob("*.png")])
    for name in kept_out:
        stack = open_stack(folder / "images" / name)
        labels = read_labels(folder / "masks" / name, "objects", like=stack)
        yield stack, labels.codes, labels.ids


def _cells(data: str) -> Iterator[Truth]:
    for sequence in ("01", "02"):
        image = annotated_frames(data, sequence)
        yield image.stack, image.codes[:], None if image.ids is None else image.ids[:]


def _scored(model: Model, truths: Iterator[Truth]) -> list[float]:
    """Return mean IoU, IoU of the structure and, where objects are known, SEG."""
    matcher, found, truth = ObjectMatcher(), [], []
    for stack, codes, ids in truths:
        predictor = Predictor(model, stack, device="cpu", resample=True)
        annotated = [n for n, plane in enumerate(codes) if plane.any()]
        for n, answer in predictor.answers(annotated, distances=ids is not None):
            found.append(codes_to_masks(answer.codes)[codes[n] > 0])
            truth.append(codes_to_masks(codes[n])[codes[n] > 0])
            if ids is not None:
                distances = None if answer.distances is None else answer.distances[None]
                objects = objects_found(
                    model.info, answer.codes[None], distances, scale=predictor.scale
                )
                matcher.add(ids[n], objects[0], len(found))
    pooled = (np.concatenate(several)[None, None] for several in (found, truth))
    scores = evaluate(*pooled, kind="masks")
    seg = [matcher.scores().seg] if matcher.scores().n_true else []
    return [scores.mean_iou, scores.classes[-1].iou, *seg]


if __name__ == "__main__":
    main()
