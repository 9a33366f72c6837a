"""Optimizers: how parameters move against their gradient. Each is its settings alone; its state lies in a plan's
shape of flat vectors, and what changes from step to step (rate, step count) in arrays, so that the calls made once
can be replayed on any backend."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from engine.operations import Array, Calls, Operations, call

# Settings beyond this, or below its inverse, would be infinite or 0 among float32 numbers.
LARGEST = 1e37


@dataclass
class OptimizerState:
    """What an optimizer remembers. rate and step: one-value arrays; vectors: by name, as long as the parameters."""

    rate: Array
    step: Array
    vectors: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Optimizer:
    """rate: the learning rate at the start of a run; a run's schedule writes to the state's own rate. decay: before
    a step every value is shortened by rate * decay of itself (decoupled decay, Loshchilov and Hutter 2019)."""

    kind: ClassVar[str] = "optimizer"
    vectors: ClassVar[tuple[str, ...]] = ()
    rate: float = 0.01
    decay: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        """Raises ValueError for a rate that is not a positive float32 or a negative decay."""
        if not 0 < self.rate <= LARGEST:
            raise ValueError(f"The learning rate must be a number above 0, at most {LARGEST:g}, not {self.rate!r}.")
        if not 0 <= self.decay <= LARGEST:
            raise ValueError(f"The decay must be a number from 0 to {LARGEST:g}, not {self.decay!r}.")

    def start(self, ops: Operations, values: Array) -> OptimizerState:
        """A fresh state for flat parameters `values` (n,)."""
        rate, step = (ops.xp.full(1, start, values.dtype) for start in (self.rate, 0))
        return OptimizerState(rate, step, {name: ops.xp.zeros_like(values) for name in self.vectors})

    def update(self, ops: Operations, values: Array, gradients: Array, state: OptimizerState) -> Calls:
        """The calls that make one step: `values` (n,) move, `state` is carried on."""
        raise NotImplementedError


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: v = momentum * v - rate * g; w = w + v."""

    kind: ClassVar[str] = "sgd"
    vectors: ClassVar[tuple[str, ...]] = ("velocity",)
    momentum: float = 0.9

    def __post_init__(self) -> None:
        """Raises ValueError for a momentum outside 0 to 1, 1 excluded."""
        super().__post_init__()
        if not 0 <= self.momentum < 1:
            raise ValueError(f"The momentum must be at least 0 and below 1, not {self.momentum!r}.")

    def update(self, ops: Operations, values: Array, gradients: Array, state: OptimizerState) -> Calls:
        """One step."""
        xp, number = ops.xp, values.dtype.type
        velocity, pull = state.vectors["velocity"], xp.empty_like(values)
        return [
            *_decay(ops, values, state, self.decay, pull),
            call(xp.multiply, velocity, number(self.momentum), out=velocity),
            call(xp.multiply, gradients, state.rate, out=pull),
            call(xp.subtract, velocity, pull, out=velocity),
            call(xp.add, values, velocity, out=values),
            call(xp.add, state.step, number(1), out=state.step),
        ]


@dataclass(frozen=True)
class Adam(Optimizer):
    """Kingma and Ba 2015: m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
    w = w - rate * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)."""

    kind: ClassVar[str] = "adam"
    vectors: ClassVar[tuple[str, ...]] = ("mean", "square")
    rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        """Raises ValueError for decays outside 0 to 1, 1 excluded, or an epsilon too small for a float32."""
        super().__post_init__()
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise ValueError(f"Adam's betas must be at least 0 and below 1, not {self.beta1!r}, {self.beta2!r}.")
        if not 1 / LARGEST <= self.epsilon <= LARGEST:
            raise ValueError(f"Adam's epsilon must be from {1 / LARGEST:g} to {LARGEST:g}, not {self.epsilon!r}.")

    def update(self, ops: Operations, values: Array, gradients: Array, state: OptimizerState) -> Calls:
        """One step."""
        xp, number = ops.xp, values.dtype.type
        mean, square = state.vectors["mean"], state.vectors["square"]
        pull, size = xp.empty_like(values), xp.empty_like(values)
        mean_share, square_share = xp.empty_like(state.step), xp.empty_like(state.step)
        return [
            *_decay(ops, values, state, self.decay, pull),
            call(xp.add, state.step, number(1), out=state.step),
            *_average(ops, mean, gradients, self.beta1, pull),
            call(xp.multiply, gradients, gradients, out=size),
            *_average(ops, square, size, self.beta2, pull),
            *_collected(ops, self.beta1, state.step, mean_share),
            *_collected(ops, self.beta2, state.step, square_share),
            call(xp.divide, square, square_share, out=size),
            call(xp.sqrt, size, out=size),
            call(xp.add, size, number(self.epsilon), out=size),
            call(xp.divide, mean, mean_share, out=pull),
            call(xp.divide, pull, size, out=pull),
            call(xp.multiply, pull, state.rate, out=pull),
            call(xp.subtract, values, pull, out=values),
        ]


def _decay(ops: Operations, values: Array, state: OptimizerState, decay: float, work: Array) -> Calls:
    """values = values - rate * decay * values; nothing where the decay is 0."""
    number = values.dtype.type
    return (
        []
        if decay == 0
        else [
            call(ops.xp.multiply, values, state.rate, out=work),
            call(ops.xp.multiply, work, number(decay), out=work),
            call(ops.xp.subtract, values, work, out=values),
        ]
    )


def _average(ops: Operations, average: Array, new: Array, keep: float, work: Array) -> Calls:
    """average = keep * average + (1 - keep) * new."""
    number = average.dtype.type
    return [
        call(ops.xp.multiply, average, number(keep), out=average),
        call(ops.xp.multiply, new, number(1 - keep), out=work),
        call(ops.xp.add, average, work, out=average),
    ]


def _collected(ops: Operations, keep: float, step: Array, share: Array) -> Calls:
    """share = 1 - keep^step: how much of a running average is filled after `step` steps."""
    number = step.dtype.type
    return [
        call(ops.xp.power, number(keep), step, out=share),
        call(ops.xp.subtract, number(1), share, out=share),
    ]


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adam": Adam}
