"""Convolution on a GPU as implicit matrix products, whose im2col side exists only tile by tile; matrix products.

The weights are first repacked so that four neighbours can be fetched at a time; that small copy depends on nothing
else within a pass, so it runs in parallel with its start.
"""

from __future__ import annotations

import numpy as np

from engine.backends.cuda.arguments import KernelParameter, fast_divisor, ints, reads, real_option, scalar, writes
from engine.backends.cuda.arrays import ArrayView
from engine.backends.cuda.launch import BlockLaunch, KernelCache
from engine.backends.cuda.pointwise import contiguous_views, elementwise_calls
from engine.backends.cuda.tile_costs import VectorWidth
from engine.backends.cuda.tiling import BiasTerm, TiledProduct, tiled_product_calls, vector_width
from engine.backends.ops import Array, Calls, ConvSpec


class CudaConvolution:
    def __init__(self, kernels: KernelCache, x: Array, matrix: Array, y: Array, spec: ConvSpec) -> None:
        self._kernels, self._padding, size = kernels, spec.padding, spec.kernel_size
        self._x, self._y, self._array = _Maps(kernels, x), _Maps(kernels, y), matrix
        (self._matrix,) = contiguous_views(kernels, matrix)
        self._out_channels, self._length = matrix.shape
        self._fan_in, self._kernel_area = x.shape[0] * size * size, size * size
        self._scale = scalar(x.dtype.type(1 / spec.normalizer))
        self._options = (f"-DSIZE={size}", f"-DSTRIDE={spec.stride}")

    def forward(self) -> Calls:
        x, y = self._x, self._y
        repack, packed = self._packed((self._fan_in, self._out_channels), (1, self._length))
        product = TiledProduct(
            "convolution_forward",
            self._out_channels,
            y.positions,
            self._fan_in,
            (4 if packed else 1, x.wide),
            (*self._options, f"-DPACKED={int(packed is not None)}"),
            [*x.reads(), *reads(self._matrix, random_access=True), *ints(self._length), *self._weights(packed)],
            y.view,
            [
                *(*y.steps(), *ints(self._out_channels, y.positions)),
                *(
                    *fast_divisor(y.run),
                    *fast_divisor(max(1, y.run // 2)),
                    *fast_divisor(y.batch),
                    *ints(self._fan_in),
                    *self._scale,
                ),
            ],
            None if y.height % 2 or y.width % 2 else (y.height, y.width, y.batch),
        )
        if self._length == self._fan_in:
            return repack + tiled_product_calls(self._kernels, product)
        bias = self._kernels.view(self._array[:, self._fan_in])
        return repack + tiled_product_calls(self._kernels, product, BiasTerm(bias, self._length, y.positions))

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:

        gradient, calls = _Maps(self._kernels, dy), []
        if dmatrix is not None:
            calls += tiled_product_calls(self._kernels, self._weight_gradient(gradient, dmatrix))
        if dx is not None:
            # As (out_channels, kernel area, in_channels).
            lengths = self._out_channels, self._kernel_area, self._fan_in // self._kernel_area
            repack, packed = self._packed(lengths, (self._length, 1, self._kernel_area))
            product = self._input_gradient(gradient, _Maps(self._kernels, dx), packed)
            calls += repack + tiled_product_calls(self._kernels, product)
        return calls

    def _packed(self, shape: tuple[int, ...], steps: tuple[int, ...]) -> tuple[Calls, ArrayView | None]:
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
        return elementwise_calls(self._kernels, "copy", target.size, given), self._kernels.view(memory)

    def _weights(self, packed: ArrayView | None) -> list[KernelParameter]:
        """The weights and their row stride."""
        if packed is None:
            return [*reads(self._matrix, random_access=True), *ints(self._length)]
        return [*reads(packed, random_access=True), *ints(packed.array.shape[-1])]

    def _weight_gradient(self, dy: _Maps, dmatrix: Array) -> TiledProduct:
        (target,) = contiguous_views(self._kernels, dmatrix)
        sizes = [
            *ints(self._length, self._out_channels, dy.positions),
            *(*fast_divisor(dy.run), *fast_divisor(dy.batch), *ints(self._fan_in)),
        ]
        return TiledProduct(
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

    def _input_gradient(self, dy: _Maps, dx: _Maps, packed: ArrayView | None) -> TiledProduct:
        inner = self._out_channels * self._kernel_area
        sizes = [
            *(*ints(dx.channels, dx.positions), *fast_divisor(dx.run), *fast_divisor(dx.batch)),
            *ints(self._padding, inner),
        ]
        return TiledProduct(
            "convolution_input_gradient",
            dx.channels,
            dx.positions,
            inner,
            (4 if packed else 1, dy.wide),
            (*self._options, f"-DPACKED={int(packed is not None)}"),
            [
                *(*dy.reads(), *ints(dy.height, dy.run)),
                *self._weights(packed),
            ],
            dx.view,
            [*dx.steps(), *sizes, *self._scale],
        )


class _Maps:
    """Feature maps (C, H, W, N) with contiguous rows, W x N, as the convolution kernels need them. Raises
    ValueError for other strides."""

    def __init__(self, kernels: KernelCache, array: Array) -> None:
        self.channels, self.height, self.width, self.batch = array.shape
        self._plane, self._row, pixel, image = (stride // array.dtype.itemsize for stride in array.strides)
        if (self.batch > 1 and image != 1) or (self.width > 1 and pixel != self.batch):
            raise ValueError(f"A convolution's maps need rows without gaps; those of {array.shape} have some.")
        self.view = kernels.view(array)
        self.run = self.width * self.batch
        self.positions = self.height * self.run
        # Four neighbouring examples of a pixel are fetched at once.
        self.wide: VectorWidth = vector_width(self.view, self.batch, self._plane, self._row)

    def steps(self) -> list[KernelParameter]:
        """Strides of channels and rows."""
        return ints(self._plane, self._row)

    def reads(self) -> list[KernelParameter]:
        """The array and its strides."""
        return [*reads(self.view, random_access=True), *self.steps()]


# Up to this many columns, each row of a product is computed by a block of its own.
MAX_ROW_PRODUCT_COLUMNS = 2


def matmul(kernels: KernelCache, left: Array, right: Array, out: Array) -> Calls:
    (rows, inner), columns = left.shape, right.shape[1]
    if columns <= MAX_ROW_PRODUCT_COLUMNS and left.strides[1] == left.dtype.itemsize:
        return _by_rows(kernels, left, right, out)
    # Neighbouring threads fetch neighbours in memory; of a side with a single row, along the inner axis.
    left_inner = left.strides[1] <= left.strides[0] or rows == 1
    right_inner = right.strides[0] < right.strides[1] or columns == 1
    return tiled_product_calls(
        kernels,
        TiledProduct(
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
            [*_strides(out), *ints(rows, columns, inner)],
        ),
    )


def _by_rows(kernels: KernelCache, left: Array, right: Array, out: Array) -> Calls:
    """For products with few columns, as for a single example, which would leave tiles almost empty."""
    (rows, inner), columns = left.shape, right.shape[1]
    threads = 64 if inner <= 256 else 256
    down, along = _strides(right)
    given = [
        *(*reads(kernels.view(left), random_access=True), _strides(left)[0]),
        *(*reads(kernels.view(right), random_access=True), down, along),
        *(*writes(kernels.view(out)), *_strides(out), *ints(inner)),
    ]
    options = (real_option(np.dtype(left.dtype)), f"-DCOLUMNS={columns}", f"-DTHREADS={threads}")
    launch = BlockLaunch(kernels, "row_products", options, (rows,), (threads,), tuple(given), rows * columns)
    return [(launch, (), {})]


def _vector_width(kernels: KernelCache, matrix: Array, along_inner: bool) -> VectorWidth:
    """How many values of a matrix (outer, inner) are fetched at once, along the inner axis or else the outer
    one."""
    outer, inner = (stride // matrix.dtype.itemsize for stride in matrix.strides)
    step, other, count = (inner, outer, matrix.shape[1]) if along_inner else (outer, inner, matrix.shape[0])
    return vector_width(kernels.view(matrix), other, count) if step == 1 else 1


def _strides(matrix: Array) -> list[KernelParameter]:
    """Row and column strides, in elements."""
    return ints(*(stride // matrix.dtype.itemsize for stride in matrix.strides))
