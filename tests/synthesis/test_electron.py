"""Synthetic electron micrographs: exact, the same for a seed, continuous along Z."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetseg.synthesis.cells import FAR_NM, Cells, CellShapes, View
from napari_unetseg.synthesis.electron import electron_micrographs
from napari_unetseg.synthesis.neuropil import MEMBRANE_NM, Neuropil


def test_a_seed_gives_the_same_pixels_and_another_gives_others() -> None:
    first, again, other = (
        electron_micrographs(np.random.default_rng(seed), (1, 96, 80)) for seed in (3, 3, 4)
    )
    assert first.pixels.shape == (1, 96, 80)
    assert first.pixels.dtype == np.uint8
    assert np.array_equal(first.pixels, again.pixels)
    assert all(np.array_equal(first.codes[name], again.codes[name]) for name in first.codes)
    assert not np.array_equal(first.pixels, other.pixels)


def test_tissues_have_membranes_and_all_codes_are_known_ones() -> None:
    shares = []
    for seed in range(12):
        drawn = electron_micrographs(np.random.default_rng([1, seed]), (1, 128, 128))
        assert set(drawn.codes) == {"membrane", "mitochondrion"}
        for codes in drawn.codes.values():
            assert codes.shape == drawn.pixels.shape
            assert codes.max() <= 2
        assert drawn.pixels.std() > 2
        shares.append(np.mean(drawn.codes["membrane"] == 2))
    assert max(shares) < 0.75
    # A nucleus may fill a picture.
    assert np.median(shares) > 0.05


def test_about_a_tenth_of_all_pixels_is_mitochondrion_or_less_but_not_nothing() -> None:
    shares = [
        np.mean(
            electron_micrographs(np.random.default_rng([2, n]), (1, 128, 128)).codes[
                "mitochondrion"
            ]
            == 2
        )
        for n in range(24)
    ]
    assert 0.005 < np.mean(shares) < 0.2


def test_distances_to_borders_are_those_to_the_next_cell() -> None:
    view = View((1, 120, 120), 5.0, 40.0)
    shapes = CellShapes(radius_nm=120, spread=0.3, links=1, fibres=0.0, bend=0.0)
    face = Cells(np.random.default_rng(0), view, shapes).face(0.0)
    cells, border = face.cell, face.border_nm
    # Unbent cells are convex, so along a row or a column the next cell is no nearer than said.
    changes = cells[:, :-1] != cells[:, 1:]
    assert changes.any()
    assert border[:, :-1][changes].max() <= 5.0 + 1e-6
    for y, x in np.random.default_rng(1).integers(15, 105, (200, 2)):
        reach = int((border[y, x] - 1e-6) // 5.0 / np.sqrt(2))
        if border[y, x] < FAR_NM:
            window = cells[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
            assert np.all(window == cells[y, x])


def test_neighbouring_cells_have_membrane_between_them() -> None:
    rng = np.random.default_rng(5)
    view = View((1, 128, 128), 6.0, 40.0)
    tissue = Neuropil(rng, view)
    section = tissue.section(0)
    middle = tissue._cells.face(tissue._light_path_nm / 2)
    near = middle.border_nm < MEMBRANE_NM / 3
    assert np.mean(section.membrane[near] != 1) > 0.9


def test_sections_of_a_volume_go_on_from_one_to_the_next() -> None:
    rng = np.random.default_rng(8)
    view = View((4, 128, 128), 8.0, 15.0)
    tissue = Neuropil(rng, view)
    membranes = [tissue.section(z).membrane == 2 for z in range(4)]
    near = np.mean(membranes[0] == membranes[1])
    far = np.mean(membranes[0] == membranes[3])
    other = Neuropil(np.random.default_rng(9), view).section(0).membrane == 2
    unrelated = np.mean(membranes[0] == other)
    assert near > far
    assert near > unrelated


@pytest.mark.parametrize("shape", [(1, 17, 23), (2, 33, 40)])
def test_any_size_can_be_drawn(shape: tuple[int, int, int]) -> None:
    for seed in range(3):
        drawn = electron_micrographs(np.random.default_rng([4, seed]), shape)
        assert drawn.pixels.shape == shape
