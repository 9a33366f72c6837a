"""Frozen layers: a box for every layer that could learn, and does not while it is ticked. It freezes none."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from PySide6.QtCore import QSignalBlocker, QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.nn.network import Network
from xo_gui.app.theme import SMALL_PX, font
from xo_gui.views.canvas_buttons import TickBox
from xo_gui.views.network.layer_labels import layer_names

# So many boxes are made at once; of a thousand layers the others follow while somebody looks, a few at a time.
AT_ONCE = 24


class FrozenLayers(QWidget):
    """boxes: by a layer's name (01-conv2d). chosen(names): these are to be frozen."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.boxes: dict[str, TickBox] = {}
        self._coming: deque[tuple[str, str]] = deque()
        self._frozen: frozenset[str] = frozenset()
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(3)
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._make_some)

    def show_network(self, network: Network) -> None:
        """The layers of another network."""
        for box in self.boxes.values():
            box.hide()
            box.deleteLater()
        self.boxes = {}
        called = layer_names(network)
        self._coming = deque(
            (network.names[place], called[place]) for place, cost in enumerate(network.costs, 1) if cost.parameters
        )
        self._make_some()

    def show_frozen(self, names: Collection[str]) -> None:
        """These are frozen."""
        self._frozen = frozenset(names)
        for name, box in self.boxes.items():
            with QSignalBlocker(box):
                box.setChecked(name in self._frozen)

    @property
    def all_frozen(self) -> bool:
        """Whether there are layers, and none of them learns."""
        names = [*self.boxes, *(name for name, _ in self._coming)]
        return bool(names) and self._frozen.issuperset(names)

    def showEvent(self, event: QShowEvent) -> None:
        """Somebody looks: the boxes that are not there yet are made."""
        super().showEvent(event)
        self._soon.start()

    def _make_some(self) -> None:
        for _ in range(min(AT_ONCE, len(self._coming))):
            self._make(*self._coming.popleft())
        if self._coming and self.isVisible():
            self._soon.start()

    def _make(self, name: str, called: str) -> None:
        box = TickBox(called, self)
        tip = self.tr("{0} stays as it is, to the last byte, while the others learn").format(called)
        box.setToolTip(tip)
        box.setStatusTip(tip)
        box.setFont(font(SMALL_PX))
        box.setAccessibleName(self.tr("Freeze {0}").format(called))
        box.setChecked(name in self._frozen)
        box.clicked.connect(self._tell)
        self._rows.addWidget(box)
        self.boxes[name] = box

    def _tell(self) -> None:
        ticked = [name for name, box in self.boxes.items() if box.isChecked()]
        self.chosen.emit((*ticked, *(name for name, _ in self._coming if name in self._frozen)))
