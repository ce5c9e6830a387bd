"""A chain of steps: filters, one method, refinements; what a recipe holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from napari_unetseg.config import Config, describe_validation_error
from napari_unetseg.errors import UserError

from .registry import FILTERS, METHODS, REFINEMENTS, find_step
from .step import Filter, Method, Refinement


class StepSettings(Config):
    """A step by name, with its parameters; those left out have their defaults."""

    step: str
    params: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            find_step(self.step).params.model_validate(self.params)
        except UserError as error:
            raise ValueError(str(error)) from error
        except ValidationError as error:
            raise ValueError(f"{self.step}: {describe_validation_error(error)}") from error
        return self

    def checked(self) -> Config:
        """Return the parameters as the step's own config."""
        config: Config = find_step(self.step).params.model_validate(self.params)
        return config


class Chain(Config):
    """Steps in their order.

    Attributes
    ----------
    steps : tuple of StepSettings
        Any filters, then one method, then any refinements. Refinements alone, without filters and
        method, better a segmentation that is there already.
    """

    version: Literal[1] = 1
    steps: tuple[StepSettings, ...]

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        names = [settings.step for settings in self.steps]
        stages = [_stage(name) for name in names]
        if stages != sorted(stages):
            raise ValueError(
                f"filters come first, then a method, then refinements; these are {', '.join(names)}"
            )
        if stages.count(1) > 1:
            methods = " and ".join(name for name in names if name in METHODS)
            raise ValueError(f"one method segments, not several: choose between {methods}")
        if stages.count(1) == 0 and stages.count(0):
            raise ValueError(f"filters need a method after them, and there is none: {names[0]}")
        if not stages:
            raise ValueError("a chain has at least one step")
        return self

    @classmethod
    def of(
        cls,
        method: str,
        params: Config | None = None,
        *,
        before: Sequence[StepSettings] = (),
        then: Sequence[StepSettings] = (),
    ) -> Chain:
        """Return a chain around a method."""
        own = {} if params is None else params.model_dump(mode="json")
        return cls(steps=(*before, StepSettings(step=method, params=own), *then))

    def filters(self) -> list[tuple[Filter[Any], Config]]:
        """Return the steps before the method, with their parameters."""
        return [(FILTERS[s.step], s.checked()) for s in self.steps if s.step in FILTERS]

    def method(self) -> tuple[Method[Any], Config] | None:
        """Return the method with its parameters; None where there are refinements alone."""
        found = [(METHODS[s.step], s.checked()) for s in self.steps if s.step in METHODS]
        return found[0] if found else None

    def before_method(self) -> tuple[StepSettings, ...]:
        """Return the filters alone."""
        return tuple(settings for settings in self.steps if settings.step in FILTERS)

    def without_filters(self) -> Chain:
        """Return the steps that follow the filters."""
        return self.replace(steps=self.steps[len(self.before_method()) :])

    def after_method(self) -> Chain | None:
        """Return the refinements alone; None where there are none."""
        steps = tuple(settings for settings in self.steps if settings.step in REFINEMENTS)
        return Chain(steps=steps) if steps else None

    def refinements(self) -> list[tuple[Refinement[Any], Config]]:
        """Return the steps after the method, with their parameters."""
        return [(REFINEMENTS[s.step], s.checked()) for s in self.steps if s.step in REFINEMENTS]


def parse_step(text: str) -> StepSettings:
    """Read a step from a text such as ``"gaussian:sigma_px=2,in_3d=on"``.

    Raises
    ------
    UserError
        If there is no such step, or its parameters are wrong.
    """
    name, _, rest = text.partition(":")
    pairs = [pair for pair in rest.split(",") if pair.strip()]
    params = parse_params(name.strip(), pairs)
    return StepSettings(step=name.strip(), params=params.model_dump(mode="json"))


def parse_params(step: str, pairs: Sequence[str]) -> Any:
    """Read parameters of a step from texts such as ``"sigma_px=2"``.

    Returns
    -------
    Config
        That of the step.

    Raises
    ------
    UserError
        If a text is not ``key=value``, a key is not known, or a value is out of range.

    Examples
    --------
    >>> parse_params("otsu", ["sigma_px=2", "foreground=dark"]).sigma_px
    2.0
    """
    params = find_step(step).params
    known = ", ".join(params.model_fields)
    values: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not key:
            raise UserError(f"{pair!r} is not of the form key=value, such as sigma_px=2.")
        if key not in params.model_fields:
            raise UserError(f"{step} has no parameter {key!r}; its parameters are {known}.")
        values[key] = value
    try:
        return params.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{step}: {describe_validation_error(error)}") from error


def in_words(chain: Chain) -> str:
    """Return the steps of a chain with their settings, in words for a paper.

    >>> in_words(Chain.of("otsu"))
    'Otsu threshold (foreground bright, sigma 1 px, per slice)'
    """
    told = []
    for settings in chain.steps:
        fields = settings.checked().model_dump(mode="json")
        defaults = find_step(settings.step).params()
        words = [_told(name, value, getattr(defaults, name)) for name, value in fields.items()]
        of_step = ", ".join(word for word in words if word)
        title = find_step(settings.step).title
        told.append(f"{title} ({of_step})" if of_step else title)
    return ", then ".join(told)


def _told(name: str, value: object, default: object) -> str:
    """Return a setting in words; nothing of what is off, unless it is on by default."""
    words = name.replace("_", " ").replace("3d", "3D")
    if value is None or (value is False and not default):
        return ""
    if isinstance(value, bool):
        return words if value else f"no {words}"
    said = f"{value:g}" if isinstance(value, float) else str(value)
    for ending, unit in ((" px", "px"), ("percent", "%")):
        if words.endswith(ending):
            return f"{words.removesuffix(ending).strip()} {said} {unit}".strip()
    return f"{words} {said}"


def _stage(step: str) -> int:
    return 0 if step in FILTERS else 1 if step in METHODS else 2
