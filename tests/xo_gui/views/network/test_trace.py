"""The receptive trace of a cell: the windows that the engine reads in every column, and lines beside values."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.documents import WALKTHROUGH
from engine.nn import Model, Network, Prediction, Predictor
from engine.nn.layers import AvgPool2D, BatchNorm2D, Conv2D, Dense, GlobalAvgPool, ReLU, Residual
from tests.engine.explain.test_value_arithmetic import read as some_reading
from tests.engine.explain.test_value_arithmetic import some, some_places
from tests.two_stages import TWO_STAGES
from xo_gui.app import DARK
from xo_gui.state import CellRef
from xo_gui.views.network import Box, ColumnLayout, StripLayout, StripModel, cell_summary
from xo_gui.views.network.fit import fit_columns
from xo_gui.views.network.trace import ReceptiveTrace, receptive_trace

ARTICLE = fit_columns(WALKTHROUGH.network, Box(16, 80, 968, 540))
DEEP = fit_columns(TWO_STAGES, Box(16, 80, 968, 540))


def column(strip: StripLayout, layer: int) -> ColumnLayout:
    found = strip.column_of(layer)
    assert found is not None
    return found


def test_the_trace_holds_the_windows_the_engine_reads() -> None:
    strip = ARTICLE
    trace = receptive_trace(WALKTHROUGH.network, strip, CellRef(3, 1, 1, 1))
    assert trace is not None
    inputs, relu, features = column(strip, 0), column(strip, 2), column(strip, 1)
    window = relu.tile(1).sub_box((7, 7), range(2, 4), range(2, 4))
    assert trace.tile == column(strip, 3).tile(1)
    assert window in trace.windows
    assert features.tile(1).sub_box((7, 7), range(2, 4), range(2, 4)) in trace.windows
    assert inputs.tile(0).sub_box((9, 9), range(2, 6), range(2, 6)) in trace.windows
    assert column(strip, 4).tile(1).sub_box((2, 2), range(1), range(1)) in trace.rings
    for x0, _, x1, _ in trace.lines:
        between = [one for one in strip.columns if one.x < x1 - 4 and one.right > x0 + 4]
        assert between == [], "a line lies over a column"


def test_a_deeper_feature_reads_all_maps_below() -> None:
    strip = DEEP
    trace = receptive_trace(TWO_STAGES, strip, CellRef(4, 9, 0, 5))
    assert trace is not None
    below = column(strip, 3)
    windows = {below.tile(channel).sub_box((16, 16), range(2), range(4, 7)) for channel in range(8)}
    assert windows <= set(trace.windows)
    assert column(strip, 0).tile(0).sub_box((32, 32), range(6), range(6, 16)) in trace.windows
    assert len(trace.fan) == 8


def test_a_flattened_value_is_traced_to_its_map_and_a_vote_to_its_values() -> None:
    strip = ARTICLE
    listed = receptive_trace(WALKTHROUGH.network, strip, CellRef(5, 6))
    assert listed is not None
    assert column(strip, 4).tile(1).sub_box((2, 2), range(1, 2), range(1)) in listed.rings
    vote = receptive_trace(WALKTHROUGH.network, strip, CellRef(6, 1))
    assert vote is not None
    assert {column(strip, 5).swatch(at) for at in (1, 2, 8, 11)} <= set(vote.rings)
    assert column(strip, 5).swatch(0) not in vote.rings


MIXED = Network(
    (1, 8, 8),
    (
        Conv2D(4, 3, padding=1),
        BatchNorm2D(),
        Residual((Conv2D(4, 1), ReLU())),
        AvgPool2D(),
        GlobalAvgPool(),
        Dense(2),
    ),
    classes=("X", "O"),
)
APART = {2: False}  # batch norm in a column of its own


def test_batch_norm_reads_its_own_map_and_a_residual_block_reads_all() -> None:
    strip = fit_columns(MIXED, Box(16, 80, 1600, 540), fold_choices=APART)
    norm = receptive_trace(MIXED, strip, CellRef(2, 3, 2, 2))
    assert norm is not None
    own = column(strip, 1).tile(3).sub_box((8, 8), range(2, 3), range(2, 3))
    others = {column(strip, 1).tile(at).sub_box((8, 8), range(2, 3), range(2, 3)) for at in range(3)}
    assert own in norm.rings
    assert not others & set(norm.rings)
    stack = receptive_trace(MIXED, strip, CellRef(3, 3, 2, 2))
    assert stack is not None
    assert {column(strip, 2).tile(at).sub_box((8, 8), range(2, 3), range(2, 3)) for at in range(4)} <= set(
        stack.rings
    )


def test_lines_of_a_residual_block_have_no_contributions() -> None:
    strip = fit_columns(MIXED, Box(16, 80, 1600, 540), fold_choices=APART)
    picture = np.random.default_rng(0).uniform(-1, 1, (1, 8, 8)).astype(np.float32)
    trace = receptive_trace(
        MIXED, strip, CellRef(3, 3, 2, 2), some_reading(MIXED, MIXED.initial_parameters(1), picture)
    )
    assert trace is not None
    end = column(strip, 3).x - 3
    assert len([line for line in trace.lines if line[2] == end]) == 4
    assert not [line for line in trace.fan if line[2] == end]


def test_global_pooling_reads_the_whole_map() -> None:
    strip = fit_columns(MIXED, Box(16, 80, 1600, 540), fold_choices=APART)
    mean = receptive_trace(MIXED, strip, CellRef(5, 2))
    assert mean is not None
    assert column(strip, 4).tile(2).sub_box((4, 4), range(4), range(4)) in mean.windows
    assert not any(
        column(strip, 4).tile(at).sub_box((4, 4), range(4), range(4)) in mean.windows for at in (0, 1, 3)
    )
    cell = receptive_trace(MIXED, strip, CellRef(4, 2, 1, 1))
    assert cell is not None
    assert column(strip, 5).outline(2) in cell.rings
    assert len(cell.lines) == 2


# --- with a prediction: contributions


def traced(cell: CellRef, seed: int = 1) -> tuple[ReceptiveTrace, Prediction, StripLayout]:
    model = Model("two stages", TWO_STAGES, TWO_STAGES.initial_parameters(seed))
    picture = np.random.default_rng(seed).uniform(-1, 1, (32, 32)).astype(np.float32)
    prediction = Predictor(model, choose_backend("cpu")).predict(picture)
    trace = receptive_trace(TWO_STAGES, DEEP, cell, prediction)
    assert trace is not None
    return trace, prediction, DEEP


@pytest.mark.parametrize("place", range(4))
def test_the_maximum_of_a_pool_is_ringed_at_any_place_of_the_window(place: int) -> None:
    _, prediction, _ = traced(CellRef(1, 0))
    windows = prediction.activations[2].reshape(8, 16, 2, 16, 2).transpose(0, 1, 3, 2, 4).reshape(8, 16, 16, 4)
    alone = (windows == windows.max(axis=3, keepdims=True)).sum(axis=3) == 1
    channel, row, col = (int(part) for part in np.argwhere(alone & (windows.argmax(axis=3) == place))[0])
    trace, _, strip = traced(CellRef(3, channel, row, col))
    down, right = 2 * row + place // 2, 2 * col + place % 2
    won = column(strip, 2).outline(channel, range(down, down + 1), range(right, right + 1))
    assert won in trace.rings


def test_lines_have_the_contribution_of_each_map() -> None:
    trace, prediction, strip = traced(CellRef(4, 9, 6, 5))
    weights = prediction.model.parameters["conv2d-2.weight"][9]
    brought = (weights * prediction.activations[3][:, 5:8, 4:7]).sum(axis=(1, 2))
    shares = brought / np.abs(brought).max()
    windows = [column(strip, 3).tile(at).sub_box((16, 16), range(5, 8), range(4, 7)) for at in range(8)]
    starts = {round(window.centre[1], 3): at for at, window in enumerate(windows)}
    pairs = [pair for pair in zip(trace.fan, trace.strengths, strict=True) if pair[0][2] == column(strip, 4).x - 3]
    shown = {starts[round(line[1], 3)]: share for line, share in pairs}
    assert shown == {at: pytest.approx(float(shares[at]), rel=1e-4) for at in range(8)}


def test_a_vote_is_followed_through_the_strongest_values_to_the_drawing() -> None:
    trace, prediction, strip = traced(CellRef(10, 0))
    hidden = int(np.abs(prediction.model.parameters["dense-2.weight"][0] * prediction.activations[9]).argmax())
    assert column(strip, 9).outline(hidden) in trace.rings
    below = np.abs(prediction.model.parameters["dense-1.weight"][hidden] * prediction.activations[7])
    channel, row, col = (int(part) for part in np.unravel_index(below.argmax(), (16, 8, 8)))
    assert column(strip, 6).outline(channel, range(row, row + 1), range(col, col + 1)) in trace.rings
    assert any(column(strip, 0).tile(0).contains(*window.centre) for window in trace.windows)


@pytest.mark.parametrize("seed", range(40))
def test_every_value_of_any_network_can_be_traced_with_values_and_without(seed: int) -> None:
    """Odd strides, padding wider than windows, and residual blocks in any order."""
    prediction, rng = some_reading(*some(seed)), np.random.default_rng(seed)
    network = prediction.model.network
    strip = fit_columns(network, Box(16, 80, 2600, 540))
    for layer, shape in enumerate(network.shapes):
        for place in some_places(shape, rng, 1):
            for values in (prediction, None):
                trace = receptive_trace(network, strip, CellRef(layer, *place), values)
                assert trace is None or all(0 < abs(share) <= 1 for share in trace.strengths)


def test_gaps_between_strides_are_neither_outlined_nor_listed() -> None:
    """Each value of the second features reads three windows of two rows, three apart: rows 1-2, 4-5 and 7-8."""
    network = Network(
        (1, 12, 12), (Conv2D(2, 2, stride=3), Conv2D(2, 3), GlobalAvgPool(), Dense(2)), classes=("X", "O")
    )
    strip = fit_columns(network, Box(16, 80, 968, 540))
    trace = receptive_trace(network, strip, CellRef(2, 1, 0, 1))
    assert trace is not None
    tile = column(strip, 0).tile(0)
    outlined = {box for box in trace.windows if tile.contains(*box.centre)}
    runs = [range(0, 2), range(3, 5), range(6, 8)]
    across = [range(run.start + 3, run.stop + 3) for run in runs]
    assert outlined == {tile.sub_box((12, 12), rows, columns) for rows in runs for columns in across}
    prediction = some_reading(network, network.initial_parameters(0), np.zeros((1, 12, 12), np.float32))
    said = cell_summary(prediction, CellRef(2, 1, 0, 1)).detail
    assert said == "receptive field: rows 1–2, 4–5, 7–8, columns 4–5, 7–8, 10–11"


def test_a_column_with_only_its_gap_visible_paints_nothing() -> None:
    """At this scroll position the end of a wide header is visible, but none of the maps."""
    _, prediction, _ = traced(CellRef(1, 0))
    shown = StripModel(prediction)
    shown.layout = DEEP
    maps = column(DEEP, 1)
    past = maps.x + maps.across * maps.step_x + 1
    shown.visible_span = past, past + 900
    assert shown.atlas(maps, DARK) is None
    shown.visible_span = maps.x, maps.right
    assert shown.atlas(maps, DARK) is not None
