"""A simulated annotator, who knows the truth and paints it in strokes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_opening, distance_transform_edt, gaussian_filter

from .fields import Floats

Codes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

#: A stroke keeps this far inside what it follows, in px.
_KEEP_INSIDE_PX = 1.5
#: Deeper inside than this is as good as this: just enough for the brush.
_DEEP_ENOUGH_PX = 3.5
_STEP_PX = 2.0
#: Nobody takes a brush finer than this, however thin a structure is.
_FINEST_PX = 2.0
_TURNS = np.linspace(-0.9, 0.9, 11)

#: A person sees mistakes that lie close together as one; standard deviation of a Gaussian, in px.
_NEIGHBOURHOOD_PX = 6.0
#: Share of mistaken pixels nearby below which nobody would bother.
_WORTH_A_STROKE = 0.1
#: A stroke takes care of the mistakes this near to it.
_TAKEN_CARE_OF_PX = 16.0


@dataclass(frozen=True, slots=True)
class Stroke:
    """One movement of the brush.

    Attributes
    ----------
    plane : int
        The slice it is painted in.
    code : int
        What it paints: 1 background, ``k + 1`` class `k`.
    path : ndarray, shape (n, 2)
        Where the brush's centre goes, y and x in px.
    """

    plane: int
    code: int
    path: Floats


class Annotator:
    """Paints strokes along the classes of a truth, and later along what a segmentation got wrong.

    Parameters
    ----------
    truth : ndarray, shape (N, Y, X), uint8
        Codes of every pixel.
    seed : int
        Of everything random.
    brush_px : float
        Diameter of the brush; a finer one is taken for what is thinner.
    """

    def __init__(self, truth: Codes, seed: int = 0, brush_px: float = 5.0) -> None:
        self._truth = truth
        self._rng = np.random.default_rng([seed, 3])
        self._brush_px = brush_px

    def annotate(
        self, annotations: Codes, plane: int, strokes: Sequence[int], length_px: float
    ) -> list[Stroke]:
        """Paint strokes of the given codes on a slice, each along what is not painted yet.

        Parameters
        ----------
        annotations : ndarray, shape (N, Y, X), uint8
            Changed in place.
        strokes : sequence of int
            The code of each stroke; one whose class is not in the slice is left out.
        length_px : float
            Of a stroke; shorter where what it follows ends.
        """
        done = []
        for code in strokes:
            free = (self._truth[plane] == code) & (annotations[plane] == 0)
            depth = self._depth(free)
            starts = _places(depth)
            if not len(starts):
                continue
            path = self._path(depth, starts[self._rng.integers(len(starts))], length_px)
            done.append(self._paint(annotations, Stroke(plane, code, path)))
        return done

    def correct(
        self,
        annotations: Codes,
        segmentation: Codes,
        planes: Sequence[int],
        n_strokes: int,
        length_px: float,
    ) -> list[Stroke]:
        """Paint the right class where most is wrong in a segmentation, and what it was taken for.

        Strokes come in threes: one over a mistake, one nearby, where the class that was answered
        really is, and one of the class that is painted least. A network that only sees where a
        class is not unlearns where it is. Rims of a pixel or two are no mistakes to a person; they
        are not looked at.

        Parameters
        ----------
        annotations : ndarray, shape (N, Y, X), uint8
            Changed in place.
        segmentation : ndarray, shape (N, Y, X), uint8
            Codes; looked at in `planes` only.
        planes : sequence of int
            Slices to correct.
        n_strokes : int
            At most so many; every three where most is wrong that no stroke has reached yet.
        length_px : float
            Of a stroke; shorter where the class it follows ends.
        """
        crowds = [
            (plane, int(code), self._crowding(segmentation[plane], plane, int(code)))
            for plane in planes
            for code in np.unique(self._truth[plane])
        ]
        done: list[Stroke] = []
        while len(done) < n_strokes:
            plane, code, crowding = max(crowds, key=lambda crowd: float(crowd[2].max()))
            if crowding.max() < _WORTH_A_STROKE:
                break
            start = np.array(np.unravel_index(crowding.argmax(), crowding.shape))
            depth = self._depth(self._truth[plane] == code)
            path = self._path(depth * (1 + crowding), start, length_px)
            done.append(self._paint(annotations, Stroke(plane, code, path)))
            _clear_around(crowding, path)
            answered = self._answered(segmentation[plane], plane, code, start)
            for beside in (answered, self._least_painted(annotations, planes)):
                if len(done) < n_strokes:
                    done += self._confirm(annotations, plane, beside, start, length_px)
        return done

    def _answered(
        self, segmentation: Codes, plane: int, code: int, at: npt.NDArray[np.int64]
    ) -> int:
        """Return what pixels of a class were mostly taken for around a place."""
        reach = int(_NEIGHBOURHOOD_PX)
        around = tuple(slice(max(0, i - reach), i + reach + 1) for i in at)
        answers = segmentation[around][self._truth[plane][around] == code]
        return int(np.bincount(answers[answers != code], minlength=1).argmax())

    def _least_painted(self, annotations: Codes, planes: Sequence[int]) -> int:
        """Return the code with the fewest painted pixels, of those in the truth of some slices."""
        codes = np.unique(self._truth[list(planes)])
        painted = np.bincount(annotations.ravel(), minlength=int(codes.max()) + 1)
        return int(codes[painted[codes].argmin()])

    def _confirm(
        self,
        annotations: Codes,
        plane: int,
        code: int,
        near: npt.NDArray[np.int64],
        length_px: float,
    ) -> list[Stroke]:
        """Paint a class where it is right and not painted yet, as near to a place as can be."""
        depth = self._depth((self._truth[plane] == code) & (annotations[plane] == 0))
        places = _places(depth)
        if not len(places):
            return []
        nearest = places[np.square(places - near).sum(axis=1).argmin()]
        path = self._path(depth, nearest, length_px)
        return [self._paint(annotations, Stroke(plane, code, path))]

    def _crowding(self, segmentation: Codes, plane: int, code: int) -> Floats:
        """Return how much of a class is mistaken around each pixel where a brush may go."""
        own = self._truth[plane] == code
        wrong = binary_opening(own & (segmentation != code))
        crowding: Floats = gaussian_filter(wrong.astype(float), _NEIGHBOURHOOD_PX)
        return np.where(self._depth(own) >= _KEEP_INSIDE_PX, crowding, 0.0)

    def _depth(self, inside: Mask) -> Floats:
        depth: Floats = np.minimum(distance_transform_edt(inside), _DEEP_ENOUGH_PX)
        return depth

    def _path(self, depth: Floats, start: npt.NDArray[np.int64], length_px: float) -> Floats:
        """Walk both ways from a point, where it is deep, without sharp turns."""
        heading = self._first_heading(depth, start)
        n_steps = int(length_px / 2 / _STEP_PX)
        back = self._walk(depth, start.astype(float), heading + np.pi, n_steps)
        forth = self._walk(depth, start.astype(float), heading, n_steps)
        return np.concatenate([back[::-1], start[None].astype(float), forth])

    def _first_heading(self, depth: Floats, start: npt.NDArray[np.int64]) -> float:
        headings = self._rng.uniform(0, 2 * np.pi) + np.linspace(0, np.pi, 12, endpoint=False)
        way = np.stack([np.sin(headings), np.cos(headings)], axis=1)
        both = [_depth_at(depth, start + sign * 5.0 * way) for sign in (-1, 1)]
        return float(headings[np.argmax(both[0] + both[1])])

    def _walk(self, depth: Floats, at: Floats, heading: float, n_steps: int) -> Floats:
        path = []
        for _ in range(n_steps):
            headings = heading + _TURNS
            ahead = at + _STEP_PX * np.stack([np.sin(headings), np.cos(headings)], axis=1)
            room = _depth_at(depth, ahead)
            value = room - 0.5 * np.abs(_TURNS) + self._rng.normal(0, 0.15, len(_TURNS))
            best = int(np.argmax(np.where(room >= _KEEP_INSIDE_PX, value, -np.inf)))
            if room[best] < _KEEP_INSIDE_PX:
                break
            at, heading = ahead[best], float(headings[best])
            path.append(at)
        return np.array(path).reshape(-1, 2)

    def _paint(self, annotations: Codes, stroke: Stroke) -> Stroke:
        """Paint along a path, with a finer brush where the class is thinner than the brush."""
        plane = annotations[stroke.plane]
        room = distance_transform_edt(self._truth[stroke.plane] == stroke.code)
        radii = np.clip(_depth_at(room, stroke.path) - 0.5, _FINEST_PX / 2, self._brush_px / 2)
        reach = np.arange(-int(self._brush_px / 2) - 1, int(self._brush_px / 2) + 2)
        for centre, radius in zip(stroke.path, radii, strict=True):
            y, x = np.meshgrid(*(np.round(c).astype(int) + reach for c in centre), indexing="ij")
            inside = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2
            inside &= (y >= 0) & (y < plane.shape[0]) & (x >= 0) & (x < plane.shape[1])
            plane[y[inside], x[inside]] = stroke.code
        return stroke


def _places(depth: Floats) -> npt.NDArray[np.int64]:
    """Return the pixels, (n, 2), where a stroke may begin: none where the brush has no room."""
    if depth.max() < _KEEP_INSIDE_PX:
        return np.empty((0, 2), np.int64)
    return np.argwhere(depth >= min(_DEEP_ENOUGH_PX, 0.7 * depth.max()))


def _depth_at(depth: Floats, at: Floats) -> Floats:
    """Return the depth at the nearest pixels, 0 outside."""
    y, x = np.round(at).astype(int).T
    inside = (y >= 0) & (y < depth.shape[0]) & (x >= 0) & (x < depth.shape[1])
    found: Floats = np.where(inside, depth[y * inside, x * inside], 0.0)
    return found


def _clear_around(crowding: Floats, path: Floats) -> None:
    """Forget the mistakes near a stroke, in place."""
    reached = np.ones(crowding.shape, bool)
    y, x = np.clip(np.round(path).astype(int), 0, np.array(crowding.shape) - 1).T
    reached[y, x] = False
    crowding[distance_transform_edt(reached) <= _TAKEN_CARE_OF_PX] = 0
