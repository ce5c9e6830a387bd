"""Shapes for tests, the same on every machine: rectangles from a generator that never changes."""

import numpy as np


def rectangles(seed, shape, n=12, largest=9):
    """Return ids of rectangles (boxes) that may cover each other, and none at the edge."""
    random = np.random.RandomState(seed)  # whose numbers are promised to stay
    ids = np.zeros(shape, np.int32)
    for number in range(1, n + 1):
        size = [random.randint(1, min(largest, length - 3) + 1) for length in shape]
        start = [random.randint(1, length - part) for length, part in zip(shape, size, strict=True)]
        where = tuple(slice(a, a + b) for a, b in zip(start, size, strict=True))
        ids[where] = number
    return ids


def truth_and_prediction(seed, shape, n=12):
    """Return two label images of which much, but not all, agrees."""
    truth = rectangles(seed, shape, n)
    predicted = np.roll(truth, (seed % 3, 1), (-1, -2))
    predicted[truth == 1 + seed % n] = 0
    other = rectangles(seed + 100, shape, 3)
    predicted[other > 0] = 50 + other[other > 0]
    for axis in range(predicted.ndim):
        for edge in (0, -1):
            np.moveaxis(predicted, axis, 0)[edge] = 0
    return truth, predicted
