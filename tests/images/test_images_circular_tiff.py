"""A damaged TIFF whose last page names an earlier one as the next."""

import numpy as np
import pytest
import tifffile

from napari_unetseg.errors import UserError
from napari_unetseg.images import open_stack


@pytest.mark.timeout(30)
@pytest.mark.parametrize("back_to", [0, 1, 2])
def test_a_circle_of_pages_is_refused_and_not_followed_for_ever(tmp_path, back_to):
    path = tmp_path / "circle.tif"
    pages = np.arange(3 * 20 * 20, dtype=np.uint16).reshape(3, 20, 20)
    with tifffile.TiffWriter(path) as writer:
        for page in pages:
            writer.write(page, contiguous=False, photometric="minisblack")
    with tifffile.TiffFile(path) as tif:
        offsets = [page.offset for page in tif.pages]
    content = bytearray(path.read_bytes())
    n_tags = int.from_bytes(content[offsets[-1] : offsets[-1] + 2], "little")
    link = offsets[-1] + 2 + 12 * n_tags
    assert content[link : link + 4] == bytes(4)
    content[link : link + 4] = offsets[back_to].to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        open_stack(path)
