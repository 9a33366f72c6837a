"""Saliency, Grad-CAM, occlusion and ablation, against brute force."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.data import Dataset, PoolSettings, TrainingData
from engine.data.xo import XOSettings, generate_dataset
from engine.documents import Document
from engine.drawings import Drawing, Stroke
from engine.explain import AvailableExamples, Explanation, ExplanationQuery
from engine.explain.attribution import (
    Gradients,
    grad_cam,
    grad_cam_layer,
    upsample,
)
from engine.explain.perturbation import GENERATED_COUNT, GENERATED_SEED, Occlusion, patches
from engine.nn import Model, Network, Plan, Prediction, Predictor, ablated
from engine.nn.layers import Conv2D, Dense, Flatten, GlobalAvgPool, MaxPool2D, ReLU, Tanh
from engine.runtime import Request, Runner
from engine.training import evaluate
from tests.engine.query_driver import QueryDriver
from tests.samples import drawing_sample

Array = np.ndarray[Any, Any]
CPU = choose_backend("cpu")
LAYERS = (Conv2D(4, 3, stride=2, padding=2), Tanh(), MaxPool2D(3, 2), Conv2D(5, 2), ReLU(), Flatten(), Dense(3))
SMALL = Network((1, 10, 10), LAYERS, classes=("a", "b", "c"))
PICTURE = np.random.default_rng(7).uniform(-1, 1, (1, 10, 10)).astype(np.float32)


def subject(network: Network = SMALL, seed: int = 3) -> Model:
    return Model("small", network, network.initial_parameters(seed))


def scores(pictures: Array, of: Model) -> Array:
    plan = Plan(of.network, CPU, len(pictures), dtype=np.float64)
    plan.load(of.parameters)
    return np.array(plan.forward(pictures)).T.copy()


def shown(of: Model, picture: Array = PICTURE) -> Gradients:
    gradients = Gradients(of.network, len(of.network.classes))
    gradients.load(of.parameters)
    gradients.forward(picture)
    return gradients


def read(of: Model, picture: Array = PICTURE) -> Prediction:
    return Predictor(of, CPU).predict(picture[0])


@pytest.mark.parametrize("target", range(3))
def test_the_gradient_is_what_trying_every_pixel_finds(target: int) -> None:
    of, step = subject(), 1e-5
    tried = np.repeat(PICTURE.astype(np.float64)[None], 200, axis=0)
    flat = tried.reshape(200, 100)
    flat[np.arange(100), np.arange(100)] += step
    flat[np.arange(100, 200), np.arange(100)] -= step
    found = scores(tried, of)[:, target]
    slopes = (found[:100] - found[100:]).reshape(10, 10) / (2 * step)
    explained = explanation(of, ExplanationQuery("gradient", target=target))
    np.testing.assert_allclose(explained, slopes, rtol=1e-5, atol=1e-8)
    products = explanation(of, ExplanationQuery("gradient_times_input", target=target))
    np.testing.assert_allclose(products, explained * PICTURE[0])


def test_the_gradient_of_a_value_is_what_trying_every_pixel_finds() -> None:
    """In every layer, from a pixel to a score."""
    of, step = subject(), 1e-5
    places = [(0, (0, 3, 4)), (1, (2, 3, 3)), (2, (1, 2, 4)), (3, (3, 1, 1)), (4, (4, 0, 1)), (6, (3,)), (7, (1,))]
    gradients, picture = shown(of), PICTURE.astype(np.float64)
    slopes = np.zeros((len(places), 10, 10))
    for row, column in np.ndindex(10, 10):
        for side in (1, -1):
            tried = picture.copy()
            tried[0, row, column] += side * step
            gradients.forward(tried)
            found = [float(gradients.output(layer)[cell]) for layer, cell in places]
            slopes[:, row, column] += side * np.array(found) / (2 * step)
    for (layer, cell), slope in zip(places, slopes, strict=True):
        explained = explanation(of, ExplanationQuery("gradient", 0, layer, cell))
        np.testing.assert_allclose(explained, slope, rtol=1e-5, atol=1e-8)
        products = explanation(of, ExplanationQuery("gradient_times_input", 0, layer, cell))
        np.testing.assert_allclose(products, explained * PICTURE[0])


def explanation(of: Model, query: ExplanationQuery) -> Array:
    explainer = QueryDriver()
    explainer.set_query(query, (read(of),), True)
    assert explainer.result is not None
    assert explainer.result.map is not None
    return explainer.result.map


def score_gradient(gradients: Gradients, target: int) -> Array:
    return gradients.backward(len(gradients.network.layers), [(target,)])[0][0]


def test_grad_cam_weighs_the_last_maps_by_what_moving_a_whole_map_does_to_the_score() -> None:
    """The mean gradient of a map is how the score moves if all of it moves, divided by its places."""
    of = subject()
    gradients = shown(of)
    assert grad_cam_layer(gradients) == 5
    maps = gradients.outputs()[5]
    top = Network(tuple(maps.shape), (Flatten(), Dense(3)), classes=("a", "b", "c"))
    head = Model(
        "head",
        top,
        {"dense-1.weight": of.parameters["dense-1.weight"], "dense-1.bias": of.parameters["dense-1.bias"]},
    )
    base = scores(maps[None], head)[0, 1]
    moved = []
    for channel in range(len(maps)):
        more = maps.copy()
        more[channel] += 1.0
        moved.append((scores(more[None], head)[0, 1] - base) / maps[0].size)
    coarse = np.maximum(np.einsum("c,chw->hw", np.array(moved), maps), 0)
    np.testing.assert_allclose(grad_cam(gradients, 1), upsample(coarse, (10, 10)), atol=1e-9)


def test_spreading_keeps_a_flat_map_flat_and_peaks_in_their_place() -> None:
    assert np.allclose(upsample(np.full((3, 2), 4.0), (10, 7)), 4.0)
    peak = np.zeros((4, 4))
    peak[1, 2] = 1.0
    made = upsample(peak, (16, 16))
    row, column = np.unravel_index(made.argmax(), made.shape)
    assert (4 <= row < 8, 8 <= column < 12) == (True, True)


def test_a_network_without_maps_says_that_it_has_no_grad_cam() -> None:
    network = Network((1, 4, 4), (Flatten(), Dense(2)), classes=("X", "O"))
    explainer = QueryDriver()
    explainer.set_query(ExplanationQuery("grad_cam"), (read(subject(network), PICTURE[:, :4, :4]),), True)
    assert explainer.result is not None
    assert explainer.result.map is None
    assert "needs feature maps" in explainer.result.message


def test_occlusion_is_the_mean_drop_of_all_patches_over_a_pixel() -> None:
    of = subject()
    *_, (done, drops) = Occlusion(of).score_drops(PICTURE, 2)
    assert done == 1
    (tall, rows), (broad, columns) = patches(10), patches(10)
    sums, counts = np.zeros((10, 10)), np.zeros((10, 10))
    base = scores(PICTURE[None], of)[0, 2]
    for row in rows:
        for column in columns:
            covered = PICTURE.copy()
            covered[0, row : row + tall, column : column + broad] = -1
            sums[row : row + tall, column : column + broad] += base - scores(covered[None], of)[0, 2]
            counts[row : row + tall, column : column + broad] += 1
    assert counts.min() >= 1
    np.testing.assert_allclose(drops, sums / counts, atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 7, 9, 32, 116])
def test_patches_reach_from_edge_to_edge(length: int) -> None:
    size, starts = patches(length)
    seen = {pixel for start in starts for pixel in range(start, start + size)}
    assert seen == set(range(length))


@pytest.mark.parametrize(("length", "size"), [(1, 1), (8, 1), (16, 2), (32, 4), (36, 4), (60, 8), (116, 14)])
def test_patches_are_an_eighth_of_the_side_and_half_a_patch_apart(length: int, size: int) -> None:
    """So that every pixel away from the edge is covered twice, by patches it lies in differently."""
    found, starts = patches(length)
    assert found == size
    gaps = np.diff(starts)
    assert set(gaps[:-1].tolist()) <= {max(1, size // 2)}
    assert 0 <= gaps[-1:].sum() <= max(1, size // 2)


# --- questions


def answered(
    explainer: QueryDriver, query: ExplanationQuery, prediction: Prediction, settled: bool = True
) -> Explanation | None:
    explainer.set_query(query, (prediction,), settled)
    while explainer.busy:
        explainer.run_for(0.01)
    return explainer.result


def test_what_a_value_is_worth_is_what_the_score_loses_without_it() -> None:
    """Above the last ReLU all is straight: taking a value away takes its worth from each score."""
    of = subject()
    prediction = read(of)
    values = prediction.activations[6]
    place = int(values.argmax())
    result = answered(QueryDriver(), ExplanationQuery("worth", layer=6, cell=(place,)), prediction)
    assert result is not None
    expected = of.parameters["dense-1.weight"][:, place] * values[place]
    np.testing.assert_allclose(result.contributions, expected, rtol=1e-5)
    everything = of.parameters["dense-1.weight"] @ values
    np.testing.assert_allclose(result.remainder, prediction.activations[-1] - everything, atol=1e-5)


def test_a_score_is_traced_down_to_the_drawing_and_no_layer_loses_any_of_it() -> None:
    of = subject()
    prediction = read(of)
    result = answered(QueryDriver(), ExplanationQuery("worth", layer=7, cell=(1,)), prediction)
    assert result is not None
    assert len(result.layer_totals) == 7, "the drawing and six layers below the scores"
    for brought, added in result.layer_totals:
        assert brought + added == pytest.approx(float(prediction.activations[-1][1]), abs=1e-5)
    weighed = float(of.parameters["dense-1.weight"][1].astype(np.float64) @ prediction.activations[6])
    assert result.layer_totals[-1] == pytest.approx((weighed, float(of.parameters["dense-1.bias"][1])), abs=1e-5)
    assert result.map is not None
    assert result.layer_totals[0][0] == pytest.approx(float(result.map.sum()))


def test_what_a_large_network_is_asked_is_worked_out_in_pieces_and_told_as_soon_as_it_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.runtime.jobs.QUICK_MULTIPLIES", 0)
    monkeypatch.setattr("engine.explain.attribution.SLICE_SECONDS", 0.0)
    prediction, query = read(subject()), ExplanationQuery("worth", layer=6, cell=(1,))
    explainer, small = QueryDriver(), QueryDriver()
    explainer.set_query(query, (prediction,), True)
    assert explainer.result is None
    assert not explainer.has_first_result
    pieces = 0
    while not explainer.has_first_result:
        assert explainer.busy
        explainer.run_for(0.0)
        pieces += 1
        assert pieces < 100
    assert pieces > 10, "somebody who draws meanwhile is never held up by more than one call"
    explainer.read()
    assert not explainer.has_first_result
    monkeypatch.undo()
    whole = answered(small, query, prediction)
    assert explainer.result is not None
    assert whole is not None
    assert explainer.result.contributions == whole.contributions
    np.testing.assert_array_equal(explainer.result.map, whole.map)


def test_while_weights_are_learnt_the_same_question_takes_a_share_of_the_time_and_is_answered_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    query, now = ExplanationQuery("worth", layer=6, cell=(1,)), [0.0]
    monkeypatch.setattr("engine.runtime.jobs.QUICK_MULTIPLIES", 0)
    monkeypatch.setattr(
        "engine.runtime.scheduler.perf_counter", lambda: now.__setitem__(0, now[0] + 0.01) or now[0]
    )
    explainer = QueryDriver()
    explainer.set_query(query, (read(subject()),), True, is_training=True)
    assert explainer.busy, "the first time somebody waits for it"
    while explainer.busy:
        explainer.run_for(0.0)
    begun = now[0]
    explainer.set_query(query, (read(subject(seed=4)),), True, is_training=True)
    assert not explainer.busy
    while not explainer.busy and now[0] < 100:
        pass
    assert explainer.busy
    assert now[0] - begun > 0.1
    other = read(subject(seed=5))
    explainer.set_query(query, (other,), True, is_training=True)
    explainer.set_query(query, (other,), True, is_training=False)
    assert explainer.busy, "when training stands, nothing is left out"


def test_a_moving_pen_is_held_up_now_and_then_only_and_what_is_left_out_comes_when_it_stands() -> None:
    explainer, query, of = QueryDriver(), ExplanationQuery("gradient", target=0), subject()
    answered(explainer, query, read(of))
    given = [explainer.result]
    for step in range(20):
        picture = np.clip(PICTURE + 0.01 * step, -1, 1).astype(np.float32)
        explainer.set_query(query, (read(of, picture),), False)
        assert explainer.result is not None
        given.append(explainer.result)
    # Kept meanwhile, so that no two of them can be taken for one.
    assert len({id(result) for result in given}) < 20
    if not explainer.busy and explainer.seconds_until_busy is not None:
        time.sleep(explainer.seconds_until_busy)
    while explainer.busy:
        explainer.run_for(0.01)
    assert explainer.seconds_until_busy is None
    np.testing.assert_allclose(explainer.result.map, score_gradient(shown(of, picture), 0)[0])
    last = np.clip(PICTURE - 0.3, -1, 1)
    explainer.set_query(query, (read(of, last),), True)
    np.testing.assert_allclose(explainer.result.map, score_gradient(shown(of, last), 0)[0])


def test_one_answer_that_took_long_does_not_end_what_follows_the_pen(monkeypatch: pytest.MonkeyPatch) -> None:
    now, long = [0.0], [1e-4]
    monkeypatch.setattr(
        "engine.runtime.scheduler.perf_counter", lambda: now.__setitem__(0, now[0] + long[0]) or now[0]
    )
    explainer, query, of = QueryDriver(), ExplanationQuery("gradient", target=0), subject()
    explainer.set_query(query, (read(of),), True)
    long[0] = 0.1  # something else has the processor
    explainer.set_query(query, (read(of, -PICTURE),), False)
    long[0], now[0] = 1e-4, now[0] + 100
    half = (0.5 * PICTURE).astype(np.float32)
    explainer.set_query(query, (read(of, half),), False)
    assert explainer.result is not None
    np.testing.assert_allclose(explainer.result.map, score_gradient(shown(of, half), 0)[0])


def test_slow_questions_are_answered_in_slices_and_given_up_at_once() -> None:
    explainer, prediction = QueryDriver(), read(subject())
    explainer.set_query(ExplanationQuery("occlusion"), (prediction,), True)
    seen: list[float] = []
    while explainer.busy:
        explainer.run_for(0.0001)
        assert explainer.result is not None
        seen.append(explainer.result.progress)
        if len(seen) == 2:
            break
    assert 0 < seen[0] < seen[1]
    explainer.set_query(None, (prediction,), True)
    assert not explainer.busy
    assert explainer.result is None


def test_slow_questions_wait_for_the_hand_to_rest() -> None:
    explainer, prediction = QueryDriver(), read(subject())
    explainer.set_query(ExplanationQuery("occlusion"), (prediction,), False)
    assert not explainer.busy
    explainer.set_query(ExplanationQuery("occlusion"), (prediction,), True)
    assert explainer.busy


def test_another_drawing_is_answered_anew_and_the_same_is_not() -> None:
    explainer, of = QueryDriver(), subject()
    query = ExplanationQuery("gradient", target=0)
    first = answered(explainer, query, read(of))
    assert answered(explainer, query, read(of)) is first
    other = answered(explainer, query, read(of, -PICTURE))
    assert other is not first
    assert other is not None
    np.testing.assert_allclose(other.map, score_gradient(shown(of, -PICTURE), 0)[0])


@pytest.mark.parametrize(
    "query",
    [
        ExplanationQuery("worth", layer=6, cell=(99,)),
        ExplanationQuery("worth", layer=60),
        ExplanationQuery("gradient", target=7),
        ExplanationQuery("ablation", layer=60),
    ],
)
def test_a_value_that_is_not_there_has_no_answer(query: ExplanationQuery) -> None:
    assert answered(QueryDriver(), query, read(subject())) is None


def test_the_runner_answers_beside_the_readings_and_goes_on_with_slow_ones() -> None:
    runner = Runner("cpu")
    network = Network((1, 16, 16), (Conv2D(3, 3), ReLU(), GlobalAvgPool(), Dense(2)), classes=("X", "O"))
    document = Document(drawing_sample(Drawing((Stroke(((0.1, 0.1, 0.1), (0.9, 0.9, 0.1))),))), (subject(network),))
    gradient, occlusion = ExplanationQuery("gradient"), ExplanationQuery("occlusion")
    quick = runner.compute(Request(1, document, queries=frozenset({gradient}))).result(gradient)
    assert quick is not None
    assert quick.map is not None
    assert quick.map.shape == (16, 16)
    request = Request(1, document, queries=frozenset({occlusion}))
    runner.compute(request)
    end = time.monotonic() + 30
    while runner.busy and time.monotonic() < end:
        runner.run_for(0.01)
    done = runner.compute(request).result(occlusion)
    assert done is not None
    assert done.progress == 1
    assert not runner.compute(Request(1, document)).results


# --- features switched off


XO = Network((1, 16, 16), (Conv2D(3, 5), ReLU(), MaxPool2D(3, 3), Flatten(), Dense(2)), classes=("X", "O"))


def test_ablation_says_what_switching_each_feature_off_does_to_drawings() -> None:
    of = Model("xo", XO, XO.initial_parameters(5))
    result = answered(
        QueryDriver(), ExplanationQuery("ablation", layer=1), read(of, np.zeros((1, 16, 16), np.float32))
    )
    assert result is not None
    assert [loss.channel for loss in result.ablations] == [0, 1, 2]
    given = generate_dataset(XOSettings(side=16, neither=0.0), GENERATED_COUNT, GENERATED_SEED)
    whole = evaluate(XO, of.parameters, given, CPU).metrics
    for loss in result.ablations:
        parameters = dict(of.parameters)
        for part in ("weight", "bias"):
            parameters[f"conv2d-1.{part}"] = parameters[f"conv2d-1.{part}"].copy()
            parameters[f"conv2d-1.{part}"][loss.channel] = 0
        without = evaluate(XO, parameters, given, CPU).metrics
        assert loss.error_increase == pytest.approx(without.loss - whole.loss, rel=1e-6)
        assert loss.accuracy_drop == pytest.approx(whole.accuracy - without.accuracy)


def test_ablation_tries_what_training_holds_out_whatever_its_classes() -> None:
    of, rng = subject(), np.random.default_rng(0)
    given = Dataset(
        rng.uniform(-1, 1, (30, 1, 10, 10)).astype(np.float32), rng.integers(0, 3, 30), of.network.classes
    )
    explainer, query = QueryDriver(), ExplanationQuery("ablation", layer=4)
    training_data = TrainingData(PoolSettings(XOSettings()), ())
    explainer.set_query(query, (read(of),), True, available=AvailableExamples(training_data, None, given))
    while explainer.busy:
        explainer.run_for(0.01)
    result = explainer.result
    assert result is not None
    assert (result.held_out, result.example_count, len(result.ablations)) == (True, 30, 5)
    whole = evaluate(of.network, of.parameters, given, CPU).metrics
    for loss in result.ablations:
        without = evaluate(of.network, ablated(of, 4, loss.channel).parameters, given, CPU).metrics
        assert loss.error_increase == pytest.approx(without.loss - whole.loss, rel=1e-5, abs=1e-7)
        assert loss.accuracy_drop == pytest.approx(whole.accuracy - without.accuracy)


def test_ablation_stays_while_the_drawing_changes_and_needs_examples_of_its_classes() -> None:
    of, explainer = Model("xo", XO, XO.initial_parameters(5)), QueryDriver()
    query = ExplanationQuery("ablation", layer=5)
    first = answered(explainer, query, read(of, np.zeros((1, 16, 16), np.float32)))
    assert answered(explainer, query, read(of, np.ones((1, 16, 16), np.float32))) is first
    other = answered(QueryDriver(), ExplanationQuery("ablation", layer=1), read(subject()))
    assert other is not None
    assert other.message.startswith("No examples of ")
    assert answered(QueryDriver(), ExplanationQuery("ablation", layer=2), read(subject())) is None, (
        "a tanh has no weights"
    )
