"""Stacks larger than memory: what is held grows with a slice, and not with the stack."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile

resource = pytest.importorskip("resource", reason="Windows counts memory otherwise")

SCRIPT = """
import resource, sys
from napari_unetseg.images import tiff
from napari_unetseg.measure import evaluate
from scipy import ndimage, sparse, spatial, optimize

tiff.READ_AT_ONCE_BYTES = 0  # as if it were too large for that
in_3d = sys.argv[3] == "3d"
def peak():
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
before = peak()
paths, kind, slices = sys.argv[1:3], *sys.argv[4:6]
scores = evaluate(*paths, kind=kind, contours=True, in_3d=in_3d, slices=slices)
print(peak() - before, scores.n_slices, scores.mean_iou)
"""


def generated(path, n_planes, side, shift):
    """Write discs that wander through the slices, compressed, without holding them."""
    y, x = np.ogrid[:side, :side]

    def planes():
        for z in range(n_planes):
            plane = np.zeros((side, side), np.uint8)
            for number in range(6):
                middle = np.array([number * side // 6 + side // 12, (z + shift) % side])
                plane[(y - middle[0]) ** 2 + (x - middle[1]) ** 2 < (side // 16) ** 2] = number + 1
            yield plane

    tifffile.imwrite(
        path,
        planes(),
        shape=(n_planes, side, side),
        dtype=np.uint8,
        compression="zlib",
        photometric="minisblack",
    )
    return path


def measured(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
    )
    grown, n_slices, mean_iou = done.stdout.split()
    return int(grown), int(n_slices), float(mean_iou)


@pytest.mark.parametrize(("kind", "dims"), [("masks", "2d"), ("objects", "2d"), ("objects", "3d")])
def test_ten_times_as_many_slices_take_no_more_memory(tmp_path, kind, dims):
    files = [generated(tmp_path / f"{name}.tif", 60, 600, n) for n, name in enumerate("pt")]
    few, n_few, _ = measured(*files, dims, kind, "0-5")
    many, n_many, mean_iou = measured(*files, dims, kind, "0-59")
    assert (n_few, n_many) == (6, 60)
    assert 0.9 < mean_iou < 1
    # 54 slices more of both would be 39 MB as they are, and 150 MB as numbers of objects.
    assert many - few < 12e6


@pytest.mark.soak
@pytest.mark.parametrize("dims", ["2d", "3d"])
def test_a_gigabyte_is_compared_in_little_memory(tmp_path, dims):
    files = [generated(tmp_path / f"{name}.tif", 1025, 1024, n) for n, name in enumerate("pt")]
    grown, n_slices, mean_iou = measured(*files, dims, "objects", "0-1024")
    assert n_slices == 1025
    assert 0.9 < mean_iou < 1
    assert grown < 150e6, f"{grown / 1e6:.0f} MB"
