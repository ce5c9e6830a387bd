"""Stacks larger than memory: made, and what the commands need for them.

::

    python benchmarks/large_stacks.py make FOLDER 1 2 4
    python benchmarks/large_stacks.py measure FOLDER 1 2 4
    python benchmarks/large_stacks.py interrupt FOLDER 20

A stack of n GB is an OME-Zarr of n · 1024 slices of 1024 × 1024 px, 8 bits, with voxels of
8 × 8 × 16 nm; all are the same 64 slices of cells, shifted, so that n GB take a fraction of that
on disk. Its labels are annotations of some slices, in an OME-Zarr of the same size.

Peak memory is the largest resident set of the process, as the system has counted it; of a stack
of 1 GB in all columns but the last.

The first GB of a stack is predicted, predicted again, killed half way and gone on with; both
results are compared value by value.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from scipy import ndimage

from napari_unetseg.images import Stack, write_image

SIDE_PX, REPEATED = 1024, 64
SLICES_PER_GB = (1 << 30) // SIDE_PX**2
SIZES_UM = {"Z": 0.016, "Y": 0.008, "X": 0.008}
_CHUNK = (16, 256, 256)

#: A network that is quick, as memory is measured and not speed.
CONFIG = {"network": {"kind": "unet", "reduction": 4, "depth": 2, "filters": 8}}


def main() -> None:
    """Make stacks, or run the commands on them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("make", "measure", "interrupt"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("gb", type=int, nargs="+")
    parser.add_argument("--only", nargs="+", default=list(COMMANDS), choices=list(COMMANDS))
    asked = parser.parse_args()
    if asked.what == "make":
        for gb in asked.gb:
            make(asked.folder, gb)
    elif asked.what == "interrupt":
        for gb in asked.gb:
            interrupt(asked.folder, gb)
    else:
        measure(asked.folder, asked.gb, asked.only)


def make(folder: Path, gb: int) -> None:
    """Write ``stack_N.zarr`` and ``labels_N.zarr``, slab by slab."""
    folder.mkdir(parents=True, exist_ok=True)
    grey, inside = cells()
    n_planes = gb * SLICES_PER_GB
    stack = _create(folder / f"stack_{gb}.zarr", n_planes)
    for first in range(0, n_planes, REPEATED):
        shift = first // REPEATED * 37
        stack[first : first + REPEATED] = np.roll(grey, (shift, 2 * shift), (1, 2))
    labels = _create(folder / f"labels_{gb}.zarr", n_planes)
    for plane in range(5, REPEATED, 12):  # in the first slab, which is not shifted
        labels[plane] = inside[plane] + np.uint8(1)
    (folder / "quick.json").write_text(json.dumps(CONFIG))


def _create(path: Path, n_planes: int) -> zarr.Array[Any]:
    """Describe an image as one slice that is written, and make it as deep as it is to be."""
    slice_ = np.zeros((1, SIDE_PX, SIDE_PX), np.uint8)
    write_image(path, Stack(slice_, "ZYX", SIZES_UM, path.stem), overwrite=True)
    return zarr.create_array(
        path / "0",
        shape=(n_planes, SIDE_PX, SIDE_PX),
        dtype="uint8",
        chunks=_CHUNK,
        dimension_names=["z", "y", "x"],
        overwrite=True,
    )


def cells() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Draw slices of cells with noise, and which pixels lie in one; they repeat without an edge."""
    generator = np.random.default_rng(0)
    shape = (REPEATED, SIDE_PX, SIDE_PX)
    field = generator.standard_normal(shape).astype(np.float32)
    field = ndimage.gaussian_filter(field, (4, 12, 12), mode="wrap")
    inside = field > field.std() * 0.4
    grey = 90 + 80 * inside + 6 * generator.standard_normal(shape).astype(np.float32)
    return (grey.clip(0, 255).astype(np.uint8) // 4 * 4), inside


COMMANDS = {
    "train": "train {stack} -l {labels} -o {out}/m.unet --config {quick} --steps 60 --overwrite",
    "predict": "predict {stack} -m {folder}/quick.unet -o {out}/p.zarr --overwrite",
    "otsu": "baseline otsu {stack} -o {out}/o.zarr --overwrite",
    "kmeans": "baseline kmeans {stack} -o {out}/k.zarr --overwrite",
    "canny": "baseline canny {stack} -o {out}/c.tif --overwrite",
}


def measure(folder: Path, sizes: list[int], only: list[str]) -> None:
    """Print peak memory and time of each command for each size."""
    _make_model(folder, sizes[0])
    print("| command | " + " | ".join(f"{gb} GB" for gb in sizes) + " | growth, MB per GB |")
    print("|" + "---|" * (len(sizes) + 2))
    for name in only:
        found = [_run(COMMANDS[name], folder, gb) for gb in sizes]
        cells = [f"{peak:.0f} MB, {seconds:.0f} s" for peak, seconds in found]
        growth = (found[-1][0] - found[0][0]) / max(1, sizes[-1] - sizes[0])
        print(f"| {name} | {' | '.join(cells)} | {growth:.1f} |", flush=True)


def interrupt(folder: Path, gb: int) -> None:
    """Print how long it took to predict 1 GB, at once and in two parts, and what differs."""
    _make_model(folder, gb)
    command = f"{COMMANDS['predict']} --slices 0-{SLICES_PER_GB - 1}"
    peak, seconds = _run(command, folder, gb)
    print(f"at once: {seconds:.0f} s, {peak:.0f} MB")
    again = command.replace("p.zarr", "again.zarr")
    journal = folder / "out" / ".again.zarr.unfinished" / ".unfinished.slices"
    began = time.monotonic()
    process = _started(again, folder, gb)
    while _lines(journal) < SLICES_PER_GB // 2:
        if process.poll() is not None:
            raise SystemExit("it ended before it could be killed")
        time.sleep(0.05)
    process.kill()
    process.communicate()
    print(f"killed after {time.monotonic() - began:.0f} s, with {_lines(journal)} slices on disk")
    _, seconds = _run(again, folder, gb)
    print(f"gone on with: {seconds:.0f} s")
    whole, parts = (
        zarr.open_array(folder / "out" / name / "0", mode="r") for name in ("p.zarr", "again.zarr")
    )
    slabs = [slice(first, first + 16) for first in range(0, SLICES_PER_GB, 16)]
    differing = sum(int((np.asarray(whole[s]) != np.asarray(parts[s])).sum()) for s in slabs)
    shares = [float((np.asarray(parts[s]) == 1).mean()) for s in slabs]
    print(f"{differing} pixels differ; {min(shares):.2f} to {max(shares):.2f} of them are cells")


def _lines(journal: Path) -> int:
    return journal.read_text().count("\n") if journal.is_file() else 0


def _make_model(folder: Path, gb: int) -> None:
    (folder / "out").mkdir(exist_ok=True)
    if not (folder / "quick.unet").exists():
        _run(COMMANDS["train"].replace("{out}/m.unet", "{folder}/quick.unet"), folder, gb)


def _run(command: str, folder: Path, gb: int) -> tuple[float, float]:
    """Run a command; return the peak of its memory in MB, and the time it took."""
    began = time.monotonic()
    process = _started(command, folder, gb)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command}\n{said.decode()}")
    return usage.ru_maxrss / 1024, time.monotonic() - began


def _started(command: str, folder: Path, gb: int) -> subprocess.Popen[bytes]:
    filled = command.format(
        stack=folder / f"stack_{gb}.zarr",
        labels=folder / f"labels_{gb}.zarr",
        out=folder / "out",
        folder=folder,
        quick=folder / "quick.json",
    )
    return subprocess.Popen(
        [sys.executable, "-m", "napari_unetseg", *filled.split()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


if __name__ == "__main__":
    main()
