"""What a network that is learning makes of the slice in view, and of those beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from napari_unetseg.events import PlanePredicted
from napari_unetseg.images import Normalisation, Stack, fit_normalisation
from napari_unetseg.jobs.commands import LookAt
from napari_unetseg.learning import Model, Predictor
from napari_unetseg.learning.device import Device

from .job import Emit
from .prediction import ImageInView

#: Seconds between segmentations of the same slice during training.
LOOK_EVERY_S = 1.5

#: Most of the time that they may take from training.
LOOK_SHARE = 0.2

#: Steps that learn from a stroke before it is shown what it has changed.
STEPS_BEFORE_LOOK = 3

#: Slices with more pixels than this are segmented in sight first, and then as a whole.
LARGE_PX = 2**21

#: Seen around what is in sight, so that its edges are as they will be in the whole slice.
AROUND_PX = 96


class View:
    """Shows how the network sees the slice in view, without holding up its training.

    Parameters
    ----------
    current_model : callable
        Returns the network as it is now.
    targets : sequence of ImageInView
    device : Device
    emit : callable
    """

    def __init__(
        self,
        current_model: Callable[[], Model],
        targets: Sequence[ImageInView],
        device: Device,
        emit: Emit,
    ) -> None:
        self._current_model = current_model
        self._targets = {image.id: image for image in targets}
        self._device = device
        self._emit = emit
        self._normalisations: dict[str, Normalisation] = {}
        self._model: tuple[int, Model] | None = None
        self._answered: dict[tuple[str, int], int] = {}
        self._shown: LookAt | None = None
        self._shown_at = 0.0
        self._took_s = 0.0
        self._hurry_at: int | None = None

    def hurry(self, step: int) -> None:
        """Show what is in view again soon after a step, for something was painted."""
        self._hurry_at = step + STEPS_BEFORE_LOOK

    def forget(self) -> None:
        """Show everything again, for the network is another one."""
        self._model = None
        self._answered.clear()
        self._shown = None

    def follow(self, looked_at: LookAt | None, step: int) -> None:
        """Segment the slice in view when it is time."""
        if not self._is_there(looked_at) or not self._is_time(looked_at, step):
            return
        self._hurry_at = None
        self._show(looked_at, step)

    def fill(self, looked_at: LookAt | None, step: int) -> bool:
        """Segment the slice nearest to what is in view that an older network has answered.

        Returns
        -------
        bool
            Whether there was one.
        """
        self._hurry_at = None
        if self._is_there(looked_at) and looked_at != self._shown:
            self._show(looked_at, step)
            return True
        for image, plane in self._by_interest(looked_at):
            if self._answered.get((image.id, plane)) != step:
                self._answer(image, plane, step)
                return True
        return False

    def _is_there(self, looked_at: LookAt | None) -> bool:
        if looked_at is None or looked_at.image not in self._targets:
            return False
        return 0 <= looked_at.plane < self._targets[looked_at.image].stack.n_planes

    def _is_time(self, looked_at: LookAt | None, step: int) -> bool:
        if self._hurry_at is not None:
            return step >= self._hurry_at
        wait = self._took_s * (1 - LOOK_SHARE) / LOOK_SHARE
        if looked_at == self._shown:
            wait = max(wait, LOOK_EVERY_S)
        return time.monotonic() - self._shown_at >= wait

    def _show(self, looked_at: LookAt | None, step: int) -> None:
        assert looked_at is not None
        began = time.monotonic()
        image = self._targets[looked_at.image]
        height, width = image.stack.plane_shape
        box = looked_at.box
        in_sight = 0 if box is None else (box[2] - box[0]) * (box[3] - box[1])
        if box is not None and height * width > LARGE_PX and 0 < in_sight < height * width / 2:
            self._answer_part(image, looked_at.plane, step, box)
        else:
            self._answer(image, looked_at.plane, step)
        self._shown, self._shown_at = looked_at, time.monotonic()
        self._took_s = self._shown_at - began

    def _answer(self, image: ImageInView, plane: int, step: int) -> None:
        predictor = self._predictor(image, image.stack, step)
        image.codes[plane] = predictor.codes(plane)
        self._answered[image.id, plane] = step
        self._emit(PlanePredicted(image.id, plane, step))

    def _answer_part(self, image: ImageInView, plane: int, step: int, box: list[int]) -> None:
        """Segment what is in sight of a slice; the rest of it stays as it was for now."""
        shape = image.stack.plane_shape
        low = [max(0, at) for at in box[:2]]
        high = [min(n, at) for n, at in zip(shape, box[2:], strict=True)]
        seen = [
            slice(max(0, a - AROUND_PX), min(n, b + AROUND_PX))
            for n, a, b in zip(shape, low, high, strict=True)
        ]
        predictor = self._predictor(image, image.stack.cropped(*seen), step)
        inside = tuple(
            slice(a - s.start, b - s.start) for a, b, s in zip(low, high, seen, strict=True)
        )
        codes = predictor.codes(plane)[inside]
        image.codes[plane, low[0] : high[0], low[1] : high[1]] = codes
        self._answered.pop((image.id, plane), None)
        self._emit(PlanePredicted(image.id, plane, step))

    def _predictor(self, image: ImageInView, pixels: Stack, step: int) -> Predictor:
        """Make the network of a step ready for an image, or for a part of it."""
        if self._model is None or self._model[0] != step:
            self._model = step, self._current_model()
        model = self._model[1]
        if image.id not in self._normalisations:
            how = model.info.recipe.normalisation
            self._normalisations[image.id] = fit_normalisation(image.stack, how)
        how_here = self._normalisations[image.id]
        return Predictor(model, pixels, device=self._device, normalisation=how_here)

    def _by_interest(self, looked_at: LookAt | None) -> Iterator[tuple[ImageInView, int]]:
        here = looked_at if self._is_there(looked_at) else None
        first = "" if here is None else here.image
        for image in sorted(self._targets.values(), key=lambda image: image.id != first):
            middle = here.plane if here is not None and here.image == image.id else 0
            planes = range(image.stack.n_planes)
            yield from ((image, plane) for plane in sorted(planes, key=lambda p: abs(p - middle)))
