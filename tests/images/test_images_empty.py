"""A file whose image has no length along an axis is told in the same words in every format."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
import tifffile
import zarr

from napari_unetseg.errors import UserError
from napari_unetseg.images import read_label_file


def _tiff(path: Path, image: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tifffile, that this is empty
        tifffile.imwrite(path, image)


def _hdf5(path: Path, image: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["raw"] = image


def _nrrd(path: Path, image: np.ndarray) -> None:
    sizes = " ".join(map(str, image.shape[::-1]))
    path.write_text(f"NRRD0004\ntype: uint8\ndimension: 3\nsizes: {sizes}\nencoding: raw\n\n")


def _n5(path: Path, image: np.ndarray) -> None:
    sizes = {"dimensions": image.shape[::-1], "blockSize": (1, 1, 1)}
    about = {"n5": "2.0.0", "dataType": "uint8", "compression": {"type": "raw"}} | sizes
    path.mkdir()
    (path / "attributes.json").write_text(json.dumps(about))


WRITERS: dict[str, Callable[[Path, np.ndarray], object]] = {
    "a.tif": _tiff,
    "a.h5": _hdf5,
    "a.nrrd": _nrrd,
    "a.n5": _n5,
    "a.npy": np.save,
    "a.zarr": zarr.save_array,
    "a.nii": lambda path, image: nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), path),
}


@pytest.mark.parametrize("shape", [(0, 5, 5), (0, 64, 64), (5, 0, 9), (3, 4, 0)])
@pytest.mark.parametrize("name", WRITERS)
def test_it_holds_no_pixels(tmp_path, name, shape) -> None:
    WRITERS[name](tmp_path / name, np.zeros(shape, np.uint8))
    with pytest.raises(UserError, match=f"{name} holds no pixels: its size is .*0") as said:
        read_label_file(tmp_path / name)
    assert str(said.value).count(". ") == 0


def test_an_array_with_pixels_is_taken_before_one_without(tmp_path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"], file["more"] = np.zeros((0, 64, 64), np.uint8), np.ones((2, 32, 32), np.uint8)
    opened = read_label_file(tmp_path / "a.h5")
    assert (opened.shape, opened.parts) == ((2, 32, 32), ())
