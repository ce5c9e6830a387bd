"""How numbers are drawn."""

from __future__ import annotations

import math

import numpy as np


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is equally likely everywhere between two."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def seldom(rng: np.random.Generator, share: float) -> float:
    """Draw 1 in a share of all cases, else 0."""
    return float(rng.random() < share)
