"""What the stage shows of a value: the map that is read, the window, the arithmetic in parts, the map it fills."""

from __future__ import annotations

import numpy as np
import pytest

from engine.documents import shipped_model
from engine.nn import Prediction, predict
from engine.nn.layers import OUTSIDE, WeightedSum
from xo_gui.state import CellRef
from xo_gui.views.inspector.sheet_blocks import NumberGrid, SheetBlock, SideBySide, TextLine, TextLines
from xo_gui.views.inspector.stage_scene import stage_scene
from xo_gui.views.inspector.value_text import ValueContext


@pytest.fixture(scope="module", params=["default", "walkthrough"])
def prediction(request: pytest.FixtureRequest) -> Prediction:
    model = shipped_model(request.param)
    picture = np.random.default_rng(3).uniform(-1, 1, (1, *model.network.input_shape)).astype(np.float32)
    return predict(model, picture)[0]


def middle(prediction: Prediction, layer: int) -> CellRef:
    shape = prediction.activations.shapes[layer]
    return CellRef(layer, shape[0] - 1, *(length // 2 for length in shape[1:]))


def lines(blocks: tuple[SheetBlock, ...]) -> list[TextLine]:
    found: list[TextLine] = []
    for block in blocks:
        if isinstance(block, SideBySide) and isinstance(block.right, tuple):
            found += block.right
        elif isinstance(block, TextLines):
            found += block.lines
    return found


def test_every_layer_has_a_scene_in_which_the_value_fills_its_map(prediction: Prediction) -> None:
    for layer in range(1, len(prediction.activations.shapes)):
        context = ValueContext(prediction, middle(prediction, layer))
        scene = stage_scene(context)
        assert scene.fills.values.ravel()[scene.fills.current] == np.float32(context.value)
        assert scene.fills.cell(scene.fills.current) == context.cell
        assert scene.fills.filled is None
        below = prediction.activations.shapes[layer - 1]
        assert scene.reads is not None
        assert scene.reads.values.shape == (below if len(below) == 1 else below[1:])
        assert scene.reads.first.layer == layer - 1
        assert any(line.is_total for line in lines(scene.blocks)), "its arithmetic ends with the value"


def test_the_window_holds_the_values_that_are_multiplied(prediction: Prediction) -> None:
    context = ValueContext(prediction, middle(prediction, 1))
    scene = stage_scene(context)
    assert scene.reads is not None
    assert scene.reads.window is not None
    rows, columns = scene.reads.window
    formula = context.formula
    assert isinstance(formula, WeightedSum)
    read = scene.reads.values[rows.start : rows.stop, columns.start : columns.stop]
    np.testing.assert_array_equal(read, formula.values[0])
    corner = ValueContext(prediction, CellRef(1, 0, 0, 0))
    at_edge = stage_scene(corner).reads
    assert at_edge is not None
    assert at_edge.window is not None
    of_corner = corner.formula
    assert of_corner is not None
    assert len(at_edge.window[0]) * len(at_edge.window[1]) == np.count_nonzero(of_corner.cells != OUTSIDE)


def test_the_arithmetic_is_revealed_part_by_part_and_then_written_into_the_map(prediction: Prediction) -> None:
    cell = middle(prediction, 1)
    context = ValueContext(prediction, cell)
    index = cell.row * prediction.activations.shapes[1][2] + cell.column
    count = stage_scene(context).phases
    assert count >= 3
    scenes = [stage_scene(context, phase, filling=True) for phase in range(count)]
    (first,) = scenes[0].blocks
    assert isinstance(first, SideBySide)
    assert isinstance(first.right, NumberGrid), "at first the window and the feature"
    assert not lines(scenes[0].blocks)
    sizes = [len(scene.blocks) + len(lines(scene.blocks)) for scene in scenes]
    assert sizes == sorted(set(sizes)), "each part adds something"
    assert [scene.fills.filled for scene in scenes] == [index] * (count - 1) + [index + 1]


def test_a_value_of_a_list_is_marked_where_it_is_read(prediction: Prediction) -> None:
    network = prediction.model.network
    flatten = next(at for at, layer in enumerate(network.layers, 1) if layer.traits.reshapes)
    scene = stage_scene(ValueContext(prediction, CellRef(flatten, 5)))
    assert scene.reads is not None
    assert scene.reads.window is not None
    (row,), (column,) = scene.reads.window
    assert scene.reads.values[row, column] == scene.fills.values[5]


def test_a_pixel_is_shown_without_a_layer_below(prediction: Prediction) -> None:
    scene = stage_scene(ValueContext(prediction, CellRef(0, 0, 2, 3)))
    assert scene.reads is None
    assert scene.fills.colour_scale == "picture"
