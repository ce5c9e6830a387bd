"""Steps as the command line names them: which kind goes where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from napari_unetseg.errors import UserError

if TYPE_CHECKING:
    from napari_unetseg.classical import Chain, StepSettings
    from napari_unetseg.config import Config
    from napari_unetseg.images import Stack


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


def option_for_3d(chain: Chain, own: str | None, then: Sequence[str]) -> str:
    """Return the option that has objects numbered in 3D, where nobody chose; empty otherwise.

    Parameters
    ----------
    chain : Chain
    own : str or None
        Parameters of its first step after the filters, as they were given; None of a chain of what
        follows ``--then`` alone.
    then : sequence of str
        What follows ``--then``.
    """
    method = chain.method()
    steps: list[tuple[str | None, Config]] = []
    if method is not None:
        steps.append((method[0].answers_with(method[1]), method[1]))
    steps += [(step.answers, params) for step, params in chain.refinements()]
    named = [(text, f"--then {text.partition(':')[0].strip()}:in_3d=on") for text in then]
    given = named if own is None else [(own, "-p in_3d=on"), *named]
    found = ""
    for (kind, params), (text, option) in zip(steps, given, strict=True):
        if kind == "objects":
            is_open = getattr(params, "in_3d", None) is False and "in_3d" not in text
            found = option if is_open else ""
    return found


def note_on_numbers(option: str, images: Iterable[tuple[Stack, Sequence[int]]]) -> str:
    """Say that objects are numbered slice by slice, where an image has several along Z.

    Parameters
    ----------
    option : str
        What `option_for_3d` returned.
    images : iterable of (Stack, sequence of int)
        With the slices that are segmented.
    """
    if not option or not any(stack.size("Z") > 1 < len(planes) for stack, planes in images):
        return ""
    return (
        "Objects are numbered slice by slice, so what goes through several slices has another "
        f"number on each; {option} numbers it as one."
    )


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
