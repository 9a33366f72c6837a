"""What NumPy does value by value: activations with their gradients, and the error of scores."""

from __future__ import annotations

import numpy as np

from engine.array_operations import memory
from engine.array_operations.calls import call, run
from engine.backends.ops import Activation, Array, Calls

# So much more than the maps themselves may be read.
SMALL_BYTES = 65_536


def activation(kind: Activation, x: Array, y: Array, slope: float) -> Calls:
    """See Operations.activation."""
    number = x.dtype.type
    if kind == "relu":
        # Against an array, NumPy finds the larger three times faster than against a number; and of lists without
        # gaps, before it could set up a loop over all axes of small maps.
        if x.flags.c_contiguous and y.flags.c_contiguous and x.nbytes <= SMALL_BYTES:
            return [call(np.maximum, x.reshape(-1), memory.zeros((x.size,), x.dtype), out=y.reshape(-1))]
        nothing = memory.zeros(x.shape[1:] if x.ndim > 2 else x.shape, x.dtype)
        return [call(np.maximum, x, nothing, out=y)]
    if kind == "tanh":
        return [call(np.tanh, x, out=y)]
    work = memory.zeros(x.shape, x.dtype)
    if kind == "leaky_relu":
        return [
            call(np.minimum, x, number(0), out=work),
            call(np.multiply, work, number(slope), out=work),
            call(np.maximum, x, number(0), out=y),
            call(np.add, y, work, out=y),
        ]
    # 1 / (1 + exp(-x)) as (1 + tanh(x / 2)) / 2, which cannot overflow.
    return [
        call(np.multiply, x, number(0.5), out=work),
        call(np.tanh, work, out=work),
        call(np.multiply, work, number(0.5), out=work),
        call(np.add, work, number(0.5), out=y),
    ]


def activation_gradient(kind: Activation, y: Array, dy: Array, dx: Array, slope: float) -> Calls:
    """See Operations.activation_gradient."""
    number = y.dtype.type
    if kind == "relu":
        mask = memory.zeros(y.shape, bool)
        return [call(np.greater, y, number(0), out=mask), call(np.multiply, dy, mask, out=dx)]
    work = memory.zeros(y.shape, y.dtype)
    if kind == "leaky_relu":
        calls = [
            call(np.greater, y, number(0), out=work),
            call(np.multiply, work, number(1 - slope), out=work),
            call(np.add, work, number(slope), out=work),
        ]
    elif kind == "tanh":
        calls = [call(np.multiply, y, y, out=work), call(np.subtract, number(1), work, out=work)]
    else:
        calls = [call(np.subtract, number(1), y, out=work), call(np.multiply, work, y, out=work)]
    return [*calls, call(np.multiply, dy, work, out=dx)]


def softmax_cross_entropy(
    scores: Array, targets: Array, votes: Array, loss: Array, dscores: Array, total: int
) -> Calls:
    """See Operations.softmax_cross_entropy."""
    top, summed = memory.zeros(scores.shape[1:], scores.dtype), memory.zeros(scores.shape[1:], scores.dtype)
    logs = memory.zeros(votes.shape, votes.dtype)
    return [
        run(np.maximum.reduce, scores, axis=0, out=top),
        call(np.subtract, scores, top, out=logs),
        call(np.exp, logs, out=votes),
        run(np.add.reduce, votes, axis=0, out=summed),
        call(np.divide, votes, summed, out=votes),
        call(np.subtract, votes, targets, out=dscores),
        call(np.multiply, dscores, dscores.dtype.type(1 / total), out=dscores),
        call(np.log, summed, out=summed),
        call(np.subtract, summed, logs, out=logs),
        call(np.multiply, logs, targets, out=logs),
        run(np.add.reduce, logs, axis=0, out=loss),
    ]
