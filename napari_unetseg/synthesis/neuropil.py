"""Electron micrographs of tissue, as stain, with what is membrane and what is mitochondrion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from napari_unetseg.config import BACKGROUND
from napari_unetseg.samples.fields import Floats, SmoothField, smoothstep
from napari_unetseg.samples.membranes import share_of_path
from napari_unetseg.samples.stamps import stamp_rings

from .cells import FAR_NM, Cells, CellShapes, Face, View
from .draws import log_uniform, seldom
from .organelles import Bodies, BodyCut, draw_mitochondria, draw_nuclei

#: What counts as membrane in the truth reaches this far from the middle between two cells.
MEMBRANE_NM = 11.0

#: Share of the light path from which a membrane that runs obliquely counts too.
_OBLIQUE = 0.5

#: Share of the light path below which nobody sees that there is a membrane.
_INVISIBLE = 0.12

Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Section:
    """One section of tissue.

    Attributes
    ----------
    stain : ndarray, shape (Y, X)
        0 lets everything through, 1 next to nothing.
    membrane, mitochondrion : ndarray, shape (Y, X), uint8
        Codes: 0 cannot be told, 1 not, 2 is.
    """

    stain: Floats
    membrane: Codes
    mitochondrion: Codes


class Neuropil:
    """A block of nervous or other tissue, unlike the one before.

    Everything about it is drawn at random, farther apart than in any one preparation: the sizes
    and shapes of cells, the thickness of sections, how dark and how wide membranes are, what the
    cells hold.

    Parameters
    ----------
    rng : numpy.random.Generator
    view : View
    """

    def __init__(self, rng: np.random.Generator, view: View) -> None:
        self._rng, self._view = rng, view
        radius = log_uniform(rng, 80, 800)
        giant = rng.uniform(1500, 3500) if rng.random() < 0.2 else 0.0
        shapes = CellShapes(
            radius_nm=radius,
            spread=rng.uniform(0.2, 0.75),
            links=int(rng.choice([1, 2, 3, 6, 12])),
            fibres=float(rng.choice([0.0, 0.3, 0.8])),
            bend=rng.uniform(0.15, 0.5),
            giant_nm=giant,
        )
        self._cells = Cells(rng, view, shapes)
        # Sections are cut, or the face of a block is looked at, into which electrons reach little.
        self._light_path_nm = rng.uniform(35, 75) if rng.random() < 0.6 else rng.uniform(3, 20)
        self._width_nm = rng.uniform(5.0, 9.5)
        self._gap_nm = rng.uniform(3, 14) if rng.random() < 0.25 else 0.0
        self._darkness = rng.uniform(0.5, 1.0)
        self._uneven = rng.uniform(0.0, 0.35)
        self._darkness_field = self._field(250, 120)
        self._width_field = self._field(120, 120)
        self._dents = self._field(60, 100)
        self._patches = self._field(35, 35)
        self._cisterns = self._field(100, 160)
        self._cisterns_here = self._field(250, 200)
        self._cistern_gain = seldom(rng, 0.7) * rng.uniform(0.2, 0.6)
        self._clear = self._field(170, 150)
        self._clear_gain = seldom(rng, 0.5) * rng.uniform(0.2, 0.7)
        self._characters(rng)
        self._vesicle_field = self._field(240, 160)
        self._grain = rng.uniform(0.02, 0.16), rng.uniform(5, 12)
        self._coarse_grain = rng.uniform(0.0, 0.1), rng.uniform(14, 40)
        self._mitochondria = Bodies.mitochondria(rng, self._cells)
        self._vacuoles = Bodies.vacuoles(rng, self._cells)
        self._nuclei = Bodies.nuclei(rng, self._cells)

    def _field(self, wave_nm: float, wave_z_nm: float) -> SmoothField:
        view = self._view
        return SmoothField(
            self._rng,
            view.shape,
            max(wave_nm / view.px_nm, 2.0),
            max(wave_z_nm / view.section_nm, 1.0),
        )

    def _characters(self, rng: np.random.Generator) -> None:
        """Draw what each cell is like."""
        n = self._cells.n_cells
        stain = rng.uniform(0.03, 0.35) + rng.uniform(0.0, 0.1) * rng.standard_normal(n)
        dark = rng.random(n) < rng.uniform(0, 0.15)
        stain += dark * rng.uniform(0.1, 0.4)
        self._stain = np.clip(stain, 0.0, 0.7)
        self._cell_grain = rng.uniform(0.5, 1.3, n)
        self._vesicles = rng.uniform(0.3, 1.0, n) * (rng.random(n) < rng.uniform(0, 0.5))
        self._tubules = rng.uniform(0.0, 1.0, n) * (rng.random(n) < 0.5) * seldom(rng, 0.6)
        self._myelin_nm = np.zeros(n)
        if rng.random() < 0.15:
            wrapped = rng.random(n) < rng.uniform(0.02, 0.3)
            self._myelin_nm = wrapped * rng.uniform(40, 150, n)
        self._dense = rng.random(n) < rng.uniform(0, 0.3)

    def section(self, index: int) -> Section:
        """Draw a section."""
        depth = index * self._view.section_nm
        upper = self._cells.face(depth)
        lower = self._cells.face(depth + self._light_path_nm)
        slab = _between(
            upper, lower, self._width_nm * np.exp(0.15 * self._width_field.plane(index))
        )
        return self._draw(index, slab)

    def _draw(self, index: int, slab: _Slab) -> Section:
        rng = self._rng
        stain = self._cytoplasm(index, slab)
        dents = self._dents.plane(index)
        cuts = [
            bodies.cut(slab.at_nm, slab.border_nm, slab.cell, dents)
            for bodies in (self._nuclei, self._vacuoles, self._mitochondria)
        ]
        nuclei, vacuoles, mitochondria = cuts
        free = smoothstep(slab.border_nm, 12.0, 35.0)
        for cut in cuts[0] + cuts[1] + cuts[2]:
            free[cut.window] *= 1 - smoothstep(cut.depth_nm, -15.0, 5.0)
        stain += free * self._small_organelles(index, slab)
        for cut in vacuoles:
            self._draw_vacuole(stain, cut)
        mitochondrion = np.full(stain.shape, BACKGROUND, np.uint8)
        draw_mitochondria(
            stain, mitochondrion, mitochondria, self._mitochondria.look, self._patches.plane(index)
        )
        draw_nuclei(rng, stain, nuclei, self._view.px_nm)
        for cut in nuclei:
            mitochondrion[cut.window][cut.depth_nm > 0] = BACKGROUND
        membrane = self._draw_membranes(index, stain, slab)
        mitochondrion[(slab.border_nm < self._myelin_nm[slab.cell]) & (mitochondrion > 1)] = 0
        return Section(stain, membrane, mitochondrion)

    def _cytoplasm(self, index: int, slab: _Slab) -> Floats:
        clear = self._clear_gain * smoothstep(self._clear.plane(index), 0.2, 1.8)
        stain = self._stain[slab.cell] * (1 - clear)
        gain = self._cell_grain[slab.cell] * (1 - 0.5 * clear)
        for strength, wave_nm in (self._grain, self._coarse_grain):
            sigma = max(0.35, wave_nm / 2 / self._view.px_nm)
            noise = gaussian_filter(
                self._rng.standard_normal(stain.shape).astype(np.float32), sigma, truncate=3
            )
            stain = stain + strength * gain * noise / (noise.std() + 1e-6)
        return stain

    def _small_organelles(self, index: int, slab: _Slab) -> Floats:
        small = np.zeros_like(slab.border_nm)
        self._draw_cisterns(index, small)
        self._draw_vesicles(index, slab, small)
        self._draw_tubules(slab, small)
        return small

    def _draw_cisterns(self, index: int, small: Floats) -> None:
        if not self._cistern_gain:
            return
        field, px_nm = self._cisterns.plane(index), self._view.px_nm
        slope_y, slope_x = np.gradient(field)
        away = np.abs(field) * px_nm / np.sqrt(slope_y**2 + slope_x**2 + 1e-4)
        here = smoothstep(self._cisterns_here.plane(index), 0.8, 1.4)
        small += here * self._cistern_gain * np.exp(-(((away - 14) / 7) ** 2))

    def _draw_vesicles(self, index: int, slab: _Slab, small: Floats) -> None:
        rng, px_nm, (height, width) = self._rng, self._view.px_nm, small.shape
        step = max(45 / px_nm, 2.0)
        grid = np.stack(np.meshgrid(np.arange(0, height, step), np.arange(0, width, step)), -1)
        at = grid.reshape(-1, 2) + rng.uniform(-0.3, 0.3, (grid.size // 2, 2)) * step
        y, x = np.clip(at.astype(int), 0, (height - 1, width - 1)).T
        crowd = smoothstep(self._vesicle_field.plane(index), -0.3, 1.0)[y, x]
        at = at[rng.random(len(at)) < crowd * self._vesicles[slab.cell[y, x]]]
        n = len(at)
        radius = rng.normal(17, 2.5, n) / px_nm
        rim = max(0.5, 5.0 / px_nm)
        stamp_rings(small, at, np.maximum(radius, 0), rim, rng.uniform(0.2, 0.5, n))
        n = int(rng.poisson(small.size * (px_nm / 1000) ** 2 * rng.uniform(0, 2)))
        at = rng.random((n, 2)) * small.shape
        core = np.full(n, max(0.7, rng.uniform(12, 30) / px_nm))
        stamp_rings(small, at, 0 * core, float(core.max(initial=0.7)), rng.uniform(0.2, 0.8, n))

    def _draw_tubules(self, slab: _Slab, small: Floats) -> None:
        rng, px_nm, (height, width) = self._rng, self._view.px_nm, small.shape
        n = int(rng.poisson(small.size * (px_nm / 90) ** 2))
        at = rng.random((n, 2)) * small.shape
        y, x = np.clip(at.astype(int), 0, (height - 1, width - 1)).T
        weight = self._tubules[slab.cell[y, x]] * rng.uniform(0.1, 0.5, n)
        kept = weight > 0.02
        radius = np.full(int(kept.sum()), 10 / px_nm)
        stamp_rings(small, at[kept], radius, max(0.5, 5.0 / px_nm), weight[kept])

    def _draw_vacuole(self, stain: Floats, cut: BodyCut) -> None:
        rng, d = self._rng, cut.depth_nm
        inside = cut.clearness * smoothstep(d, 0.0, 15.0)
        filled = rng.uniform(0.0, 0.9) if rng.random() < 0.3 else rng.uniform(0, 0.15)
        stain[cut.window] = stain[cut.window] * (1 - inside) + inside * filled
        stain[cut.window] += rng.uniform(0.2, 0.7) * cut.clearness * np.exp(-((d / 8.0) ** 2))

    def _draw_membranes(self, index: int, stain: Floats, slab: _Slab) -> Codes:
        """Draw membranes, sheaths and synapses in place; return where membranes are."""
        d = slab.border_nm
        darkness = 1 + self._uneven * self._darkness_field.plane(index)
        strength = self._darkness * np.clip(darkness, 0.2, 1.3) * slab.membrane
        stain *= 1 - 0.6 * slab.membrane
        stain += strength
        if self._gap_nm:
            open_nm = self._gap_nm * (1 + 0.5 * self._width_field.plane(index))
            inside = smoothstep(d, open_nm / 2 + 2, open_nm / 2 - 2)
            stain -= 0.8 * inside * strength
        stain += self._synapses(slab)
        membrane = np.full(stain.shape, BACKGROUND, np.uint8)
        membrane[(d < MEMBRANE_NM) | (slab.membrane > _OBLIQUE)] = BACKGROUND + 1
        membrane[(d < MEMBRANE_NM) & (slab.membrane < _INVISIBLE)] = 0
        sheath_nm = self._myelin_nm[slab.cell]
        if sheath_nm.any():
            sheath = (d < sheath_nm) & (sheath_nm > 0)
            lamellae = 0.6 + 0.3 * np.cos(2 * np.pi * d / 16)
            stain[:] = np.where(sheath, np.maximum(stain, lamellae), stain)
            # Which of so many membranes is the border of the cell nobody can tell.
            membrane[sheath & (d >= MEMBRANE_NM)] = 0
        return membrane

    def _synapses(self, slab: _Slab) -> Floats:
        """Return the dark material on one side of some membranes."""
        rng, px_nm, d = self._rng, self._view.px_nm, slab.border_nm
        stain = np.zeros_like(d)
        at = np.argwhere((d < 8) & self._dense[slab.cell])
        n = min(int(rng.poisson(d.size * (px_nm / 700) ** 2)), len(at))
        if not n:
            return stain
        for y, x in at[rng.choice(len(at), n)]:
            size = rng.uniform(40, 140) / px_nm
            reach = int(3 * size) + 1
            window = slice(max(0, y - reach), y + reach), slice(max(0, x - reach), x + reach)
            rows = np.arange(window[0].start, min(window[0].stop, d.shape[0]))[:, None] - y
            columns = np.arange(window[1].start, min(window[1].stop, d.shape[1]))[None] - x
            near = np.exp(-0.5 * (rows**2 + columns**2) / (size / 1.5) ** 2)
            own = slab.cell[window] == slab.cell[y, x]
            reach_nm = np.where(own, rng.uniform(12, 30), 12.0)
            stain[window] += rng.uniform(0.3, 0.8) * near * np.exp(-((d[window] / reach_nm) ** 2))
        return stain


@dataclass(frozen=True, slots=True)
class _Slab:
    """Cells in the middle between two faces, and how much of the light path is membrane."""

    at_nm: tuple[Floats, ...]
    cell: npt.NDArray[np.intp]
    border_nm: Floats
    membrane: Floats


def _between(upper: Face, lower: Face, width_nm: Floats) -> _Slab:
    """Average the membranes between two faces.

    Between them the distance to the border is taken to change evenly, through 0 where the cell
    changes.
    """
    same = upper.cell == lower.cell
    end = np.where(same, lower.border_nm, -lower.border_nm)
    middle = (upper.border_nm + end) / 2
    membrane = share_of_path(middle, upper.border_nm - end, width_nm, 1.0)
    cell = np.where(middle >= 0, upper.cell, lower.cell)
    at_nm = tuple((u + v) / 2 for u, v in zip(upper.at_nm, lower.at_nm, strict=True))
    return _Slab(at_nm, cell, np.minimum(np.abs(middle), FAR_NM), membrane)
