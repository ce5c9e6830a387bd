"""How files of each format are understood: ``--write`` makes ``docs/formats.md``.

Files that microscopes and programs wrote, and one of each kind that other packages write here::

    UNETSEG_DATA=../shared/data python benchmarks/formats_table.py --write
    UNETSEG_DATA=../shared/data python benchmarks/formats_table.py --check
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from format_files import MAKERS

from napari_unetseg.images import Stack, format_length, open_stack

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("UNETSEG_DATA", ROOT.parent / "shared" / "data"))
PAGE = ROOT / "docs" / "formats.md"

#: Files of data/formats that have parts worth a row of their own.
PARTS = {
    "1135_mini.h5": ("label",),
    "6001240_v0.5.ome.zarr": ("labels/0",),
    "testdata_2channel_xz.lif": ("xzy", "xz"),
    "tubhiswt4D_v0.4.ome.zarr": ("1", "labels/embryo"),
}

INTRODUCTION = """# Formats

What `napari-unetseg info` and the window make of files, written by `benchmarks/formats_table.py`.
A file is *mapped* into memory or read *in chunks* where its format allows; what is read *whole* says
how much memory that takes before it takes it, if that is more than a gigabyte, and is refused where
there is not as much.

One of several images in a file has its name behind that of the file, everywhere a path is asked for:
`cells.h5/volumes/raw` (or `cells.h5:volumes/raw`), `cells.lif/Series 2`, `slide.czi/1`,
`plate.zarr/A/1/0`, `cells.zarr/labels/nuclei`, and `cells.zarr/2` for a resolution level. `info` lists
what there is under *other images in it*; the window offers it under *File* in the step *Data*.

Channels are shown in the colours that OME-Zarr, OME-TIFF, ImageJ, CZI and LIF say, if no two are the same;
OME-TIFF and OME-Zarr are written with them.

Axes that a file does not name are guessed. Where that is wrong, they stand last, behind `@`, one letter
for each axis of the file: `cells.tif/@TYX`, `cells.h5/raw/@ZCYX`. `S` are colours, `Q` is any other.

| format | endings | read with | pixels |
|---|---|---|---|
| TIFF, OME-TIFF, BigTIFF, ImageJ, LSM | `.tif` `.tiff` `.btf` `.tf8` `.lsm` | tifffile | mapped; compressed ones over 64 MB in chunks |
| PNG, JPEG, BMP, and folders of them or of TIFF | `.png` `.jpg` `.jpeg` `.bmp` | Pillow | whole; folders over 64 MB slice by slice |
| OME-Zarr 0.1 to 0.5, Zarr arrays | `.zarr` | zarr | in chunks |
| N5 | `.n5` | | in blocks |
| HDF5: ilastik, PlantSeg, BigDataViewer, any array | `.h5` `.hdf5` `.hdf` | h5py, `[hdf5]` | in chunks |
| MRC | `.mrc` `.mrcs` `.map` `.rec` `.st` `.ali` | | mapped |
| NIfTI-1, NIfTI-2 | `.nii` `.nii.gz` | | mapped; packed ones whole |
| NRRD | `.nrrd` `.nhdr` | | mapped; packed ones whole |
| Zeiss CZI | `.czi` | pylibCZIrw, `[czi]` | in chunks |
| Leica LIF | `.lif` | liffile, `[lif]` | mapped; colours whole |
| Nikon ND2 | `.nd2` | nd2, `[nd2]` | slice by slice |
| Olympus OIB, OIF | `.oib` `.oif` | oiffile, `[oib]` | slice by slice |

What stands in brackets is installed with `pip install "napari-unetseg[hdf5,czi,lif,nd2,oib]"`; all else
comes with the program.
"""  # noqa: E501

HEAD = """
| file | axes | shape | type | pixel size (Z × Y × X) | channels | pixels | said |
|---|---|---|---|---|---|---|---|
"""


def real_rows(folder: Path) -> Iterator[str]:
    """Yield a row for each file that a microscope or a program wrote, and its parts."""
    for path in sorted(folder.iterdir()):
        yield row(path.name, open_stack(path))
        for part in PARTS.get(path.name, ()):
            yield row(f"{path.name}/{part}", open_stack(path / part))


def generated_rows() -> Iterator[str]:
    """Yield a row for each kind, written by another package."""
    with tempfile.TemporaryDirectory() as folder:
        for name, (kind, make) in MAKERS.items():
            path = Path(folder) / name
            make(path)
            yield row(kind, open_stack(path))


def row(name: str, stack: Stack) -> str:
    """Describe what was opened."""
    sizes = [
        format_length(stack.pixel_size_um[axis]) if axis in stack.pixel_size_um else "?"
        for axis in "ZYX"
        if axis in stack.axes
    ]
    cells = [
        name,
        stack.axes,
        " × ".join(map(str, stack.shape)),
        stack.dtype.name,
        " × ".join(sizes) if stack.pixel_size_um else "unknown",
        ", ".join(stack.channels),
        _kept(stack),
        " ".join(stack.notes),
    ]
    return f"| {' | '.join(cells)} |\n"


def _kept(stack: Stack) -> str:
    base = stack.data
    while (
        isinstance(base, np.ndarray) and not isinstance(base, np.memmap) and base.base is not None
    ):
        base = base.base
    if isinstance(base, np.memmap):
        return "mapped"
    return "whole" if isinstance(stack.data, np.ndarray) else "in chunks"


def page() -> str:
    """Return the whole page."""
    return "".join(
        [
            INTRODUCTION,
            "\n## Files of microscopes and programs\n",
            HEAD,
            *real_rows(DATA / "formats"),
            "\n## Files that other packages write\n\n",
            "Voxels are 0.5 × 0.2 × 0.1 µm in all of them that can say so.\n",
            HEAD,
            *generated_rows(),
        ]
    )


def main() -> int:
    """Write the page, compare it, or print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    parser.add_argument("--check", action="store_true", help="fail where it says something else")
    chosen = parser.parse_args()
    made = page()
    if chosen.write:
        PAGE.write_text(made, encoding="utf-8")
    elif chosen.check:
        if PAGE.read_text(encoding="utf-8") != made:
            print(f"{PAGE} is not what files are understood as: make it again with --write.")
            return 1
    else:
        print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
