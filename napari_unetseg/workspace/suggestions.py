"""Where painting is worth most next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psygnal import Signal


@dataclass(frozen=True, slots=True)
class SuggestedRegion:
    """A part of a slice that is worth annotating.

    Attributes
    ----------
    image : str
        Id in the workspace.
    plane : int
    y, x, height, width : int
        In px.
    reason : str
        In a few words.
    """

    image: str
    plane: int
    y: int
    x: int
    height: int
    width: int
    reason: str


class Suggestions:
    """What was suggested last, and which of it a person looks at.

    Attributes
    ----------
    changed : Signal()
    answered : Signal()
        Regions have come, or that there are none.
    regions : list of SuggestedRegion
        The most worthwhile first.
    at : int
        Which of them is looked at; -1 for none yet.
    is_asked : bool
        Whether an answer is on its way.
    """

    changed = Signal()
    answered = Signal()

    def __init__(self) -> None:
        self.regions: list[SuggestedRegion] = []
        self.at = -1
        self.is_asked = False

    @property
    def current(self) -> SuggestedRegion | None:
        """The one that is looked at."""
        return self.regions[self.at] if 0 <= self.at < len(self.regions) else None

    def ask(self) -> None:
        """Take note that an answer is on its way."""
        self.is_asked = True
        self.changed.emit()

    def give_up(self) -> None:
        """Take note that no answer will come."""
        if self.is_asked:
            self.is_asked = False
            self.changed.emit()

    def take(self, regions: Sequence[dict[str, Any]]) -> None:
        """Take what was suggested, in place of what was before."""
        names = SuggestedRegion.__dataclass_fields__
        told = [{name: region[name] for name in names} for region in regions]
        self.regions, self.at = [SuggestedRegion(**facts) for facts in told], -1
        self.is_asked = False
        self.changed.emit()
        self.answered.emit()

    def go(self, by: int) -> SuggestedRegion | None:
        """Look at the next one, or with -1 at the one before; after the last comes the first."""
        if not self.regions:
            return None
        at = self.at + by if self.at >= 0 or by > 0 else -1
        self.at = at % len(self.regions)
        self.changed.emit()
        return self.current
