"""Synthetic light micrographs, and real ones of nuclei at other sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.measure import label

from napari_unetseg.synthesis import light
from napari_unetseg.synthesis.nuclei_images import N_KEPT_OUT, nuclei_image, split_names

KINDS = [
    light.fluorescent_nuclei,
    light.fluorescent_cells,
    light.membrane_stained_tissue,
    light.phase_contrast,
    light.interference_contrast,
    light.bacteria,
]


@pytest.mark.parametrize("draw", KINDS, ids=lambda draw: draw.__name__)
def test_objects_are_connected_and_codes_say_where_they_are(draw) -> None:
    found = 0
    for seed in range(6):
        drawn = draw(np.random.default_rng([seed, 6]), (128, 160))
        (name,) = drawn.codes
        ids, codes = drawn.ids[name][0], drawn.codes[name][0]
        assert drawn.pixels.shape == (1, 128, 160)
        assert ids.dtype == np.uint32
        assert np.array_equal(codes[codes > 0] == 2, ids[codes > 0] > 0)
        numbers = np.unique(ids[ids > 0])
        assert label(ids, connectivity=1).max() == len(numbers)
        found += len(numbers)
    assert found > 5


def test_the_same_seed_gives_the_same_picture() -> None:
    first, again = (light.light_micrograph(np.random.default_rng(1), (96, 96)) for _ in range(2))
    assert np.array_equal(first.pixels, again.pixels)
    assert first.codes.keys() == again.codes.keys()


def test_stained_nuclei_shine_more_than_what_lies_between_them() -> None:
    brighter = 0
    for seed in range(12):
        drawn = light.fluorescent_nuclei(np.random.default_rng([seed, 2]), (128, 128))
        codes, pixels = drawn.codes["nucleus"], drawn.pixels
        if (codes == 2).any() and (codes == 1).any():
            brighter += np.median(pixels[codes == 2]) > np.median(pixels[codes == 1])
    assert brighter >= 9


def test_a_hundred_names_are_kept_out_whatever_their_order() -> None:
    names = [f"{n}.png" for n in range(360)]
    learned, kept_out = split_names(names)
    assert len(kept_out) == N_KEPT_OUT
    assert not set(learned) & set(kept_out)
    assert split_names(names[::-1]) == (learned, kept_out)


def test_real_nuclei_keep_their_ids_at_any_size(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    ids = np.zeros((70, 90), np.uint16)
    ids[10:30, 10:30], ids[40:60, 50:75] = 3, 9
    for n in range(N_KEPT_OUT + 4):
        Image.fromarray((ids > 0).astype(np.uint8) * 200).save(tmp_path / "images" / f"{n}.png")
        Image.fromarray(ids).save(tmp_path / "masks" / f"{n}.png")
    for seed in range(8):
        drawn = nuclei_image(np.random.default_rng(seed), tmp_path, 64)
        numbers = drawn.ids["nucleus"]
        assert drawn.pixels.shape == numbers.shape == (1, 64, 64)
        assert set(np.unique(numbers)) <= {0, 3, 9}
        assert np.array_equal(drawn.codes["nucleus"] == 2, numbers > 0)
        if (numbers > 0).any() and (numbers == 0).any():
            assert drawn.pixels[numbers > 0].mean() > 2 * drawn.pixels[numbers == 0].mean()
