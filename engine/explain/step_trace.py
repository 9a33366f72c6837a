"""Step trace: one training step in detail: what is queried of it, and every number it computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from engine.backends import HostArray
from engine.data import Dataset
from engine.explain.queries import Query
from engine.nn import Network, RunPoint
from engine.nn.layers import Arrays, GradientTerms
from engine.nudging import Nudge
from engine.training import FormulaLine, TrainingConfig

ParameterIndex: TypeAlias = "tuple[str, tuple[int, ...]]"


@dataclass(frozen=True)
class StepQuery(Query["StepTrace"]):
    """What is wanted of the next step.

    example: index in its batch, from 0, of the example traced through the network.
    maps: maps, or values, of each layer at most.
    weight: the parameter value whose update is explained, if any.
    nudge: how far that value is nudged up and down.
    """

    of_training_run: ClassVar[bool] = True
    example: int = 0
    maps: int = 64
    weight: ParameterIndex | None = None
    nudge: float = 0.1


@dataclass(frozen=True, eq=False)
class ParameterUpdate:
    """The update of all parameters, byte for byte as the step makes it.

    before, after: all parameters by name, running statistics included.
    gradients: of the batch's mean error, before L2 and clipping.
    optimizer_gradients: after L2 and clipping, as passed to the optimizer.
    state_before, state_after: the optimizer state, named as in a Checkpoint.
    rate: learning rate of this step.
    is_finite: False if a number was not finite; the step is then rejected and nothing changes.
    """

    before: Arrays
    gradients: Arrays
    optimizer_gradients: Arrays
    after: Arrays
    state_before: Arrays
    state_after: Arrays
    rate: float
    is_finite: bool

    def change(self, name: str) -> HostArray:
        """The difference that the step adds to a parameter."""
        change: HostArray = self.after[name] - self.before[name]
        return change


@dataclass(frozen=True, eq=False)
class ExamplePass:
    """Forward and backward pass of one example.

    example: index in the batch.
    outputs: the input and each layer's output, (C, H, W) or (n,), limited to the queried number of maps.
    gradients: of the batch's summed errors in each of those values.
    scores, votes, targets: (classes,), the last layer's output, its softmax, and the target distribution.
    error: of this example.
    """

    example: int
    outputs: tuple[HostArray, ...]
    gradients: tuple[HostArray, ...]
    scores: HostArray
    votes: HostArray
    targets: HostArray
    error: float


@dataclass(frozen=True, eq=False)
class NudgeResult:
    """A nudge of one parameter value, the article's way of learning, beside its gradient; all in float64, with the
    network in evaluation mode.

    nudge: the batch's mean error at the value, above and below it, and which of the three is kept.
    gradient: of the mean error, by backpropagation.
    central_difference: of the mean error, `step` to each side.
    kink: why the two may differ, None where they agree.
    differs_in_training: whether dropout or batch norm make the training step's own gradient another.
    """

    nudge: Nudge
    gradient: float
    central_difference: float
    step: float
    kink: str | None
    differs_in_training: bool

    @property
    def agrees(self) -> bool | None:
        """Whether the nudge that is kept has the direction of the negative gradient; None where neither nudge
        lowers the error, or the gradient is 0."""
        if self.nudge.direction == "same" or self.gradient == 0:
            return None
        return (self.nudge.direction == "up") == (self.gradient < 0)


@dataclass(frozen=True, eq=False)
class WeightTrace:
    """The update of one parameter value as formulas with their numbers.

    gradient: of the batch's mean error.
    frozen: whether its layer is frozen.
    example_gradients: (N,), each example's gradient; their mean is `gradient`.
    gradient_terms: the terms whose sum is the traced example's gradient.
        Both None where the gradient is no such sum, or the layer is frozen.
    lines: formulas from the gradient to the new value.
    nudge_result: None until it has been computed.
    """

    parameter: ParameterIndex
    before: float
    after: float
    gradient: float
    frozen: bool
    example_gradients: HostArray | None
    gradient_terms: GradientTerms | None
    lines: tuple[FormulaLine, ...]
    nudge_result: NudgeResult | None


@dataclass(frozen=True, eq=False)
class StepTrace:
    """The step after `run_point` by `config`, read-only.

    epoch: from 0.
    examples: the training examples of that epoch.
    indices: (N,), its batch among the examples.
    errors: (N,), of each example before the step.
    message: why there is nothing else, one sentence.
    """

    run_point: RunPoint
    config: TrainingConfig
    network: Network
    epoch: int
    examples: Dataset
    indices: HostArray
    errors: HostArray
    update: ParameterUpdate | None
    example_pass: ExamplePass | None
    weight_trace: WeightTrace | None
    message: str = ""

    @property
    def error(self) -> float:
        """The batch's mean error before the step."""
        return float(self.errors.mean())
