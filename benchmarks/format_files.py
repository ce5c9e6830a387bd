"""A small file of each kind, as other packages write it: for the table of formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import mrcfile
import nibabel
import nrrd
import numpy as np
import numpy.typing as npt
import tifffile
import zarr
from PIL import Image
from pylibCZIrw import czi

#: T, C, Z, Y and X of what is written; every voxel is 0.5 × 0.2 × 0.1 µm.
LENGTHS = {"T": 2, "C": 2, "Z": 3, "Y": 40, "X": 60}
SIZE_UM = {"Z": 0.5, "Y": 0.2, "X": 0.1}

_OME_SIZES = {f"PhysicalSize{axis}": um for axis, um in SIZE_UM.items()}


def pixels(axes: str, dtype: str = "uint8") -> npt.NDArray[Any]:
    """Return numbers that differ, with these axes."""
    shape = [LENGTHS[axis] for axis in axes]
    return np.random.default_rng(0).integers(0, 100, shape).astype(dtype)


def _tiff(axes: str, dtype: str = "uint8", **options: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        image = pixels(axes, dtype)
        tifffile.imwrite(path, image, **({"photometric": "minisblack"} | options))

    return write


def _ome(axes: str, **options: Any) -> Callable[[Path], None]:
    metadata = {"axes": axes, "Channel": {"Name": ["DAPI", "GFP"]}} | _OME_SIZES
    return _tiff(axes, "uint16", metadata=metadata, **options)


def _imagej(path: Path) -> None:
    metadata = {"axes": "TZCYX", "unit": "um", "spacing": SIZE_UM["Z"]}
    resolution = (1 / SIZE_UM["X"], 1 / SIZE_UM["Y"])
    options = {"imagej": True, "byteorder": ">", "resolution": resolution}
    _tiff("TZCYX", "uint16", metadata=metadata, **options)(path)


def _colours(path: Path) -> None:
    Image.fromarray(np.stack([pixels("YX")] * 3, axis=-1)).save(path)


def _sequence(folder: Path) -> None:
    folder.mkdir()
    for number, plane in enumerate(pixels("ZYX"), start=9):
        Image.fromarray(plane).save(folder / f"z{number}.png")


def _ome_zarr(version: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
        image = pixels("TCZYX", "uint16")
        datasets: list[dict[str, Any]] = []
        for level, step in enumerate((1, 2)):
            group.create_array(str(level), data=image[..., ::step, ::step])
            scale = [1.0, 1.0, SIZE_UM["Z"], SIZE_UM["Y"] * step, SIZE_UM["X"] * step]
            transformations = [{"type": "scale", "scale": scale}]
            datasets.append({"path": str(level), "coordinateTransformations": transformations})
        axes: list[dict[str, str]] = [
            {"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"
        ]
        first = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
        ome: dict[str, Any] = {
            "version": version,
            "multiscales": [{"axes": [*first, *axes], "datasets": datasets}],
            "omero": {"channels": [{"label": "DAPI"}, {"label": "GFP"}]},
        }
        group.attrs.update(ome if version == "0.4" else {"ome": ome})

    return write


def _ilastik(path: Path) -> None:
    tags = {"axes": [{"key": axis, "typeFlags": 2, "resolution": 0} for axis in "tzyxc"]}
    with h5py.File(path, "w") as file:
        file.create_dataset("exported_data", data=pixels("TZYXC"), chunks=True)
        file["exported_data"].attrs["axistags"] = json.dumps(tags)


def _plantseg(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name, dtype in (("raw", "uint8"), ("label", "uint32")):
            file.create_dataset(name, data=pixels("ZYX", dtype), chunks=True)
            file[name].attrs["element_size_um"] = [SIZE_UM[axis] for axis in "ZYX"]


def _bigdataviewer(path: Path) -> None:
    image, setups = pixels("TCZYX", "int16"), []
    with h5py.File(path, "w") as file:
        for c, name in enumerate(("DAPI", "GFP")):
            file[f"s{c:02}/resolutions"] = [[1.0, 1.0, 1.0]]
            file[f"s{c:02}/subdivisions"] = [[16, 16, 16]]
            for t in range(LENGTHS["T"]):
                file[f"t{t:05}/s{c:02}/0/cells"] = image[t, c]
            size = " ".join(str(SIZE_UM[axis]) for axis in "XYZ")
            voxel = f"<voxelSize><unit>micrometer</unit><size>{size}</size></voxelSize>"
            setups.append(f"<ViewSetup><id>{c}</id><name>{name}</name>{voxel}</ViewSetup>")
    xml = f"<ViewSetups>{''.join(setups)}</ViewSetups>"
    path.with_suffix(".xml").write_text(
        f"<SpimData><SequenceDescription>{xml}</SequenceDescription></SpimData>"
    )


def _mrc(dtype: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with mrcfile.new(path) as file:
            file.set_data(pixels("ZYX", dtype))
            file.voxel_size = tuple(1e4 * SIZE_UM[axis] for axis in "XYZ")

    return write


def _nifti(path: Path) -> None:
    made = nibabel.Nifti1Image(pixels("ZYX", "int16").T, np.eye(4))
    made.header.set_zooms([SIZE_UM[axis] for axis in "XYZ"])
    made.header.set_xyzt_units(xyz="micron")
    nibabel.save(made, path)


def _nrrd(encoding: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        spacings = [SIZE_UM[axis] for axis in "XYZ"]
        header = {"encoding": encoding, "spacings": spacings, "units": ["um"] * 3}
        nrrd.write(str(path), pixels("ZYX", "int16").T, header)

    return write


def _czi(path: Path) -> None:
    image = pixels("TCZYX", "uint16")
    with czi.create_czi(str(path)) as file:
        for t, c, z in np.ndindex(image.shape[:3]):
            file.write(image[t, c, z][..., np.newaxis], plane={"T": t, "C": c, "Z": z})
        x, y, z_size = (1e-6 * SIZE_UM[axis] for axis in "XYZ")
        names = {0: "DAPI", 1: "GFP"}
        file.write_metadata("cells", names, scale_x=x, scale_y=y, scale_z=z_size)


#: What each is, by its name.
MAKERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "ome.ome.tif": ("OME-TIFF", _ome("TCZYX")),
    "bigtiff.ome.tif": ("BigTIFF, tiled, LZW", _ome(
        "TCZYX", bigtiff=True, tile=(16, 16), compression="lzw"
    )),
    "zstd.tif": ("TIFF, zstd", _tiff("ZYX", compression="zstd")),
    "imagej.tif": ("ImageJ hyperstack, big-endian", _imagej),
    "float.tif": ("TIFF, 32-bit float", _tiff("ZYX", "float32")),
    "signed.tif": ("TIFF, signed", _tiff("ZYX", "int16")),
    "12 bit.tif": ("TIFF, 12 bits packed", _tiff(
        "ZYX", "uint16", bitspersample=12, rowsperstrip=1
    )),
    "rgb.tif": ("TIFF, RGB", _colours),
    "rgb.png": ("PNG", _colours),
    "rgb.jpg": ("JPEG", _colours),
    "sequence": ("folder of PNG, z9 to z11", _sequence),
    "zarr 0.4.zarr": ("OME-Zarr 0.4", _ome_zarr("0.4")),
    "zarr 0.5.zarr": ("OME-Zarr 0.5", _ome_zarr("0.5")),
    "ilastik.h5": ("HDF5 of ilastik", _ilastik),
    "plantseg.h5": ("HDF5 of PlantSeg", _plantseg),
    "bigdataviewer.h5": ("HDF5 of BigDataViewer", _bigdataviewer),
    "mode 0.mrc": ("MRC, mode 0", _mrc("int8")),
    "mode 1.mrc": ("MRC, mode 1", _mrc("int16")),
    "mode 2.mrc": ("MRC, mode 2", _mrc("float32")),
    "mode 6.mrc": ("MRC, mode 6", _mrc("uint16")),
    "volume.nii": ("NIfTI-1", _nifti),
    "volume.nii.gz": ("NIfTI-1, gzip", _nifti),
    "raw.nrrd": ("NRRD, raw", _nrrd("raw")),
    "gzip.nrrd": ("NRRD, gzip", _nrrd("gzip")),
    "zeiss.czi": ("CZI", _czi),
}  # fmt: skip
