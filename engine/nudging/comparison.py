"""Nudging and backpropagation compared: same start, same examples, loss against multiplications spent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.backends import choose_backend
from engine.data import Dataset, FixedSource
from engine.nn import Network, Parameters, targets
from engine.nudging.nudger import Nudger, NudgingConfig
from engine.nudging.probe import LossProbe, backward_multiplies, forward_multiplies
from engine.training import StepDone, Trainer, TrainingConfig


@dataclass(frozen=True)
class RuleCurve:
    """The progress of one learning rule, point by point, the start included.

    rule: its name
    multiplies: the multiplications spent
    errors: the mean loss of all examples
    updates: the number of updates
    """

    rule: str
    multiplies: list[int] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    updates: list[int] = field(default_factory=list)


def compare_rules(
    network: Network,
    examples: Dataset,
    start: Parameters,
    marks: Sequence[int],
    config: TrainingConfig,
    nudging: NudgingConfig,
) -> list[RuleCurve]:
    """Train both rules on `examples` from `start` until each has spent the last of `marks` (ascending).

    Returns three curves: backpropagation by `config`; nudging, recomputing only what a change affects; and the same
    nudges with every pass a whole one, as in the article. A curve has a point at the first update that reaches a
    mark. Computing the loss of all examples, and the update itself, are not counted.
    """
    return [
        _backpropagation(network, examples, start, marks, config),
        *_nudging(network, examples, start, marks, nudging),
    ]


def _backpropagation(
    network: Network, examples: Dataset, start: Parameters, marks: Sequence[int], config: TrainingConfig
) -> RuleCurve:
    trainer = Trainer(network, FixedSource(examples), config, choose_backend("cpu"), initial_parameters=start)
    per_example = forward_multiplies(network) + backward_multiplies(network, config.frozen)
    meter = _LossMeter(network, examples)
    curve = _CurveRecorder(RuleCurve("backpropagation"), marks, lambda: meter.error(trainer.parameters()))
    seen = 0
    for step in trainer.run():
        assert isinstance(step, StepDone)  # no examples are held out, so nothing is evaluated
        seen += min(config.batch, len(examples) - seen % len(examples))
        curve.update(seen * per_example, step.number)
        if curve.done:
            break
    return curve.curve


def _nudging(
    network: Network, examples: Dataset, start: Parameters, marks: Sequence[int], nudging: NudgingConfig
) -> Iterator[RuleCurve]:
    nudger = Nudger(network, FixedSource(examples), nudging, start)
    meter, pass_multiplies = _LossMeter(network, examples), forward_multiplies(network)
    curves = [
        _CurveRecorder(RuleCurve(rule), marks, lambda: meter.error(nudger.parameters()))
        for rule in ("nudging", "nudging, whole passes")
    ]
    article_multiplies = 0
    for nudge in nudger.iter_nudges():
        # One pass when the turn of a picture begins, and one for each of the two changes.
        begins = (nudge.number - 1) % nudger.value_count == 0
        article_multiplies += (2 + begins) * len(nudge.examples) * pass_multiplies
        for curve, spent in zip(curves, (nudger.multiplies, article_multiplies), strict=True):
            curve.update(spent, nudge.number)
        if all(curve.done for curve in curves):
            break
    return (curve.curve for curve in curves)


class _CurveRecorder:
    """Adds a point to a curve whenever the next mark is reached."""

    def __init__(self, curve: RuleCurve, marks: Sequence[int], measure: Callable[[], float]) -> None:
        self.curve, self._marks, self._measure = curve, list(marks), measure
        self._record(0, 0)

    @property
    def done(self) -> bool:
        return not self._marks

    def update(self, spent: int, updates: int) -> None:
        if self._marks and spent >= self._marks[0]:
            self._marks = [mark for mark in self._marks if mark > spent]
            self._record(spent, updates)

    def _record(self, spent: int, updates: int) -> None:
        self.curve.multiplies.append(spent)
        self.curve.errors.append(self._measure())
        self.curve.updates.append(updates)


class _LossMeter:
    """Measures both rules alike: the mean loss of all examples, in float64."""

    def __init__(self, network: Network, examples: Dataset) -> None:
        self._probe, self._images = LossProbe(network, len(examples), 1), examples.images
        self._shares = targets(examples.labels, len(examples.classes), np.float64)

    def error(self, parameters: Parameters) -> float:
        self._probe.base.load(parameters)
        return float(self._probe.set_batch(self._images, self._shares).mean())
