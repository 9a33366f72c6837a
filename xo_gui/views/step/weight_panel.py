"""Weight panel: chooses one weight, and shows its update in the step and the article's nudging of it."""

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
_SIDE, _BETWEEN, _CAPTION = 68.0, 20.0, 28.0
_WIDTH = 292
# The names of a parameter's axes, by their number.
_AXES = {
    1: ("number",),
    2: ("to", "from"),
    4: ("feature", "map", "row", "column"),
}


class WorkedPanel(QWidget):
    """Signal: weight_chosen(name and index of a weight, or None)."""

    picked = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._network: Network | None = None
        self._weight_trace: Worked | None = None
        self._weight: Place | None = None
        self.chooser = QComboBox(self)
        self.chooser.setFont(font(SMALL_PX))
        self.chooser.setAccessibleName(self.tr("Parameter"))
        self.chooser.setToolTip(self.tr("The layer, and its weights or biases"))
        self.chooser.activated.connect(self._parameter_chosen)
        self.close_button = QToolButton(self)
        self.close_button.setText("×")
        self.close_button.setAccessibleName(self.tr("Close"))
        self.close_button.setToolTip(self.tr("Close and deselect the weight (Esc)"))
        self.close_button.clicked.connect(self._close)
        self.boxes = [self._index_box() for _ in range(4)]
        self.numbers, self.part, self.nudges = (self._label() for _ in range(3))
        self._add_page_buttons()
        self.maps = ProductMaps(self)
        self._lay_out()
        self.setFixedWidth(_WIDTH)

    def sizeHint(self) -> QSize:
        return QSize(_WIDTH, 240)

    def show_network(self, network: Network) -> None:
        if network == self._network:
            return
        self._network = network
        names = dict(zip(network.names, layer_names(network), strict=True))
        self.chooser.clear()
        for name in learnt_shapes(network):
            layer, _, rest = name.partition(".")
            self.chooser.addItem(f"{names[layer]}: {rest}", name)

    def show_place(self, weight: Place | None) -> None:
        """Select a weight; None selects none."""
        self._weight = weight
        if weight is None or self._network is None:
            return
        shape = learnt_shapes(self._network).get(weight[0], ())
        self.chooser.setCurrentIndex(self.chooser.findData(weight[0]))
        tips = _AXES.get(len(shape), ("",) * len(shape))
        for at, box in enumerate(self.boxes):
            box.setVisible(at < len(shape))
            if at < len(shape) and at < len(weight[1]):
                box.blockSignals(True)
                box.setRange(1, shape[at])
                box.setValue(weight[1][at] + 1)
                box.blockSignals(False)
                box.setPrefix(self.tr(tips[at]) + " ")
                box.setToolTip(self.tr("Index, counted from 1"))
                box.setAccessibleName(self.tr(tips[at]))

    def show_worked(self, trace: Worked | None) -> None:
        """Show the numbers of the selected weight; None while they are unknown."""
        self._weight_trace = trace if trace is not None and trace.place == self._weight else None
        self._update_texts()

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.maps.set_theme(theme)
        self._update_texts()

    def _update_texts(self) -> None:
        trace = self._weight_trace
        self.numbers.setText("" if trace is None else arithmetic(trace, self._theme))
        self.part.setText("" if trace is None else part(trace))
        self.maps.show_products(None if trace is None else trace.products)
        self.nudges.setText("" if trace is None else nudges(trace.nudged, self._theme))
        self._show_page()

    def _parameter_chosen(self, at: int) -> None:
        name = str(self.chooser.itemData(at))
        if self._network is not None:
            self.picked.emit((name, (0,) * len(learnt_shapes(self._network)[name])))

    def _index_changed(self) -> None:
        if self._weight is not None:
            count = len(self._weight[1])
            self.picked.emit((self._weight[0], tuple(box.value() - 1 for box in self.boxes[:count])))

    def _close(self) -> None:
        self.picked.emit(None)

    def _add_page_buttons(self) -> None:
        """Two buttons: the numbers of the step, or the article's nudging."""
        self.sides = QButtonGroup(self)
        names = (self.tr("Numbers"), self.tr("Nudge"))
        tips = (
            self.tr("The numbers of this step in the formulas of the optimizer"),
            self.tr("The article's way: try a little up and a little down, and keep what is better"),
        )
        for at, (name, tip) in enumerate(zip(names, tips, strict=True)):
            button = QToolButton(self)
            button.setText(name)
            button.setToolTip(tip)
            button.setCheckable(True)
            button.setChecked(at == 0)
            button.setFont(font(SMALL_PX))
            self.sides.addButton(button, at)
        self.sides.idClicked.connect(self._show_page)

    def _show_page(self) -> None:
        numbers = self.sides.checkedId() == 0
        self.numbers.setVisible(numbers)
        self.part.setVisible(numbers and bool(self.part.text()))
        self.maps.setVisible(numbers and self.maps.has_maps)
        self.nudges.setVisible(not numbers)

    def _index_box(self) -> QSpinBox:
        box = QSpinBox(self)
        box.setFont(font(SMALL_PX))
        box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        box.setKeyboardTracking(False)
        box.setMinimumWidth(20)
        box.valueChanged.connect(self._index_changed)
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


class ProductMaps(QWidget):
    """Three maps, input × gradient = product, at every position of the weight."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._products: Products | None = None
        self.setAccessibleName(self.tr("Input times gradient, position by position"))

    def sizeHint(self) -> QSize:
        return QSize(int(3 * _SIDE + 2 * _BETWEEN) + 2, int(_SIDE + _CAPTION))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def show_products(self, products: Products | None) -> None:
        """Show the terms of one example, (1, H, W); any other shape has no maps."""
        self._products = products if products is not None and products.inputs.ndim == 3 else None
        self.update()

    @property
    def has_maps(self) -> bool:
        return self._products is not None

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
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
            caption = f"{name}\n±{number_text.level(level)}"
            painter.drawText(QRectF(box.x(), _SIDE + 2, _SIDE + 8, _CAPTION), Qt.AlignmentFlag.AlignLeft, caption)
            if at < 2:
                sign = QRectF(box.x() + _SIDE, 0, _BETWEEN, _SIDE)
                painter.drawText(sign, Qt.AlignmentFlag.AlignCenter, "×="[at])


# --- texts


def arithmetic(trace: Worked, theme: Theme) -> str:
    """The optimizer's formulas as HTML, with the numbers plugged in, from the gradient to the new value."""
    if trace.frozen:
        text = _tr("Its layer is frozen, so the weight stays {0}.").format(number_text.figures(trace.before))
        return f"{_P}{text}</p>"
    change = f"{escape(_tr('change'))} <b>{number_text.figures(trace.after - trace.before)}</b>"
    paragraphs = [f"{_P}{escape(_tr('value now'))} <b>{number_text.figures(trace.before)}</b>, {change}</p>"]
    if trace.sums is None:
        text = _tr("gradient of the batch's mean error: {0}").format(number_text.figures(trace.gradient))
        paragraphs.append(f"{_QUIET.format(theme.quiet)}{text}</p>")
    return "".join([*paragraphs, *(_formula_html(line, theme) for line in trace.lines)])


def part(trace: Worked) -> str:
    """The contribution of the followed drawing to the gradient."""
    products, sums = trace.products, trace.sums
    if products is None or sums is None:
        return _tr("Its gradient is not a plain sum over positions.") if not trace.frozen else ""
    count, total = products.inputs.size, number_text.figures(float(products.sums()[0]))
    divided = _tr(", divided by {0}").format(products.divisor) if products.divisor != 1 else ""
    if count == 1:
        factors = (float(products.inputs.item()), float(products.gradients.item()))
        product = " × ".join(_in_brackets(number, at) for at, number in enumerate(factors))
        return _tr("This drawing's part: input × gradient{0}: {1} = {2}").format(divided, product, total)
    text = _tr("This drawing's part: input × gradient, summed over {0} positions{1}: {2}")
    return text.format(count, divided, total)


def nudges(result: Nudged | None, theme: Theme) -> str:
    """The article's nudging as HTML, compared with backpropagation."""
    if result is None:
        return ""
    nudge = result.nudge
    size = number_text.figures(nudge.size)
    rows = (
        ("up", _tr("{0} higher").format(size), nudge.error_up),
        ("same", _tr("unchanged"), nudge.error),
        ("down", _tr("{0} lower").format(size), nudge.error_down),
    )
    table = "<table cellspacing='0' cellpadding='1' width='100%'>"
    for kept, name, error in rows:
        best = kept == nudge.kept
        mark = f"✓ {_tr('kept')}" if best else ""
        colour = theme.text if best else theme.quiet
        cells = (name, f"{_tr('error')} {error:.6f}", mark)
        table += "<tr>" + "".join(f"<td style='color:{colour}'>{escape(cell)}</td>" for cell in cells) + "</tr>"
    below = _P.replace("margin-top:0", "margin-top:6px")
    notes = "".join(f"{_QUIET.format(theme.quiet)}{escape(line)}</p>" for line in _numerical_gradient(result))
    return f"{table}</table>{below}{escape(_comparison(result))}</p>{notes}"


def _comparison(result: Nudged) -> str:
    direction = _tr("leave it")
    if result.slope > 0:
        direction = _tr("lower the weight")
    elif result.slope < 0:
        direction = _tr("raise the weight")
    gradient = number_text.figures(result.slope)
    text = _tr("Backpropagation: the gradient is {0}, so {1}.").format(gradient, direction)
    if result.agrees is None and result.nudge.kept == "same":
        verdict = _tr("Neither nudge lowers the error: the minimum is closer than one nudge.")
    elif result.agrees is None:
        verdict = _tr("The nudge moves it anyway.")
    elif result.agrees:
        verdict = _tr("Both agree.")
    else:
        verdict = _tr("They disagree: a nudge this large steps over the minimum.")
    return f"{text} {verdict}"


def _numerical_gradient(result: Nudged) -> list[str]:
    """The central difference, and why it may differ from backpropagation."""
    step, gradient = number_text.figures(result.step), number_text.figures(result.central)
    lines = [_tr("Numerical gradient, {0} to each side: {1}").format(step, gradient)]
    if result.kink is not None:
        lines.append(result.kink)
    if result.at_rest:
        lines.append(_tr("Both use the network without dropout and batch statistics, unlike the step."))
    return lines


def _formula_html(line: Line, theme: Theme) -> str:
    plugged = line.pattern.format(*(_in_brackets(number, at) for at, number in enumerate(line.numbers)))
    formula = f"{escape(line.words)}<br>= {escape(plugged)}"
    head = f"{escape(_tr(line.name))} <b>{number_text.figures(line.value)}</b>"
    return f"{_P}{head}<br><span style='color:{theme.quiet}'>{formula}</span></p>"


def _in_brackets(number: float, at: int) -> str:
    """A number of a formula, in brackets if it is negative and not the first."""
    text = number_text.figures(number)
    return f"({text})" if at and text.startswith(number_text.MINUS) else text


def _tr(text: str) -> str:
    return QCoreApplication.translate("StepView", text)
