"""What `info` and the window say of files of every format is the same."""

from __future__ import annotations

import pytest
from format_files import MAKERS
from test_readers import agreeing

pytestmark = pytest.mark.filterwarnings("ignore")  # of what writes the files


@pytest.mark.parametrize("name", MAKERS)
def test_info_and_the_window_agree_on_what_others_write(tmp_path, capsys, name):
    MAKERS[name][1](tmp_path / name)
    said, shown = agreeing(tmp_path / name, capsys)
    assert said == shown


@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    [
        "1135_mini.h5/label",
        "testdata_2channel_xz.lif/xz",
        "tubhiswt4D_v0.4.ome.zarr/1",
    ],
)
def test_info_and_the_window_agree_on_parts_of_files_from_microscopes(data_dir, capsys, name):
    said, shown = agreeing(data_dir / "formats" / name, capsys)
    assert said == shown


def test_info_and_the_window_agree_on_axes_that_a_person_gave(tmp_path, capsys):
    MAKERS["zstd.tif"][1](tmp_path / "a.tif")
    said, shown = agreeing(tmp_path / "a.tif" / "@TYX", capsys)
    assert said == shown
    assert said["axes"] == "TYX"
