"""What refinements without a method better: the result at hand, or the network's segmentation."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels

from napari_unetseg.classical import Chain, ChainRecipe, find_step, in_words
from napari_unetseg.workspace import ImageEntry, Result
from napari_unetseg.workspace.results import BY_HAND

from .context import Context

_NETWORK = "the network with corrections by hand"


class Refined:
    """Says of every image what is refined, and how that was made.

    Parameters
    ----------
    context : Context
    hidden : list of Labels
        What a preview hides for a moment; looked at anew each time.
    """

    def __init__(self, context: Context, hidden: Collection[Labels]) -> None:
        self._context = context
        self._hidden = hidden
        self._names: dict[str, tuple[str, str]] = {}
        self._begun: dict[str, tuple[Result | None, int, ChainRecipe | None]] = {}

    def layer(self, entry: ImageEntry) -> Labels | None:
        """Return the layer of the result that is refined; None for the segmentation."""
        return self._context.at_hand.result(entry.id, self._hidden)

    def labels(self, entry: ImageEntry) -> npt.NDArray[Any] | None:
        """Return its codes or ids, shape (planes, Y, X); None for the segmentation."""
        layer = self.layer(entry)
        return None if layer is None else np.asarray(layer.data).reshape(entry.shape)

    def why_not(self, entry: ImageEntry | None) -> str | None:
        """Return why there is nothing to refine; None where there is."""
        if entry is None or self.layer(entry) is not None or entry.annotated_planes():
            return None
        if self._context.layers.shown_segmentation(entry.id) is not None:
            return None
        return "There is nothing to better yet: apply a method, or a model, first."

    def sentence(self, entry: ImageEntry | None) -> str:
        """Say what is refined."""
        why_not = self.why_not(entry)
        if why_not is not None:
            return f"Betters what is there already. {why_not}"
        layer = None if entry is None else self.layer(entry)
        what = "the network's segmentation and corrections" if layer is None else f"“{layer.name}”"
        return f"Betters {what}; choose another in the layer list. Add the steps it takes."

    def begin(self) -> dict[str, npt.NDArray[Any]]:
        """Return `labels` of every image of which a result is refined, and remember their names."""
        entries = self._context.workspace.images
        self._names = {image_id: self._name(entry) for image_id, entry in entries.items()}
        self._begun = {image_id: self._begin(entry) for image_id, entry in entries.items()}
        found = {image_id: self.labels(entry) for image_id, entry in entries.items()}
        return {image_id: labels for image_id, labels in found.items() if labels is not None}

    def named(self, image_id: str, chain: Chain) -> tuple[str, str]:
        """Return the title of what steps have answered, and how it was made, for a paper."""
        title = " · ".join(find_step(settings.step).title for settings in chain.steps)
        if chain.method() is not None:
            return title, in_words(chain)
        before, made_by = self._names.get(image_id, ("", _NETWORK))
        if self._was_painted(image_id) and not made_by.endswith(BY_HAND):
            made_by += BY_HAND
        return f"{before} · {title}" if before else title, f"{made_by}, then {in_words(chain)}"

    def replayed_by(self, image_id: str, recipe: ChainRecipe) -> ChainRecipe | None:
        """Return all steps of what steps have answered; None where they do not tell it all."""
        if recipe.chain.method() is not None:
            return recipe
        _, _, before = self._begun.get(image_id, (None, 0, None))
        if before is None or before.mapping is not None or self._was_painted(image_id):
            return None
        return before.replace(chain=Chain(steps=(*before.chain.steps, *recipe.chain.steps)))

    def _begin(self, entry: ImageEntry) -> tuple[Result | None, int, ChainRecipe | None]:
        layer = self.layer(entry)
        result = None if layer is None else self._context.results.result_of(layer)
        if result is None:
            return None, 0, None
        return result, result.n_edits, None if result.is_corrected else result.recipe

    def _was_painted(self, image_id: str) -> bool:
        """Tell whether somebody has painted on what is refined since: it may be in the answer."""
        result, n_edits, _ = self._begun.get(image_id, (None, 0, None))
        return result is not None and result.n_edits > n_edits

    def _name(self, entry: ImageEntry) -> tuple[str, str]:
        layer = self.layer(entry)
        if layer is None:
            return "", _NETWORK
        title = layer.name.removeprefix(f"{entry.stack.name} · ")
        result = self._context.results.result_of(layer)
        return title, (result and result.made_by) or title
