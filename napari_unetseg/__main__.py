"""Let ``python -m napari_unetseg`` do what ``napari-unetseg`` does."""

import sys

from napari_unetseg.cli import main

if __name__ == "__main__":
    sys.exit(main())
