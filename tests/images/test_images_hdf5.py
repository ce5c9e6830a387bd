"""HDF5 files as ilastik, PlantSeg, BigDataViewer and others write them."""

import contextlib
import json
import subprocess
import sys

import h5py
import numpy as np
import pytest

from napari_unetseg.errors import UserError
from napari_unetseg.images import find_inputs, open_stack, stem_of

RNG = np.random.default_rng(0)


def pixels(*shape, dtype="uint8"):
    return RNG.integers(0, 255, shape).astype(dtype)


def axistags(axes):
    return json.dumps({"axes": [{"key": key, "typeFlags": 2, "resolution": 0} for key in axes]})


def write(path, arrays, **attributes):
    with h5py.File(path, "w") as file:
        for name, data in arrays.items():
            file.create_dataset(name, data=data, chunks=True, compression="gzip")
            file[name].attrs.update(attributes)


@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [
        ("tzyxc", (2, 3, 20, 30, 4), "TCZYX"),
        ("zyxc", (3, 20, 30, 2), "CZYX"),
        ("xyz", (30, 20, 3), "ZYX"),
        ("yxc", (20, 30, 1), "CYX"),
    ],
)
def test_ilastiks_axes_are_those_of_its_tags(tmp_path, axes, shape, expected):
    image = pixels(*shape)
    write(tmp_path / "a.h5", {"exported_data": image}, axistags=axistags(axes))
    stack = open_stack(tmp_path / "a.h5")
    assert stack.axes == expected
    reordered = np.einsum(f"{axes}->{expected.lower()}", image)
    np.testing.assert_array_equal(np.asarray(stack.data), reordered)


def test_plantsegs_voxels_have_their_size_and_raw_is_the_image(tmp_path):
    arrays = {"label": pixels(10, 20, 30, dtype="uint32"), "raw": pixels(10, 20, 30)}
    write(tmp_path / "a.h5", arrays, element_size_um=[0.3, 0.1, 0.2])
    stack = open_stack(tmp_path / "a.h5")
    assert (stack.axes, stack.dtype) == ("ZYX", np.dtype("uint8"))
    assert stack.pixel_size_um == {"Z": 0.3, "Y": 0.1, "X": 0.2}
    assert stack.parts == ("label",)
    assert stack.notes == ("a.h5 holds 2 images; this is raw.",)
    np.testing.assert_array_equal(stack.plane(4)[0], arrays["raw"][4])


@pytest.mark.parametrize("place", ["a.h5/volumes/labels/ids", "a.h5:volumes/labels/ids",
                                   "a.h5:/volumes/labels/ids", "a.h5/volumes/labels"])  # fmt: skip
def test_an_array_is_chosen_behind_the_name_of_the_file(tmp_path, place):
    ids = pixels(10, 20, 30, dtype="uint64")
    write(tmp_path / "a.h5", {"volumes/labels/ids": ids, "volumes/raw": pixels(10, 20, 30)})
    stack = open_stack(tmp_path / place)
    assert stack.dtype == np.dtype("uint64")
    assert (stack.notes, stack.parts) == ((), ("volumes/raw",))
    np.testing.assert_array_equal(np.asarray(stack.data), ids)
    assert open_stack(stack.path).shape == stack.shape


def test_a_place_in_a_file_is_an_input_with_a_name_of_its_own(tmp_path):
    write(tmp_path / "a.h5", {"volumes/raw": pixels(10, 20, 30)})
    (found,) = find_inputs([f"{tmp_path}/a.h5:volumes/raw"])
    assert found == tmp_path / "a.h5" / "volumes" / "raw"
    assert stem_of(found) == open_stack(found).name == "a_volumes_raw"


def test_cremis_resolution_is_in_nm_and_units_are_believed(tmp_path):
    write(tmp_path / "a.h5", {"volumes/raw": pixels(10, 20, 30)}, resolution=[40.0, 4.0, 4.0])
    assert open_stack(tmp_path / "a.h5").pixel_size_um == {"Z": 0.04, "Y": 0.004, "X": 0.004}
    attributes = {"resolution": [2.0, 1.0, 1.0], "unit": "micrometer"}
    write(tmp_path / "b.h5", {"x": pixels(10, 20, 30)}, **attributes)
    assert open_stack(tmp_path / "b.h5").pixel_size_um == {"Z": 2.0, "Y": 1.0, "X": 1.0}
    write(tmp_path / "c.h5", {"x": pixels(10, 20, 30)}, resolution=[40.0, 4.0, 4.0])
    assert open_stack(tmp_path / "c.h5").pixel_size_um == {}


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((20, 30), "YX"),
        ((10, 20, 30), "ZYX"),
        ((20, 30, 3), "CYX"),
        ((10, 20, 30, 2), "CZYX"),
        ((2, 10, 20, 30), "CZYX"),
        ((9, 10, 20, 30), "TZYX"),
    ],
)
def test_axes_that_nothing_names_are_guessed_and_can_be_given(tmp_path, shape, axes):
    write(tmp_path / "a.h5", {"data": pixels(*shape)})
    assert open_stack(tmp_path / "a.h5").axes == axes
    given = "XYZTC"[: len(shape)]
    assert set(open_stack(tmp_path / "a.h5", axes=given).axes) == set(given)


@pytest.mark.parametrize("dtype", ["bool", ">u2", ">f4", "float16", "int64"])
def test_pixels_arrive_as_they_are_in_this_machines_order(tmp_path, dtype):
    image = (pixels(10, 20, 30) % 2).astype(dtype)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = image
    stack = open_stack(tmp_path / "a.h5")
    assert stack.plane(3).dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(stack.plane(3)[0], image[3])


def test_only_what_is_looked_at_is_read(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:  # 4 TB, of which nothing is stored
        data = file.create_dataset("raw", (10_000, 20_000, 20_000), "u1", chunks=(16, 64, 64))
        data[5000, 100:110, 100:110] = 7
    stack = open_stack(path)
    assert stack.shape == (10_000, 20_000, 20_000)
    assert (np.asarray(stack.data[5000, 100:110, 100:110]) == 7).all()


def test_the_file_may_be_replaced_while_its_stack_is_open(tmp_path):
    path = tmp_path / "a.h5"
    write(path, {"raw": pixels(10, 20, 30)})
    stack = open_stack(path)
    path.write_bytes(b"something else")
    with pytest.raises(UserError, match=r"a\.h5 cannot be read as H5"):
        stack.plane(0)


BDV_XML = """<?xml version="1.0" encoding="UTF-8"?>
<SpimData version="0.2"><SequenceDescription><ViewSetups>
<ViewSetup><id>0</id><name>DAPI</name>
<voxelSize><unit>micrometer</unit><size>0.1 0.2 0.5</size></voxelSize></ViewSetup>
<ViewSetup><id>1</id><name>GFP</name>
<voxelSize><unit>micrometer</unit><size>0.1 0.2 0.5</size></voxelSize></ViewSetup>
</ViewSetups></SequenceDescription></SpimData>"""


def write_bdv(path, *, times=3, setups=2):
    """Write two levels; return full resolution, shape (T, C, Z, Y, X)."""
    image = RNG.integers(0, 65535, (times, setups, 8, 20, 30)).astype(np.uint16)
    with h5py.File(path, "w") as file:
        for s in range(setups):
            file[f"s{s:02}/resolutions"] = np.array([[1.0, 1, 1], [2, 2, 1]])
            file[f"s{s:02}/subdivisions"] = np.array([[16, 16, 16], [16, 16, 16]], "i4")
            for t in range(times):
                for level, step in ((0, 1), (1, 2)):
                    cells = image[t, s, :, ::step, ::step].view(np.int16)
                    file.create_dataset(f"t{t:05}/s{s:02}/{level}/cells", data=cells, chunks=True)
    path.with_suffix(".xml").write_text(BDV_XML)
    return image


def test_bigdataviewers_views_are_time_points_and_channels(tmp_path):
    image = write_bdv(tmp_path / "a.h5")
    stack = open_stack(tmp_path / "a.h5")
    assert (stack.axes, stack.channels) == ("TCZYX", ("DAPI", "GFP"))
    assert stack.dtype == np.uint16
    assert stack.pixel_size_um == {"Z": 0.5, "Y": 0.2, "X": 0.1}
    np.testing.assert_array_equal(np.asarray(stack.data), image)


@pytest.mark.parametrize(
    ("part", "axes", "where", "x_um"),
    [
        ("s01", "TCZYX", np.s_[:, 1:], 0.1),
        ("1", "TCZYX", np.s_[..., ::2, ::2], 0.2),
        ("s01/1", "TCZYX", np.s_[:, 1:, :, ::2, ::2], 0.2),
        ("t00002/s01/1/cells", "ZYX", np.s_[2, 1, :, ::2, ::2], 0.2),
    ],
)
def test_a_setup_a_level_or_a_view_of_bigdataviewers_is_chosen(tmp_path, part, axes, where, x_um):
    image = write_bdv(tmp_path / "a.h5")
    stack = open_stack(tmp_path / "a.h5" / part)
    assert (stack.axes, stack.pixel_size_um["X"]) == (axes, x_um)
    np.testing.assert_array_equal(np.asarray(stack.data).view(np.uint16), image[where])


def test_missing_views_of_bigdataviewers_are_told(tmp_path):
    image = write_bdv(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["t00001/s01/0/cells"]
    stack = open_stack(tmp_path / "a.h5")
    assert stack.notes == ("1 view missing and shown as 0, such as t00001/s01/0/cells.",)
    np.testing.assert_array_equal(stack.data[2, 1], image[2, 1])
    assert not np.asarray(stack.data[1, 1]).any()


def test_bigdataviewers_file_without_its_xml_has_no_voxel_size(tmp_path):
    write_bdv(tmp_path / "a.h5")
    (tmp_path / "a.xml").write_text("<SpimData><broken")
    assert open_stack(tmp_path / "a.h5").pixel_size_um == {}


@pytest.mark.parametrize("part", ["s07", "9", "t00000", "nothing/here", "s00/resolution"])
def test_a_view_that_is_not_there_is_one_sentence(tmp_path, part):
    write_bdv(tmp_path / "a.h5")
    with pytest.raises(UserError, match="holds no image"):
        open_stack(tmp_path / "a.h5" / part)


def test_an_array_that_is_not_there_or_no_image_is_one_sentence(tmp_path):
    write(tmp_path / "a.h5", {"raw": pixels(10, 20, 30)})
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["names"] = ["one", "two"]
        file["empty"] = h5py.Empty("f4")
        file["table"] = np.zeros((100, 3))
        file["beyond"] = h5py.ExternalLink("elsewhere.h5", "raw")
    assert open_stack(tmp_path / "a.h5").parts == ()
    for part in ("label", "names", "empty", "beyond"):
        with pytest.raises(UserError, match=r"a\.h5"):
            open_stack(tmp_path / "a.h5" / part)
    write(tmp_path / "b.h5", {"spots": np.zeros((100, 3))})
    with pytest.raises(UserError, match="no image at all"):
        open_stack(tmp_path / "b.h5")


def test_without_h5py_the_line_to_install_it_is_said(tmp_path, monkeypatch):
    write(tmp_path / "a.h5", {"raw": pixels(10, 20, 30)})
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r'pip install "napari-unetseg\[hdf5\]"'):
        open_stack(tmp_path / "a.h5")


@pytest.mark.parametrize("share", [0, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_one_sentence(tmp_path, share):
    path = tmp_path / "a.h5"
    write(path, {"raw": pixels(10, 64, 80)})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=r"a\.h5"):
        np.asarray(open_stack(path).data)


def test_no_damaged_byte_brings_more_than_a_sentence(tmp_path):
    path = tmp_path / "a.h5"
    write(path, {"raw": pixels(5, 20, 30)}, element_size_um=[1.0, 1.0, 1.0])
    whole = path.read_bytes()
    random = np.random.default_rng(7)
    for _ in range(150):
        content = bytearray(whole)
        for at in random.integers(0, len(content), random.integers(1, 6)):
            content[at] = random.integers(0, 256)
        path.write_bytes(content)
        with contextlib.suppress(UserError):
            open_stack(path).plane(0)


def test_chunks_without_a_length_are_one_sentence_and_no_crash(tmp_path):
    """HDF5 shows zeros in their place, or takes the four bytes of a checksum from none."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        pixels = np.arange(3 * 24 * 32, dtype=np.uint16).astype(np.uint8).reshape(3, 24, 32)
        file.create_dataset("raw", data=pixels, chunks=(1, 16, 16), fletcher32=True)
        begin = file["raw"].id.get_chunk_info(2).byte_offset
    content = bytearray(path.read_bytes())
    at = content.index(begin.to_bytes(8, "little"))  # where the third chunk is, in the list of them
    content[at - 40 : at + 2000] = bytes(2040)
    path.write_bytes(content)
    code = "import sys; from napari_unetseg import open_stack; open_stack(sys.argv[1]).plane(2)"
    ran = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert ran.returncode == 1, ran.returncode
    assert "UserError" in ran.stderr.splitlines()[-1]
    assert "cannot be read as H5" in ran.stderr.splitlines()[-1]
