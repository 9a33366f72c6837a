"""Optimizers: SGD, Adam and AdamW. Each holds its settings only; its state lies in flat vectors beside the
parameters, so that its calls can be made once and replayed on any backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from engine.backends import Calls, Ops, UpdateArrays
from engine.form_fields import FormField, form_field


@dataclass(frozen=True)
class FormulaLine:
    """One line of a formula with its numbers.

    name: of the result.
    text: the formula in words.
    pattern: the formula with {0}, {1} ... for the numbers and the signs ×, ÷, −, √() and ².
    value: the result, as the engine computed it.
    compute: the formula.
    """

    name: str
    text: str
    pattern: str
    numbers: tuple[float, ...]
    value: float
    compute: Callable[..., float] = field(compare=False)


@dataclass(frozen=True)
class UpdateTerms:
    """One parameter value in one optimizer step.

    gradient: L2 penalty and clipping included.
    rate: the learning rate of the step.
    is_decayed: weight decay applies to it.
    state_before, state_after: its optimizer state, by name.
    count: number of steps the optimizer has made, this one included.
    """

    before: float
    after: float
    gradient: float
    rate: float
    is_decayed: bool
    state_before: dict[str, float]
    state_after: dict[str, float]
    count: int


# Settings beyond this, or below its inverse, would be infinite or 0 in float32.
MAX_SETTING = 1e37


@dataclass(frozen=True)
class Optimizer:
    """The settings of an optimizer.

    rate: the learning rate at the start of a run, which a schedule lowers.
    title, summary: its name and one plain sentence, for the user.
    state_names: the vectors of its state.
    """

    kind: ClassVar[str] = "optimizer"
    title: ClassVar[str] = "Optimizer"
    summary: ClassVar[str] = ""
    state_names: ClassVar[tuple[str, ...]] = ()
    rate: float = field(
        default=0.01,
        metadata=form_field(FormField("rate", "Learning rate: how far each step moves against the gradient.")),
    )

    def __post_init__(self) -> None:
        """Raises ValueError for a rate that is not a positive float32."""
        if not 0 < self.rate <= MAX_SETTING:
            raise ValueError(
                f"The learning rate must be a number above 0, at most {MAX_SETTING:g}, not {self.rate!r}."
            )

    def update(self, ops: Ops, arrays: UpdateArrays) -> Calls:
        """The backend calls of one step."""
        raise NotImplementedError

    def formula_lines(self, terms: UpdateTerms) -> tuple[FormulaLine, ...]:
        """The update of one value as formulas with numbers; the last line gives the new value."""
        raise NotImplementedError


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: v = momentum * v - rate * g; w = w + v, or, with Nesterov momentum (Sutskever et
    al. 2013), w = w + momentum * v - rate * g.

    Each gradient keeps the rate of its step. PyTorch's v = momentum * v + g; w = w - rate * v applies the current
    rate to all earlier gradients, so the two agree only while the rate is constant.
    """

    kind: ClassVar[str] = "sgd"
    title: ClassVar[str] = "SGD"
    summary: ClassVar[str] = (
        "Stochastic gradient descent: straight against the gradient, with momentum like a rolling ball."
    )
    state_names: ClassVar[tuple[str, ...]] = ("velocity",)
    momentum: float = field(
        default=0.9,
        metadata=form_field(
            FormField("momentum", "How much of the last step's velocity the next one keeps; 0 for none.", 0.05)
        ),
    )
    nesterov: bool = field(
        default=False,
        metadata=form_field(
            FormField("Nesterov", "Nesterov momentum: take the gradient where the momentum is about to lead.")
        ),
    )

    def __post_init__(self) -> None:
        """Raises ValueError for a momentum outside 0 to 1, 1 excluded, or Nesterov's without any."""
        super().__post_init__()
        if not 0 <= self.momentum < 1:
            raise ValueError(f"The momentum must be at least 0 and below 1, not {self.momentum!r}.")
        if self.nesterov and self.momentum == 0:
            raise ValueError("Nesterov's look ahead needs a momentum above 0.")

    def update(self, ops: Ops, arrays: UpdateArrays) -> Calls:
        return ops.sgd(arrays, self.momentum, self.nesterov)

    def formula_lines(self, terms: UpdateTerms) -> tuple[FormulaLine, ...]:
        """Velocity and value; without momentum the value only."""
        before, gradient, rate = terms.before, terms.gradient, terms.rate
        if not self.momentum:
            text, pattern = "value − rate × gradient", "{0} − {1} × {2}"
            return (FormulaLine("new value", text, pattern, (before, rate, gradient), terms.after, _step),)
        old, new = terms.state_before["velocity"], terms.state_after["velocity"]
        text, pattern = "momentum × velocity − rate × gradient", "{0} × {1} − {2} × {3}"
        numbers = (self.momentum, old, rate, gradient)
        velocity = FormulaLine("velocity", text, pattern, numbers, new, lambda m, v, r, g: m * v - r * g)
        if not self.nesterov:
            text, pattern = "value + velocity", "{0} + {1}"
            return velocity, FormulaLine("new value", text, pattern, (before, new), terms.after, lambda w, v: w + v)
        text, pattern = "value + momentum × velocity − rate × gradient", "{0} + {1} × {2} − {3} × {4}"
        ahead = (before, self.momentum, new, rate, gradient)
        return velocity, FormulaLine(
            "new value", text, pattern, ahead, terms.after, lambda w, m, v, r, g: w + m * v - r * g
        )


@dataclass(frozen=True)
class Adam(Optimizer):
    """Kingma and Ba 2015: m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
    w = w - rate * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)."""

    kind: ClassVar[str] = "adam"
    title: ClassVar[str] = "Adam"
    summary: ClassVar[str] = (
        "Gives each value its own step size: small where its gradient is large or changes much."
    )
    state_names: ClassVar[tuple[str, ...]] = ("mean", "square")
    rate: float = field(
        default=0.001,
        metadata=form_field(FormField("rate", "Learning rate: about how far each step moves every value.")),
    )
    beta1: float = field(
        default=0.9,
        metadata=form_field(
            FormField("beta 1", "Average of the gradient: 0.9 is over about the last ten steps.", 0.01)
        ),
    )
    beta2: float = field(
        default=0.999,
        metadata=form_field(
            FormField("beta 2", "Average of the squared gradient: 0.999 is over about a thousand steps.", 0.001)
        ),
    )
    epsilon: float = field(
        default=1e-8,
        metadata=form_field(FormField("epsilon", "Keeps steps small where the gradient is almost 0.")),
    )

    def __post_init__(self) -> None:
        """Raises ValueError for betas outside 0 to 1, 1 excluded, or an epsilon too small for a float32."""
        super().__post_init__()
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise ValueError(f"Adam's betas must be at least 0 and below 1, not {self.beta1!r}, {self.beta2!r}.")
        if not 1 / MAX_SETTING <= self.epsilon <= MAX_SETTING:
            raise ValueError(
                f"Adam's epsilon must be from {1 / MAX_SETTING:g} to {MAX_SETTING:g}, not {self.epsilon!r}."
            )

    def update(self, ops: Ops, arrays: UpdateArrays) -> Calls:
        return ops.adam(arrays, self.beta1, self.beta2, self.epsilon)

    def formula_lines(self, terms: UpdateTerms) -> tuple[FormulaLine, ...]:
        """Both moving averages, and the value from their bias-corrected forms."""
        return self._adam_lines(terms, terms.before)

    def _adam_lines(self, terms: UpdateTerms, start: float) -> tuple[FormulaLine, ...]:
        """The update of a value that starts at `start`."""
        old, new, gradient = terms.state_before, terms.state_after, terms.gradient
        pattern = "{0} × {1} + {2} × {3}"
        numbers = (self.beta1, old["mean"], 1 - self.beta1, gradient)
        text = "β₁ × mean + (1 − β₁) × gradient"
        mean = FormulaLine("mean", text, pattern, numbers, new["mean"], lambda a, m, b, g: a * m + b * g)
        numbers = (self.beta2, old["square"], 1 - self.beta2, gradient)
        text = "β₂ × square + (1 − β₂) × gradient²"
        square = FormulaLine(
            "square", text, pattern + "²", numbers, new["square"], lambda a, s, b, g: a * s + b * g * g
        )
        corrections = 1 - self.beta1**terms.count, 1 - self.beta2**terms.count
        text = "value − rate × (mean ÷ (1 − β₁ᵗ)) ÷ (√(square ÷ (1 − β₂ᵗ)) + ε)"
        pattern = "{0} − {1} × ({2} ÷ {3}) ÷ (√({4} ÷ {5}) + {6})"
        inserted = (start, terms.rate, new["mean"], corrections[0], new["square"], corrections[1], self.epsilon)
        return mean, square, FormulaLine("new value", text, pattern, inserted, terms.after, _adam_step)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): before each step every weight, but no bias, is
    reduced by rate * decay of itself, as in PyTorch; the paper's lambda is their product at the start."""

    kind: ClassVar[str] = "adamw"
    title: ClassVar[str] = "AdamW"
    summary: ClassVar[str] = "Adam with weight decay: each step also makes every weight a little smaller."
    decay: float = field(
        default=0.01,
        kw_only=True,
        metadata=form_field(
            FormField(
                "decay", "Weight decay: each step reduces every weight, but no bias, by this share times the rate."
            )
        ),
    )

    def __post_init__(self) -> None:
        """Raises ValueError for a negative decay."""
        super().__post_init__()
        if not 0 <= self.decay <= MAX_SETTING:
            raise ValueError(f"The decay must be a number from 0 to {MAX_SETTING:g}, not {self.decay!r}.")

    def update(self, ops: Ops, arrays: UpdateArrays) -> Calls:
        decay = ops.weight_decay(arrays.values, arrays.decay_mask, self.decay, arrays.rates, arrays.step_index)
        return decay + super().update(ops, arrays)

    def formula_lines(self, terms: UpdateTerms) -> tuple[FormulaLine, ...]:
        """The decayed weight, then Adam's lines."""
        if not (terms.is_decayed and self.decay):
            return super().formula_lines(terms)
        left = terms.before - terms.rate * self.decay * terms.before
        text, pattern = "value − rate × decay × value", "{0} − {1} × {2} × {3}"
        numbers = (terms.before, terms.rate, self.decay, terms.before)
        decayed = FormulaLine("decayed", text, pattern, numbers, left, lambda w, r, d, v: w - r * d * v)
        return (decayed, *self._adam_lines(terms, left))


def _step(value: float, rate: float, gradient: float) -> float:
    return value - rate * gradient


def _adam_step(
    value: float, rate: float, mean: float, mean_part: float, square: float, square_part: float, epsilon: float
) -> float:
    step: float = (mean / mean_part) / ((square / square_part) ** 0.5 + epsilon)
    return value - rate * step


OPTIMIZERS: dict[str, type[Optimizer]] = {optimizer.kind: optimizer for optimizer in (SGD, Adam, AdamW)}
