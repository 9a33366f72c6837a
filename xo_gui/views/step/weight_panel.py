"""Worked panel: which weight is looked at, and its numbers in the step. It computes nothing."""

from __future__ import annotations

from html import escape

import numpy as np
from PySide6.QtCore import QCoreApplication, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
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

from engine.explain.step_trace import Nudged, Place, Worked
from engine.explain.step_tracer import learnt_shapes
from engine.nn.layers import Products
from engine.nn.network import Network
from engine.training.optimizers import Line
from xo_gui.app.theme import DARK, SMALL_PX, Theme, colours, font, to_qimage
from xo_gui.views.network.colour_limits import calm
from xo_gui.views.network.layer_labels import layer_names
from xo_gui.widgets import number_text

_P = "<p style='margin-top:0; margin-bottom:5px'>"
_QUIET = "<p style='margin-top:0; margin-bottom:5px; color:{0}'>"


def arithmetic(worked: Worked, theme: Theme) -> str:
    """From the gradient to the new value, line by line."""
    if worked.frozen:
        words = _tr("Its layer is frozen, so it stays {0}.").format(number_text.figures(worked.before))
        return f"{_P}{words}</p>"
    change = f"{escape(_tr('change'))} <b>{number_text.figures(worked.after - worked.before)}</b>"
    said = [f"{_P}{escape(_tr('value now'))} <b>{number_text.figures(worked.before)}</b>, {change}</p>"]
    said += [_line(line, theme) for line in worked.lines]
    if worked.sums is None:
        words = _tr("gradient, of the whole batch: {0}").format(number_text.figures(worked.gradient))
        said.insert(1, f"{_QUIET.format(theme.quiet)}{words}</p>")
    return "".join(said)


def part(worked: Worked) -> str:
    """The followed drawing's part of the gradient."""
    products, sums = worked.products, worked.sums
    if products is None or sums is None:
        return _tr("Its gradient is no plain sum over places.") if not worked.frozen else ""
    count, mine = products.inputs.size, float(products.sums()[0])
    divided = _tr(", divided by {0}").format(products.divisor) if products.divisor != 1 else ""
    if count == 1:
        numbers = (float(products.inputs.item()), float(products.gradients.item()))
        said = " × ".join(_figure(number, at) for at, number in enumerate(numbers))
        return _tr("This drawing's part: input × gradient{0}: {1} = {2}").format(
            divided, said, number_text.figures(mine)
        )
    return _tr("This drawing's part: input × gradient at {0} places, added up{1}: {2}").format(
        count, divided, number_text.figures(mine)
    )


def nudges(nudged: Nudged | None, theme: Theme) -> str:
    """The article's way, beside backpropagation's."""
    if nudged is None:
        return ""
    nudge = nudged.nudge
    size = number_text.figures(nudge.size)
    rows = (
        ("up", _tr("{0} higher").format(size), nudge.error_up),
        ("same", _tr("as it is"), nudge.error),
        ("down", _tr("{0} lower").format(size), nudge.error_down),
    )
    said = "<table cellspacing='0' cellpadding='1' width='100%'>"
    for kept, name, error in rows:
        best = kept == nudge.kept
        mark = f"✓ {_tr('kept')}" if best else ""
        colour = theme.text if best else theme.quiet
        cells = (name, f"{_tr('error')} {error:.6f}", mark)
        said += "<tr>" + "".join(f"<td style='color:{colour}'>{escape(cell)}</td>" for cell in cells) + "</tr>"
    below = _P.replace("margin-top:0", "margin-top:6px")
    return f"{said}</table>{below}{escape(_verdict(nudged))}</p>{_small(_beside(nudged), theme)}"


def _verdict(nudged: Nudged) -> str:
    way = _tr("lower it") if nudged.slope > 0 else _tr("raise it") if nudged.slope < 0 else _tr("leave it")
    says = _tr("Backpropagation: slope {0}, so {1}.").format(number_text.figures(nudged.slope), way)
    if nudged.agrees is None:
        kept = _tr("Neither nudge makes the error less: the bottom lies nearer than a nudge.")
        return f"{says} {kept if nudged.nudge.kept == 'same' else _tr('The nudge moves it all the same.')}"
    agrees = _tr("Both agree.") if nudged.agrees else _tr("They disagree: so long a nudge steps over the valley.")
    return f"{says} {agrees}"


def _beside(nudged: Nudged) -> list[str]:
    """What is to be said of the two numbers."""
    said = [
        _tr("Slope by trying, {0} to each side: {1}").format(
            number_text.figures(nudged.step), number_text.figures(nudged.central)
        )
    ]
    if nudged.kink is not None:
        said.append(nudged.kink)
    if nudged.at_rest:
        said.append(_tr("Both read the network with dropout and batch norm at rest, unlike the step."))
    return said


def _small(lines: list[str], theme: Theme) -> str:
    return "".join(f"{_QUIET.format(theme.quiet)}{escape(line)}</p>" for line in lines)


def _line(line: Line, theme: Theme) -> str:
    numbers = [_figure(number, at) for at, number in enumerate(line.numbers)]
    plugged = line.pattern.format(*numbers)
    words = f"{escape(line.words)}<br>= {escape(plugged)}"
    head = f"{escape(_tr(line.name))} <b>{number_text.figures(line.value)}</b>"
    return f"{_P}{head}<br><span style='color:{theme.quiet}'>{words}</span></p>"


def _figure(number: float, at: int) -> str:
    """A number within a formula: in brackets if it is negative and does not come first."""
    said = number_text.figures(number)
    return f"({said})" if at and said.startswith(number_text.MINUS) else said


def _tr(text: str) -> str:
    return QCoreApplication.translate("StepView", text)


_SIDE, _BETWEEN, _WORDS = 68.0, 20.0, 28.0


class ProductMaps(QWidget):
    """Input × gradient = product, at every place where the weight was laid."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._products: Products | None = None
        self.setAccessibleName(self.tr("Input times gradient, place by place"))

    def sizeHint(self) -> QSize:
        """Three maps in a row."""
        return QSize(int(3 * _SIDE + 2 * _BETWEEN) + 2, int(_SIDE + _WORDS))

    def minimumSizeHint(self) -> QSize:
        """All of it."""
        return self.sizeHint()

    def show_products(self, products: Products | None) -> None:
        """Of one example, (1, H, W); anything else has no maps."""
        self._products = products if products is not None and products.inputs.ndim == 3 else None
        self.update()

    @property
    def has_maps(self) -> bool:
        """Whether there is anything to show."""
        return self._products is not None

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The maps, with their levels beneath."""
        if self._products is None:
            return
        painter, theme = QPainter(self), self._theme
        painter.setFont(font(SMALL_PX))
        inputs, gradients = self._products.inputs[0], self._products.gradients[0]
        names = (self.tr("input"), self.tr("gradient"), self.tr("product"))
        maps = (inputs, gradients, inputs * gradients)
        for at, (name, values) in enumerate(zip(names, maps, strict=True)):
            level = calm(float(np.abs(np.nan_to_num(values)).max(initial=0.0)))
            high, wide = values.shape
            scale = _SIDE / max(high, wide)
            box = QRectF(at * (_SIDE + _BETWEEN) + 1, 1, wide * scale, high * scale)
            painter.drawImage(box, to_qimage(colours(values, -level, level, theme.value_table)))
            painter.setPen(QColor(theme.line))
            painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
            painter.setPen(QColor(theme.quiet))
            words = f"{name}\n±{number_text.level(level)}"
            painter.drawText(QRectF(box.x(), _SIDE + 2, _SIDE + 8, _WORDS), Qt.AlignmentFlag.AlignLeft, words)
            if at < 2:
                sign = QRectF(box.x() + _SIDE, 0, _BETWEEN, _SIDE)
                painter.drawText(sign, Qt.AlignmentFlag.AlignCenter, "×="[at])


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
        self.numbers.setText("" if worked is None else arithmetic(worked, self._theme))
        self.part.setText("" if worked is None else part(worked))
        self.maps.show_products(None if worked is None else worked.products)
        said = "" if worked is None else nudges(worked.nudged, self._theme)
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
