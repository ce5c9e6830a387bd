"""Files of every format, generated: what other packages write is read, and what we write, too."""

import itertools
import json
import math
import shutil
from dataclasses import replace

import dask.array
import h5py
import mrcfile
import nibabel
import nrrd
import numcodecs
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from leica import write_lif
from pylibCZIrw import czi
from test_images_n5 import PACKERS
from test_images_n5 import write as write_n5

from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    Stack,
    open_label_stack,
    open_stack,
    write_image,
    write_label_stack,
    write_probabilities,
)
from napari_unetseg.images.label_meaning import described

SOME = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

#: Sizes of a pixel as files have them, the good and the bad, with their units.
LENGTHS = st.one_of(
    st.floats(1e-3, 1e3).map(lambda number: float(f"{number:.6g}")),
    st.sampled_from([0.0, -0.25, math.nan, math.inf]),
)
UM_PER = {"nm": 1e-3, "µm": 1.0, "um": 1.0, "mm": 1e3, "micrometer": 1.0, "nanometer": 1e-3,
          "angstrom": 1e-4, "pixel": None, "": None}  # fmt: skip

_numbers = itertools.count()


def place(folder, ending):
    """Name a file that nothing has been written to: of an older one, chunks may be kept."""
    return folder / f"{next(_numbers)}{ending}"


def um_of(length, unit):
    """Say what a length is in µm; None where it is none. Files give its size, not a direction."""
    factor = UM_PER[unit]
    if factor is None or not math.isfinite(length) or length == 0:
        return None
    return abs(length) * factor


@st.composite
def arrays(draw, dtypes, *, ndim=(2, 5), least=1):
    """Draw pixels that differ, with the extremes of their type among them."""
    n_axes = draw(st.integers(*ndim))
    lengths = st.integers(least, 9 if n_axes < 4 else 4)  # every slice takes milliseconds
    shape = tuple(draw(st.lists(lengths, min_size=n_axes, max_size=n_axes)))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    if dtype.kind == "f":
        return (rng.standard_normal(shape) * 100).astype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    limits = np.iinfo(dtype)
    pixels = rng.integers(limits.min, limits.max, shape, dtype.newbyteorder("="), endpoint=True)
    pixels.flat[0], pixels.flat[-1] = limits.min, limits.max
    return pixels.astype(dtype)


def both_orders(*names):
    return [f"{order}{name}" for name in names for order in "<>"]


ALL_TYPES = ["bool", "u1", "i1", *both_orders("u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8")]


def check(path, pixels, axes, sizes=None, *, given=None):
    """Compare what is opened with the array that was written, whose axes had these letters."""
    stack = open_stack(path, axes=given)
    wanted = np.einsum(f"{axes}->{''.join(sorted(axes, key='TCZYX'.index))}", pixels)
    assert (stack.axes, stack.shape) == (
        "".join(sorted(axes, key="TCZYX".index)),
        wanted.shape,
    )
    assert stack.dtype == pixels.dtype.newbyteorder("=")
    planes = np.stack(list(stack.planes()))
    assert planes.dtype.isnative
    lengths = [stack.size(axis) for axis in "TZCYX"]
    with_all = np.asarray(wanted).reshape([stack.size(axis) for axis in "TCZYX"])
    np.testing.assert_array_equal(planes.reshape(lengths), with_all.transpose(0, 2, 1, 3, 4))
    if sizes is not None:
        known = {a: um for a, um in sizes.items() if um is not None and a in stack.axes}
        assert stack.pixel_size_um == pytest.approx(known, rel=1e-5)
    return stack


@st.composite
def orders(draw, ndim, letters="TCZYX"):
    """Draw letters for axes, in any order, Y and X among them."""
    others = draw(st.permutations([a for a in letters if a not in "YX"]))[: ndim - 2]
    return "".join(draw(st.permutations([*others, "Y", "X"])))


# ------------------------------------------------------------------------ TIFF


@given(data=st.data(), pixels=arrays(
    ["u1", "i1", *both_orders("u2", "i2", "u4", "i4", "f4", "f8")], least=2
))  # fmt: skip
@SOME
def test_ome_tiff_of_tifffile(tmp_path, data, pixels):
    leading = data.draw(st.permutations("TCZ"))[: pixels.ndim - 2]
    axes = "".join([*leading, "Y", "X"])
    sizes, unit = {}, data.draw(st.sampled_from(["nm", "µm", "mm", "pixel"]))
    metadata = {"axes": axes}
    for axis in data.draw(st.sets(st.sampled_from("ZYX"))):
        length = data.draw(LENGTHS)
        metadata |= {f"PhysicalSize{axis}": length, f"PhysicalSize{axis}Unit": unit}
        sizes[axis] = um_of(length, unit)
    tile = data.draw(st.sampled_from([None, (16, 16), (32, 16)]))
    packing = data.draw(st.sampled_from([None, "zlib", "lzw", "zstd", "packbits"]))
    path = place(tmp_path, ".ome.tif")
    tifffile.imwrite(
        path,
        pixels,
        ome=True,
        photometric="minisblack",
        metadata=metadata,
        byteorder=pixels.dtype.byteorder if pixels.dtype.byteorder in "<>" else None,
        bigtiff=data.draw(st.booleans()),
        tile=tile,
        compression=packing,
        predictor=packing in ("zlib", "lzw", "zstd") and pixels.dtype.kind in "iu",
        rowsperstrip=None if tile else data.draw(st.sampled_from([None, 1, 3, 100])),
    )
    check(path, pixels, axes, sizes)


@given(data=st.data(), pixels=arrays(["u1", *both_orders("u2", "f4")], least=2))
@SOME
def test_imagej_tiff_of_tifffile(tmp_path, data, pixels):
    # ImageJ knows one order. More than seven channels are slices to us, as they are to it.
    axes = {2: "YX", 3: "ZYX", 4: data.draw(st.sampled_from(["ZCYX", "TZYX"])), 5: "TZCYX"}
    axes = axes[pixels.ndim]
    assume("C" not in axes or pixels.shape[axes.index("C")] <= 7)
    unit = data.draw(st.sampled_from(["um", "nm", "mm", "pixel", "micron"]))
    xy = [data.draw(st.floats(1e-2, 1e2)) for _ in "XY"]
    spacing = data.draw(st.floats(1e-2, 1e2))
    path = place(tmp_path, ".tif")
    tifffile.imwrite(
        path,
        pixels,
        imagej=True,
        resolution=tuple(1 / length for length in xy),
        metadata={"axes": axes, "unit": unit, "spacing": spacing},
    )
    factor = (UM_PER | {"micron": 1.0})[unit]
    known = dict(zip("XYZ", [*xy, spacing], strict=True))
    check(path, pixels, axes, {a: factor and um * factor for a, um in known.items()})


@given(data=st.data(), pixels=arrays(ALL_TYPES[1:], ndim=(2, 3), least=2))
@SOME
def test_bare_tiff_of_tifffile(tmp_path, data, pixels):
    path = place(tmp_path, ".tif")
    order = pixels.dtype.byteorder if pixels.dtype.byteorder in "<>" else None
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata=None, byteorder=order)
    check(path, pixels, "ZYX"[-pixels.ndim :], {})


# ------------------------------------------------------------------------ Zarr


@st.composite
def chunkings(draw, shape):
    """Draw chunks that may be odd, or larger than the array."""
    return tuple(draw(st.integers(1, 2 * n + 1)) for n in shape)


@given(data=st.data(), pixels=arrays(ALL_TYPES))
@SOME
def test_ome_zarr_of_zarr(tmp_path, data, pixels):
    axes = data.draw(orders(pixels.ndim))
    version = data.draw(st.sampled_from(["0.4", "0.5"]))
    zarr_format = 2 if version == "0.4" else 3
    chunks = data.draw(chunkings(pixels.shape))
    codecs = zarr.codecs
    packers = [codecs.GzipCodec(), codecs.ZstdCodec(), codecs.BloscCodec(), None]
    options = {"chunks": chunks}
    if zarr_format == 3:
        options["compressors"] = data.draw(st.sampled_from(packers))
        if data.draw(st.booleans()):
            times = data.draw(st.tuples(*[st.integers(1, 3)] * pixels.ndim))
            options["shards"] = tuple(n * m for n, m in zip(chunks, times, strict=True))
    else:
        old = [numcodecs.GZip(), numcodecs.Zstd(), numcodecs.Blosc(), numcodecs.LZ4(), None]
        options |= {"compressors": data.draw(st.sampled_from(old)),
                    "order": data.draw(st.sampled_from("CF"))}  # fmt: skip
    path = place(tmp_path, ".zarr")
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    array = group.create_array("0", shape=pixels.shape, dtype=pixels.dtype, **options)
    array[...] = pixels
    unit = data.draw(st.sampled_from(["nanometer", "micrometer", "angstrom", "pixel"]))
    scale = [data.draw(LENGTHS) if axis in "ZYX" else 1.0 for axis in axes]
    # JSON has neither NaN nor infinity, though Python writes both.
    scale = [length if math.isfinite(length) else 0.0 for length in scale]
    kinds = {"T": "time", "C": "channel"}
    described_axes = [
        {"name": a.lower(), "type": kinds.get(a, "space")} | ({"unit": unit} if a in "ZYX" else {})
        for a in axes
    ]
    transformations = [{"type": "scale", "scale": scale}]
    image = {
        "version": version,
        "axes": described_axes,
        "datasets": [{"path": "0", "coordinateTransformations": transformations}],
    }
    about = {"multiscales": [image]}
    group.attrs.update(about if version == "0.4" else {"ome": about | {"version": "0.5"}})
    lengths = zip(axes, scale, strict=True)
    sizes = {axis: um_of(length, unit) for axis, length in lengths if axis in "ZYX"}
    check(path, pixels, axes, sizes)


@given(data=st.data(), pixels=arrays(ALL_TYPES, ndim=(2, 4)))
@SOME
def test_bare_arrays_of_zarr_whose_axes_are_given(tmp_path, data, pixels):
    axes = data.draw(orders(pixels.ndim))
    path = place(tmp_path, ".zarr")
    zarr.create_array(path, data=pixels, chunks=data.draw(chunkings(pixels.shape)))
    check(path, pixels, axes, {}, given=axes)


@given(data=st.data(), pixels=arrays(
    ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"], ndim=(2, 4)
))  # fmt: skip
@SOME
def test_n5(tmp_path, data, pixels):
    axes = data.draw(orders(pixels.ndim))
    path = place(tmp_path, ".n5") / "raw"
    lengths = [data.draw(LENGTHS) for _ in axes]
    unit = data.draw(st.sampled_from(["nm", "um", "mm", "pixel"]))
    write_n5(
        path,
        pixels,
        data.draw(st.sampled_from(sorted(PACKERS))),
        data.draw(chunkings(pixels.shape)),
        axes=list(axes.lower()[::-1]),
        resolution=[n if math.isfinite(n) else 0.0 for n in lengths[::-1]],
        units=[unit] * len(axes),
    )
    known = {a: um_of(n, unit) for a, n in zip(axes, lengths, strict=True) if a in "ZYX"}
    check(path, pixels, axes, known)


# ------------------------------------------------------------------------ HDF5


@given(data=st.data(), pixels=arrays(ALL_TYPES))
@SOME
def test_hdf5_of_h5py(tmp_path, data, pixels):
    axes = data.draw(orders(pixels.ndim))
    chunks = data.draw(st.none() | st.tuples(*[st.integers(1, n) for n in pixels.shape]))
    options = {"chunks": chunks}
    if chunks is not None:
        options |= {"compression": data.draw(st.sampled_from([None, "gzip", "lzf"])),
                    "shuffle": data.draw(st.booleans()),
                    "fletcher32": data.draw(st.booleans())}  # fmt: skip
    path = place(tmp_path, ".h5")
    lengths = [data.draw(LENGTHS) for _ in "ZYX"]
    with h5py.File(path, "w") as file:
        node = file.create_dataset("some/data", data=pixels, **options)
        tags = [{"key": axis.lower(), "typeFlags": 2} for axis in axes]
        node.attrs["axistags"] = json.dumps({"axes": tags})
        spatial = [axis for axis in axes if axis in "ZYX"]
        node.attrs["element_size_um"] = lengths[-len(spatial) :]
    sizes = {a: um_of(n, "um") for a, n in zip(spatial, lengths[-len(spatial) :], strict=True)}
    check(path / "some/data", pixels, axes, sizes)


# -------------------------------------------------------------- MRC, NIfTI, NRRD


@given(data=st.data(), pixels=arrays(["i1", *both_orders("i2", "u2", "f2", "f4")], ndim=(3, 3)))
@SOME
def test_mrc_of_mrcfile(tmp_path, data, pixels):
    assume(np.isfinite(pixels.astype(float)).all())
    path = place(tmp_path, ".mrc")
    angstrom = [data.draw(st.floats(0.5, 1e5)) for _ in "XYZ"]
    with mrcfile.new(path) as file:
        file.set_data(pixels)
        file.voxel_size = tuple(angstrom)
    check(path, pixels, "ZYX", {a: n / 1e4 for a, n in zip("XYZ", angstrom, strict=True)})


@given(data=st.data(), pixels=arrays(
    ["u1", "i1", *both_orders("u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")], ndim=(2, 4)
))  # fmt: skip
@SOME
def test_nifti_of_nibabel(tmp_path, data, pixels):
    axes = "TZYX"[-pixels.ndim :]
    assume("T" not in axes or pixels.shape[0] > 1)  # one point in time is none
    make = data.draw(st.sampled_from([nibabel.Nifti1Image, nibabel.Nifti2Image]))
    kind = nibabel.Nifti1Header if make is nibabel.Nifti1Image else nibabel.Nifti2Header
    header = kind(endianness=">" if pixels.dtype.byteorder == ">" else "<")
    header.set_data_dtype(pixels.dtype)
    image = make(pixels.T, np.eye(4), header)
    unit = data.draw(st.sampled_from(["micron", "mm", "meter", "unknown"]))
    steps = [data.draw(st.floats(1e-3, 1e3)) for _ in axes]
    image.header.set_zooms(steps)
    image.header.set_xyzt_units(xyz=unit)
    path = place(tmp_path, data.draw(st.sampled_from([".nii", ".nii.gz"])))
    nibabel.save(image, path)
    factor = {"micron": 1.0, "mm": 1e3, "meter": 1e6, "unknown": None}[unit]
    sizes = {a: factor and n * factor for a, n in zip("XYZ", steps, strict=False)}
    check(path, pixels, axes, sizes)


@given(data=st.data(), pixels=arrays(
    ["u1", "i1", *both_orders("u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")], ndim=(2, 4)
))  # fmt: skip
@SOME
def test_nrrd_of_pynrrd(tmp_path, data, pixels):
    axes = data.draw(orders(pixels.ndim))
    unit = data.draw(st.sampled_from(["um", "nm", "mm", "pixel"]))
    # pynrrd writes no fewer digits than it needs.
    lengths = [data.draw(st.floats(1e-3, 1e3) | st.just(math.nan)) for _ in axes]
    header = {
        "encoding": data.draw(st.sampled_from(["raw", "gzip", "bzip2"])),
        "labels": list(axes.lower()[::-1]),
        "spacings": lengths[::-1],
        "units": [unit] * len(axes),
    }
    ending = data.draw(st.sampled_from([".nrrd", ".nhdr"]))
    path = place(tmp_path, ending)
    nrrd.write(str(path), pixels.T, header, detached_header=ending == ".nhdr")
    sizes = {a: um_of(n, unit) for a, n in zip(axes, lengths, strict=True) if a in "ZYX"}
    check(path, pixels, axes, sizes)


# ------------------------------------------------------------------ makers' own


@given(data=st.data(), pixels=arrays(["u1", "u2", "f4"], ndim=(5, 5)))
@settings(SOME, max_examples=15)
def test_czi_of_pylibczirw(tmp_path, data, pixels):
    pixels = np.repeat(np.repeat(pixels, 5, axis=3), 7, axis=4)
    path = place(tmp_path, ".czi")
    metres = [data.draw(st.none() | st.floats(1e-9, 1e-3)) for _ in "XYZ"]
    with czi.create_czi(str(path)) as file:
        for t, c, z in np.ndindex(pixels.shape[:3]):
            plane = np.ascontiguousarray(pixels[t, c, z][..., np.newaxis])
            file.write(plane, plane={"T": t, "C": c, "Z": z})
        file.write_metadata("a", scale_x=metres[0], scale_y=metres[1], scale_z=metres[2])
    single = tuple(i for i in (0, 2) if pixels.shape[i] == 1)
    axes = "".join(axis for i, axis in enumerate("TCZYX") if i not in single)
    sizes = {a: n and n * 1e6 for a, n in zip("XYZ", metres, strict=True)}
    check(path, pixels.squeeze(single), axes, sizes)


@given(data=st.data(), pixels=arrays(["u1", "<u2"], ndim=(2, 5), least=2))
@SOME
def test_lif(tmp_path, data, pixels):
    axes = "".join([*data.draw(st.permutations("TCZ"))[: pixels.ndim - 2], "Y", "X"])
    assume("C" not in axes or pixels.shape[axes.index("C")] <= 3)
    path = place(tmp_path, ".lif")
    metres = data.draw(st.floats(1e-9, 1e-3))
    write_lif(path, {"one": (pixels, axes)}, size_m=metres)
    sizes = {a: metres * 1e6 * (5 if a == "Z" else 1) for a in "ZYX" if a in axes}
    check(path, pixels, axes, sizes)


@given(pixels=arrays(["bool", "u1", "i1", *both_orders("u2", "i2", "u4", "i4", "u8", "i8")],
                     ndim=(2, 4), least=2), turned=st.booleans())  # fmt: skip
@SOME
def test_npy_of_labels(tmp_path, pixels, turned):
    path = place(tmp_path, ".npy")
    np.save(path, np.asfortranarray(pixels) if turned else pixels)
    found = open_label_stack(path)
    assert found.axes == "TZYX"[-pixels.ndim :]
    np.testing.assert_array_equal(np.asarray(found.data), pixels)


# ------------------------------------------------------------------ what we write

OURS = st.sampled_from([".ome.tif", ".zarr"])
NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp", "Cn", "Co")),
                min_size=1, max_size=8)  # fmt: skip


@st.composite
def stacks(draw, dtypes=ALL_TYPES):
    # An axis of length 1 is none in a TIFF.
    pixels = draw(arrays(dtypes, least=2))
    axes = "".join(sorted(draw(orders(pixels.ndim)), key="TCZYX".index))
    known = draw(st.sets(st.sampled_from("ZYX"))) & set(axes)
    sizes = {axis: draw(st.floats(1e-4, 1e4)) for axis in sorted(known)}
    n_channels = pixels.shape[axes.index("C")] if "C" in axes else 1
    names = tuple(draw(st.lists(NAMES, min_size=n_channels, max_size=n_channels)))
    return Stack(pixels, axes, sizes, "cells", None, names)


@given(written=stacks(), ending=OURS, is_lazy=st.booleans(), compress=st.booleans())
@settings(SOME, max_examples=40)
def test_images_come_back_as_they_were_written(tmp_path, written, ending, is_lazy, compress):
    path = place(tmp_path, ending)
    lazy = replace(written, data=dask.array.from_array(written.data, 3)) if is_lazy else written
    # OME-TIFF has no integers of 64 bits; these have the extremes of theirs.
    if ending == ".ome.tif" and written.dtype in (np.int64, np.uint64):
        with pytest.raises(UserError, match="32-bit integers at most"):
            write_image(path, lazy, compress=compress)
        assert not path.exists()
        return
    write_image(path, lazy, compress=compress)
    found = open_stack(path)
    assert (found.axes, found.shape) == (written.axes, written.shape)
    assert found.name == path.name.removesuffix(ending)
    assert found.channels == written.channels
    assert found.pixel_size_um == pytest.approx(written.pixel_size_um, rel=1e-9)
    np.testing.assert_array_equal(np.asarray(found.data), np.asarray(written.data))
    if ending == ".zarr":
        assert found.dtype == written.dtype


@given(written=stacks(["u1"]), ending=OURS, n_classes=st.integers(1, 4), data=st.data())
@SOME
def test_probabilities_come_back_with_their_classes(tmp_path, written, ending, n_classes, data):
    names = data.draw(st.lists(NAMES, min_size=n_classes, max_size=n_classes, unique=True))
    classes = tuple(LabelClass(name=name, color="#112233") for name in names)
    shape = (written.n_planes, n_classes + 1, *written.plane_shape)
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    path = place(tmp_path, ending)
    write_probabilities(path, values, like=written, classes=classes)
    found = open_stack(path)
    assert found.channels == ("background", *names)
    assert found.pixel_size_um == pytest.approx(written.pixel_size_um)
    np.testing.assert_array_equal(np.stack(list(found.planes())), values)


@given(data=st.data(), is_old=st.booleans())
@SOME
def test_labels_inside_any_ome_zarr_come_back(tmp_path, data, is_old):
    image = data.draw(stacks(["u1", ">u2", "f4"]))
    path = place(tmp_path, ".zarr")
    write_image(path, image)
    if is_old:
        about = dict(zarr.open_group(path, mode="r").attrs["ome"])
        shutil.rmtree(path)
        group = zarr.open_group(path, mode="w", zarr_format=2)
        group.create_array("0", data=image.data)
        about["multiscales"][0]["datasets"] = about["multiscales"][0]["datasets"][:1]
        group.attrs.update({"multiscales": about["multiscales"]})
    ids = data.draw(arrays(["u4"], ndim=(1, 1), least=4))
    axes = image.axes.replace("C", "")
    values = np.resize(ids, image.labels_shape)
    color = "#" + bytes(data.draw(st.tuples(*[st.integers(0, 255)] * 3))).hex()
    classes = (LabelClass(name=data.draw(NAMES), color=color),)
    about = described("objects", classes, {int(ids[0]) or 1: 1})
    labels = Stack(values, axes, image.pixel_size_um, "cells", metadata=about)
    write_label_stack(path / "labels" / "ours", labels)
    found = open_label_stack(path / "labels" / "ours")
    assert found.axes == axes
    assert found.pixel_size_um == pytest.approx(image.pixel_size_um)
    assert found.metadata == about
    np.testing.assert_array_equal(np.asarray(found.data), values)
