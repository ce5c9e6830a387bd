"""What people call the parameters of classical steps, where their names will not do."""

from __future__ import annotations

from napari_unetseg.classical import find_step

_LABELS = {
    "foreground": "Structure is",
    "sigma_px": "Smoothing (px)",
    "per_slice": "Each slice by itself",
    "in_3d": "In 3D",
    "percent": "Threshold (%)",
    "grey_value": "As a grey value",
    "lower_percent": "Lower threshold (%)",
    "upper_percent": "Upper threshold (%)",
    "lower_grey_value": "Lower, as a grey value",
    "upper_grey_value": "Upper, as a grey value",
    "window_px": "Neighbourhood (px)",
    "neighbourhood": "Compare with",
    "offset_percent": "By at least (%)",
    "k": "Strictness (k)",
    "n_classes": "Groups",
    "output": "Segment",
    "close_px": "Bridge gaps (px)",
    "widen_px": "Widen edges (px)",
    "direction_deg": "Edges run at (°)",
    "within_deg": "Give or take (°)",
    "neighbours": "Neighbours",
    "ratio": "Second Gaussian (×)",
    "low_percent": "Edges go on (%)",
    "high_percent": "Edges begin (%)",
    "n_clusters": "Groups",
    "features": "Compare by",
    "seed": "Random start",
    "radius_px": "Radius (px)",
    "min_area_px": "Smallest to keep (px)",
    "max_area_px": "Largest to fill (px)",
    "n": "Pieces to keep",
    "min_distance_px": "Middles apart (px)",
    "strength_percent": "Strength (%)",
    "patch_px": "Squares compared (px)",
    "reach_px": "Look around (px)",
    "tile_px": "Area (px)",
    "clip_percent": "Limit (%)",
    "appearance": "Weight of look-alikes",
    "appearance_px": "… how near (px)",
    "contrast_percent": "… how alike (%)",
    "smoothness": "Weight of neighbours",
    "smoothness_px": "… how near (px)",
    "confidence_percent": "Trust in labels (%)",
    "n_iterations": "Rounds",
    "local_px": "Look around (px)",
    "position_weight": "Weight of position",
    "tolerance": "Tolerance is",
    "deviations": "Deviations",
    "rounds": "Rounds",
    "beta": "Steps at edges cost",
    "answer": "Answer",
    "n_steps": "Rounds",
    "smoothing": "Smooth outlines",
    "claim": "Fill what is painted",
    "size_px": "Size (px)",
    "compactness": "Compactness",
    "scale": "Size of pieces",
    "min_radius_px": "Smallest radius (px)",
    "max_radius_px": "Largest radius (px)",
    "overlap_percent": "Most overlap (%)",
    "delta_percent": "Step in grey (%)",
    "max_change_percent": "Most change (%)",
    "sigma_min_px": "Finest scale (px)",
    "sigma_max_px": "Coarsest scale (px)",
    "edges": "Use edges",
    "lines": "Use lines and spots",
    "texture": "Use texture",
    "balance": "Classes count alike",
    "n_trees": "Trees",
    "n_px": "Pixels to learn from",
    "method": "Take away",
    "channel": "Channel",
}

#: Those that are seldom changed.
_SELDOM = frozenset(
    {"seed", "n_trees", "n_px", "direction_deg", "within_deg", "local_px", "position_weight"}
)

_STEEP = {"percent": "Steeper than (% of px)"}

#: The same, where a step means something else by a name.
_LABELS_OF = {
    "grow": {"percent": "Tolerance (%)"},
    "hysteresis": {"lower_percent": "Goes on at (%)", "upper_percent": "Begins at (%)"},
    "felzenszwalb": {"min_area_px": "Smallest piece (px)"},
    "blob_log": {"contrast_percent": "Contrast (%)"},
    "blob_dog": {"contrast_percent": "Contrast (%)"},
    "blob_doh": {"contrast_percent": "Contrast (%)"},
    "sobel": _STEEP,
    "scharr": _STEEP,
    "prewitt": _STEEP,
    "farid": _STEEP,
    "laplacian": _STEEP,
    "log": _STEEP,
    "dog": _STEEP,
}


def labels_of(step: str) -> dict[str, str]:
    """Return what the parameters of a step are called, by their names."""
    return _LABELS | _LABELS_OF.get(step, {})


def folded_of(step: str) -> frozenset[str]:
    """Return which parameters of a step are seldom changed."""
    return _SELDOM & set(find_step(step).params.model_fields)
