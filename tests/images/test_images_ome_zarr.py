"""OME-Zarr of every version: levels, labels, plates and series, whole and damaged."""

import contextlib
import json
import pickle
import shutil
import zlib

import numcodecs
import numpy as np
import pytest
import zarr

from napari_unetseg.errors import UserError
from napari_unetseg.images import find_inputs, open_stack

RNG = np.random.default_rng(0)
LENGTHS = {"t": 2, "c": 3, "z": 4, "y": 40, "x": 60}
TYPES = {"t": "time", "c": "channel"}


def pixels(axes="zyx"):
    return RNG.integers(1, 255, [LENGTHS[axis] for axis in axes]).astype(np.uint16)


def write(path, image, axes="zyx", version="0.5", *, levels=2, labels=(), **options):
    """Write a pyramid whose levels halve Y and X."""
    zarr_format = 3 if version == "0.5" else 2
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    datasets = []
    for level in range(levels):
        step = 2**level
        data = image[..., ::step, ::step]
        chunks = tuple(min(n, 16) for n in data.shape)
        array = group.create_array(str(level), shape=data.shape, dtype=data.dtype, chunks=chunks,
                                   **options)  # fmt: skip
        array[...] = data
        scale = [{"z": 0.5, "y": 0.1 * step, "x": 0.2 * step}.get(axis, 1.0) for axis in axes]
        transformations = [{"type": "scale", "scale": scale}]
        datasets.append({"path": str(level), "coordinateTransformations": transformations})
    described = [
        {"name": axis, "type": TYPES.get(axis, "space")}
        | ({} if axis in TYPES else {"unit": "micrometer"})
        for axis in axes
    ]
    ome = {"version": version, "multiscales": [{"axes": described, "datasets": datasets}]}
    if "c" in axes:
        ome["omero"] = {"channels": [{"label": f"stain {i}"} for i in range(LENGTHS["c"])]}
    put(group, ome, version)
    for name in labels:
        write(path / "labels" / name, image[..., :, :] % 5, axes, version, levels=1)
    if labels:
        group = zarr.open_group(path / "labels", mode="a", zarr_format=zarr_format)
        put(group, {"labels": list(labels)}, version)


def put(group, ome, version="0.5"):
    group.attrs.update({"ome": ome} if version == "0.5" else ome)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("axes", "expected"),
    [("tczyx", "TCZYX"), ("zyx", "ZYX"), ("yx", "YX"), ("cyx", "CYX"), ("zcyx", "CZYX")],
)
def test_axes_names_and_sizes_are_those_of_the_metadata(tmp_path, version, axes, expected):
    image = pixels(axes)
    write(tmp_path / "a.zarr", image, axes, version)
    stack = open_stack(tmp_path / "a.zarr")
    assert (stack.axes, stack.name, stack.notes) == (expected, "a", ())
    sizes = {"Z": 0.5, "Y": 0.1, "X": 0.2}
    assert stack.pixel_size_um == {axis: sizes[axis] for axis in "ZYX" if axis in expected}
    if "c" in axes:
        assert stack.channels == ("stain 0", "stain 1", "stain 2")
    np.testing.assert_array_equal(
        np.asarray(stack.data), np.einsum(f"{axes}->{expected.lower()}", image)
    )


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_levels_and_labels_are_parts_with_their_own_pixel_size(tmp_path, version):
    image = pixels("zyx")
    write(tmp_path / "a.zarr", image, version=version, levels=3, labels=["cells", "dirt"])
    stack = open_stack(tmp_path / "a.zarr")
    assert stack.parts == ("1", "2", "labels/cells", "labels/dirt")
    level = open_stack(tmp_path / "a.zarr" / "2")
    assert (level.axes, level.name) == ("ZYX", "a_2")
    assert level.pixel_size_um == {"Z": 0.5, "Y": 0.4, "X": 0.8}
    np.testing.assert_array_equal(np.asarray(level.data), image[:, ::4, ::4])
    labels = open_stack(tmp_path / "a.zarr" / "labels" / "dirt")
    assert labels.pixel_size_um == {"Z": 0.5, "Y": 0.1, "X": 0.2}
    np.testing.assert_array_equal(np.asarray(labels.data), image % 5)
    assert [len(find_inputs([tmp_path / "a.zarr" / part])) for part in stack.parts] == [1] * 4


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("damage", ["removed", "emptied", "unlisted"])
def test_a_pyramid_without_its_finest_levels_opens_at_the_level_it_has(tmp_path, version, damage):
    path = tmp_path / "a.zarr"
    image = pixels("zyx")
    write(path, image, version=version, levels=3)
    for level in ("0", "1"):
        if damage == "emptied":  # described, but not copied
            for inside in (path / level).iterdir():
                if inside.is_dir():
                    shutil.rmtree(inside)
                elif inside.name not in ("zarr.json", ".zarray", ".zattrs"):
                    inside.unlink()
        else:
            shutil.rmtree(path / level)
    if damage == "unlisted":
        group = zarr.open_group(path, mode="a")
        ome = dict(group.attrs).get("ome", dict(group.attrs))
        ome["multiscales"][0]["datasets"] = ome["multiscales"][0]["datasets"][2:]
        put(group, ome, version)
    stack = open_stack(path)
    np.testing.assert_array_equal(np.asarray(stack.data), image[:, ::4, ::4])
    assert stack.pixel_size_um == {"Z": 0.5, "Y": 0.4, "X": 0.8}
    assert "levels 0 and 1 are missing or empty: this is level 2" in stack.notes[0]


def test_a_pyramid_whose_levels_are_all_empty_is_zeros_and_one_without_levels_is_told(tmp_path):
    write(tmp_path / "a.zarr", np.zeros((4, 40, 60), np.uint8))
    assert not np.asarray(open_stack(tmp_path / "a.zarr").data).any()
    for level in "01":
        shutil.rmtree(tmp_path / "a.zarr" / level)
    with pytest.raises(UserError, match="holds none of them; copy it again"):
        open_stack(tmp_path / "a.zarr")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_plate_a_well_and_a_field_open(tmp_path, version):
    path = tmp_path / "plate.zarr"
    plate = zarr.open_group(path, mode="w", zarr_format=3 if version == "0.5" else 2)
    put(plate, {"plate": {"wells": [{"path": "A/1"}, {"path": "B/2"}]}}, version)
    images = {}
    for well in ("A/1", "B/2"):
        group = plate.create_group(well)
        put(group, {"well": {"images": [{"path": "0"}, {"path": "1"}]}}, version)
        for field in "01":
            images[f"{well}/{field}"] = pixels("cyx")
            write(path / well / field, images[f"{well}/{field}"], "cyx", version)
    for part, field in (("", "A/1/0"), ("B/2", "B/2/0"), ("B/2/1", "B/2/1")):
        stack = open_stack(path / part)
        np.testing.assert_array_equal(np.asarray(stack.data), images[field])
        assert stack.path == path / field
        assert stack.name == "plate_" + field.replace("/", "_")
    note = "plate.zarr holds 4 images; this is A/1/0, others are A/1/1, B/2/0, B/2/1."
    assert open_stack(path).notes == (note,)


def test_series_of_bioformats_and_images_in_any_group_are_found(tmp_path):
    path = tmp_path / "a.zarr"
    put(zarr.open_group(path, mode="w"), {"bioformats2raw.layout": 3})
    zarr.open_group(path / "OME", mode="w")
    images = [pixels("zyx") for _ in range(11)]
    for i, image in enumerate(images):
        write(path / str(i), image)
    stack = open_stack(path)
    np.testing.assert_array_equal(np.asarray(stack.data), images[0])
    assert "holds 11 images; this is 0, others are 1, 2, 3, 4, 5 …" in stack.notes[0]
    np.testing.assert_array_equal(np.asarray(open_stack(path / "10").data), images[10])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_bare_array_has_the_axes_it_names_or_the_usual_ones(tmp_path, zarr_format):
    image = pixels("zyx")
    zarr.save_array(tmp_path / "a.zarr", image, zarr_format=zarr_format)
    assert open_stack(tmp_path / "a.zarr").axes == "ZYX"
    if zarr_format == 3:
        named = {"dimension_names": ["t", "y", "x"]}
    else:
        named = {"attributes": {"_ARRAY_DIMENSIONS": ["t", "y", "x"]}}
    group = zarr.open_group(tmp_path / "b.zarr", mode="w", zarr_format=zarr_format)
    group.create_array("deep/raw", data=image, **named)
    stack = open_stack(tmp_path / "b.zarr")
    assert (stack.axes, stack.name) == ("TYX", "b_deep_raw")
    np.testing.assert_array_equal(np.asarray(stack.data), image)


def test_versions_before_axes_were_objects_are_read(tmp_path):
    image = pixels("tczyx")
    write(tmp_path / "a.zarr", image, "tczyx", "0.4")
    group = zarr.open_group(tmp_path / "a.zarr", mode="a")
    for axes in (["t", "c", "z", "y", "x"], None):
        about = {"datasets": [{"path": "0"}]} | ({"axes": axes} if axes else {})
        group.attrs.update({"multiscales": [about]})
        stack = open_stack(tmp_path / "a.zarr")
        assert (stack.axes, stack.pixel_size_um) == ("TCZYX", {})


def test_shards_are_read(tmp_path):
    image = pixels("zyx")
    write(tmp_path / "a.zarr", image, levels=1, shards=(4, 48, 64))
    np.testing.assert_array_equal(np.asarray(open_stack(tmp_path / "a.zarr").data), image)


def test_only_what_is_looked_at_is_read(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    array = group.create_array("0", shape=(10_000, 20_000, 20_000), dtype="u1",
                               chunks=(64, 64, 64))  # fmt: skip
    array[5000, 100:110, 100:110] = 7
    axes = [{"name": axis, "type": "space"} for axis in "zyx"]
    put(group, {"multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}]})
    stack = open_stack(tmp_path / "a.zarr")
    assert (np.asarray(stack.data[5000, 100:110, 100:110]) == 7).all()


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_damaged_chunk_is_one_sentence(tmp_path, version):
    path = tmp_path / "a.zarr"
    write(path, pixels("zyx"), version=version, levels=1)
    stack = open_stack(path)
    for chunk in (p for p in path.rglob("*") if p.is_file() and p.name[0] in "0123456789c"):
        chunk.write_bytes(b"nonsense" + chunk.read_bytes()[:20])
    with pytest.raises(UserError, match=r"a\.zarr cannot be read as ZARR"):
        stack.plane(0)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("share", [0, 0.3, 0.7, 0.99])
def test_truncated_metadata_is_one_sentence(tmp_path, version, share):
    path = tmp_path / "a.zarr"
    write(path, pixels("zyx"), version=version)
    for name in ("zarr.json", ".zgroup", ".zattrs", "0/.zarray", "0/zarr.json"):
        if (path / name).exists():
            whole = (path / name).read_bytes()
            (path / name).write_bytes(whole[: int(len(whole) * share)])
            with pytest.raises(UserError, match=r"a\.zarr"):
                open_stack(path)
            (path / name).write_bytes(whole)


def test_metadata_with_something_else_in_it_brings_no_more_than_a_sentence(tmp_path):
    path = tmp_path / "a.zarr"
    write(path, pixels("zyx"), labels=["cells"])
    random = np.random.default_rng(3)
    for file in (path / "zarr.json", path / "0" / "zarr.json", path / "labels" / "zarr.json"):
        whole = json.loads(file.read_text())
        for _ in range(80):
            changed = json.loads(json.dumps(whole))
            _spoil(changed, random)
            file.write_text(json.dumps(changed))
            with contextlib.suppress(UserError):
                open_stack(path).plane(0)
        file.write_text(json.dumps(whole))


def _spoil(node, random):
    """Put something else in place of one value, however deep."""
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    key = keys[random.integers(len(keys))]
    inside = node[key]
    if isinstance(inside, dict | list) and inside and random.random() < 0.8:
        _spoil(inside, random)
    else:
        node[key] = [None, [], {}, -1, "x", "../..", 3.5, [1, 2], {"path": "0"}][random.integers(9)]


class _Tells:
    """Leaves a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("dtype", ["|u1", "|O"])
@pytest.mark.parametrize("filters", [["pickle"], ["vlen-utf8", "pickle"], ["zlib", "pickle"], []])
@pytest.mark.parametrize("compressor", [None, "pickle", "zlib"])
def test_nothing_is_unpickled(tmp_path, dtype, filters, compressor):
    path, told = tmp_path / "a.zarr", tmp_path / "told"
    path.mkdir()
    described = {
        "zarr_format": 2, "shape": [40, 40], "chunks": [40, 40], "fill_value": 0, "order": "C",
        "dtype": dtype, "compressor": compressor and {"id": compressor},
        "filters": [{"id": name} for name in filters] or None,
    }  # fmt: skip
    (path / ".zarray").write_text(json.dumps(described))
    content = pickle.dumps(_Tells(told))
    (path / "0.0").write_bytes(zlib.compress(content) if compressor == "zlib" else content)
    with contextlib.suppress(UserError):
        open_stack(path).plane(0)
    assert not told.exists()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_chunk_of_blosc_that_was_cut_short_is_one_sentence(tmp_path, zarr_format):
    packer = zarr.codecs.BloscCodec() if zarr_format == 3 else numcodecs.Blosc()
    data = np.random.default_rng(0).integers(0, 255, (2, 30, 30)).astype(np.uint8)
    options = {"chunks": (1, 30, 30), "compressors": packer, "zarr_format": zarr_format}
    zarr.create_array(tmp_path / "a.zarr", data=data, **options)
    np.testing.assert_array_equal(np.asarray(open_stack(tmp_path / "a.zarr").data), data)
    chunk = tmp_path / "a.zarr" / ("c/1/0/0" if zarr_format == 3 else "1.0.0")
    whole = chunk.read_bytes()
    for length in (0, 10, 16, len(whole) // 2, len(whole) - 1):
        chunk.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"a\.zarr cannot be read as ZARR"):
            open_stack(tmp_path / "a.zarr").plane(1)
