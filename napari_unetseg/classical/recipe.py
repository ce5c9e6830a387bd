"""A chain with what its answers mean, as a file that replays to the same result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import Field, ValidationError

from napari_unetseg import __version__
from napari_unetseg.config import UNLABELLED, Config, LabelClass, describe_validation_error
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack, fingerprint

from .chain import Chain, in_words
from .known_image import KnownImage, find_known
from .mapping import lookup
from .packed import PackedArray
from .run import prepare, sees_volumes
from .source import Source
from .step import Codes, Labels

#: The most that a recipe keeps of strokes and classifiers, in characters of its file.
MAX_KEPT = 2**26


#: 0 unlabelled, 1 background, k + 1 class k; or what a method answers.
Code: TypeAlias = Annotated[int, Field(ge=0, le=255)]

#: What a method learned from strokes, by the names of `Method.to_arrays`.
Learned: TypeAlias = dict[str, PackedArray]


class ChainRecipe(Config):
    """Everything that turns an image into the same result again.

    Attributes
    ----------
    chain : Chain
    mapping : dict of int to int, or None
        Answers of the chain → codes of the annotations; None where they are the same.
    classes : tuple of LabelClass
        What codes 2, 3, … stand for.
    learned : dict of str to PackedArray, or None
        What the method learned from strokes, to be applied without them.
    images : tuple of KnownImage
        Those that it was made on, where the result depends on more than their pixels: on what is
        painted there, or on how far slices are apart.
    n_painted : dict of int to int
        Annotated pixels that it learned or grew from, by their codes.

    Notes
    -----
    Levels that the slices of a stack share are measured anew on every image.
    """

    version: Literal[1] = 1
    chain: Chain
    mapping: dict[Code, Code] | None = None
    classes: tuple[LabelClass, ...] = Field(default=(), max_length=254)
    learned: Learned | None = None
    images: tuple[KnownImage, ...] = ()
    n_painted: dict[Code, int] = Field(default_factory=dict)

    def meant(self, labels: Labels) -> Labels:
        """Return an answer of the chain as codes of the annotations; ids as they are."""
        if self.mapping is None or labels.dtype != np.uint8:
            return labels
        return np.asarray(lookup(self.mapping)[labels])

    def keeping(self, sources: Sequence[Source], prepared: Sequence[Any]) -> ChainRecipe:
        """Return the recipe with what the method learned from, or grew on, these images.

        That may take a while, and is left out where it is larger than `MAX_KEPT`.

        Parameters
        ----------
        prepared : sequence
            What `prepare` returned for `sources`.
        """
        found, learned = self.chain.method(), None
        if found is None:
            return self
        method, params = found
        learns = method.prepare_on(params) == "strokes"
        grows = method.use_of_strokes(params) != "unused" and not learns
        if learns:
            arrays = method.to_arrays(prepared[0])
            learned = {name: PackedArray.of(array) for name, array in arrays.items()}
        known: list[KnownImage] = []
        if grows or sees_volumes(self.chain):
            known = [KnownImage.of(source, with_strokes=grows) for source in sources]
        packed = list((learned or {}).values())
        packed += [of_slice for image in known for of_slice in image.strokes.values()]
        if sum(len(one.data) for one in packed) > MAX_KEPT:
            learned, known = None, []
        n_painted = self.n_painted
        if self.learned is None and (learns or grows):
            n_painted = _count(sources)
        kept = {"learned": learned, "images": tuple(known), "n_painted": n_painted}
        return self.model_copy(update=kept)

    def prepared_for(self, sources: Sequence[Source]) -> list[Any]:
        """Return what `prepare` does, or what the recipe keeps of what the method learned.

        Raises
        ------
        UserError
            If that is damaged, or annotations are needed and there are none.
        """
        learned = self.recalled()
        return prepare(self.chain, sources) if learned is None else [learned for _ in sources]

    def serves(self, chain: Chain) -> bool:
        """Return whether what is kept of strokes can be used with a chain.

        What was learned goes with the steps that it was learned through; strokes with any method
        that grows from some.
        """
        found, own = chain.method(), self.chain.method()
        if found is None or own is None:
            return False
        if self.learned is not None:
            return (found, chain.filters()) == (own, self.chain.filters())
        learns = found[0].prepare_on(found[1]) == "strokes"
        grows = found[0].use_of_strokes(found[1]) != "unused" and not learns
        return grows and any(image.strokes for image in self.images)

    def needs_strokes(self) -> bool:
        """Return whether annotations or points have to be given to replay it."""
        found = self.chain.method()
        needed = found is not None and found[0].use_of_strokes(found[1]) == "needed"
        kept = self.learned is not None or any(image.strokes for image in self.images)
        return (needed or bool(self.n_painted)) and not kept

    def recalled(self) -> Any:
        """Return what the method learned, as `prepare` would; None where nothing is kept.

        Raises
        ------
        UserError
            If it is damaged.
        """
        found = self.chain.method()
        if self.learned is None or found is None:
            return None
        try:
            arrays = {name: packed.array() for name, packed in self.learned.items()}
            return found[0].from_arrays(arrays)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise UserError(
                f"What the recipe keeps of the {found[0].title.lower()} cannot be read ({error}); "
                "let it learn anew from annotations."
            ) from error

    def strokes_on(self, stack: Stack) -> Codes | None:
        """Return what the method grew from on this image, (planes, Y, X); None where it did not.

        Raises
        ------
        UserError
            If strokes are kept, but those of other images.
        """
        grown = [image for image in self.images if image.strokes]
        if not grown and (self.learned is not None or not self.n_painted):
            return None
        if not grown:
            raise UserError(
                "The recipe keeps its steps, and not what was painted for them: paint some of each "
                "class (on the command line: give them with -l LABELS or --points POINTS)."
            )
        known = find_known(self.images, stack)
        if known is not None:
            return known.codes()
        size = " × ".join(map(str, (stack.n_planes, *stack.plane_shape)))
        told = ", ".join(f"{image.name} ({image.size()} px)" for image in grown[:3])
        more = f" and {len(grown) - 3} more" if len(grown) > 3 else ""
        raise UserError(
            f"The recipe grows from strokes on {told}{more}; {stack.name} ({size} px) is another "
            "image: paint on it (on the command line: -l LABELS or --points POINTS)."
        )

    def calibrated(self, stack: Stack) -> Stack:
        """Return an image that is known with the pixel size that it had, any other as it is."""
        same = [image for image in self.images if image.fingerprint == fingerprint(stack)]
        return replace(stack, pixel_size_um=dict(same[0].pixel_size_um)) if same else stack


def _count(sources: Sequence[Source]) -> dict[int, int]:
    """Count annotated pixels by their codes."""
    counts = np.zeros(256, np.int64)
    for source in sources:
        for plane in source.annotated_planes():
            counts += np.bincount(np.ravel(source.strokes[plane]), minlength=256)
    return {code: int(n) for code, n in enumerate(counts) if code != UNLABELLED and n}


def read_recipe(path: str | Path) -> ChainRecipe:
    """Read a recipe, or the record that is written beside every result.

    Raises
    ------
    UserError
        If it cannot be read, or is something else.
    """
    try:
        found: Any = json.loads(Path(path).read_text(encoding="utf-8-sig"))
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


def record_of(recipe: ChainRecipe, images: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what is written beside results: how they were made, for people and for `read_recipe`.

    Parameters
    ----------
    images : sequence of dict
        As `image_facts` returns them.
    """
    return {
        "recipe": recipe.model_dump(mode="json"),
        "in words": in_words(recipe.chain),
        "images": list(images),
        "version": __version__,
    }


def image_facts(stack: Stack, output: Path, slices: Sequence[int]) -> dict[str, Any]:
    """Return from which image a result was made, and where that is."""
    return {
        "image": str(stack.path or stack.name),
        "output": str(output),
        "slices": list(slices),
        "fingerprint": fingerprint(stack),
    }
