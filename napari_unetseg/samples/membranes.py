"""What a section of finite thickness shows of the membranes it cuts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from .fields import Floats
from .neurites import Section

#: Half the width of a pair of membranes, in px: what counts as membrane in the truth.
MEMBRANE_PX = 2.7

_PROFILE_PX = 1.9


@dataclass(frozen=True, slots=True)
class Slab:
    """A section between its upper and lower face.

    Attributes
    ----------
    cell : ndarray, shape (Y, X), int
        Cell ids at mid-depth.
    depth_px : ndarray, shape (Y, X)
        Distance to the nearest other cell at mid-depth.
    membrane : ndarray, shape (Y, X)
        How much of the light path is membrane, in [0, 1]. Where a membrane runs obliquely through
        the section it is wide and faint.
    """

    cell: npt.NDArray[np.intp]
    depth_px: Floats
    membrane: Floats


def slab_between(upper: Section, lower: Section, thickness: Floats) -> Slab:
    """Average the membranes between two faces.

    Between the faces the distance to the border is taken to change evenly, through 0 where the
    cell changes; the mean of a Gaussian profile along such a line is known in closed form.

    Parameters
    ----------
    thickness : ndarray, shape (Y, X)
        Width of the membranes relative to the usual one.
    """
    same = upper.cell == lower.cell
    end = np.where(same, lower.depth_px, -lower.depth_px)
    middle = (upper.depth_px + end) / 2
    share = share_of_path(middle, upper.depth_px - end, _PROFILE_PX * thickness, 0.5)
    cell = np.where(middle >= 0, upper.cell, lower.cell)
    return Slab(cell, np.abs(middle), share)


def share_of_path(middle: Floats, travel: Floats, width: Floats, least: float) -> Floats:
    """Return the mean of a Gaussian profile along a path that crosses it at an even rate.

    Parameters
    ----------
    middle, travel : ndarray
        Distance from the profile's middle half-way along the path, and how much it changes.
    width : ndarray
        Of the profile: it has fallen to 1 / e there.
    least : float
        Changes smaller than this count as so large.

    Returns
    -------
    ndarray
        In [0, 1].
    """
    travel = np.where(np.abs(travel) < least, least, travel)
    enters, leaves = (middle + travel / 2) / width, (middle - travel / 2) / width
    mean = np.sqrt(np.pi) / 2 * width * (erf(enters) - erf(leaves)) / travel
    share: Floats = np.clip(mean, 0, 1)
    return share
