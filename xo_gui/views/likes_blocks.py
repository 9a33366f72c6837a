"""Likes blocks: what a value likes, put together from blocks of a sheet. They reckon nothing of it."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from PySide6.QtCore import QCoreApplication

from engine.data.labelled_drawings import NEITHER
from engine.data.xo.generator import CLASSES
from engine.explain.feature_profile import Likes, Weighed
from engine.explain.top_examples import Example
from xo_gui.views.blocks import Block, Grid, Line, Lines, Note, Pair, Picture, Portrait, Spread, SpreadRow
from xo_gui.views.feature_board import MOST_NUMBERS, level_of
from xo_gui.views.numerals import MINUS, figures, fixed, level, percent, signed
from xo_gui.views.stages import number

HostArray: TypeAlias = "np.ndarray[Any, Any]"


def portrait(likes: Likes | None, seed: int) -> list[Block]:
    """The picture that excites it most, as it is by now, and what it is worth beside the best example."""
    if likes is None or likes.ascended is None:
        words = likes.words if likes is not None else ""
        return [Note(words or _tr("A picture is looked for that excites it most…"))]
    found = likes.ascended
    rows, columns = found.window
    part = found.picture[0, rows.start : rows.stop, columns.start : columns.stop]
    lines = [Line(_tr("value now") if found.done < 1 else _tr("value"), fixed(found.value), total=True)]
    if likes.most:
        lines.append(Line(_tr("best example"), fixed(likes.most[0].value)))
    lines.append(Line(_tr("reads"), f"{len(rows)} × {len(columns)}"))
    going = found.done < 1
    lines.append(Line(_tr("from seed"), f"{seed}, {100 * found.done:.0f} %" if going else str(seed)))
    if found.still:
        return [Note(found.words), Lines((Line(_tr("value"), fixed(found.value)),))]
    if not part.size:
        return [Note(_tr("It reads nothing of the picture."))]
    blocks: list[Block] = [Portrait(part, tuple(lines))]
    return [*blocks, Note(found.words)] if found.words else blocks


def best_of(likes: Likes | None, total: int) -> str:
    """The words over those that excite it most: out of how many."""
    if likes is None or likes.searched >= 1:
        return _tr("excite it most, of {0}").format(number(likes.count if likes is not None else total))
    return _tr("excite it most, {0} of {1}").format(number(likes.count), number(total))


def example_told(example: Example) -> str:
    """What a tooltip says of an example."""
    rows, columns = example.window
    if not (rows and columns):
        return _tr("example {0}").format(number(example.number + 1))
    text = _tr("example {0}, rows {1} to {2}, columns {3} to {4}")
    return text.format(number(example.number + 1), rows.start + 1, rows.stop, columns.start + 1, columns.stop)


def facts(likes: Likes | None) -> list[Block]:
    """How its values are spread, and its weights as a picture and in numbers."""
    if likes is None:
        return []
    blocks: list[Block] = [] if likes.ascended is None or not likes.words else [Note(likes.words)]
    return [*blocks, *_spread(likes), *(_weighed(likes.weighed) if likes.weighed is not None else [])]


def _spread(likes: Likes) -> list[Block]:
    spread = likes.spread
    if spread is None:
        return []
    names = (*CLASSES, NEITHER)
    rows = tuple(
        SpreadRow(at if at < len(CLASSES) else -1, name, spread.peaks[at])
        for at, name in enumerate(names)
        if at < len(CLASSES) or spread.peaks[at].any()
    )
    width = spread.last - spread.first
    zero = -spread.first / width if spread.first < 0 < spread.last and math.isfinite(width) else None
    title = _tr("value in each example") if spread.single else _tr("largest value in each example")
    bars = Spread(title, rows, level(spread.first), level(spread.last), zero)
    values = [
        Line(_tr("mean of all values"), f"{fixed(spread.mean)} ± {spread.deviation:.2f}"),
        Line(_tr("from, to"), f"{signed(spread.low)}, {signed(spread.high)}"),
        Line(_tr("exactly 0"), percent(spread.zero)),
    ]
    if spread.silent >= 1:
        return [Note(_tr("It is 0 in every example looked through: none of them excites it."))]
    if spread.silent:
        values.append(Line(_tr("examples with nothing but 0"), percent(spread.silent)))
    return [bars, Lines(tuple(values))]


def _weighed(weighed: Weighed) -> list[Block]:
    weights = weighed.weights
    count, high, wide = weights.shape
    most = level_of(weights)
    if count == 1 and max(high, wide) <= MOST_NUMBERS:
        picture: Block = Pair(Grid(_tr("weights"), weights[0], "value", most))
    else:
        title = _tr("weights, a square for each map below") if count > 1 else _tr("weights")
        picture = Picture(title, mosaic(weights), most)
    fine = weights.astype(np.float64)
    lines = [
        Line(_tr("weights"), _shape(weights.shape)),
        Line(_tr("mean"), figures(float(fine.mean()))),
        Line(_tr("size, root of the summed squares"), figures(weighed.size)),
        Line(_tr("from, to"), f"{figures(float(fine.min()))}, {figures(float(fine.max()))}"),
    ]
    if weighed.bias is not None:
        lines.append(Line(_tr("bias"), figures(weighed.bias)))
    return [picture, Lines(tuple(lines))]


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(str(side) for side in (shape if shape[0] > 1 else shape[1:]))


def mosaic(weights: HostArray) -> HostArray:
    """Slices (n, h, w) beside and below each other as one picture, with a gap of 0 between."""
    count, high, wide = weights.shape
    across = max(1, min(count, round(math.sqrt(count * (high + 1) / (wide + 1) * 2))))
    down = -(-count // across)
    made = np.zeros((down * (high + 1) - 1, across * (wide + 1) - 1), weights.dtype)
    for at, one in enumerate(weights):
        row, column = divmod(at, across)
        made[row * (high + 1) : row * (high + 1) + high, column * (wide + 1) : column * (wide + 1) + wide] = one
    return made


def said(likes: Likes | None) -> str:
    """What a screen reader says of it all."""
    if likes is None:
        return ""
    parts = [likes.words]
    if likes.ascended is not None:
        parts.append(_tr("The picture found gives {0}.").format(fixed(likes.ascended.value).replace(MINUS, "-")))
        parts.append(likes.ascended.words)
    for name, side in ((_tr("Excited most by"), likes.most), (_tr("Excited least by"), likes.least)):
        if side:
            listed = ", ".join(f"{each.label} {fixed(each.value)}" for each in side)
            parts.append(f"{name} {listed}.")
    return " ".join(filter(None, parts))


def _tr(text: str) -> str:
    return QCoreApplication.translate("LikesPage", text)
