"""What microscopes' makers write: CZI, LIF, ND2, OIF, where what reads them is installed."""

import contextlib
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from leica import write_lif
from pylibCZIrw import czi

from napari_unetseg.errors import UserError
from napari_unetseg.images import find_inputs, open_stack

RNG = np.random.default_rng(0)


def pixels(*shape, dtype="uint8"):
    return RNG.integers(0, 200, shape).astype(dtype)


def write_czi(path, image, *, scenes=1, names=None, sizes=None):
    """Write an image, shape (T, C, Z, Y, X) or with colours last; scenes lie beside each other."""
    with czi.create_czi(str(path), exist_ok=True) as file:
        for scene in range(scenes):
            for t, c, z in np.ndindex(image.shape[:3]):
                plane = image[t, c, z] + np.asarray(scene, image.dtype)
                plane = plane if plane.ndim == 3 else plane[..., np.newaxis]
                place = {"location": (scene * 1000, 50), "plane": {"T": t, "C": c, "Z": z}}
                file.write(np.ascontiguousarray(plane), **place, scene=scene)
        x, y, z = sizes or (None, None, None)
        file.write_metadata(
            "test", channel_names=names, scale_x=x, scale_y=y, scale_z=z
        )  # fmt: skip


def test_czi_has_its_axes_names_and_voxel_size(tmp_path):
    image = pixels(3, 2, 4, 50, 60, dtype="uint16")
    write_czi(tmp_path / "a.czi", image, names={0: "DAPI", 1: "GFP"}, sizes=(1e-7, 2e-7, 5e-7))
    stack = open_stack(tmp_path / "a.czi")
    assert (stack.axes, stack.dtype, stack.channels) == ("TCZYX", np.uint16, ("DAPI", "GFP"))
    assert stack.pixel_size_um == pytest.approx({"Z": 0.5, "Y": 0.2, "X": 0.1})
    np.testing.assert_array_equal(np.asarray(stack.data), image)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_axes_of_czi_that_are_single_are_left_out(tmp_path, dtype):
    image = pixels(1, 1, 1, 50, 60, dtype=dtype)
    write_czi(tmp_path / "a.czi", image)
    stack = open_stack(tmp_path / "a.czi")
    assert (stack.axes, stack.dtype, stack.pixel_size_um) == ("CYX", np.dtype(dtype), {})
    np.testing.assert_array_equal(stack.plane(0), image[0, 0])


def test_colours_of_czi_are_red_green_and_blue(tmp_path):
    image = pixels(1, 1, 3, 50, 60, 3)
    write_czi(tmp_path / "a.czi", image)
    stack = open_stack(tmp_path / "a.czi")
    assert (stack.axes, stack.channels) == ("CZYX", ("red", "green", "blue"))
    # CZI stores blue first, which is how it was written.
    np.testing.assert_array_equal(stack.plane(1), np.moveaxis(image[0, 0, 1, :, :, ::-1], -1, 0))


def test_scenes_of_czi_are_parts(tmp_path):
    image = pixels(1, 1, 2, 50, 60)
    write_czi(tmp_path / "a.czi", image, scenes=3)
    first, last = open_stack(tmp_path / "a.czi"), open_stack(tmp_path / "a.czi" / "2")
    assert first.parts == ("1", "2")
    assert first.notes == ("a.czi holds 3 images; this is 0, others are 1, 2.",)
    assert (last.name, last.notes, last.path) == ("a_2", (), tmp_path / "a.czi" / "2")
    np.testing.assert_array_equal(last.plane(1), image[0, :, 1] + 2)
    assert find_inputs([tmp_path / "a.czi:2"]) == [tmp_path / "a.czi" / "2"]
    with pytest.raises(UserError, match=r"holds no image '3'; it holds 0, 1, 2\."):
        open_stack(tmp_path / "a.czi" / "3")


def test_a_wide_slice_of_czi_is_read_in_pieces(tmp_path):
    image = pixels(1, 1, 1, 100, 5000)
    write_czi(tmp_path / "a.czi", image)
    stack = open_stack(tmp_path / "a.czi")
    assert stack.data.chunks[-1] == (2048, 2048, 904)
    np.testing.assert_array_equal(stack.plane(0), image[0, 0])


def test_lif_is_mapped_with_names_and_voxel_size(tmp_path):
    image = pixels(3, 4, 2, 50, 60)
    path = tmp_path / "a.lif"
    write_lif(path, {"one": (pixels(5, 20, 30), "ZYX"), "Series 2": (image, "TZCYX")})
    first, second = open_stack(path), open_stack(path / "Series 2")
    assert (first.axes, first.shape, first.parts) == ("ZYX", (5, 20, 30), ("Series 2",))
    assert first.notes == ("a.lif holds 2 images; this is one, others are Series 2.",)
    assert (second.axes, second.channels, second.name) == (
        "TCZYX",
        ("Green", "Red"),
        "a_Series 2",
    )
    assert second.pixel_size_um == pytest.approx({"Z": 0.5, "Y": 0.1, "X": 0.1})
    assert isinstance(second.data, np.memmap)
    np.testing.assert_array_equal(np.asarray(second.data), image.transpose(0, 2, 1, 3, 4))
    np.testing.assert_array_equal(open_stack(path / "1").data, second.data)


def test_sections_of_lif_along_z_are_slices_and_said_to_be(tmp_path):
    image = pixels(7, 20, 30)
    write_lif(tmp_path / "a.lif", {"xzt": (image, "TZX")})
    stack = open_stack(tmp_path / "a.lif")
    assert stack.axes == "TYX"
    assert stack.notes == ("Its slices are XZ sections: Y is what the file calls Z.",)
    assert stack.pixel_size_um == pytest.approx({"Y": 0.5, "X": 0.1})
    np.testing.assert_array_equal(np.asarray(stack.data), image)


class FakeND2:
    """Stands for nd2.ND2File: nothing writes such files, and they are too large to keep."""

    sizes: dict = {"T": 2, "P": 3, "Z": 4, "C": 2, "Y": 20, "X": 30}  # noqa: RUF012
    image = pixels(*sizes.values(), dtype="uint16")
    metadata = SimpleNamespace(
        channels=[
            SimpleNamespace(
                channel=SimpleNamespace(name=name),
                volume=SimpleNamespace(axesCalibrated=(True, True, False)),
            )
            for name in ("DAPI", "GFP")
        ]
    )

    def __init__(self, path):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def voxel_size(self):
        return SimpleNamespace(x=0.1, y=0.1, z=1.0)

    def to_dask(self, *, wrapper):
        import dask.array

        return dask.array.from_array(self.image, (1, 1, 1, 2, 20, 30))


def test_positions_of_nd2_are_parts_and_only_calibrated_axes_have_a_size(tmp_path, monkeypatch):
    path = tmp_path / "a.nd2"
    path.write_bytes(b"")
    monkeypatch.setitem(sys.modules, "nd2", SimpleNamespace(ND2File=FakeND2))
    stack = open_stack(path / "2")
    assert (stack.axes, stack.channels, stack.parts) == ("TCZYX", ("DAPI", "GFP"), ("0", "1"))
    assert stack.pixel_size_um == {"Y": 0.1, "X": 0.1}
    np.testing.assert_array_equal(
        np.asarray(stack.data), FakeND2.image[:, 2].transpose(0, 2, 1, 3, 4)
    )
    assert "holds 3 images" in open_stack(path).notes[0]


def write_oif(path, image):
    """Write an image, shape (C, Z, Y, X), as Olympus does: a text and a folder of slices."""
    folder = path.with_name(f"{path.name}.files")
    folder.mkdir()
    for c, z in np.ndindex(image.shape[:2]):
        tifffile.imwrite(folder / f"s_C{c + 1:03}Z{z + 1:03}.tif", image[c, z])
    n_slices = image.shape[1]
    sections = {
        "ProfileSaveInfo": {"Name": '"FLUOVIEW"', "Version": '"1.0"'},
        "Axis Parameter Common": {"AxisOrder": '"XYZC"'},
        "Axis 3 Parameters Common": {
            "AxisCode": '"Z"', "StartPosition": 1000, "EndPosition": 1000 - 500 * (n_slices - 1),
            "MaxSize": n_slices, "UnitName": '"nm"',
        },
        "Reference Image Parameter": {
            "WidthConvertValue": 0.1, "WidthUnit": '"um"', "HeightConvertValue": 0.2,
            "HeightUnit": '"um"', "ValidBitCounts": 12,
        },
        "Channel 1 Parameters": {"DyeName": '"DAPI"'},
        "Channel 2 Parameters": {"DyeName": '"GFP"'},
    }  # fmt: skip
    lines = [
        line
        for name, values in sections.items()
        for line in (f"[{name}]", *(f"{key}={value}" for key, value in values.items()))
    ]
    path.write_bytes(("\ufeff" + "\r\n".join(lines)).encode("utf-16-le"))


def test_oif_has_its_axes_names_and_voxel_size(tmp_path):
    image = pixels(2, 4, 50, 60, dtype="uint16")
    write_oif(tmp_path / "a.oif", image)
    stack = open_stack(tmp_path / "a.oif")
    assert (stack.axes, stack.dtype, stack.channels) == ("CZYX", np.uint16, ("DAPI", "GFP"))
    assert stack.pixel_size_um == pytest.approx({"Z": 0.5, "Y": 0.2, "X": 0.1})
    np.testing.assert_array_equal(np.asarray(stack.data), image)
    (tmp_path / "a.oif.files" / "s_C002Z003.tif").write_bytes(b"II*\0")
    with pytest.raises(UserError, match=r"a\.oif cannot be read as OIF"):
        open_stack(tmp_path / "a.oif").plane(2)


@pytest.mark.parametrize(
    ("suffix", "module"),
    [("czi", "pylibCZIrw.czi"), ("lif", "liffile"), ("nd2", "nd2"), ("oib", "oiffile")],
)
def test_without_the_extra_the_line_to_install_it_is_said(tmp_path, monkeypatch, suffix, module):
    (tmp_path / f"a.{suffix}").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=rf'pip install "napari-unetseg\[{suffix}\]"'):
        open_stack(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("suffix", ["czi", "lif", "nd2", "oib", "oif"])
@pytest.mark.parametrize("content", [b"", b"hello, I am text\n" * 200, b"\x70\0\0\0" + bytes(5000)])
def test_a_file_that_is_not_what_its_name_says_is_one_sentence(tmp_path, suffix, content):
    (tmp_path / f"a.{suffix}").write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.{suffix} cannot be read as {suffix.upper()}"):
        open_stack(tmp_path / f"a.{suffix}")


WRITERS = {
    "a.czi": lambda path, image: write_czi(path, image[np.newaxis, np.newaxis]),
    "a.lif": lambda path, image: write_lif(path, {"one": (image, "ZYX")}),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_a_truncated_file_is_one_sentence(tmp_path, name, share):
    path = tmp_path / name
    WRITERS[name](path, pixels(6, 64, 80))
    np.asarray(open_stack(path).data)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=rf"{name} (is damaged|cannot be read)"):
        np.asarray(open_stack(path).data)


@pytest.mark.parametrize("name", WRITERS)
def test_no_damaged_byte_brings_more_than_a_sentence(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path, pixels(2, 20, 30))
    whole = path.read_bytes()
    random = np.random.default_rng(7)
    for _ in range(100):
        content = bytearray(whole)
        for at in random.integers(0, len(content), random.integers(1, 6)):
            content[at] = random.integers(0, 256)
        path.write_bytes(content)
        with contextlib.suppress(UserError):
            open_stack(path).plane(0)
