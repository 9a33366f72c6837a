"""The smallest change of a drawing that makes a model predict another class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.data.xo import XOSettings, generate_dataset, generate_drawing
from engine.documents import Document, shipped_model
from engine.drawings import Drawing, fit_to_frame, render
from engine.explain import Counterfactual, ExplanationQuery
from engine.explain.attribution import Gradients
from engine.explain.counterfactual import FIRST_STEP, counterfactual
from engine.nn import Model, Network, Plan, Predictor
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU, Tanh
from engine.runtime import Request, Runner
from tests.engine.query_driver import QueryDriver
from tests.samples import drawing_sample

Array = np.ndarray[Any, Any]
CPU = choose_backend("cpu")
LAYERS = (Conv2D(4, 3, stride=2, padding=2), Tanh(), MaxPool2D(3, 2), Conv2D(5, 2), ReLU(), Flatten(), Dense(3))
SMALL = Network((1, 10, 10), LAYERS, classes=("a", "b", "c"))
PICTURE = np.random.default_rng(7).uniform(-1, 1, (1, 10, 10)).astype(np.float32)


def found_by(of: Model, picture: Array) -> Counterfactual:
    gradients = Gradients(of.network, len(of.network.classes))
    gradients.load(of.parameters)
    *_, found = counterfactual(gradients, of, picture)
    assert found.progress == 1
    return found


def scores(pictures: Array, of: Model) -> Array:
    plan = Plan(of.network, CPU, len(pictures), dtype=np.float64)
    plan.load(of.parameters)
    return np.array(plan.forward(pictures)).T.copy()


@pytest.mark.parametrize("seed", [0, 1, 2, 5])
def test_the_smallest_change_changes_the_class_and_little_more_than_half_of_it_does_not(seed: int) -> None:
    of = Model("small", SMALL, SMALL.initial_parameters(seed))
    found = found_by(of, PICTURE)
    first = int(scores(PICTURE[None], of)[0].argmax())
    assert found.new_class is not None
    assert np.abs(found.picture).max() <= 1
    np.testing.assert_allclose(found.picture, PICTURE[0] + found.change, atol=1e-6)
    assert int(scores(found.picture[None, None], of)[0].argmax()) == found.new_class != first
    nearly = PICTURE + 0.6 * found.change
    assert int(scores(nearly[None], of)[0].argmax()) == first
    # No straight way at random is as short: the change is small, not only enough.
    rng, size = np.random.default_rng(seed), found.distance
    away = rng.standard_normal((200, *PICTURE.shape))
    away *= size / np.sqrt(np.square(away).sum(axis=(1, 2, 3), keepdims=True))
    assert (scores(np.clip(PICTURE + away, -1, 1), of).argmax(axis=1) == first).mean() > 0.95
    assert found.boundary_distance <= found.distance


def test_where_no_pixel_matters_there_is_no_change_to_be_found() -> None:
    network = Network((1, 4, 4), (Flatten(), Dense(2)), classes=("X", "O"))
    still = {"dense-1.weight": np.zeros((2, 16), np.float32), "dense-1.bias": np.array([1, 0], np.float32)}
    found = found_by(Model("still", network, still), PICTURE[:, :4, :4])
    assert found.new_class is None
    assert not found.change.any()


@pytest.mark.parametrize("end", [-1, 1])
def test_pixels_at_the_end_of_their_range_do_not_hold_up_those_that_can_move(end: int) -> None:
    """One pixel matters a thousand times as much as any other, but cannot go further."""
    network = Network((1, 4, 4), (Flatten(), Dense(2)), classes=("X", "O"))
    weight = np.zeros((2, 16), np.float32)
    weight[1], weight[1, 5] = 1.0, 1000.0 * end
    bias = np.array([1005.0, 0.0], np.float32)  # the scores are equal once the other pixels add up to 5
    picture = np.zeros((1, 4, 4), np.float32)
    picture[0, 1, 1] = end
    model = Model("held", network, {"dense-1.weight": weight, "dense-1.bias": bias})
    gradients = Gradients(network, 2)
    gradients.load(model.parameters)
    _, second, *_, found = counterfactual(gradients, model, picture)
    assert second.distance == pytest.approx(FIRST_STEP), "the whole first step is made by the others"
    assert found.new_class == 1
    assert found.change[1, 1] == 0
    assert found.boundary_distance == pytest.approx(5 / np.sqrt(15), rel=0.02)


def test_scores_that_overflow_give_no_change() -> None:
    network = Network((1, 4, 4), (Flatten(), Dense(2)), classes=("X", "O"))
    huge = {"dense-1.weight": np.full((2, 16), 3e38, np.float32), "dense-1.bias": np.zeros(2, np.float32)}
    assert found_by(Model("huge", network, huge), PICTURE[:, :4, :4]).new_class is None


@pytest.mark.parametrize("name", ["default", "walkthrough"])
def test_drawn_letters_become_the_other_letter_past_the_threshold(name: str) -> None:
    model = shipped_model(name)
    side = model.network.input_shape[1]
    drawings = generate_dataset(XOSettings(side=side, neither=0.0), 6, 777).images
    reader, ratios = Predictor(model, CPU), []
    for picture in drawings:
        before = reader.predict(picture[0])
        found = found_by(model, picture)
        after = reader.predict(render(Drawing(image=found.picture), side))
        other = model.network.classes[1 - int(before.votes.argmax())]
        assert after.predicted_class == other
        assert found.vote == pytest.approx(float(after.votes.max()), abs=1e-4)
        ratios.append(found.distance / found.boundary_distance)
    assert np.median(ratios) < 1.4
    assert min(ratios) >= 1


@pytest.mark.parametrize("fit", [False, True])
def test_what_the_window_puts_on_the_canvas_is_predicted_as_promised(fit: bool) -> None:
    """Through the same path as any drawing, also where the frame is fitted to it."""
    model, rng, runner = shipped_model("default"), np.random.default_rng(11), Runner("cpu")
    for kind in ("X", "O"):
        drawing = generate_drawing(kind, XOSettings(size=(0.5, 0.6), cut=0.0), rng)
        request = Request(
            1,
            Document(drawing_sample(drawing), (model,), fit_to_frame=fit),
            queries=frozenset({ExplanationQuery("flip")}),
        )
        before = runner.compute(request).predictions[0].predicted_class
        assert before == kind
        while runner.busy:
            runner.run_for(0.05)
        result = runner.compute(request).result(ExplanationQuery("flip"))
        assert result is not None
        assert result.counterfactual is not None
        changed = Document(drawing_sample(Drawing(image=result.counterfactual.picture)), (model,), fit_to_frame=fit)
        after = runner.compute(Request(1, changed)).predictions[0].predicted_class
        assert {before, after} == {"X", "O"}


def test_where_the_canvas_takes_some_of_the_change_away_it_is_made_longer() -> None:
    model = shipped_model("walkthrough")
    gradients = Gradients(model.network, 2)
    gradients.load(model.parameters)
    for picture in generate_dataset(XOSettings(side=9, neither=0.0), 3, 777).images:

        def canvas(shown: Array, picture: Array = picture) -> Array:
            return picture[0] + np.float32(0.7) * (shown - picture[0])

        *_, found = counterfactual(gradients, model, picture, canvas)
        read = Predictor(model, CPU).predict(canvas(found.picture)).predicted_class
        assert found.new_class is not None
        assert read == model.network.classes[found.new_class]
        np.testing.assert_allclose(found.change, canvas(found.picture) - picture[0], atol=1e-6)


def test_a_change_found_on_another_canvas_is_searched_again() -> None:
    model, explainer = shipped_model("walkthrough"), QueryDriver()
    prediction = Predictor(model, CPU).predict(generate_dataset(XOSettings(side=9, neither=0.0), 1, 5).images[0, 0])
    explainer.set_query(ExplanationQuery("flip"), (prediction,), True)
    while explainer.busy:
        explainer.run_for(0.1)
    first = explainer.result
    explainer.set_query(ExplanationQuery("flip"), (prediction,), True)
    assert explainer.result is first
    explainer.set_query(ExplanationQuery("flip"), (prediction,), True, fitted=True)
    assert explainer.busy


def test_fitting_a_picture_that_fits_already_leaves_it_as_it_is() -> None:
    rng = np.random.default_rng(3)
    for kind in ("X", "O", "X", "O"):
        seen = render(fit_to_frame(generate_drawing(kind, XOSettings(cut=0.0), rng)), 32)
        np.testing.assert_array_equal(render(fit_to_frame(Drawing(image=seen)), 32), seen)
    moved = np.full((32, 32), -1, np.float32)
    moved[2:14, 2:14] = 1
    assert not np.array_equal(render(fit_to_frame(Drawing(image=moved)), 32), moved)


def test_another_class_is_found_where_no_way_leads_on_from_the_drawing() -> None:
    """From this round O every step towards an X ends in what is no X; from a blank picture one does not."""
    picture = generate_dataset(XOSettings(side=48, neither=0.0, ambiguous=0.0), 12, 5).images[8]
    found = found_by(shipped_model("default"), picture)
    assert found.new_class is not None
    assert found.distance > 0
