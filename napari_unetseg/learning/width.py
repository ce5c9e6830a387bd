"""How many channels a network has, where that is open."""

from __future__ import annotations

from napari_unetseg.config import NetworkConfig, TrainingConfig
from napari_unetseg.networks.unet import USUAL_FILTERS

from .placement import Device

#: Channels at the top level where a processor has little time. Three slices of EM membranes, mean
#: IoU on crops of others, by seconds of one core: after 26 to 34 s 0.780 and 0.804 with 8 filters,
#: 0.771 and 0.766 with 16; after 115 to 122 s 0.853 and 0.848 with 8, 0.838 to 0.843 with 16; after
#: 250 to 263 s 0.849 with 8 and 0.857 with 16.
FEW_FILTERS = 8

#: Seconds up to which time is little for a processor (two cores).
LITTLE_S = 120.0


def with_filters(
    network: NetworkConfig, training: TrainingConfig, device: Device, *, much: bool
) -> NetworkConfig:
    """Fill in how many channels a network has, where that is open.

    What has few learns from more patches in the same time; what has more learns more in the end,
    and more from few strokes.

    Parameters
    ----------
    much : bool
        Whether much is painted, as `Painted` has it.
    """
    if network.filters:
        return network
    seconds = training.max_time_s
    little = device.kind == "cpu" and seconds is not None and seconds <= LITTLE_S
    return network.replace(filters=FEW_FILTERS if little and much else USUAL_FILTERS)
