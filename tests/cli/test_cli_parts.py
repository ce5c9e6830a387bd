"""Commands take a part of a file wherever they take a file."""

import json

import h5py
import numpy as np
import pytest
import tifffile
import zarr

from napari_unetseg.cli import main
from napari_unetseg.images import open_stack


@pytest.fixture
def file(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 50, (3, 64, 64)).astype(np.uint8)
    image[:, 16:48, 16:48] += 150
    with h5py.File(tmp_path / "cells.h5", "w") as opened:
        for name, data in (("raw", image), ("volumes/other", image[:, ::-1, :32])):
            opened.create_dataset(name, data=data, chunks=True)
            opened[name].attrs["element_size_um"] = [0.5, 0.1, 0.2]
    return tmp_path / "cells.h5"


def test_info_names_what_else_is_in_a_file_and_what_was_chosen(file, capsys):
    assert main(["info", str(file)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "other images in it volumes/other" in shown
    assert "notes cells.h5 holds 2 images; this is raw." in shown
    assert main(["info", f"{file}:volumes/other", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["shape"] == [3, 64, 32]
    assert facts["pixel_size_um"] == {"Z": 0.5, "Y": 0.1, "X": 0.2}
    assert facts["notes"] == []


def test_a_part_that_is_not_there_is_one_sentence(file, capsys):
    for place in (f"{file}/nothing", f"{file}:nothing", f"{file}/raw/deeper"):
        assert main(["info", place]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "holds no image" in error


@pytest.mark.parametrize("part", ["/volumes/other", ":volumes/other"])
def test_a_part_is_segmented_and_its_result_is_named_after_it(file, part, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["baseline", "otsu", f"{file}{part}", "-o", str(out)]) == 0
    assert [path.name for path in out.iterdir()] == ["cells_volumes_other.tif"]
    found = open_stack(out / "cells_volumes_other.tif")
    assert found.shape == (3, 64, 32)
    assert found.pixel_size_um == pytest.approx({"Z": 0.5, "Y": 0.1, "X": 0.2})
    made = json.loads((tmp_path / "out.json").read_text())
    assert made["images"][0]["image"] == str(file / "volumes" / "other")


def test_a_network_learns_from_one_part_and_segments_another(file, tmp_path):
    with h5py.File(file, "r+") as opened:
        opened["truth"] = (opened["raw"][...] > 100).astype(np.uint8)
    model, out = tmp_path / "m.unet", tmp_path / "out.tif"
    learn = ["train", f"{file}/raw", "-l", f"{file}/truth", "--labels-kind", "masks"]
    assert main([*learn, "-o", str(model), "--steps", "2", "--device", "cpu"]) == 0
    assert main(["predict", f"{file}/volumes/other", "-m", str(model), "-o", str(out)]) == 0
    assert open_stack(out).shape == (3, 64, 32)


@pytest.mark.parametrize("name", ["cells.tif", "cells.h5/raw", "cells.zarr", "cells"])
def test_axes_behind_a_path_count_in_every_command(tmp_path, name, capsys):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 50, (3, 40, 48)).astype(np.uint8)  # of channels, which nothing says
    pixels[1, 8:20, 10:30] += 150
    if name == "cells.h5/raw":
        with h5py.File(tmp_path / "cells.h5", "w") as opened:
            opened["raw"] = pixels
    elif name == "cells.zarr":
        zarr.create_array(tmp_path / name, data=pixels)
    elif name == "cells":
        (tmp_path / name).mkdir()
        for number in range(2):
            # What is a slice in Z is one in time to this person.
            tifffile.imwrite(tmp_path / name / f"{number}.tif", pixels[1].T)
    else:
        tifffile.imwrite(tmp_path / name, pixels, photometric="minisblack", metadata=None)
    given = "XY" if name == "cells" else "CYX"
    assert main(["info", f"{tmp_path / name}/@{given.lower()}", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    wanted = ("ZYX", [2, 40, 48]) if name == "cells" else ("CYX", [3, 40, 48])
    assert (facts["axes"], facts["shape"]) == wanted
    stack = open_stack(tmp_path / name / f"@{given}")
    assert open_stack(stack.path).axes == stack.axes  # as other processes open it
    out = tmp_path / "out"
    before = [] if name == "cells" else ["--before", "channel:channel=2"]
    given = f"{tmp_path / name}/@{given}"
    assert main(["baseline", "otsu", given, *before, "-o", str(out)]) == 0
    (result,) = out.iterdir()
    assert result.name == {"cells.h5/raw": "cells_raw.tif"}.get(name, "cells.tif")
    found = open_stack(result)
    assert found.axes == wanted[0].replace("C", "")
    assert np.count_nonzero(found.plane(0)) == pytest.approx(12 * 20, abs=25)


@pytest.mark.parametrize("letters", ["YX", "QQYX", "ABC", "YYX"])
def test_axes_that_do_not_fit_are_one_sentence(file, letters, capsys):
    assert main(["info", f"{file}/raw/@{letters}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "axes" in error
    assert main(["info", f"{file.parent}/nothing.tif/@{letters}"]) == 2
    assert "There is no " in capsys.readouterr().err
