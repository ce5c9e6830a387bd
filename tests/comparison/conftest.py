"""Images with bright discs, annotated as a person would or completely."""

import numpy as np
import pytest

from napari_unetseg.annotations import assign_blocks, new_blocks
from napari_unetseg.comparison import AnnotatedImage
from napari_unetseg.config import default_class
from napari_unetseg.images import Stack

CLASSES = (default_class(1),)


def discs(n_planes=2, side=256, seed=0, noise=12):
    """Return a stack of discs on a darker ground, and their codes."""
    random = np.random.default_rng(seed)
    codes = np.ones((n_planes, side, side), np.uint8)
    y, x = np.indices((side, side))
    for plane in codes:
        for cy, cx in random.uniform(0, side, (side // 8, 2)):
            plane[np.hypot(y - cy, x - cx) < 9] = 2
    pixels = np.where(codes == 2, 150, 90) + random.normal(0, noise, codes.shape)
    return Stack(np.clip(pixels, 0, 255).astype(np.uint8), "ZYX", name="discs"), codes


def annotated(stack, codes):
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks, stack)
    return AnnotatedImage(stack, codes, blocks)


@pytest.fixture
def dense():
    """Everything is annotated, so that blocks are held out."""
    return annotated(*discs())


@pytest.fixture
def sparse():
    """A few short strokes on one slice, too few to hold anything out."""
    stack, truth = discs(n_planes=1)
    codes = np.zeros_like(truth)
    for y in range(10, 190, 30):
        codes[0, y : y + 3, 5:100] = truth[0, y : y + 3, 5:100]
    image = annotated(stack, codes)
    assert not (image.blocks == 2).any()
    return image


@pytest.fixture
def scene():
    """The functions above."""

    class Functions:
        pass

    Functions.discs = staticmethod(discs)
    Functions.annotated = staticmethod(annotated)
    Functions.classes = CLASSES
    return Functions
