"""Convolution on a GPU: three matrix products, of which one side exists only tile by tile.

The weights are first laid out so that neighbours can be fetched four at a time; that small copy has nothing to wait
for within a pass, so it runs beside whatever begins it.
"""

from __future__ import annotations

import numpy as np

from engine.backends.cuda.arguments import Parameter, divisor, number, reads, whole, writes
from engine.backends.cuda.arrays import View
from engine.backends.cuda.launch import Blocks, Kernels
from engine.backends.cuda.pointwise import calls_of, flat
from engine.backends.cuda.tiling import Bias, Product, Wide, in_fours, real, tiled
from engine.backends.ops import Array, Calls


class Convolution:
    def __init__(
        self,
        kernels: Kernels,
        x: Array,
        matrix: Array,
        y: Array,
        size: int,
        stride: int,
        padding: int,
        normalizer: int,
    ) -> None:
        self._kernels, self._padding = kernels, padding
        self._x, self._y, self._array = _Maps(kernels, x), _Maps(kernels, y), matrix
        (self._matrix,) = flat(kernels, matrix)
        self._features, self._length = matrix.shape
        self._taps, self._cells = x.shape[0] * size * size, size * size
        self._share = number(x.dtype.type(1 / normalizer))
        self._options = (f"-DSIZE={size}", f"-DSTRIDE={stride}")

    def forward(self) -> Calls:
        x, y = self._x, self._y
        laid, packed = self._packed((self._taps, self._features), (1, self._length))
        product = Product(
            "convolution_forward",
            self._features,
            y.positions,
            self._taps,
            (4 if packed else 1, x.wide),
            (*self._options, f"-DPACKED={int(packed is not None)}"),
            [*x.reads(), *reads(self._matrix, anywhere=True), *whole(self._length), *self._weights(packed)],
            y.view,
            [
                *(*y.steps(), *whole(self._features, y.positions)),
                *(
                    *divisor(y.run),
                    *divisor(max(1, y.run // 2)),
                    *divisor(y.batch),
                    *whole(self._taps),
                    *self._share,
                ),
            ],
            None if y.height % 2 or y.width % 2 else (y.height, y.width, y.batch),
        )
        if self._length == self._taps:
            return laid + tiled(self._kernels, product)
        bias = self._kernels.view(self._array[:, self._taps])
        return laid + tiled(self._kernels, product, Bias(bias, self._length, y.positions))

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        """The calls that fill dmatrix and dx from dy and the last forward pass's x."""
        gradient, calls = _Maps(self._kernels, dy), []
        if dmatrix is not None:
            calls += tiled(self._kernels, self._weight_gradient(gradient, dmatrix))
        if dx is not None:
            # As (features, cells, channels).
            lengths = self._features, self._cells, self._taps // self._cells
            laid, packed = self._packed(lengths, (self._length, 1, self._cells))
            product = self._input_gradient(gradient, _Maps(self._kernels, dx), packed)
            calls += laid + tiled(self._kernels, product)
        return calls

    def _packed(self, shape: tuple[int, ...], steps: tuple[int, ...]) -> tuple[Calls, View | None]:
        """The calls that lay the weights out as (..., sides), and where; `steps`: of the axes in the matrix. None
        for float64, of which no four are fetched in one piece."""
        itemsize = self._matrix.dtype.itemsize
        if itemsize != 4:
            return [], None
        sides = -(-shape[-1] // 4) * 4
        memory = self._kernels.device.zeros((*shape[:-1], sides), self._matrix.dtype)
        source = self._kernels.view(self._array, shape, tuple(step * itemsize for step in steps))
        target = self._kernels.view(memory[..., : shape[-1]])
        given = [*reads(source, strided=True), *writes(target, strided=True)]
        return calls_of(self._kernels, "copy", target.size, given), self._kernels.view(memory)

    def _weights(self, packed: View | None) -> list[Parameter]:
        """Where they lie, and from one row to the next."""
        if packed is None:
            return [*reads(self._matrix, anywhere=True), *whole(self._length)]
        return [*reads(packed, anywhere=True), *whole(packed.array.shape[-1])]

    def _weight_gradient(self, dy: _Maps, dmatrix: Array) -> Product:
        (target,) = flat(self._kernels, dmatrix)
        sizes = [
            *whole(self._length, self._features, dy.positions),
            *(*divisor(dy.run), *divisor(dy.batch), *whole(self._taps)),
        ]
        return Product(
            "convolution_weight_gradient",
            self._features,
            self._length,
            dy.positions,
            (dy.wide, self._x.wide),
            self._options,
            [*dy.reads(), *self._x.reads()],
            target,
            [*sizes, *self._share],
        )

    def _input_gradient(self, dy: _Maps, dx: _Maps, packed: View | None) -> Product:
        members = self._features * self._cells
        sizes = [
            *(*whole(dx.channels, dx.positions), *divisor(dx.run), *divisor(dx.batch)),
            *whole(self._padding, members),
        ]
        return Product(
            "convolution_input_gradient",
            dx.channels,
            dx.positions,
            members,
            (4 if packed else 1, dy.wide),
            (*self._options, f"-DPACKED={int(packed is not None)}"),
            [
                *(*dy.reads(), *whole(dy.height, dy.run)),
                *self._weights(packed),
            ],
            dx.view,
            [*dx.steps(), *sizes, *self._share],
        )


class _Maps:
    """Maps (C, H, W, N) as these kernels take them: the values of a row, W x N, lie one after the other. Raises
    ValueError for others."""

    def __init__(self, kernels: Kernels, array: Array) -> None:
        self.channels, self.height, self.width, self.batch = array.shape
        self._plane, self._row, pixel, image = (stride // array.dtype.itemsize for stride in array.strides)
        if (self.batch > 1 and image != 1) or (self.width > 1 and pixel != self.batch):
            raise ValueError(f"A convolution's maps need rows without gaps; those of {array.shape} have some.")
        self.view = kernels.view(array)
        self.run = self.width * self.batch
        self.positions = self.height * self.run
        # Four neighbouring examples of a pixel are fetched in one piece.
        self.wide: Wide = in_fours(self.view, self.batch, self._plane, self._row)

    def steps(self) -> list[Parameter]:
        """From one map to the next, and from one row to the next."""
        return whole(self._plane, self._row)

    def reads(self) -> list[Parameter]:
        """Its values, and those steps."""
        return [*reads(self.view, anywhere=True), *self.steps()]


# With so many columns a row is made by a block of its own.
FEW = 2


def product(kernels: Kernels, left: Array, right: Array, out: Array) -> Calls:
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
