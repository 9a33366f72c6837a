"""Strip words: the line under the network when nothing is looked at, and what a screen reader is told of it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication

from xo_gui.views.shown_strip import ShownStrip
from xo_gui.views.stages import layer_names


def hint(strips: Sequence[ShownStrip], header: tuple[int, int] | None) -> str:
    """What a click would do: on the header (subject, layer) under the mouse, or anywhere."""
    if header is None:
        return _tr(
            "Point at any value to read it, click to see how it came about. Arrow keys and Enter do the same."
        )
    subject, layer = header
    shown = strips[subject]
    name = layer_names(shown.reading.subject.network)[layer]
    column = shown.strip.column_of(layer) if shown.strip else None
    if column is not None and layer == column.stage.shown:
        return _tr("Click to show {0} in the column before it.").format(name)
    return _tr("Click to show {0} in a column of its own.").format(name)


def summary(strips: Sequence[ShownStrip]) -> str:
    """What every subject reads, in words."""
    said = []
    for shown in strips:
        reading = shown.reading
        top = 100 * float(reading.votes.max())
        said.append(_tr("{0}, reading {1}, {2} %").format(reading.subject.name, reading.verdict, f"{top:.0f}"))
    return "; ".join(said)


def _tr(text: str) -> str:
    return QCoreApplication.translate("NetworkView", text)
