"""The generator of drawn X and O."""

from engine.data.xo.article import ARTICLE_PICTURES, SIDE, article_examples
from engine.data.xo.generator import CLASSES, class_counts, generate_dataset, generate_drawing
from engine.data.xo.kind import XODrawings
from engine.data.xo.settings import XOSettings
from engine.data.xo.variations import (
    VALUES_PER_PROPERTY,
    DrawingVariations,
    baseline,
    drawing_properties,
    measure_drawing,
)

__all__ = [
    "ARTICLE_PICTURES",
    "CLASSES",
    "SIDE",
    "VALUES_PER_PROPERTY",
    "DrawingVariations",
    "XODrawings",
    "XOSettings",
    "article_examples",
    "baseline",
    "class_counts",
    "drawing_properties",
    "generate_dataset",
    "generate_drawing",
    "measure_drawing",
]
