"""What people call the parameters of classical steps, where their names will not do."""

from __future__ import annotations

LABELS = {
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
}
