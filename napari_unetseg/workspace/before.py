"""What a network answered before the last training, to compare with what it answers now."""

from __future__ import annotations

from napari_unetseg.project import Session

from .image_entry import ImageEntry
from .objects import ObjectSet
from .slots import Codes
from .workspace import Workspace


class BeforeTraining:
    """Sets slices aside when they are answered for the first time since a training began.

    A slice that is still as it was is not copied. What was before the training under way has a
    file of its own for each image, beside that of the one before: this comes back into view where
    a training is given up.

    Parameters
    ----------
    workspace : Workspace
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._spare, self._last = (_Shelf(workspace.session, n) for n in range(2))
        self._running: _Shelf | None = None
        self._goes_on = False
        self._n_trainings = 0
        self._current_objects: list[ObjectSet] = []

    @property
    def exists(self) -> bool:
        """Whether any training has answered yet: without one, there is no before."""
        return self._n_trainings > 0 or bool(self._running and self._running.planes)

    def begin(self, *, goes_on: bool = False) -> None:
        """Take note that a training begins.

        Parameters
        ----------
        goes_on : bool
            With the last one, which has been interrupted: before is what was before that. Where
            it is given up, what that one has answered comes back: its model is still at hand.
        """
        self._spare.planes.clear()
        self._current_objects = self._workspace.objects.up_to_date()
        self._running, self._goes_on = self._spare, goes_on

    def keep(self, image_id: str, plane: int) -> None:
        """Set a slice aside, for it is about to be answered."""
        if self._running is not None or self._n_trainings:
            entry = self._workspace.images[image_id]
            (self._running or self._last).put(entry, plane, entry.prediction[plane])

    def end(self, *, saved: bool) -> None:
        """Take note that a training has ended; where its network is not kept, nor are its answers.

        Parameters
        ----------
        saved : bool
        """
        shelf, self._running = self._running, None
        if shelf is None:
            return
        if saved and not self._goes_on:
            self._spare, self._last = self._last, shelf
            self._n_trainings += 1
            return
        for image_id, planes in shelf.planes.items():
            entry = self._workspace.images.get(image_id)
            if entry is None:
                continue
            for plane in sorted(planes):
                slots = shelf.arrays[image_id][plane]
                if saved:
                    self._last.put(entry, plane, slots)
                else:
                    self._workspace.set_prediction(image_id, plane, slots)
        if not saved:
            self._workspace.objects.set_outdated(self._current_objects, False)

    def codes(self, entry: ImageEntry, plane: int) -> Codes:
        """Return what was answered for a slice before the last training that has answered.

        Returns
        -------
        ndarray, shape (Y, X), uint8
            Codes; 0 where nothing had been answered.
        """
        running = self._running
        shelf = running if running is not None and running.planes else self._last
        if self._goes_on and self._last.has(entry, plane):
            shelf = self._last
        return entry.shown(plane, shelf.slots(entry, plane))


class _Shelf:
    """Slices that were set aside.

    Attributes
    ----------
    planes : dict of str to set of int
        Which, by image.
    arrays : dict of str to ndarray, shape (planes, Y, X), uint8
        Slots; what is not of `planes` means nothing.
    """

    def __init__(self, session: Session, number: int) -> None:
        self.planes: dict[str, set[int]] = {}
        self.arrays: dict[str, Codes] = {}
        self._session = session
        self._role = f"before-{number}"

    def put(self, entry: ImageEntry, plane: int, slots: Codes) -> None:
        planes = self.planes.setdefault(entry.id, set())
        if plane in planes:
            return
        if entry.id not in self.arrays:
            self.arrays[entry.id] = self._session.array(entry.id, self._role, entry.shape)
            entry.slots.keep(self.arrays[entry.id])
        self.arrays[entry.id][plane] = slots
        planes.add(plane)

    def has(self, entry: ImageEntry, plane: int) -> bool:
        return plane in self.planes.get(entry.id, ())

    def slots(self, entry: ImageEntry, plane: int) -> Codes:
        there = self.has(entry, plane)
        slots: Codes = (self.arrays[entry.id] if there else entry.prediction)[plane]
        return slots
