"""The generator of drawn X and O."""

from engine.data.xo.article import ARTICLE_PICTURES, SIDE, article_examples
from engine.data.xo.generator import (
    CLASSES,
    SAMPLES_PER_CLASS,
    GeneratorSamples,
    class_counts,
    generate_dataset,
    generate_drawing,
    generate_samples,
)
from engine.data.xo.settings import MAX_SIDE, MIN_SIDE, XOSettings
from engine.data.xo.variations import (
    VALUES_PER_PROPERTY,
    DrawingProperty,
    DrawingVariations,
    baseline,
    drawing_properties,
    measure_drawing,
)

__all__ = [
    "ARTICLE_PICTURES",
    "CLASSES",
    "MAX_SIDE",
    "MIN_SIDE",
    "SAMPLES_PER_CLASS",
    "SIDE",
    "VALUES_PER_PROPERTY",
    "DrawingProperty",
    "DrawingVariations",
    "GeneratorSamples",
    "XOSettings",
    "article_examples",
    "baseline",
    "class_counts",
    "drawing_properties",
    "generate_dataset",
    "generate_drawing",
    "generate_samples",
    "measure_drawing",
]
