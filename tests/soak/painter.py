"""A process that owns a workspace, paints at random, and says beforehand what it will do.

Usage: painter.py SESSIONS LOG SEED
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.workspace import Workspace

SHAPE = (6, 200, 240)


def image():
    """Return the same image in every process."""
    pixels = np.random.default_rng(7).integers(0, 255, SHAPE, dtype=np.uint8)
    return Stack(pixels, "ZYX", name="cells")


def main(root, log, seed):
    rng = np.random.default_rng(seed)
    workspace = Workspace(Session(Path(root)))
    entry = workspace.add_image(image())
    # Unbuffered: a line that was written is there, whatever becomes of this process.
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while True:
        kind = rng.choice(["stroke", "undo", "redo"], p=[0.8, 0.12, 0.08])
        plane, y, x = (int(rng.integers(n)) for n in SHAPE)
        height, width, code = (int(rng.integers(*limits)) for limits in ((1, 60), (1, 60), (0, 3)))
        line = [str(kind), plane, y, x, height, width, code]
        os.write(file, json.dumps(line).encode() + b"\n")
        if kind == "undo":
            workspace.undo()
        elif kind == "redo":
            workspace.redo()
        else:
            painted = entry.codes.copy()
            painted[plane, y : y + height, x : x + width] = code
            workspace.commit_annotations(entry.id, painted, [plane])


if __name__ == "__main__":
    main(*sys.argv[1:3], int(sys.argv[3]))
