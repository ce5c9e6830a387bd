"""Labels inside containers: the OME-Zarr of their image, and HDF5."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest
import zarr
from ome_zarr_models import open_ome_zarr, v04, v05

from napari_unetseg.cli import main
from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    Stack,
    open_label_stack,
    open_stack,
    write_image,
    write_label_stack,
)
from napari_unetseg.images.label_meaning import described

CLASSES = (LabelClass(name="cell", color="#e69f00"), LabelClass(name="nucleus", color="#56b4e9"))
SIZES = {"Z": 0.5, "Y": 0.2, "X": 0.1}


def labels_of(image, kind="masks", class_of=None):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3, image.labels_shape)
    values = (values * 40_000).astype(np.uint32) if kind == "objects" else values.astype(np.uint8)
    axes = image.axes.replace("C", "")
    about = described(kind, CLASSES, class_of)
    return Stack(values, axes, image.pixel_size_um, image.name, metadata=about)


@pytest.fixture
def source(tmp_path):
    stack = Stack(np.zeros((2, 4, 20, 30), np.uint8), "CZYX", SIZES, "cells", None, ("a", "b"))
    write_image(tmp_path / "image.zarr", stack)
    return tmp_path / "image.zarr"


def test_labels_go_into_the_image_and_are_listed_there(source):
    image = open_stack(source)
    written = labels_of(image)
    write_label_stack(source / "labels" / "cells", written)
    write_label_stack(source / "labels" / "nuclei", labels_of(image, "objects", {80_000: 2}))
    group = zarr.open_group(source, mode="r")
    assert isinstance(open_ome_zarr(group), v05.Image)
    assert v05.Labels.from_zarr(group["labels"]).ome_attributes.labels == ["cells", "nuclei"]
    cells = v05.ImageLabel.from_zarr(group["labels/cells"]).ome_attributes
    assert cells.image_label.source.image == "../../"
    assert [p.label_value for p in cells.image_label.properties] == [1, 2]
    assert cells.image_label.colors[0].rgba == (0xE6, 0x9F, 0x00, 255)
    assert [axis.name for axis in cells.multiscales[0].axes] == ["z", "y", "x"]
    nuclei = v05.ImageLabel.from_zarr(group["labels/nuclei"]).ome_attributes.image_label
    assert (nuclei.colors[0].label_value, nuclei.colors[0].rgba[:3]) == (80_000, (0x56, 0xB4, 0xE9))
    found = open_label_stack(source / "labels" / "cells")
    np.testing.assert_array_equal(np.asarray(found.data), written.data)
    assert found.pixel_size_um == pytest.approx(SIZES)
    assert found.metadata == written.metadata
    np.testing.assert_array_equal(np.asarray(open_stack(source).data), 0)


def test_others_labels_and_other_sizes_are_refused(source):
    image = open_stack(source)
    write_label_stack(source / "labels" / "cells", labels_of(image))
    before = open_label_stack(source / "labels" / "cells").metadata
    with pytest.raises(UserError, match="exists already"):
        write_label_stack(source / "labels" / "cells", labels_of(image, "annotations"))
    assert open_label_stack(source / "labels" / "cells").metadata == before
    write_label_stack(source / "labels" / "cells", labels_of(image, "annotations"), overwrite=True)
    found = open_label_stack(source / "labels" / "cells")
    assert found.metadata["kind"] == "annotations"
    assert dict(zarr.open_group(source / "labels").attrs)["ome"]["labels"] == ["cells"]
    small = Stack(np.zeros((4, 5, 5), np.uint8), "ZYX", metadata=described("masks", CLASSES))
    with pytest.raises(UserError, match="the image that was labelled"):
        write_label_stack(source / "labels" / "more", small)
    assert not (source / "labels" / "more").exists()


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "version"), [("6001240_v0.5.ome.zarr", v05), ("tubhiswt4D_v0.4.ome.zarr", v04)]
)
def test_real_images_get_labels_of_their_own_version(tmp_path, data_dir, name, version):
    source = tmp_path / "real.zarr"
    shutil.copytree(data_dir / "formats" / name, source)
    image = open_stack(source)
    listed = dict(zarr.open_group(source / "labels", mode="r").attrs)
    written = labels_of(image)
    write_label_stack(source / "labels" / "ours", written)
    group = zarr.open_group(source, mode="r")
    if version is v05:
        attributes = v05.ImageLabel.from_zarr(group["labels/ours"]).ome_attributes
    else:  # its model of groups needs a pydantic older than ours
        found = dict(group["labels/ours"].attrs)
        attributes = v04.image_label.ImageLabelAttrs.model_validate(found)
    (multiscale,) = attributes.multiscales
    ome = group.attrs["multiscales"] if version is v04 else group.attrs["ome"]["multiscales"]
    there = [d for d in ome[0]["datasets"] if isinstance(group.get(d["path"]), zarr.Array)]
    assert len(multiscale.datasets) == len(there)
    found = open_label_stack(source / "labels" / "ours")
    np.testing.assert_array_equal(np.asarray(found.data), written.data)
    assert found.pixel_size_um == pytest.approx(image.pixel_size_um)
    for level, dataset in enumerate(there):
        array, of_image = group[f"labels/ours/{level}"], group[dataset["path"]]
        assert array.shape[-2:] == of_image.shape[-2:]
        assert set(np.unique(array[...]).tolist()) <= {0, 1, 2}
    now = dict(group["labels"].attrs)
    before = listed if version is v04 else listed["ome"]
    now = now if version is v04 else now["ome"]
    assert now["labels"] == [*before.get("labels", []), "ours"]


def test_readers_of_consolidated_metadata_see_them_too(source):
    with pytest.warns(UserWarning, match="Consolidated"):
        zarr.consolidate_metadata(source)
    write_label_stack(source / "labels" / "cells", labels_of(open_stack(source)))
    group = zarr.open_consolidated(source)
    assert group["labels/cells/0"].shape == (4, 20, 30)


def test_convert_writes_them_for_the_image_that_outlines_are_like(source, tmp_path, capsys):
    ring = [[1, 1], [5, 1], [5, 4], [1, 4], [1, 1]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    (tmp_path / "cells.geojson").write_text(json.dumps(feature))
    target = source / "labels" / "cells"
    arguments = ["convert", str(tmp_path / "cells.geojson"), "--like", str(source), "-o"]
    assert main([*arguments, str(target)]) == 0
    assert np.count_nonzero(np.asarray(open_stack(target).data)) == 12
    assert main([*arguments, str(source / "more.zarr")]) == 2
    assert "lies within" in capsys.readouterr().err
    assert main(["convert", str(source), "-o", str(source / "labels" / "again")]) == 2


@pytest.mark.parametrize("axes", ["YX", "ZYX", "TZYX", "TYX"])
@pytest.mark.parametrize("kind", ["masks", "annotations", "objects"])
def test_hdf5_is_as_ilastik_and_plantseg_have_it(tmp_path, axes, kind):
    shape = tuple({"T": 2, "Z": 3, "Y": 20, "X": 30}[axis] for axis in axes)
    sizes = {axis: SIZES[axis] for axis in axes if axis in SIZES}
    written = labels_of(Stack(np.zeros(shape, np.uint8), axes, sizes, "cells"), kind)
    write_label_stack(tmp_path / "cells.h5", written)
    with h5py.File(tmp_path / "cells.h5") as file:
        array = file["exported_data"]
        np.testing.assert_array_equal(array[...], written.data)
        tags = json.loads(array.attrs["axistags"])["axes"]
        assert "".join(tag["key"] for tag in tags) == axes.lower()
        assert array.attrs["element_size_um"].tolist() == [sizes.get(a, 1.0) for a in "ZYX"]
        about = json.loads(file["napari-unetseg"].asstr()[()])
    assert about["kind"] == kind
    assert about["classes"] == written.metadata["classes"]
    with pytest.raises(UserError, match="exists already"):
        write_label_stack(tmp_path / "cells.h5", written)
