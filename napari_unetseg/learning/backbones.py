"""The backbones of the models that ship: what they learn from, and what they answer."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from napari_unetseg.config import UNetConfig
from napari_unetseg.synthesis.electron import electron_micrographs
from napari_unetseg.synthesis.example import Example
from napari_unetseg.synthesis.light import light_micrograph
from napari_unetseg.synthesis.nuclei_images import nuclei_image

from .backbone import Backbone
from .heads import Head

#: Side of an example in px.
_SIDE = 256

#: About the width of a pixel of electron micrographs.
ELECTRON_PX_NM = 8.0

#: About the diameter of objects of light micrographs.
LIGHT_DIAMETER_PX = 24.0

#: Share of examples that are real images, where there are any.
_REAL = 0.4

_NETWORK = UNetConfig(reduction=1, depth=4, filters=16)

BACKBONES = ("electron", "light")


def backbone(name: str, nuclei: Path | None = None) -> Backbone:
    """Return one of `BACKBONES`.

    Parameters
    ----------
    nuclei : Path, optional
        Folder of real images of nuclei, for ``"light"``: see `nuclei_image`.
    """
    if name == "electron":
        heads = Head("membranes", "membrane"), Head("mitochondria", "mitochondrion")
        return Backbone(
            heads,
            _electron,
            "synthetic electron micrographs",
            _NETWORK,
            pixel_size_um={"Y": ELECTRON_PX_NM / 1000, "X": ELECTRON_PX_NM / 1000},
        )
    heads = Head("nuclei", "nucleus", objects=True), Head("cells", "cell", objects=True)
    learns_from = "synthetic light micrographs"
    if nuclei is not None:
        learns_from += " and images of nuclei (BBBC038, CC0)"
    return Backbone(
        heads,
        partial(_light, nuclei=nuclei),
        learns_from,
        _NETWORK,
        object_diameter_px=LIGHT_DIAMETER_PX,
    )


def _electron(rng: np.random.Generator) -> Example:
    return electron_micrographs(rng, (1, _SIDE, _SIDE), ELECTRON_PX_NM)


def _light(rng: np.random.Generator, nuclei: Path | None) -> Example:
    if nuclei is not None and rng.random() < _REAL:
        return nuclei_image(rng, nuclei, _SIDE)
    return light_micrograph(rng, (_SIDE, _SIDE))
