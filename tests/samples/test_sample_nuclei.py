from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_unetseg.samples import NUCLEI_CLASSES, Sample, nuclei_stack


@pytest.fixture(scope="module")
def sample() -> Sample:
    return nuclei_stack(seed=0)


def test_the_stack_is_uint8_in_zyx_and_calibrated(sample):
    assert sample.image.axes == "ZYX"
    assert sample.image.dtype == np.uint8
    assert sample.image.shape == (16, 256, 256)
    assert sample.image.pixel_size_um == {"Z": 0.8, "Y": 0.25, "X": 0.25}
    assert [c.name for c in NUCLEI_CLASSES] == ["nucleus"]


def test_the_same_seed_gives_the_same_pixels(sample):
    again = nuclei_stack(seed=0)
    np.testing.assert_array_equal(sample.image.data, again.image.data)
    np.testing.assert_array_equal(sample.objects, again.objects)
    assert not np.array_equal(sample.objects, nuclei_stack(seed=1).objects)


def test_masks_are_where_objects_are(sample):
    np.testing.assert_array_equal(sample.codes == 2, sample.objects > 0)
    assert set(np.unique(sample.codes)) == {1, 2}


def test_many_nuclei_touch_so_that_connected_pixels_are_not_yet_nuclei(sample):
    plane = sample.objects[6]
    _, n_connected = ndimage.label(plane > 0)
    n_nuclei = len(np.unique(plane)) - 1
    assert n_nuclei >= 1.3 * n_connected


def test_a_nucleus_is_in_one_piece_through_its_slices(sample):
    ids = np.unique(sample.objects)[1:]
    boxes = ndimage.find_objects(sample.objects.astype(np.int32))
    own = [sample.objects[boxes[i - 1]] == i for i in ids]
    pieces = [np.bincount(ndimage.label(inside)[0].ravel())[1:] for inside in own]
    shares = [sizes.max() / sizes.sum() for sizes in pieces]
    assert np.median(shares) == 1
    assert np.mean(shares) > 0.97


def test_deeper_slices_are_dimmer_and_more_blurred(sample):
    image, inside = sample.image.data.astype(float), sample.codes == 2

    def sharpness(z: int) -> float:
        slope = ndimage.gaussian_gradient_magnitude(image[z], 1.0)
        edge = inside[z] ^ ndimage.binary_erosion(inside[z])
        return float(slope[edge].mean() / image[z][inside[z]].mean())

    assert image[-3:][inside[-3:]].mean() < 0.85 * image[:3][inside[:3]].mean()
    assert np.mean([sharpness(z) for z in (13, 14, 15)]) < 0.8 * np.mean(
        [sharpness(z) for z in (0, 1, 2)]
    )


def test_the_background_is_uneven_and_the_noise_grows_with_the_signal(sample):
    image, outside = sample.image.data.astype(float), sample.codes == 1
    far = ndimage.binary_erosion(outside, iterations=4)
    smooth = [ndimage.gaussian_filter(plane, 6)[f] for plane, f in zip(image, far, strict=True)]
    assert np.ptp(np.percentile(np.concatenate(smooth), [5, 95])) > 8
    noise = image - ndimage.gaussian_filter(image, (0, 1.5, 1.5))
    assert noise[~outside].std() > 1.3 * noise[far].std()
