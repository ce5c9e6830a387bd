"""Files of microscopes: what other packages read in them, and what the page of formats says."""

import subprocess
import sys
from pathlib import Path

import bioio_czi
import bioio_lif
import h5py
import liffile
import numpy as np
import pytest
import tifffile
import zarr
from pylibCZIrw import czi

from napari_unetseg.images import open_stack

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.data


def of_tifffile(path):
    with tifffile.TiffFile(path) as tif:
        return tif.series[0].asarray(), tif.series[0].axes.replace("S", "C"), {}


def of_h5py(path):
    with h5py.File(path) as file:
        sizes = dict(zip("ZYX", file["raw"].attrs["element_size_um"], strict=True))
        return file["raw"][...], "ZYX", sizes


def of_zarr(path):
    group = zarr.open_group(path, mode="r")
    attributes = dict(group.attrs)
    image = attributes.get("ome", attributes)["multiscales"][0]
    scale = image["datasets"][0]["coordinateTransformations"][0]["scale"]
    axes = "".join(axis["name"].upper() for axis in image["axes"])
    sizes = {axis: n for axis, n in zip(axes, scale, strict=True) if axis in "ZYX"}
    return group[image["datasets"][0]["path"]][...], axes, sizes


def of_bioio(reader):
    sizes = {axis: um for axis, um in reader.physical_pixel_sizes._asdict().items() if um}
    return reader.get_image_data("TCZYX"), "TCZYX", sizes


def of_leica(place):
    """Sizes from bioio-lif, and pixels, which it cannot read of XZ sections, frame by frame."""
    with liffile.LifFile(place.parent) as file:
        image = file.images[1]
        pixels = np.stack([[image.frame(Y=y, C=c) for c in (0, 1)] for y in range(23)])
    reader = bioio_lif.Reader(place.parent)
    reader.set_scene(place.name)
    sizes = {axis: um for axis, um in reader.physical_pixel_sizes._asdict().items() if um}
    return pixels, "YCZX", sizes


def of_libczi(path):
    with czi.open_czi(str(path)) as file:
        return np.stack([file.read(plane={"C": c})[..., 0] for c in (0, 1)]), "CYX", {}


OTHERS = {
    "1135_mini.h5": of_h5py,
    "6001240_v0.5.ome.zarr": of_zarr,
    "tubhiswt4D_v0.4.ome.zarr": of_zarr,
    "CH3_Fluorescence_8bit.tif": of_tifffile,
    "DIC-C2DH-HeLa_lzw.tif": of_tifffile,
    "PhC-C2DH-U373_lzw.tif": of_tifffile,
    "FOV7_HV110_P0500510000.ome.tiff": of_tifffile,
    "CellDivision_T3_Z5_CH2_X240_Y170_comp1.czi": lambda p: of_bioio(bioio_czi.Reader(p)),
    "DAPI_GFP.czi": of_libczi,  # bioio-czi refuses it, as it says no pixel size
    "testdata_2channel_xz.lif/xzy": of_leica,
}


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("name", OTHERS)
def test_pixels_axes_and_sizes_are_those_that_others_read(data_dir, name):
    pixels, axes, sizes = OTHERS[name](data_dir / "formats" / name)
    stack = open_stack(data_dir / "formats" / name)
    kept = [i for i, axis in enumerate(axes) if axis in stack.axes]
    assert all(pixels.shape[i] == 1 for i in range(pixels.ndim) if i not in kept)
    theirs = "".join(axes[i] for i in kept)
    assert sorted(theirs) == sorted(stack.axes)
    assert stack.dtype == pixels.dtype.newbyteorder("=")
    wanted = np.einsum(f"{theirs}->{stack.axes}", pixels.reshape([pixels.shape[i] for i in kept]))
    np.testing.assert_array_equal(np.asarray(stack.data), wanted)
    if sizes:
        assert stack.pixel_size_um == pytest.approx(sizes, rel=1e-6)


def test_the_page_of_formats_says_what_is_read(data_dir):
    assert data_dir.is_dir()
    script = ROOT / "benchmarks" / "formats_table.py"
    ran = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
