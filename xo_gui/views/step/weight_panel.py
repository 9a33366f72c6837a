"""Weight panel: chooses one weight, and shows its update in the step and the article's nudging of it."""

from __future__ import annotations

from html import escape

import numpy as np
from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from engine.explain import NudgeResult, ParameterIndex, WeightTrace
from engine.form_fields import FormField
from engine.nn import Network
from engine.nn.layers import GradientTerms
from engine.training import FormulaLine
from xo_gui.app import (
    QT_TR_NOOP,
    SMALL_PX,
    Theme,
    colours,
    current_theme,
    engine_text,
    font,
    marked_text,
    theme_service,
    to_qimage,
    translate,
)
from xo_gui.views.network import layer_names, rounded_limit
from xo_gui.widgets import (
    APPROXIMATELY,
    MINUS,
    NumberEdit,
    fewest_digits,
    four_digit_text,
    limit_text,
    operands,
)

_P = "<p style='margin-top:0; margin-bottom:5px'>"
_QUIET = "<p style='margin-top:0; margin-bottom:5px; color:{0}'>"
_SIDE, _BETWEEN, _CAPTION = 68.0, 20.0, 28.0
_WIDTH = 292
# The names of a parameter's axes, by their number.
_AXES = {
    1: (QT_TR_NOOP("number"),),
    2: (QT_TR_NOOP("to"), QT_TR_NOOP("from")),
    4: (QT_TR_NOOP("feature"), QT_TR_NOOP("map"), QT_TR_NOOP("row"), QT_TR_NOOP("column")),
}


class WeightPanel(QWidget):
    """Signals: weight_chosen(name and index of a weight, or None); message(text), as of View."""

    weight_chosen = Signal(object)
    message = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        theme_service.changed.connect(self._update_texts)
        self._network: Network | None = None
        self._weight_trace: WeightTrace | None = None
        self._weight: ParameterIndex | None = None
        self.parameter_box = QComboBox(self)
        self.parameter_box.setFont(font(SMALL_PX))
        self.parameter_box.setAccessibleName(self.tr("Parameter"))
        self.parameter_box.setToolTip(self.tr("The layer, and its weights or biases"))
        self.parameter_box.activated.connect(self._parameter_chosen)
        self.close_button = QToolButton(self)
        self.close_button.setText("×")
        self.close_button.setAccessibleName(self.tr("Close"))
        self.close_button.setToolTip(self.tr("Close and deselect the weight (Esc)"))
        self.close_button.clicked.connect(self._close)
        self.index_boxes = [self._index_box() for _ in range(4)]
        self.update_label, self.part_label, self.nudge_label = (self._label() for _ in range(3))
        self._add_page_buttons()
        self.term_maps = GradientTermMaps(self)
        self._lay_out()
        self.setFixedWidth(_WIDTH)

    def sizeHint(self) -> QSize:
        return QSize(_WIDTH, 240)

    def set_network(self, network: Network) -> None:
        if network == self._network:
            return
        self._network = network
        names = dict(zip(network.names, layer_names(network), strict=True))
        self.parameter_box.clear()
        for name in network.learnable_shapes:
            layer, _, rest = name.partition(".")
            self.parameter_box.addItem(f"{names[layer]}: {rest}", name)

    def set_weight(self, weight: ParameterIndex | None) -> None:
        """Select a weight; None selects none."""
        self._weight = weight
        if weight is None or self._network is None:
            return
        shape = self._network.learnable_shapes.get(weight[0], ())
        self.parameter_box.setCurrentIndex(self.parameter_box.findData(weight[0]))
        tips = _AXES.get(len(shape), ("",) * len(shape))
        for at, box in enumerate(self.index_boxes):
            box.setVisible(at < len(shape))
            if at < len(shape) and at < len(weight[1]):
                box.limits, box.prefix = (1, shape[at]), marked_text("", tips[at]) + " "
                box.show_number(weight[1][at] + 1)
                box.discard()
                box.setAccessibleName(marked_text("", tips[at]))

    def set_weight_trace(self, trace: WeightTrace | None) -> None:
        """Show the numbers of the selected weight; None while they are unknown."""
        self._weight_trace = trace if trace is not None and trace.parameter == self._weight else None
        self._update_texts()

    def _update_texts(self) -> None:
        trace = self._weight_trace
        theme = current_theme()
        quiet = _QUIET.format(theme.secondary_text)
        waiting = "" if self._weight is None else f"{quiet}{_waiting_text()}</p>"
        self.update_label.setText(waiting if trace is None else update_html(trace, theme))
        self.part_label.setText("" if trace is None else part_text(trace))
        self.term_maps.set_terms(None if trace is None else trace.gradient_terms)
        nudged = None if trace is None else trace.nudge_result
        self.nudge_label.setText(waiting if nudged is None else nudge_html(nudged, theme))
        self._show_page()

    def _parameter_chosen(self, at: int) -> None:
        name = str(self.parameter_box.itemData(at))
        if self._network is not None:
            self.weight_chosen.emit((name, (0,) * len(self._network.learnable_shapes[name])))

    def _index_changed(self) -> None:
        if self._weight is not None:
            count = len(self._weight[1])
            places = tuple(int(box.value or 1) - 1 for box in self.index_boxes[:count])
            self.weight_chosen.emit((self._weight[0], places))

    def _close(self) -> None:
        self.weight_chosen.emit(None)

    def _add_page_buttons(self) -> None:
        """Two buttons: the numbers of the step, or the article's nudging."""
        self.page_buttons = QButtonGroup(self)
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
            self.page_buttons.addButton(button, at)
        self.page_buttons.idClicked.connect(self._show_page)

    def _show_page(self) -> None:
        numbers = self.page_buttons.checkedId() == 0
        self.update_label.setVisible(numbers)
        self.part_label.setVisible(numbers and bool(self.part_label.text()))
        self.term_maps.setVisible(numbers and self.term_maps.has_maps)
        self.nudge_label.setVisible(not numbers)

    def _index_box(self) -> NumberEdit:
        box = NumberEdit(FormField("", self.tr("Index, counted from 1"), 1), True, self)
        box.setFont(font(SMALL_PX))
        box.setAccessibleName(self.tr("Index"))
        box.setAlignment(Qt.AlignmentFlag.AlignLeft)
        box.setMinimumWidth(20)
        box.chosen.connect(box.show_number)
        box.chosen.connect(self._index_changed)
        box.rejected.connect(self.message)
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
        first.addWidget(self.parameter_box, 1)
        first.addWidget(self.close_button)
        for box in self.index_boxes:
            second.addWidget(box, 1)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(4)
        for each in (self.update_label, self.part_label, self.term_maps, self.nudge_label):
            column.addWidget(each)
        column.addStretch(1)
        self.scroll_area = QScrollArea(self)
        self.scroll_area.setWidgetResizable(True)
        self.scroll_area.setFrameShape(QFrame.Shape.NoFrame)
        self.scroll_area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.scroll_area.setWidget(inside)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(8, 0, 0, 0)
        whole.setSpacing(4)
        whole.addLayout(first)
        whole.addLayout(second)
        third = QHBoxLayout()
        third.setSpacing(3)
        for button in self.page_buttons.buttons():
            third.addWidget(button)
        third.addStretch(1)
        whole.addLayout(third)
        whole.addWidget(self.scroll_area, 1)


class GradientTermMaps(QWidget):
    """Three maps, input × gradient = product, at every position of the weight."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._products: GradientTerms | None = None
        self.setAccessibleName(self.tr("Input times gradient, position by position"))

    def sizeHint(self) -> QSize:
        return QSize(int(3 * _SIDE + 2 * _BETWEEN) + 2, int(_SIDE + _CAPTION))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def set_terms(self, products: GradientTerms | None) -> None:
        """Show the terms of one example, (1, H, W); any other shape has no maps."""
        self._products = products if products is not None and products.inputs.ndim == 3 else None
        self.update()

    @property
    def has_maps(self) -> bool:
        return self._products is not None

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._products is None:
            return
        theme = current_theme()
        with QPainter(self) as painter:
            painter.setFont(font(SMALL_PX))
            inputs, gradients = self._products.inputs[0], self._products.gradients[0]
            names = (self.tr("input"), self.tr("gradient"), self.tr("product"))
            maps = (inputs, gradients, inputs * gradients)
            for at, (name, values) in enumerate(zip(names, maps, strict=True)):
                level = rounded_limit(float(np.abs(np.nan_to_num(values)).max(initial=0.0)))
                high, wide = values.shape
                scale = _SIDE / max(high, wide)
                box = QRectF(at * (_SIDE + _BETWEEN) + 1, 1, wide * scale, high * scale)
                painter.drawImage(box, to_qimage(colours(values, -level, level, theme.value_table)))
                painter.setPen(QColor(theme.border))
                painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
                painter.setPen(QColor(theme.secondary_text))
                caption = f"{name}\n±{limit_text(level)}"
                painter.drawText(
                    QRectF(box.x(), _SIDE + 2, _SIDE + 8, _CAPTION), Qt.AlignmentFlag.AlignLeft, caption
                )
                if at < 2:
                    sign = QRectF(box.x() + _SIDE, 0, _BETWEEN, _SIDE)
                    painter.drawText(sign, Qt.AlignmentFlag.AlignCenter, "×="[at])


# --- texts


def update_html(trace: WeightTrace, theme: Theme) -> str:
    """The optimizer's formulas as HTML, with the numbers plugged in, from the gradient to the new value."""
    if trace.frozen:
        text = translate("StepView", "Its layer is frozen, so the weight stays {0}.").format(
            four_digit_text(trace.before)
        )
        return f"{_P}{text}</p>"
    now, change = operands(
        (trace.before, trace.after - trace.before),
        np.sum,
        four_digit_text,
        four_digit_text(trace.after),
        four_digit_text,
    ).texts
    names = escape(translate("StepView", "value now")), escape(translate("StepView", "change"))
    paragraphs = [f"{_P}{names[0]} <b>{now}</b>, {names[1]} <b>{change}</b></p>"]
    if trace.example_gradients is None:
        text = translate("StepView", "gradient of the batch's mean error: {0}").format(
            four_digit_text(trace.gradient)
        )
        paragraphs.append(f"{_QUIET.format(theme.secondary_text)}{text}</p>")
    return "".join([*paragraphs, *(formula_html(line, theme) for line in trace.lines)])


def _waiting_text() -> str:
    return translate("StepView", "Computing the numbers of this weight…")


def part_text(trace: WeightTrace) -> str:
    """The contribution of the followed drawing to the gradient."""
    products, sums = trace.gradient_terms, trace.example_gradients
    if products is None or sums is None:
        return translate("StepView", "Its gradient is not a plain sum over positions.") if not trace.frozen else ""
    count, total = products.inputs.size, four_digit_text(float(products.per_example()[0]))
    divided = (
        translate("StepView", ", divided by {0}").format(products.normalizer) if products.normalizer != 1 else ""
    )
    if count == 1:
        shown = operands(
            (float(products.inputs.item()), float(products.gradients.item())),
            lambda factors: np.prod(factors) / products.normalizer,
            four_digit_text,
            total,
            four_digit_text,
        )
        product = " × ".join(_in_brackets(number, at) for at, number in enumerate(shown.texts))
        sign = "=" if shown.give_result else APPROXIMATELY
        return translate("StepView", "This drawing's part: input × gradient{0}: {1} {2} {3}").format(
            divided, product, sign, total
        )
    text = translate("StepView", "This drawing's part: input × gradient, summed over {0} positions{1}: {2}")
    return text.format(count, divided, total)


def nudge_html(result: NudgeResult, theme: Theme) -> str:
    """The article's nudging as HTML, compared with backpropagation."""
    nudge = result.nudge
    size = four_digit_text(nudge.size)
    rows = (
        ("up", translate("StepView", "{0} higher").format(size), nudge.error_up),
        ("same", translate("StepView", "unchanged"), nudge.error),
        ("down", translate("StepView", "{0} lower").format(size), nudge.error_down),
    )
    table = "<table cellspacing='0' cellpadding='1' width='100%'>"
    # So many decimals that errors that differ are not written the same.
    texts, _ = fewest_digits(
        lambda extra: [f"{error:.{6 + extra}f}" for _, _, error in rows],
        lambda texts: len(set(texts)) == len({error for _, _, error in rows}),
    )
    for (kept, name, _), error in zip(rows, texts, strict=True):
        best = kept == nudge.direction
        kept, wrong = translate("StepView", "kept"), translate("StepView", "error")
        mark = f"✓ {kept}" if best else ""
        colour = theme.text if best else theme.secondary_text
        cells = (name, f"{wrong} {error}", mark)
        table += "<tr>" + "".join(f"<td style='color:{colour}'>{escape(cell)}</td>" for cell in cells) + "</tr>"
    below = _P.replace("margin-top:0", "margin-top:6px")
    notes = "".join(
        f"{_QUIET.format(theme.secondary_text)}{escape(line)}</p>" for line in _numerical_gradient(result)
    )
    return f"{table}</table>{below}{escape(_comparison(result))}</p>{notes}"


def _comparison(result: NudgeResult) -> str:
    direction = translate("StepView", "leave it")
    if result.gradient > 0:
        direction = translate("StepView", "lower the weight")
    elif result.gradient < 0:
        direction = translate("StepView", "raise the weight")
    gradient = four_digit_text(result.gradient)
    text = translate("StepView", "Backpropagation: the gradient is {0}, so {1}.").format(gradient, direction)
    if result.agrees is None and result.nudge.direction == "same":
        predicted_class = translate(
            "StepView", "Neither nudge lowers the error: the minimum is closer than one nudge."
        )
    elif result.agrees is None:
        predicted_class = translate("StepView", "The nudge moves it anyway.")
    elif result.agrees:
        predicted_class = translate("StepView", "Both agree.")
    else:
        predicted_class = translate("StepView", "They disagree: a nudge this large steps over the minimum.")
    return f"{text} {predicted_class}"


def _numerical_gradient(result: NudgeResult) -> list[str]:
    """The central difference, and why it may differ from backpropagation."""
    step, gradient = (
        four_digit_text(result.step),
        four_digit_text(result.central_difference),
    )
    lines = [translate("StepView", "Numerical gradient, {0} to each side: {1}").format(step, gradient)]
    if result.kink is not None:
        lines.append(result.kink)
    if result.differs_in_training:
        lines.append(
            translate("StepView", "Both use the network without dropout and batch statistics, unlike the step.")
        )
    return lines


def formula_html(line: FormulaLine, theme: Theme) -> str:
    value = four_digit_text(line.value)
    shown = operands(line.numbers, lambda numbers: line.compute(*numbers), four_digit_text, value, four_digit_text)
    plugged = line.pattern.format(*(_in_brackets(number, at) for at, number in enumerate(shown.texts)))
    formula = f"{escape(line.text)}<br>{'=' if shown.give_result else APPROXIMATELY} {escape(plugged)}"
    head = f"{escape(engine_text(line.name))} <b>{value}</b>"
    return f"{_P}{head}<br><span style='color:{theme.secondary_text}'>{formula}</span></p>"


def _in_brackets(text: str, at: int) -> str:
    """A number of a formula, in brackets if it is negative and not the first."""
    return f"({text})" if at and text.startswith(MINUS) else text
