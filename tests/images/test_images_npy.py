"""Arrays that processes share are mapped, and what is no array is refused."""

import io
import pickle

import numpy as np
import pytest

from napari_unetseg.errors import UserError
from napari_unetseg.images import map_npy


def test_an_array_is_mapped_and_not_read(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(12).reshape(3, 4))
    mapped = map_npy(tmp_path / "a.npy", "r+")
    mapped[1, 1] = 99
    mapped.flush()
    assert map_npy(tmp_path / "a.npy")[1, 1] == 99


def archive():
    file = io.BytesIO()
    np.savez(file, a=np.zeros(3))
    return file.getvalue()


def array(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


DAMAGE = {
    "nothing": b"",
    "an archive": archive(),
    "a pickle": pickle.dumps([1]),
    "objects": array(np.array([{"a": 1}], dtype=object)),
    "cut short": array(np.zeros(1000))[:500],
    "an open string in the header": array(np.zeros(9)).replace(b"'shape'", b"'sh    "),
    "an open bracket in the header": array(np.zeros(9)).replace(b"(9,)", b"((9,"),
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
def test_what_is_no_array_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as NPY"):
        map_npy(tmp_path / "a.npy")
