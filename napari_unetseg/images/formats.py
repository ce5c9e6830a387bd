"""The endings of files that are read and written."""

from __future__ import annotations

TIFF_SUFFIXES = (".tif", ".tiff", ".ome.tif", ".ome.tiff", ".btf", ".ome.btf", ".tf8", ".lsm")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
ZARR_SUFFIXES = (".zarr", ".ome.zarr")
N5_SUFFIXES = (".n5",)
HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf")
MRC_SUFFIXES = (".mrc", ".mrcs", ".map", ".rec", ".st", ".ali")
NIFTI_SUFFIXES = (".nii", ".nii.gz")
NRRD_SUFFIXES = (".nrrd", ".nhdr")

#: What one microscope's maker writes; each needs an optional package.
MAKERS_SUFFIXES = (".czi", ".lif", ".nd2", ".oib", ".oif")

#: Every suffix that `open_stack` reads.
SUFFIXES = (
    *TIFF_SUFFIXES,
    *PICTURE_SUFFIXES,
    *ZARR_SUFFIXES,
    *N5_SUFFIXES,
    *HDF5_SUFFIXES,
    *MRC_SUFFIXES,
    *NIFTI_SUFFIXES,
    *NRRD_SUFFIXES,
    *MAKERS_SUFFIXES,
)

#: Results with such a name are files, never folders.
FILE_SUFFIXES = (
    *TIFF_SUFFIXES,
    *PICTURE_SUFFIXES,
    *HDF5_SUFFIXES,
    *(".csv", ".parquet", ".json", ".geojson", ".zip", ".stl", ".ply", ".glb"),
)
