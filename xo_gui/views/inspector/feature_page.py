"""Feature page: the inspector page that shows and edits the kernel or weights behind a value."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from engine.backends import HostArray
from engine.explain import Explanation, ExplanationQuery, value_formula
from engine.form_fields import FormField
from engine.nn import (
    Model,
    Prediction,
    ablated,
    bias_of,
    is_ablated,
    kernel_slices,
    normalized_kernel,
    restored,
    weight_layer_of,
    with_bias,
    with_kernel_slices,
)
from engine.nn.layers import WeightedSum
from xo_gui.app import SMALL_PX, font
from xo_gui.state import CellRef
from xo_gui.views.inspector.sheet import SCROLL_BAR_WIDTH, Sheet
from xo_gui.views.inspector.sheet_blocks import (
    Heading,
    Paragraph,
    RankedList,
    RankedRow,
    SheetBlock,
    TextLine,
    TextLines,
)
from xo_gui.views.inspector.weight_editor import WeightEditor, weight_limit
from xo_gui.views.network import layer_names
from xo_gui.widgets import CompactButton, NumberEdit, WrappingRow, percent_loss_text, scroll_area, signed_text

_LARGEST: Final = float(np.finfo(np.float32).max)
_STEP: Final = 0.05  # of an arrow key, for weights from 0.1 up
_DIGITS: Final = 4  # that a box has room for


class FeaturePage(QWidget):
    """Weight editor, its number fields, and the ablation of every feature of the layer.

    What is typed or painted is of one feature of one model, and ends with it.

    Signals: edited(model, text, merge), where `text` names the change and changes with the same `merge` word are
    one undo; feature_clicked(Cell) for the list; message(text), as of View.
    """

    edited = Signal(object, str, str)
    feature_clicked = Signal(object)
    message = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._prediction: Prediction | None = None
        self._model: Model | None = None
        self._cell: CellRef | None = None
        self._layer: int | None = None
        self._strokes = 0
        self._shown_weight: tuple[int, int, int] | None = None  # slice, row and column of the box
        self._build()

    def _build(self) -> None:
        self.message_label = QLabel(self)
        self.message_label.setFont(font(SMALL_PX))
        self.message_label.setWordWrap(True)
        self.message_label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._title = ""
        self.editor = WeightEditor(self)
        self.editor.stroke_started.connect(self._start_stroke)
        self.editor.weight_painted.connect(self._paint)
        self.editor.cell_selected.connect(self._show_selected_weight)
        tip = self.tr("The map of the layer below that the weights shown apply to")
        setting = FormField(self.tr("Map below"), tip, 1)
        self.slice_box = NumberEdit(setting, True, self, prefix=self.tr("on map "))
        self.slice_box.setAlignment(Qt.AlignmentFlag.AlignLeft)
        self.slice_box.chosen.connect(self._choose_slice)
        self.slice_box.rejected.connect(self.message)
        self.brush_box = self._number(self.tr("paint"), self.tr("The value that painting sets a weight to"))
        self.brush_box.chosen.connect(self.brush_box.show_number)
        self.weight_box = self._number(self.tr("this weight"), self.tr("The weight of the selected cell"))
        self.bias_box = self._number(self.tr("bias"), self.tr("What is added to every match of this feature"))
        self.weight_box.chosen.connect(self._type_weight)
        self.bias_box.chosen.connect(self._type_bias)
        tip = self.tr("Scale the weights so that the feature, matched with itself, gives 1")
        self.normalize_button = self._button(self.tr("Normalize"), tip, self._normalize)
        tip = self.tr("Use the values in this value's window as the feature, as the article does")
        self.copy_button = self._button(self.tr("Copy"), tip, self._copy)
        self.ablate_button = self._button(self.tr("Switch off"), "", self._toggle_ablation)
        inside = QWidget(self)
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 6, SCROLL_BAR_WIDTH - 10, 0)
        column.setSpacing(4)
        for widget in (self.message_label, self.slice_box, self.editor):
            column.addWidget(widget)
        self._numbers = QWidget(self)
        numbers = QGridLayout(self._numbers)
        numbers.setContentsMargins(0, 0, 0, 0)
        numbers.setSpacing(4)
        numbers.setVerticalSpacing(2)
        self._buttons = (self.normalize_button, self.copy_button, self.ablate_button)
        self._button_row = WrappingRow(self._buttons, self)
        names = (self.tr("paint"), self.tr("this weight"), self.tr("bias"))
        for at, (name, box) in enumerate(zip(names, (self.brush_box, self.weight_box, self.bias_box), strict=True)):
            label = QLabel(name, self)
            label.setFont(font(SMALL_PX))
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            numbers.addWidget(label, 0, at)
            numbers.addWidget(box, 1, at)
        column.addWidget(self._numbers)
        column.addWidget(self._button_row)
        self.sheet = Sheet(self)
        self.sheet.cell_clicked.connect(self.feature_clicked)
        column.addWidget(self.sheet)
        column.addStretch(1)
        self.scroll_area = scroll_area(inside, self)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.scroll_area)

    def _number(self, name: str, tip: str) -> NumberEdit:
        box = NumberEdit(FormField(name, tip, _STEP), False, self, limits=(-_LARGEST, _LARGEST), digits=_DIGITS)
        box.setMinimumWidth(60)
        box.setStyleSheet("padding: 3px 3px")
        box.rejected.connect(self.message)
        return box

    def _button(self, name: str, tip: str, slot: Any) -> CompactButton:
        return CompactButton(name, tip, slot, self, (5, 7))

    # --- what is shown

    def set_feature(self, prediction: Prediction | None, model: Model | None, cell: CellRef | None) -> None:
        """Show the weights behind `cell`; None of all three shows what to do.

        model: the model to edit, whose parameters may be newer than the prediction's.
        """
        same = self._is_same_feature(model, cell)
        if not same:
            self._end_input()
        self._prediction, self._model, self._cell = prediction, model, cell
        self._layer = None
        if model is not None and cell is not None:
            self._layer = weight_layer_of(model.network, cell.layer)
        available = self._layer is not None
        for widget in (self.editor, self.weight_box, self.brush_box, self.bias_box, *self._buttons):
            widget.setEnabled(available)
        self.editor.setVisible(available)
        self._numbers.setVisible(available)
        self._button_row.setVisible(available)
        self.message_label.setVisible(not available)
        if self._layer is None or model is None or cell is None:
            self.message_label.setText(self._empty_text(cell))
            self.slice_box.hide()
            return
        names = layer_names(model.network)
        is_list = len(model.network.shapes[self._layer]) == 1
        title = self.tr("{0} · weights of value {1}") if is_list else self.tr("{0} · feature {1} (kernel)")
        self._title = title.format(names[self._layer], cell.channel + 1)
        weights = self._weights()
        self.slice_box.limits = 1, len(weights)
        self.slice_box.setVisible(len(weights) > 1)
        if not same:
            strongest = int(np.abs(weights).reshape(len(weights), -1).sum(axis=1).argmax())
            self.slice_box.show_number(strongest + 1)
            self.brush_box.show_number(weight_limit(weights))
        self._show_weights()

    @staticmethod
    def query(prediction: Prediction, pinned: CellRef) -> ExplanationQuery | None:
        """The ablation query for the pinned cell's layer; None if it has no weights."""
        layer = weight_layer_of(prediction.model.network, pinned.layer)
        return None if layer is None else ExplanationQuery("ablation", pinned.model_index, layer)

    def set_ablation(self, result: Explanation | None) -> None:
        """List the features of the layer by the error that ablating each adds, the largest first."""
        cell, layer = self._cell, self._layer
        if cell is None or layer is None or self._model is None:
            self.sheet.set_blocks([], False)
            return
        blocks: list[SheetBlock] = []
        if result is None or result.message:
            blocks.append(Heading(self.tr("ablation: the cost of switching each one off")))
            blocks.append(Paragraph(result.message if result else self.tr("Starts when you stop drawing.")))
        else:
            title = self.tr("each switched off, on {0} held-out drawings:")
            if not result.held_out:
                title = self.tr("each switched off, on {0} generated drawings:")
            blocks.append(Heading(title.format(result.example_count)))
            blocks.append(Paragraph(self.tr("Violet, to the left: switching it off does harm. Green: it helps.")))
            if result.progress < 1:
                blocks.append(TextLines((TextLine(self.tr("done"), f"{100 * result.progress:.0f} %"),)))
        losses = sorted(result.ablations, key=lambda loss: -loss.error_increase) if result else []
        most = max((abs(loss.error_increase) for loss in losses), default=0.0) or 1.0
        shape = self._model.network.shapes[layer]
        row, column = (shape[1] // 2, shape[2] // 2) if len(shape) == 3 else (0, 0)
        word = self.tr("feature {0}") if len(shape) == 3 else self.tr("value {0}")
        ranks = tuple(
            RankedRow(
                word.format(loss.channel + 1), signed_text(loss.error_increase),
                percent_loss_text(loss.accuracy_drop), -loss.error_increase / most,
                CellRef(layer, loss.channel, row, column, cell.model_index),
                is_selected=loss.channel == cell.channel,
            )
            for loss in losses
        )  # fmt: skip
        heads = "", self.tr("error"), self.tr("accuracy")
        self.sheet.set_blocks([*blocks, RankedList(ranks, heads)] if ranks else blocks, False)

    def _is_same_feature(self, model: Model | None, cell: CellRef | None) -> bool:
        """Whether this is the feature shown, of the same model: edited or trained, it keeps its network."""
        if cell is None or model is None or self._cell is None or self._model is None:
            return False
        places = ((one.model_index, one.layer, one.channel) for one in (cell, self._cell))
        return next(places) == next(places) and model.network is self._model.network

    def _end_input(self) -> None:
        """Drop what is being typed or painted."""
        for box in (self.slice_box, self.brush_box, self.weight_box, self.bias_box):
            box.discard()
        self.editor.end_stroke()
        self._shown_weight = None

    def _empty_text(self, cell: CellRef | None) -> str:
        if cell is None:
            return self.tr("Click a value of a map, a hidden value or a vote to edit the weights behind it.")
        return self.tr("This value has no weights of its own. Click a value of a feature map, or a vote.")

    def _weights(self) -> HostArray:
        assert self._model is not None
        assert self._layer is not None
        assert self._cell is not None
        return kernel_slices(self._model, self._layer, self._cell.channel)

    def _show_weights(self) -> None:
        if self._layer is None or self._model is None or self._cell is None:
            return
        weights = self._weights()
        self._set_step(weight_limit(weights))
        self.editor.set_weights(self._title, weights[self._slice], weight_limit(weights))
        bias = bias_of(self._model, self._layer, self._cell.channel)
        self.bias_box.setEnabled(bias is not None)
        self.bias_box.show_number(bias)
        self._show_ablation(self._model, self._layer, self._cell.channel)
        self.copy_button.setEnabled(self._window() is not None)
        self._show_selected_weight(*self.editor.selected_cell)

    def _show_ablation(self, model: Model, layer: int, channel: int) -> None:
        """Say what the button does: switch the feature off, or on again where its weights are known."""
        is_off = is_ablated(model, layer, channel)
        can_restore = is_off and restored(model, layer, channel) is not None
        self.ablate_button.setText(self.tr("Switch on") if is_off else self.tr("Switch off"))
        self.ablate_button.setEnabled(not is_off or can_restore)
        tip = self.tr("Ablation: set all its weights to 0 and see how the votes change")
        if is_off:
            tip = self.tr("All its weights are 0, and what they were before is not known")
        if can_restore:
            tip = self.tr("Restore the feature's weights")
        self.ablate_button.setToolTip(tip)

    def _set_step(self, level: float) -> None:
        """Small weights take small steps."""
        power = min(0, math.floor(math.log10(level)) + 1)
        for box in (self.brush_box, self.weight_box, self.bias_box):
            box.step = _STEP * 10.0**power

    def _show_selected_weight(self, row: int, column: int) -> None:
        if self._layer is None:
            return
        weights, shown = self._weights()[self._slice], (self._slice, row, column)
        if shown != self._shown_weight:
            self.weight_box.discard()
        if row < weights.shape[0] and column < weights.shape[1]:
            self._shown_weight = shown
            self.weight_box.show_number(float(weights[row, column]))

    @property
    def _slice(self) -> int:
        """The index of the slice shown."""
        return int(self.slice_box.value or 1) - 1

    def _choose_slice(self, number: int) -> None:
        self.slice_box.show_number(number)
        self._show_weights()

    def _merge_key(self, control: str, *place: int) -> str:
        """What changes have to share to become one undo: the control, and the model, feature and weight."""
        assert self._cell is not None
        return " ".join(map(str, (control, self._cell.model_index, self._layer, self._cell.channel, *place)))

    # --- edits

    def _start_stroke(self) -> None:
        self._strokes += 1

    def _paint(self, row: int, column: int, sign: int) -> None:
        if self._layer is None:
            return
        weights = self._weights()
        weights[self._slice, row, column] = sign * (self.brush_box.value or 0.0)
        self._set_weights(weights, self.tr("Paint feature {0}"), self._merge_key("paint", self._strokes))

    def _type_weight(self, value: float) -> None:
        if self._layer is None:
            return
        weights, (row, column) = self._weights(), self.editor.selected_cell
        weights[self._slice, row, column] = value
        merge = self._merge_key("weight", self._slice, row, column)
        self._set_weights(weights, self.tr("Weight of feature {0}"), merge)

    def _type_bias(self, value: float) -> None:
        if self._layer is None or self._model is None or self._cell is None:
            return
        changed = with_bias(self._model, self._layer, self._cell.channel, value)
        self._emit_edited(changed, self.tr("Bias of feature {0}"), self._merge_key("bias"))

    def _normalize(self) -> None:
        if self._layer is not None:
            self._set_weights(
                normalized_kernel(self._weights(), self._is_mean),
                self.tr("Normalize feature {0}"),
                "",
            )

    def _window(self) -> HostArray | None:
        """The values of the layer below that the kernel was applied to; None if they are no window."""
        if self._prediction is None or self._cell is None or self._layer is None:
            return None
        network, cell = self._prediction.model.network, self._cell
        between = network.layers[self._layer : cell.layer]
        if len(network.shapes[self._layer]) != 3 or not all(layer.traits.is_elementwise for layer in between):
            return None
        formula = value_formula(self._prediction, self._layer, (cell.channel, cell.row, cell.column))
        return formula.values.astype(np.float32) if isinstance(formula, WeightedSum) else None

    def _copy(self) -> None:
        window = self._window()
        if window is not None:
            normalized = normalized_kernel(window, self._is_mean)
            self._set_weights(normalized, self.tr("Copy the window as feature {0}"), "")

    def _toggle_ablation(self) -> None:
        """Set the weights and the bias of the feature to 0, or restore them."""
        if self._layer is None or self._model is None or self._cell is None:
            return
        model, layer, channel = self._model, self._layer, self._cell.channel
        if not is_ablated(model, layer, channel):
            self._emit_edited(ablated(model, layer, channel), self.tr("Switch feature {0} off"), "")
        elif (before := restored(model, layer, channel)) is not None:
            self._emit_edited(before, self.tr("Switch feature {0} on"), "")

    @property
    def _is_mean(self) -> bool:
        assert self._model is not None
        assert self._layer is not None
        return bool(getattr(self._model.network.layers[self._layer - 1], "mean", False))

    def _set_weights(self, weights: HostArray, text: str, merge: str) -> None:
        assert self._model is not None
        assert self._layer is not None
        assert self._cell is not None
        self._emit_edited(with_kernel_slices(self._model, self._layer, self._cell.channel, weights), text, merge)

    def _emit_edited(self, model: Model, text: str, merge: str) -> None:
        assert self._cell is not None
        self._model = model
        self._show_weights()
        self.edited.emit(model, text.format(self._cell.channel + 1), merge)
