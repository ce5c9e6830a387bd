"""Files that microscopes and tools wrote, where `UNETSEG_DATA` has them."""

import os
from pathlib import Path

import pytest

from napari_unetseg.images import open_stack, read_labels

DATA = Path(os.environ.get("UNETSEG_DATA", Path(__file__).parents[3] / "shared" / "data"))

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA} (UNETSEG_DATA)"),
]


@pytest.mark.parametrize(
    ("name", "axes", "shape", "size"),
    [
        ("formats/CH3_Fluorescence_8bit.tif", "CYX", (3, 272, 275), {}),
        ("formats/DIC-C2DH-HeLa_lzw.tif", "YX", (512, 512), {"Y": 0.19, "X": 0.19}),
        ("formats/PhC-C2DH-U373_lzw.tif", "YX", (520, 696), {"Y": 0.65, "X": 0.65}),
        ("formats/FOV7_HV110_P0500510000.ome.tiff", "YX", (512, 512), {}),
        (
            "vnc/raw.ome.tif",
            "ZYX",
            (20, 1024, 1024),
            {"Z": 0.05, "Y": 0.0046, "X": 0.0046},
        ),
        (
            "formats/1135_mini.h5",
            "ZYX",
            (100, 100, 100),
            {"Z": 0.283718, "Y": 0.126786, "X": 0.126786},
        ),
        ("formats/CellDivision_T3_Z5_CH2_X240_Y170_comp1.czi", "TCZYX", (3, 2, 5, 170, 240), {}),
        ("formats/DAPI_GFP.czi", "CYX", (2, 640, 640), {}),
        (
            "formats/testdata_2channel_xz.lif",
            "TCYX",
            (20, 2, 128, 128),
            {"Y": 0.140279, "X": 0.140280},
        ),
        (
            "formats/testdata_2channel_xz.lif/xzy",
            "CZYX",
            (2, 128, 23, 128),
            {"Z": 0.140279, "Y": 0.229062, "X": 0.140280},
        ),
        (
            "formats/tubhiswt4D_v0.4.ome.zarr",
            "TCZYX",
            (3, 1, 2, 512, 512),
            {"Z": 1.0, "Y": 1.0, "X": 1.0},
        ),
        (
            "formats/6001240_v0.5.ome.zarr",
            "CZYX",
            (2, 236, 68, 67),
            {"Z": 0.5002, "Y": 1.4416, "X": 1.4416},
        ),
    ],
)
def test_files_from_microscopes_are_understood(name, axes, shape, size):
    stack = open_stack(DATA / name)
    assert (stack.axes, stack.shape) == (axes, shape)
    assert stack.pixel_size_um == pytest.approx(size, rel=1e-4)
    assert stack.plane(stack.n_planes // 2).std() > 0


def test_membranes_are_masks_of_their_image():
    labels = read_labels(
        DATA / "vnc/membranes.ome.tif", "masks", like=open_stack(DATA / "vnc/raw.ome.tif")
    )
    assert labels.values == {}
    assert (labels.codes.min(), labels.codes.max(), len(labels.classes)) == (1, 2, 1)


def test_nuclei_of_the_ovule_are_objects():
    labels = read_labels(DATA / "ovule3d/nuclei.ome.tif", "objects")
    assert labels.ids is not None
    assert len(set(labels.ids.ravel().tolist())) == 55
