"""View: the base class of every panel, which shows a Document, a Snapshot and a Selection."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QWidget

from engine.documents import Document
from engine.runtime import AnyQuery, Snapshot
from xo_gui.state import CellRef, Selection, TrainingSettings


class View(QWidget):
    """A panel. The main window connects its signals to the session.

    previewed(document): an unfinished change, such as a stroke.
    edited(document, text, merge): a finished change, its text in the Edit menu, and the key under which successive
        changes merge into one undo command ("" for none).
    hovered(cell or None): the value under the mouse.
    pinned(cell or None): the value that a click pins; None deselects.
    stepped_to(cell): the value that the sliding window has moved to.
    opened(cell): a value that was double-clicked, to be shown on the stage.
    queries_changed: what the panel needs computed, or whether it is visible, has changed.
    commanded(command): a training command.
    message(text): a sentence for the status bar. stated(Statement): one that ends once it is no longer true.
    visible_maps_changed(maps): which maps of which layers are visible, (Network, Wanted) for each model.
    is_throttled: whether the panel shows training progress rather than the drawing, and therefore skips most
        snapshots of a stroke while training runs, and of a drag of the timeline.
    lists_all_runs: whether the panel shows the runs of the network also while the weights on the screen are of none
        of them; the other panels then get Snapshots without training.
    """

    title = ""
    is_throttled = False
    lists_all_runs = False
    _is_on_top = True

    previewed = Signal(object)
    edited = Signal(object, str, str)
    hovered = Signal(object)
    pinned = Signal(object)
    stepped_to = Signal(object)
    opened = Signal(object)
    queries_changed = Signal()
    commanded = Signal(object)
    message = Signal(str)
    stated = Signal(object)
    visible_maps_changed = Signal(object)

    def top_row_width(self) -> int:
        """The width that the view's controls at its top right need, where the tabs of the central widget are at the
        left; 0 without such controls. The view gets a LayoutRequest when it changes."""
        return 0

    def set_document(self, document: Document) -> None:
        """Show this Document, which includes an unfinished stroke."""

    def set_snapshot(self, snapshot: Snapshot) -> None:
        """Show this Snapshot; it may belong to a slightly earlier drawing, but always to its own weights."""

    def set_selection(self, selection: Selection) -> None:
        """Show what is hovered and pinned."""

    def set_training(self, settings: TrainingSettings) -> None:
        """Show the training settings."""

    def queries(self) -> frozenset[AnyQuery]:
        """What the engine is to compute for the panel while it is visible, beside the predictions."""
        return frozenset()

    def heightForWidth(self, width: int) -> int:
        """The least height at this width, so that a panel scrolls only where it has less; Qt counts what it would
        like to have."""
        layout = self.layout()
        has_least = layout is not None and layout.hasHeightForWidth()
        return layout.totalMinimumHeightForWidth(width) if has_least and layout is not None else -1

    @property
    def is_on_screen(self) -> bool:
        """Whether the panel is open and not covered by another tab."""
        return self._is_on_top and self.isVisible()

    def set_on_top(self, on_top: bool) -> None:
        """Set whether no other tab covers the panel; Qt shows a dock also where another one covers it."""
        if on_top != self._is_on_top:
            self._is_on_top = on_top
            if self.queries():
                self.queries_changed.emit()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self.queries():
            self.queries_changed.emit()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if self.queries():
            self.queries_changed.emit()


__all__ = ["CellRef", "View"]
