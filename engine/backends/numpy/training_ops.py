"""What a training step does beside the passes, on NumPy: picking the batch, guarding, and moving the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np

from engine.backends.numpy import calls
from engine.backends.numpy.calls import call, run
from engine.backends.ops import Array, Call, Calls

# Of an optimizer's memory, what is below this is nothing; looked for every so many steps, in which a momentum of
# 0.9 does not bring it down to where a float32 loses its digits.
FORGOTTEN, FORGET_EVERY = 1e-30, 64


def gather(table: Array, order: Array, clock: Array, first: int, out: Array) -> Calls:
    """See Operations.gather."""
    target, last = np.moveaxis(out, -1, 0), first + out.shape[-1]
    picked = calls.zeros(target.shape, table.dtype)
    apart = _apart(picked)

    def pick() -> None:
        table.take(order[clock[0], first:last], 0, picked, "clip")
        np.copyto(apart, picked)
        np.copyto(target, apart)

    def pick_directly() -> None:
        table.take(order[clock[0], first:last], 0, picked, "clip")
        np.copyto(target, picked)

    return [run(pick_directly if apart is picked else pick)]


def _apart(examples: Array) -> Array:
    """Memory like that of `examples`, in which they do not lie a large power of two apart: the same value of each
    would share the few places of a cache that it can be in, and be read five times slower."""
    pitch = examples.strides[0]
    if len(examples) < 8 or pitch % 1024:
        return examples
    spaced = calls.zeros((len(examples), pitch + 64), np.uint8)
    return spaced[:, :pitch].view(examples.dtype).reshape(examples.shape)


def advance(clock: Array, moment: Array, fine: Array) -> Calls:
    """See Operations.advance."""

    def count() -> None:
        if fine[0]:
            clock[0] += 1
            moment[0] += np.uint32(1)

    return [run(count)]


def check(arrays: Sequence[Array], fine: Array) -> Calls:
    """See Operations.check."""

    def look() -> None:
        # A sum is finite only if all its values are; only where it is not are they looked at one by one.
        for array in arrays:
            if not isfinite(np.add.reduce(array, axis=None)) and not np.isfinite(array).all():
                fine[0] = 0

    return [run(look)]


def choose(fine: Array, when: int, source: Array, target: Array) -> Calls:
    """See Operations.choose."""

    def take() -> None:
        if fine[0] == when:
            np.copyto(target, source)

    return [run(take)]


def record(loss: Array, clock: Array, losses: Array) -> Calls:
    """See Operations.record."""

    share = loss.dtype.type(1 / len(loss))

    def write() -> None:
        losses[clock[0]] = np.add.reduce(loss) * share

    return [run(write)]


def clip(gradients: Array, limit: float) -> Calls:
    """See Operations.clip."""

    def shorten() -> None:
        norm = float(np.sqrt(np.dot(gradients, gradients)))
        if not np.isfinite(norm):  # maybe only its square is too large for a float32
            norm = float(np.linalg.norm(gradients.astype(np.float64)))
        if norm > limit:
            np.multiply(gradients, gradients.dtype.type(limit / norm), out=gradients)

    return [run(shorten)]


def penalise(values: Array, weights: Array, strength: float, gradients: Array) -> Calls:
    """See Operations.penalise."""
    factors, work = weights * values.dtype.type(strength), np.empty_like(values)
    return [call(np.multiply, values, factors, out=work), call(np.add, gradients, work, out=gradients)]


def decay(values: Array, weights: Array, strength: float, rates: Array, clock: Array) -> Calls:
    """See Operations.decay."""
    factors, work = weights * values.dtype.type(strength), np.empty_like(values)

    def shorten() -> None:
        np.multiply(values, factors, out=work)
        np.multiply(work, rates[clock[0]], out=work)
        np.subtract(values, work, out=values)

    return [run(shorten)]


def sgd(
    values: Array,
    gradients: Array,
    velocity: Array,
    momentum: float,
    nesterov: bool,
    rates: Array,
    clock: Array,
) -> Calls:
    """See Operations.sgd."""
    pull, keep = np.empty_like(values), values.dtype.type(momentum)

    def move() -> None:
        np.multiply(velocity, keep, out=velocity)
        np.multiply(gradients, rates[clock[0]], out=pull)
        np.subtract(velocity, pull, out=velocity)
        if nesterov:
            np.subtract(values, pull, out=values)
            np.multiply(velocity, keep, out=pull)
            np.add(values, pull, out=values)
        else:
            np.add(values, velocity, out=values)

    return [run(move), _forget(velocity, clock)]


def adam(
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
    """See Operations.adam."""
    number = values.dtype.type
    pull, size = np.empty_like(values), np.empty_like(values)

    def move() -> None:
        count[0] += 1
        np.multiply(mean, number(beta1), out=mean)
        np.multiply(gradients, number(1 - beta1), out=pull)
        np.add(mean, pull, out=mean)
        np.multiply(square, number(beta2), out=square)
        np.multiply(gradients, gradients, out=size)
        np.multiply(size, number(1 - beta2), out=size)
        np.add(square, size, out=square)
        np.multiply(square, number(1 / (1 - beta2 ** float(count[0]))), out=size)
        np.sqrt(size, out=size)
        np.add(size, number(epsilon), out=size)
        np.divide(mean, size, out=pull)
        np.multiply(pull, number(float(rates[clock[0]]) / (1 - beta1 ** float(count[0]))), out=pull)
        np.subtract(values, pull, out=values)

    return [run(move), _forget(mean, clock), _forget(square, clock)]


def _forget(memory: Array, clock: Array) -> Call:
    """The call that now and then takes for 0 what an optimizer hardly remembers.

    What a weight without a gradient is remembered by shrinks with every step, and would stand still just above 0,
    where a float32 has lost its digits and the processor takes a hundred times longer for it: with three quarters
    of the default network's hidden values dead, that cost a sixth of every step.
    """
    size, small = np.empty_like(memory), np.empty(memory.shape, bool)

    def forget() -> None:
        if clock[0] % FORGET_EVERY == 0:
            np.less(np.abs(memory, out=size), FORGOTTEN, out=small)
            memory[small] = 0

    return run(forget)
