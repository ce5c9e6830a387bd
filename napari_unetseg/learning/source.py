"""How well a model still does on what its base learned from."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from napari_unetseg.annotations import ALL_HELD_OUT, new_blocks
from napari_unetseg.events import SourceScored
from napari_unetseg.images import recoded
from napari_unetseg.networks import Network

from .bundle import Model
from .data import TrainingImage, load_regions
from .guard import TOLERATED_DECLINE
from .placement import Device, place_network
from .region_file import kept_regions
from .scoring import HeldOutScorer, context_px, mean_iou

#: Blocks that are looked at, evenly spread over all annotations.
BLOCKS = 64

_WORSE = (
    "On the annotations that the base model learned from, mean IoU fell from {before:.3f} to "
    "{after:.3f}; keep the base model for images like those."
)


class SourceScorer:
    """Scores a base model and what became of it on the base's own annotations, all of them.

    Parameters
    ----------
    images : sequence of TrainingImage
        Annotated in the classes of the base.
    base : Model
    class_names : sequence of str
        Of the model that is trained, ``"background"`` first. What became of the pixels of a class
        that it no longer has is not asked.
    device : Device

    Attributes
    ----------
    before : dict of str to float
        IoU of the base by class name.
    """

    def __init__(
        self,
        images: Sequence[TrainingImage],
        base: Model,
        class_names: Sequence[str],
        device: Device,
    ) -> None:
        self._known = [name for name in base.class_names if name in class_names]
        normalisation = base.info.recipe.normalisation

        def scorer(names: Sequence[str]) -> HeldOutScorer:
            known = [_recoded(image, base.class_names, names) for image in images]
            regions = load_regions(
                known, normalisation, context_px(base.network), base.network.neighbours
            )
            return HeldOutScorer(kept_regions(regions), names, base.network, device)

        self._scorer = scorer(class_names)
        network = place_network(copy.deepcopy(base.network), device).eval()
        self.before = self._known_iou(scorer(base.class_names).score(network, BLOCKS))

    def score(self, network: Network) -> SourceScored:
        """Score a network with the classes of the model that is trained."""
        after = self._known_iou(self._scorer.score(network, BLOCKS))
        return SourceScored(mean_iou(self.before), mean_iou(after), self.before, after)

    def _known_iou(self, iou: dict[str, float]) -> dict[str, float]:
        return {name: iou[name] for name in self._known if name in iou}


def said_of_decline(scored: SourceScored) -> str | None:
    """Tell a person that a model has forgotten what its base knew; None where it has not."""
    if scored.mean_after >= scored.mean_before - TOLERATED_DECLINE:
        return None
    return _WORSE.format(before=scored.mean_before, after=scored.mean_after)


def _recoded(image: TrainingImage, old: Sequence[str], new: Sequence[str]) -> TrainingImage:
    """Return the annotations in other classes, unlabelled where there is none, all to score on."""
    table = np.zeros(256, np.uint8)
    for channel, name in enumerate(old):
        table[channel + 1] = new.index(name) + 1 if name in new else 0
    blocks = np.full_like(new_blocks(image.codes.shape), ALL_HELD_OUT)
    return TrainingImage(image.stack, recoded(image.codes, table), blocks)
