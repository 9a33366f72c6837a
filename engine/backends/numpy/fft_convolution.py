"""Convolution in the frequency domain on NumPy, with several times fewer multiplications for large kernels.

The transforms are matrix products instead of FFTs, which are slower at these sizes with the batch as innermost
axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.backends.numpy.calls import call, plain_call
from engine.backends.ops import Array, Calls, ConvSpec


class RealDFT:
    """The discrete Fourier transform of real planes of up to `height` x `width`, and its inverse.

    X[u, v] = sum over i, j of x[i, j] * exp(-2 pi i (u i / height + v j / width)), for v up to width // 2: the rest
    are complex conjugates. A spectrum is (planes, 2, height * half_width, N): real parts, then imaginary parts.
    """

    def __init__(self, height: int, width: int, dtype: Any) -> None:
        self.height, self.width, self.half_width = height, width, width // 2 + 1
        self.frequencies = height * self.half_width
        self._dtype = dtype
        across = np.outer(np.arange(self.half_width), np.arange(width)) * (2 * np.pi / width)
        down = np.outer(np.arange(height), np.arange(height)) * (2 * np.pi / height)
        self._across = np.concatenate([np.cos(across), -np.sin(across)]).astype(dtype)
        self._down = _complex(np.cos(down), -np.sin(down)).astype(dtype)
        # Every frequency but the first, and the middle one of an even width, also represents its conjugate.
        twice = np.where((np.arange(self.half_width) == 0) | (2 * np.arange(self.half_width) == width), 1, 2)[
            :, None
        ]
        back = np.concatenate([twice * np.cos(across), -twice * np.sin(across)]).T / (height * width)
        self._back_across = np.ascontiguousarray(back, dtype)
        self._back_down = _complex(np.cos(down), np.sin(down)).astype(dtype)

    def empty_spectrum(self, planes: int, batch: int) -> Array:
        """An uninitialized array for a spectrum."""
        return np.empty((planes, 2, self.frequencies, batch), self._dtype)

    def forward(self, x: Array, spectrum: Array) -> Calls:
        """spectrum = the transform of x (planes, <= height, <= width, N), zero-padded."""
        planes, height, width, batch = x.shape
        rows = np.empty((planes, height, 2 * self.half_width, batch), self._dtype)
        matrix = self._down.reshape(2, self.height, self.height, 2)[:, :, :height]
        matrix = np.ascontiguousarray(matrix.reshape(2 * self.height, 2 * height))
        return [
            call(np.matmul, np.ascontiguousarray(self._across[:, :width]), x, out=rows),
            call(
                np.matmul,
                matrix,
                rows.reshape(planes, 2 * height, -1),
                out=spectrum.reshape(planes, 2 * self.height, -1),
            ),
        ]

    def inverse(self, spectrum: Array, x: Array, first: int = 0) -> Calls:
        """x (planes, h, w, N) = the inverse transform, from row and column `first` on."""
        planes, height, width, batch = x.shape
        down, along = slice(first, first + height), slice(first, first + width)
        rows = np.empty((planes, height, 2 * self.half_width, batch), self._dtype)
        # Rows of the result alternate real and imaginary parts; columns are all real parts, then all imaginary
        # ones.
        matrix = self._back_down.reshape(2, self.height, self.height, 2)[:, down].transpose(1, 0, 3, 2)
        matrix = np.ascontiguousarray(matrix.reshape(2 * height, 2 * self.height))
        return [
            call(
                np.matmul,
                matrix,
                spectrum.reshape(planes, 2 * self.height, -1),
                out=rows.reshape(planes, 2 * height, -1),
            ),
            call(np.matmul, self._back_across[along], rows, out=x),
        ]


class FourierConvolution:
    """Convolution with stride 1 in the frequency domain; see Ops.convolution. Where all values of a pooling window
    are equal, rounding may differ, so that max pooling selects another of them than after the direct convolution.

    At every frequency, the spectra of the maps X (C) and the kernels W (F, C) are multiplied as Y = conj(W) X, one
    complex matrix product, written as a real one of twice the size; likewise dX = W' dY and dW = X conj(dY). The
    bias and its gradient are at frequency 0.
    """

    def __init__(self, x: Array, matrix: Array, y: Array, spec: ConvSpec) -> None:
        size = spec.kernel_size
        in_channels, height, width, batch = x.shape
        out_channels = len(y)
        self._x, self._matrix, self._y = x, matrix, y
        self._size, self._padding, self._normalizer = size, spec.padding, spec.normalizer
        self._fan_in = in_channels * size * size
        self._transform = transform = RealDFT(height, width, x.dtype)
        self._maps, self._sums = (
            transform.empty_spectrum(in_channels, batch),
            transform.empty_spectrum(out_channels, batch),
        )
        # The kernels as one plane, with the C x F channel pairs in place of the examples of a batch.
        self._kernels = np.empty((1, size, size, out_channels * in_channels), x.dtype)
        self._kernel_spectrum = transform.empty_spectrum(1, out_channels * in_channels)
        self._products = np.empty((transform.frequencies, out_channels, 2, in_channels, 2), x.dtype)

    def forward(self) -> Calls:
        transform, out_channels, in_channels = self._transform, len(self._sums), len(self._maps)
        weights = self._matrix[:, : self._fan_in].reshape(out_channels, in_channels, self._size, self._size)
        by_offset = self._kernels.reshape(self._size, self._size, out_channels, in_channels).transpose(2, 3, 0, 1)
        calls = [call(np.multiply, weights, weights.dtype.type(1 / self._normalizer), out=by_offset)]
        calls += transform.forward(self._kernels, self._kernel_spectrum)
        real, imaginary = self._kernel_spectrum.reshape(2, -1, out_channels, in_channels)
        products = self._products
        calls += [
            plain_call(np.copyto, products[:, :, 0, :, 0], real),
            plain_call(np.copyto, products[:, :, 1, :, 1], real),
            plain_call(np.copyto, products[:, :, 0, :, 1], imaginary),
            call(np.negative, imaginary, out=products[:, :, 1, :, 0]),
        ]
        calls += transform.forward(self._x, self._maps)
        calls.append(
            call(np.matmul, self._matrices(products), _by_frequency(self._maps), out=_by_frequency(self._sums))
        )
        if self._matrix.shape[1] > self._fan_in:
            constant, area = self._sums[:, 0, 0], transform.height * transform.width
            bias = np.empty((out_channels, 1), constant.dtype)
            calls.append(call(np.multiply, self._matrix[:, -1:], constant.dtype.type(area), out=bias))
            calls.append(call(np.add, constant, bias, out=constant))
        return calls + transform.inverse(self._sums, self._y)

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        transform = self._transform
        dsums = np.empty_like(self._sums)
        calls = transform.forward(dy, dsums)
        if dx is not None:
            dmaps = np.empty_like(self._maps)
            transposed = self._matrices(self._products).transpose(0, 2, 1)
            calls.append(call(np.matmul, transposed, _by_frequency(dsums), out=_by_frequency(dmaps)))
            calls += transform.inverse(dmaps, dx, self._padding)
        if dmatrix is not None:
            calls += self._kernel_gradient(dsums, dmatrix)
        return calls

    def _kernel_gradient(self, dsums: Array, dmatrix: Array) -> Calls:
        out_channels, in_channels = len(self._sums), len(self._maps)
        pairs, dspectrum = np.empty_like(self._products), np.empty_like(self._kernel_spectrum)
        real, imaginary = dspectrum.reshape(2, -1, out_channels, in_channels)
        dkernels = np.empty_like(self._kernels)
        by_offset = dkernels.reshape(self._size, self._size, out_channels, in_channels).transpose(2, 3, 0, 1)
        dweights = dmatrix[:, : self._fan_in].reshape(out_channels, in_channels, self._size, self._size)
        maps = _by_frequency(self._maps).transpose(0, 2, 1)
        calls = [
            call(np.matmul, _by_frequency(dsums), maps, out=self._matrices(pairs)),
            call(np.add, pairs[:, :, 0, :, 0], pairs[:, :, 1, :, 1], out=real),
            call(np.subtract, pairs[:, :, 0, :, 1], pairs[:, :, 1, :, 0], out=imaginary),
            *self._transform.inverse(dspectrum, dkernels),
            call(np.multiply, by_offset, dkernels.dtype.type(1 / self._normalizer), out=dweights),
        ]
        if dmatrix.shape[1] > self._fan_in:
            calls.append(plain_call(np.sum, dsums[:, 0, 0], axis=1, out=dmatrix[:, -1]))
        return calls

    def _matrices(self, products: Array) -> Array:
        return products.reshape(len(products), 2 * len(self._sums), 2 * len(self._maps))


def _complex(real: Array, imaginary: Array) -> Array:
    """A complex matrix (m, n) as a real one (2m, 2n), whose input alternates real and imaginary parts and whose
    output is all real parts, then all imaginary parts."""
    return np.concatenate([np.stack([real, -imaginary], 2), np.stack([imaginary, real], 2)]).reshape(
        2 * len(real), -1
    )


def _by_frequency(spectrum: Array) -> Array:
    """A view of a spectrum (planes, 2, frequencies, N) as one matrix (2 * planes, N) for each frequency, with
    alternating real and imaginary rows."""
    planes, _, frequencies, batch = spectrum.shape
    _, row, along, inner = spectrum.strides
    return as_strided(spectrum, (frequencies, 2 * planes, batch), (along, row, inner))
