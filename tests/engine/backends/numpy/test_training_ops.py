"""Training operations on NumPy: gathering mini-batches, finiteness checks, aligned arrays."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends import replay
from engine.backends.numpy import NumpyOps
from engine.backends.numpy import calls as memory

OPS = NumpyOps()


# Shapes whose examples map to the same cache sets, and others.
@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 32, 32), (1, 9, 9), (3,)], ids=str)
@pytest.mark.parametrize("count", [1, 16])
def test_gather_takes_the_examples_of_the_current_row(shape: tuple[int, ...], count: int) -> None:
    rng = np.random.default_rng(5)
    table = rng.standard_normal((40, *shape)).astype(np.float32)
    order, step_index = rng.integers(0, 40, (3, 20)), np.zeros(1, np.int64)
    wide = np.zeros((*shape[:-1], shape[-1] + 2, count), np.float32)
    out = wide[..., 1:-1, :]
    calls = OPS.gather_batch(table, order, step_index, 2, out)
    for row in (2, 0):
        step_index[0] = row
        replay(calls)
        np.testing.assert_array_equal(np.moveaxis(out, -1, 0), table[order[row, 2 : 2 + count]])
    assert not wide[..., 0, :].any()
    assert not wide[..., -1, :].any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_a_non_finite_value_is_found_in_any_array(value: float, place: int) -> None:
    arrays = [np.ones((2, 300), np.float32), np.ones(5, np.float32)]
    is_finite = np.ones(1, np.int32)
    calls = OPS.check_finite(arrays, is_finite)
    replay(calls)
    assert is_finite[0] == 1
    arrays[place].flat[3] = value
    with np.errstate(invalid="ignore"):
        replay(calls)
    assert is_finite[0] == 0


def test_large_values_whose_sum_overflows_are_finite() -> None:
    is_finite = np.ones(1, np.int32)
    with np.errstate(over="ignore"):
        replay(OPS.check_finite([np.full(9, 3e38, np.float32)], is_finite))
    assert is_finite[0] == 1


@pytest.mark.parametrize("dtype", [bool, np.float32, np.float64])
def test_arrays_begin_at_a_cache_line(dtype: type) -> None:
    made = [memory.aligned_zeros((size, 3), dtype) for size in (0, 1, 7, 1000)] + [
        memory.aligned_full((5,), 1, dtype)
    ]
    assert all(array.ctypes.data % 64 == 0 for array in made if array.size)
    assert all(array.flags.c_contiguous and array.flags.writeable and array.dtype == dtype for array in made)
    assert not made[3].any()
    assert made[-1].tolist() == [1] * 5
