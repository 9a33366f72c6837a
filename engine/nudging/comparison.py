"""Nudging and backpropagation side by side: same start, same examples, error against multiplies spent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.backends.backend import choose_backend
from engine.data.dataset import Examples
from engine.data.pool import Fixed
from engine.nn.losses import targets
from engine.nn.network import Network, Parameters
from engine.nudging.nudger import Nudger, Nudging
from engine.nudging.probe import Probe, backward_multiplies, forward_multiplies
from engine.training.recipe import Recipe
from engine.training.trainer import Step, Trainer


@dataclass(frozen=True)
class Curve:
    """How one rule fared. rule: its name. multiplies, errors: what it had spent, and the mean error of all examples
    then, pair by pair, the start included. updates: how many changes it had made by then."""

    rule: str
    multiplies: list[int] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    updates: list[int] = field(default_factory=list)


def compare(
    network: Network, examples: Examples, start: Parameters, marks: Sequence[int], recipe: Recipe, nudging: Nudging
) -> list[Curve]:
    """Let both rules learn `examples` from `start` until each has spent the last of `marks` (rising).

    Three curves: backpropagation by `recipe`; nudging, where only what a change reaches is computed anew; and the
    same nudges with every pass a whole one, as the article tells it. A point of a curve is the first moment at
    which a mark was reached. Finding the error of all examples, and the update itself, are not counted.
    """
    return [
        _backpropagation(network, examples, start, marks, recipe),
        *_nudging(network, examples, start, marks, nudging),
    ]


def _backpropagation(
    network: Network, examples: Examples, start: Parameters, marks: Sequence[int], recipe: Recipe
) -> Curve:
    trainer = Trainer(network, Fixed(examples), recipe, choose_backend("cpu"), parameters_at_start=start)
    each = forward_multiplies(network) + backward_multiplies(network, recipe.frozen)
    ruler = _Ruler(network, examples)
    curve = _Marked(Curve("backpropagation"), marks, lambda: ruler.error(trainer.parameters()))
    seen = 0
    for step in trainer.steps():
        assert isinstance(step, Step)  # nothing is held out, so nothing is judged
        seen += min(recipe.batch, len(examples) - seen % len(examples))
        curve.reached(seen * each, step.number)
        if curve.done:
            break
    return curve.curve


def _nudging(
    network: Network, examples: Examples, start: Parameters, marks: Sequence[int], nudging: Nudging
) -> Iterator[Curve]:
    nudger = Nudger(network, Fixed(examples), nudging, start)
    ruler, whole = _Ruler(network, examples), forward_multiplies(network)
    curves = [
        _Marked(Curve(rule), marks, lambda: ruler.error(nudger.parameters()))
        for rule in ("nudging", "nudging, whole passes")
    ]
    told = 0
    for nudge in nudger.nudges():
        # The picture as it is once, when its turn begins, and once more for each of two changes.
        begins = (nudge.number - 1) % nudger.values == 0
        told += (2 + begins) * len(nudge.examples) * whole
        for curve, spent in zip(curves, (nudger.multiplies, told), strict=True):
            curve.reached(spent, nudge.number)
        if all(curve.done for curve in curves):
            break
    return (curve.curve for curve in curves)


class _Marked:
    """A curve that takes a point whenever the next mark is reached."""

    def __init__(self, curve: Curve, marks: Sequence[int], measure: Callable[[], float]) -> None:
        self.curve, self._marks, self._measure = curve, list(marks), measure
        self._take(0, 0)

    @property
    def done(self) -> bool:
        """Whether no mark is left."""
        return not self._marks

    def reached(self, spent: int, updates: int) -> None:
        """So much has been spent by now."""
        if self._marks and spent >= self._marks[0]:
            self._marks = [mark for mark in self._marks if mark > spent]
            self._take(spent, updates)

    def _take(self, spent: int, updates: int) -> None:
        self.curve.multiplies.append(spent)
        self.curve.errors.append(self._measure())
        self.curve.updates.append(updates)


class _Ruler:
    """Measures both rules alike: the mean error of all examples, in float64."""

    def __init__(self, network: Network, examples: Examples) -> None:
        self._probe, self._images = Probe(network, len(examples), 1), examples.images
        self._shares = targets(examples.labels, len(examples.classes), np.float64)

    def error(self, parameters: Parameters) -> float:
        """With these parameters."""
        self._probe.base.load(parameters)
        return float(self._probe.show(self._images, self._shares).mean())
