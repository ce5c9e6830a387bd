"""A chain of classical steps while it is being put together, with its history."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from psygnal import Signal

from napari_unetseg.classical import (
    FILTERS,
    METHODS,
    Chain,
    StepSettings,
    UseOfStrokes,
    find_step,
)
from napari_unetseg.config import Config
from napari_unetseg.errors import UserError

from .baseline_fits import Meaning

#: Steps of the history that are kept.
_DEEPEST = 100


@dataclass(frozen=True, slots=True)
class _State:
    steps: tuple[StepSettings, ...]
    at: int
    meaning: Meaning | None = None
    #: What the last change was; equal ones that follow each other are one step of the history.
    change: object = field(compare=False, default=None)


class ChainDraft:
    """Steps, one of which is looked at.

    Filters stand before the method and refinements after it, whatever is added or moved. What was
    chosen for a method, and what its answers were found to mean, is there again when the method is.

    Parameters
    ----------
    method : str
        A name in ``METHODS``.

    Attributes
    ----------
    changed : Signal()
        Steps, settings, or which of them is looked at.
    """

    changed = Signal()

    def __init__(self, method: str) -> None:
        self._state = _State((StepSettings(step=method),), 0)
        self._undone: list[_State] = []
        self._done: list[_State] = []
        self._left: dict[str, tuple[StepSettings, Meaning | None]] = {}

    # ----------------------------------------------------------------- state

    @property
    def steps(self) -> tuple[StepSettings, ...]:
        """The steps in their order."""
        return self._state.steps

    @property
    def at(self) -> int:
        """Which of them is looked at; −1 where there are none."""
        return self._state.at

    @property
    def method(self) -> str | None:
        """Name of the method; None where the segmentation that is there is refined."""
        return next((s.step for s in self.steps if s.step in METHODS), None)

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is something to do again."""
        return bool(self._undone)

    @property
    def use_of_strokes(self) -> UseOfStrokes:
        """Whether the method looks at annotations, and whether it can do without."""
        found = self.chain().method() if self.steps else None
        return "unused" if found is None else found[0].use_of_strokes(found[1])

    @property
    def learns(self) -> bool:
        """Whether the method learns from the strokes of all images, before it is applied to any."""
        found = self.chain().method() if self.steps else None
        return found is not None and found[0].prepare_on(found[1]) == "strokes"

    @property
    def meaning(self) -> Meaning | None:
        """What the answers of the steps are found to mean; None where they are as they are."""
        meaning = self._state.meaning
        return meaning if meaning and self.steps and meaning.holds(self.chain()) else None

    def chain(self) -> Chain:
        """Return the steps as a chain.

        Raises
        ------
        UserError
            If there are none.
        """
        if not self.steps:
            raise UserError("Add a step first, such as filling holes.")
        return Chain(steps=self.steps)

    def can_move(self, by: int) -> bool:
        """Return whether the step looked at can change places with the one `by` further."""
        to = self.at + by
        if not 0 <= to < len(self.steps) or self.at < 0:
            return False
        return _stage(self.steps[to].step) == _stage(self.steps[self.at].step)

    def can_remove(self) -> bool:
        """Return whether the step looked at can go; a method can only be replaced."""
        return self.at >= 0 and self.steps[self.at].step not in METHODS

    # --------------------------------------------------------------- changes

    def look_at(self, index: int) -> None:
        """Look at another step; no change of the chain."""
        if index != self.at and 0 <= index < len(self.steps):
            self._state = replace(self._state, at=index)
            self.changed.emit()

    def choose(self, method: str | None) -> None:
        """Replace the method; None: refine what is there, by steps yet to be added."""
        if method == self.method:
            return
        for settings in self.steps:
            if settings.step in METHODS:
                self._left[settings.step] = settings, self._state.meaning
        if method is None:
            self._do((), -1, "method")
        else:
            self._put(*self._left.get(method, (StepSettings(step=method), None)), "method")

    def add(self, step: str) -> None:
        """Add a filter just before the method, or a refinement at the end, and look at it."""
        added = StepSettings(step=step)
        at = len(self.steps) if step not in FILTERS else self._n_filters()
        self._do((*self.steps[:at], added, *self.steps[at:]), at, None)

    def remove(self) -> None:
        """Remove the step looked at."""
        if self.can_remove():
            at = self.at
            steps = (*self.steps[:at], *self.steps[at + 1 :])
            self._do(steps, min(at, len(steps) - 1), None)

    def move(self, by: int) -> None:
        """Let the step looked at change places with the one `by` further."""
        if self.can_move(by):
            steps, at = list(self.steps), self.at
            steps[at], steps[at + by] = steps[at + by], steps[at]
            self._do(tuple(steps), at + by, None)

    def set_params(self, params: Config) -> None:
        """Change the settings of the step looked at."""
        at, name = self.at, self.steps[self.at].step
        settings = StepSettings(step=name, params=params.model_dump(mode="json"))
        if settings.checked() != self.steps[at].checked():
            steps = (*self.steps[:at], settings, *self.steps[at + 1 :])
            self._do(steps, at, ("settings", at, name))

    def set_steps(self, steps: tuple[StepSettings, ...], meaning: Meaning | None = None) -> None:
        """Take over the steps of a chain and what their answers mean, as one change."""
        at = next((i for i, s in enumerate(steps) if s.step in METHODS), 0)
        self._do(Chain(steps=steps).steps, at, None, meaning)

    def take_fit(self, meaning: Meaning) -> None:
        """Take over settings that were found, and what their answers mean, as one change."""
        params = meaning.params.model_dump(mode="json")
        self._put(StepSettings(step=meaning.method, params=params), meaning, None)

    def drop_meaning(self) -> None:
        """Take the answers as they are."""
        if self.meaning is not None:
            self._do(self.steps, self.at, None, None)

    def undo(self) -> None:
        """Take the last change back."""
        self._step(self._done, self._undone)

    def redo(self) -> None:
        """Do again what was taken back."""
        self._step(self._undone, self._done)

    def _put(self, method: StepSettings, meaning: Meaning | None, change: object) -> None:
        """Put a method between filters and refinements; alone, where there was none."""
        filters = self.steps[: self._n_filters()]
        after = () if self.method is None else self._after()
        self._do((*filters, method, *after), len(filters), change, meaning)

    def _after(self) -> tuple[StepSettings, ...]:
        return tuple(s for s in self.steps if _stage(s.step) == 2)

    def _do(
        self,
        steps: tuple[StepSettings, ...],
        at: int,
        change: object,
        meaning: Meaning | Literal["stays"] | None = "stays",
    ) -> None:
        meaning = self._state.meaning if meaning == "stays" else meaning
        goes_on = change is not None and change == self._state.change and not self._undone
        if not goes_on:
            self._done = [*self._done, self._state][-_DEEPEST:]
        self._undone = []
        self._state = _State(steps, at, meaning, change)
        self.changed.emit()

    def _step(self, source: list[_State], target: list[_State]) -> None:
        if source:
            target.append(self._state)
            state = source.pop()
            self._state = replace(state, change=None)
            self.changed.emit()

    def _n_filters(self) -> int:
        return sum(settings.step in FILTERS for settings in self.steps)


def title_of(settings: StepSettings) -> str:
    """Return what people call a step."""
    return str(find_step(settings.step).title)


def _stage(step: str) -> int:
    return 0 if step in FILTERS else 1 if step in METHODS else 2
