"""Step tracer: computes the trace of the next training step in slices, from an exact checkpoint."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from engine.backends import Backend, HostArray
from engine.data import Dataset
from engine.explain.step_passes import NudgeCheck, StepReplay, TracedPasses
from engine.explain.step_trace import (
    ExamplePass,
    NudgeResult,
    ParameterIndex,
    ParameterUpdate,
    StepQuery,
    StepTrace,
    WeightTrace,
)
from engine.nn import Network, RunPoint, targets
from engine.nn.layers import GradientTerms
from engine.training import Checkpoint, FormulaLine, NextBatch, TrainingConfig, UpdateTerms, next_batch

# Bytes of a batch's pass up to which its buffers are kept for the next step.
MAX_KEPT_BYTES = 200_000_000


@dataclass(frozen=True, eq=False)
class StepStart:
    """The start of a step: the point of the run, the configuration, and the exact state."""

    run_point: RunPoint
    config: TrainingConfig
    checkpoint: Checkpoint


class StepTracer:
    """Traces steps of one network on one backend, with the same training examples."""

    def __init__(self, network: Network, examples: Dataset, backend: Backend) -> None:
        self.network, self.examples, self.backend = network, examples, backend
        self._replay: StepReplay | None = None
        self._passes: TracedPasses | None = None
        self._nudge_check: NudgeCheck | None = None
        self._shapes = network.learnable_shapes
        self._last_update: tuple[RunPoint, TrainingConfig, ParameterUpdate] | None = None

    def trace_in_slices(self, start: StepStart, query: StepQuery) -> Generator[None, None, StepTrace | None]:
        """Returns the trace of the next step, or None if training ends before it. The update is cached, so that
        another example or value of the same step comes at once. Raises DeviceFault."""
        batch = next_batch(start.config, len(self.examples), start.checkpoint.steps)
        if batch is None:
            return None
        images, labels = self.examples.images[batch.indices], self.examples.labels[batch.indices]
        shares = targets(labels, len(self.network.classes))
        head = start.run_point, start.config, self.network, batch.epoch, self.examples, batch.indices
        trace = StepTrace(*head, np.zeros(0), None, None, None)
        try:
            update = yield from self._update(start, batch, images, shares)
            query = self._valid(query, len(images))
            errors, example_pass, sums, products = yield from self._pass(start, query, images, shares)
            trace = StepTrace(*head, errors, update, example_pass, None)
            if query.weight is None:
                return trace
            origin = start.checkpoint.steps + 1, batch.epoch + 1, tuple(int(index) for index in batch.indices)
            nudge = yield from self._nudge(query, update, images, shares, origin)
            worked = _weight_trace(self.network, start, update, query.weight, sums, products, nudge)
        except ValueError as error:  # such as a network too large to keep all its values
            return StepTrace(*head, trace.errors, trace.update, trace.example_pass, None, str(error))
        return StepTrace(*head, errors, update, example_pass, worked)

    def _valid(self, query: StepQuery, batch: int) -> StepQuery:
        """The query limited to this batch and network: it may stem from a longer batch or another network."""
        weight = query.weight
        if weight is not None:
            shape = self._shapes.get(weight[0], ())
            exists = len(shape) == len(weight[1]) and all(
                0 <= at < n for at, n in zip(weight[1], shape, strict=True)
            )
            weight = weight if shape and exists else None
        return StepQuery(min(max(query.example, 0), batch - 1), query.maps, weight, query.nudge)

    def _update(
        self, start: StepStart, batch: NextBatch, images: HostArray, shares: HostArray
    ) -> Generator[None, None, ParameterUpdate]:
        if self._last_update is not None and self._last_update[:2] == (start.run_point, start.config):
            return self._last_update[2]
        if self._replay is None or self._replay.config != start.config:
            self._replay = StepReplay(self.network, self.backend, start.config)
        update = yield from self._replay.replay(start.checkpoint, batch, images, shares)
        self._last_update = start.run_point, start.config, update
        if self._is_large(len(images)):
            self._replay = None
        return update

    def _is_large(self, batch: int) -> bool:
        """Whether the buffers of a batch are allocated anew for each step, instead of being kept."""
        return self.network.image_bytes * batch > MAX_KEPT_BYTES

    def _pass(
        self, start: StepStart, query: StepQuery, images: HostArray, shares: HostArray
    ) -> Generator[None, None, tuple[HostArray, ExamplePass, HostArray | None, GradientTerms | None]]:
        """Returns the batch's errors and the traced example's pass; for the queried value also every example's
        gradient and the terms of the traced example's gradient."""
        passes = self._passes
        if passes is None or passes.batch != len(images) or passes.config != start.config:
            passes = self._passes = TracedPasses(self.network, self.backend, start.config, len(images))
        passes.load(start.checkpoint.parameters)
        errors, sums = np.zeros(len(images), np.float32), np.zeros(len(images))
        example_pass, example_terms, has_terms = None, None, query.weight is not None
        for first in passes.chunks(query.example):
            yield from passes.run_chunk(images, shares, first, start.checkpoint.steps)
            part = slice(first, first + passes.chunk)
            errors[part] = passes.errors()
            if example_pass is None:
                example_pass = passes.example_pass(query.example, first, shares, query.maps)
            terms = passes.gradient_terms(query.weight) if query.weight is not None else None
            if terms is None:
                has_terms = False
                continue
            sums[part] = terms.per_example()
            if first <= query.example < first + passes.chunk:
                at_example = slice(query.example - first, query.example - first + 1)
                inputs, gradients = terms.inputs[at_example].copy(), terms.gradients[at_example].copy()
                example_terms = GradientTerms(inputs, gradients, terms.normalizer)
            yield
        assert example_pass is not None
        if self._is_large(passes.chunk):
            self._passes = None
        return errors, example_pass, sums if has_terms else None, example_terms

    def _nudge(
        self,
        query: StepQuery,
        update: ParameterUpdate,
        images: HostArray,
        shares: HostArray,
        origin: tuple[int, int, tuple[int, ...]],
    ) -> Generator[None, None, NudgeResult | None]:
        assert query.weight is not None
        if self._nudge_check is None or self._nudge_check.batch != len(images):
            self._nudge_check = NudgeCheck(self.network, len(images))
        result = yield from self._nudge_check.check(
            query.weight, update.before, images, shares, query.nudge, origin
        )
        return result


def _weight_trace(
    network: Network,
    start: StepStart,
    update: ParameterUpdate,
    parameter: ParameterIndex,
    sums: HostArray | None,
    products: GradientTerms | None,
    nudge: NudgeResult | None,
) -> WeightTrace:
    name, index = parameter
    before, after = (float(values[name][index]) for values in (update.before, update.after))
    gradient, regularized = (
        float(values[name][index]) for values in (update.gradients, update.optimizer_gradients)
    )
    if name.partition(".")[0] in start.config.frozen:
        return WeightTrace(parameter, before, after, gradient, True, None, None, (), nudge)
    state_before, state_after = (
        {kind: float(state[f"{kind}.{name}"][index]) for kind in start.config.optimizer.state_names}
        for state in (update.state_before, update.state_after)
    )
    count, has_decay = int(update.state_after["count"][0]), update.before[name].ndim > 1
    lines = [] if sums is None else [_mean_line(sums, gradient)]
    lines += _regularization_lines(start.config, update, before, gradient, regularized, has_decay)
    lines += start.config.optimizer.formula_lines(
        UpdateTerms(before, after, regularized, update.rate, has_decay, state_before, state_after, count)
    )
    return WeightTrace(parameter, before, after, gradient, False, sums, products, tuple(lines), nudge)


def _mean_line(sums: HostArray, gradient: float) -> FormulaLine:
    numbers = (float(sums.sum()), float(len(sums)))
    return FormulaLine("gradient", "sum ÷ examples", "{0} ÷ {1}", numbers, gradient, lambda s, n: s / n)


def _regularization_lines(
    config: TrainingConfig,
    update: ParameterUpdate,
    before: float,
    gradient: float,
    regularized: float,
    has_decay: bool,
) -> list[FormulaLine]:
    """The formulas of L2 and clipping, where they change this value's gradient."""
    lines = []
    with_l2 = gradient + config.l2 * before if has_decay else gradient
    if config.l2 and has_decay:
        numbers = (gradient, config.l2, before)
        text, pattern = "gradient + L2 × value", "{0} + {1} × {2}"
        lines.append(FormulaLine("with L2", text, pattern, numbers, with_l2, lambda g, c, w: g + c * w))
    if config.clip is not None and (norm := _gradient_norm(config, update)) > config.clip:
        numbers = (with_l2, config.clip, norm)
        text, pattern = "gradient × longest ÷ length", "{0} × {1} ÷ {2}"
        lines.append(FormulaLine("clipped", text, pattern, numbers, regularized, lambda g, c, n: g * c / n))
    return lines


def _gradient_norm(config: TrainingConfig, update: ParameterUpdate) -> float:
    """L2 norm of the whole gradient before clipping, L2 regularization included."""
    squares = 0.0
    for name, values in update.gradients.items():
        whole = values.astype(np.float64)
        if values.ndim > 1 and name.partition(".")[0] not in config.frozen:
            whole = whole + config.l2 * update.before[name]
        squares += float((whole * whole).sum())
    return math.sqrt(squares)
