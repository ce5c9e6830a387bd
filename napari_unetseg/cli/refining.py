"""Refinements of what a model answers: `predict --then`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_unetseg.errors import UserError

if TYPE_CHECKING:
    from napari_unetseg.classical import Chain


def refinements(texts: Sequence[str], *, of_objects: bool) -> Chain | None:
    """Read the steps that follow a model; None where there are none.

    Parameters
    ----------
    texts : sequence of str
        Such as ``"remove_small:min_area_px=50"``.
    of_objects : bool
        Whether the model is asked for objects.

    Raises
    ------
    UserError
        If one of them is no refinement, or takes classes where objects are asked for.
    """
    from napari_unetseg.classical import REFINEMENTS, Chain

    from .steps import refinements_of

    if not texts:
        return None
    steps = tuple(refinements_of(texts))
    for settings in steps:
        refinement = REFINEMENTS[settings.step]
        if of_objects and refinement.wants_probabilities:
            raise UserError(
                f"{settings.step} weighs classes, not objects: leave --objects out, and let "
                f"--then split follow it."
            )
        of_objects |= refinement.answers == "objects"
    return Chain(steps=steps)


def wants_probabilities(chain: Chain | None) -> bool:
    """Return whether a step looks at how probable classes are."""
    return chain is not None and any(step.wants_probabilities for step, _ in chain.refinements())
