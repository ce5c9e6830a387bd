"""Steps as the command line names them: which kind goes where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_unetseg.errors import UserError

if TYPE_CHECKING:
    from napari_unetseg.classical import StepSettings


def check_method(name: str) -> None:
    """Raise `UserError` where a name is not one of a method, or of a refinement of masks."""
    from napari_unetseg.classical import FILTERS, METHODS, REFINEMENTS, find_step

    if name in FILTERS:
        raise UserError(
            f"{name} is a filter and segments nothing; it goes before a method, as in: baseline "
            f"otsu IMAGE -o MASKS --before {name}."
        )
    find_step(name, METHODS, REFINEMENTS)


def filters_of(texts: Sequence[str]) -> list[StepSettings]:
    """Read what follows ``--before``.

    Raises
    ------
    UserError
        If one of them is no filter, or its parameters are wrong.
    """
    from napari_unetseg.classical import FILTERS

    return [_step(text, FILTERS, "--before") for text in texts]


def refinements_of(texts: Sequence[str]) -> list[StepSettings]:
    """Read what follows ``--then``.

    Raises
    ------
    UserError
        If one of them is no refinement, or its parameters are wrong.
    """
    from napari_unetseg.classical import REFINEMENTS

    return [_step(text, REFINEMENTS, "--then") for text in texts]


def _step(text: str, wanted: Any, option: str) -> StepSettings:
    from napari_unetseg.classical import FILTERS, METHODS, REFINEMENTS, find_step, parse_step

    name = text.partition(":")[0].strip()
    places = (
        (FILTERS, f"goes before a method: --before {text}"),
        (METHODS, f"is named first, as in: baseline {name} IMAGE -o MASKS"),
        (REFINEMENTS, f"goes after a method: --then {text}"),
    )
    for registry, place in places:
        if registry is not wanted and name in registry:
            raise UserError(
                f"{name} is a {registry.kind_name}, and {option} takes {wanted.kind_name}s; it "
                f"{place}."
            )
    find_step(name, wanted)
    return parse_step(text)
