"""Convolution on a GPU: three matrix products, of which one side exists only tile by tile."""

from __future__ import annotations

from engine.kernels.elementwise import flat
from engine.kernels.launch import Kernels, Parameter, divisor, number, reads, whole
from engine.kernels.tiles import Bias, Product, Wide, in_fours, tiled
from engine.operations import Array, Calls


class Convolution:
    """See Operations.convolution."""

    def __init__(
        self, kernels: Kernels, x: Array, matrix: Array, y: Array, size: int, stride: int, margin: int, divisor: int
    ) -> None:
        self._kernels, self._margin = kernels, margin
        self._x, self._y, self._array = _Maps(kernels, x), _Maps(kernels, y), matrix
        (self._matrix,) = flat(kernels, matrix)
        self._features, self._length = matrix.shape
        self._taps, self._cells = x.shape[0] * size * size, size * size
        self._share = number(x.dtype.type(1 / divisor))
        self._options = (f"-DSIZE={size}", f"-DSTRIDE={stride}")

    def forward(self) -> Calls:
        """The calls that fill y."""
        x, y = self._x, self._y
        product = Product(
            "convolution_forward",
            self._features,
            y.positions,
            self._taps,
            (1, x.wide),
            self._options,
            [*x.reads(), *reads(self._matrix, anywhere=True), *whole(self._length)],
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
            return tiled(self._kernels, product)
        bias = self._kernels.view(self._array[:, self._taps])
        return tiled(self._kernels, product, Bias(bias, self._length, y.positions))

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        """The calls that fill dmatrix and dx from dy and the last forward pass's x."""
        gradient, calls = _Maps(self._kernels, dy), []
        if dmatrix is not None:
            calls += tiled(self._kernels, self._weight_gradient(gradient, dmatrix))
        if dx is not None:
            calls += tiled(self._kernels, self._input_gradient(gradient, _Maps(self._kernels, dx)))
        return calls

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

    def _input_gradient(self, dy: _Maps, dx: _Maps) -> Product:
        members = self._features * self._cells
        sizes = [
            *(*whole(dx.channels, dx.positions), *divisor(dx.run), *divisor(dx.batch)),
            *whole(self._margin, members),
        ]
        return Product(
            "convolution_input_gradient",
            dx.channels,
            dx.positions,
            members,
            (1, dy.wide),
            self._options,
            [
                *(*dy.reads(), *whole(dy.height, dy.run)),
                *(*reads(self._matrix, anywhere=True), *whole(self._length)),
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
