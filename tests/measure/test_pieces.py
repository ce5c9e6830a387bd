import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_unetseg.measure.pieces import Pieces


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 8), st.integers(1, 8)),
    share=st.sampled_from([0, 0.2, 0.4, 0.6, 1]),
)
def test_pieces_are_those_of_the_whole_volume(seed, shape, share):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < share
    mask[rng.random(len(mask)) < 0.3] = False  # slices that hold nothing
    pieces = Pieces(lambda z: mask[z], len(mask), len(mask))
    found = np.stack([pieces.ids(z) for z in range(len(mask))])
    expected, n = ndimage.label(mask)
    assert len(np.unique(found[found > 0])) == n
    pairs = np.unique(np.stack([found[mask], expected[mask]]), axis=1)
    assert pairs.shape[1] == n  # one number each
    assert (found > 0).tolist() == mask.tolist()


@pytest.mark.parametrize("planes_per_volume", [1, 2, 3])
def test_pieces_end_with_their_volume(planes_per_volume):
    mask = np.ones((6, 2, 2), bool)
    pieces = Pieces(lambda z: mask[z], 6, planes_per_volume)
    numbers = [int(pieces.ids(z)[0, 0]) for z in range(6)]
    assert len(set(numbers)) == 6 // planes_per_volume
    assert numbers == sorted(numbers)
