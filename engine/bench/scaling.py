"""Scaling: what a convolution costs as its picture, its features and the batch grow, one of them at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from engine.backends.backend import Backend
from engine.bench.contender import Contender
from engine.bench.report import Curve
from engine.bench.timing import measure, spread
from engine.layers import Conv2D, Stage

CHANNELS = 8


@dataclass(frozen=True)
class Case:
    """A convolution of CHANNELS maps of side x side, `features` features of size x size, and a batch."""

    side: int = 64
    size: int = 5
    features: int = 16
    batch: int = 1

    @property
    def multiplies(self) -> int:
        """For the whole batch."""
        return self.batch * self._layer.multiplies(self._shape)

    def prepared(self, backend: Backend) -> Callable[[], None]:
        """One pass over noise, ready to be run."""
        ops, rng, layer, shape = backend.operations, np.random.default_rng(5), self._layer, self._shape
        x = layer.buffer(ops, shape, self.batch, np.float32)
        ops.upload(rng.standard_normal((*shape, self.batch), np.float32), x.values)
        block = ops.from_host(rng.standard_normal(layer.block_shape(shape), np.float32))
        y = ops.zeros((*layer.output_shape(shape), self.batch), np.float32)
        return backend.program(layer.forward(ops, Stage(x, y, block)), 1)

    @property
    def _layer(self) -> Conv2D:
        return Conv2D(self.features, self.size, padding="same")

    @property
    def _shape(self) -> tuple[int, int, int]:
        return CHANNELS, self.side, self.side


BASE = Case()

# What is varied, in words; the number that the cost should follow; and the cases.
CURVES: tuple[tuple[str, Callable[[Case], int], tuple[Case, ...]], ...] = (
    (
        "pixels of the picture",
        lambda case: case.side**2,
        tuple(replace(BASE, side=side) for side in (16, 24, 32, 48, 64, 96, 128, 192, 256)),
    ),
    (
        "pixels of a feature",
        lambda case: case.size**2,
        tuple(replace(BASE, size=size) for size in (1, 3, 5, 7, 9, 11, 13)),
    ),
    (
        "number of features",
        lambda case: case.features,
        tuple(replace(BASE, features=features) for features in (1, 2, 4, 8, 16, 32, 64, 128)),
    ),
    (
        "pictures in a batch",
        lambda case: case.batch,
        tuple(replace(BASE, batch=batch) for batch in (1, 2, 4, 8, 16, 32, 64)),
    ),
)


def curves(backend: Backend, seconds: float) -> list[Curve]:
    """All curves, each measured for about `seconds`."""
    return [_curve(of, number, cases, backend, seconds) for of, number, cases in CURVES]


def _curve(
    of: str, number: Callable[[Case], int], cases: tuple[Case, ...], backend: Backend, seconds: float
) -> Curve:
    contenders = [
        Contender(str(number(case)), "engine", case.prepared(backend), None, wait=backend.wait) for case in cases
    ]
    spreads = [spread(samples) for samples in measure(contenders, seconds)]
    at, multiplies = [number(case) for case in cases], [case.multiplies for case in cases]
    medians = [found.median for found in spreads]
    return Curve(
        of,
        tuple(at),
        tuple(multiplies),
        tuple(medians),
        tuple(found.low for found in spreads),
        tuple(found.high for found in spreads),
        slope(at, multiplies),
        slope(at, medians),
    )


def slope(xs: list[int], ys: list[int] | list[float]) -> float:
    """How steeply y grows with x on logarithmic axes, by least squares: the p of y ~ x^p."""
    return float(np.polyfit(np.log(xs), np.log(ys), 1)[0])


def described(case: Case = BASE) -> str:
    """The convolution that everything is varied from, in words."""
    return (
        f"{CHANNELS} maps of {case.side} × {case.side}, {case.features} features of {case.size} × {case.size}, "
        f"padding same, batch {case.batch}"
    )
