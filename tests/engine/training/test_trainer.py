"""The training loop: order of examples, stop conditions, and numbers that are not finite."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from engine.data import Dataset, FixedSource, GeneratedSource
from engine.nn import Network, cross_entropy
from engine.nn.layers import BatchNorm2D, Conv2D, Dense, Flatten, ReLU, ShapeError
from engine.training import (
    SGD,
    AdamW,
    Cosine,
    Evaluated,
    Optimizer,
    StepDone,
    Trainer,
    TrainingConfig,
    TrainingError,
    evaluate,
)
from engine.training.optimizers import Adam
from tests.engine.small_runs import CPU, DATA, SMALL, chunk_sizes, digest, generated_source, train_to_end


def test_training_learns_to_tell_x_from_o() -> None:
    config = TrainingConfig(Adam(0.01), Cosine(0.05), batch=32, epochs=4, examples=2000, data=DATA)
    held_out = GeneratedSource(DATA, 2000, 1).held_out(600)
    before = evaluate(SMALL, SMALL.initial_parameters(1), held_out, CPU).metrics
    after = evaluate(SMALL, train_to_end(config).parameters(), held_out, CPU).metrics
    assert before.accuracy < 0.8
    assert after.accuracy > 0.9
    assert after.loss < before.loss
    assert min(after.by_class.values()) > 0.85


def test_a_batch_cut_into_chunks_moves_the_weights_as_a_whole_one_would(monkeypatch) -> None:
    config = TrainingConfig(SGD(0.05), batch=20, epochs=1, examples=70, data=DATA)
    coarse = train_to_end(config)
    monkeypatch.setattr("engine.training.train_step.CACHE_BYTES", 30_000)
    fine = train_to_end(config)
    assert chunk_sizes(fine) == {5}
    assert chunk_sizes(coarse) == {20, 10}
    for name, values in fine.parameters().items():
        np.testing.assert_allclose(values, coarse.parameters()[name], rtol=1e-4, atol=1e-5)


def test_steps_and_epochs_are_counted_and_the_last_batch_may_be_short() -> None:
    config = TrainingConfig(SGD(0.01), batch=32, epochs=2, examples=70, data=DATA)
    trainer = Trainer(SMALL, GeneratedSource(DATA, 70, 1), config, CPU)
    assert [(step.number, step.epoch) for step in trainer.run()] == [
        (1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2)]  # fmt: skip


def test_divergence_stops_within_one_step_and_keeps_the_last_finite_weights() -> None:
    config = TrainingConfig(SGD(1e30), batch=32, epochs=3, examples=320, data=DATA)
    trainer = Trainer(SMALL, GeneratedSource(DATA, 320, 1), config, CPU)
    with pytest.raises(TrainingError, match=r"step \d+: the learning rate, 1e\+30"):
        for _ in trainer.run():
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
    network = Network((1, 1, 1), (Flatten(), Dense(2)), classes=("X", "O"))
    source = FixedSource(Dataset(np.ones((2, 1, 1, 1), np.float32), np.array([0, 0]), ("X", "O")))
    start = {
        "dense-1.weight": np.array(weights, np.float32)[:, None],
        "dense-1.bias": np.zeros(2, np.float32),
    }
    trainer = Trainer(network, source, TrainingConfig(optimizer, epochs=1), CPU, start)
    with pytest.raises(TrainingError, match=r"step 1: .* those of the step before\.$"):
        list(trainer.run())
    for name, values in trainer.parameters().items():
        np.testing.assert_array_equal(values, start[name])


def test_an_average_that_overflows_stops_the_run() -> None:
    """A gradient of 1e20 is a number, its square is not: Adam would never move that weight again."""
    network = Network((1, 1, 1), (Flatten(), Dense(1, bias=False), Dense(2)), classes=("X", "O"))
    start = {name: np.zeros(shape, np.float32) for name, shape in network.parameter_shapes.items()}
    start["dense-2.weight"][:, 0] = 1e20, -1e20
    source = FixedSource(Dataset(np.ones((1, 1, 1, 1), np.float32), np.array([0]), ("X", "O")))
    trainer = Trainer(network, source, TrainingConfig(Adam(), epochs=1), CPU, start)
    with pytest.raises(TrainingError, match="step 1"):
        list(trainer.run())


def order_of(seed: int) -> list[list[int]]:
    """The order of six examples in a run with batches of one, by epoch."""
    images = np.linspace(-1, 1, 6, dtype=np.float32)[:, None, None, None]
    network = Network((1, 1, 1), (Flatten(), Dense(2)), classes=("X", "O"))
    start = {"dense-1.weight": np.array([[1], [0]], np.float32), "dense-1.bias": np.zeros(2, np.float32)}
    source = FixedSource(Dataset(images, np.zeros(6, np.int64), ("X", "O")))
    trainer = Trainer(network, source, TrainingConfig(SGD(1e-30), batch=1, epochs=2, seed=seed), CPU, start)
    errors = list(cross_entropy(np.stack([images.ravel(), np.zeros(6, np.float32)], 1), np.zeros(6, np.int64)))
    found = [int(np.argmin(np.abs(np.array(errors) - step.loss))) for step in trainer.run()]
    return [found[:6], found[6:]]


def test_every_epoch_goes_through_all_examples_in_an_order_of_its_own_that_follows_the_seed() -> None:
    orders = [order for seed in (1, 2) for order in order_of(seed)]
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert len({tuple(order) for order in [*orders, range(6)]}) == 5
    assert order_of(1) == order_of(1)


def test_the_loss_of_a_step_is_the_mean_error_of_its_batch_however_it_is_cut(monkeypatch) -> None:
    examples = GeneratedSource(DATA, 7, 1).epoch(0)
    start = SMALL.initial_parameters(1)
    monkeypatch.setattr("engine.training.train_step.CACHE_BYTES", 15_000)
    trainer = Trainer(SMALL, FixedSource(examples), TrainingConfig(batch=7, epochs=1), CPU, start)
    (step,) = trainer.run()
    assert chunk_sizes(trainer) == {4, 3}
    assert step.loss == pytest.approx(evaluate(SMALL, start, examples, CPU).metrics.loss, rel=1e-5)


def test_the_mean_of_an_epoch_is_that_of_its_steps_losses() -> None:
    config = TrainingConfig(SGD(0.05), batch=32, epochs=2, examples=70, data=DATA)
    source, losses = GeneratedSource(DATA, 70, 1), []
    for event in Trainer(SMALL, source, config, CPU, None, source.held_out(10)).run():
        if isinstance(event, Evaluated):
            assert event.mean_loss == pytest.approx(np.mean(losses))
            losses.clear()
        else:
            losses.append(event.loss)
            assert event.mean_loss == pytest.approx(np.mean(losses))


# --- why a run ends

# One picture to learn from and one to be judged by, a weight that learns, and one that decides what is read.
ONE = Network((1, 1, 1), (Flatten(), Dense(2)), classes=("X", "O"))


def picture(label: int) -> Dataset:
    return Dataset(np.ones((1, 1, 1, 1), np.float32), np.array([label]), ("X", "O"))


def start(first: float, second: float) -> dict[str, np.ndarray]:
    """Initial scores of the one image."""
    weight = np.array([[first], [second]], np.float32)
    return {"dense-1.weight": weight, "dense-1.bias": np.zeros(2, np.float32)}


def run(
    config: TrainingConfig, *, held_out: int | None, scores: tuple[float, float] = (0, 0)
) -> tuple[Trainer, list]:
    """The events of a run on one X that is evaluated on an image with another label."""
    judges = None if held_out is None else picture(held_out)
    trainer = Trainer(ONE, FixedSource(picture(0)), config, CPU, start(*scores), judges)
    return trainer, list(trainer.run())


def test_a_run_without_conditions_ends_with_its_epochs() -> None:
    trainer, events = run(TrainingConfig(SGD(0.1), epochs=3), held_out=1)
    assert [type(event) for event in events] == [StepDone, Evaluated] * 3
    assert trainer.stop_reason == "epochs"
    assert list(trainer.run()) == []


def test_a_target_ends_the_run_after_the_epoch_that_reaches_it() -> None:
    """The X is first predicted as an O, and each step of gradient descent moves the scores towards X."""
    trainer, events = run(TrainingConfig(SGD(0.1, 0.0), epochs=100, target=1.0), held_out=0, scores=(0, 0.5))
    accuracies = [event.evaluation.metrics.accuracy for event in events if isinstance(event, Evaluated)]
    assert trainer.stop_reason == "target"
    assert len(accuracies) > 1
    assert accuracies == [0.0] * (len(accuracies) - 1) + [1.0]
    assert list(trainer.run()) == []


@pytest.mark.parametrize("stride", [1, 4])
def test_a_run_ends_after_the_steps_asked_for_and_goes_on_to_the_same_bytes_when_more_are(stride: int) -> None:
    config = TrainingConfig(Adam(0.01), Cosine(), batch=5, epochs=3, examples=50, data=DATA)
    short = Trainer(SMALL, generated_source(config), replace(config, steps=13), CPU, steps_per_call=stride)
    assert [step.number for step in short.run() if isinstance(step, StepDone)] == list(range(1, 14))
    assert short.stop_reason == "steps"
    assert list(short.run()) == []
    longer = replace(config, steps=17)
    more = Trainer(
        SMALL, generated_source(config), longer, CPU, resume_from=short.checkpoint(), steps_per_call=stride
    )
    assert [step.number for step in more.run()] == [14, 15, 16, 17]
    assert digest(more.parameters()) == digest(train_to_end(longer).parameters())


def test_an_epoch_that_ends_with_the_last_step_is_judged() -> None:
    trainer, events = run(TrainingConfig(SGD(0.1), epochs=3, steps=2), held_out=1)
    assert [type(event) for event in events] == [StepDone, Evaluated] * 2
    assert trainer.stop_reason == "steps"


def test_patience_ends_the_run_and_keeps_the_best_epoch() -> None:
    """Training makes the held-out O less and less likely, so the first epoch is the best."""
    config = TrainingConfig(SGD(0.1, 0.0), epochs=100, patience=4)
    trainer, events = run(config, held_out=1)
    losses = [event.evaluation.metrics.loss for event in events if isinstance(event, Evaluated)]
    assert trainer.stop_reason == "patience"
    assert len(losses) == 5
    assert losses == sorted(losses)
    best, _ = run(replace(config, epochs=1), held_out=1)
    for name, values in best.parameters().items():
        np.testing.assert_array_equal(trainer.final_parameters()[name], values)
        assert not np.array_equal(trainer.parameters()[name], values)


@pytest.mark.parametrize("ends", [{"epochs": 2}, {"epochs": 100, "steps": 2}, {"epochs": 100, "target": 1.0}])
def test_only_patience_goes_back_to_the_best_epoch(ends: dict[str, float]) -> None:
    """The loss on the held-out O rises faster than that on the X falls, which is told from the second epoch on."""
    judges = Dataset(np.array([1, 0.1], np.float32).reshape(2, 1, 1, 1), np.array([1, 0]), ("X", "O"))
    config = TrainingConfig(SGD(0.025, 0.0), patience=50, **ends)  # type: ignore[arg-type]
    trainer = Trainer(ONE, FixedSource(picture(0)), config, CPU, start(-0.5, 0.0), judges)
    losses = [event.evaluation.metrics.loss for event in trainer.run() if isinstance(event, Evaluated)]
    assert trainer.stop_reason == ("epochs" if len(ends) == 1 else list(ends)[-1])
    for name, values in trainer.parameters().items():
        np.testing.assert_array_equal(trainer.final_parameters()[name], values)
    best = trainer.checkpoint().best_parameters
    assert best is not None
    assert losses.index(min(losses)) < len(losses) - 1


def test_without_patience_no_copy_of_the_best_epoch_is_kept() -> None:
    trainer, _ = run(TrainingConfig(SGD(0.1), epochs=3), held_out=0)
    assert trainer.checkpoint().best_parameters is None


def test_patience_counts_anew_when_the_error_falls() -> None:
    """The loss falls in each epoch, so patience never ends the run, and the last epoch is the result."""
    trainer, events = run(TrainingConfig(SGD(0.1, 0.0), epochs=9, patience=1), held_out=0)
    assert (trainer.stop_reason, len(events)) == ("epochs", 18)
    for name, values in trainer.parameters().items():
        np.testing.assert_array_equal(trainer.final_parameters()[name], values)


def test_an_epoch_as_good_as_the_best_is_no_better() -> None:
    """With a rate that changes nothing, every epoch has the same loss: the first one is the best, and patience
    counts from there."""
    trainer, events = run(TrainingConfig(SGD(1e-30, 0.0), epochs=100, patience=3), held_out=1)
    assert len({event.evaluation.metrics.loss for event in events if isinstance(event, Evaluated)}) == 1
    assert (trainer.stop_reason, trainer.steps_made) == ("patience", 4)


def test_the_time_of_a_run_counts_on_when_it_is_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = itertools.count()
    monkeypatch.setattr("engine.training.trainer.perf_counter", lambda: float(next(readings)))
    config, source = TrainingConfig(epochs=100, seconds=5.0), FixedSource(picture(0))
    first = Trainer(ONE, source, config, CPU, start(0, 0))
    assert len(list(islice(first.run(), 3))) == 3
    resumed = Trainer(ONE, source, config, CPU, resume_from=first.checkpoint())
    assert len(list(resumed.run())) == 2
    assert (resumed.stop_reason, resumed.seconds) == ("seconds", 5.0)


def test_time_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that advances one second per reading, and a month between steps."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1
        return now

    monkeypatch.setattr("engine.training.trainer.perf_counter", clock)
    trainer = Trainer(ONE, FixedSource(picture(0)), TrainingConfig(epochs=100, seconds=5.0), CPU, start(0, 0))
    made = 0
    for _ in trainer.run():
        made += 1
        now += 30 * 86400
    assert (trainer.stop_reason, made, trainer.seconds) == ("seconds", 5, 5.0)


@pytest.mark.parametrize(
    ("config", "condition"),
    [(TrainingConfig(patience=1), "patience"), (TrainingConfig(target=0.5), "target")],
    ids=str,
)
def test_conditions_on_held_out_examples_need_some(config: TrainingConfig, condition: str) -> None:
    with pytest.raises(ValueError, match="give the run some"):
        run(config, held_out=None)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: TrainingConfig(batch=0), "batch of at least 1"),
        (lambda: TrainingConfig(epochs=-1), "epochs of at least 1"),
        (lambda: TrainingConfig(seed=-1), "seed is a whole number"),
        (lambda: TrainingConfig(l2=-0.1), "l2 must be a number from 0"),
        (lambda: TrainingConfig(l2=math.inf), "l2 must be a number from 0"),
        (lambda: TrainingConfig(clip=0), "clip must be above 0"),
        (lambda: TrainingConfig(patience=0), "patience must be at least 1"),
        (lambda: TrainingConfig(target=1.5), "target must be an accuracy"),
        (lambda: TrainingConfig(seconds=math.nan), "seconds must be above 0"),
    ],
)
def test_configs_that_mean_nothing_are_refused(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as raised:
        make()
    assert str(raised.value).endswith(".")


def test_configs_at_their_limits_are_taken() -> None:
    least = TrainingConfig(
        batch=1, epochs=1, examples=1, held_out=0, seed=0, data_seed=0, l2=0.0, steps=1, patience=1, target=1.0
    )
    assert TrainingConfig.from_json(least.to_json()) == least


def test_what_does_not_fit_the_network_is_refused() -> None:
    wide = Dataset(np.zeros((1, 1, 2, 1), np.float32), np.array([0]), ("X", "O"))
    others = replace(picture(0), classes=("a", "b"))
    for source, held_out in ((wide, None), (others, None), (picture(0), wide), (picture(0), others)):
        with pytest.raises(ShapeError, match="choose"):
            list(Trainer(ONE, FixedSource(source), TrainingConfig(), CPU, None, held_out).run())
    with pytest.raises(ValueError, match="no layer called dense-2"):
        Trainer(ONE, FixedSource(picture(0)), TrainingConfig(frozen=("dense-2",)), CPU)
    with pytest.raises(ValueError, match="no examples to train on"):
        Trainer(ONE, FixedSource(picture(0).take([])), TrainingConfig(), CPU)


# --- numbers that are none


def test_a_refused_step_lets_no_later_one_through() -> None:
    config = TrainingConfig(SGD(1e30), batch=32, epochs=3, examples=320, data=DATA)
    trainer = Trainer(SMALL, GeneratedSource(DATA, 320, 1), config, CPU)
    with pytest.raises(TrainingError):
        list(trainer.run())
    kept, made = trainer.checkpoint(), trainer.steps_made
    for _ in range(3):
        with pytest.raises(TrainingError, match=f"at step {made + 1}:"):
            list(trainer.run())
    after = trainer.checkpoint()
    assert (after.steps, after.loss_sum) == (kept.steps, kept.loss_sum)
    for before, now in ((kept.parameters, after.parameters), (kept.optimizer_state, after.optimizer_state)):
        for name, values in before.items():
            np.testing.assert_array_equal(now[name], values)
    # Restored to where it began, it goes on.
    trainer._stepper.restore(SMALL.initial_parameters(1), {})
    assert len(list(islice(trainer.run(), 1))) == 1


def test_running_statistics_that_overflow_stop_the_run_and_stay_as_they_were() -> None:
    """Values of 1e20 are numbers, and so are error and gradient once they are normalized; their variance is not."""
    network = Network((1, 1, 2), (Conv2D(1, 1), BatchNorm2D(), ReLU(), Flatten(), Dense(2)), classes=("X", "O"))
    values = network.initial_parameters(1) | {"conv2d-1.weight": np.full((1, 1, 1, 1), 1e20, np.float32)}
    images = np.random.default_rng(1).uniform(-1, 1, (4, 1, 1, 2)).astype(np.float32)
    source = FixedSource(Dataset(images, np.array([0, 1, 0, 1]), ("X", "O")))
    trainer = Trainer(network, source, TrainingConfig(SGD(1e-3), batch=4, epochs=2), CPU, values)
    with pytest.raises(TrainingError, match="step 1"):
        list(trainer.run())
    for name, array in trainer.parameters().items():
        np.testing.assert_array_equal(array, values[name])


def test_pictures_that_hold_no_numbers_cannot_be_learnt_from() -> None:
    with pytest.raises(ValueError, match="must hold values from -1"):
        Dataset(np.full((1, 1, 1, 1), np.nan, np.float32), np.array([0]), ("X", "O"))
