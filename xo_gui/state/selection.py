"""Selection: the hovered and the pinned value of the network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CellRef:
    """One value of a network.

    layer: index of the activation; 0 is the input.
    channel, row, column: from 0; a flat layer has its index in `channel`, and row = column = 0.
    subject: index of the model in the Document.
    """

    layer: int
    channel: int
    row: int = 0
    column: int = 0
    model_index: int = 0


@dataclass(frozen=True)
class Selection:
    """What is selected; neither undone nor saved with the Document.

    hovered: the value under the mouse.
    pinned: the value chosen by a click.
    animating: whether the pinned value's window is sliding over its map, which is shown only up to that value.
    """

    hovered: CellRef | None = None
    pinned: CellRef | None = None
    animating: bool = False

    @property
    def cells(self) -> tuple[CellRef, ...]:
        """The value to explain first, then the pinned one. Hovering previews a value, except while animating."""
        chosen = (self.pinned,) if self.animating else (self.hovered, self.pinned)
        return tuple(cell for cell in chosen if cell is not None)
