"""XODrawings: the kind of data of generated X and O."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import ClassVar, Final

import numpy as np

from engine.data.data_kind import (
    SAMPLES_PER_CLASS,
    DataSettings,
    ExampleInput,
    InputShape,
    Variations,
    VariedProperty,
)
from engine.data.dataset import Dataset
from engine.data.drawing_kind import DrawingKind
from engine.data.xo.article import ARTICLE_PICTURES, SIDE
from engine.data.xo.generator import (
    CLASSES,
    class_counts,
    generate_dataset,
    generate_drawing,
    generate_in_slices,
)
from engine.data.xo.settings import XOSettings
from engine.data.xo.variations import DrawingVariations, baseline, drawing_properties, measure_drawing
from engine.drawings import Drawing, FloatArray, Stroke, render

MAX_SAMPLE_SIDE: Final = 128  # pixels: larger samples are too slow while a slider moves
_SAMPLES_SEED: Final = 1
_CIRCLE_POINTS: Final = 48
_EXAMPLES: Final = XOSettings(size=(0.3, 1.0), ambiguous=0.0)  # large enough to be looked at


class _XOVariations(Variations):
    def properties(self, input_shape: InputShape) -> tuple[VariedProperty, ...]:
        return drawing_properties(input_shape[1])

    def inputs(self, input_shape: InputShape, count: int, seed: Sequence[int]) -> DrawingVariations:
        return DrawingVariations(input_shape[1], count, seed)

    def measure(self, source: Drawing, image: FloatArray) -> Mapping[str, float]:
        return measure_drawing(source, image[0])


class XODrawings(DrawingKind[XOSettings]):
    """Drawings of X, O and other shapes, generated from pen strokes."""

    name = "xo"
    title = "Drawings of X and O"
    settings: ClassVar[type[DataSettings] | None] = XOSettings
    class_names = CLASSES
    phrases: ClassVar[Mapping[str, str]] = {"X": "an X", "O": "an O"}
    symbols: ClassVar[Mapping[str, str]] = {"X": "cross", "O": "ring"}
    variations: ClassVar[Variations | None] = _XOVariations()

    def generate(self, settings: XOSettings, count: int, seed: int | Sequence[int]) -> Dataset:
        return generate_dataset(settings, count, seed)

    def generate_in_slices(
        self, settings: XOSettings, count: int, seed: int | Sequence[int]
    ) -> Generator[None, None, Dataset]:
        return (yield from generate_in_slices(settings, count, seed))

    def class_counts(self, settings: XOSettings, count: int) -> tuple[int, ...]:
        return class_counts(settings, count)

    def without_unlabelled(self, settings: XOSettings) -> XOSettings:
        return replace(settings, neither=0.0)

    def samples(self, settings: XOSettings) -> Dataset:
        """A third of the samples is neither X nor O, and their side is at most MAX_SAMPLE_SIDE; a changed setting
        changes nothing else in them."""
        adjusted = replace(settings, neither=1 / 3, side=min(settings.side, MAX_SAMPLE_SIDE))
        generated = generate_dataset(adjusted, 3 * SAMPLES_PER_CLASS, _SAMPLES_SEED)
        return generated.take(np.argsort(generated.labels % 3, kind="stable"))

    def example(
        self, label: str, input_shape: InputShape, rng: np.random.Generator, turn: int = 0
    ) -> ExampleInput[Drawing]:
        """Another drawing each time; for a network of 9 x 9, the article's pictures of an X or an O in turn."""
        if named := self.named_examples(input_shape).get(label):
            return list(named.values())[turn % len(named)]
        drawing = generate_drawing(label, _EXAMPLES, rng)
        while drawing.is_empty:  # a blank image is "neither" too
            drawing = generate_drawing(label, _EXAMPLES, rng)
        return ExampleInput(drawing)

    def named_examples(self, input_shape: InputShape) -> Mapping[str, Mapping[str, ExampleInput[Drawing]]]:
        """For a network of 9 x 9, the article's X and O and the four variants of each."""
        return _article_examples() if input_shape[1] == SIDE else {}

    def templates(self, input_shape: InputShape) -> FloatArray | None:
        return _templates(input_shape[1])


@lru_cache(maxsize=1)
def _article_examples() -> Mapping[str, Mapping[str, ExampleInput[Drawing]]]:
    found: dict[str, dict[str, ExampleInput[Drawing]]] = {name: {} for name in CLASSES}
    for full_name, picture in ARTICLE_PICTURES.items():
        label, _, name = full_name.partition(" ")
        caption = f"The article's {full_name.replace(' ', ': ', 1)}"
        found[label][name] = ExampleInput(Drawing(image=picture), caption)
    return found


@lru_cache(maxsize=8)
def _templates(side: int) -> FloatArray:
    """An X and an O, (2, side, side), read-only: at 9 x 9 the article's own; otherwise an upright X and a round O,
    centred, without jitter, with the default size and pen width."""
    if side == SIDE:
        pictures = np.stack([ARTICLE_PICTURES[name] for name in CLASSES])
    else:
        pictures = np.stack([render(_ideal(name, side), side) for name in CLASSES])
    pictures.flags.writeable = False
    return pictures


def _ideal(name: str, side: int) -> Drawing:
    """The ideal shape of a class: straight lines from corner to corner, or a circle."""
    look = baseline(side)
    radius = np.float32((look.size - look.pen_width) / 2)
    if name == "X":
        lines = [[(-1.0, -1.0), (1.0, 1.0)], [(1.0, -1.0), (-1.0, 1.0)]]
    else:
        angles = [2 * math.pi * part / _CIRCLE_POINTS for part in range(_CIRCLE_POINTS + 1)]
        lines = [[(math.cos(angle), math.sin(angle)) for angle in angles]]
    return Drawing(
        tuple(_stroke(np.array(line, np.float32) * radius + np.float32(0.5), look.pen_width) for line in lines)
    )


def _stroke(points: FloatArray, pen: float) -> Stroke:
    return Stroke(np.column_stack([points, np.full(len(points), pen, np.float32)]))
