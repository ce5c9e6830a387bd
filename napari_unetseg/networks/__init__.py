"""Network architectures: one file each, found through `registry`."""

from .base import Network
from .registry import NETWORKS, build_network

__all__ = ["NETWORKS", "Network", "build_network"]
