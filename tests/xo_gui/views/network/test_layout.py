"""The layout of the network strip: tiles lie inside the area and apart, and a feature keeps its row."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.documents import DEFAULT, WALKTHROUGH
from engine.nn import Network
from engine.nn.layers import (
    AvgPool2D,
    BatchNorm2D,
    Center,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Residual,
    Sigmoid,
    Tanh,
)
from tests.two_stages import TWO_STAGES
from xo_gui.views.network import (
    Box,
    ColumnLayout,
    DisplayColumn,
    FoldState,
    StripLayout,
    display_columns,
    fit,
    layer_names,
)
from xo_gui.views.network.fit import COMFORTABLE_SIDE, fit_columns
from xo_gui.views.network.folding import can_turn, page_start_after
from xo_gui.views.network.layer_labels import foldable_layers

AREA = Box(16, 80, 968, 540)


def headers(stage: DisplayColumn) -> float:
    """Header widths close to those of the font."""
    return max(6.3 * len(line) for line in (*stage.subtitle, stage.title))


def stack(side: int, *maps: int, size: int = 3) -> Network:
    layers: list[Any] = []
    for count in maps:
        layers += [Conv2D(count, size, padding="same"), ReLU(), MaxPool2D()]
    return Network((1, side, side), (*layers, Flatten(), Dense(32), ReLU(), Dense(2)), classes=("X", "O"))


NETWORKS = {
    "walkthrough": WALKTHROUGH.network,
    "default": DEFAULT.network,
    "two stages": TWO_STAGES,
    "many": stack(64, 64, 64, 128),
    "hundreds": stack(32, 512, 512),
    "lenet": stack(28, 6, 16, size=5),
    "no maps": Network((1, 9, 9), (Flatten(), Dense(2)), classes=("X", "O")),
    "three": stack(9, 3),
}


def boxes(column: ColumnLayout) -> list[Box]:
    found = [column.tile(channel) for channel in column.maps]
    if column.kernels is not None:
        found += [
            column.kernel_slice(feature, channel)
            for feature in column.maps
            for channel in range(column.kernels.channels)
        ]
    return found


def overlap(one: Box, other: Box) -> bool:
    across = min(one.right, other.right) - max(one.x, other.x)
    down = min(one.bottom, other.bottom) - max(one.y, other.y)
    return across > 1e-6 and down > 1e-6


def check_inside_and_apart(strip: StripLayout) -> None:
    area = strip.area
    for column in strip.columns:
        placed = boxes(column)
        for box in placed:
            assert box.width > 0
            assert box.height > 0
            assert column.x - 1e-6 <= box.x
            assert box.right <= column.right + 1e-6
            assert area.y - 1e-6 <= box.y
            assert box.bottom <= area.bottom + 1e-6
        near = placed[:400]
        assert not any(overlap(one, other) for one, other in itertools.combinations(near, 2))
    for one, other in itertools.pairwise(strip.columns):
        assert one.right < other.x
    assert strip.width == pytest.approx(strip.columns[-1].right - area.x)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("size", [(968, 540), (1568, 800), (600, 400)])
def test_tiles_lie_inside_and_apart(name: str, ratio: float, size: tuple[int, int]) -> None:
    check_inside_and_apart(fit_columns(NETWORKS[name], Box(16, 80, *size), ratio, headers))


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=3),
    st.sampled_from([9, 16, 28, 33]),
    st.integers(300, 1900),
    st.integers(120, 1000),
)
def test_any_small_network_in_any_area(maps: list[int], side: int, width: int, height: int) -> None:
    check_inside_and_apart(fit_columns(stack(side, *maps), Box(16, 80, width, height), 1.0, headers))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_feature_keeps_its_row_from_its_kernel_to_its_pool(name: str) -> None:
    strip = fit_columns(NETWORKS[name], Box(16, 80, 1568, 800), 1.0, headers)
    groups: dict[int, list[ColumnLayout]] = {}
    for column in strip.columns:
        if column.display.kind == "maps":
            groups.setdefault(column.display.scale_layer, []).append(column)
    for columns in groups.values():
        for channel in columns[0].maps:
            assert len({column.tile(channel).y for column in columns}) == 1
            if columns[0].kernels is not None:
                kernel, tile = columns[0].kernel_slice(channel, 0), columns[0].tile(channel)
                assert tile.y <= kernel.y
                assert kernel.bottom <= tile.bottom


def test_all_maps_of_the_default_network_fit_a_window_of_1280_by_800() -> None:
    strip = fit_columns(DEFAULT.network, Box(16, 80, 1000, 255), 1.0, headers)
    assert strip.width <= strip.area.width
    check_inside_and_apart(strip)
    for column in strip.columns:
        assert len(column.maps) == column.display.count
        if column.display.kind == "maps":
            assert column.tile_width >= 22


def test_a_network_of_two_stages_fits_with_two_pixels_per_cell() -> None:
    strip = fit_columns(TWO_STAGES, AREA, 1.0, headers, {5: True, 9: True})
    assert strip.width <= AREA.width
    assert {column.tile_width for column in strip.columns if column.display.kind == "maps"} == {64.0}
    assert [column.across for column in strip.columns if column.display.kind == "maps"] == [1, 1, 1, 2, 2]


def test_tiles_shrink_slightly_for_whole_cells() -> None:
    strip = fit_columns(TWO_STAGES, Box(16, 80, 968, 580), 1.0, headers, {5: True, 9: True})
    assert strip.columns[1].tile_width == 64, "and not 69"
    article = fit_columns(WALKTHROUGH.network, AREA, 1.0, headers)
    assert article.columns[1].tile_width % 7 == 0


def test_spare_room_enlarges_the_input_and_shows_deeper_kernels() -> None:
    narrow, wide = (fit_columns(TWO_STAGES, Box(16, 80, width, 850), 1.0, headers) for width in (1568, 1868))
    assert wide.columns[0].tile_width == 192
    assert narrow.columns[0].tile_width < 110
    assert [column.kernels is not None for column in wide.columns if column.display.kernel_shape] == [True, True]
    assert [column.kernels is not None for column in narrow.columns if column.display.kernel_shape] == [True, False]


def test_a_wide_window_folds_nothing() -> None:
    wide = fit_columns(TWO_STAGES, Box(16, 80, 1568, 800), 1.0, headers)
    assert all(column.display.folded == () for column in wide.columns)
    assert len(wide.columns) == len(TWO_STAGES.shapes) - 1


def test_a_narrow_window_folds_from_the_last() -> None:
    def folded(width: float) -> list[tuple[int, ...]]:
        columns = fit_columns(TWO_STAGES, Box(16, 80, width, 245), 1.0, headers).columns
        return [column.display.folded for column in columns if column.display.folded]

    assert [folded(width) for width in (1100, 1020, 940, 860)] == [[], [(9,)], [(5,), (9,)], [(2,), (5,), (9,)]]


def test_the_user_decides_what_folds() -> None:
    strip = fit_columns(TWO_STAGES, AREA, 1.0, headers, {5: False, 2: True, 3: True})
    folded = {layer for column in strip.columns for layer in column.display.folded}
    assert 5 not in folded
    assert 2 in folded
    assert 3 not in folded, "a pool cannot be folded"


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("width", [968, 1568, 400])
def test_every_layer_but_flatten_has_a_column(name: str, width: int) -> None:
    network = NETWORKS[name]
    strip = fit_columns(network, Box(16, 80, width, 540), 1.0, headers)
    shown = {layer for layer in range(len(network.shapes)) if strip.column_of(layer)}
    flat = {place for place, layer in enumerate(network.layers, 1) if isinstance(layer, Flatten)}
    assert shown >= set(range(len(network.shapes))) - flat


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
def test_edges_lie_on_device_pixels_and_small_cells_are_equal(ratio: float) -> None:
    strip = fit_columns(TWO_STAGES, AREA, ratio, headers, {5: True, 9: True})
    for column in strip.columns:
        if column.display.kind not in ("maps", "picture"):
            continue
        for channel in range(column.display.count):
            box = column.tile(channel)
            for edge in (box.x, box.y, box.right, box.bottom):
                assert edge * ratio == pytest.approx(round(edge * ratio), abs=1e-6)
        cell = column.tile_width * ratio / column.cells[1]
        assert cell == pytest.approx(round(cell))


def test_many_maps_become_thumbnails_and_more_are_paged() -> None:
    many, hundreds = (fit_columns(NETWORKS[name], AREA, 1.0, headers) for name in ("many", "hundreds"))
    sides = [column.tile_width for column in many.columns if column.display.kind == "maps"]
    assert 16 <= max(sides) < COMFORTABLE_SIDE
    assert hundreds.width <= AREA.width, "all columns are visible at once"
    assert {column.tile_width >= 32 for column in hundreds.columns if column.is_map} == {True}
    unfolded = fit_columns(NETWORKS["hundreds"], AREA, 1.0, headers, page_starts={1: None})
    assert unfolded.width > AREA.width
    assert [len(column.maps) for column in unfolded.columns if column.display.scale_layer == 1] == [512, 512]


def test_every_map_is_on_a_page() -> None:
    pages: dict[int, int | None] = {}
    seen: list[int] = []
    while len(seen) < 512:
        strip = fit_columns(NETWORKS["hundreds"], AREA, 1.0, headers, page_starts=pages)
        check_inside_and_apart(strip)
        features, pool = (column for column in strip.columns if column.display.scale_layer == 1)
        assert features.maps == pool.maps, "a feature keeps its row up to its pool"
        seen += features.maps
        for channel in (features.maps.start, features.maps.stop - 1):
            assert features.cell_at(*features.tile(channel).centre)[0] == channel
        assert can_turn(features, "on") == (len(seen) < 512)
        pages[1] = page_start_after(features, "on")
    assert seen == list(range(512))
    assert page_start_after(features, "on") == features.maps.start


@pytest.mark.parametrize("name", ["walkthrough", "default", "many"])
def test_hit_testing_the_centre_of_a_cell_finds_it(name: str) -> None:
    strip = fit_columns(NETWORKS[name], Box(16, 80, 1568, 800), 1.0, headers)
    for column in strip.columns:
        rows, cols = column.cells
        for place in itertools.product(
            {0, column.display.count - 1}, {0, rows // 2, rows - 1}, {0, cols // 2, cols - 1}
        ):
            channel, row, col = place
            x, y = column.tile(channel).sub_box(column.cells, range(row, row + 1), range(col, col + 1)).centre
            assert strip.column_at(x) is column
            assert column.cell_at(x, y) == place
        first = column.tile(0)
        assert column.cell_at(first.x - 1, first.y + 1) is None
        assert column.cell_at(first.x + 1, first.y - 1) is None


def test_hit_testing_distinguishes_weights_from_cells() -> None:
    strip = fit_columns(TWO_STAGES, Box(16, 80, 1868, 850), 1.0, headers)
    first, deeper = (column for column in strip.columns if column.kernels)
    for column, feature, channel, row, col in ((first, 3, 0, 4, 1), (deeper, 13, 5, 2, 0)):
        assert column.kernels is not None
        size = column.kernels.size
        x, y = (
            column.kernel_slice(feature, channel)
            .sub_box((size, size), range(row, row + 1), range(col, col + 1))
            .centre
        )
        assert column.weight_at(x, y) == (feature, channel, row, col)
        assert column.cell_at(x, y) is None


def test_columns_have_titles_and_subtitles() -> None:
    stages = display_columns(TWO_STAGES, {5, 9})
    assert [stage.title for stage in stages] == [
        "Input", "Features", "ReLU", "Pool", "Features + ReLU", "Pool", "Hidden + ReLU", "Votes",
    ]  # fmt: skip
    assert stages[1].subtitle == ("8 of 5 × 5", "8 × 32 × 32")
    assert stages[4].subtitle == ("16 of 3 × 3, folded", "16 × 16 × 16")
    assert stages[6].subtitle == ("32 values", "uses all 1\u202f024")
    assert [stage.signed for stage in stages] == [True, True, False, False, True, False, True, True]
    assert [stage.scale_layer for stage in stages] == [0, 1, 1, 1, 4, 4, 8, 10]
    assert foldable_layers(TWO_STAGES) == (2, 5, 9)
    assert layer_names(TWO_STAGES)[4:8] == ("Features 2", "ReLU 2", "Pool 2", "Flatten")
    assert layer_names(WALKTHROUGH.network)[1] == "Features"


def test_the_walkthrough_shows_its_flattened_values() -> None:
    stages = display_columns(WALKTHROUGH.network)
    assert [stage.kind for stage in stages] == ["picture", "maps", "maps", "maps", "maps", "list", "votes"]
    assert not stages[-1].signed


# Layers of every kind in a plausible order.
EVERY_KIND = Network(
    (1, 32, 32),
    (
        Center(),
        Conv2D(6, 5, padding="same"),
        BatchNorm2D(),
        ReLU(),
        MaxPool2D(),
        Residual((Conv2D(6, 3, padding="same"), Tanh(), Conv2D(6, 1))),
        LeakyReLU(0.1),
        AvgPool2D(),
        Dropout(0.3),
        Conv2D(8, 3, stride=2),
        Tanh(),
        GlobalAvgPool(),
        Dense(12),
        Sigmoid(),
        Residual((Dense(12),)),
        Dense(2),
    ),
    classes=("X", "O"),
)


def test_every_kind_of_layer_has_a_title_and_subtitle() -> None:
    stages = display_columns(EVERY_KIND)
    assert [(stage.kind, stage.title, *stage.subtitle) for stage in stages] == [
        ("picture", "Input", "as the network", "sees it, 32 × 32"),
        ("maps", "Center", "minus the mean", "1 × 32 × 32"),
        ("maps", "Features", "6 of 5 × 5", "6 × 32 × 32"),
        ("maps", "Batch norm", "mean 0, std 1", "6 × 32 × 32"),
        ("maps", "ReLU", "negative → 0", "6 × 32 × 32"),
        ("maps", "Pool", "max of 2 × 2", "6 × 16 × 16"),
        ("maps", "Residual", "input + 3 layers", "6 × 16 × 16"),
        ("maps", "Leaky ReLU", "negative × 0.1", "6 × 16 × 16"),
        ("maps", "Pool", "mean of 2 × 2", "6 × 8 × 8"),
        ("maps", "Dropout", "only in training", "6 × 8 × 8"),
        ("maps", "Features", "8 of 3 × 3, step 2", "8 × 3 × 3"),
        ("maps", "Tanh", "squashed to −1 … 1", "8 × 3 × 3"),
        ("bars", "Global average", "one per map", "8 values"),
        ("bars", "Hidden", "12 values", "uses all 8"),
        ("bars", "Sigmoid", "squashed to 0 … 1", "12 values"),
        ("bars", "Residual", "12 values", "input + 1 layer"),
        ("votes", "Votes", "2 classes", "uses all 12"),
    ]
    assert foldable_layers(EVERY_KIND) == (3, 4, 7, 9, 11, 14)


def test_every_kind_of_layer_has_a_column_or_shares_one() -> None:
    for width in (400, 968, 4000):
        strip = fit_columns(EVERY_KIND, Box(16, 80, width, 540), 1.0, headers)
        assert all(strip.column_of(layer) for layer in range(len(EVERY_KIND.shapes)))


def test_several_layers_may_share_a_column() -> None:
    (column,) = {
        fit_columns(EVERY_KIND, AREA, 1.0, headers, {3: True, 4: True, 7: False, 11: False, 14: False}).column_of(
            layer
        )
        for layer in (2, 3, 4)
    }
    assert column is not None
    assert column.display.title == "Features + Batch norm + ReLU"
    assert column.display.subtitle == ("6 of 5 × 5, folded", "6 × 32 × 32")


def test_dropout_is_folded_unless_the_user_unfolds_it() -> None:
    wide = Box(16, 80, 4000, 540)
    assert [c.display.title for c in fit_columns(EVERY_KIND, wide, 1.0, headers).columns][8] == "Pool + Dropout"
    assert [c.display.title for c in fit_columns(EVERY_KIND, wide, 1.0, headers, {9: False}).columns][
        9
    ] == "Dropout"


def test_dropout_after_a_hidden_flatten_has_no_column() -> None:
    network = Network((1, 32, 32), (Flatten(), Dropout(), Dense(4), Dropout(), Dense(2)), classes=("X", "O"))
    assert [stage.layer for stage in display_columns(network)] == [0, 3, 4, 5]
    assert foldable_layers(network) == (4,)


def test_a_thousand_layers_are_laid_out_without_trying_every_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def counted(network: Network, folded: frozenset[int]) -> tuple[DisplayColumn, ...]:
        tried.append(folded)
        return display_columns(network, folded)

    monkeypatch.setattr(fit, display_columns.__name__, counted)
    deep = Network(
        (1, 4, 4), (Conv2D(2, 1), BatchNorm2D(), ReLU()) * 333 + (Flatten(), Dense(2)), classes=("X", "O")
    )
    strip = fit_columns(deep, AREA, 1.0, headers)
    assert len(tried) == 1
    assert strip.width <= AREA.width, "the whole network fits"


def test_any_of_a_thousand_layers_is_three_clicks_away() -> None:
    deep = Network(
        (1, 4, 4), (Conv2D(2, 1), ReLU(), MaxPool2D(1)) * 333 + (Flatten(), Dense(2)), classes=("X", "O")
    )
    for layer in (1, 2, 3, 4, 400, 555, 999, 1001):
        folds, clicks = FoldState(), 0
        strip = fit_columns(deep, AREA, 1.0, headers)
        while strip.column_of(layer) is None:
            group = next(column for column in strip.columns if layer in column.display.layers)
            folds.apply_click(group, None, None)
            clicks += 1
            strip = fit_columns(deep, AREA, 1.0, headers, expanded=folds.expanded)
            check_inside_and_apart(strip)
            layers = [layer for column in strip.columns for layer in column.display.layers]
            assert layers == [layer for layer in range(1002) if layer != 1000], (
                "every layer is in exactly one column"
            )
        assert clicks <= 3
        assert folds.reveal(fit_columns(deep, AREA, 1.0, headers), layer) == (clicks > 0)
        assert fit_columns(deep, AREA, 1.0, headers, expanded=folds.expanded).column_of(layer) is not None


def test_no_maps_are_paged_where_the_headers_need_scrolling_anyway() -> None:
    """The default network beside the inspector of a small window: its 16 maps fit into the scrolled width."""
    strip = fit_columns(TWO_STAGES, Box(16, 100, 660, 255), 1.0, lambda stage: 95.0)
    assert strip.width > 660
    for one in strip.columns:
        assert one.maps == range(one.display.count)
