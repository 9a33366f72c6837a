"""Training operations on a GPU: gathering mini-batches, finiteness checks, gradient clipping, optimizer updates.

Learning rates, step index, counts and the finiteness flag are read on the device, so that a captured graph stays
valid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engine.backends.cuda.arguments import fast_divisor, ints, reads, real_option, scalar, writes
from engine.backends.cuda.launch import BlockLaunch, KernelCache
from engine.backends.cuda.pointwise import contiguous_views, elementwise_calls
from engine.backends.ops import Array, Calls, UpdateArrays

# The most blocks that sum squares; one thread adds their results.
MAX_NORM_BLOCKS = 64
THREADS = 256


def gather_batch(
    kernels: KernelCache, table: Array, order: Array, step_index: Array, first: int, out: Array
) -> Calls:
    """Raises ValueError for a non-contiguous table or order; see Ops.gather_batch."""
    source, indices, step = contiguous_views(kernels, table, order, step_index)
    target = kernels.view(out)
    parameters = [
        *(given for view in (source, indices, step) for given in reads(view, random_access=True)),
        *writes(target, strided=True),
        *(*ints(math.prod(out.shape[:-1])), *fast_divisor(out.shape[-1]), *ints(order.shape[1], first)),
    ]
    return elementwise_calls(kernels, "gather_batch", target.size, parameters)


def advance_counters(kernels: KernelCache, step_index: Array, rng_counter: Array, is_finite: Array) -> Calls:
    step, counter, flag = contiguous_views(kernels, step_index, rng_counter, is_finite)
    parameters = [
        *writes(step, random_access=True),
        *writes(counter, random_access=True),
        *reads(flag, random_access=True),
    ]
    return elementwise_calls(kernels, "advance_counters", 1, parameters)


def check_finite(kernels: KernelCache, arrays: Sequence[Array], is_finite: Array) -> Calls:
    flag, views = kernels.view(is_finite), [kernels.view(array) for array in arrays]
    flag_writes = writes(flag, random_access=True, constant=True)
    return [
        call
        for view in views
        for call in elementwise_calls(
            kernels, "check_finite", view.size, [*reads(view, strided=True), *flag_writes]
        )
    ]


def restore_if(kernels: KernelCache, is_finite: Array, when: int, source: Array, target: Array) -> Calls:
    flag, given, out = contiguous_views(kernels, is_finite, source, target)
    parameters = [*reads(flag, random_access=True), *ints(when), *reads(given), *writes(out)]
    return elementwise_calls(kernels, "restore_if", out.size, parameters)


def store_loss(kernels: KernelCache, loss: Array, step_index: Array, losses: Array) -> Calls:
    errors, step, out = contiguous_views(kernels, loss, step_index, losses)
    parameters = [
        *reads(errors, random_access=True),
        *reads(step, random_access=True),
        *writes(out, random_access=True),
    ]
    return elementwise_calls(kernels, "store_loss", 1, [*parameters, *ints(errors.size)])


def clip_norm(kernels: KernelCache, gradients: Array, limit: float) -> Calls:
    (target,) = contiguous_views(kernels, gradients)
    if target.size == 0:
        return []
    blocks = min(MAX_NORM_BLOCKS, -(-target.size // THREADS))
    parts = kernels.view(kernels.device.zeros((blocks,), np.float64))
    factor = kernels.view(kernels.device.zeros((1,), target.dtype))
    summed = [*reads(target, random_access=True), *ints(target.size), *writes(parts, random_access=True)]
    squares = BlockLaunch(
        kernels, "sum_of_squares", (real_option(target.dtype),), (blocks,), (THREADS,), tuple(summed)
    )
    found = [
        *reads(parts, random_access=True),
        *writes(factor, random_access=True),
        *ints(blocks),
        *scalar(np.float64(limit)),
    ]
    return [
        (squares, (), {}),
        *elementwise_calls(kernels, "clip_factor", 1, found),
        *elementwise_calls(
            kernels, "multiply_by", target.size, [*writes(target), *reads(factor, random_access=True)]
        ),
    ]


def add_l2_gradient(
    kernels: KernelCache, values: Array, weights: Array, strength: float, gradients: Array
) -> Calls:
    current, mask, target = contiguous_views(kernels, values, weights, gradients)
    parameters = [*reads(current), *reads(mask), *writes(target), *scalar(values.dtype.type(strength))]
    return elementwise_calls(kernels, "add_l2_gradient", current.size, parameters)


def weight_decay(
    kernels: KernelCache, values: Array, weights: Array, strength: float, rates: Array, step_index: Array
) -> Calls:
    current, mask, rate, step = contiguous_views(kernels, values, weights, rates, step_index)
    parameters = [
        *writes(current),
        *reads(mask),
        *reads(rate, random_access=True),
        *reads(step, random_access=True),
    ]
    return elementwise_calls(
        kernels, "weight_decay", current.size, [*parameters, *scalar(values.dtype.type(strength))]
    )


def sgd(kernels: KernelCache, arrays: UpdateArrays, momentum: float, nesterov: bool) -> Calls:
    current, gradient, momenta, rate, step = contiguous_views(
        kernels, arrays.values, arrays.gradients, arrays.state["velocity"], arrays.rates, arrays.step_index
    )
    parameters = [
        *(*writes(current), *reads(gradient), *writes(momenta)),
        *(*reads(rate, random_access=True), *reads(step, random_access=True)),
        *(*scalar(arrays.values.dtype.type(momentum)), *ints(int(nesterov))),
    ]
    return elementwise_calls(kernels, "sgd", current.size, parameters)


def adam(kernels: KernelCache, arrays: UpdateArrays, beta1: float, beta2: float, epsilon: float) -> Calls:
    number = arrays.values.dtype.type
    current, gradient, first, second = contiguous_views(
        kernels, arrays.values, arrays.gradients, arrays.state["mean"], arrays.state["square"]
    )
    step_count, rate, step = contiguous_views(kernels, arrays.count, arrays.rates, arrays.step_index)
    rests, logs = (1 - beta1, 1 - beta2), (_log(beta1), _log(beta2))
    parameters = [
        *(*writes(current), *reads(gradient), *writes(first), *writes(second)),
        *(given for view in (step_count, rate, step) for given in reads(view, random_access=True)),
        *(given for value in (beta1, beta2, *rests, *logs, epsilon) for given in scalar(number(value))),
    ]
    increment = elementwise_calls(kernels, "increment", 1, writes(step_count, random_access=True))
    return increment + elementwise_calls(kernels, "adam", current.size, parameters)


def _log(value: float) -> float:
    """The natural logarithm, -inf of 0."""
    return math.log(value) if value > 0 else -math.inf
