"""Stable regions beside those of OpenCV 5.0, whose answers are written down here."""

import numpy as np

from napari_unetseg.classical.mser import ComponentTree

#: Middle (row, column), radius and height of spots, the last in another.
SPOTS = [
    (15, 15, 5, 120),
    (15, 32, 4, 70),
    (40, 20, 8, 100),
    (36, 52, 6, 50),
    (18, 62, 7, 90),
    (48, 66, 5, 127),
    (40, 20, 3, 25),
]

#: cv2.MSER_create(delta=5, min_area=20, max_area=1000, max_variation=0.4, min_diversity=0) with
#: setPass2Only(True): pixels of each region by the spot that it is in the middle of.
OF_OPENCV = {
    0: [45, 69, 97, 101, 129, 137],
    1: [45, 57, 69, 89],
    2: [101, 129, 145, 185, 193, 221, 249, 261, 293],
    3: [89, 149],
    4: [101, 113, 145, 185, 213, 233],
    5: [45, 69, 97, 101, 137, 137],
}


def spots():
    y, x = np.mgrid[:60, :80]
    image = np.zeros((60, 80))
    for at_y, at_x, radius, height in SPOTS:
        image += height / (1 + np.exp((np.hypot(y - at_y, x - at_x) - radius) * 1.3))
    return np.rint(np.clip(image, 0, 127)).astype(np.uint8)


def stable(tree):
    growth = tree.growth(5)
    chosen = tree.least_of_branch(growth) & (tree.sizes >= 20) & (tree.sizes <= 1000)
    return chosen & (growth <= 0.4), growth


def spot_of(region):
    """Which spot a region is in the middle of; and its size."""
    middle = np.argwhere(region).mean(axis=0)
    apart = [np.hypot(*(middle - spot[:2])) for spot in SPOTS[:6]]
    assert min(apart) < 0.1
    return int(np.argmin(apart)), int(region.sum())


def test_where_opencv_finds_a_stable_region_there_is_one_of_about_its_size():
    tree = ComponentTree.of(spots())
    found = [spot_of(tree.painted([int(one)]) > 0) for one in np.flatnonzero(stable(tree)[0])]
    for spot, sizes in OF_OPENCV.items():
        ours = np.array([size for at, size in found if at == spot])
        for size in sizes:
            assert np.max(np.minimum(ours, size) / np.maximum(ours, size)) > 0.85, (spot, size)


def test_the_most_stable_region_of_each_spot_is_one_of_opencv():
    tree = ComponentTree.of(spots())
    ids = tree.painted(tree.outermost_first(*stable(tree)))
    kept = dict(spot_of(ids == number) for number in range(1, ids.max() + 1))
    assert kept.keys() == OF_OPENCV.keys()
    for spot, size in kept.items():
        theirs = np.array(OF_OPENCV[spot])
        assert np.max(np.minimum(theirs, size) / np.maximum(theirs, size)) > 0.9
