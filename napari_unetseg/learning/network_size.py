"""How deep and how wide a network is, where that is open."""

from __future__ import annotations

from napari_unetseg.config import NetworkConfig, TrainingConfig
from napari_unetseg.networks.unet import USUAL_DEPTH, USUAL_FILTERS

from .detail import Painted
from .placement import Device

#: Channels at the top level where a processor has little time. Three slices of EM membranes, mean
#: IoU on crops of others, by seconds of one core: after 26 to 34 s 0.780 and 0.804 with 8 filters,
#: 0.771 and 0.766 with 16; after 115 to 122 s 0.853 and 0.848 with 8, 0.838 to 0.843 with 16; after
#: 250 to 263 s 0.849 with 8 and 0.857 with 16.
FEW_FILTERS = 8

#: Seconds up to which time is little for a processor (two cores).
LITTLE_S = 120.0


#: Times the image is halved where strokes are painted, few or many: what sees far learns by heart
#: what lies around them. EM membranes, mean IoU on crops of other slices, the same time of one
#: core. Ten strokes (three drawings): depth 2 0.703, 0.709 and 0.744; depth 3 0.703, 0.640 and
#: 0.703. Of 117: depth 2 0.793, depth 3 0.807, depth 4 0.789.
FEW_STROKES_DEPTH, MANY_STROKES_DEPTH = 2, 3


def with_size(
    network: NetworkConfig, training: TrainingConfig, device: Device, painted: Painted
) -> NetworkConfig:
    """Fill in how deep and how wide a network is, where that is open.

    What has few channels learns from more patches in the same time; what has more learns more in
    the end, and more from few strokes.
    """
    seconds = training.max_time_s
    little = device.kind == "cpu" and seconds is not None and seconds <= LITTLE_S
    if not network.filters:
        network = network.replace(filters=FEW_FILTERS if little and painted.much else USUAL_FILTERS)
    if not network.depth:
        strokes = MANY_STROKES_DEPTH if painted.much else FEW_STROKES_DEPTH
        network = network.replace(depth=USUAL_DEPTH if painted.dense else strokes)
    return network
