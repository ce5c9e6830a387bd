"""Stacks: axes, calibration, readers, writers, normalisation, tiling."""

from .stack import Stack

__all__ = ["Stack"]
