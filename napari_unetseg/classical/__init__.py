"""Segmentation without a network: chains of steps, one file per family."""

from .chain import Chain, StepSettings, parse_params, parse_step
from .fit import FittedBaseline, fit_baseline
from .method import BaselineParams, LevelMethod
from .registry import FILTERS, METHODS, REFINEMENTS, find_method, find_step
from .run import prepare, run_stack, run_view, segment
from .step import Filter, Method, Refinement, Step, View

__all__ = [
    "FILTERS",
    "METHODS",
    "REFINEMENTS",
    "BaselineParams",
    "Chain",
    "Filter",
    "FittedBaseline",
    "LevelMethod",
    "Method",
    "Refinement",
    "Step",
    "StepSettings",
    "View",
    "find_method",
    "find_step",
    "fit_baseline",
    "parse_params",
    "parse_step",
    "prepare",
    "run_stack",
    "run_view",
    "segment",
]
