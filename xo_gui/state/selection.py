"""What is looked at: the hovered cell, the pinned cell and the place on the timeline."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One value of the network. layer: 0 is the input; channel, row, column count from 0 (a list has row = column
    = 0 and its place in `channel`). subject: which of the document's networks."""

    layer: int
    channel: int
    row: int = 0
    column: int = 0
    subject: int = 0


@dataclass(frozen=True)
class Focus:
    """What is looked at: the cell under the mouse, and the one that a click holds. sliding: whether the window
    slides over its map, which is then shown only as far as the held cell. watched: costly reports that somebody
    looks at, named as the Request's fields. Not undone, not saved with the Document."""

    hovered: Cell | None = None
    pinned: Cell | None = None
    sliding: bool = False
    watched: frozenset[str] = frozenset()

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The one to explain, first, and the one that comes back after it: what is hovered over is a preview, but
        not of a window that slides."""
        chosen = (self.pinned,) if self.sliding else (self.hovered, self.pinned)
        return tuple(cell for cell in chosen if cell is not None)
