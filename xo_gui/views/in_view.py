"""In view: says which maps of which layers a view shows, whenever that changes. It fetches none."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtWidgets import QWidget

from engine.nn.inference import Wanted
from engine.nn.network import Network
from xo_gui.views.shown_strip import ShownStrip


class InView(QObject):
    """changed(shown): (Network, Wanted) for each subject; nothing is in view of a widget that is hidden."""

    changed = Signal(object)

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._strips: Sequence[ShownStrip] = ()
        self._seen = False
        self._said: tuple[tuple[Network, Wanted], ...] = ()
        widget.installEventFilter(self)

    def tell(self, strips: Sequence[ShownStrip], left: float, right: float) -> None:
        """The strips are seen from x to x now."""
        self._strips = strips
        for shown in strips:
            shown.look((left, right))
        if self._seen:
            self._say()

    def _say(self) -> None:
        said = tuple(
            (shown.reading.subject.network, shown.maps_in_view() if self._seen else {}) for shown in self._strips
        )
        if said != self._said:
            self._said = said
            self.changed.emit(said)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Whether the widget is seen."""
        if event.type() in (QEvent.Type.Show, QEvent.Type.Hide):
            self._seen = event.type() == QEvent.Type.Show
            self._say()
        return super().eventFilter(watched, event)
