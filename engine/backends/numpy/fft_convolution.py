"""Convolution on NumPy in the frequency domain: for large features it multiplies several times less. The transforms
are matrix products, not fast ones: at these sizes a matrix product is quicker, and the batch lies innermost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.backends.numpy.calls import call, run
from engine.backends.ops import Array, Calls


class Transform:
    """The discrete Fourier transform of real planes of up to `height` x `width`, and its inverse.

    X[u, v] = sum over i, j of x[i, j] * exp(-2 pi i (u i / height + v j / width)), for v up to width // 2: the rest
    mirrors them. A spectrum lies as (planes, 2, height * half, N): real parts, then imaginary ones.
    """

    def __init__(self, height: int, width: int, dtype: Any) -> None:
        self.height, self.width, self.half = height, width, width // 2 + 1
        self.frequencies = height * self.half
        self._dtype = dtype
        across = np.outer(np.arange(self.half), np.arange(width)) * (2 * np.pi / width)
        down = np.outer(np.arange(height), np.arange(height)) * (2 * np.pi / height)
        self._across = np.concatenate([np.cos(across), -np.sin(across)]).astype(dtype)
        self._down = _complex(np.cos(down), -np.sin(down)).astype(dtype)
        # Every frequency but the first, and the middle one of an even width, stands for its mirror image too.
        twice = np.where((np.arange(self.half) == 0) | (2 * np.arange(self.half) == width), 1, 2)[:, None]
        back = np.concatenate([twice * np.cos(across), -twice * np.sin(across)]).T / (height * width)
        self._back_across = np.ascontiguousarray(back, dtype)
        self._back_down = _complex(np.cos(down), np.sin(down)).astype(dtype)

    def spectrum(self, planes: int, batch: int) -> Array:
        """Memory for a spectrum."""
        return np.empty((planes, 2, self.frequencies, batch), self._dtype)

    def forward(self, x: Array, spectrum: Array) -> Calls:
        """spectrum = the transform of x (planes, at most height, at most width, N), with zeros beyond it."""
        planes, height, width, batch = x.shape
        rows = np.empty((planes, height, 2 * self.half, batch), self._dtype)
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
        """x (planes, h, w, N) = what has this spectrum, from row and column `first` on."""
        planes, height, width, batch = x.shape
        down, along = slice(first, first + height), slice(first, first + width)
        rows = np.empty((planes, height, 2 * self.half, batch), self._dtype)
        # Rows of the result alternate real and imaginary parts, columns have one after the other.
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
    """See Operations.convolution; with stride 1. Where all values of a window are equal, results may differ in the
    last digits, so a pool may choose another of them than after the direct convolution.

    At every frequency the maps' spectra X (C) and the features' W (F, C) meet in one complex product Y = conj(W) X,
    written as a real one of twice the sides; dX = W' dY and dW = X conj(dY) likewise. The bias, and its gradient,
    lie in frequency 0.
    """

    def __init__(self, x: Array, matrix: Array, y: Array, size: int, margin: int, divisor: int) -> None:
        channels, height, width, batch = x.shape
        features = len(y)
        self._x, self._matrix, self._y = x, matrix, y
        self._size, self._margin, self._divisor = size, margin, divisor
        self._taps = channels * size * size
        self._transform = transform = Transform(height, width, x.dtype)
        self._maps, self._sums = transform.spectrum(channels, batch), transform.spectrum(features, batch)
        # The features as one plane, with one of their C x F kernels in place of each example of a batch.
        self._kernels = np.empty((1, size, size, features * channels), x.dtype)
        self._kernel_spectrum = transform.spectrum(1, features * channels)
        self._products = np.empty((transform.frequencies, features, 2, channels, 2), x.dtype)

    def forward(self) -> Calls:
        """The calls that fill y."""
        transform, features, channels = self._transform, len(self._sums), len(self._maps)
        weights = self._matrix[:, : self._taps].reshape(features, channels, self._size, self._size)
        by_place = self._kernels.reshape(self._size, self._size, features, channels).transpose(2, 3, 0, 1)
        calls = [call(np.multiply, weights, weights.dtype.type(1 / self._divisor), out=by_place)]
        calls += transform.forward(self._kernels, self._kernel_spectrum)
        real, imaginary = self._kernel_spectrum.reshape(2, -1, features, channels)
        products = self._products
        calls += [
            run(np.copyto, products[:, :, 0, :, 0], real),
            run(np.copyto, products[:, :, 1, :, 1], real),
            run(np.copyto, products[:, :, 0, :, 1], imaginary),
            call(np.negative, imaginary, out=products[:, :, 1, :, 0]),
        ]
        calls += transform.forward(self._x, self._maps)
        calls.append(
            call(np.matmul, self._matrices(products), _by_frequency(self._maps), out=_by_frequency(self._sums))
        )
        if self._matrix.shape[1] > self._taps:
            constant, area = self._sums[:, 0, 0], transform.height * transform.width
            bias = np.empty((features, 1), constant.dtype)
            calls.append(call(np.multiply, self._matrix[:, -1:], constant.dtype.type(area), out=bias))
            calls.append(call(np.add, constant, bias, out=constant))
        return calls + transform.inverse(self._sums, self._y)

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        """The calls that fill dmatrix and dx from dy and the last forward pass."""
        transform = self._transform
        dsums = np.empty_like(self._sums)
        calls = transform.forward(dy, dsums)
        if dx is not None:
            dmaps = np.empty_like(self._maps)
            turned = self._matrices(self._products).transpose(0, 2, 1)
            calls.append(call(np.matmul, turned, _by_frequency(dsums), out=_by_frequency(dmaps)))
            calls += transform.inverse(dmaps, dx, self._margin)
        if dmatrix is not None:
            calls += self._feature_gradient(dsums, dmatrix)
        return calls

    def _feature_gradient(self, dsums: Array, dmatrix: Array) -> Calls:
        features, channels = len(self._sums), len(self._maps)
        pairs, dspectrum = np.empty_like(self._products), np.empty_like(self._kernel_spectrum)
        real, imaginary = dspectrum.reshape(2, -1, features, channels)
        dkernels = np.empty_like(self._kernels)
        by_place = dkernels.reshape(self._size, self._size, features, channels).transpose(2, 3, 0, 1)
        dweights = dmatrix[:, : self._taps].reshape(features, channels, self._size, self._size)
        maps = _by_frequency(self._maps).transpose(0, 2, 1)
        calls = [
            call(np.matmul, _by_frequency(dsums), maps, out=self._matrices(pairs)),
            call(np.add, pairs[:, :, 0, :, 0], pairs[:, :, 1, :, 1], out=real),
            call(np.subtract, pairs[:, :, 0, :, 1], pairs[:, :, 1, :, 0], out=imaginary),
            *self._transform.inverse(dspectrum, dkernels),
            call(np.multiply, by_place, dkernels.dtype.type(1 / self._divisor), out=dweights),
        ]
        if dmatrix.shape[1] > self._taps:
            calls.append(run(np.sum, dsums[:, 0, 0], axis=1, out=dmatrix[:, -1]))
        return calls

    def _matrices(self, products: Array) -> Array:
        return products.reshape(len(products), 2 * len(self._sums), 2 * len(self._maps))


def _complex(real: Array, imaginary: Array) -> Array:
    """A complex matrix (m, n) as a real one (2m, 2n) that takes columns' real and imaginary parts alternating, and
    gives all real parts of the rows, then all imaginary ones."""
    return np.concatenate([np.stack([real, -imaginary], 2), np.stack([imaginary, real], 2)]).reshape(
        2 * len(real), -1
    )


def _by_frequency(spectrum: Array) -> Array:
    """A spectrum (planes, 2, frequencies, N) seen as one matrix (2 * planes, N) for each frequency, a real and an
    imaginary row in turn."""
    planes, _, frequencies, batch = spectrum.shape
    _, row, along, inner = spectrum.strides
    return as_strided(spectrum, (frequencies, 2 * planes, batch), (along, row, inner))
