"""Step traces: the traced update is the one that training makes, and the formulas of any one value."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace

import numpy as np
import pytest

from engine.data import FixedSource
from engine.data.xo import generate_dataset
from engine.explain import StepQuery, StepTrace
from engine.explain.step_tracer import StepStart, StepTracer
from engine.nn import Network, Plan, RunPoint, cross_entropy
from engine.nn.layers import Conv2D, Dense, Flatten, ReLU, Residual, Tanh
from engine.training import SGD, AdamW, Cosine, FormulaLine, Optimizer, Trainer, TrainingConfig
from engine.training.optimizers import Adam
from tests.engine.small_runs import CPU, DATA, MIXED, SMALL

POOL = generate_dataset(DATA, 46, 7)
# Without kinks, so that finite differences are what they should be.
STACK = Residual((Conv2D(3, 3, padding="same"), Tanh()))
SMOOTH = Network(
    (1, 12, 12), (Conv2D(3, 3, padding="same"), Tanh(), STACK, Flatten(), Dense(2)), classes=("X", "O")
)
# What moves windows and divides sums.
STRIDED = Network(
    (1, 12, 12),
    (Conv2D(3, 3, stride=2, padding=1), ReLU(), Conv2D(2, 3, stride=2, mean=True), Flatten(), Dense(2)),
    classes=("X", "O"),
)
CONFIG = TrainingConfig(SGD(0.05), Cosine(0.1, warmup=0.2), batch=20, epochs=4, seed=3)


def apart(
    config: TrainingConfig, steps: int, inspection: StepQuery, network: Network = SMALL
) -> tuple[Trainer, StepTrace]:
    """A trainer that has made so many steps, and the next one taken apart."""
    trainer = Trainer(network, FixedSource(POOL), config, CPU)
    taken = trainer.run()
    for _ in range(steps):
        next(taken)
    standing = StepStart(RunPoint(0, steps), config, trainer.checkpoint())
    found = ended(StepTracer(network, POOL, CPU).trace_in_slices(standing, inspection))
    assert found is not None
    return trainer, found


def ended(pieces: Generator[None, None, StepTrace | None]) -> StepTrace | None:
    """What comes of it in the end."""
    while True:
        try:
            next(pieces)
        except StopIteration as stop:
            found: StepTrace | None = stop.value
            return found


def plugged(line: FormulaLine) -> float:
    """A line of arithmetic, computed as it is written."""
    written = line.pattern.format(*(f"({number!r})" for number in line.numbers))
    for sign, meant in (("×", "*"), ("÷", "/"), ("−", "-"), ("²", "**2"), ("√", "sqrt")):
        written = written.replace(sign, meant)
    return float(eval(written, {"sqrt": math.sqrt}))  # noqa: S307 - the engine's own patterns


OPTIMIZERS: dict[str, Optimizer] = {
    "plain": SGD(0.05, momentum=0.0),
    "momentum": SGD(0.05),
    "nesterov": SGD(0.05, nesterov=True),
    "adam": Adam(0.01),
    "adamw": AdamW(0.01, decay=0.1),
}
MORE: dict[str, dict] = {
    "alone": {},
    "l2": {"l2": 0.3},
    "clip": {"clip": 0.2, "l2": 0.01},
    "frozen": {"frozen": ("conv2d-1",)},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("more", MORE.values(), ids=list(MORE))
def test_the_step_shown_is_the_step_made_to_the_byte_and_its_formula_gives_it(name: str, more: dict) -> None:
    config = replace(CONFIG, optimizer=OPTIMIZERS[name], **more)
    for steps in (0, 4):
        for place in (("conv2d-1.weight", (2, 0, 1, 2)), ("dense-1.weight", (1, 40)), ("dense-1.bias", (0,))):
            trainer, found = apart(config, steps, StepQuery(weight=place))
            update, worked = found.update, found.weight_trace
            assert update is not None
            assert worked is not None
            made = next(trainer.run())
            after, memory = trainer.parameters(), trainer.checkpoint().optimizer_state
            for key, values in after.items():
                np.testing.assert_array_equal(update.after[key], values)
            for key, values in memory.items():
                np.testing.assert_array_equal(update.state_after[key], values)
            np.testing.assert_array_equal(found.indices, trainer.last_batch)
            assert (made.rate, made.loss) == pytest.approx((update.rate, found.error), rel=1e-5)
            for line in worked.lines:
                assert plugged(line) == pytest.approx(line.value, rel=1e-4, abs=1e-8), line
            if worked.frozen:
                assert not update.change(place[0]).any()
            else:
                assert worked.lines[-1].value == worked.after == after[place[0]][place[1]]


@pytest.mark.parametrize("network", [SMALL, MIXED, SMOOTH], ids=["small", "mixed", "smooth"])
def test_a_step_with_coins_and_running_means_is_told_beforehand_too(network: Network) -> None:
    trainer, found = apart(replace(CONFIG, optimizer=AdamW(0.01)), 5, StepQuery(), network)
    next(trainer.run())
    assert found.update is not None
    for key, values in trainer.parameters().items():
        np.testing.assert_array_equal(found.update.after[key], values)


@pytest.mark.parametrize("network", [SMALL, MIXED, SMOOTH, STRIDED], ids=["small", "mixed", "smooth", "strided"])
def test_every_parameter_s_gradient_is_the_sum_of_its_products(network: Network) -> None:
    rng = np.random.default_rng(2)
    for name, shape in network.parameter_shapes.items():
        if name.rpartition(".")[2] in ("mean", "variance"):
            continue
        index = tuple(int(rng.integers(size)) for size in shape)
        _, found = apart(CONFIG, 1, StepQuery(example=13, weight=(name, index)), network)
        worked, update = found.weight_trace, found.update
        assert worked is not None
        assert update is not None
        assert worked.example_gradients is not None
        assert worked.gradient_terms is not None
        assert worked.gradient == update.gradients[name][index]
        assert worked.example_gradients.mean() == pytest.approx(worked.gradient, rel=1e-5, abs=1e-6)
        assert worked.gradient_terms.per_example().item() == pytest.approx(
            worked.example_gradients[13], rel=1e-5, abs=1e-7
        )


def test_gradient_maps_are_how_fast_the_error_rises_with_each_value() -> None:
    """Finite differences in float64: the layers from one place on, as a network of their own."""
    trainer, found = apart(CONFIG, 3, StepQuery(example=4, maps=1000), SMOOTH)
    assert found.example_pass is not None
    label = POOL.labels[found.indices[4] : found.indices[4] + 1]
    parameters = trainer.parameters()
    for place in range(len(SMOOTH.layers)):
        values, gradient = found.example_pass.outputs[place], found.example_pass.gradients[place]
        shape = SMOOTH.shapes[place]
        if len(shape) == 1:
            shape, lists = (shape[0], 1, 1), (Flatten(),)
        else:
            lists = ()
        rest = Network(shape, (*lists, *SMOOTH.layers[place:]), classes=("X", "O"))
        above = zip(SMOOTH.names[place + 1 :], rest.names[1 + len(lists) :], strict=True)
        its = {
            f"{new}.{key.partition('.')[2]}": value
            for old, new in above
            for key, value in parameters.items()
            if key.startswith(f"{old}.")
        }
        plan = Plan(rest, CPU, 2, dtype=np.float64, keep_outputs=True)
        plan.load(its)
        rng = np.random.default_rng(place)
        for _ in range(5):
            at = tuple(int(rng.integers(size)) for size in values.shape)
            pair = np.stack([values, values]).astype(np.float64)
            pair[0][at] += 1e-5
            pair[1][at] -= 1e-5
            scores = np.asarray(plan.forward(pair.reshape(2, *shape))).T
            up, down = cross_entropy(scores, np.repeat(label, 2))
            assert gradient[at] == pytest.approx((up - down) / 2e-5, rel=1e-3, abs=1e-6)


def test_what_is_seen_of_an_example_is_its_own_pass() -> None:
    trainer, found = apart(CONFIG, 3, StepQuery(example=17, maps=2))
    seen, place = found.example_pass, int(found.indices[17])
    assert seen is not None
    plan = Plan(SMALL, CPU, 1, keep_outputs=True)
    plan.load(trainer.parameters())
    plan.forward(POOL.images[place : place + 1])
    for mine, whole in zip(seen.outputs, plan.outputs(), strict=True):
        np.testing.assert_allclose(mine, whole[0, :2], atol=1e-5)
    expected = cross_entropy(plan.outputs()[-1], POOL.labels[place : place + 1])
    assert seen.error == pytest.approx(float(expected[0]), rel=1e-5)
    assert found.errors[17] == pytest.approx(seen.error, rel=1e-6)
    np.testing.assert_allclose(seen.gradients[-1], seen.votes - seen.targets, atol=1e-6)


@pytest.mark.parametrize("network", [SMALL, SMOOTH], ids=["small", "smooth"])
def test_the_nudge_is_what_trying_it_gives(network: Network) -> None:
    rng = np.random.default_rng(5)
    for name in network.parameter_shapes:
        index = tuple(int(rng.integers(size)) for size in network.parameter_shapes[name])
        trainer, found = apart(CONFIG, 3, StepQuery(weight=(name, index), nudge=0.2), network)
        assert found.weight_trace is not None
        nudged = found.weight_trace.nudge_result
        assert nudged is not None
        parameters = trainer.parameters()
        plan = Plan(network, CPU, len(found.indices), dtype=np.float64, keep_outputs=True)
        tried = []
        for move in (0.0, 0.2, -0.2):
            changed = parameters | {name: parameters[name].astype(np.float64)}
            changed[name][index] += move
            plan.load(changed)
            scores = np.asarray(plan.forward(POOL.images[found.indices])).T
            tried.append(float(cross_entropy(scores, POOL.labels[found.indices]).mean()))
        nudge = nudged.nudge
        assert (nudge.error, nudge.error_up, nudge.error_down) == pytest.approx(tuple(tried), rel=1e-9)
        assert nudge.direction == ("same", "up", "down")[int(np.argmin(tried))]
        if nudged.kink is None:
            assert nudged.central_difference == pytest.approx(nudged.gradient, abs=1e-7)
        # The very gradient that the step goes by, for nothing here learns otherwise than it reads.
        assert nudged.gradient == pytest.approx(found.weight_trace.gradient, rel=1e-3, abs=1e-6)
        assert not nudged.differs_in_training
        if nudged.agrees is not None:
            assert nudged.agrees == ((nudge.direction == "up") == (found.weight_trace.gradient < 0))


def test_a_kink_is_said() -> None:
    """A bias that puts a ReLU at exactly 0: its slope is another on each side."""
    network = Network((1, 12, 12), (Conv2D(1, 12), ReLU(), Flatten(), Dense(2)), classes=("X", "O"))
    start = {name: np.zeros(shape, np.float32) for name, shape in network.parameter_shapes.items()}
    start["dense-1.weight"][:] = [[1], [-1]]
    trainer = Trainer(network, FixedSource(POOL), CONFIG, CPU, start)
    standing = StepStart(RunPoint(0, 0), CONFIG, trainer.checkpoint())
    found = ended(
        StepTracer(network, POOL, CPU).trace_in_slices(standing, StepQuery(weight=("conv2d-1.bias", (0,))))
    )
    assert found is not None
    assert found.weight_trace is not None
    assert found.weight_trace.nudge_result is not None
    assert "layer 2 (ReLU)" in found.weight_trace.nudge_result.kink
    assert found.weight_trace.nudge_result.central_difference != pytest.approx(
        found.weight_trace.nudge_result.gradient, rel=0.1
    )


def test_no_step_comes_after_the_last_and_a_refused_one_changes_nothing() -> None:
    trainer = Trainer(SMALL, FixedSource(POOL), replace(CONFIG, epochs=1), CPU)
    for _ in trainer.run():
        pass
    standing = StepStart(RunPoint(0, trainer.steps_made), trainer.config, trainer.checkpoint())
    assert ended(StepTracer(SMALL, POOL, CPU).trace_in_slices(standing, StepQuery())) is None
    _, found = apart(replace(CONFIG, optimizer=SGD(1e36, momentum=0)), 2, StepQuery())
    assert found.update is not None
    assert not found.update.is_finite
    for name, values in found.update.before.items():
        np.testing.assert_array_equal(found.update.after[name], values)
