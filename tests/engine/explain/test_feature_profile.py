"""Feature profiles: activation maximization and top examples, against brute force and known optima."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.data import ExamplePool, LabelledSample, PoolSettings, TrainingData
from engine.data.xo import XOSettings
from engine.documents import WALKTHROUGH, shipped_model
from engine.documents.presets import handmade_parameters
from engine.drawings import Drawing
from engine.explain import ExplanationQuery, FeatureProfile, FeatureQuery, TopExample
from engine.explain import feature_profile as feature_profile_module
from engine.explain import top_examples as top_examples_module
from engine.explain.attribution import Gradients
from engine.explain.feature_profile import FeatureProfiler
from engine.explain.feature_visualization import ActivationMaximization, MaximizedInput, Regularization
from engine.explain.top_examples import TOP_COUNT, ExampleReader, TopExamples, ValueDistribution
from engine.nn import Model, Network, Plan, Prediction, Predictor
from engine.nn.layers import AvgPool2D, Conv2D, Dense, Flatten, GlobalAvgPool, MaxPool2D, ReLU, Residual, Tanh
from engine.runtime.scheduler import Policy
from tests.engine.query_driver import QueryDriver
from tests.samples import drawing_sample

Array = np.ndarray[Any, Any]
CPU = choose_backend("cpu")
SIDE = 10
NETWORK = Network(
    (1, SIDE, SIDE),
    (Conv2D(4, 3, stride=2, padding=2), Tanh(), AvgPool2D(2, 1), Conv2D(5, 2), ReLU(), Flatten(), Dense(2)),
    classes=("X", "O"),
)
ONE = Network((1, SIDE, SIDE), (Conv2D(2, 5), ReLU(), Flatten(), Dense(2)), classes=("X", "O"))
LESSON = TrainingData(PoolSettings(XOSettings(side=SIDE, neither=0.3), count=230, held_out=1, seed=4))


def subject(network: Network = NETWORK, seed: int = 3) -> Model:
    return Model("small", network, network.initial_parameters(seed))


def gradients(of: Model) -> Gradients:
    made = Gradients(of.network)
    made.load(of.parameters)
    return made


def ascended(of: Model, layer: int, channel: int, seed: int = 1, **more: Any) -> list[MaximizedInput]:
    return [
        one
        for one in ActivationMaximization(gradients(of), layer, channel, seed, **more).iter_slices()
        if one is not None
    ]


def outputs(of: Model, pictures: Array, layer: int, dtype: Any = np.float32) -> Array:
    plan = Plan(of.network, CPU, len(pictures), dtype=dtype, keep_outputs=True)
    plan.load(of.parameters)
    plan.forward(pictures)
    return plan.outputs()[layer]


def found_all(favourites: TopExamples) -> TopExamples:
    while favourites.progress < 1:
        favourites.advance()
    return favourites


def told(examples: Any) -> list[TopExample]:
    return [one for one in examples if one is not None]


def last(liking: FeatureProfiler, of: Model, wanted: FeatureQuery) -> FeatureProfile:
    return [one for one in liking.iter_profiles(of, wanted, is_training=True) if one is not None][-1]


def climbed(of: Model, picture: Array, layer: int, place: tuple[int, ...]) -> tuple[int | None, Array]:
    found: list[tuple[int | None, Array]] = []

    def climbing() -> Iterator[None]:
        found.append((yield from gradients(of).first_input_gradient(picture, [(layer, place)])))

    list(climbing())
    return found[0]


# --- the picture


@pytest.mark.parametrize(
    ("layer", "place"), [(1, (2, 3, 3)), (2, (0, 0, 5)), (3, (1, 2, 2)), (4, (3, 1, 1)), (7, (1,))]
)
def test_the_slope_is_what_moving_every_pixel_finds(layer: int, place: tuple[int, ...]) -> None:
    of, step = subject(), 1e-5
    picture = np.random.default_rng(5).uniform(-1, 1, (1, SIDE, SIDE))
    target, slope = climbed(of, picture, layer, place)
    moved = np.repeat(picture[None], 2 * SIDE * SIDE, axis=0)
    for pixel in range(SIDE * SIDE):
        for sign in (0, 1):
            moved[2 * pixel + sign, 0].reshape(-1)[pixel] += step * (1 - 2 * sign)
    values = outputs(of, moved, layer, np.float64)[(slice(None), *place)]
    tried = (values[::2] - values[1::2]).reshape(1, SIDE, SIDE) / (2 * step)
    assert target == 0
    np.testing.assert_allclose(slope, tried, atol=1e-8)


def test_without_restraint_the_best_picture_of_one_feature_is_the_sign_of_its_weights() -> None:
    of, rng = subject(ONE), np.random.default_rng(1)
    weights = (rng.uniform(0.3, 1, (2, 1, 5, 5)) * rng.choice([-1, 1], (2, 1, 5, 5))).astype(np.float32)
    of = replace(of, parameters=dict(of.parameters) | {"conv2d-1.weight": weights})
    bias = of.parameters["conv2d-1.bias"]
    best = float(np.abs(weights[1]).sum() + bias[1])
    way = ascended(of, 1, 1, regularization=Regularization())
    (rows, columns), end = way[-1].window, way[-1]
    assert (len(rows), len(columns)) == (5, 5)
    found = end.picture[0, rows.start : rows.stop, columns.start : columns.stop]
    np.testing.assert_array_equal(found, np.sign(weights[1, 0]))
    assert end.value == pytest.approx(best, rel=1e-6)
    assert end.value > way[0].value
    examples = found_all(TopExamples(of, 1, ExampleReader(LESSON, (1, SIDE, SIDE))))
    assert end.value >= told(examples.highest(1))[0].value


def test_with_restraint_it_still_beats_every_example_and_stays_within_its_bounds() -> None:
    of = shipped_model("default")
    training_data = TrainingData(PoolSettings(XOSettings(side=48), count=200, held_out=1))
    for layer, channel in ((4, 3), (13, 0)):
        end = ascended(of, layer, channel)[-1]
        best = told(found_all(TopExamples(of, layer, ExampleReader(training_data, (1, 48, 48)))).highest(channel))[
            0
        ]
        assert end.value > best.value
        assert np.abs(end.picture).max() <= 1


@pytest.mark.parametrize("channel", range(3))
def test_the_articles_features_come_out_as_the_strokes_they_are(channel: int) -> None:
    of = Model("article", WALKTHROUGH.network, handmade_parameters())
    end = ascended(of, 1, channel)[-1]
    rows, columns = end.window
    found = end.picture[0, rows.start : rows.stop, columns.start : columns.stop]
    np.testing.assert_array_equal(np.sign(found), of.parameters["conv2d-1.weight"][channel, 0])
    assert np.abs(found).min() > 0.9


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    of = subject()
    ways = [[one.picture.tobytes() for one in ascended(of, 7, 0, seed, steps=12)] for seed in (1, 1, 2)]
    assert ways[0] == ways[1]
    assert ways[0][-1] != ways[2][-1]
    assert len(set(ways[0])) == 13  # every step is another picture


def test_a_dead_feature_says_so_and_one_that_nothing_moves_too() -> None:
    of = subject(ONE)
    dead = dict(of.parameters) | {"conv2d-1.bias": np.array([-99.0, 0.0], np.float32)}
    way = ascended(replace(of, parameters=dead), 2, 0)
    assert "dead" in way[-1].message
    assert way[-1].value == 0
    before = [outputs(replace(of, parameters=dead), one.picture[None], 1)[0, 0, 3, 3] for one in (way[0], way[-1])]
    assert before[1] > before[0] + 1
    off = dict(of.parameters) | {"conv2d-1.weight": np.zeros((2, 1, 5, 5), np.float32)}
    still = ascended(replace(of, parameters=off), 1, 0)
    assert len(still) == 1
    assert still[0].is_stuck
    assert "This value has no gradient for any noise" in still[0].message
    assert not ascended(of, 2, 1)[-1].message


def test_every_kind_of_layer_can_be_climbed_for() -> None:
    network = Network(
        (1, 12, 12),
        (Conv2D(3, 3), ReLU(), Residual((Conv2D(3, 3, padding=1), Tanh())), MaxPool2D(), GlobalAvgPool(), Dense(2)),
        classes=("X", "O"),
    )
    for of, at in ((subject(network), 6), (subject(), 7)):
        for layer in range(1, at + 1):
            way = ascended(of, layer, 1, steps=20)
            assert way[-1].value > way[0].value or "dead" in way[-1].message


# --- the examples


def test_the_nine_most_and_least_are_those_that_reading_all_of_them_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    of = subject()
    monkeypatch.setattr(top_examples_module, "MAX_VALUES", 9_000)  # some features at a time
    pool = ExamplePool(LESSON.generated)
    pool.generate_all()
    images, labels = pool.training.images, pool.training.labels
    for layer in (1, 4, 5, 7):
        favourites = found_all(TopExamples(of, layer, ExampleReader(LESSON, (1, SIDE, SIDE))))
        maps = outputs(of, images, layer)
        maps = maps.reshape(len(maps), maps.shape[1], -1)
        for channel in range(maps.shape[1]):
            peaks = maps[:, channel].max(axis=1)
            for found, order in (
                (told(favourites.highest(channel)), np.argsort(-peaks, kind="stable")),
                (told(favourites.lowest(channel)), np.argsort(peaks, kind="stable")),
            ):
                assert len(found) == TOP_COUNT
                np.testing.assert_allclose([one.value for one in found], peaks[order[:TOP_COUNT]], atol=1e-6)
                for one in found:
                    assert one.value == pytest.approx(peaks[one.index], abs=1e-6)
                    np.testing.assert_array_equal(one.picture, images[one.index, 0])
                    assert one.label == ("X", "O", "neither")[labels[one.index]]
            spread = favourites.distribution(channel)
            assert spread is not None
            check_spread(spread, maps[:, channel], peaks)


def check_spread(spread: ValueDistribution, values: Array, peaks: Array) -> None:
    assert spread.count == len(values)
    said = (spread.mean, spread.std, spread.minimum, spread.maximum)
    assert said == pytest.approx((values.mean(), values.std(), values.min(), values.max()), abs=1e-5)
    assert spread.zero_share == pytest.approx((values == 0).mean())
    assert spread.inactive_share == pytest.approx((values == 0).all(axis=1).mean())
    assert (spread.bin_start, spread.bin_stop) == pytest.approx((peaks.min(), peaks.max()), abs=1e-6)
    assert spread.peaks.sum() == len(peaks)


@pytest.mark.parametrize("layer", [1, 3, 4, 6, 7])
def test_the_patch_is_where_changing_a_pixel_changes_the_value(layer: int) -> None:
    of, rng = subject(), np.random.default_rng(2)
    # A large bias: where a ReLU zeroes a value, changing a pixel changes nothing.
    of = replace(of, parameters=dict(of.parameters) | {"conv2d-2.bias": np.full(5, 9, np.float32)})
    favourites = found_all(TopExamples(of, layer, ExampleReader(LESSON, (1, SIDE, SIDE))))
    for one in told(favourites.highest(1))[:3]:
        start = rng.uniform(-1, 1, (1, SIDE, SIDE))
        moved = np.repeat(start[None], SIDE * SIDE + 1, axis=0)
        for pixel in range(SIDE * SIDE):
            moved[pixel + 1, 0].reshape(-1)[pixel] += 0.5
        made = outputs(of, one.picture[None, None], layer)[0, 1].reshape(-1)
        values = outputs(of, moved, layer, np.float64)[:, 1].reshape(len(moved), -1)[:, int(made.argmax())]
        moves = (values[1:] != values[0]).reshape(SIDE, SIDE)
        rows, columns = np.flatnonzero(moves.any(axis=1)), np.flatnonzero(moves.any(axis=0))
        assert one.window == (range(rows[0], rows[-1] + 1), range(columns[0], columns[-1] + 1))


def test_pictures_that_take_too_much_room_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = found_all(TopExamples(subject(), 1, ExampleReader(LESSON, (1, SIDE, SIDE))))
    monkeypatch.setattr(top_examples_module, "MAX_PICTURE_BYTES", 0)
    again = found_all(TopExamples(subject(), 1, ExampleReader(LESSON, (1, SIDE, SIDE))))
    assert next(again.lowest(2)) is None  # there is a pause before it
    for one, other in zip(told(kept.lowest(2)), told(again.lowest(2)), strict=True):
        assert one.index == other.index
        np.testing.assert_array_equal(one.picture, other.picture)


def test_weights_that_have_run_away_give_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_profile_module, "ASCENT_INTERVAL", 0.0)
    of = subject()
    parameters = {name: (array + 1) * np.float32(1e30) for name, array in of.parameters.items()}
    explainer = QueryDriver()
    prediction = read(replace(of, parameters=parameters))
    for layer in (1, 4, 7):
        explainer.set_query(
            ExplanationQuery("likes", feature=FeatureQuery(layer, 1, 1, LESSON)), (prediction,), True
        )
        while explainer.busy:
            explainer.run_for(0.02)
        assert explainer.result is not None
        assert explainer.result.progress == 1


def test_own_drawings_are_among_them_each_once_and_examples_at_hand_change_nothing() -> None:
    ink = np.ones((SIDE, SIDE), np.float32)
    own = (
        LabelledSample(drawing_sample(Drawing(image=ink)), "X", 7),
        LabelledSample(drawing_sample(Drawing()), "O", 0),
    )
    of, training_data = subject(), replace(LESSON, labelled_samples=own)
    given = ExampleReader(training_data, (1, SIDE, SIDE))
    assert given.count == LESSON.generated.count + 1
    np.testing.assert_array_equal(given.picture(LESSON.generated.count), ink)
    pool = ExamplePool(LESSON.generated, own)
    pool.generate_all()
    at_hand = found_all(TopExamples(of, 1, ExampleReader(training_data, (1, SIDE, SIDE), pool.training)))
    made = found_all(TopExamples(of, 1, given))
    for channel in range(4):
        assert [one.index for one in told(made.highest(channel))] == [
            one.index for one in told(at_hand.highest(channel))
        ]


# --- both, as they are asked for


def test_another_feature_of_the_same_layer_is_answered_at_once() -> None:
    liking, of = FeatureProfiler(), subject()
    first = last(liking, of, FeatureQuery(1, 0, 1, LESSON))
    assert (first.search_progress, first.examples_read, first.progress) == (1, LESSON.generated.count, 1)
    second = next(liking.iter_profiles(of, FeatureQuery(1, 2, 1, LESSON), is_training=True))
    assert second is not None
    assert len(second.highest) == TOP_COUNT
    assert second.progress < 1  # the picture is still to come
    assert second.weights is not None
    np.testing.assert_array_equal(second.weights.weights, of.parameters["conv2d-1.weight"][2])
    other = next(liking.iter_profiles(subject(seed=8), FeatureQuery(1, 2, 1, LESSON), is_training=True))
    assert other is not None
    assert not other.highest  # of other weights nothing is known


def test_a_network_of_other_classes_still_gets_its_picture() -> None:
    of = subject(replace(NETWORK, classes=("a", "b")))
    likes = last(FeatureProfiler(), of, FeatureQuery(7, 0, 1, LESSON))
    assert "X and O" in likes.message
    assert likes.maximized_input is not None
    assert likes.maximized_input.progress == 1


def test_examples_that_cannot_be_made_are_said_each_time_they_are_asked_for() -> None:
    liking, of = FeatureProfiler(), subject()
    strange = replace(LESSON, labelled_samples=(LabelledSample(drawing_sample(Drawing()), "Z"),))
    for channel in (0, 1):
        likes = last(liking, of, FeatureQuery(1, channel, 1, strange))
        assert "labelled Z" in likes.message
        assert likes.progress == 1


def read(of: Model) -> Prediction:
    return Predictor(of, CPU).predict(np.full((SIDE, SIDE), -1, np.float32))


def test_while_weights_are_learnt_the_last_whole_answer_stays_and_a_hand_s_change_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.runtime.jobs._SLOW", Policy("", while_drawing=False, share=1.0, min_interval=0.0))
    monkeypatch.setattr(feature_profile_module, "ASCENT_INTERVAL", 0.0)
    explainer, query = QueryDriver(), ExplanationQuery("likes", feature=FeatureQuery(1, 0, 1, LESSON))

    def finish() -> None:
        while explainer.busy:
            explainer.run_for(0.02)

    monkeypatch.setattr(feature_profile_module, "COARSE_EXAMPLES", 100)
    explainer.set_query(query, (read(subject()),), True, is_training=True)
    finish()
    first = explainer.result
    assert first is not None
    assert first.progress == 1
    assert first.profile is not None
    assert first.profile.examples_read == 100
    explainer.set_query(query, (read(subject(seed=9)),), True, is_training=True)
    assert explainer.busy
    explainer.run_for(0.0001)
    assert explainer.result is first
    finish()
    second = explainer.result
    assert second is not None
    assert second.progress == 1
    assert second is not first
    explainer.set_query(query, (read(subject(seed=9)),), True)  # the same weights, not learnt any more
    finish()
    assert explainer.result is not None
    assert explainer.result.profile is not None
    assert explainer.result.profile.examples_read == LESSON.generated.count  # of which a part was enough before
    explainer.set_query(query, (read(subject(seed=9)),), True)
    assert not explainer.busy
    explainer.set_query(query, (read(subject(seed=10)),), True)
    assert explainer.busy
    explainer.run_for(0.0001)
    assert explainer.result is not second


def test_a_reader_has_whole_parts_and_own_drawings_once_each() -> None:
    shape, own = (
        (1, SIDE, SIDE),
        tuple(LabelledSample(drawing_sample(Drawing()), "X", weight) for weight in (1,) * 30 + (3, 0)),
    )
    counts = [ExampleReader(LESSON, shape, limit=limit).count for limit in (None, 1, 100, 150, 900)]
    assert counts == [230, 100, 100, 200, 230]
    reader = ExampleReader(replace(LESSON, labelled_samples=own), shape)
    assert reader.count == 230 + 31
    first = [reader.first_index(part) for part in range(reader.part_count)]
    assert first == [0, 100, 200, 230, 250]
    assert [len(reader.part(part)) for part in range(reader.part_count)] == [100, 100, 30, 20, 11]
    assert (reader.picture(229) > -1).any()
    assert (reader.picture(260) == -1).all()
