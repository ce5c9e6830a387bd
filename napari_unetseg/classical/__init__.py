"""Segmentation without learning: thresholds, edges and clusters, one file per family."""

from .fit import FittedBaseline, fit_baseline
from .method import BaselineParams, Method
from .registry import METHODS, find_method
from .segment import parse_params, segment, segment_stack, shared_levels

__all__ = [
    "METHODS",
    "BaselineParams",
    "FittedBaseline",
    "Method",
    "find_method",
    "fit_baseline",
    "parse_params",
    "segment",
    "segment_stack",
    "shared_levels",
]
