"""When training ends, and how fast the network learns until then."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from napari_unetseg.config import TrainingConfig

#: Share of the highest rate at which a run ends.
FINAL_RATE = 0.01


@dataclass(frozen=True, slots=True)
class Budget:
    """Steps, seconds, or whichever is used up first.

    Attributes
    ----------
    steps : int or None
    deadline : float or None
        When the model must be on disk, in the clock of `time.time`.
    began : float
        When the first step could begin.
    open : bool
        Whether it may be renewed, so that nobody knows when it will be used up.
    first_step : int
        Steps done when it was renewed last.
    """

    steps: int | None
    deadline: float | None
    began: float
    open: bool = False
    first_step: int = 0

    def renewed(self, step: int) -> Budget:
        """Return one that allows as many steps again, from now on."""
        assert self.steps is not None
        each = self.steps - self.first_step
        return replace(self, steps=step + each, first_step=step)

    def fraction(self, step: int, now: float, finishing_s: float) -> float:
        """Return how much is used up, in [0, 1].

        Parameters
        ----------
        step : int
            Steps done.
        now : float
        finishing_s : float
            Time to keep for what comes after the last step.
        """
        used = [0.0]
        if self.steps is not None:
            used.append((step - self.first_step) / (self.steps - self.first_step))
        if self.deadline is not None:
            available = self.deadline - finishing_s - self.began
            used.append((now - self.began) / available if available > 0 else 1.0)
        return min(1.0, max(used))

    def seconds_left(self, step: int, now: float, finishing_s: float) -> float | None:
        """Estimate the time to the end; None while it is unknown."""
        fraction = self.fraction(step, now, finishing_s)
        if fraction <= 0 or step == 0 or self.open:
            return None
        return (now - self.began) * (1 - fraction) / fraction + finishing_s


def learning_rate(config: TrainingConfig, step: int, fraction: float) -> float:
    """Rise linearly for some steps, then fall along a half cosine over the budget.

    Parameters
    ----------
    step : int
        Steps done.
    fraction : float
        Of the budget, in [0, 1].

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR", ICLR 2017.
    """
    warm = min(1.0, (step + 1) / (config.warmup_steps + 1))
    cosine = FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * fraction))
    return config.learning_rate * warm * cosine
