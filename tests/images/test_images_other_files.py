"""What identifies the files of an image sees those, too, that its pixels are in beside it."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from test_images_hdf5 import write_bdv
from test_images_makers import write_oif

from napari_unetseg.images import Stack, open_stack, stamp

PIXELS = np.random.default_rng(0).integers(0, 255, (3, 24, 32), np.uint8)


def nhdr(folder: Path) -> tuple[str, str]:
    (folder / "pixels.raw").write_bytes(PIXELS.tobytes())
    (folder / "a.nhdr").write_text(
        "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 32 24 3\nencoding: raw\n"
        "data file: pixels.raw\n\n"
    )
    return "a.nhdr", "pixels.raw"


def ome_tiff(folder: Path) -> tuple[str, str]:
    ids = [f"urn:uuid:00000000-0000-0000-0000-00000000000{z}" for z in range(3)]
    planes = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1">'
        f'<UUID FileName="z{z}.ome.tif">{ids[z]}</UUID></TiffData>'
        for z in range(3)
    )
    for z, plane in enumerate(PIXELS):
        xml = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="{ids[z]}"><Image ID="Image:0"><Pixels ID="Pixels:0" Type="uint8" '
            'DimensionOrder="XYZCT" SizeX="32" SizeY="24" SizeZ="3" SizeC="1" SizeT="1">'
            f"{planes}</Pixels></Image></OME>"
        )
        tifffile.imwrite(folder / f"z{z}.ome.tif", plane, description=xml, metadata=None)
    return "z0.ome.tif", "z2.ome.tif"


def linked(folder: Path) -> tuple[str, str]:
    with h5py.File(folder / "part.h5", "w") as file:
        file["raw"] = PIXELS
    with h5py.File(folder / "a.h5", "w") as file:
        file["linked"] = h5py.ExternalLink("part.h5", "raw")
    return "a.h5/linked", "part.h5"


def virtual(folder: Path) -> tuple[str, str]:
    linked(folder)
    layout = h5py.VirtualLayout(PIXELS.shape, PIXELS.dtype)
    layout[...] = h5py.VirtualSource("part.h5", "raw", PIXELS.shape, PIXELS.dtype)
    with h5py.File(folder / "v.h5", "w") as file:
        file.create_virtual_dataset("raw", layout)
    return "v.h5", "part.h5"


def outside(folder: Path) -> tuple[str, str]:
    with h5py.File(folder / "a.h5", "w") as file:
        where = [(str(folder / "pixels.raw"), 0, PIXELS.nbytes)]
        file.create_dataset("raw", data=PIXELS, external=where)
    return "a.h5", "pixels.raw"


def bigdataviewer(folder: Path) -> tuple[str, str]:
    write_bdv(folder / "whole.h5")
    with h5py.File(folder / "whole.h5", "r+") as file, h5py.File(folder / "part.h5", "w") as part:
        file.copy("t00001/s01", part, "t00001/s01")
        del file["t00001/s01"]
        file["t00001/s01"] = h5py.ExternalLink("part.h5", "t00001/s01")
    return "whole.h5", "part.h5"


def oif(folder: Path) -> tuple[str, str]:
    write_oif(folder / "a.oif", np.stack([PIXELS, PIXELS]).astype(np.uint16))
    return "a.oif", "a.oif.files/s_C002Z003.tif"


@pytest.mark.parametrize(
    "write",
    [nhdr, ome_tiff, linked, virtual, outside, bigdataviewer, oif],
    ids=lambda w: w.__name__,
)
@pytest.mark.parametrize("place", ["beside", "far"])
def test_another_file_that_was_written_is_noticed(tmp_path, monkeypatch, write, place):
    image, other = write(tmp_path)
    if place == "beside":  # relative names of the image
        monkeypatch.chdir(tmp_path)
        image = Path(image)
    else:
        image = tmp_path / image
    before = stamp(open_stack(image))
    assert before == stamp(open_stack(image))
    facts = (tmp_path / other).stat()
    os.utime(tmp_path / other, ns=(facts.st_atime_ns, facts.st_mtime_ns - 10**9))
    assert stamp(open_stack(image)) != before


def test_what_is_in_one_file_alone_has_no_others(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = PIXELS
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS, compression="zlib")
    assert [open_stack(tmp_path / name).files for name in ("a.h5", "a.ome.tif")] == [(), ()]
    assert stamp(Stack(PIXELS, "ZYX")) == ""
