"""Evaluation: losses, accuracies, the confusion matrix, and the threshold of "unsure"."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.data import Dataset
from engine.nn import Network, RunPoint, cross_entropy, softmax, targets
from engine.nn.layers import BatchNorm2D, Conv2D, Dense, Flatten, ReLU
from engine.training import calibrate_threshold, evaluate
from engine.training.evaluation import MAX_EVALUATIONS, Evaluation, EvaluationCache, Metrics, compute_metrics
from tests.engine.small_runs import CPU


def test_neither_asks_for_equal_votes() -> None:
    np.testing.assert_array_equal(targets(np.array([1, -1, 0]), 2), [[0, 1], [0.5, 0.5], [1, 0]])


def test_cross_entropy_is_the_log_of_the_vote_and_stays_finite() -> None:
    scores = np.array([[2.0, -1.0], [0.0, 0.0], [1000.0, -1000.0]])
    errors = cross_entropy(scores, np.array([0, -1, 1]))
    votes = softmax(scores)
    assert errors[0] == pytest.approx(-np.log(votes[0, 0]))
    assert errors[1] == pytest.approx(np.log(2))
    assert errors[2] == pytest.approx(2000)


def test_a_score_counts_each_class_and_what_it_was_taken_for() -> None:
    """Two of four "a" are correct, all three "b", neither of two "c"; the one without a class is read as "b"."""
    read = np.array([0, 0, 1, 2, 1, 1, 1, 0, 1, 1])
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, -1])
    found = compute_metrics(10 * np.eye(3)[read], labels, ("a", "b", "c"))
    assert found.accuracy == pytest.approx(5 / 9)
    assert found.by_class == {"a": 0.5, "b": 1.0, "c": 0.0}
    assert found.confusion.tolist() == [[2, 1, 1], [0, 3, 0], [1, 1, 0], [0, 1, 0]]
    right, wrong = math.log1p(2 * math.exp(-10)), 10 + math.log1p(2 * math.exp(-10))
    assert found.loss == pytest.approx((5 * right + 4 * wrong + (2 * wrong + right) / 3) / 10)


def test_what_there_is_no_example_of_has_no_accuracy() -> None:
    nothing = compute_metrics(np.zeros((0, 2)), np.zeros(0, np.int64), ("X", "O"))
    assert all(math.isnan(value) for value in (nothing.loss, nothing.accuracy, *nothing.by_class.values()))
    assert nothing.confusion.sum() == 0
    neither = compute_metrics(np.zeros((2, 2)), np.array([-1, -1]), ("X", "O"))
    assert neither.loss == pytest.approx(math.log(2))
    assert math.isnan(neither.accuracy)


@pytest.mark.parametrize("count", [0, 1, 5, 33])
def test_examples_are_read_alike_however_many_at_once(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Also with batch normalization, which uses batch statistics in training only."""
    network = Network((1, 5, 5), (Conv2D(2, 3), BatchNorm2D(), ReLU(), Flatten(), Dense(2)), classes=("X", "O"))
    rng = np.random.default_rng(1)
    parameters = {
        name: rng.uniform(0.1, 1, shape).astype(np.float32) for name, shape in network.parameter_shapes.items()
    }
    images = rng.uniform(-1, 1, (count, 1, 5, 5)).astype(np.float32)
    given = Dataset(images, rng.integers(-1, 2, count), ("X", "O"))
    whole = evaluate(network, parameters, given, CPU)
    monkeypatch.setattr("engine.training.train_step.CACHE_BYTES", 4_000)
    parts = evaluate(network, parameters, given, CPU)
    assert parts.scores.shape == (count, 2)
    np.testing.assert_allclose(parts.scores, whole.scores, rtol=1e-5, atol=1e-6)
    alone = [evaluate(network, parameters, given.take([place]), CPU).scores[0] for place in range(count)]
    np.testing.assert_allclose(parts.scores, np.reshape(alone, (count, 2)), rtol=1e-5, atol=1e-6)


def test_weights_so_large_that_scores_overflow_are_judged_without_a_warning() -> None:
    network = Network((1, 1, 1), (Flatten(), Dense(1, bias=False), Dense(2, bias=False)), classes=("X", "O"))
    parameters = {
        "dense-1.weight": np.full((1, 1), 3e38, np.float32),
        "dense-2.weight": np.array([[3e38], [-3e38]], np.float32),
    }
    given = Dataset(np.ones((3, 1, 1, 1), np.float32), np.array([0, 1, -1]), ("X", "O"))
    found = evaluate(network, parameters, given, CPU)
    assert math.isnan(found.metrics.loss)
    assert found.metrics.confusion.sum() == 3


# --- the threshold


def test_the_threshold_parts_the_sure_from_the_unsure() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(-1, 2, 900)
    top = np.where(labels < 0, rng.uniform(0.5, 0.7, 900), rng.uniform(0.8, 1.0, 900))
    votes = np.where((labels == 1)[:, None], np.stack([1 - top, top], 1), np.stack([top, 1 - top], 1))
    found = calibrate_threshold(votes, labels, ("X", "O"))
    assert found.threshold == pytest.approx(0.75, abs=0.01)
    assert found.recall_by_class == {"X": 1.0, "O": 1.0, "neither": 1.0}
    assert found.misclassified == 0
    with pytest.raises(ValueError, match="every class and of neither"):
        calibrate_threshold(votes[labels >= 0], labels[labels >= 0], ("X", "O"))


def test_of_the_thresholds_that_name_nearly_all_of_each_class_the_best_is_taken() -> None:
    """More of what is neither would be unsure with a higher one, but then more than 1.5 % of the X and O, too."""
    rng = np.random.default_rng(2)
    labels = rng.integers(-1, 2, 6_000)
    top = np.where(labels < 0, rng.uniform(0.5, 0.99, 6_000), 1 - 0.4 * rng.random(6_000) ** 4)
    votes = np.where((labels == 1)[:, None], np.stack([1 - top, top], 1), np.stack([top, 1 - top], 1))
    found = calibrate_threshold(votes, labels, ("X", "O"))
    assert min(found.recall_by_class["X"], found.recall_by_class["O"]) >= 0.985
    unlimited = 1 - 0.4 * np.linspace(0, 1, 1_000) ** 4  # of the same distribution
    gains = [np.mean(unlimited >= at) * 2 + (at - 0.5) / 0.49 for at in np.arange(0.6, 0.95, 0.005)]
    assert np.arange(0.6, 0.95, 0.005)[np.argmax(gains)] > found.threshold + 0.03
    higher = {name: (votes[labels == k].max(1) >= found.threshold + 0.01).mean() for k, name in enumerate("XO")}
    assert min(higher.values()) < 0.985


def test_a_network_that_names_too_little_gets_the_best_mean_of_all() -> None:
    labels = np.repeat(np.array([0, 1, -1]), 100)
    top = np.concatenate([np.repeat([0.9, 0.6], [80, 20]), np.full(100, 0.95), np.full(100, 0.7)])
    wrong = np.arange(300) < 5  # X that are read as O at every threshold
    is_o = (labels == 1) ^ wrong
    votes = np.where(is_o[:, None], np.stack([1 - top, top], 1), np.stack([top, 1 - top], 1))
    assert 0.7 < calibrate_threshold(votes, labels, ("X", "O")).threshold <= 0.9


def test_a_vote_at_the_threshold_counts_as_sure() -> None:
    votes, labels = np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.3, 0.7]]), np.array([0, 1, -1, 0])
    at = calibrate_threshold(votes, labels, ("X", "O")).threshold
    votes[3] = 1 - at, at
    found = calibrate_threshold(votes, labels, ("X", "O"))
    assert (found.threshold, found.misclassified) == (at, 0.25)


def test_among_many_classes_less_than_half_of_the_votes_may_be_sure() -> None:
    votes = np.full((6, 5), 0.15)
    votes[np.arange(5), np.arange(5)] = 0.4
    votes[5] = 0.2
    found = calibrate_threshold(votes, np.array([0, 1, 2, 3, 4, -1]), ("a", "b", "c", "d", "e"))
    assert 0.2 < found.threshold <= 0.4
    assert set(found.recall_by_class.values()) == {1.0}


def test_a_vote_of_exactly_the_threshold_is_sure() -> None:
    votes = np.array([[0.55, 0.45], [0.45, 0.55], [0.546, 0.454]])
    found = calibrate_threshold(votes, np.array([0, 1, -1]), ("X", "O"))
    assert found.threshold == 0.55
    assert found.recall_by_class == {"X": 1, "O": 1, "neither": 1}
    assert found.misclassified == 0


def test_of_more_evaluations_than_are_kept_the_oldest_is_dropped() -> None:
    cache, evaluation = EvaluationCache(), Evaluation(np.zeros((0, 2)), Metrics(0, 0, {}, np.zeros((3, 2))))
    for step in range(MAX_EVALUATIONS + 1):
        cache.add(RunPoint(0, step), evaluation)
        assert RunPoint(0, 0) in cache or step == MAX_EVALUATIONS
    assert RunPoint(0, 1) in cache
