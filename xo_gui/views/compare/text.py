"""The sentences of a comparison: how the two networks and their values differ."""

from __future__ import annotations

from engine.explain import ModelDifference
from engine.nn.layers import shape_text
from xo_gui.app import translate
from xo_gui.state import CellRef
from xo_gui.views.network import MODEL_LETTERS, CellSummary, cell_summary, layer_names, weight_summary
from xo_gui.widgets import MINUS, operands, signed_text

DIFFERENCE_LABEL = f"B {MINUS} A"


def difference_text(difference: ModelDifference) -> str:
    """The sentence about the whole difference."""
    if not difference.layers:
        first, second = (
            prediction.model.network.input_shape for prediction in (difference.first, difference.second)
        )
        return translate(
            "CompareView", "The input of A is {0} pixels and that of B {1}, so their values do not correspond."
        ).format(shape_text(first[1:]), shape_text(second[1:]))
    if all(difference.largest(layer) == 0 for layer in difference.layers):
        if difference.layers == {0}:
            return translate("CompareView", "only their inputs can be compared, and these are the same")
        if not difference.is_complete:
            return translate("CompareView", "the same in every value that is shown")
        return translate("CompareView", "the same in every value that both have")
    return translate("CompareView", "green where B is larger, violet where A is")


def mismatch_text(difference: ModelDifference) -> str:
    """Where the layers of the two do not match, and why; "" if all match."""
    first, second = difference.first.model.network, difference.second.model.network
    ends = max(len(first.shapes), len(second.shapes))
    missing = [layer for layer in range(ends) if layer not in difference.layers]
    if not missing or not difference.layers:
        return ""
    at = missing[0]
    parts = []
    for letter, network in zip(MODEL_LETTERS, (first, second), strict=True):
        if at < len(network.shapes):
            name = layer_names(network)[at]
            parts.append(
                translate("CompareView", "{0} has {1}, {2}").format(letter, name, shape_text(network.shapes[at]))
            )
        else:
            parts.append(translate("CompareView", "{0} has no such layer").format(letter))
    text = translate(
        "CompareView",
        "Layers are subtracted if their index, counted from the input, and their shape are equal. At layer {0} "
        "they are not: {1}.",
    )
    return text.format(at, "; ".join(parts))


def difference_summary(difference: ModelDifference, cell: CellRef) -> CellSummary:
    """The summary of a value of both networks and its difference; of one network if the other has no such value."""
    prediction = (difference.first, difference.second)[cell.model_index]
    single = cell_summary(prediction, cell)
    if cell.layer not in difference.layers:
        text = translate("CompareView", "only in {0}; {1}").format(MODEL_LETTERS[cell.model_index], single.detail)
        return CellSummary(f"{MODEL_LETTERS[cell.model_index]} · {single.place}", single.value, text.rstrip("; "))
    maps = range(cell.channel, cell.channel + 1)
    if not difference.has(cell.layer, maps):
        return single  # until the values arrive from the engine
    both = [one.activations.channels(cell.layer, maps)[0] for one in (difference.first, difference.second)]
    first, second = (float(values[cell.row, cell.column] if values.ndim else values) for values in both)
    return _both_values(single, first, second)


def weight_difference_summary(
    difference: ModelDifference, model: int, layer: int, place: tuple[int, ...]
) -> CellSummary:
    """The summary of a weight of both networks and its difference. place: feature, channel, row, column."""
    feature, channel, row, column = place
    predictions = (difference.first, difference.second)
    single = weight_summary(predictions[model], layer, (feature, channel, row, column))
    if difference.weights(layer) is None:
        return CellSummary(f"{MODEL_LETTERS[model]} · {single.place}", single.value, single.detail)
    names_of = [prediction.model.network.names[layer] for prediction in predictions]
    values = [
        float(reading.model.parameters[f"{name}.weight"][feature, channel, row, column])
        for reading, name in zip(predictions, names_of, strict=True)
    ]
    return _both_values(single, *values)


def _both_values(single: CellSummary, first: float, second: float) -> CellSummary:
    if first == second:
        value = translate("CompareView", "A and B {0}").format(signed_text(first))
        return CellSummary(single.place, value, translate("CompareView", "the same in both"))
    difference = _difference_number(second - first)
    shown = operands(
        (first, second), lambda numbers: numbers[1] - numbers[0], _difference_number, difference, signed_text
    )
    value = f"A {shown.texts[0]}   B {shown.texts[1]}   {DIFFERENCE_LABEL} {shown.result(difference)}"
    return CellSummary(single.place, value, single.detail)


def _difference_number(value: float) -> str:
    """Like `signed_text`, but with one significant digit where that would round to 0."""
    return signed_text(value) if abs(value) >= 0.005 or value != value else f"{value:+.0e}".replace("-", MINUS)
