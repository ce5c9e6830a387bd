"""A small file of every format that is read, as image or as labels, to be damaged."""

import json
import pickle
import zipfile
from dataclasses import dataclass

import h5py
import imagecodecs
import numpy as np
import roifile
import tifffile
import zarr
from format_files import MAKERS
from leica import write_lif
from PIL import Image
from pycocotools import mask as coco_mask

from napari_unetseg.config import default_class
from napari_unetseg.images import Stack, write_labels

SHAPE = (3, 24, 32)
LIKE = Stack(np.zeros(SHAPE, np.uint8), "ZYX", {"Z": 0.5, "Y": 0.2, "X": 0.1}, "cells")

#: A slice of ids, three blocks.
IDS = np.zeros(SHAPE, np.uint8)
IDS[:, 2:10, 3:12], IDS[1:, 12:20, 5:9], IDS[0, 12:22, 16:30] = 1, 2, 3

_GREY = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
_DEEP = np.random.default_rng(1).integers(0, 60000, (40, 50, 3), dtype=np.uint16)


@dataclass(frozen=True)
class Seed:
    """How to write a file, and whether it is one of labels alone."""

    write: object
    is_labels: bool = False


def _tiff(pixels=_GREY, **options):
    return Seed(lambda path: tifffile.imwrite(path, pixels, **options))


def _picture(pixels, mode=None):
    def write(path):
        picture = Image.fromarray(pixels)
        (picture.convert(mode) if mode else picture).save(path)

    return Seed(write)


def _deep_colour(path):
    path.write_bytes(imagecodecs.png_encode(_DEEP))


def _folder(path):
    path.mkdir()
    for n, plane in enumerate(_GREY):
        tifffile.imwrite(path / f"z{n}.tif", plane)


def _several_files(path):
    """Write an OME-TIFF of two files, each naming the other; the one to open is that at `path`."""
    uuids = ["urn:uuid:00000000-0000-4000-8000-00000000000" + digit for digit in "12"]
    names = [path.name, "other.ome.tif"]
    planes = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="{names[z]}">{uuids[z]}'
        "</UUID></TiffData>"
        for z in range(2)
    )
    for z in range(2):
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/'
            f'Schemas/OME/2016-06" UUID="{uuids[z]}"><Image ID="Image:0"><Pixels ID="Pixels:0" '
            'DimensionOrder="XYZCT" Type="uint8" SizeX="32" SizeY="24" SizeZ="2" SizeC="1" '
            'SizeT="1" PhysicalSizeX="0.1" PhysicalSizeY="0.2"><Channel ID="Channel:0:0" '
            f'SamplesPerPixel="1"/>{planes}</Pixels></Image></OME>'
        )
        tifffile.imwrite(path.with_name(names[z]), _GREY[z], description=xml, metadata=None)


def _zarr(pixels=_GREY, **options):
    def write(path):
        zarr.create_array(path, data=pixels, **options)

    return Seed(write)


def _n5(packing):
    def write(path):
        from test_images_n5 import write as write_n5

        write_n5(path / "raw", _GREY.astype(np.uint16), packing, block=(2, 16, 16))

    return Seed(write)


def _hdf5(**options):
    def write(path):
        with h5py.File(path, "w") as file:
            file.create_dataset("raw", data=_GREY, chunks=(1, 16, 16), **options)
            file["raw"].attrs["element_size_um"] = [0.5, 0.2, 0.1]

    return Seed(write)


def _oif(path):
    from test_images_makers import write_oif

    write_oif(path, np.stack([_GREY, _GREY]).astype(np.uint16))


def _nhdr(path):
    path.with_name("pixels.raw").write_bytes(_GREY.tobytes())
    path.write_text(
        "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 32 24 3\nencoding: raw\n"
        'spacings: 0.1 0.2 0.5\nunits: "um" "um" "um"\ndata file: pixels.raw\n\n'
    )


def _nrrd_bzip2(path):
    import nrrd

    nrrd.write(str(path), _GREY.T, {"encoding": "bzip2", "spacings": [1, 2, 3]})


def _ours(kind):
    def write(path):
        codes = np.where(IDS, 2, 1).astype(np.uint8) if kind != "objects" else IDS
        write_labels(path, codes, like=LIKE, kind=kind, classes=(default_class(1),))

    return Seed(write, is_labels=True)


def _cellpose(protocol):
    def write(path):
        found = {"masks": IDS, "outlines": IDS, "est_diam": 30.0, "flows": [], "filename": "a.tif"}
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "|O", "fortran_order": False, "shape": ()}
            )
            pickle.dump(np.array(found, dtype=object), file, protocol=protocol)

    return Seed(write, is_labels=True)


def _coco(path):
    square = [2, 2, 20, 2, 20, 15, 2, 15]
    runs = {"size": [24, 32], "counts": [100, 20, 648]}
    counts = coco_mask.encode(np.asfortranarray(IDS[0] > 0))["counts"].decode()
    packed = {"size": [24, 32], "counts": counts}
    annotations = [
        {"id": n, "image_id": n % 3, "category_id": 1, "segmentation": segmentation}
        for n, segmentation in enumerate([[square], runs, packed])
    ]
    images = [{"id": n, "file_name": f"z{n}.png", "height": 24, "width": 32} for n in range(3)]
    about = {"images": images, "annotations": annotations}
    path.write_text(json.dumps(about | {"categories": [{"id": 1, "name": "cell"}]}))


def _roi(path):
    points = [[2.5, 3], [20, 3], [20, 15], [2.5, 15]]
    path.write_bytes(roifile.ImagejRoi.frompoints(points).tobytes())


def _rois(path):
    kinds = roifile.ROI_TYPE
    oval = roifile.ImagejRoi(roitype=kinds.OVAL, name="oval")
    oval.left, oval.top, oval.right, oval.bottom = 3, 4, 20, 18
    freehand = roifile.ImagejRoi.frompoints([[2, 3], [9, 3], [9, 9]], name="free")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for roi in (oval, freehand):
            archive.writestr(f"{roi.name}.roi", roi.tobytes())


#: By file name; what other packages write is that of the table of formats.
SEEDS = {
    **{name.replace(" ", "_"): Seed(write) for name, (_, write) in MAKERS.items()},
    "grey.tif": _tiff(photometric="minisblack"),
    "lzw.tif": _tiff(photometric="minisblack", compression="lzw"),
    "jpeg.tif": _tiff(photometric="minisblack", compression="jpeg"),
    "tiled.tif": _tiff(_DEEP, compression="zlib", tile=(32, 32), predictor=True),
    "big_endian.tf8": _tiff(bigtiff=True, byteorder=">", photometric="minisblack"),
    "several.ome.tif": Seed(_several_files),
    "grey.png": _picture(_GREY[0]),
    "deep.png": _picture(_DEEP[..., 0]),
    "deep_colour.png": Seed(_deep_colour),
    "palette.png": _picture(_GREY[0], "P"),
    "grey.jpg": _picture(_GREY[0]),
    "grey.bmp": _picture(_GREY[0]),
    "tiffs": Seed(_folder),
    "sharded.zarr": _zarr(shards=(2, 16, 32), chunks=(1, 16, 16)),
    "gzip.zarr": _zarr(chunks=(3, 50, 20), compressors=zarr.codecs.GzipCodec()),
    "blosc.zarr": _zarr(chunks=(1, 24, 32), compressors=zarr.codecs.BloscCodec()),
    "bare.zarr": _zarr(chunks=(1, 24, 32), compressors=None),
    "blosc_2.zarr": _zarr(chunks=(1, 24, 32), zarr_format=2),
    "raw.n5": _n5("raw"),
    "gzip.n5": _n5("gzip"),
    "blosc.n5": _n5("blosc"),
    "zstd.n5": _n5("zstd"),
    "gzip.h5": _hdf5(compression="gzip", shuffle=True),
    "lzf.h5": _hdf5(compression="lzf"),
    "checked.h5": _hdf5(fletcher32=True),
    "bzip2.nrrd": Seed(_nrrd_bzip2),
    "detached.nhdr": Seed(_nhdr),
    "leica.lif": Seed(lambda path: write_lif(path, {"a": (_GREY, "ZYX"), "b": (_GREY, "CYX")})),
    "olympus.oif": Seed(_oif),
    **{f"{kind}.ome.tif": _ours(kind) for kind in ("annotations", "masks", "objects")},
    **{f"objects{ending}": _ours("objects") for ending in (".zarr", ".h5", ".geojson", ".zip", "")},
    "masks.geojson": _ours("masks"),
    "ids.npy": Seed(lambda path: np.save(path, IDS), is_labels=True),
    "cells_seg.npy": _cellpose(4),
    "old_seg.npy": _cellpose(2),
    "coco.json": Seed(_coco, is_labels=True),
    "one.roi": Seed(_roi, is_labels=True),
    "others.zip": Seed(_rois, is_labels=True),
}
