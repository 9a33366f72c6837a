"""Operations: the arithmetic that every layer and optimizer is written on. What is here is what each operation
means; how it is done is array_operations (NumPy) and kernels (CUDA).

An operation takes arrays that already exist and gives back the list of calls that, replayed, fill the output array
from the input arrays. Making it allocates whatever it needs; replaying allocates nothing. An operation with two
directions is a TwoWay, which remembers between forward and backward what backward needs.

Arrays lie batch-last: maps are (C, H, W, N), lists (n, N). Every shifted window of a map is then a view whose
innermost run of W*N (or N) values is contiguous, so that windows, pools and gradients move at memory speed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

Array: TypeAlias = Any
Call: TypeAlias = tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]
Calls: TypeAlias = list[Call]
HostArray: TypeAlias = "np.ndarray[Any, Any]"
Activation: TypeAlias = Literal["relu", "leaky_relu", "tanh", "sigmoid"]


def replay(calls: Iterable[Call]) -> None:
    """Make the prepared calls, in order."""
    for function, arguments, keywords in calls:
        function(*arguments, **keywords)


def slices(go_on: Callable[[float], bool], seconds: float) -> Iterator[None]:
    """Makes calls that were `sliced`; yields about every `seconds` until all are made."""
    while not go_on(perf_counter() + seconds):
        yield


class TwoWay(Protocol):
    """An operation with a backward direction. `backward` is asked for at most once, after `forward`."""

    def forward(self) -> Calls:
        """The calls that fill the output."""
        ...

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        """The calls that fill dx, unless it is None, from dy and what the last forward pass left."""
        ...


class ConvolutionTwoWay(Protocol):
    """A TwoWay that has parameters."""

    def forward(self) -> Calls:
        """The calls that fill the output."""
        ...

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        """The calls that fill dx (without the margin that x has) and dmatrix, each unless it is None."""
        ...


class _InTurn:
    """A convolution and a pool, one after the other; dmaps: memory for the gradient in between."""

    def __init__(self, convolution: ConvolutionTwoWay, pool: TwoWay, dmaps: Array | None) -> None:
        self._convolution, self._pool, self._dmaps = convolution, pool, dmaps

    def forward(self) -> Calls:
        """The calls that fill the output."""
        return self._convolution.forward() + self._pool.forward()

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        """The calls that fill dx and dmatrix."""
        return self._pool.backward(dy, self._dmaps) + self._convolution.backward(self._dmaps, dx, dmatrix)


class NormalizationTwoWay(Protocol):
    """A TwoWay that has parameters and, beside them, statistics that forward passes gather."""

    def forward(self) -> Calls:
        """The calls that fill the output."""
        ...

    def backward(self, dy: Array, dx: Array | None, dblock: Array | None) -> Calls:
        """The calls that fill dx and dblock, each unless it is None."""
        ...

    def settle(self, state: Array, momentum: float) -> Calls:
        """The calls that carry the statistics of the last forward pass into the running ones: see batch_norm."""
        ...


class Inlet(Protocol):
    """A way into an array that is part of a program: `calls`, first in it, bring over what was put there last."""

    calls: Calls

    def put(self, values: HostArray) -> None:
        """What the next run is to find in the array, of its shape, whatever their strides; after the last run."""
        ...


class Outlet(Protocol):
    """A way out of some arrays that is part of a program: `calls`, last in it, carry them over."""

    calls: Calls

    def take(self) -> list[HostArray]:
        """Copies of what the arrays held at the end of the last run, which is waited for."""
        ...


class Operations(ABC):
    """The operations of one array library.

    zeros and full make arrays; from_host, to_host and upload carry values over at once. All others give calls.
    """

    @abstractmethod
    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """A new array of zeros."""

    @abstractmethod
    def full(self, shape: tuple[int, ...], value: float, dtype: Any) -> Array:
        """A new array that holds `value` everywhere."""

    @abstractmethod
    def from_host(self, values: HostArray) -> Array:
        """The same values as a new array of this library."""

    @abstractmethod
    def to_host(self, array: Array) -> HostArray:
        """A copy of the values for NumPy."""

    @abstractmethod
    def upload(self, values: HostArray, target: Array) -> None:
        """target = values, at once, whatever their strides."""

    @abstractmethod
    def inlet(self, target: Array) -> Inlet:
        """A way into `target` for programs."""

    @abstractmethod
    def outlet(self, sources: Sequence[Array]) -> Outlet:
        """A way out of `sources` for programs."""

    @abstractmethod
    def together(self, lanes: Sequence[Calls]) -> Calls:
        """The calls that make several independent lists of calls, at the same time where that is faster."""

    @abstractmethod
    def sliced(self, lanes: Sequence[Calls]) -> Callable[[float], bool]:
        """`together` in slices: each time what is returned is called, it goes on until perf_counter() has come to
        the number given, or a little further, and says whether all is done."""

    # -- values and lists ---------------------------------------------------------------------------------------

    @abstractmethod
    def fill(self, target: Array, value: float) -> Calls:
        """target = value everywhere."""

    @abstractmethod
    def copy(self, source: Array, target: Array) -> Calls:
        """target = source, of the same shape, whatever their strides."""

    @abstractmethod
    def add(self, left: Array, right: Array, out: Array) -> Calls:
        """out = left + right, of the same shape, whatever their strides; out may be one of them."""

    @abstractmethod
    def product(self, left: Array, right: Array, out: Array) -> Calls:
        """out = left @ right, for matrices (m, k) @ (k, n), whatever their strides; n is usually the batch."""

    @abstractmethod
    def activation(self, kind: Activation, x: Array, y: Array, slope: float = 0.0) -> Calls:
        """y = f(x), value by value: relu max(x, 0); leaky_relu x where x > 0, else slope * x; tanh;
        sigmoid 1 / (1 + exp(-x))."""

    @abstractmethod
    def activation_gradient(self, kind: Activation, y: Array, dy: Array, dx: Array, slope: float = 0.0) -> Calls:
        """dx = dy * f'(x), told from y alone: relu and leaky_relu by y > 0 (at 0 the left slope: 0, or slope);
        tanh 1 - y^2; sigmoid y * (1 - y). dx may be dy."""

    @abstractmethod
    def softmax_cross_entropy(
        self, scores: Array, targets: Array, votes: Array, loss: Array, dscores: Array, total: int
    ) -> Calls:
        """Votes (classes, N), loss (N,) and the gradient of sum(loss) / total, for target shares (classes, N).

        votes = exp(s - max s) / sum; loss = -sum(t log votes); dscores = (votes - t) / total (t sums to one).
        log votes is taken as s - max s - log(sum exp), which stays finite.
        """

    # -- maps ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def convolution(
        self, x: Array, matrix: Array, y: Array, size: int, stride: int, margin: int, divisor: int
    ) -> ConvolutionTwoWay:
        """y[f] = (sum over the window of feature f x window) / divisor + bias[f].

        x: (C, H, W, N), already padded by `margin` on each side; its gradient is asked for without the margin.
        matrix: (F, C*size*size [+ 1]), the features as rows, the bias last if there is one. y: (F, H', W', N),
        maybe a view with gaps.
        """

    def convolution_max_pool(
        self,
        x: Array,
        matrix: Array,
        y: Array,
        size: int,
        stride: int,
        margin: int,
        divisor: int,
        between: tuple[int, ...],
        pool_size: int,
        pool_stride: int,
        learn: bool,
    ) -> ConvolutionTwoWay:
        """max_pool of what `convolution` gives, whose shape for one example is `between`, (F, H', W'); see both.

        learn: whether backward will be asked for. Of values whose difference is lost in rounding when the bias is
        added, another may win than one after the other. Here: one after the other, with memory for all in between.
        """
        maps = self.zeros((*between, x.shape[-1]), x.dtype)
        dmaps = self.zeros(maps.shape, x.dtype) if learn else None
        convolution = self.convolution(x, matrix, maps, size, stride, margin, divisor)
        return _InTurn(convolution, self.max_pool(maps, y, pool_size, pool_stride), dmaps)

    @abstractmethod
    def max_pool(self, x: Array, y: Array, size: int, stride: int) -> TwoWay:
        """y = the largest value of each window; windows that hang over the right or bottom edge use what is there.

        x: (C, H, W, N), y: (C, H', W', N). In the gradient the winner takes all; of equal values the first in row
        order wins. Where no window reads, dx is 0.
        """

    @abstractmethod
    def average_pool(self, x: Array, y: Array, size: int, stride: int) -> TwoWay:
        """y = the mean of each window; windows that hang over the edge take the mean of what is there.

        x: (C, H, W, N), y: (C, H', W', N). Where no window reads, dx is 0.
        """

    @abstractmethod
    def global_average(self, x: Array, y: Array) -> TwoWay:
        """y[c] = the mean of map c. x: (C, H, W, N), y: (C, N)."""

    @abstractmethod
    def dropout(self, x: Array, y: Array, rate: float, key: int, moment: Array) -> TwoWay:
        """y = x / (1 - rate) where a coin says so, else 0 (inverted dropout, Srivastava et al. 2014).

        x, y: any shape (..., N). moment: (2,) uint32, the number of the step and the place in the batch of the
        first example. The coin of value v (its place in one example, counted in row order) of example n is
            h = mix(mix(mix(key + moment[0] * 0x9E3779B9) + moment[1] + n) + v), kept if h >= rate * 2^32
        in uint32 arithmetic that wraps, so it follows from seed, step, example and place alone, however the batch
        is cut and whatever computes. mix(h): h ^= h >> 16; h *= 0x7FEB352D; h ^= h >> 15; h *= 0x846CA68B;
        h ^= h >> 16 (Ellis's "lowbias32").
        """

    @abstractmethod
    def batch_norm(
        self, x: Array, block: Array, state: Array, y: Array, epsilon: float, training: bool
    ) -> NormalizationTwoWay:
        """y[c] = weight[c] * (x[c] - mean[c]) / sqrt(variance[c] + epsilon) + bias[c] (Ioffe and Szegedy 2015).

        x, y: (C, H, W, N). block: (2, C), weights and biases. state: (2, C), running means and variances.
        training: mean and variance (divided by the count m) are those of the batch, and dx flows through them too;
        otherwise they are the running ones. settle: running = (1 - momentum) * running + momentum * of the batch,
        the variance taken with the divisor m - 1 (m if m is 1), as PyTorch does.
        """

    # -- learning -----------------------------------------------------------------------------------------------

    @abstractmethod
    def gather(self, table: Array, order: Array, clock: Array, first: int, out: Array) -> Calls:
        """out[..., n] = table[order[clock[0], first + n], ...]: part of a batch, picked from all examples.

        table: (examples, ...) whose other axes are those of out; order: (steps, batch) int64; clock: (1,) int64,
        the row of `order` that is due; out: (..., N), maybe a view with gaps.
        """

    @abstractmethod
    def advance(self, clock: Array, moment: Array, fine: Array) -> Calls:
        """clock[0] += 1 and moment[0] += 1 if fine[0] is not 0."""

    @abstractmethod
    def check(self, arrays: Sequence[Array], fine: Array) -> Calls:
        """fine[0] = 0 if any value is not a finite number; it is never set to 1. fine: (1,) int32."""

    @abstractmethod
    def choose(self, fine: Array, when: int, source: Array, target: Array) -> Calls:
        """target = source if fine[0] == when; both flat and contiguous."""

    @abstractmethod
    def record(self, loss: Array, clock: Array, losses: Array) -> Calls:
        """losses[clock[0]] = the mean of loss (N,). losses: (steps,)."""

    @abstractmethod
    def clip(self, gradients: Array, limit: float) -> Calls:
        """gradients *= min(1, limit / norm), the norm being the Euclidean one of all of them. Flat."""

    @abstractmethod
    def penalise(self, values: Array, weights: Array, strength: float, gradients: Array) -> Calls:
        """gradients += strength * weights * values: the gradient of L2, strength / 2 * sum(weights * values^2).
        Flat."""

    @abstractmethod
    def decay(self, values: Array, weights: Array, strength: float, rates: Array, clock: Array) -> Calls:
        """values -= rates[clock[0]] * strength * weights * values: decoupled decay (Loshchilov, Hutter 2019).
        Flat."""

    @abstractmethod
    def sgd(
        self,
        values: Array,
        gradients: Array,
        velocity: Array,
        momentum: float,
        nesterov: bool,
        rates: Array,
        clock: Array,
    ) -> Calls:
        """v = momentum * v - rate * g; w += v, or with nesterov w += momentum * v - rate * g; rate =
        rates[clock[0]]. Of v, what is below 1e-30 may be taken for 0.

        All flat, contiguous and equally long.
        """

    @abstractmethod
    def adam(
        self,
        values: Array,
        gradients: Array,
        mean: Array,
        square: Array,
        count: Array,
        beta1: float,
        beta2: float,
        epsilon: float,
        rates: Array,
        clock: Array,
    ) -> Calls:
        """count += 1; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
        w -= rate * (m / (1 - b1^count)) / (sqrt(v / (1 - b2^count)) + epsilon); rate = rates[clock[0]].
        Of m and v, what is below 1e-30 may be taken for 0.

        count: (1,) of the values' dtype; the others flat, contiguous and equally long. Kingma and Ba 2015.
        """
