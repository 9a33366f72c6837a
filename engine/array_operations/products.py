"""Matrix products cut the way that OpenBLAS multiplies fastest. Not an operation."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.array_operations.calls import call, run
from engine.backends.ops import Array, Call

# Below this many multiplies a product, OpenBLAS takes its small-matrix path where it has one (AVX-512), which is
# several times faster.
SMALL_PRODUCT = 1_000_000


def blocks(matrix: Array, rows: int) -> Array:
    """(..., k, n) seen as (..., n / b, k, b): a product with `rows` multiplies a column becomes many small ones."""
    width = length = matrix.shape[-1]
    while width % 2 == 0 and width > 128 and rows * width > SMALL_PRODUCT:
        width //= 2
    if rows * width > SMALL_PRODUCT:
        width = length
    *ahead, depth, _ = matrix.shape
    *far, down, along = matrix.strides
    return as_strided(matrix, (*ahead, length // width, depth, width), (*far, width * along, down, along))


def matrix_product(left: Array, right: Array, out: Array) -> Call:
    """out = left @ right, for matrices: the same product as matmul's, which costs twice as much to call."""
    together = all(each.flags.c_contiguous or each.flags.f_contiguous for each in (left, right))
    if together and out.flags.c_contiguous and left.dtype == right.dtype == out.dtype:
        return run(left.dot, right, out)
    return call(np.matmul, left, right, out=out)


def product(weights: Array, matrices: Array, out: Array) -> Call:
    """out (rows, F, n) = weights (F, k) @ matrices (rows, k, n)."""
    return call(np.matmul, weights, blocks(matrices, weights.size), out=blocks(out, weights.size))
