"""Training operations on NumPy: gathering mini-batches, finiteness checks, gradient clipping, optimizer updates."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np

from engine.backends.numpy.calls import aligned_zeros, call, plain_call
from engine.backends.ops import Array, Call, Calls, UpdateArrays

# Optimizer state below FLUSH_BELOW is set to 0 every FLUSH_EVERY steps: in so few steps a momentum of 0.9 does not
# shrink it to a subnormal float32.
FLUSH_BELOW, FLUSH_EVERY = 1e-30, 64


def gather_batch(table: Array, order: Array, step_index: Array, first: int, out: Array) -> Calls:
    target, last = np.moveaxis(out, -1, 0), first + out.shape[-1]
    picked = aligned_zeros(target.shape, table.dtype)
    spaced = _spaced(picked)

    def pick() -> None:
        table.take(order[step_index[0], first:last], 0, picked, "clip")
        np.copyto(spaced, picked)
        np.copyto(target, spaced)

    def pick_directly() -> None:
        table.take(order[step_index[0], first:last], 0, picked, "clip")
        np.copyto(target, picked)

    return [plain_call(pick_directly if spaced is picked else pick)]


def _spaced(examples: Array) -> Array:
    """An array like `examples` whose first stride is not a large power of two: otherwise the same element of each
    example maps to the same cache set, and is read five times slower."""
    pitch = examples.strides[0]
    if len(examples) < 8 or pitch % 1024:
        return examples
    padded = aligned_zeros((len(examples), pitch + 64), np.uint8)
    return padded[:, :pitch].view(examples.dtype).reshape(examples.shape)


def advance_counters(step_index: Array, rng_counter: Array, is_finite: Array) -> Calls:
    def count() -> None:
        if is_finite[0]:
            step_index[0] += 1
            rng_counter[0] += np.uint32(1)

    return [plain_call(count)]


def check_finite(arrays: Sequence[Array], is_finite: Array) -> Calls:
    def test() -> None:
        # A finite sum means that all values are finite; only otherwise are they tested one by one.
        for array in arrays:
            if not isfinite(np.add.reduce(array, axis=None)) and not np.isfinite(array).all():
                is_finite[0] = 0

    return [plain_call(test)]


def restore_if(is_finite: Array, when: int, source: Array, target: Array) -> Calls:
    def restore() -> None:
        if is_finite[0] == when:
            np.copyto(target, source)

    return [plain_call(restore)]


def store_loss(loss: Array, step_index: Array, losses: Array) -> Calls:
    share = loss.dtype.type(1 / len(loss))

    def store() -> None:
        losses[step_index[0]] = np.add.reduce(loss) * share

    return [plain_call(store)]


def clip_norm(gradients: Array, limit: float) -> Calls:
    def rescale() -> None:
        norm = float(np.sqrt(np.dot(gradients, gradients)))
        if not np.isfinite(norm):  # the sum of squares may have overflowed float32
            norm = float(np.linalg.norm(gradients.astype(np.float64)))
        if norm > limit:
            np.multiply(gradients, gradients.dtype.type(limit / norm), out=gradients)

    return [plain_call(rescale)]


def add_l2_gradient(values: Array, weights: Array, strength: float, gradients: Array) -> Calls:
    factors, work = weights * values.dtype.type(strength), np.empty_like(values)
    return [call(np.multiply, values, factors, out=work), call(np.add, gradients, work, out=gradients)]


def weight_decay(values: Array, weights: Array, strength: float, rates: Array, step_index: Array) -> Calls:
    factors, work = weights * values.dtype.type(strength), np.empty_like(values)

    def shrink() -> None:
        np.multiply(values, factors, out=work)
        np.multiply(work, rates[step_index[0]], out=work)
        np.subtract(values, work, out=values)

    return [plain_call(shrink)]


def sgd(arrays: UpdateArrays, momentum: float, nesterov: bool) -> Calls:
    values, gradients, velocity = arrays.values, arrays.gradients, arrays.state["velocity"]
    rates, step_index = arrays.rates, arrays.step_index
    step, decay = np.empty_like(values), values.dtype.type(momentum)

    def update() -> None:
        np.multiply(velocity, decay, out=velocity)
        np.multiply(gradients, rates[step_index[0]], out=step)
        np.subtract(velocity, step, out=velocity)
        if nesterov:
            np.subtract(values, step, out=values)
            np.multiply(velocity, decay, out=step)
            np.add(values, step, out=values)
        else:
            np.add(values, velocity, out=values)

    return [plain_call(update), _flush(velocity, step_index)]


def adam(arrays: UpdateArrays, beta1: float, beta2: float, epsilon: float) -> Calls:
    values, gradients, count = arrays.values, arrays.gradients, arrays.count
    mean, square = arrays.state["mean"], arrays.state["square"]
    rates, step_index = arrays.rates, arrays.step_index
    number = values.dtype.type
    step, size = np.empty_like(values), np.empty_like(values)

    def update() -> None:
        count[0] += 1
        np.multiply(mean, number(beta1), out=mean)
        np.multiply(gradients, number(1 - beta1), out=step)
        np.add(mean, step, out=mean)
        np.multiply(square, number(beta2), out=square)
        np.multiply(gradients, gradients, out=size)
        np.multiply(size, number(1 - beta2), out=size)
        np.add(square, size, out=square)
        np.multiply(square, number(1 / (1 - beta2 ** float(count[0]))), out=size)
        np.sqrt(size, out=size)
        np.add(size, number(epsilon), out=size)
        np.divide(mean, size, out=step)
        np.multiply(step, number(float(rates[step_index[0]]) / (1 - beta1 ** float(count[0]))), out=step)
        np.subtract(values, step, out=values)

    return [plain_call(update), _flush(mean, step_index), _flush(square, step_index)]


def _flush(state: Array, step_index: Array) -> Call:
    """A call that sets tiny values of an optimizer's state to 0 every FLUSH_EVERY steps.

    Without a gradient, a weight's moments shrink with every step to subnormal numbers, which the CPU handles a
    hundred times slower: with three quarters of the default network's hidden values dead, that cost a sixth of
    every step.
    """
    size, small = np.empty_like(state), np.empty(state.shape, bool)

    def flush() -> None:
        if step_index[0] % FLUSH_EVERY == 0:
            np.less(np.abs(state, out=size), FLUSH_BELOW, out=small)
            state[small] = 0

    return plain_call(flush)
