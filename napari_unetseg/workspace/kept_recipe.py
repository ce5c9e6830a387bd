"""Recipes with what their methods learned from, or grew on: opened ones, and those to save."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_unetseg.annotations import Classes
from napari_unetseg.classical import Chain, ChainRecipe, Source
from napari_unetseg.config import BACKGROUND
from napari_unetseg.errors import UserError
from napari_unetseg.images import format_length

from .image_entry import ImageEntry
from .painted import Painted
from .slots import Codes


@dataclass(frozen=True, eq=False)
class Kept:
    """What an opened recipe keeps of strokes.

    Attributes
    ----------
    name : str
        Of its file.
    recipe : ChainRecipe
    learned : object
        What its method learned from them; None where the recipe keeps the strokes.
    """

    name: str
    recipe: ChainRecipe
    learned: Any = None

    def in_words(self) -> str:
        """Return what it keeps."""
        return "with the strokes it grew from" if self.learned is None else "as it was trained"

    def mapping(self, classes: Classes) -> dict[int, int] | None:
        """Return answers → codes that the recipe's classes have here; None where all stay.

        Classes that are missing here have the codes that `codes_for` will give them.
        """
        names = [c.name for c in classes]
        names += [c.name for c in self.recipe.classes if c.name not in names]
        here = {code: names.index(c.name) + 2 for code, c in enumerate(self.recipe.classes, 2)}
        here[BACKGROUND] = BACKGROUND
        meant = self.recipe.mapping or {code: code for code in here}
        mapping = {answer: here.get(code, code) for answer, code in meant.items()}
        return None if all(answer == code for answer, code in mapping.items()) else mapping


def other_pixel_sizes(recipe: ChainRecipe, entries: Iterable[ImageEntry]) -> str:
    """Say which image had another pixel size when the recipe was made; nothing where none had."""
    for entry in entries if recipe.images else ():
        before = recipe.calibrated(entry.stack).pixel_size_um
        if before != entry.stack.pixel_size_um:
            sizes = ", ".join(f"{axis} {format_length(size)}" for axis, size in before.items())
            return (
                f" {entry.stack.name} had another pixel size then ({sizes or 'none'}); "
                "set that in Data for the same result."
            )
    return ""


def recipe_of(
    chain: Chain, mapping: dict[int, int] | None, kept: Kept | None, classes: Classes
) -> ChainRecipe:
    """Return steps with what their answers stand for, and with what was kept before.

    Parameters
    ----------
    mapping : dict of int to int, or None
        Answers → codes; None where they stay.
    classes : tuple of LabelClass
        That are painted here: those of answers which are in their codes.
    """
    if kept is not None:
        return kept.recipe.replace(chain=chain)
    found = chain.method()
    if found is not None and mapping is None and found[0].use_of_strokes(found[1]) == "unused":
        classes = found[0].classes(found[1])
    return ChainRecipe(chain=chain, mapping=mapping, classes=classes)


def kept_recipe(
    recipe: ChainRecipe,
    entries: Sequence[ImageEntry],
    strokes: Mapping[str, Painted | Codes],
) -> ChainRecipe:
    """Let the method of a recipe learn, and keep that, or the strokes; called on a thread.

    Parameters
    ----------
    recipe : ChainRecipe
        What it has learned already stays.
    strokes : mapping of str to ndarray (planes, Y, X), uint8
        By image: what a method grows or learns from.

    Returns
    -------
    ChainRecipe
        The steps alone where too little is painted to learn from.
    """
    found = recipe.chain.method()
    if found is None:
        return recipe
    method, params = found
    sources = [Source(entry.stack, strokes=strokes.get(entry.id)) for entry in entries]
    prepared: list[Any] = [None for _ in sources]
    if method.prepare_on(params) == "strokes":
        try:
            prepared = recipe.prepared_for(sources)
        except UserError:
            return recipe
    return recipe.keeping(sources, prepared)
