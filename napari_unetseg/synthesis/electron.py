"""Synthetic electron micrographs with exact targets."""

from __future__ import annotations

import numpy as np

from .cells import View
from .draws import log_uniform
from .example import Example
from .micrograph import ElectronMicroscope
from .neuropil import Neuropil


def electron_micrographs(
    rng: np.random.Generator, shape: tuple[int, int, int], px_nm: float = 8.0
) -> Example:
    """Draw sections of one tissue through one microscope.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        Sections, height and width in px.
    px_nm : float
        About the width of a pixel: between 0.7 and 1.5 times this.
    """
    view = View(shape, px_nm * log_uniform(rng, 0.7, 1.5), log_uniform(rng, 8, 60))
    tissue, microscope = Neuropil(rng, view), ElectronMicroscope(rng)
    sections = [tissue.section(z) for z in range(shape[0])]
    pictures = [microscope.picture(section.stain) for section in sections]
    readable = np.stack([seen for _, seen in pictures])
    return Example(
        np.stack([pixels for pixels, _ in pictures]),
        {
            "membrane": np.stack([s.membrane for s in sections]) * readable,
            "mitochondrion": np.stack([s.mitochondrion for s in sections]) * readable,
        },
    )
