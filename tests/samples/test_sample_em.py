from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import adapted_rand_error

from napari_unetseg.samples import EM_CLASSES, Sample, em_stack

SHAPE = (5, 256, 320)
BACKGROUND, MEMBRANE, MITOCHONDRION = 1, 2, 3


@pytest.fixture(scope="module")
def sample() -> Sample:
    return em_stack(seed=4, shape=SHAPE)


def test_the_stack_is_uint8_in_zyx_with_sections_of_50_nm_and_pixels_of_5_nm(sample):
    assert sample.image.axes == "ZYX"
    assert sample.image.dtype == np.uint8
    assert sample.image.shape == sample.codes.shape == sample.objects.shape == SHAPE
    assert sample.image.pixel_size_um == {"Z": 0.05, "Y": 0.005, "X": 0.005}


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others(sample):
    again, other = em_stack(seed=4, shape=SHAPE), em_stack(seed=5, shape=SHAPE)
    for name in ("codes", "objects"):
        np.testing.assert_array_equal(getattr(sample, name), getattr(again, name))
    np.testing.assert_array_equal(sample.image.data, again.image.data)
    assert np.corrcoef(sample.image.data.ravel(), other.image.data.ravel())[0, 1] < 0.2


def test_every_pixel_has_one_of_the_classes_in_plausible_amounts(sample):
    assert [c.name for c in EM_CLASSES] == ["membrane", "mitochondrion"]
    share = np.bincount(sample.codes.ravel(), minlength=4) / sample.codes.size
    assert share[0] == 0
    assert len(share) == 4
    # A real neuropil at this resolution, annotated by hand: 20 % membrane, 4 % mitochondria.
    assert 0.12 < share[MEMBRANE] < 0.30
    assert 0.005 < share[MITOCHONDRION] < 0.15


def test_cells_are_separated_by_membrane_everywhere(sample):
    for plane in sample.objects:
        for axis in (0, 1):
            first, second = plane, np.roll(plane, -1, axis=axis)
            touching = (first != second) & (first > 0) & (second > 0)
            touching = np.delete(touching, -1, axis=axis)  # where roll wraps around
            assert touching.mean() < 2e-4


def test_objects_are_zero_exactly_on_membranes(sample):
    np.testing.assert_array_equal(sample.objects == 0, sample.codes == MEMBRANE)


def test_most_of_a_cell_lies_in_the_same_cell_of_the_next_section(sample):
    for upper, lower in zip(sample.objects[:-1], sample.objects[1:], strict=True):
        both = (upper > 0) & (lower > 0)
        assert (upper == lower)[both].mean() > 0.8
        assert not np.array_equal(upper, lower)


def test_membranes_and_mitochondria_are_darker_than_cytoplasm_but_overlap_with_it(sample):
    image, codes = sample.image.data, sample.codes
    cytoplasm, membrane = image[codes == BACKGROUND], image[codes == MEMBRANE]
    mitochondria = image[codes == MITOCHONDRION]
    assert membrane.mean() + 50 < cytoplasm.mean()
    assert mitochondria.mean() + 40 < cytoplasm.mean()
    # Nobody can threshold them apart: tenths of each lie on the other's side of the middle.
    middle = (membrane.mean() + cytoplasm.mean()) / 2
    assert (membrane > middle).mean() > 0.08
    assert (cytoplasm < middle).mean() > 0.08


def test_some_membranes_are_sharp_and_some_are_cut_obliquely_and_faint():
    sample = em_stack(seed=6, shape=(2, 384, 384))
    plane = ndimage.gaussian_filter(sample.image.data[0].astype(float), 1.0)
    ridge = ndimage.distance_transform_edt(sample.codes[0] == MEMBRANE) > 2.2
    low, high = np.percentile(plane[ridge], [5, 95])
    assert high - low > 50


def test_brightness_drifts_from_section_to_section():
    sample = em_stack(seed=0, shape=(8, 128, 128))
    means = sample.image.data.mean(axis=(1, 2))
    assert means.std() > 2


def test_filling_the_space_between_membranes_gives_the_cells_back(sample):
    """The membranes of the truth enclose its cells: an independent check of both."""
    plane, truth = sample.codes[2], sample.objects[2]
    regions, _ = ndimage.label(plane != MEMBRANE)
    error, _, _ = adapted_rand_error(truth, regions)
    assert error < 0.12


def test_any_shape_can_be_made():
    sample = em_stack(seed=1, shape=(1, 70, 101))
    assert sample.image.shape == (1, 70, 101)
    assert sample.codes.min() >= 1


def test_a_section_of_512_pixels_takes_less_than_a_second():
    start = time.process_time()
    em_stack(seed=0, shape=(4, 512, 512))
    assert (time.process_time() - start) / 4 < 0.8
