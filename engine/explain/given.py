"""Given: the examples of a lesson as somebody reads them who keeps none: part by part, and any one again."""

from __future__ import annotations

from dataclasses import replace

from engine.backends.ops import HostArray
from engine.data.dataset import Examples
from engine.data.labelled_drawings import own_examples
from engine.data.pool import OWN_PIECE, PIECE, TRAINING, Lesson, piece
from engine.data.xo.generator import CLASSES


class Given:
    """The examples of a lesson as pictures of `side`, part by part, made again whenever they are asked for. Own
    drawings come last, each once. made: all of those that are generated, where somebody has them anyway. most: so
    many of those are enough."""

    def __init__(self, lesson: Lesson, side: int, made: Examples | None = None, most: int | None = None) -> None:
        self.lesson, self.side = lesson, side
        drawing, wanted = replace(lesson.data.drawing, side=side), lesson.data.count
        # Pieces are made whole, so that fewer examples are the first of them.
        count = wanted if most is None else min(wanted, -(-most // PIECE) * PIECE)
        self._data = replace(lesson.data, drawing=drawing, count=count)
        self._own = [replace(each, weight=1) for each in lesson.own if each.weight]
        fits = made is not None and len(made) >= self._data.count and made.images.shape[2] == side
        self._made = made if fits else None
        self._last: tuple[int, Examples] | None = None
        self._generated = -(-self._data.count // PIECE)
        self.parts = self._generated + -(-len(self._own) // OWN_PIECE)
        self.count = self._data.count + len(self._own)

    def first(self, part: int) -> int:
        """The number of the first example of a part."""
        more = part - self._generated
        return part * PIECE if more < 0 else self._data.count + more * OWN_PIECE

    def part(self, part: int) -> Examples:
        """One part. Raises ValueError for an own drawing of a class that is not there."""
        if self._last is None or self._last[0] != part:
            self._last = part, self._made_part(part)
        return self._last[1]

    def picture(self, number: int) -> HostArray:
        """(H, W): one example's picture."""
        more = number - self._data.count
        part = number // PIECE if more < 0 else self._generated + more // OWN_PIECE
        found: HostArray = self.part(part).images[number - self.first(part), 0]
        return found

    def _made_part(self, part: int) -> Examples:
        first = self.first(part)
        if part >= self._generated:
            start = first - self._data.count
            return own_examples(self._own[start : start + OWN_PIECE], self.side, CLASSES)
        if self._made is None:
            return piece(self._data, TRAINING, part)
        last = min(first + PIECE, self._data.count)
        return Examples(self._made.images[first:last], self._made.labels[first:last], CLASSES)
