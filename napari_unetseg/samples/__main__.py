"""Write the small samples: ``python -m napari_unetseg.samples sample_data``."""

from __future__ import annotations

import sys
from pathlib import Path

from .files import small_samples, write_sample


def main(folder: Path) -> None:
    """Write the small samples into a folder, replacing those that are there."""
    for sample in small_samples():
        for path in write_sample(folder, sample, overwrite=True):
            sys.stdout.write(f"{path}  {path.stat().st_size / 1e3:.0f} kB\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m napari_unetseg.samples FOLDER")
    main(Path(sys.argv[1]))
