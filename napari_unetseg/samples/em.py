"""A stack as a serial-section electron microscope sees a neuropil."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import BACKGROUND, LabelClass, default_color
from napari_unetseg.images import Stack

from .cytoplasm import Cytoplasm
from .fields import Floats, SmoothField, smoothstep
from .membranes import MEMBRANE_PX, Slab, slab_between
from .microscope import ElectronMicroscope
from .mitochondria import Body, Cut, cut_body, draw_mitochondria, draw_vacuoles, place_bodies
from .neurites import Neurites
from .sample import Sample
from .synapses import Synapses

EM_CLASSES = (
    LabelClass(name="membrane", color=default_color(1)),
    LabelClass(name="mitochondrion", color=default_color(2)),
)

#: Section thickness and pixel size, in µm.
EM_PIXEL_SIZE_UM = {"Z": 0.05, "Y": 0.005, "X": 0.005}

_MEMBRANE, _MITOCHONDRION = BACKGROUND + 1, BACKGROUND + 2


def em_stack(seed: int = 0, shape: tuple[int, int, int] = (24, 512, 512)) -> Sample:
    """Generate a neuropil in serial sections, with its truth.

    Neurites of many sizes, bounded by membranes that are sharp where cut across and faint where
    cut obliquely, with mitochondria, vesicles, microtubules and synaptic densities, continuous
    from section to section; the contrast drifts, there is noise, and here and there a fold or dirt.

    Parameters
    ----------
    seed : int
        The same seed and shape give the same pixels.
    shape : tuple of int
        Sections, height and width in px.
    """
    rng = np.random.default_rng([seed, 1])
    tissue = _Tissue(rng, shape)
    microscope = ElectronMicroscope(rng, shape)
    image, codes = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
    objects = np.empty(shape, np.uint32)
    for index in range(shape[0]):
        density, codes[index], objects[index] = tissue.next_section()
        image[index] = microscope.image(density, index)
    stack = Stack(image, "ZYX", dict(EM_PIXEL_SIZE_UM), name="neuropil")
    return Sample(stack, EM_CLASSES, codes, objects)


class _Tissue:
    """Cuts one section after another from the same block."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> None:
        self._neurites = Neurites(rng, shape)
        # As wide as those of the larva of Drosophila in docs/benchmarks.md: half of them between
        # 156 and 262 nm, six in a section of 2.6 × 2.6 µm.
        self._mitochondria = place_bodies(
            rng, self._neurites, shape[0], 28, 0.8, (0.7, 0.95), (4, 14)
        )
        self._vacuoles = place_bodies(
            rng, self._neurites, shape[0], 20, 0.35, (0.18, 0.45), (1.5, 5)
        )
        self._cytoplasm = Cytoplasm(rng, self._neurites, shape)
        self._synapses = Synapses(rng, self._neurites, self._cytoplasm.character, shape)
        self._darkness = SmoothField(rng, shape, 55, 3)
        self._width = SmoothField(rng, shape, 28, 3)
        self._bend = SmoothField(rng, shape, 13, 3)
        self._patchiness = SmoothField(rng, shape, 7, 1)
        self._z = 0
        self._warped = self._neurites.warped(0)
        self._face = self._neurites.section(0, self._warped)

    def next_section(
        self,
    ) -> tuple[Floats, npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
        """Return stain, class codes and cell ids of the next section."""
        z = self._z + 0.5
        upper, above = self._face, self._warped
        self._z += 1
        self._warped = self._neurites.warped(self._z)
        self._face = self._neurites.section(self._z, self._warped)
        slab = slab_between(upper, self._face, np.exp(0.16 * self._width.plane(z)))
        warped = (above[0] + self._warped[0]) / 2, (above[1] + self._warped[1]) / 2
        return self._draw(z, slab, warped)

    def _draw(
        self, z: float, slab: Slab, warped: tuple[Floats, Floats]
    ) -> tuple[Floats, npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
        bend = self._bend.plane(z)
        vacuoles = self._cuts(self._vacuoles, z, slab, warped, bend)
        mitochondria = self._cuts(self._mitochondria, z, slab, warped, bend)
        free = smoothstep(slab.depth_px, 3.0, 7.0)
        for cut in vacuoles + mitochondria:
            free[cut.window] *= 1 - smoothstep(cut.depth_px, -3.0, 1.0)
        density = self._cytoplasm.draw(z, slab, free)
        draw_vacuoles(density, vacuoles)
        truth = np.zeros(slab.cell.shape, bool)
        draw_mitochondria(density, truth, mitochondria, bend, self._patchiness.plane(z))
        darkness = np.clip(0.96 + 0.17 * self._darkness.plane(z), 0.45, 1.25)
        density += darkness * slab.membrane * (1 - 0.25 * density)
        density += self._synapses.draw(z, slab)
        return density, _codes(slab, truth), _objects(slab)

    def _cuts(
        self, bodies: list[Body], z: float, slab: Slab, warped: tuple[Floats, Floats], bend: Floats
    ) -> list[Cut]:
        cuts = (cut_body(b, self._neurites, z, warped, slab, bend) for b in bodies)
        return [cut for cut in cuts if cut is not None]


def _codes(slab: Slab, mitochondria: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    codes = np.full(slab.cell.shape, BACKGROUND, np.uint8)
    codes[mitochondria] = _MITOCHONDRION
    codes[slab.depth_px < MEMBRANE_PX] = _MEMBRANE
    return codes


def _objects(slab: Slab) -> npt.NDArray[np.uint32]:
    return np.where(slab.depth_px < MEMBRANE_PX, 0, slab.cell).astype(np.uint32)
