"""Training operations on a GPU: gathering mini-batches, finiteness checks, gradient clipping, optimizer updates.

Learning rates, step index, counts and the finiteness flag are read on the device, so that a captured graph stays
valid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engine.backends.cuda.arguments import divisor, number, reads, whole, writes
from engine.backends.cuda.launch import Blocks, Kernels
from engine.backends.cuda.pointwise import calls_of, flat
from engine.backends.cuda.tiling import real
from engine.backends.ops import Array, Calls

# The most blocks that sum squares; one thread adds their results.
MAX_NORM_BLOCKS = 64
THREADS = 256


def gather(kernels: Kernels, table: Array, order: Array, step_index: Array, first: int, out: Array) -> Calls:
    """Raises ValueError for a non-contiguous table or order; see Ops.gather_batch."""
    source, indices, step = flat(kernels, table, order, step_index)
    target = kernels.view(out)
    parameters = [
        *(given for view in (source, indices, step) for given in reads(view, random_access=True)),
        *writes(target, strided=True),
        *(*whole(math.prod(out.shape[:-1])), *divisor(out.shape[-1]), *whole(order.shape[1], first)),
    ]
    return calls_of(kernels, "gather_batch", target.size, parameters)


def advance(kernels: Kernels, step_index: Array, rng_counter: Array, is_finite: Array) -> Calls:
    step, counter, flag = flat(kernels, step_index, rng_counter, is_finite)
    parameters = [
        *writes(step, random_access=True),
        *writes(counter, random_access=True),
        *reads(flag, random_access=True),
    ]
    return calls_of(kernels, "advance_counters", 1, parameters)


def check(kernels: Kernels, arrays: Sequence[Array], is_finite: Array) -> Calls:
    flag, views = kernels.view(is_finite), [kernels.view(array) for array in arrays]
    flag_writes = writes(flag, random_access=True, constant=True)
    return [
        call
        for view in views
        for call in calls_of(kernels, "check_finite", view.size, [*reads(view, strided=True), *flag_writes])
    ]


def choose(kernels: Kernels, is_finite: Array, when: int, source: Array, target: Array) -> Calls:
    flag, given, out = flat(kernels, is_finite, source, target)
    parameters = [*reads(flag, random_access=True), *whole(when), *reads(given), *writes(out)]
    return calls_of(kernels, "restore_if", out.size, parameters)


def record(kernels: Kernels, loss: Array, step_index: Array, losses: Array) -> Calls:
    errors, step, out = flat(kernels, loss, step_index, losses)
    parameters = [
        *reads(errors, random_access=True),
        *reads(step, random_access=True),
        *writes(out, random_access=True),
    ]
    return calls_of(kernels, "store_loss", 1, [*parameters, *whole(errors.size)])


def clip(kernels: Kernels, gradients: Array, limit: float) -> Calls:
    (target,) = flat(kernels, gradients)
    if target.size == 0:
        return []
    blocks = min(MAX_NORM_BLOCKS, -(-target.size // THREADS))
    parts = kernels.view(kernels.device.zeros((blocks,), np.float64))
    factor = kernels.view(kernels.device.zeros((1,), target.dtype))
    summed = [*reads(target, random_access=True), *whole(target.size), *writes(parts, random_access=True)]
    squares = Blocks(kernels, "sum_of_squares", (real(target.dtype),), (blocks,), (THREADS,), tuple(summed))
    found = [
        *reads(parts, random_access=True),
        *writes(factor, random_access=True),
        *whole(blocks),
        *number(np.float64(limit)),
    ]
    return [
        (squares, (), {}),
        *calls_of(kernels, "clip_factor", 1, found),
        *calls_of(kernels, "multiply_by", target.size, [*writes(target), *reads(factor, random_access=True)]),
    ]


def penalise(kernels: Kernels, values: Array, weights: Array, strength: float, gradients: Array) -> Calls:
    current, mask, target = flat(kernels, values, weights, gradients)
    parameters = [*reads(current), *reads(mask), *writes(target), *number(values.dtype.type(strength))]
    return calls_of(kernels, "add_l2_gradient", current.size, parameters)


def decay(
    kernels: Kernels, values: Array, weights: Array, strength: float, rates: Array, step_index: Array
) -> Calls:
    current, mask, rate, step = flat(kernels, values, weights, rates, step_index)
    parameters = [
        *writes(current),
        *reads(mask),
        *reads(rate, random_access=True),
        *reads(step, random_access=True),
    ]
    return calls_of(kernels, "weight_decay", current.size, [*parameters, *number(values.dtype.type(strength))])


def sgd(
    kernels: Kernels,
    values: Array,
    gradients: Array,
    velocity: Array,
    momentum: float,
    nesterov: bool,
    rates: Array,
    step_index: Array,
) -> Calls:
    current, gradient, momenta, rate, step = flat(kernels, values, gradients, velocity, rates, step_index)
    parameters = [
        *(*writes(current), *reads(gradient), *writes(momenta)),
        *(*reads(rate, random_access=True), *reads(step, random_access=True)),
        *(*number(values.dtype.type(momentum)), *whole(int(nesterov))),
    ]
    return calls_of(kernels, "sgd", current.size, parameters)


def adam(
    kernels: Kernels,
    values: Array,
    gradients: Array,
    mean: Array,
    square: Array,
    count: Array,
    beta1: float,
    beta2: float,
    epsilon: float,
    rates: Array,
    step_index: Array,
) -> Calls:
    current, gradient, first, second = flat(kernels, values, gradients, mean, square)
    step_count, rate, step = flat(kernels, count, rates, step_index)
    logs = (math.log(beta) if beta > 0 else -math.inf for beta in (beta1, beta2))
    parameters = [
        *(*writes(current), *reads(gradient), *writes(first), *writes(second)),
        *(given for view in (step_count, rate, step) for given in reads(view, random_access=True)),
        *(given for value in (beta1, beta2, *logs, epsilon) for given in number(values.dtype.type(value))),
    ]
    increment = calls_of(kernels, "increment", 1, writes(step_count, random_access=True))
    return increment + calls_of(kernels, "adam", current.size, parameters)
