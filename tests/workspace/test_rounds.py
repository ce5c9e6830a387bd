"""What is said of a round of training."""

from __future__ import annotations

import pytest

from napari_unetseg.events import HeldOutScored
from napari_unetseg.workspace.rounds import JobRecord
from napari_unetseg.workspace.slots import Slots


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (0.700, 0.750, "Better by 0.050: mean IoU 0.700 → 0.750"),
        (0.700, 0.650, "Worse: mean IoU 0.700 → 0.650"),
        (0.997, 0.996, "As good as before: mean IoU 0.997 → 0.996"),
        (0.996, 0.999, "As good as before: mean IoU 0.996 → 0.999"),
    ],
)
def test_only_a_change_that_matters_is_called_better_or_worse(before, after, said):
    job = JobRecord(Slots(1).of_codes(), is_training=True, has_base=True)
    for step, score in ((0, before), (100, after)):
        job.score(HeldOutScored(step, 1.0, score, {}, 500))
    assert job.as_round(1).sentence == f"{said} on held-out annotations."
