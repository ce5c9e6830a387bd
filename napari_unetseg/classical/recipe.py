"""A chain with what its answers mean, as a file that replays to the same result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from napari_unetseg.config import Config, LabelClass, describe_validation_error
from napari_unetseg.errors import UserError

from .chain import Chain
from .mapping import lookup
from .step import Labels


class ChainRecipe(Config):
    """Everything that turns an image into the same result again.

    Attributes
    ----------
    chain : Chain
    mapping : dict of int to int, or None
        Answers of the chain → codes of the annotations; None where they are the same.
    classes : tuple of LabelClass
        What codes 2, 3, … stand for.
    """

    version: Literal[1] = 1
    chain: Chain
    mapping: dict[int, int] | None = None
    classes: tuple[LabelClass, ...] = Field(default=(), max_length=254)

    def meant(self, labels: Labels) -> Labels:
        """Return an answer of the chain as codes of the annotations; ids as they are."""
        if self.mapping is None or labels.dtype != np.uint8:
            return labels
        return np.asarray(lookup(self.mapping)[labels])


def read_recipe(path: str | Path) -> ChainRecipe:
    """Read a recipe, or the record that is written beside every result.

    Raises
    ------
    UserError
        If it cannot be read, or is something else.
    """
    try:
        found: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check the path.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a recipe: it is no JSON ({error}).") from error
    recipe = found.get("recipe", found) if isinstance(found, dict) else found
    if not isinstance(recipe, dict) or "chain" not in recipe:
        raise UserError(f"{path} is not a recipe: it names no chain of steps.")
    try:
        return ChainRecipe.model_validate(recipe)
    except ValidationError as error:
        raise UserError(f"{path}: {describe_validation_error(error)}") from error
