"""Optimizers: how parameters move against their gradient. Each is its settings alone; what it remembers lies in
flat vectors beside the parameters, so that its calls can be made once and replayed on any backend."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from engine.backends.ops import Array, Calls, Operations
from engine.form_fields import Setting, explained


@dataclass(frozen=True)
class Line:
    """name: of what the line gives. words: the formula in words. pattern: the formula with {0}, {1} ... for
    numbers; ×, ÷, −, √() and ² stand for themselves. value: what came out, as the engine computed it."""

    name: str
    words: str
    pattern: str
    numbers: tuple[float, ...]
    value: float


@dataclass(frozen=True)
class Moved:
    """One value in one step of an optimizer. before, after; gradient: what it moves against, l2 and clipping
    included. rate: of this step. shortened: whether it is a weight that decay shortens. remembered, remembers: what
    the optimizer knew of it before and after, by the name of the vector. count: how many steps, this one included,
    the optimizer has made."""

    before: float
    after: float
    gradient: float
    rate: float
    shortened: bool
    remembered: dict[str, float]
    remembers: dict[str, float]
    count: int


# Settings beyond this, or below its inverse, would be infinite or 0 among float32 numbers.
LARGEST = 1e37


@dataclass(frozen=True)
class Moving:
    """The arrays a step works on: all flat (n,), but for rates, clock and count.

    values, gradients; weights: 1 where a value is a weight that may be shortened, else 0 (biases, frozen layers).
    vectors: what the optimizer remembers, by name. count: (1,), how many steps it has made. rates: (steps,) and
    clock: (1,) int64: the rate of this step is rates[clock[0]].
    """

    values: Array
    gradients: Array
    weights: Array
    vectors: dict[str, Array]
    count: Array
    rates: Array
    clock: Array


@dataclass(frozen=True)
class Optimizer:
    """rate: the learning rate at the start of a run, which a schedule lowers. title, summary: what it is called,
    and one plain sentence on how it moves."""

    kind: ClassVar[str] = "optimizer"
    title: ClassVar[str] = "Optimizer"
    summary: ClassVar[str] = ""
    vectors: ClassVar[tuple[str, ...]] = ()
    rate: float = field(
        default=0.01,
        metadata=explained(Setting("rate", "Learning rate: how far each step moves the values against the slope.")),
    )

    def __post_init__(self) -> None:
        """Raises ValueError for a rate that is not a positive float32."""
        if not 0 < self.rate <= LARGEST:
            raise ValueError(f"The learning rate must be a number above 0, at most {LARGEST:g}, not {self.rate!r}.")

    def update(self, ops: Operations, moving: Moving) -> Calls:
        """The calls that make one step."""
        raise NotImplementedError

    def worked(self, moved: Moved) -> tuple[Line, ...]:
        """The step of one value as arithmetic, line by line; the last line gives the new value."""
        raise NotImplementedError


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: v = momentum * v - rate * g; w = w + v, or, with Nesterov's look ahead
    (Sutskever et al. 2013), w = w + momentum * v - rate * g.

    Each step's gradient keeps the rate it came with. PyTorch's v = momentum * v + g; w = w - rate * v applies
    the rate of now to all earlier gradients too, and so moves alike only while the rate stays the same.
    """

    kind: ClassVar[str] = "sgd"
    title: ClassVar[str] = "SGD"
    summary: ClassVar[str] = (
        "Stochastic gradient descent: straight down the slope, with momentum like a rolling ball."
    )
    vectors: ClassVar[tuple[str, ...]] = ("velocity",)
    momentum: float = field(
        default=0.9,
        metadata=explained(
            Setting("momentum", "How much of the last step's speed the next one keeps; 0: plain descent.", 0.05)
        ),
    )
    nesterov: bool = field(
        default=False,
        metadata=explained(
            Setting("Nesterov", "Look ahead: measure the slope where the momentum is about to lead.")
        ),
    )

    def __post_init__(self) -> None:
        """Raises ValueError for a momentum outside 0 to 1, 1 excluded, or Nesterov's without any."""
        super().__post_init__()
        if not 0 <= self.momentum < 1:
            raise ValueError(f"The momentum must be at least 0 and below 1, not {self.momentum!r}.")
        if self.nesterov and self.momentum == 0:
            raise ValueError("Nesterov's look ahead needs a momentum above 0.")

    def update(self, ops: Operations, moving: Moving) -> Calls:
        """One step."""
        return ops.sgd(
            moving.values,
            moving.gradients,
            moving.vectors["velocity"],
            self.momentum,
            self.nesterov,
            moving.rates,
            moving.clock,
        )

    def worked(self, moved: Moved) -> tuple[Line, ...]:
        """Velocity, then value; without momentum the value alone."""
        before, gradient, rate = moved.before, moved.gradient, moved.rate
        if not self.momentum:
            words, pattern = "value − rate × gradient", "{0} − {1} × {2}"
            return (Line("new value", words, pattern, (before, rate, gradient), moved.after),)
        old, new = moved.remembered["velocity"], moved.remembers["velocity"]
        words, pattern = "momentum × velocity − rate × gradient", "{0} × {1} − {2} × {3}"
        velocity = Line("velocity", words, pattern, (self.momentum, old, rate, gradient), new)
        if not self.nesterov:
            return velocity, Line("new value", "value + velocity", "{0} + {1}", (before, new), moved.after)
        words, pattern = "value + momentum × velocity − rate × gradient", "{0} + {1} × {2} − {3} × {4}"
        numbers = (before, self.momentum, new, rate, gradient)
        return velocity, Line("new value", words, pattern, numbers, moved.after)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Kingma and Ba 2015: m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
    w = w - rate * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)."""

    kind: ClassVar[str] = "adam"
    title: ClassVar[str] = "Adam"
    summary: ClassVar[str] = "Gives each value a pace of its own: small where its slope is large or changes much."
    vectors: ClassVar[tuple[str, ...]] = ("mean", "square")
    rate: float = field(
        default=0.001,
        metadata=explained(Setting("rate", "Learning rate: about how far each step moves every value.")),
    )
    beta1: float = field(
        default=0.9,
        metadata=explained(
            Setting("beta 1", "How long the slope is remembered: 0.9 is over about the last ten steps.", 0.01)
        ),
    )
    beta2: float = field(
        default=0.999,
        metadata=explained(
            Setting(
                "beta 2", "How long the slope's size is remembered: 0.999 is over about a thousand steps.", 0.001
            )
        ),
    )
    epsilon: float = field(
        default=1e-8,
        metadata=explained(Setting("epsilon", "Keeps steps small where the slope is next to nothing.")),
    )

    def __post_init__(self) -> None:
        """Raises ValueError for betas outside 0 to 1, 1 excluded, or an epsilon too small for a float32."""
        super().__post_init__()
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise ValueError(f"Adam's betas must be at least 0 and below 1, not {self.beta1!r}, {self.beta2!r}.")
        if not 1 / LARGEST <= self.epsilon <= LARGEST:
            raise ValueError(f"Adam's epsilon must be from {1 / LARGEST:g} to {LARGEST:g}, not {self.epsilon!r}.")

    def update(self, ops: Operations, moving: Moving) -> Calls:
        """One step."""
        return ops.adam(
            moving.values,
            moving.gradients,
            moving.vectors["mean"],
            moving.vectors["square"],
            moving.count,
            self.beta1,
            self.beta2,
            self.epsilon,
            moving.rates,
            moving.clock,
        )

    def worked(self, moved: Moved) -> tuple[Line, ...]:
        """Both means, each without its start's share, and the value."""
        return self._moments(moved, moved.before)

    def _moments(self, moved: Moved, start: float) -> tuple[Line, ...]:
        """The lines of Adam, for a value that stands at `start`."""
        old, new, gradient = moved.remembered, moved.remembers, moved.gradient
        pattern = "{0} × {1} + {2} × {3}"
        numbers = (self.beta1, old["mean"], 1 - self.beta1, gradient)
        mean = Line("mean", "β₁ × mean + (1 − β₁) × gradient", pattern, numbers, new["mean"])
        numbers = (self.beta2, old["square"], 1 - self.beta2, gradient)
        square = Line("square", "β₂ × square + (1 − β₂) × gradient²", pattern + "²", numbers, new["square"])
        shares = 1 - self.beta1**moved.count, 1 - self.beta2**moved.count
        words = "value − rate × (mean ÷ (1 − β₁ᵗ)) ÷ (√(square ÷ (1 − β₂ᵗ)) + ε)"
        pattern = "{0} − {1} × ({2} ÷ {3}) ÷ (√({4} ÷ {5}) + {6})"
        plugged = (start, moved.rate, new["mean"], shares[0], new["square"], shares[1], self.epsilon)
        return mean, square, Line("new value", words, pattern, plugged, moved.after)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled decay (Loshchilov and Hutter 2019): before each step every weight, but no bias, is
    shortened by rate * decay of itself, as in PyTorch; the paper's lambda is their product at the start."""

    kind: ClassVar[str] = "adamw"
    title: ClassVar[str] = "AdamW"
    summary: ClassVar[str] = "Adam that also shortens every weight a little at each step, so that none grows large."
    decay: float = field(
        default=0.01,
        kw_only=True,
        metadata=explained(
            Setting("decay", "Each step shortens every weight by this share of itself times the rate; no bias.")
        ),
    )

    def __post_init__(self) -> None:
        """Raises ValueError for a negative decay."""
        super().__post_init__()
        if not 0 <= self.decay <= LARGEST:
            raise ValueError(f"The decay must be a number from 0 to {LARGEST:g}, not {self.decay!r}.")

    def update(self, ops: Operations, moving: Moving) -> Calls:
        """One step."""
        shorten = ops.decay(moving.values, moving.weights, self.decay, moving.rates, moving.clock)
        return shorten + super().update(ops, moving)

    def worked(self, moved: Moved) -> tuple[Line, ...]:
        """First the weight is shortened, then Adam's lines."""
        if not (moved.shortened and self.decay):
            return super().worked(moved)
        left = moved.before - moved.rate * self.decay * moved.before
        words, pattern = "value − rate × decay × value", "{0} − {1} × {2} × {3}"
        shorter = Line("shortened", words, pattern, (moved.before, moved.rate, self.decay, moved.before), left)
        return (shorter, *self._moments(moved, left))


OPTIMIZERS: dict[str, type[Optimizer]] = {optimizer.kind: optimizer for optimizer in (SGD, Adam, AdamW)}
