"""What a training step does beside the passes, on a GPU: picking the batch, guarding, and moving the parameters.
Rates, step_index, counts and the guard's flag are read where they lie, so that a captured step stays right."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engine.backends.cuda.arguments import divisor, number, reads, whole, writes
from engine.backends.cuda.launch import Blocks, Kernels
from engine.backends.cuda.pointwise import calls_of, flat
from engine.backends.cuda.tiling import real
from engine.backends.ops import Array, Calls

# The most blocks that sum squares; one thread adds up what they found.
NORM_BLOCKS = 64
THREADS = 256


def gather(kernels: Kernels, table: Array, order: Array, step_index: Array, first: int, out: Array) -> Calls:
    """See Operations.gather. Raises ValueError for a table or an order with gaps."""
    source, places, due = flat(kernels, table, order, step_index)
    target = kernels.view(out)
    parameters = [
        *(given for view in (source, places, due) for given in reads(view, anywhere=True)),
        *writes(target, strided=True),
        *(*whole(math.prod(out.shape[:-1])), *divisor(out.shape[-1]), *whole(order.shape[1], first)),
    ]
    return calls_of(kernels, "gather", target.size, parameters)


def advance(kernels: Kernels, step_index: Array, rng_counter: Array, is_finite: Array) -> Calls:
    due, when, flag = flat(kernels, step_index, rng_counter, is_finite)
    parameters = [*writes(due, anywhere=True), *writes(when, anywhere=True), *reads(flag, anywhere=True)]
    return calls_of(kernels, "advance", 1, parameters)


def check(kernels: Kernels, arrays: Sequence[Array], is_finite: Array) -> Calls:
    flag, views = kernels.view(is_finite), [kernels.view(array) for array in arrays]
    raised = writes(flag, anywhere=True, constant=True)
    return [
        call
        for view in views
        for call in calls_of(kernels, "check", view.size, [*reads(view, strided=True), *raised])
    ]


def choose(kernels: Kernels, is_finite: Array, when: int, source: Array, target: Array) -> Calls:
    flag, given, taken = flat(kernels, is_finite, source, target)
    parameters = [*reads(flag, anywhere=True), *whole(when), *reads(given), *writes(taken)]
    return calls_of(kernels, "choose", taken.size, parameters)


def record(kernels: Kernels, loss: Array, step_index: Array, losses: Array) -> Calls:
    errors, due, written = flat(kernels, loss, step_index, losses)
    parameters = [*reads(errors, anywhere=True), *reads(due, anywhere=True), *writes(written, anywhere=True)]
    return calls_of(kernels, "record", 1, [*parameters, *whole(errors.size)])


def clip(kernels: Kernels, gradients: Array, limit: float) -> Calls:
    (target,) = flat(kernels, gradients)
    if target.size == 0:
        return []
    blocks = min(NORM_BLOCKS, -(-target.size // THREADS))
    parts = kernels.view(kernels.device.zeros((blocks,), np.float64))
    factor = kernels.view(kernels.device.zeros((1,), target.dtype))
    summed = [*reads(target, anywhere=True), *whole(target.size), *writes(parts, anywhere=True)]
    squares = Blocks(kernels, "squares", (real(target.dtype),), (blocks,), (THREADS,), tuple(summed))
    found = [
        *reads(parts, anywhere=True),
        *writes(factor, anywhere=True),
        *whole(blocks),
        *number(np.float64(limit)),
    ]
    return [
        (squares, (), {}),
        *calls_of(kernels, "shorten", 1, found),
        *calls_of(kernels, "shorten_by", target.size, [*writes(target), *reads(factor, anywhere=True)]),
    ]


def penalise(kernels: Kernels, values: Array, weights: Array, strength: float, gradients: Array) -> Calls:
    now, chosen, target = flat(kernels, values, weights, gradients)
    parameters = [*reads(now), *reads(chosen), *writes(target), *number(values.dtype.type(strength))]
    return calls_of(kernels, "penalise", now.size, parameters)


def decay(
    kernels: Kernels, values: Array, weights: Array, strength: float, rates: Array, step_index: Array
) -> Calls:
    now, chosen, speed, due = flat(kernels, values, weights, rates, step_index)
    parameters = [*writes(now), *reads(chosen), *reads(speed, anywhere=True), *reads(due, anywhere=True)]
    return calls_of(kernels, "decay", now.size, [*parameters, *number(values.dtype.type(strength))])


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
    now, pull, moving, speed, due = flat(kernels, values, gradients, velocity, rates, step_index)
    parameters = [
        *(*writes(now), *reads(pull), *writes(moving), *reads(speed, anywhere=True), *reads(due, anywhere=True)),
        *(*number(values.dtype.type(momentum)), *whole(int(nesterov))),
    ]
    return calls_of(kernels, "sgd", now.size, parameters)


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
    now, pull, middle, spread = flat(kernels, values, gradients, mean, square)
    made, speed, due = flat(kernels, count, rates, step_index)
    logs = (math.log(beta) if beta > 0 else -math.inf for beta in (beta1, beta2))
    parameters = [
        *(*writes(now), *reads(pull), *writes(middle), *writes(spread)),
        *(given for view in (made, speed, due) for given in reads(view, anywhere=True)),
        *(given for each in (beta1, beta2, *logs, epsilon) for given in number(values.dtype.type(each))),
    ]
    one_more = calls_of(kernels, "count_up", 1, writes(made, anywhere=True))
    return one_more + calls_of(kernels, "adam", now.size, parameters)
