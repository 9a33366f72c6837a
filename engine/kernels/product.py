"""Products of matrices on a GPU."""

from __future__ import annotations

import numpy as np

from engine.backends.ops import Array, Calls
from engine.kernels.launch import Blocks, Kernels
from engine.kernels.parameters import Parameter, reads, whole, writes
from engine.kernels.tiles import Product, Wide, in_fours, real, tiled

# With so many columns a row is made by a block of its own.
FEW = 2


def product(kernels: Kernels, left: Array, right: Array, out: Array) -> Calls:
    """See Operations.product."""
    (rows, members), columns = left.shape, right.shape[1]
    if columns <= FEW and left.strides[1] == left.dtype.itemsize:
        return _by_rows(kernels, left, right, out)
    # Neighbouring threads fetch neighbours in memory, and where a side is one row, its members.
    left_along = left.strides[1] <= left.strides[0] or rows == 1
    right_along = right.strides[0] < right.strides[1] or columns == 1
    return tiled(
        kernels,
        Product(
            "product",
            rows,
            columns,
            members,
            (_wide(kernels, left, left_along), _wide(kernels, right.T, right_along)),
            (f"-DLEFT_ALONG={int(left_along)}", f"-DRIGHT_ALONG={int(right_along)}"),
            [
                *(*reads(kernels.view(left), anywhere=True), *_strides(left)),
                *(*reads(kernels.view(right), anywhere=True), *_strides(right)),
            ],
            kernels.view(out),
            [*_strides(out), *whole(rows, columns, members)],
        ),
    )


def _by_rows(kernels: Kernels, left: Array, right: Array, out: Array) -> Calls:
    """As for one picture: tiles would be all but empty."""
    (rows, members), columns = left.shape, right.shape[1]
    threads = 64 if members <= 256 else 256
    down, along = _strides(right)
    given = [
        *(*reads(kernels.view(left), anywhere=True), _strides(left)[0]),
        *(*reads(kernels.view(right), anywhere=True), down, along),
        *(*writes(kernels.view(out)), *_strides(out), *whole(members)),
    ]
    options = (real(np.dtype(left.dtype)), f"-DCOLUMNS={columns}", f"-DTHREADS={threads}")
    launch = Blocks(kernels, "row_products", options, (rows,), (threads,), tuple(given), rows * columns)
    return [(launch, (), {})]


def _wide(kernels: Kernels, sides: Array, along: bool) -> Wide:
    """How many values of a matrix (sides, members) are fetched in one piece, whose members, or else its sides, lie
    one after the other."""
    to_side, to_member = (stride // sides.dtype.itemsize for stride in sides.strides)
    step, apart, count = (to_member, to_side, sides.shape[1]) if along else (to_side, to_member, sides.shape[0])
    return in_fours(kernels.view(sides), apart, count) if step == 1 else 1


def _strides(matrix: Array) -> list[Parameter]:
    """From one row to the next, and from one column to the next, in values."""
    return whole(*(stride // matrix.dtype.itemsize for stride in matrix.strides))
