"""Strip words: the line under the network when nothing is looked at, and what a screen reader is told of it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication

from engine.nn.inference import Reading
from engine.nn.layers import shape_text
from xo_gui.views.shown_strip import ShownStrip
from xo_gui.views.stages import layer_names, number
from xo_gui.views.strip_painter import Header


def hint(strips: Sequence[ShownStrip], header: Header | None) -> str:
    """What a click would do: on the header under the mouse, or anywhere."""
    if header is None:
        return _tr(
            "Point at a value to read it, click to see how it came about, double-click for its map. Arrow keys, "
            "Enter and Space do the same."
        )
    shown = strips[header.subject]
    column = shown.strip.headed(header.layer) if shown.strip else None
    if column is None:
        return ""
    stage = column.stage
    if header.way is not None:
        said = {
            "back": _tr("Click for the maps before these, or press Page Up."),
            "on": _tr("Click for the maps after these, or press Page Down."),
            "all": _tr("Click to show all {0} maps, and scroll.").format(shape_text(stage.shape)),
        }
        return said[header.way] if column.paged else _tr("Click to show one page of the maps at a time.")
    if header.folds is None:
        ends = number(stage.layers[0]), number(stage.layers[-1])
        return _tr("Click to open layers {0} to {1}: {2}.").format(*ends, ", ".join(stage.kinds))
    name = layer_names(shown.reading.subject.network)[header.folds]
    if header.folds == stage.shown:
        return _tr("Click to show {0} in the column before it.").format(name)
    return _tr("Click to show {0} in a column of its own.").format(name)


def summary(strips: Sequence[ShownStrip]) -> str:
    """What every subject reads, in words."""
    return "; ".join(say_reading(shown.reading.subject.name, shown.reading) for shown in strips)


def say_reading(name: str, reading: Reading) -> str:
    """What the network called `name` makes of the drawing."""
    top = 100 * float(reading.votes.max())
    return _tr("{0}, reading {1}, {2} %").format(name, reading.verdict, f"{top:.0f}")


def _tr(text: str) -> str:
    return QCoreApplication.translate("NetworkView", text)
