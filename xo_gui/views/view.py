"""View: what every panel of the window is. It shows a Document and a Snapshot, and says what the person did."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from engine.documents.document import Document
from engine.runtime.protocol import Snapshot
from xo_gui.app.theme import Theme
from xo_gui.state.commands import Intent
from xo_gui.state.selection import Cell, Focus


class View(QWidget):
    """A panel. It never talks to another panel or to the engine; the main window wires it to the session.

    previewed(document): a change under way, such as a stroke. edited(document, text, merge): a change made, its
    name in the Edit menu, and the word under which successive changes become one undo ("" for none).
    hovered(cell or None): the value under the mouse. pinned(cell or None): the value a click holds, or lets go of.
    slid(cell): the window went on to this value of its map. asked(question or None): what the engine should
    explain. wished(wish): something asked of training, a command. said(text): a sentence for the status bar.
    watched(report, seen): a costly report, named as the Request's field, is worth computing, or is not any more.
    viewed(shown): which maps of which layers are in view, (Network, Wanted) for each subject.
    calm: whether it shows how training stands and not the drawing, so that a few times a second are enough while
    training runs.
    """

    title = ""
    calm = False

    previewed = Signal(object)
    edited = Signal(object, str, str)
    hovered = Signal(object)
    pinned = Signal(object)
    slid = Signal(object)
    asked = Signal(object)
    wished = Signal(object)
    said = Signal(str)
    watched = Signal(str, bool)
    viewed = Signal(object)

    def show_document(self, document: Document) -> None:
        """The Document is now this, a stroke under way included."""

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """The engine computed this; it may belong to a slightly earlier drawing, never to other weights."""

    def show_focus(self, focus: Focus) -> None:
        """This is now looked at."""

    def show_intent(self, intent: Intent) -> None:
        """This is what training is told to do."""

    def set_seen(self, seen: bool) -> None:
        """Whether it can be seen from now on: its panel is open, and no tab lies over it."""

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""


__all__ = ["Cell", "View"]
