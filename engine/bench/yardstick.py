"""Yardstick: fixed work that has nothing to do with this engine, to compare with where no partner is installed."""

from __future__ import annotations

import numpy as np

from engine.backends.backend import Backend
from engine.bench.contender import Contender

SIDE, COPIED = 256, 1 << 20


def yardstick(backend: Backend) -> Contender:
    """A product of two 256 × 256 matrices and the copying of a million float32 values.

    On the processor by NumPy itself, so that it stays the same whatever becomes of the engine; on a GPU by the
    engine's operations.
    """
    rng = np.random.default_rng(3)
    left, right = (rng.standard_normal((SIDE, SIDE)).astype(np.float32) for _ in range(2))
    source = rng.standard_normal(COPIED).astype(np.float32)
    if backend.name == "cpu":
        product, target = np.empty((SIDE, SIDE), np.float32), np.empty(COPIED, np.float32)

        def run() -> None:
            np.matmul(left, right, out=product)
            np.copyto(target, source)

        return Contender("yardstick (NumPy product and copy)", "yardstick", run, None)
    ops = backend.operations
    calls = ops.product(ops.from_host(left), ops.from_host(right), ops.zeros((SIDE, SIDE), np.float32))
    calls += ops.copy(ops.from_host(source), ops.zeros((COPIED,), np.float32))
    return Contender(
        "yardstick (product and copy)", "yardstick", backend.program(calls, 1), None, wait=backend.wait
    )
