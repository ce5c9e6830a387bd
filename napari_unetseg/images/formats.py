"""The endings of files that are read and written."""

from __future__ import annotations

TIFF_SUFFIXES = (".tif", ".tiff", ".ome.tif", ".ome.tiff", ".btf", ".ome.btf", ".tf8", ".lsm")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
ZARR_SUFFIXES = (".zarr", ".ome.zarr")

#: Every suffix that `open_stack` reads.
SUFFIXES = (*TIFF_SUFFIXES, *PICTURE_SUFFIXES, *ZARR_SUFFIXES)
