"""The architectures there are, by the ``kind`` in their config."""

from __future__ import annotations

import importlib

from napari_unetseg.config import NetworkConfig

from .base import Network

#: ``kind`` → ``"module:attribute"``. A new architecture is one file and one entry; what stands
#: there is called as ``attribute(config, n_channels, n_classes)`` and returns a `Network`.
NETWORKS = {
    "unet": "napari_unetseg.networks.unet:UNet",
    "unet2015": "napari_unetseg.networks.unet2015:UNet2015",
}


def build_network(config: NetworkConfig, n_channels: int, n_classes: int) -> Network:
    """Build the network that `config` describes, with whatever weights torch gives it.

    Parameters
    ----------
    config : NetworkConfig
        The architecture's own config; its ``kind`` chooses it.
    n_channels : int
        Channels of an image.
    n_classes : int
        Outputs, background included.
    """
    module, attribute = NETWORKS[config.kind].split(":")
    network = getattr(importlib.import_module(module), attribute)(config, n_channels, n_classes)
    if not isinstance(network, Network):
        raise TypeError(f"{NETWORKS[config.kind]} is no Network")
    return network
