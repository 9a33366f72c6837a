"""Matrix products by tiles: every tile, with sums that are cut and sums that are not."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backend import choose_backend
from engine.kernels import tiles
from engine.kernels.tiles import TILES, Tile, best_tile, slices
from engine.layers import Conv2D, Dense, Flatten
from engine.network import Network
from engine.operations import replay
from tests.engine.kernels.cpu_device import CpuDevice, compile_ahead, needs_compiler
from tests.engine.kernels.cpu_kernels import (
    all_calls,
    assert_near,
    examples,
    kernel_backend,
    learning_plan,
    passed,
)

CPU = choose_backend("cpu")
# Long enough sums everywhere to be cut, and no side that is a multiple of a tile's.
LONG = Network((8, 7, 7), (Conv2D(9, 6, padding=2), Flatten(), Dense(4), Dense(2)))
BATCH = 20


@needs_compiler
@pytest.mark.parametrize("processors", [1, 132])
@pytest.mark.parametrize("tile", TILES, ids=lambda tile: f"{tile.rows}x{tile.columns}")
def test_every_tile_gives_the_same_product(tile: Tile, processors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "TILES", (tile,))
    device = CpuDevice(processors)
    images, shares = examples(LONG, BATCH)
    plans = [learning_plan(LONG, backend, BATCH) for backend in (kernel_backend(device), CPU)]
    compile_ahead(all_calls(plans[0]))
    got, expected = (passed(plan, LONG.initial(1), images, shares) for plan in plans)
    assert_near(got, expected)
    assert ("sums" in device.launches) == (processors > 1)


@needs_compiler
@pytest.mark.parametrize("backwards", [False, True])
def test_matrices_may_lie_in_any_way(backwards: bool) -> None:
    rng = np.random.default_rng(1)
    # The two long ones are cut into more parts than their sums have groups of threads.
    ops = kernel_backend(CpuDevice(132, backwards)).operations
    for rows, members, columns in ((5, 7, 3), (1, 300, 1), (33, 1, 65), (4, 9, 1), (3, 1500, 2), (2, 4000, 3)):
        left, right = rng.normal(size=(rows, members)), rng.normal(size=(members, columns))
        for left_turned in (False, True):
            for right_turned in (False, True):
                given = [
                    ops.from_host(np.ascontiguousarray(each.T)).T if turned else ops.from_host(each)
                    for each, turned in ((left, left_turned), (right, right_turned))
                ]
                out = ops.zeros((rows, columns), np.float64)
                replay(ops.product(*given, out))
                np.testing.assert_allclose(ops.to_host(out), left @ right, rtol=1e-12, atol=1e-12)


def test_few_features_take_flat_tiles_and_many_take_large_ones() -> None:
    assert best_tile(8, 65536, 132).rows == 8
    assert best_tile(128, 65536, 132) == Tile(128, 128, 8, 8)
    # One picture has too few positions to fill a GPU with large tiles.
    assert best_tile(8, 1024, 132) == Tile(8, 32, 2, 2)


def test_sums_are_cut_only_where_blocks_are_few_and_sums_long() -> None:
    small = TILES[0]
    assert slices(small, 8, 26, 65536, 32, 132) > 100
    assert slices(small, 8, 65536, 65536, 32, 132) == 1
    assert slices(small, 8, 26, 100, 32, 132) == 1
