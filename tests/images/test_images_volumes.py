"""MRC, NIfTI and NRRD, against the packages that their communities read and write them with."""

import contextlib
import gzip
import logging
import struct

import mrcfile
import nibabel
import nrrd
import numpy as np
import pytest

from napari_unetseg.errors import UserError
from napari_unetseg.images import mapped, open_stack

RNG = np.random.default_rng(0)


def pixels(*shape, dtype="uint8"):
    low = 0 if np.dtype(dtype).kind in "u" else -100
    return RNG.integers(low, 100, shape).astype(dtype)


def write_mrc(path, image, *, voxel_size=0.0, stack=False):
    with mrcfile.new(path) as file:
        file.set_data(image)
        file.voxel_size = voxel_size
        if stack:
            file.set_image_stack()


def write_nifti(path, image, *, steps=(1, 1, 1), unit="micron", kind=nibabel.Nifti1Image):
    """Write an image, the fastest axis first."""
    made = kind(image, np.diag([*steps, 1.0]), dtype=image.dtype)
    made.header.set_zooms([*steps, *(1.0 for _ in image.shape[3:])][: image.ndim])
    made.header.set_xyzt_units(xyz=unit)
    nibabel.save(made, path)


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32", "uint16", "float16"])
@pytest.mark.parametrize("order", "<>")
def test_every_mode_of_mrc_is_mapped_with_its_voxel_size(tmp_path, dtype, order):
    image = pixels(5, 20, 30, dtype=dtype)
    path = tmp_path / "a.mrc"
    write_mrc(path, image.astype(np.dtype(dtype).newbyteorder(order)), voxel_size=(10, 20, 500.0))
    stack = open_stack(path)
    assert (stack.axes, stack.shape, stack.dtype) == ("ZYX", (5, 20, 30), np.dtype(dtype))
    assert stack.pixel_size_um == pytest.approx({"Z": 0.05, "Y": 0.002, "X": 0.001})
    assert isinstance(stack.data, np.memmap)
    assert stack.plane(2).dtype.isnative
    with mrcfile.open(path) as file:
        np.testing.assert_array_equal(np.asarray(stack.data), file.data)


def test_a_map_an_image_stack_and_a_stack_of_volumes_have_their_axes(tmp_path):
    write_mrc(tmp_path / "a.map", pixels(20, 30, dtype="float32"), voxel_size=2)
    write_mrc(tmp_path / "b.mrcs", pixels(7, 20, 30, dtype="int16"), voxel_size=2, stack=True)
    write_mrc(tmp_path / "c.rec", pixels(3, 7, 20, 30, dtype="int16"), voxel_size=2)
    a, b, c = (open_stack(tmp_path / name) for name in ("a.map", "b.mrcs", "c.rec"))
    assert (a.axes, a.plane_shape) == ("ZYX", (20, 30))
    assert (b.axes, b.shape, sorted(b.pixel_size_um)) == ("TYX", (7, 20, 30), ["X", "Y"])
    assert (c.axes, c.shape, sorted(c.pixel_size_um)) == ("TZYX", (3, 7, 20, 30), ["X", "Y", "Z"])


def test_an_extended_header_imods_bytes_and_its_colours_are_understood(tmp_path):
    image = pixels(5, 20, 30)
    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, 30, 20, 5, 0)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    struct.pack_into("<i", header, 92, 128)
    struct.pack_into("<2i", header, 152, 1146047817, 0)
    path = tmp_path / "a.rec"
    path.write_bytes(bytes(header) + bytes(128) + image.tobytes())
    stack = open_stack(path)
    assert (stack.dtype, stack.pixel_size_um) == (np.dtype("uint8"), {})
    np.testing.assert_array_equal(np.asarray(stack.data), image)
    colours = pixels(5, 20, 30, 3)
    struct.pack_into("<i", header, 12, 16)
    path.write_bytes(bytes(header) + bytes(128) + colours.tobytes())
    stack = open_stack(path)
    assert (stack.axes, stack.channels) == ("CZYX", ("red", "green", "blue"))
    np.testing.assert_array_equal(stack.plane(1), np.moveaxis(colours[1], -1, 0))


def test_axes_of_mrc_that_lie_otherwise_are_turned(tmp_path):
    image = pixels(5, 20, 30, dtype="int16")
    path = tmp_path / "a.mrc"
    write_mrc(path, image, voxel_size=(10, 10, 50.0))
    with mrcfile.open(path, "r+") as file:  # columns along Z, sections along X
        file.header.mapc, file.header.mapr, file.header.maps = 3, 2, 1
    stack = open_stack(path)
    assert (stack.axes, stack.shape) == ("ZYX", (30, 20, 5))
    np.testing.assert_array_equal(np.asarray(stack.data), image.transpose(2, 1, 0))


@pytest.mark.parametrize(("mode", "said"), [(4, "Fourier transform"), (101, "half bytes")])
def test_what_is_no_image_in_mrc_is_one_sentence(tmp_path, mode, said):
    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, 30, 20, 5, mode)
    (tmp_path / "a.mrc").write_bytes(bytes(header) + bytes(30 * 20 * 5 * 8))
    with pytest.raises(UserError, match=said):
        open_stack(tmp_path / "a.mrc")


NIFTI_TYPES = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64",
               "int64", "uint64"]  # fmt: skip


@pytest.mark.parametrize("dtype", NIFTI_TYPES)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_every_type_of_nifti_is_read_with_its_voxel_size(tmp_path, dtype, suffix, kind):
    image = pixels(30, 20, 5, dtype=dtype)
    path = tmp_path / f"a{suffix}"
    write_nifti(path, image, steps=(0.1, 0.2, 0.5), kind=kind)
    stack = open_stack(path)
    assert (stack.name, stack.axes, stack.dtype) == ("a", "ZYX", np.dtype(dtype))
    assert stack.pixel_size_um == pytest.approx({"Z": 0.5, "Y": 0.2, "X": 0.1})
    assert isinstance(stack.data, np.memmap) == (suffix == ".nii")
    np.testing.assert_array_equal(np.asarray(stack.data), image.T)


def test_big_endian_nifti_arrives_in_this_machines_order(tmp_path):
    image = pixels(30, 20, 5, dtype="int16")
    made = nibabel.Nifti1Image(image, np.eye(4), nibabel.Nifti1Header(endianness=">"))
    made.header.set_data_dtype(">i2")
    nibabel.save(made, tmp_path / "a.nii")
    stack = open_stack(tmp_path / "a.nii")
    assert stack.plane(2).dtype.isnative
    np.testing.assert_array_equal(stack.plane(2)[0], image[..., 2].T)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((30, 20), "YX"),
        ((30, 20, 5, 3), "TZYX"),
        ((30, 20, 5, 1), "ZYX"),
        ((30, 20, 5, 3, 2), "TCZYX"),
        ((30, 20, 5, 1, 2), "CZYX"),
    ],
)
def test_axes_of_nifti_are_x_y_z_time_and_channels(tmp_path, shape, axes):
    image = pixels(*shape, dtype="int16")
    write_nifti(tmp_path / "a.nii", image)
    stack = open_stack(tmp_path / "a.nii")
    assert stack.axes == axes
    wanted = np.einsum("xyztc->tczyx", image.reshape(shape + (1,) * (5 - len(shape)))).squeeze()
    np.testing.assert_array_equal(np.asarray(stack.data), wanted)


@pytest.mark.parametrize(("unit", "x"), [("mm", 100.0), ("meter", 1e5), ("unknown", None)])
def test_units_of_nifti_are_kept(tmp_path, unit, x):
    write_nifti(tmp_path / "a.nii", pixels(30, 20, 5), steps=(0.1, 0.1, 0.1), unit=unit)
    found = open_stack(tmp_path / "a.nii").pixel_size_um
    assert found == ({} if x is None else pytest.approx(dict.fromkeys("ZYX", x)))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_values_of_nifti_are_scaled_as_its_header_says(tmp_path, suffix):
    image = pixels(30, 20, 5, dtype="int16")
    path = tmp_path / f"a{suffix}"
    made = nibabel.Nifti1Image(image, np.eye(4))
    made.header.set_slope_inter(0.5, -3)
    with nibabel.openers.Opener(path, "wb") as file:
        made.header["magic"] = b"n+1"
        made.header["vox_offset"] = 352
        made.header.write_to(file)
        file.write(bytes(4) + image.tobytes("F"))
    expected = nibabel.load(path).get_fdata(dtype=np.float32)
    stack = open_stack(path)
    assert stack.dtype == np.float32
    np.testing.assert_allclose(np.asarray(stack.data), expected.T)
    assert expected.min() < -3


def test_colours_of_nifti_are_channels(tmp_path):
    image = pixels(30, 20, 5, 3)
    colours = image.view(np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))[..., 0]
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), tmp_path / "a.nii")
    stack = open_stack(tmp_path / "a.nii")
    assert (stack.axes, stack.channels) == ("CZYX", ("red", "green", "blue"))
    np.testing.assert_array_equal(stack.plane(2), image[:, :, 2].T)


def test_what_must_be_read_whole_says_how_much_memory_it_takes_before(
    tmp_path, monkeypatch, caplog
):
    path = tmp_path / "a.nii.gz"
    write_nifti(path, pixels(100, 100, 30))
    monkeypatch.setattr(mapped, "_WORTH_A_WORD_BYTES", 1000)
    with caplog.at_level(logging.WARNING):
        open_stack(path)
    assert "must be read whole, which takes 0 MB" in caplog.text
    monkeypatch.setattr(mapped, "free_memory_bytes", lambda: 200_000)
    with pytest.raises(UserError, match="takes 0 MB of memory, and 0 MB are free; save it uncomp"):
        open_stack(path)


def test_a_header_that_promises_too_much_takes_no_memory(tmp_path):
    path = tmp_path / "a.nii.gz"
    write_nifti(path, pixels(30, 20, 5))
    header = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into("<4h", header, 40, 3, 30000, 30000, 30000)
    path.write_bytes(gzip.compress(bytes(header)))
    with pytest.raises(UserError, match=r"takes 27000\.0 GB of memory"):
        open_stack(path)


NRRD_TYPES = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64",
              "int64", "uint64"]  # fmt: skip


@pytest.mark.parametrize("dtype", NRRD_TYPES)
@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
def test_every_type_of_nrrd_is_read(tmp_path, dtype, encoding):
    image = pixels(5, 20, 30, dtype=dtype)
    path = tmp_path / "a.nrrd"
    nrrd.write(str(path), image, {"encoding": encoding, "type": dtype}, index_order="C")
    stack = open_stack(path)
    assert (stack.axes, stack.dtype, stack.pixel_size_um) == ("ZYX", np.dtype(dtype), {})
    assert isinstance(stack.data, np.memmap) == (encoding == "raw")
    np.testing.assert_array_equal(np.asarray(stack.data), nrrd.read(str(path), index_order="C")[0])


@pytest.mark.parametrize("name", ["a.nhdr", "a.nrrd"])
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_pixels_of_nrrd_may_lie_in_a_file_of_their_own_and_be_big_endian(tmp_path, name, encoding):
    image = pixels(5, 20, 30, dtype=">i2")
    header = {"encoding": encoding, "endian": "big"}
    nrrd.write(str(tmp_path / name), image, header, index_order="C")
    stack = open_stack(tmp_path / name)
    assert stack.plane(2).dtype == np.int16
    np.testing.assert_array_equal(stack.plane(2)[0], image[2])


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"spacings": [0.1, 0.2, 0.5], "units": ["um"] * 3}, {"Z": 0.5, "Y": 0.2, "X": 0.1}),
        ({"spacings": [100, 200, 500], "units": ["nm"] * 3}, {"Z": 0.5, "Y": 0.2, "X": 0.1}),
        ({"spacings": [0.1, 0.2, 0.5]}, {}),
        (
            {
                "space dimension": 3,
                "space directions": [[0, 0.1, 0], [0.2, 0, 0], [0, 0, -0.5]],
                "space units": ["microns"] * 3,
            },
            {"Z": 0.5, "Y": 0.2, "X": 0.1},
        ),
        (
            {
                "space": "left-posterior-superior",
                "space directions": [[0.003, 0.004, 0], [0, 0.005, 0], [0, 0, 0.05]],
            },
            {"Z": 50.0, "Y": 5.0, "X": 5.0},
        ),
    ],
)
def test_spacings_of_nrrd_are_believed_where_their_unit_is_known(tmp_path, header, expected):
    nrrd.write(str(tmp_path / "a.nrrd"), pixels(30, 20, 5), header)
    assert open_stack(tmp_path / "a.nrrd").pixel_size_um == pytest.approx(expected)


@pytest.mark.parametrize(
    ("shape", "header", "axes"),
    [
        ((3, 30, 20, 5), {"kinds": ["RGB-color", "domain", "domain", "domain"]}, "CZYX"),
        ((30, 20, 5, 4), {"kinds": ["domain", "domain", "domain", "time"]}, "TZYX"),
        ((2, 30, 20, 5), {"kinds": ["vector", "space", "space", "space"]}, "CZYX"),
        ((30, 20, 5), {"labels": ["x", "y", "t"]}, "TYX"),
        ((2, 30, 20, 5), {}, "CZYX"),
        ((30, 20, 5, 4), {}, "TZYX"),
    ],
)
def test_axes_of_nrrd_are_what_its_kinds_and_labels_say(tmp_path, shape, header, axes):
    image = pixels(*shape)
    nrrd.write(str(tmp_path / "a.nrrd"), image, header)
    stack = open_stack(tmp_path / "a.nrrd")
    assert stack.axes == axes
    assert stack.channels == (("red", "green", "blue") if "RGB" in str(header) else stack.channels)
    assert np.asarray(stack.data).sum() == image.sum()


def test_what_nrrd_cannot_be_read_with_is_said(tmp_path):
    image = pixels(30, 20, 5)
    nrrd.write(str(tmp_path / "a.nrrd"), image, {"encoding": "ASCII"})
    with pytest.raises(UserError, match="save it with encoding raw or gzip"):
        open_stack(tmp_path / "a.nrrd")
    nrrd.write(str(tmp_path / "b.nhdr"), image)
    (data_file,) = tmp_path.glob("b.raw*")
    data_file.unlink()
    with pytest.raises(UserError, match="put it beside it"):
        open_stack(tmp_path / "b.nhdr")
    header = (tmp_path / "b.nhdr").read_text().replace(data_file.name, "z%d.raw 1 5 1")
    (tmp_path / "b.nhdr").write_text(header)
    with pytest.raises(UserError, match="over many files"):
        open_stack(tmp_path / "b.nhdr")


def test_a_single_image_has_no_parts(tmp_path):
    write_mrc(tmp_path / "a.mrc", pixels(5, 20, 30, dtype="int16"))
    with pytest.raises(UserError, match="is one image and has no part 'b'"):
        open_stack(tmp_path / "a.mrc" / "b")


WRITERS = {
    "a.mrc": lambda path, image: write_mrc(path, image, voxel_size=3),
    "a.nii": lambda path, image: write_nifti(path, image.T),
    "a.nii.gz": lambda path, image: write_nifti(path, image.T),
    "a.nrrd": lambda path, image: nrrd.write(str(path), image.T, {"encoding": "raw"}),
    "b.nrrd": lambda path, image: nrrd.write(str(path), image.T, {"encoding": "gzip"}),
    "c.nrrd": lambda path, image: nrrd.write(str(path), image.T, {"encoding": "bzip2"}),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("share", [0, 0.002, 0.05, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_one_sentence_and_never_zeros(tmp_path, name, share):
    path = tmp_path / name
    WRITERS[name](path, pixels(6, 64, 80, dtype="int16"))
    open_stack(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=rf"{name} (is damaged|cannot be read)"):
        open_stack(path)


@pytest.mark.parametrize("name", WRITERS)
def test_no_damaged_byte_brings_more_than_a_sentence(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path, pixels(3, 20, 30, dtype="int16"))
    whole = path.read_bytes()
    random = np.random.default_rng(7)
    for _ in range(200):
        content = bytearray(whole)
        for at in random.integers(0, min(len(content), 1024), random.integers(1, 6)):
            content[at] = random.integers(0, 256)
        path.write_bytes(content)
        with contextlib.suppress(UserError):
            open_stack(path).plane(0)


def test_a_changed_byte_in_what_gzip_packed_is_found_by_its_checksum(tmp_path):
    path = tmp_path / "a.nii.gz"
    write_nifti(path, np.zeros((64, 64, 30), np.int16))
    whole = bytearray(path.read_bytes())
    whole[-6] ^= 1
    path.write_bytes(whole)
    with pytest.raises(UserError, match=r"a\.nii\.gz cannot be read as NII\.GZ"):
        open_stack(path)
