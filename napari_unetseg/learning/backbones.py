"""The backbones of the models that ship: what they learn from, and what they answer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

from napari_unetseg.config import UNetConfig
from napari_unetseg.synthesis.electron import electron_micrographs
from napari_unetseg.synthesis.light import light_micrograph
from napari_unetseg.synthesis.nuclei_images import checksum_of, nuclei_or_cells

from .backbone import Backbone
from .heads import Head

BackboneName: TypeAlias = Literal["electron", "light"]

#: Side of an example in px.
_SIDE = 256

#: About the width of a pixel of electron micrographs.
ELECTRON_PX_NM = 8.0

#: About the diameters of what light micrographs show.
LIGHT_DIAMETER_PX = {"nucleus": 22.0, "cell": 45.0}

_NETWORK = UNetConfig(reduction=1, depth=4, filters=16)

_ELECTRON = (
    Head(
        "membranes",
        "membrane",
        summary="Membranes of cells in electron micrographs of tissue, nervous tissue above all.",
        not_for="Membranes of organelles, negative stain, cryo tomograms, or light microscopy.",
    ),
    Head(
        "mitochondria",
        "mitochondrion",
        summary="Mitochondria in electron micrographs of tissue.",
        not_for="Mitochondria in light microscopy, or swollen beyond recognition.",
    ),
)

_LIGHT = (
    Head(
        "nuclei",
        "nucleus",
        objects=True,
        summary="Nuclei one by one, stained brightly or darkly, in fluorescence and histology.",
        not_for="Chromosomes, volumes as a whole, or electron microscopy.",
    ),
    Head(
        "cells",
        "cell",
        objects=True,
        summary="Cells and bacteria one by one, in fluorescence, phase contrast and DIC.",
        not_for="Neurites and other long branches, or electron microscopy.",
    ),
)


def backbone(name: BackboneName, nuclei: Path | None = None) -> Backbone:
    """Return a backbone by its name.

    Parameters
    ----------
    name : {"electron", "light"}
    nuclei : Path, optional
        Folder of real images of nuclei, for ``"light"``: see `nuclei_image`.
    """
    if name == "electron":
        return Backbone(
            _ELECTRON,
            "napari-unetseg pretrain electron",
            partial(electron_micrographs, shape=(1, _SIDE, _SIDE), px_nm=ELECTRON_PX_NM),
            "synthetic electron micrographs",
            _NETWORK,
            pixel_size_um={"Y": ELECTRON_PX_NM / 1000, "X": ELECTRON_PX_NM / 1000},
        )
    if nuclei is None:
        draw, option, learns_from = partial(light_micrograph, shape=(_SIDE, _SIDE)), "", ""
    else:
        draw = partial(nuclei_or_cells, folder=nuclei, side=_SIDE)
        option, learns_from = " --nuclei BBBC038", " and images of nuclei (BBBC038, CC0)"
    return Backbone(
        _LIGHT,
        f"napari-unetseg pretrain light{option}",
        draw,
        f"synthetic light micrographs{learns_from}",
        _NETWORK,
        object_diameter_px=LIGHT_DIAMETER_PX,
        material="" if nuclei is None else checksum_of(nuclei),
    )
