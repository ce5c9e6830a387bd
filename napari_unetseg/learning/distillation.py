"""What a base model answers is kept where nothing is painted, and of what it was made from."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_unetseg.config import BACKGROUND
from napari_unetseg.networks import Network

from .detail import Painted
from .placement import Device, autocast
from .rehearsal import Rehearsal
from .targets import distance_errors

#: How far the weights go back towards those of the base after strokes.
STEP_BACK = 0.4

#: How far they may go back where enough is held out to tell: as far as it costs no more than
#: `LITTLE` of mean IoU there.
STEPS_BACK = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)
LITTLE = 0.005

#: How much what is rehearsed counts beside what is painted: the less, the more strokes there are;
#: and beside images painted completely, which leave nothing unpainted to ask the base for.
MOST, LEAST, BESIDE_WHOLE_IMAGES = 3.0, 1.0, 6.0

#: Pixels of strokes that count for as much as what is rehearsed.
WORTH_PX = 4_000

#: Painted pixels from which that counts for less, and from which it counts for nothing: then what
#: is painted says more than all that the base knows.
MUCH_PX, OUTWEIGH_PX = 500_000, 1_000_000

#: Held-out pixels from which scores may decide; fewer are a stroke or two.
ENOUGH_PX = 2_000


class Teacher:
    """A network before training, which is asked for what nobody has painted.

    A few strokes say little of an image, and a network that learns them alone forgets the rest of
    what it knew.

    Parameters
    ----------
    network : Network
        With the weights that training starts from, on the device; it is copied.
    n_classes : int
        Channels that answer with classes, background included. The one after them, where there is
        one, answers with distances.
    knows_classes : bool
        Whether it is asked for classes, and not for distances alone.
    weight : float
        Of what it says beside what is painted.
    distance_weight : float
        Of the error of a distance beside that of a class.
    knows_distances : bool
        Whether it is asked for distances.
    step_back : float
        How far the weights that are kept go back towards its own at least, from 0 to 1.
    device : Device
    rehearsal : Rehearsal, optional
        What it is asked for too, wherever it is painted or not.

    References
    ----------
    Z. Li, D. Hoiem, "Learning without Forgetting", ECCV 2016.
    M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022, for the step back.
    """

    def __init__(
        self,
        network: Network,
        *,
        n_classes: int,
        knows_classes: bool,
        weight: float,
        distance_weight: float,
        knows_distances: bool,
        step_back: float,
        device: Device,
        rehearsal: Rehearsal | None = None,
    ) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.step_back = step_back if knows_classes else 0.0
        self._n_classes = n_classes
        self.knows_classes = knows_classes
        self._knows_distances = knows_distances
        self._weight = weight
        self._distance_weight = distance_weight
        self._device = device
        self._rehearsal = rehearsal

    def weigh_rehearsal(self, weight: float) -> None:
        """Let what is rehearsed count more or less from now on; see `rehearsal_weight`."""
        if self._rehearsal is not None:
            self._rehearsal.weight = weight

    @property
    def rehearses(self) -> bool:
        """Whether it is asked for patches of what it was made from."""
        return self._rehearsal is not None

    def loss(
        self, pixels: Tensor, logits: Tensor, codes: Tensor, maps: Mapping[str, Tensor]
    ) -> Tensor:
        """Return how far a network is from what this one answers where nobody has painted.

        Parameters
        ----------
        pixels : Tensor, shape (B, C, Y, X) or (B, C, Z, Y, X)
            A batch of patches.
        logits : Tensor, shape (B, K, Y, X) or (B, K, Z, Y, X)
            What the network that learns answers.
        codes : Tensor, shape (B, Y, X) or (B, Z, Y, X), uint8
        maps : dict of str to Tensor, of the shape of `codes`
            With ``"unlabelled"``. Without ``"distance"``, distances are asked of painted objects
            too: strokes do not tell these apart.

        Returns
        -------
        Tensor, scalar
            The mean error of classes and that of distances, weighted, each over the pixels that are
            asked for; 0 where there are none.
        """
        free = maps["unlabelled"] > 0.99  # it was resampled linearly
        asked = free
        if self._knows_distances and "distance" not in maps:
            asked = free | (codes > 0)
        if not bool(asked.any()):
            return torch.zeros((), device=logits.device)
        return self._weight * self._difference(pixels, logits, codes, free, asked)

    def forgotten(self, network: Network, step: int, most_px: int) -> Tensor | None:
        """Return how far a network is from what this one answers on patches that are rehearsed.

        Parameters
        ----------
        network : Network
            That learns.
        step : int
            Which patches it is depends on that.
        most_px : int
            Of all of them.

        Returns
        -------
        Tensor, scalar, or None
            As `loss`; None where there are no patches, or none that small.
        """
        if self._rehearsal is None or not self._rehearsal.weight:
            return None
        pixels = self._rehearsal.batch(step, most_px)
        if pixels is None:
            return None
        with autocast(self._device):
            logits = network(pixels)
        everywhere = torch.ones_like(logits[:, 0], dtype=torch.bool)
        unpainted = torch.zeros_like(logits[:, 0], dtype=torch.uint8)
        difference = self._difference(pixels, logits, unpainted, everywhere, everywhere)
        return self._weight * self._rehearsal.weight * difference

    def _difference(
        self, pixels: Tensor, logits: Tensor, codes: Tensor, free: Tensor, asked: Tensor
    ) -> Tensor:
        """Return the error of classes where they are `free`, and of distances where `asked`."""
        with torch.no_grad(), autocast(self._device):
            told = self.network(pixels).float()
        logits, n, total = logits.float(), self._n_classes, torch.zeros((), device=logits.device)
        if self.knows_classes:
            classes = told[:, :n].softmax(dim=1)
            total = _mean(F.cross_entropy(logits[:, :n], classes, reduction="none"), free)
        if self._knows_distances:
            # What is painted as background lies in no object.
            depth = torch.where(codes == BACKGROUND, 0.0, told[:, n])
            errors = distance_errors(logits[:, n], depth)
            total = total + self._distance_weight * _mean(errors, asked)
        return total


def _mean(errors: Tensor, where: Tensor) -> Tensor:
    return (errors * where).sum() / where.sum().clamp(min=1)


def step_back(painted: Painted) -> float:
    """Choose how far the weights go back towards those of the base at least.

    Mean IoU of the membranes that ship, fine-tuned on EM for 300 steps, going back by 0, 0.2, 0.4
    and 0.6: three strokes 0.776, 0.801, 0.810 and 0.809, ten 0.795, 0.806, 0.814 and 0.812, thirty
    0.817, 0.826, 0.828 and 0.823, a hundred 0.838, 0.844, 0.844 and 0.831. Of a whole slice more is
    learned than that would leave.
    """
    return 0.0 if painted.dense else STEP_BACK


def rehearsal_weight(painted: Painted) -> float:
    """Choose how much what is rehearsed counts beside what is painted; 0 for not at all.

    Nuclei are fine-tuned on images of other kinds than those thirty that are scored, EM on what is
    like the slices that are scored. Mean IoU by weight, three strokes to a hundred two drawings:

    ================================  ======  ============  ============  ============  ====
    painted                           before  0             1             3             6
    ================================  ======  ============  ============  ============  ====
    nuclei, a stroke                  .929    .851          .890          .911          .914
    nuclei, ten                       .929    .888          .915          .922          .924
    nuclei, a whole image of 65 kpx   .929    .813          .867          .902          .908
    EM, a stroke                      .745    .684                        .777          .776
    EM, three                         .745    .794 .797     .788 .802     .791 .797
    EM, ten                           .745    .833 .828     .822 .813     .806 .812     .813
    EM, a hundred                     .745    .840 .850     .830 .843     .831 .841
    EM, a whole slice of 1 Mpx        .745    .855 .859     .854 .851     .844 .842
    ================================  ======  ============  ============  ============  ====
    """
    weight = BESIDE_WHOLE_IMAGES
    if not painted.dense:
        weight = min(max(WORTH_PX / painted.px, LEAST), MOST)
    left = (OUTWEIGH_PX - painted.px) / (OUTWEIGH_PX - MUCH_PX)
    return weight * min(max(left, 0.0), 1.0)


def farthest_back(score: Callable[[float], float], at_least: float) -> float:
    """Find how far back costs next to nothing on held-out annotations.

    A slice says much of the image that it is of, and nothing of others that the base knows. Nuclei
    fine-tuned on one whole image had mean IoU 0.897 on thirty images of other kinds, 0.910 going
    back by 0.8, and 0.911 before; on held-out annotations 0.974 and 0.970.

    Parameters
    ----------
    score : callable
        Returns the mean IoU of weights that have gone back so far.
    at_least : float
        How far they go in any case.
    """
    scores = {share: score(share) for share in STEPS_BACK if share >= at_least}
    best = max(scores.values())
    return max(share for share, found in scores.items() if found >= best - LITTLE)
