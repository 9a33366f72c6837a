"""Worked panel: which weight is looked at, and its numbers in the step. It computes nothing."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from engine.explain.step_trace import Place, Worked
from engine.explain.step_tracer import learnt_shapes
from engine.nn.network import Network
from xo_gui.app.theme import DARK, SMALL_PX, Theme, font
from xo_gui.views import worked_words
from xo_gui.views.network.layer_labels import layer_names
from xo_gui.views.product_maps import ProductMaps

_WIDE = 292


class WorkedPanel(QWidget):
    """A chooser for any one weight, its arithmetic, and the article's way with it. picked(place or None)."""

    picked = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._network: Network | None = None
        self._worked: Worked | None = None
        self._place: Place | None = None
        self.chooser = QComboBox(self)
        self.chooser.setFont(font(SMALL_PX))
        self.chooser.setAccessibleName(self.tr("Which weights"))
        self.chooser.setToolTip(self.tr("Which layer's weights or biases"))
        self.chooser.activated.connect(self._chosen)
        self.close_button = QToolButton(self)
        self.close_button.setText("×")
        self.close_button.setAccessibleName(self.tr("Close"))
        self.close_button.setToolTip(self.tr("Look at no weight any more (Esc)"))
        self.close_button.clicked.connect(self._close)
        self.boxes = [self._box(at) for at in range(4)]
        self.numbers, self.part, self.nudges = (self._label() for _ in range(3))
        self._make_sides()
        self.maps = ProductMaps(self)
        self._lay_out()
        self.setFixedWidth(_WIDE)

    def sizeHint(self) -> QSize:
        """Narrow and tall."""
        return QSize(_WIDE, 240)

    def show_network(self, network: Network) -> None:
        """Offer its parameters."""
        if network == self._network:
            return
        self._network = network
        names = dict(zip(network.names, layer_names(network), strict=True))
        self.chooser.clear()
        for name in learnt_shapes(network):
            layer, _, rest = name.partition(".")
            self.chooser.addItem(f"{names[layer]}: {rest}", name)

    def show_place(self, place: Place | None) -> None:
        """This weight is looked at."""
        self._place = place
        if place is None or self._network is None:
            return
        shape = learnt_shapes(self._network).get(place[0], ())
        self.chooser.setCurrentIndex(self.chooser.findData(place[0]))
        tips = _AXES.get(len(shape), ("",) * len(shape))
        for at, box in enumerate(self.boxes):
            box.setVisible(at < len(shape))
            if at < len(shape) and at < len(place[1]):
                box.blockSignals(True)
                box.setRange(1, shape[at])
                box.setValue(place[1][at] + 1)
                box.blockSignals(False)
                box.setPrefix(self.tr(tips[at]) + " ")
                box.setToolTip(self.tr("Which one, counted from 1"))
                box.setAccessibleName(self.tr(tips[at]))

    def show_worked(self, worked: Worked | None) -> None:
        """Its numbers, or nothing yet."""
        self._worked = worked if worked is not None and worked.place == self._place else None
        self._say()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.maps.set_theme(theme)
        self._say()

    def _say(self) -> None:
        worked = self._worked
        self.numbers.setText("" if worked is None else worked_words.arithmetic(worked, self._theme))
        self.part.setText("" if worked is None else worked_words.part(worked))
        self.maps.show_products(None if worked is None else worked.products)
        said = "" if worked is None else worked_words.nudges(worked.nudged, self._theme)
        self.nudges.setText(said)
        self._turn()

    def _chosen(self, at: int) -> None:
        name = str(self.chooser.itemData(at))
        if self._network is not None:
            self.picked.emit((name, (0,) * len(learnt_shapes(self._network)[name])))

    def _moved(self) -> None:
        if self._place is not None:
            count = len(self._place[1])
            self.picked.emit((self._place[0], tuple(box.value() - 1 for box in self.boxes[:count])))

    def _close(self) -> None:
        self.picked.emit(None)

    def _make_sides(self) -> None:
        """Two buttons: the step's numbers, or the article's way."""
        self.sides = QButtonGroup(self)
        names = (self.tr("Numbers"), self.tr("Nudge"))
        tips = (
            self.tr("The numbers of this step, plugged into its formula"),
            self.tr("The article's way: a little up, a little down, and what is better is kept"),
        )
        for at, (name, tip) in enumerate(zip(names, tips, strict=True)):
            button = QToolButton(self)
            button.setText(name)
            button.setToolTip(tip)
            button.setCheckable(True)
            button.setChecked(at == 0)
            button.setFont(font(SMALL_PX))
            self.sides.addButton(button, at)
        self.sides.idClicked.connect(self._turn)

    def _turn(self) -> None:
        """Show the side that is chosen."""
        numbers = self.sides.checkedId() == 0
        self.numbers.setVisible(numbers)
        self.part.setVisible(numbers and bool(self.part.text()))
        self.maps.setVisible(numbers and self.maps.has_maps)
        self.nudges.setVisible(not numbers)

    def _box(self, at: int) -> QSpinBox:
        box = QSpinBox(self)
        box.setFont(font(SMALL_PX))
        box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        box.setKeyboardTracking(False)
        box.setMinimumWidth(20)
        box.valueChanged.connect(self._moved)
        return box

    def _label(self) -> QLabel:
        label = QLabel(self)
        label.setFont(font(SMALL_PX))
        label.setWordWrap(True)
        label.setTextFormat(Qt.TextFormat.RichText)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        label.setAlignment(Qt.AlignmentFlag.AlignTop)
        return label

    def _lay_out(self) -> None:
        first, second = QHBoxLayout(), QHBoxLayout()
        first.addWidget(self.chooser, 1)
        first.addWidget(self.close_button)
        for box in self.boxes:
            second.addWidget(box, 1)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(4)
        for each in (self.numbers, self.part, self.maps, self.nudges):
            column.addWidget(each)
        column.addStretch(1)
        self.area = QScrollArea(self)
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(inside)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(8, 0, 0, 0)
        whole.setSpacing(4)
        whole.addLayout(first)
        whole.addLayout(second)
        third = QHBoxLayout()
        third.setSpacing(3)
        for button in self.sides.buttons():
            third.addWidget(button)
        third.addStretch(1)
        whole.addLayout(third)
        whole.addWidget(self.area, 1)


# What the numbers of a place are, by how many there are.
_AXES = {
    1: ("number",),
    2: ("to", "from"),
    4: ("feature", "map", "row", "column"),
}
