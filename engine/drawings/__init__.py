"""Drawings: strokes over a picture, and how they become pixels."""

from engine.drawings.drawing import (
    MIN_PEN_DIAMETER,
    WHOLE_FRAME,
    Box,
    Drawing,
    DrawingTransform,
    FloatArray,
    Stroke,
    box_of_pixels,
    smooth_path,
    transform_path,
)
from engine.drawings.image_ops import area_resample
from engine.drawings.raster import (
    IntArray,
    PenPaths,
    fit_to_frame,
    grid_cells,
    ink_bounds,
    ink_share,
    pen_coverage,
    render,
)

__all__ = [
    "MIN_PEN_DIAMETER",
    "WHOLE_FRAME",
    "Box",
    "Drawing",
    "DrawingTransform",
    "FloatArray",
    "IntArray",
    "PenPaths",
    "Stroke",
    "area_resample",
    "box_of_pixels",
    "fit_to_frame",
    "grid_cells",
    "ink_bounds",
    "ink_share",
    "pen_coverage",
    "render",
    "smooth_path",
    "transform_path",
]
