"""What takes part in a comparison, and the time that it may take."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, TypeVar

from napari_unetseg.classical import ChainRecipe

from .split import Codes, Part

_T = TypeVar("_T")

Kind: TypeAlias = Literal["classical", "model", "network"]


class OutOfTime(Exception):
    """Something would take longer than it may."""


class Clock:
    """Time that something may take.

    Parameters
    ----------
    seconds : float
        From now on.
    check : callable, optional
        Called whenever the clock is looked at; may raise, to end what is going on.
    fair_s : float, optional
        Of these, what it takes from nobody else; all by default.
    """

    def __init__(
        self, seconds: float, check: Callable[[], None] | None = None, fair_s: float | None = None
    ) -> None:
        self._began = time.monotonic()
        self._seconds = seconds
        self._check = check
        self._fair_s = seconds if fair_s is None else min(seconds, fair_s)

    def part(self, seconds: float) -> Clock:
        """Return a clock for less than what is left of this one."""
        return Clock(min(seconds, self.left_s()), self._check)

    def nth(self, n: int) -> Clock:
        """Return a clock for one of `n` things that are still to be done."""
        fair_s = self._began + self._fair_s - time.monotonic()
        return Clock(self.left_s() / n, self._check, max(0.0, fair_s) / n)

    def fair(self, share: float) -> Clock:
        """Return a clock for a part of what this one may take without taking it from others."""
        return self.part(share * self._fair_s)

    def left_s(self) -> float:
        """Return the seconds that are left; none is 0."""
        if self._check is not None:
            self._check()
        return max(0.0, self._began + self._seconds - time.monotonic())

    def spent(self) -> float:
        """Return how much of the time is used up, 1 for all of it."""
        return 1.0 if self._seconds <= 0 else 1 - self.left_s() / self._seconds

    def require(self) -> None:
        """Raise `OutOfTime` where none is left."""
        if self.left_s() <= 0:
            raise OutOfTime


class Stopwatch:
    """Seconds that something took, and how often it was done."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.n = 0

    @property
    def mean_s(self) -> float:
        """Seconds that it takes."""
        return self.seconds / max(1, self.n)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what is done inside as once."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - began
            self.n += 1

    def each(self, items: Iterable[_T]) -> Iterator[_T]:
        """Yield items, and count the making of each."""
        made = iter(items)
        while True:
            began = time.perf_counter()
            item = next(made, None)
            if item is None:
                return
            self.seconds += time.perf_counter() - began
            self.n += 1
            yield item


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A contestant that can segment.

    Attributes
    ----------
    segment : callable
        Takes the number of an image and slices of it; yields codes of the annotations, (Y, X).
    recipe, model, codes, note
        As of `events.MethodCompared`.
    """

    segment: Callable[[int, Sequence[int]], Iterable[Codes]]
    recipe: ChainRecipe | None = None
    model: str | None = None
    codes: list[int] | None = None
    note: str = ""


class Contestant(ABC):
    """A method that takes part.

    Attributes
    ----------
    name, title, kind, needs_labels, on_each_slice
        As of `events.MethodCompared`.
    excluded : str
        Why it is not to be tried; empty where it is.
    weight : float
        How much of the time is its fair share, beside 1 of a quick method.
    patience : float
        So many times its fair share it may take.
    preparing, segmenting : Stopwatch
        What it took so far, of fits and of slices.
    """

    kind: ClassVar[Kind]

    def __init__(self, name: str, title: str, *, needs_labels: bool) -> None:
        self.name = name
        self.title = title
        self.needs_labels = needs_labels
        self.on_each_slice = False
        self.excluded = ""
        self.weight = 3.0 if needs_labels else 1.0
        self.patience = 3.0
        self.preparing = Stopwatch()
        self.segmenting = Stopwatch()

    @property
    def prepare_s(self) -> float:
        """Seconds until it can segment."""
        return self.preparing.mean_s

    @abstractmethod
    def fit(self, part: Part, clock: Clock) -> Generator[float, None, Fitted]:
        """Get ready to segment, seeing no more annotations than those to be fitted to.

        Yields
        ------
        float
            How much of that is done, where it takes long; in [0, 1].

        Raises
        ------
        UserError
            If the method does not suit these images or annotations; one sentence.
        OutOfTime
            If that would take too long.
        """
