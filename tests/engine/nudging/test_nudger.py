"""Nudger: each parameter in turn a little up and a little down, keeping the value with the least loss."""

from __future__ import annotations

import math
from itertools import islice, pairwise

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.bench.cases import random_parameters
from engine.data import Dataset, FixedSource
from engine.data.xo import article_examples
from engine.documents import TRAINABLE_WALKTHROUGH
from engine.nn import Network, Plan
from engine.nn.layers import (
    BatchNorm2D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPool2D,
    ReLU,
    Residual,
    ShapeError,
    Votes,
)
from engine.nudging import Nudge, Nudger, NudgeState, NudgingConfig

ARTICLE = article_examples()
# Every kind of layer that has parameters or differs in training mode.
MIXED = Network(
    (1, 4, 5),
    (
        Conv2D(2, 3, padding=1),
        BatchNorm2D(),
        ReLU(),
        Residual((Conv2D(2, 1), ReLU(), Conv2D(2, 3, padding="same", bias=False))),
        MaxPool2D(),
        Dropout(0.5),
        Flatten(),
        Dense(2),
    ),
    classes=("X", "O"),
)


def some_examples(network: Network, count: int) -> Dataset:
    rng = np.random.default_rng(2)
    images = rng.uniform(-1, 1, (count, *network.input_shape)).astype(np.float32)
    return Dataset(images, np.arange(count) % 3 - 1, network.classes)


def fresh_error(network: Network, values: dict[str, np.ndarray], given: Dataset, places: tuple[int, ...]) -> float:
    """The mean cross-entropy by its textbook formula, after a forward pass through a new plan."""
    plan = Plan(network, choose_backend("cpu"), len(places), dtype=np.float64)
    plan.load(values)
    votes = np.exp(plan.forward(given.images[list(places)])).T
    votes /= votes.sum(1, keepdims=True)
    errors = []
    for vote, label in zip(votes, given.labels[list(places)], strict=True):
        shares = [1 / len(vote)] * len(vote) if label < 0 else [float(k == label) for k in range(len(vote))]
        errors.append(-sum(share * math.log(v) for share, v in zip(shares, vote, strict=True)))
    return sum(errors) / len(errors)


def make(
    network: Network, given: Dataset, nudging: NudgingConfig, values: dict[str, np.ndarray] | None = None
) -> Nudger:
    return Nudger(network, FixedSource(given), nudging, network.initial_parameters(1) if values is None else values)


def take(nudger: Nudger, count: int) -> list[Nudge]:
    return list(islice(nudger.iter_nudges(), count))


def test_one_weight_by_hand() -> None:
    """Scores w and -w, label 0: the loss is log(1 + exp(-2w)), so up is better, again and again."""
    network = Network((1, 1, 2), (Conv2D(1, 1, bias=False), Flatten(), Votes(((0,), (1,)))), classes=("X", "O"))
    given = Dataset(np.array([[[[1, -1]]]], np.float32), np.array([0]), ("X", "O"))
    nudger = make(network, given, NudgingConfig(size=0.25), {"conv2d-1.weight": np.full((1, 1, 1, 1), 0.5)})
    first, second = take(nudger, 2)
    assert (first.name, first.index, first.examples) == ("conv2d-1.weight", (0, 0, 0, 0), (0,))
    assert (first.number, first.epoch, second.number, second.epoch) == (1, 1, 2, 2)
    assert (first.before, first.after, second.before) == (0.5, 0.75, 0.75)
    assert first.error == pytest.approx(math.log(1 + math.exp(-1)), rel=1e-12)
    assert first.error_up == pytest.approx(math.log(1 + math.exp(-1.5)), rel=1e-12)
    assert first.error_down == pytest.approx(math.log(1 + math.exp(-0.5)), rel=1e-12)
    assert first.direction == "up"
    assert second.error == first.error_up
    assert nudger.parameters()["conv2d-1.weight"] == 1.0


@pytest.mark.parametrize(
    ("error", "up", "down", "kept"),
    [
        (3, 2, 1, "down"),
        (3, 1, 2, "up"),
        (1, 2, 3, "same"),
        (1, 1, 1, "same"),
        (1, 1, 2, "same"),
        (2, 1, 1, "up"),
        (2, 3, 1, "down"),
        (2, math.nan, 1, "down"),
        (2, 1, math.nan, "up"),
        (2, math.nan, math.inf, "same"),
    ],
)
def test_whichever_makes_the_error_least_is_kept(error: float, up: float, down: float, kept: str) -> None:
    nudge = Nudge(1, 1, (0,), "dense-1.bias", (0,), 5.0, 0.5, error, up, down)
    assert nudge.direction == kept
    assert nudge.after == {"up": 5.5, "down": 4.5, "same": 5.0}[kept]
    assert nudge.error_after == {"up": up, "down": down, "same": error}[kept]


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
def test_every_error_is_that_of_a_whole_pass_with_these_values(shuffled: bool, batch: int) -> None:
    """Whatever the nudger does not recompute, an independent pass gives the same losses and keeps the same
    value."""
    given, values = some_examples(MIXED, 3), random_parameters(MIXED, np.random.default_rng(4))
    nudger = make(MIXED, given, NudgingConfig(0.05, shuffled=shuffled, batch=batch), values)
    turns = nudger.value_count * nudger.batch_count + 7
    for nudge in take(nudger, turns):
        assert values[nudge.name][nudge.index] == nudge.before
        errors = []
        for value in (nudge.before, nudge.before + nudge.size, nudge.before - nudge.size):
            values[nudge.name][nudge.index] = value
            errors.append(fresh_error(MIXED, values, given, nudge.examples))
        np.testing.assert_allclose([nudge.error, nudge.error_up, nudge.error_down], errors, rtol=1e-6)
        values[nudge.name][nudge.index] = nudge.after
    for name, array in nudger.parameters().items():
        np.testing.assert_array_equal(array, values[name], err_msg=name)


@pytest.mark.parametrize("shuffled", [False, True])
def test_the_error_of_the_example_at_hand_never_rises(shuffled: bool) -> None:
    nudger = make(TRAINABLE_WALKTHROUGH, ARTICLE, NudgingConfig(0.3, shuffled=shuffled))
    for _ in range(20):
        errors = [nudge.error for nudge in take(nudger, nudger.value_count)] + [nudger.state().error]
        assert all(after <= before for before, after in pairwise(errors))
    assert errors[-1] < 1e-3  # and it does fall


def test_all_examples_are_learnt_in_the_end() -> None:
    nudger = make(TRAINABLE_WALKTHROUGH, ARTICLE, NudgingConfig(0.3, batch=10))
    start, *_, last = take(nudger, 40 * nudger.value_count)
    assert start.error > 0.5
    assert last.error_after < 1e-3


def test_values_take_turns_in_order_from_the_first_layer() -> None:
    nudger = make(TRAINABLE_WALKTHROUGH, ARTICLE, NudgingConfig())
    nudges = take(nudger, 57)
    names = [name for name, shape in TRAINABLE_WALKTHROUGH.parameter_shapes.items() for _ in np.ndindex(shape)]
    assert nudger.value_count == 56
    assert [nudge.name for nudge in nudges] == [*names, names[0]]
    assert [nudge.index for nudge in nudges[:3]] == [(0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 0, 2)]
    assert len({nudge.examples for nudge in nudges[:56]}) == 1
    assert nudges[56].examples != nudges[0].examples


def test_shuffled_values_have_one_turn_each_in_an_order_drawn_for_each_batch() -> None:
    nudges = take(make(TRAINABLE_WALKTHROUGH, ARTICLE, NudgingConfig(shuffled=True)), 112)
    first, second = ([(n.name, n.index) for n in part] for part in (nudges[:56], nudges[56:]))
    assert len(set(first)) == len(set(second)) == 56
    assert first != second


def test_every_example_has_its_turn_in_every_epoch_and_the_last_batch_may_be_shorter() -> None:
    nudger = make(TRAINABLE_WALKTHROUGH, ARTICLE.take(range(5)), NudgingConfig(batch=2))
    batches = [nudge.examples for nudge in take(nudger, 2 * 3 * 56)][::56]
    assert [len(batch) for batch in batches] == [2, 2, 1, 2, 2, 1]
    for epoch in (batches[:3], batches[3:]):
        assert sorted(sum(epoch, ())) == [0, 1, 2, 3, 4]
    assert batches[:3] != batches[3:]


def test_nudges_shrink_from_epoch_to_epoch() -> None:
    nudger = make(TRAINABLE_WALKTHROUGH, ARTICLE.take([0, 1]), NudgingConfig(0.4, shrink=0.5))
    sizes = [nudge.size for nudge in take(nudger, 3 * 2 * 56)]
    assert sizes[::112] == [0.4, 0.2, 0.1]
    assert set(sizes[:112]) == {0.4}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    def run(seed: int) -> list[bytes]:
        nudger = make(TRAINABLE_WALKTHROUGH, ARTICLE, NudgingConfig(shuffled=True, seed=seed))
        take(nudger, 700)
        return [array.tobytes() for array in nudger.parameters().values()]

    assert run(1) == run(1)
    assert run(1) != run(2)


@pytest.mark.parametrize("stop", [0, 1, 31, 56, 60, 117])
@pytest.mark.parametrize("shuffled", [False, True])
def test_one_who_stopped_goes_on_as_if_never_stopped(stop: int, shuffled: bool) -> None:
    given, nudging = ARTICLE.take(range(3)), NudgingConfig(0.2, shrink=0.9, shuffled=shuffled, batch=2)
    never, before = (make(TRAINABLE_WALKTHROUGH, given, nudging) for _ in range(2))
    whole = take(never, 300)
    assert take(before, stop) == whole[:stop]
    after = Nudger(TRAINABLE_WALKTHROUGH, FixedSource(given), nudging, before.state())
    assert take(after, 300 - stop) == whole[stop:]
    for name, array in after.parameters().items():
        assert array.tobytes() == never.parameters()[name].tobytes()


def test_the_error_of_a_state_is_believed() -> None:
    """It was computed in another way than by a fresh pass, and may differ from that in its last digits."""
    nudging = NudgingConfig()
    state = NudgeState(TRAINABLE_WALKTHROUGH.initial_parameters(1), 31, 0.1234)
    assert take(Nudger(TRAINABLE_WALKTHROUGH, FixedSource(ARTICLE), nudging, state), 1)[0].error == 0.1234


def test_a_state_is_a_copy() -> None:
    nudger = make(TRAINABLE_WALKTHROUGH, ARTICLE, NudgingConfig())
    state = nudger.state()
    kept = {name: array.copy() for name, array in state.parameters.items()}
    take(nudger, 60)
    for name, array in state.parameters.items():
        np.testing.assert_array_equal(array, kept[name])


def test_frozen_layers_and_running_statistics_stay() -> None:
    values = random_parameters(MIXED, np.random.default_rng(4))
    nudger = make(MIXED, some_examples(MIXED, 2), NudgingConfig(frozen=("conv2d-1", "residual-1")), values)
    nudges = take(nudger, 3 * nudger.value_count)
    assert {nudge.name for nudge in nudges} == {
        "batchnorm2d-1.weight",
        "batchnorm2d-1.bias",
        "dense-1.weight",
        "dense-1.bias",
    }
    statistics = (".mean", ".variance")
    still = [name for name in values if name.startswith(("conv2d-1", "residual-1")) or name.endswith(statistics)]
    after = nudger.parameters()
    for name in values:
        assert np.array_equal(after[name], values[name]) == (name in still), name


def test_only_what_a_nudge_reaches_is_computed() -> None:
    """The convolution costs 3 * 7 * 7 * 9 = 1323 multiplies, the last layer 12 * 2 = 24."""
    nudger = make(TRAINABLE_WALKTHROUGH, ARTICLE, NudgingConfig())
    take(nudger, 1)
    assert nudger.multiplies == (1323 + 24) + 2 * (1323 + 24)
    take(nudger, 29)
    conv = (1323 + 24) + 30 * 2 * (1323 + 24)
    assert nudger.multiplies == conv
    # Then the convolution once more, with its final values, and the last layer twice per nudge.
    take(nudger, 26)
    assert nudger.multiplies == conv + 1323 + 26 * 2 * 24


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": 0}, "size"),
        ({"size": float("nan")}, "size"),
        ({"shrink": 0}, "share"),
        ({"shrink": 1.5}, "share"),
        ({"batch": 0}, "batch"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_that_mean_nothing_are_named(settings: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=rf"^[A-Z].*{words}.*\.$"):
        NudgingConfig(**settings)


def test_what_does_not_fit_is_named() -> None:
    values = TRAINABLE_WALKTHROUGH.initial_parameters(1)
    with pytest.raises(ValueError, match=r"no layer called conv2d-2"):
        make(TRAINABLE_WALKTHROUGH, ARTICLE, NudgingConfig(frozen=("conv2d-2",)))
    with pytest.raises(ValueError, match=r"no parameter to nudge"):
        make(TRAINABLE_WALKTHROUGH, ARTICLE, NudgingConfig(frozen=("conv2d-1", "dense-1")))
    with pytest.raises(ValueError, match=r"no examples"):
        make(TRAINABLE_WALKTHROUGH, ARTICLE.take([]), NudgingConfig())
    with pytest.raises(ShapeError, match=r"input is 1 × 4 × 5, but the examples are 1 × 9 × 9"):
        take(make(MIXED, ARTICLE, NudgingConfig()), 1)
    with pytest.raises(ShapeError, match=r"missing"):
        Nudger(TRAINABLE_WALKTHROUGH, FixedSource(ARTICLE), NudgingConfig(), NudgeState({}, 5, 0.1))
    huge = {name: np.full(array.shape, 1e200) for name, array in values.items()}
    with pytest.raises(ValueError, match=r"not a finite number.*smaller weights\.$"):
        take(make(TRAINABLE_WALKTHROUGH, ARTICLE, NudgingConfig(), huge), 1)
