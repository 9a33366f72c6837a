"""Optimizers and the training loop."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from engine.backend import choose_backend
from engine.calibration import calibrate
from engine.datasets.examples import Examples
from engine.datasets.sources import Fixed, Generated
from engine.datasets.xo_settings import XOSettings
from engine.evaluation import judge
from engine.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from engine.losses import cross_entropy, softmax, targets
from engine.network import Network
from engine.operations import replay
from engine.optimizers import SGD, Adam, AdamW, Moving, Optimizer
from engine.recipe import Recipe
from engine.schedules import Cosine
from engine.training import Trainer, TrainingError

CPU = choose_backend("cpu")
SMALL = Network((1, 12, 12), (Conv2D(4, 3), ReLU(), MaxPool2D(), Flatten(), Dense(2)))
DATA = XOSettings(side=12, noise=(0, 0.1), size=(0.6, 1.0))


def moved(optimizer: Optimizer, gradients: list[np.ndarray], rate: float) -> np.ndarray:
    """Where weights at 1 are after these gradients."""
    values, gradient, clock = np.ones(2), np.zeros(2), np.zeros(1, np.int64)
    vectors = {name: np.zeros(2) for name in optimizer.vectors}
    rates = np.full(len(gradients), rate)
    update = optimizer.update(
        CPU.operations, Moving(values, gradient, np.ones(2), vectors, np.zeros(1), rates, clock)
    )
    for given in gradients:
        gradient[:] = given
        replay(update)
        clock += 1
    return values


def test_sgd_with_momentum_follows_its_formula() -> None:
    got = moved(SGD(0.1, 0.25), [np.array([1.0, -2.0]), np.array([1.0, 0.0])], 0.1)
    np.testing.assert_allclose(got, [1 - 0.1 - 0.125, 1 + 0.2 + 0.05], atol=1e-12)


def test_adam_follows_its_formula() -> None:
    first, second = np.array([0.5, -3.0]), np.array([0.1, 2.0])
    got = moved(Adam(0.01, 0.9, 0.999, 1e-8), [first, second], 0.01)
    expected = np.ones(2)
    for t, (m, v) in enumerate(
        [
            (0.1 * first, 0.001 * first**2),
            (0.09 * first + 0.1 * second, 0.000999 * first**2 + 0.001 * second**2),
        ],
        1,
    ):
        expected -= 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_decay_shortens_every_weight_by_its_share_of_the_rate() -> None:
    np.testing.assert_allclose(moved(AdamW(0.1, decay=0.5), [np.zeros(2)] * 2, 0.1), [0.95**2] * 2, atol=1e-12)


@pytest.mark.parametrize(
    "make",
    [lambda: SGD(0), lambda: SGD(float("nan")), lambda: SGD(0.1, 1), lambda: Adam(0.1, beta1=1),
     lambda: Adam(epsilon=0), lambda: AdamW(decay=-1), lambda: Recipe(batch=0), lambda: Recipe(seed=-1),
     lambda: Cosine(2), lambda: SGD(1e39), lambda: SGD(0.1, -0.1), lambda: AdamW(decay=float("inf")),
     lambda: Adam(epsilon=1e-60), lambda: Adam(epsilon=float("nan")), lambda: Adam(beta2=-0.1)],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match=r"must|needs|whole"):
        make()


def test_neither_asks_for_equal_votes() -> None:
    np.testing.assert_array_equal(targets(np.array([1, -1, 0]), 2), [[0, 1], [0.5, 0.5], [1, 0]])


def test_cross_entropy_is_the_log_of_the_vote_and_stays_finite() -> None:
    scores = np.array([[2.0, -1.0], [0.0, 0.0], [1000.0, -1000.0]])
    errors = cross_entropy(scores, np.array([0, -1, 1]))
    votes = softmax(scores)
    assert errors[0] == pytest.approx(-np.log(votes[0, 0]))
    assert errors[1] == pytest.approx(np.log(2))
    assert errors[2] == pytest.approx(2000)


def trained(recipe: Recipe, network: Network = SMALL) -> Trainer:
    trainer = Trainer(network, Generated(recipe.data, recipe.examples, recipe.seed), recipe, CPU)
    for _ in trainer.steps():
        pass
    return trainer


def sizes(trainer: Trainer) -> set[int]:
    """Of how many examples the chunks are that the run has been cut into."""
    return {size for _, size, total in trainer._stepper._plans if total}


def test_training_learns_to_tell_x_from_o() -> None:
    recipe = Recipe(Adam(0.01), Cosine(0.05), batch=32, epochs=4, examples=2000, data=DATA)
    held_out = Generated(DATA, 2000, 1).held_out(600)
    before = judge(SMALL, SMALL.initial(1), held_out, CPU).score
    after = judge(SMALL, trained(recipe).parameters(), held_out, CPU).score
    assert before.accuracy < 0.8
    assert after.accuracy > 0.9
    assert after.loss < before.loss
    assert min(after.by_class.values()) > 0.85


def test_a_batch_cut_into_chunks_moves_the_weights_as_a_whole_one_would(monkeypatch) -> None:
    recipe = Recipe(SGD(0.05), batch=20, epochs=1, examples=70, data=DATA)
    coarse = trained(recipe)
    monkeypatch.setattr("engine.stepper.CACHE_BYTES", 30_000)
    fine = trained(recipe)
    assert sizes(fine) == {8, 4, 2}
    assert sizes(coarse) == {16, 10, 4}
    for name, values in fine.parameters().items():
        np.testing.assert_allclose(values, coarse.parameters()[name], rtol=1e-4, atol=1e-5)


def test_steps_and_epochs_are_counted_and_the_last_batch_may_be_short() -> None:
    recipe = Recipe(SGD(0.01), batch=32, epochs=2, examples=70, data=DATA)
    trainer = Trainer(SMALL, Generated(DATA, 70, 1), recipe, CPU)
    assert [(step.number, step.epoch) for step in trainer.steps()] == [
        (1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2)]  # fmt: skip


def test_divergence_stops_within_one_step_and_keeps_the_last_finite_weights() -> None:
    recipe = Recipe(SGD(1e30), batch=32, epochs=3, examples=320, data=DATA)
    trainer = Trainer(SMALL, Generated(DATA, 320, 1), recipe, CPU)
    with pytest.raises(TrainingError, match=r"step \d+: the learning rate, 1e\+30"):
        for _ in trainer.steps():
            pass
    assert all(np.isfinite(values).all() for values in trainer.parameters().values())


@pytest.mark.parametrize(
    ("optimizer", "weights"),
    [
        pytest.param(AdamW(1e37, decay=10.0), (3e38, 3e38), id="the step overflows"),
        pytest.param(SGD(0.01), (3e38, -3e38), id="the error overflows, not its gradient"),
    ],
)
def test_a_step_that_overflows_leaves_the_weights_as_they_were(
    optimizer: Optimizer, weights: tuple[float, float]
) -> None:
    network = Network((1, 1, 1), (Flatten(), Dense(2)))
    source = Fixed(Examples(np.ones((2, 1, 1, 1), np.float32), np.array([0, 0]), ("X", "O")))
    start = {
        "02-dense.weight": np.array(weights, np.float32)[:, None],
        "02-dense.bias": np.zeros(2, np.float32),
    }
    trainer = Trainer(network, source, Recipe(optimizer, epochs=1), CPU, start)
    with pytest.raises(TrainingError, match=r"step 1: .* those of the step before\.$"):
        list(trainer.steps())
    for name, values in trainer.parameters().items():
        np.testing.assert_array_equal(values, start[name])


def test_an_average_that_overflows_stops_the_run() -> None:
    """A gradient of 1e20 is a number, its square is not: Adam would never move that weight again."""
    network = Network((1, 1, 1), (Flatten(), Dense(1, bias=False), Dense(2)))
    start = {name: np.zeros(shape, np.float32) for name, shape in network.parameter_shapes.items()}
    start["03-dense.weight"][:, 0] = 1e20, -1e20
    source = Fixed(Examples(np.ones((1, 1, 1, 1), np.float32), np.array([0]), ("X", "O")))
    trainer = Trainer(network, source, Recipe(Adam(), epochs=1), CPU, start)
    with pytest.raises(TrainingError, match="step 1"):
        list(trainer.steps())


def test_the_rate_falls_along_half_a_cosine_over_the_whole_run() -> None:
    """Blank pictures that are neither have no gradient here, so that what is left of a weight tells the rate."""
    network = Network((1, 1, 1), (Flatten(), Dense(2, bias=False)))
    start = {"02-dense.weight": np.ones((2, 1), np.float32)}
    source = Fixed(Examples(np.zeros((5, 1, 1, 1), np.float32), np.full(5, -1), ("X", "O")))
    recipe = Recipe(AdamW(0.2, decay=1.0), Cosine(0.1), batch=2, epochs=2)
    trainer = Trainer(network, source, recipe, CPU, start)
    weights = [1.0, *(float(trainer.parameters()["02-dense.weight"][0, 0]) for _ in trainer.steps())]
    rates = [1 - after / before for before, after in pairwise(weights)]
    cosine = [(1 + math.cos(math.pi * step / 6)) / 2 for step in range(6)]
    np.testing.assert_allclose(rates, [0.2 * (0.1 + 0.9 * share) for share in cosine], rtol=1e-5)


def order_of(seed: int) -> list[list[int]]:
    """In which order a run with batches of one goes through six examples, in each of two epochs."""
    images = np.linspace(-1, 1, 6, dtype=np.float32)[:, None, None, None]
    network = Network((1, 1, 1), (Flatten(), Dense(2)))
    start = {"02-dense.weight": np.array([[1], [0]], np.float32), "02-dense.bias": np.zeros(2, np.float32)}
    source = Fixed(Examples(images, np.zeros(6, np.int64), ("X", "O")))
    trainer = Trainer(network, source, Recipe(SGD(1e-30), batch=1, epochs=2, seed=seed), CPU, start)
    errors = list(cross_entropy(np.stack([images.ravel(), np.zeros(6, np.float32)], 1), np.zeros(6, np.int64)))
    found = [int(np.argmin(np.abs(np.array(errors) - step.loss))) for step in trainer.steps()]
    return [found[:6], found[6:]]


def test_every_epoch_goes_through_all_examples_in_an_order_of_its_own_that_follows_the_seed() -> None:
    orders = [order for seed in (1, 2) for order in order_of(seed)]
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert len({tuple(order) for order in [*orders, range(6)]}) == 5
    assert order_of(1) == order_of(1)


def test_the_loss_of_a_step_is_the_mean_error_of_its_batch_however_it_is_cut(monkeypatch) -> None:
    examples = Generated(DATA, 7, 1).epoch(0)
    start = SMALL.initial(1)
    monkeypatch.setattr("engine.stepper.CACHE_BYTES", 30_000)
    trainer = Trainer(SMALL, Fixed(examples), Recipe(batch=7, epochs=1), CPU, start)
    (step,) = trainer.steps()
    assert sizes(trainer) == {4, 3}
    assert step.loss == pytest.approx(judge(SMALL, start, examples, CPU).score.loss, rel=1e-5)


def test_generated_drawings_follow_the_seed_and_the_epoch() -> None:
    def drawn(seed: int, epoch: int) -> bytes:
        return Generated(DATA, 10, seed).epoch(epoch).images.tobytes()

    assert len({drawn(1, 0), drawn(1, 1), drawn(2, 0), drawn(2, 1)}) == 4
    assert drawn(2, 1) == drawn(2, 1)


SAME_BYTES = """
import hashlib
from tests.engine.test_training import trained, DATA, Recipe, Adam
values = trained(Recipe(Adam(0.01), batch=32, epochs=2, examples=300, data=DATA, seed={seed})).parameters()
print(hashlib.sha256(b"".join(values[name].tobytes() for name in sorted(values))).hexdigest())
"""


def test_the_same_seed_gives_the_same_bytes_in_fresh_processes() -> None:
    def run(seed: int) -> str:
        done = subprocess.run(
            [sys.executable, "-c", SAME_BYTES.format(seed=seed)], capture_output=True, text=True, check=True
        )
        return done.stdout

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_held_out_drawings_are_never_trained_on() -> None:
    source = Generated(DATA, 200, 1)
    seen = {image.tobytes() for epoch in range(3) for image in source.epoch(epoch).images}
    assert not seen & {image.tobytes() for image in source.held_out(200).images}


def test_a_fixed_source_gives_the_same_in_every_epoch() -> None:
    examples = Generated(DATA, 20, 1).epoch(0)
    assert Fixed(examples).epoch(0) is Fixed(examples).epoch(5) is examples


def test_evaluate_counts_by_class() -> None:
    network = Network((1, 2, 2), (Flatten(), Dense(2)))
    always_first = network.initial(1) | {"02-dense.weight": np.zeros((2, 4), np.float32)}
    always_first["02-dense.bias"] = np.array([1, 0], np.float32)
    examples = Examples(np.zeros((5, 1, 2, 2), np.float32), np.array([0, 0, 0, 1, -1]), ("X", "O"))
    score = judge(network, always_first, examples, CPU).score
    assert score.accuracy == pytest.approx(0.75)
    assert score.by_class == {"X": 1.0, "O": 0.0}


def test_the_threshold_parts_the_sure_from_the_unsure() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(-1, 2, 900)
    top = np.where(labels < 0, rng.uniform(0.5, 0.7, 900), rng.uniform(0.8, 1.0, 900))
    votes = np.where((labels == 1)[:, None], np.stack([1 - top, top], 1), np.stack([top, 1 - top], 1))
    found = calibrate(votes, labels, ("X", "O"))
    assert found.threshold == pytest.approx(0.75, abs=0.01)
    assert found.named == {"X": 1.0, "O": 1.0, "neither": 1.0}
    assert found.wrong == 0
    with pytest.raises(ValueError, match="every class and of neither"):
        calibrate(votes[labels >= 0], labels[labels >= 0], ("X", "O"))


def test_a_vote_at_the_threshold_counts_as_sure() -> None:
    votes, labels = np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.3, 0.7]]), np.array([0, 1, -1, 0])
    at = calibrate(votes, labels, ("X", "O")).threshold
    votes[3] = 1 - at, at
    found = calibrate(votes, labels, ("X", "O"))
    assert (found.threshold, found.wrong) == (at, 0.25)


def test_recipes_can_be_varied() -> None:
    assert replace(Recipe(), seed=4).seed == 4
