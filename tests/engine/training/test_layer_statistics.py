"""Layer statistics: histograms against plain counting, dead features, and the last change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.data import ExamplePool, PoolSettings
from engine.data.xo import XOSettings
from engine.nn import Model, Network, Plan, RunPoint
from engine.nn.layers import (
    BatchNorm2D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool2D,
    ReLU,
    Residual,
    Tanh,
)
from engine.runtime import DeadFeaturesQuery, LayerStatisticsQuery, TrainingRequest
from engine.runtime.training_run import TrainingRun
from engine.training import BINS, SGD, DeadFeatures, NetworkStatistics, TrainingConfig
from engine.training.layer_statistics import MAX_EXAMPLES, histogram, layer_groups, relu_layers
from tests.engine.run_driver import answered, following

CPU = choose_backend("cpu")
NETWORK = Network(
    (1, 10, 10),
    (Conv2D(4, 3, padding=1), ReLU(), MaxPool2D(), Flatten(), Dropout(0.2), Dense(6), ReLU(), Dense(2)),
    classes=("X", "O"),
)
DATA = PoolSettings(XOSettings(side=10, size=(0.6, 1.0)), 150, 100, seed=3)
CONFIG = TrainingConfig(SGD(0.05, momentum=0), batch=20, epochs=100, seed=5, l2=0.01)


def goal_of(parameters: dict[str, np.ndarray]) -> TrainingRequest:
    """A request to train from these weights."""
    model = Model("Small", NETWORK, parameters)
    return TrainingRequest(1, model, "weights", "first", CONFIG, DATA)


def fresh() -> dict[str, np.ndarray]:
    return NETWORK.initial_parameters(9)


def found(run: TrainingRun, request: TrainingRequest, *, visible: bool = True) -> NetworkStatistics:
    query = LayerStatisticsQuery() if visible else DeadFeaturesQuery()
    snapshot = answered(run, request, query)
    statistics, report = snapshot.result(query), snapshot.training
    assert statistics is not None
    assert report is not None
    assert statistics.point == report.shown_point
    return statistics


def outputs_of(parameters: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs of every layer for the held-out sample, in one pass."""
    pool = ExamplePool(DATA)
    while pool.progress < 1:
        pool.generate_next()
    plan = Plan(NETWORK, CPU, MAX_EXAMPLES, keep_outputs=True)
    plan.load(parameters)
    plan.forward(pool.held_out.images[:MAX_EXAMPLES])
    return plan.outputs()


@pytest.mark.parametrize("values", [
    np.random.default_rng(1).normal(size=5_000).astype(np.float32),
    np.random.default_rng(2).random((7, 3, 11)).astype(np.float32),
    np.maximum(np.random.default_rng(3).normal(size=(40, 50)), 0).astype(np.float32),
    -np.ones(9, np.float32),
])  # fmt: skip
def test_a_histogram_is_plain_counting(values: np.ndarray) -> None:
    got = histogram(values)
    edges = np.linspace(got.low, got.high, BINS + 1)
    expected = [0] * BINS
    for value in values.ravel().tolist():
        inside = [at for at in range(BINS) if edges[at] <= value < edges[at + 1]]
        expected[inside[0] if inside else BINS - 1] += 1
    assert got.counts.tolist() == expected
    assert got.high == np.abs(values).max()
    assert got.low == (-got.high if values.min() < 0 else 0)
    assert got.zeros == (values == 0).sum()
    assert (got.minimum, got.maximum) == (values.min(), values.max())
    np.testing.assert_allclose((got.mean, got.std), (values.mean(), values.std()), rtol=1e-4, atol=1e-7)


def test_what_is_no_number_is_counted_apart() -> None:
    got = histogram(np.array([1, -2, np.nan, np.inf, 0, -np.inf], np.float32))
    assert (got.total, got.nonfinite, got.zeros, got.counts.sum()) == (6, 3, 1, 3)
    assert (got.low, got.high) == (-2, 2)
    assert histogram(np.zeros((2, 3), np.float32)).counts[0] == 6
    assert histogram(np.full(4, np.nan, np.float32)).nonfinite == 4
    assert histogram(np.zeros(0, np.float32)).counts.sum() == 0


def test_a_row_is_what_weighs_or_picks_and_what_bends_its_values() -> None:
    assert layer_groups(NETWORK) == ((1, 2), (3,), (6, 7), (8,))
    deep = Network(
        (1, 8, 8),
        (
            Conv2D(3, 3),
            BatchNorm2D(),
            ReLU(),
            Residual((Conv2D(3, 3, padding=1), ReLU())),
            Tanh(),
            GlobalAvgPool(),
            Dense(2),
        ),
        classes=("X", "O"),
    )
    assert layer_groups(deep) == ((1,), (2, 3), (4, 5), (6,), (7,))
    assert list(relu_layers(deep)) == [(1, 3)]


def test_values_are_those_of_the_sample_and_weights_those_of_the_moment() -> None:
    parameters = fresh()
    seen = found(TrainingRun(CPU), goal_of(parameters))
    outputs = outputs_of(parameters)
    assert seen.examples == MAX_EXAMPLES
    for row, place in zip(seen.rows, (2, 3, 7, 8), strict=True):
        values = outputs[place]
        assert row.values.total == values.size
        np.testing.assert_array_equal(
            row.values.counts, np.histogram(values, BINS, (row.values.low, row.values.high))[0]
        )
    weights = np.concatenate([parameters["conv2d-1.weight"].ravel(), parameters["conv2d-1.bias"].ravel()])
    first = seen.rows[0].weights
    np.testing.assert_array_equal(first.counts, np.histogram(weights, BINS, (first.low, first.high))[0])
    assert seen.rows[0].weight_norm == pytest.approx(float(np.linalg.norm(weights)), rel=1e-5)
    assert seen.rows[1].weights is None
    # No step has led here yet.
    assert seen.rows[0].gradients is None


def moved(run: TrainingRun, request: TrainingRequest, step: int) -> dict[str, np.ndarray]:
    following(run, replace(request, shown_point=RunPoint(0, step)))
    parameters = run.shown_parameters()
    assert parameters is not None
    return dict(parameters)


@pytest.mark.parametrize("budget", [2**20, 1])
def test_gradient_and_change_are_those_of_the_step_that_led_there_also_looking_back(budget: int) -> None:
    run = TrainingRun(CPU, budget)
    request = replace(goal_of(fresh()), running=True, stop_at_step=12)
    now = found(run, request)
    before, after = moved(run, request, 11), moved(run, request, 12)
    names = ("conv2d-1.weight", "conv2d-1.bias")
    step = np.concatenate([(after[name] - before[name]).ravel() for name in names])
    length = np.linalg.norm(np.concatenate([after[name].ravel() for name in names]))
    assert now.rows[0].relative_change == pytest.approx(np.linalg.norm(step) / length, rel=1e-3)
    # Plain descent: the change is the rate times the gradient.
    assert now.rows[0].gradient_norm == pytest.approx(np.linalg.norm(step) / 0.05, rel=1e-3)
    assert now.rows[0].gradients.maximum == pytest.approx(-step.min() / 0.05, rel=1e-2)
    back = found(run, replace(request, shown_point=RunPoint(0, 7)))
    assert back.point == RunPoint(0, 7)
    earlier, then = moved(run, request, 6), moved(run, request, 7)
    step = np.concatenate([(then[name] - earlier[name]).ravel() for name in names])
    assert back.rows[0].gradient_norm == pytest.approx(np.linalg.norm(step) / 0.05, rel=1e-3)
    assert found(run, replace(request, shown_point=RunPoint(0, 0))).rows[0].gradients is None
    assert back.history.steps.tolist() == [7, 12]
    np.testing.assert_allclose(back.history.gradient_norms[1, 0], now.rows[0].gradient_norm, rtol=1e-6)


def test_rows_are_only_made_while_somebody_looks() -> None:
    run = TrainingRun(CPU)
    request = replace(goal_of(fresh()), running=True, stop_at_step=2)
    assert found(run, request, visible=False).rows == ()
    assert len(found(run, request).rows) == 4


def test_looking_changes_nothing_of_what_training_comes_to() -> None:
    ends = []
    for inside in (False, True):
        run = TrainingRun(CPU)
        for step in range(1, 16):
            request = replace(goal_of(fresh()), running=True, stop_at_step=step)
            following(run, request, *([LayerStatisticsQuery()] if inside else []))
        ends.append(run.shown_parameters())
    for name, values in ends[0].items():
        np.testing.assert_array_equal(values, ends[1][name])


def test_a_feature_that_is_0_on_every_drawing_is_dead_until_it_is_revived() -> None:
    parameters = fresh()
    parameters["conv2d-1.bias"][2] = -100
    parameters["dense-1.bias"][[0, 4]] = -1000
    seen = found(TrainingRun(CPU), goal_of(parameters))
    dead = {each.layer: each for each in seen.dead}
    assert dead[1] == DeadFeatures(1, 2, (2,))
    assert {0, 4} <= set(dead[6].channels)
    # What is dead is 0 everywhere, and what is not is above it somewhere.
    values = outputs_of(parameters)[7]
    assert dead[6].channels == tuple(np.flatnonzero(values.max(axis=0) == 0))
    parameters["conv2d-1.bias"][2] = 0.1
    parameters["dense-1.bias"][:] = 100
    assert found(TrainingRun(CPU), goal_of(parameters)).dead == ()


def test_a_dead_feature_does_not_learn() -> None:
    parameters = fresh()
    parameters["conv2d-1.bias"][2] = -100
    run = TrainingRun(CPU)
    request = replace(goal_of(parameters), config=replace(CONFIG, l2=0.0), running=True, stop_at_step=10)
    assert DeadFeatures(1, 2, (2,)) in found(run, request).dead
    learnt = run.shown_parameters()["conv2d-1.weight"]
    np.testing.assert_array_equal(learnt[2], parameters["conv2d-1.weight"][2])
    assert not np.array_equal(learnt[1], parameters["conv2d-1.weight"][1])


def test_a_feature_that_is_ever_above_0_lives_however_little(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = fresh()
    below = outputs_of(parameters)[1][:, 1]
    parameters["conv2d-1.bias"][1] -= below.max() - 1e-3
    # The one drawing that wakes it is not the last: whoever looks one by one must not forget it.
    assert int(below.max(axis=(1, 2)).argmax()) < MAX_EXAMPLES - 1
    values = outputs_of(parameters)[2][:, 1]
    assert 0 < values.max() < 2e-3
    whole = found(TrainingRun(CPU), goal_of(parameters))
    assert all(1 not in dead.channels for dead in whole.dead if dead.layer == 1)
    # In pieces of one drawing each nothing else is found.
    monkeypatch.setattr("engine.training.layer_statistics._SLICE_MULTIPLIES", 1)
    pieces = found(TrainingRun(CPU), goal_of(parameters))
    assert (pieces.dead, pieces.examples) == (whole.dead, whole.examples)
    for one, other in zip(pieces.rows, whole.rows, strict=True):
        assert one.values.total == other.values.total
        np.testing.assert_allclose(
            (one.values.mean, one.values.maximum), (other.values.mean, other.values.maximum), rtol=1e-5
        )
