"""Pictures of very many pixels, real or claimed."""

import pytest
from PIL import Image

from napari_unetseg.errors import UserError
from napari_unetseg.images import open_stack


@pytest.fixture
def picture(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    path = tmp_path / "montage.png"
    Image.new("L", (50, 30), 7).save(path)
    return path


def test_a_large_picture_is_read_without_a_warning(picture):
    assert open_stack(picture).plane_shape == (30, 50)


def test_a_picture_too_large_to_be_honest_is_refused_in_a_sentence(picture, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UserError, match="save so large a picture as TIFF"):
        open_stack(picture)
