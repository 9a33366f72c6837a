"""Ops: the array operations that layers and optimizers use, implemented in numpy/ (NumpyOps) and cuda/ (CudaOps).

An operation takes allocated arrays and returns a list of prepared calls; replaying them fills the output from the
inputs. Preparing allocates all scratch memory, replaying allocates none. An operation with a gradient is a
DifferentiableOp, which keeps what its backward pass needs.

Arrays are batch-last: feature maps (C, H, W, N), vectors (n, N). Every shifted window of a map is then a view whose
innermost run of W*N (or N) values is contiguous, so that windows, pooling and gradients run at memory speed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol, TypeAlias

import numpy as np

Array: TypeAlias = Any
Call: TypeAlias = tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]
Calls: TypeAlias = list[Call]
HostArray: TypeAlias = "np.ndarray[Any, Any]"


@dataclass(frozen=True)
class ConvSpec:
    """A convolution: kernels of kernel_size x kernel_size, padding on each side, and what sums are divided by."""

    kernel_size: int
    stride: int = 1
    padding: int = 0
    normalizer: int = 1


@dataclass(frozen=True)
class PoolSpec:
    """Pooling over windows of size x size."""

    size: int
    stride: int


@dataclass(frozen=True)
class ActivationFunction:
    """An elementwise function by name: relu, leaky_relu, tanh, sigmoid. slope: for negative x, of leaky_relu.

    Each backend has a table of these names; an unknown one raises ValueError.
    """

    name: str
    slope: float = 0.0


def unknown_activation(name: str, known: Iterable[str]) -> ValueError:
    """The error for a name that is not in a backend's table."""
    return ValueError(f"There is no activation function called {name!r} here; there are {', '.join(known)}.")


@dataclass(frozen=True)
class UpdateArrays:
    """The arrays of an optimizer step, flat (n,), contiguous and of equal length unless stated.

    values, gradients: of the parameters.
    decay_mask: 1 where weight decay applies, 0 for biases and frozen layers.
    state: the optimizer state, by name.
    count: (1,) of the values' dtype, number of steps made.
    rates: (steps,); step_index: (1,) int64. The learning rate of the step is rates[step_index[0]].
    """

    values: Array
    gradients: Array
    decay_mask: Array
    state: dict[str, Array]
    count: Array
    rates: Array
    step_index: Array


def replay(calls: Iterable[Call]) -> None:
    """Execute prepared calls in order."""
    for function, arguments, keywords in calls:
        function(*arguments, **keywords)


def iter_slices(run_until: Callable[[float], bool], seconds: float) -> Iterator[None]:
    """Execute calls prepared by Ops.in_slices, yielding about every `seconds` until all are done."""
    while not run_until(perf_counter() + seconds):
        yield


class DifferentiableOp(Protocol):
    """An operation with a gradient. `backward` is called at most once, after `forward`."""

    def forward(self) -> Calls:
        """Calls that fill the output."""
        ...

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        """Calls that fill dx, unless it is None, from dy and what the last forward pass stored."""
        ...


class ConvolutionOp(Protocol):
    """A differentiable operation with a weight matrix."""

    def forward(self) -> Calls:
        """Calls that fill the output."""
        ...

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        """Calls that fill dx (without the padding of x) and dmatrix, each unless it is None."""
        ...


class _ConvThenPool:
    """A convolution followed by pooling; dmaps: scratch array for the gradient of the maps in between."""

    def __init__(self, convolution: ConvolutionOp, pool: DifferentiableOp, dmaps: Array | None) -> None:
        self._convolution, self._pool, self._dmaps = convolution, pool, dmaps

    def forward(self) -> Calls:
        return self._convolution.forward() + self._pool.forward()

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        return self._pool.backward(dy, self._dmaps) + self._convolution.backward(self._dmaps, dx, dmatrix)


class NormalizationOp(Protocol):
    """A differentiable operation with parameters and running statistics."""

    def forward(self) -> Calls:
        """Calls that fill the output."""
        ...

    def backward(self, dy: Array, dx: Array | None, dparameters: Array | None) -> Calls:
        """Calls that fill dx and dparameters, each unless it is None."""
        ...

    def update_running_statistics(self, buffers: Array, momentum: float) -> Calls:
        """Calls that update the running statistics from the last forward pass; see Ops.batch_norm."""
        ...


class HostInput(Protocol):
    """Copies host values into an array at the start of a program; `calls` come first in the program."""

    calls: Calls

    def write(self, values: HostArray) -> None:
        """Set the values, of the array's shape and any strides, for the next run. Waits for the last run."""
        ...


class HostOutput(Protocol):
    """Copies arrays to the host at the end of a program; `calls` come last in the program."""

    calls: Calls

    def read(self) -> list[HostArray]:
        """Copies of the arrays as of the end of the last run, for which it waits."""
        ...


class Ops(ABC):
    """The array operations of one backend.

    zeros, full, from_host, to_host and upload take effect at once; all others return prepared calls.
    """

    @abstractmethod
    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """A new array of zeros."""

    @abstractmethod
    def full(self, shape: tuple[int, ...], value: float, dtype: Any) -> Array:
        """A new array filled with `value`."""

    @abstractmethod
    def from_host(self, values: HostArray) -> Array:
        """A new array of this backend with the same values."""

    @abstractmethod
    def to_host(self, array: Array) -> HostArray:
        """A copy as a NumPy array."""

    @abstractmethod
    def upload(self, values: HostArray, target: Array) -> None:
        """target = values, of any strides."""

    @abstractmethod
    def host_input(self, target: Array) -> HostInput:
        """An input of a program that writes to `target`."""

    @abstractmethod
    def host_output(self, sources: Sequence[Array]) -> HostOutput:
        """An output of a program that reads `sources`."""

    @abstractmethod
    def in_parallel(self, call_lists: Sequence[Calls]) -> Calls:
        """Calls that execute independent lists of calls, in parallel where that is faster."""

    @abstractmethod
    def in_slices(self, call_lists: Sequence[Calls]) -> Callable[[float], bool]:
        """`in_parallel` in time slices: the returned function resumes until perf_counter() reaches its argument, or
        slightly later, and returns whether all calls are done."""

    # -- elementwise and matrices ----------------------------------------------------------------------------------

    @abstractmethod
    def fill(self, target: Array, value: float) -> Calls:
        """Set all elements of `target` to `value`."""

    @abstractmethod
    def copy(self, source: Array, target: Array) -> Calls:
        """target = source, of the same shape and any strides."""

    @abstractmethod
    def add(self, left: Array, right: Array, out: Array) -> Calls:
        """out = left + right, of the same shape and any strides; out may be one of them."""

    @abstractmethod
    def matmul(self, left: Array, right: Array, out: Array) -> Calls:
        """out = left @ right, for matrices (m, k) @ (k, n) of any strides; n is usually the batch."""

    @abstractmethod
    def activation(self, function: ActivationFunction, x: Array, y: Array) -> Calls:
        """y = f(x), elementwise: relu max(x, 0); leaky_relu x where x > 0, else slope * x; tanh;
        sigmoid 1 / (1 + exp(-x))."""

    @abstractmethod
    def activation_gradient(self, function: ActivationFunction, y: Array, dy: Array, dx: Array) -> Calls:
        """dx = dy * f'(x), computed from y alone: relu and leaky_relu by y > 0 (at 0 the left slope: 0, or slope);
        tanh 1 - y^2; sigmoid y * (1 - y). dx may be dy."""

    @abstractmethod
    def softmax_cross_entropy(
        self, scores: Array, targets: Array, votes: Array, loss: Array, dscores: Array, total: int
    ) -> Calls:
        """Softmax (classes, N), cross-entropy loss (N,) and the gradient of sum(loss) / total.

        scores: logits (classes, N). targets: class probabilities (classes, N), which sum to one.
        votes = exp(s - max s) / sum; loss = -sum(t log votes); dscores = (votes - t) / total.
        log votes is computed as s - max s - log(sum exp), which stays finite.
        """

    # -- feature maps -------------------------------------------------------------------------------------------

    @abstractmethod
    def convolution(self, x: Array, matrix: Array, y: Array, spec: ConvSpec) -> ConvolutionOp:
        """y[f] = sum(kernel f * window) / normalizer + bias[f] (cross-correlation).

        x: (C, H, W, N), already padded on each side; its gradient is computed without the padding.
        matrix: (F, C*kernel_size^2 [+ 1]), a row for each kernel, the bias last if there is one.
        y: (F, H', W', N), possibly a non-contiguous view.
        """

    def convolution_max_pool(
        self,
        x: Array,
        matrix: Array,
        y: Array,
        spec: ConvSpec,
        conv_shape: tuple[int, ...],
        pool: PoolSpec,
        needs_gradient: bool,
    ) -> ConvolutionOp:
        """max_pool(convolution(x)); see both.

        conv_shape: (F, H', W'), the output of the convolution for one example.
        needs_gradient: whether backward will be called.

        A fused implementation adds the bias after the maximum, so that of values which differ by less than a
        rounding error another one may be the maximum. This default runs the two one after the other.
        """
        maps = self.zeros((*conv_shape, x.shape[-1]), x.dtype)
        dmaps = self.zeros(maps.shape, x.dtype) if needs_gradient else None
        convolution = self.convolution(x, matrix, maps, spec)
        return _ConvThenPool(convolution, self.max_pool(maps, y, pool), dmaps)

    @abstractmethod
    def max_pool(self, x: Array, y: Array, spec: PoolSpec) -> DifferentiableOp:
        """y = the maximum of each window; windows past the right or bottom edge use the values that exist.

        x: (C, H, W, N), y: (C, H', W', N). The gradient goes to the maximum of a window, of equal values to the
        first in row-major order. dx is 0 outside all windows.
        """

    @abstractmethod
    def average_pool(self, x: Array, y: Array, spec: PoolSpec) -> DifferentiableOp:
        """y = the mean of each window; windows past the edge average the values that exist.

        x: (C, H, W, N), y: (C, H', W', N). dx is 0 outside all windows.
        """

    @abstractmethod
    def global_average_pool(self, x: Array, y: Array) -> DifferentiableOp:
        """y[c] = the mean of map c. x: (C, H, W, N), y: (C, N)."""

    @abstractmethod
    def dropout(self, x: Array, y: Array, rate: float, key: int, rng_counter: Array) -> DifferentiableOp:
        """y = x / (1 - rate) for values that are kept, else 0 (inverted dropout, Srivastava et al. 2014).

        x, y: any shape (..., N).
        key: uint32 seed of the layer.
        rng_counter: (2,) uint32, the step and the position of the first example in the batch.

        The random number of element v (its row-major index within an example) of example n is
            h = mix(mix(mix(key + rng_counter[0] * 0x9E3779B9) + rng_counter[1] + n) + v), kept if h >= rate * 2^32
        in wrapping uint32 arithmetic: a counter-based generator, so the result depends on neither the batch chunks
        nor the backend. mix(h): h ^= h >> 16; h *= 0x7FEB352D; h ^= h >> 15; h *= 0x846CA68B;
        h ^= h >> 16 (Ellis's "lowbias32").
        """

    @abstractmethod
    def batch_norm(
        self, x: Array, parameters: Array, buffers: Array, y: Array, epsilon: float, training: bool
    ) -> NormalizationOp:
        """y[c] = weight[c] * (x[c] - mean[c]) / sqrt(variance[c] + epsilon) + bias[c] (Ioffe and Szegedy 2015).

        x, y: (C, H, W, N).
        parameters: (2, C), weights and biases.
        buffers: (2, C), running means and variances.
        training: use the batch's mean and (biased) variance, with gradients through both; otherwise the running
        statistics.

        update_running_statistics: running = (1 - momentum) * running + momentum * batch, with the unbiased variance
        (divided by m - 1, by m if m is 1), as in PyTorch.
        """

    # -- training -----------------------------------------------------------------------------------------------

    @abstractmethod
    def gather_batch(self, table: Array, order: Array, step_index: Array, first: int, out: Array) -> Calls:
        """out[..., n] = table[order[step_index[0], first + n], ...]: part of a mini-batch.

        table: (examples, ...), with the other axes of out.
        order: (steps, batch) int64, example indices.
        step_index: (1,) int64, the current row of `order`.
        out: (..., N), possibly a non-contiguous view.
        """

    @abstractmethod
    def advance_counters(self, step_index: Array, rng_counter: Array, is_finite: Array) -> Calls:
        """step_index[0] += 1 and rng_counter[0] += 1 if is_finite[0] != 0."""

    @abstractmethod
    def check_finite(self, arrays: Sequence[Array], is_finite: Array) -> Calls:
        """is_finite[0] = 0 if any value is NaN or infinite, else unchanged. is_finite: (1,) int32."""

    @abstractmethod
    def restore_if(self, is_finite: Array, when: int, source: Array, target: Array) -> Calls:
        """target = source if is_finite[0] == when; both one-dimensional and contiguous."""

    @abstractmethod
    def store_loss(self, loss: Array, step_index: Array, losses: Array) -> Calls:
        """losses[step_index[0]] = mean(loss). loss: (N,), losses: (steps,)."""

    @abstractmethod
    def clip_norm(self, gradients: Array, limit: float) -> Calls:
        """gradients *= min(1, limit / norm), with the Euclidean norm of the one-dimensional `gradients`."""

    @abstractmethod
    def add_l2_gradient(self, values: Array, weights: Array, strength: float, gradients: Array) -> Calls:
        """gradients += strength * weights * values: the gradient of strength / 2 * sum(weights * values^2). All
        one-dimensional."""

    @abstractmethod
    def weight_decay(
        self, values: Array, weights: Array, strength: float, rates: Array, step_index: Array
    ) -> Calls:
        """values -= rates[step_index[0]] * strength * weights * values: decoupled weight decay (Loshchilov and
        Hutter 2019). All one-dimensional."""

    @abstractmethod
    def sgd(self, arrays: UpdateArrays, momentum: float, nesterov: bool) -> Calls:
        """v = momentum * v - rate * g; w += v, or with nesterov w += momentum * v - rate * g; rate =
        rates[step_index[0]]. v is the state `velocity`; its elements below 1e-30 may be set to 0."""

    @abstractmethod
    def adam(self, arrays: UpdateArrays, beta1: float, beta2: float, epsilon: float) -> Calls:
        """count += 1; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
        w -= rate * (m / (1 - b1^count)) / (sqrt(v / (1 - b2^count)) + epsilon); rate = rates[step_index[0]].
        m and v are the states `mean` and `square`; their elements below 1e-30 may be set to 0 (Kingma and Ba
        2015)."""
