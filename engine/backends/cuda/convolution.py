"""Convolution on a GPU as implicit matrix products, whose im2col side exists only tile by tile; matrix products.

The weights are first repacked so that four neighbours can be fetched at a time; that small copy depends on nothing
else within a pass, so it runs in parallel with its start.
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
        self._out_channels, self._length = matrix.shape
        self._fan_in, self._kernel_area = x.shape[0] * size * size, size * size
        self._scale = number(x.dtype.type(1 / normalizer))
        self._options = (f"-DSIZE={size}", f"-DSTRIDE={stride}")

    def forward(self) -> Calls:
        x, y = self._x, self._y
        repack, packed = self._packed((self._fan_in, self._out_channels), (1, self._length))
        product = Product(
            "convolution_forward",
            self._out_channels,
            y.positions,
            self._fan_in,
            (4 if packed else 1, x.wide),
            (*self._options, f"-DPACKED={int(packed is not None)}"),
            [*x.reads(), *reads(self._matrix, random_access=True), *whole(self._length), *self._weights(packed)],
            y.view,
            [
                *(*y.steps(), *whole(self._out_channels, y.positions)),
                *(
                    *divisor(y.run),
                    *divisor(max(1, y.run // 2)),
                    *divisor(y.batch),
                    *whole(self._fan_in),
                    *self._scale,
                ),
            ],
            None if y.height % 2 or y.width % 2 else (y.height, y.width, y.batch),
        )
        if self._length == self._fan_in:
            return repack + tiled(self._kernels, product)
        bias = self._kernels.view(self._array[:, self._fan_in])
        return repack + tiled(self._kernels, product, Bias(bias, self._length, y.positions))

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:

        gradient, calls = _Maps(self._kernels, dy), []
        if dmatrix is not None:
            calls += tiled(self._kernels, self._weight_gradient(gradient, dmatrix))
        if dx is not None:
            # As (out_channels, kernel area, in_channels).
            lengths = self._out_channels, self._kernel_area, self._fan_in // self._kernel_area
            repack, packed = self._packed(lengths, (self._length, 1, self._kernel_area))
            product = self._input_gradient(gradient, _Maps(self._kernels, dx), packed)
            calls += repack + tiled(self._kernels, product)
        return calls

    def _packed(self, shape: tuple[int, ...], steps: tuple[int, ...]) -> tuple[Calls, View | None]:
        """Calls that copy the weights into a contiguous array of `shape`, its last axis padded to a multiple of
        four, and that array. steps: strides of the axes in the matrix. None for float64, which is not fetched in
        fours."""
        itemsize = self._matrix.dtype.itemsize
        if itemsize != 4:
            return [], None
        padded = -(-shape[-1] // 4) * 4
        memory = self._kernels.device.zeros((*shape[:-1], padded), self._matrix.dtype)
        source = self._kernels.view(self._array, shape, tuple(step * itemsize for step in steps))
        target = self._kernels.view(memory[..., : shape[-1]])
        given = [*reads(source, strided=True), *writes(target, strided=True)]
        return calls_of(self._kernels, "copy", target.size, given), self._kernels.view(memory)

    def _weights(self, packed: View | None) -> list[Parameter]:
        """The weights and their row stride."""
        if packed is None:
            return [*reads(self._matrix, random_access=True), *whole(self._length)]
        return [*reads(packed, random_access=True), *whole(packed.array.shape[-1])]

    def _weight_gradient(self, dy: _Maps, dmatrix: Array) -> Product:
        (target,) = flat(self._kernels, dmatrix)
        sizes = [
            *whole(self._length, self._out_channels, dy.positions),
            *(*divisor(dy.run), *divisor(dy.batch), *whole(self._fan_in)),
        ]
        return Product(
            "convolution_weight_gradient",
            self._out_channels,
            self._length,
            dy.positions,
            (dy.wide, self._x.wide),
            self._options,
            [*dy.reads(), *self._x.reads()],
            target,
            [*sizes, *self._scale],
        )

    def _input_gradient(self, dy: _Maps, dx: _Maps, packed: View | None) -> Product:
        inner = self._out_channels * self._kernel_area
        sizes = [
            *(*whole(dx.channels, dx.positions), *divisor(dx.run), *divisor(dx.batch)),
            *whole(self._padding, inner),
        ]
        return Product(
            "convolution_input_gradient",
            dx.channels,
            dx.positions,
            inner,
            (4 if packed else 1, dy.wide),
            (*self._options, f"-DPACKED={int(packed is not None)}"),
            [
                *(*dy.reads(), *whole(dy.height, dy.run)),
                *self._weights(packed),
            ],
            dx.view,
            [*dx.steps(), *sizes, *self._scale],
        )


class _Maps:
    """Feature maps (C, H, W, N) with contiguous rows, W x N, as the convolution kernels need them. Raises
    ValueError for other strides."""

    def __init__(self, kernels: Kernels, array: Array) -> None:
        self.channels, self.height, self.width, self.batch = array.shape
        self._plane, self._row, pixel, image = (stride // array.dtype.itemsize for stride in array.strides)
        if (self.batch > 1 and image != 1) or (self.width > 1 and pixel != self.batch):
            raise ValueError(f"A convolution's maps need rows without gaps; those of {array.shape} have some.")
        self.view = kernels.view(array)
        self.run = self.width * self.batch
        self.positions = self.height * self.run
        # Four neighbouring examples of a pixel are fetched at once.
        self.wide: Wide = in_fours(self.view, self.batch, self._plane, self._row)

    def steps(self) -> list[Parameter]:
        """Strides of channels and rows."""
        return whole(self._plane, self._row)

    def reads(self) -> list[Parameter]:
        """The array and its strides."""
        return [*reads(self.view, random_access=True), *self.steps()]


# Up to this many columns, each row of a product is computed by a block of its own.
MAX_ROW_PRODUCT_COLUMNS = 2


def product(kernels: Kernels, left: Array, right: Array, out: Array) -> Calls:
    (rows, inner), columns = left.shape, right.shape[1]
    if columns <= MAX_ROW_PRODUCT_COLUMNS and left.strides[1] == left.dtype.itemsize:
        return _by_rows(kernels, left, right, out)
    # Neighbouring threads fetch neighbours in memory; of a side with a single row, along the inner axis.
    left_inner = left.strides[1] <= left.strides[0] or rows == 1
    right_inner = right.strides[0] < right.strides[1] or columns == 1
    return tiled(
        kernels,
        Product(
            "matmul",
            rows,
            columns,
            inner,
            (_vector_width(kernels, left, left_inner), _vector_width(kernels, right.T, right_inner)),
            (f"-DLEFT_INNER_CONTIGUOUS={int(left_inner)}", f"-DRIGHT_INNER_CONTIGUOUS={int(right_inner)}"),
            [
                *(*reads(kernels.view(left), random_access=True), *_strides(left)),
                *(*reads(kernels.view(right), random_access=True), *_strides(right)),
            ],
            kernels.view(out),
            [*_strides(out), *whole(rows, columns, inner)],
        ),
    )


def _by_rows(kernels: Kernels, left: Array, right: Array, out: Array) -> Calls:
    """For products with few columns, as for a single example, which would leave tiles almost empty."""
    (rows, inner), columns = left.shape, right.shape[1]
    threads = 64 if inner <= 256 else 256
    down, along = _strides(right)
    given = [
        *(*reads(kernels.view(left), random_access=True), _strides(left)[0]),
        *(*reads(kernels.view(right), random_access=True), down, along),
        *(*writes(kernels.view(out)), *_strides(out), *whole(inner)),
    ]
    options = (real(np.dtype(left.dtype)), f"-DCOLUMNS={columns}", f"-DTHREADS={threads}")
    launch = Blocks(kernels, "row_products", options, (rows,), (threads,), tuple(given), rows * columns)
    return [(launch, (), {})]


def _vector_width(kernels: Kernels, matrix: Array, along_inner: bool) -> Wide:
    """How many values of a matrix (outer, inner) are fetched at once, along the inner axis or else the outer
    one."""
    outer, inner = (stride // matrix.dtype.itemsize for stride in matrix.strides)
    step, other, count = (inner, outer, matrix.shape[1]) if along_inner else (outer, inner, matrix.shape[0])
    return in_fours(kernels.view(matrix), other, count) if step == 1 else 1


def _strides(matrix: Array) -> list[Parameter]:
    """Row and column strides, in elements."""
    return whole(*(stride // matrix.dtype.itemsize for stride in matrix.strides))
