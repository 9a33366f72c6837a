"""Tiled matrix products: every tile, with and without split sums."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends import choose_backend, replay
from engine.backends.cuda.arrays import divisor_struct, view_of
from engine.backends.cuda.tile_costs import TILES, ProductShape, TileShape, TilingChoice, TilingConfig, best_tiling
from engine.backends.cuda.tiling import vector_width
from engine.nn import Network
from engine.nn.layers import Conv2D, Dense, Flatten
from tests.engine.backends.cuda.cpu_device import IN_ORDER, REVERSED, CpuDevice, compile_ahead, needs_compiler
from tests.engine.backends.cuda.cpu_kernels import (
    all_calls,
    assert_near,
    examples,
    kernel_backend,
    learning_plan,
    passed,
)

CPU = choose_backend("cpu")
# All sums are long enough to be split, and no dimension is a multiple of a tile's.
LONG = Network((8, 7, 7), (Conv2D(9, 6, padding=2), Flatten(), Dense(4), Dense(2)), classes=("X", "O"))
BATCH = 20


def always(tile: TileShape, groups: int, slices: int, depth: int) -> TilingChoice:
    """The same tiling for every product."""
    return lambda size, itemsize: TilingConfig(tile, groups, slices, depth)


@needs_compiler
@pytest.mark.parametrize(
    ("tile", "groups", "slices", "depth"),
    [(tile, *((1, 1, 16), (2, 3, 8))[place % 2]) for place, tile in enumerate(TILES)],
    ids=[f"{tile.rows}x{tile.columns}" for tile in TILES],
)
def test_every_tile_gives_the_same_product(tile: TileShape, groups: int, slices: int, depth: int) -> None:
    """Batches of a multiple of four use vector loads, others do not."""
    device = CpuDevice(order=REVERSED if slices > 1 else IN_ORDER)
    kernels = kernel_backend(device, choose_tiling=always(tile, groups, slices, depth))
    batch = BATCH if slices > 1 else 3
    images, shares = examples(LONG, batch)
    plans = [learning_plan(LONG, backend, batch) for backend in (kernels, CPU)]
    compile_ahead(all_calls(plans[0]))
    got, expected = (passed(plan, LONG.initial_parameters(1), images, shares) for plan in plans)
    assert_near(got, expected)
    assert ("reduce_slices" in device.launches) == (slices > 1)


@needs_compiler
@pytest.mark.parametrize("order", [IN_ORDER, REVERSED, 7])
def test_matrices_may_have_any_strides(order: int) -> None:
    rng = np.random.default_rng(1)
    # The two long ones are split into more slices than their reduction has thread groups.
    ops = kernel_backend(CpuDevice(132, order)).operations
    for rows, members, columns in ((5, 7, 3), (1, 300, 1), (33, 1, 65), (4, 9, 1), (3, 1500, 2), (2, 4000, 3)):
        left, right = rng.normal(size=(rows, members)), rng.normal(size=(members, columns))
        for left_turned in (False, True):
            for right_turned in (False, True):
                given = [
                    ops.from_host(np.ascontiguousarray(each.T)).T if turned else ops.from_host(each)
                    for each, turned in ((left, left_turned), (right, right_turned))
                ]
                out = ops.zeros((rows, columns), np.float64)
                replay(ops.matmul(*given, out))
                np.testing.assert_allclose(ops.to_host(out), left @ right, rtol=1e-12, atol=1e-12)


@needs_compiler
def test_few_columns_are_computed_row_by_row() -> None:
    rng = np.random.default_rng(1)
    device = CpuDevice(order=REVERSED)
    ops = kernel_backend(device).operations
    for rows, members, columns in ((1, 1, 1), (3, 65, 1), (5, 1000, 2)):
        left, right = rng.normal(size=(rows, members)), rng.normal(size=(members, columns))
        out = ops.zeros((rows, columns), np.float64)
        replay(ops.matmul(ops.from_host(left), ops.from_host(right), out))
        np.testing.assert_allclose(ops.to_host(out), left @ right, rtol=1e-12, atol=1e-12)
    assert set(device.launches) == {"row_products"}


SIZES = [
    ProductShape(8, 65536, 25, (4, 4)),
    ProductShape(128, 65536, 1152, (4, 4)),
    ProductShape(16, 73, 16384, (4, 4)),
    ProductShape(64, 289, 65536),
    ProductShape(2, 3, 4),
    ProductShape(1, 1, 1),
]


@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_chosen_tiling_can_be_launched(size: ProductShape, itemsize: int) -> None:
    found = best_tiling(size, itemsize, 132)
    along, down = found.tile.grid(size.rows, size.columns)
    assert found.shared_bytes(itemsize) <= 48 * 1024
    assert found.threads <= 1024
    assert down < 65536
    assert along >= 1
    assert 1 <= found.slices < 65536


def test_large_products_use_large_tiles_and_long_sums_are_split() -> None:
    large = best_tiling(ProductShape(128, 65536, 1152, (4, 4)), 4, 132)
    assert large.tile.rows * large.tile.columns >= 64 * 128
    # A single image has too few positions to fill a GPU with large tiles.
    assert best_tiling(ProductShape(8, 1024, 25), 4, 132).tile.rows == 8
    assert best_tiling(ProductShape(16, 73, 16384, (4, 4)), 4, 132).slices > 30
    # Rounding grows with the length of a sum: hanuschkin's second convolution was off by more than is allowed on an
    # H200 when one thread added up all 1,600 members.
    second = best_tiling(ProductShape(32, 193600, 1600, (4, 4)), 4, 132)
    assert second.groups * second.slices > 1


def test_division_by_a_product_is_exact() -> None:
    """As layout.cuh divides: numbers below 2^31 by any divisor."""
    rng = np.random.default_rng(1)
    numbers = np.concatenate([np.arange(300), 2**31 - 1 - np.arange(300), rng.integers(0, 2**31, 2000)])
    for by in (1, 2, 3, 7, 10, 64, 641, 65537, 2**20 + 1, 2**31 - 1):
        divisor = divisor_struct(by)
        found = (numbers.astype(np.uint64) * 2 * np.uint64(divisor["magic"]) >> np.uint64(32)) >> np.uint64(
            divisor["shift"]
        )
        near = numbers // by * by
        np.testing.assert_array_equal(found, numbers // by)
        again = (near.astype(np.uint64) * 2 * np.uint64(divisor["magic"]) >> np.uint64(32)) >> np.uint64(
            divisor["shift"]
        )
        np.testing.assert_array_equal(again, near // by)


def test_vector_loads_need_alignment() -> None:
    memory = np.zeros(64, np.float32)
    start = memory.__array_interface__["data"][0]
    start += -start % 16
    at = [view_of(start + byte, memory, (16,), (4,)) for byte in (0, 4, 16)]
    assert [vector_width(view, 8) for view in at] == [4, 1, 4]
    assert vector_width(at[0], 8, 6) == 1
    assert vector_width(view_of(start, np.zeros(8), (8,), (8,)), 8) == 1
