"""Robustness against a direct count, with networks built to be insensitive, and in slices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import engine.explain.robustness
from engine.backends import choose_backend
from engine.data import PoolSettings
from engine.data.xo import DrawingVariations, XOSettings, drawing_properties
from engine.documents import Document, shipped_model
from engine.drawings import render
from engine.explain import COARSE_ROUNDS, RobustnessResult, RobustnessTest, match_templates, supports
from engine.explain.robustness import DRAWINGS_PER_ROUND, SEED
from engine.nn import Model, Network, Predictor
from engine.nn.layers import Conv2D, Dense, Flatten, GlobalAvgPool, ReLU
from engine.runtime import Request, RobustnessQuery, Runner, TrainingRequest
from engine.training import SGD, TrainingConfig
from tests.engine.query_driver import QueryDriver
from tests.engine.small_runs import xo_templates

CPU = choose_backend("cpu")
SIDE = 12
SMALL = Network((1, SIDE, SIDE), (Conv2D(2, 3), ReLU(), Flatten(), Dense(2)), classes=("X", "O"))
SUBJECT = Model("Small", SMALL, SMALL.initial_parameters(4))
ROBUSTNESS = RobustnessQuery()
LOOK = frozenset({ROBUSTNESS})


ROUNDS = 3


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough to see what is done with them."""
    monkeypatch.setattr(engine.explain.robustness, "ROUNDS", ROUNDS)
    monkeypatch.setattr("engine.runtime.jobs.ROUNDS", ROUNDS)


def whole(trial: RobustnessTest, rounds: int = ROUNDS) -> RobustnessResult:
    while trial.rounds_done < rounds:
        trial.advance()
    return trial.result()


def comparing_network() -> Model:
    """A network that is whole-image comparison: its one layer's weights are the exemplars."""
    network = Network((1, SIDE, SIDE), (Flatten(), Dense(2)), classes=("X", "O"))
    values = network.initial_parameters(0)
    name = next(name for name in values if name.endswith("weight"))
    weights = xo_templates(SIDE).pictures.reshape(2, -1).reshape(values[name].shape)
    values = {key: weights if key == name else np.zeros_like(array) for key, array in values.items()}
    return Model("Comparing", network, values)


def ink_counting_network() -> Model:
    """A network that sees only how much ink there is, wherever it is: the more, the more it says X."""
    network = Network((1, SIDE, SIDE), (GlobalAvgPool(), Dense(2)), classes=("X", "O"))
    values = {name: np.zeros_like(array) for name, array in network.initial_parameters(0).items()}
    weight = next(name for name in values if name.endswith("weight"))
    bias = next(name for name in values if name.endswith("bias"))
    drawn = DrawingVariations(SIDE, 200, (1,))
    ink = drawn.pictures("shift", 0.0).mean(axis=(1, 2))
    border = (np.median(ink[drawn.labels == 0]) + np.median(ink[drawn.labels == 1])) / 2
    sign = 1.0 if np.median(ink[drawn.labels == 0]) > border else -1.0
    values[weight] = np.array([[sign], [-sign]], np.float32).reshape(values[weight].shape)
    values[bias] = np.array([-sign * border, sign * border], np.float32)
    return Model("Counting ink", network, values)


def test_every_number_is_a_direct_count_of_drawings_read_one_by_one() -> None:
    found, reader = whole(RobustnessTest(SMALL, SUBJECT.parameters, CPU), 1), Predictor(SUBJECT, CPU)
    varied = DrawingVariations(SIDE, DRAWINGS_PER_ROUND, (SEED, 0))
    for row, each in enumerate(drawing_properties(SIDE)):
        for column in (0, each.values.index(each.baseline), 10):
            network = comparison = 0
            for label, picture in zip(varied.labels, varied.pictures(each.name, each.values[column]), strict=True):
                network += int(reader.predict(picture).votes.argmax() == label)
                comparison += int(match_templates(xo_templates(SIDE), picture).scores.argmax() == label)
            assert (found.counts[row, column], found.network_correct[row, column]) == (DRAWINGS_PER_ROUND, network)
            assert found.template_correct[row, column] == comparison


def test_the_drawings_behind_a_number_can_be_had() -> None:
    found, reader = whole(RobustnessTest(SMALL, SUBJECT.parameters, CPU)), Predictor(SUBJECT, CPU)
    for row, column in ((0, 0), (1, 2), (2, 10), (3, 8), (4, 9)):
        missed, fooled = int(found.first_network_error[row, column]), int(found.first_template_error[row, column])
        assert (missed < 0) == (found.network_correct[row, column] == found.counts[row, column])
        for number, wrong in ((missed, True), (fooled, False)):
            if number >= 0:
                picture = render(found.varied_input(row, column, number), SIDE)
                label, scores = number % 2, match_templates(xo_templates(SIDE), picture).scores
                read = reader.predict(picture).votes if wrong else scores
                assert read.argmax() != label, (row, column, number)
        if missed > 0:
            earlier = [render(found.varied_input(row, column, number), SIDE) for number in range(missed)]
            assert [int(reader.predict(picture).votes.argmax()) for picture in earlier] == [
                n % 2 for n in range(missed)
            ]


def test_the_first_wrong_drawing_is_found_in_whichever_round_it_comes() -> None:
    model = comparing_network()
    found, reader = whole(RobustnessTest(model.network, model.parameters, CPU)), Predictor(model, CPU)
    late = np.argwhere(found.first_network_error >= DRAWINGS_PER_ROUND)
    assert len(late) > 2
    for row, column in late[:4].tolist():
        number = int(found.first_network_error[row, column])
        assert found.first_template_error[row, column] == number
        pictures = [render(found.varied_input(row, column, index), SIDE) for index in range(number + 1)]
        read = [int(reader.predict(picture).votes.argmax()) for picture in pictures]
        assert [index for index in range(number + 1) if read[index] != index % 2] == [number]


def test_the_usual_value_is_one_number_whatever_is_varied() -> None:
    found = whole(RobustnessTest(SMALL, SUBJECT.parameters, CPU))
    usual = [each.values.index(each.baseline) for each in found.properties]
    for right in (found.network_correct, found.template_correct, found.counts):
        assert len({int(right[row, column]) for row, column in enumerate(usual)}) == 1


def test_a_network_that_compares_whole_images_is_as_blind_as_they_are() -> None:
    model = comparing_network()
    found = whole(RobustnessTest(model.network, model.parameters, CPU))
    np.testing.assert_array_equal(found.network_correct, found.template_correct)
    shift = found.accuracy(found.network_correct)[0]
    assert shift[5] > 0.9
    assert shift[0] < 0.5
    assert shift[10] < 0.5


def test_a_network_that_does_not_mind_where_the_ink_is_reads_a_shifted_drawing_as_before() -> None:
    model = ink_counting_network()
    found = whole(RobustnessTest(model.network, model.parameters, CPU))
    shift, size = found.accuracy(found.network_correct)[:2]
    assert np.ptp(shift[3:8]) <= 0.05, "it stays in the frame this far"
    assert shift[5] > 0.7
    assert size[0] == pytest.approx(0.5, abs=0.05), "but a small drawing has little ink, whichever it is"


def test_slices_give_the_same_numbers_as_one_go_and_the_report_only_grows() -> None:
    trials = QueryDriver()
    trials.set_model(ROBUSTNESS, SUBJECT)
    before = np.zeros(1)
    while trials.busy:
        trials.run_for(0.0005)
        report = trials.result
        assert (report.counts.sum() >= before.sum()).all()
        assert report.counts.min() <= report.counts.max() <= report.counts.min() + DRAWINGS_PER_ROUND
        before = report.counts
    straight = whole(RobustnessTest(SMALL, SUBJECT.parameters, CPU))
    assert report.progress == straight.progress == 1
    assert (report.counts == ROUNDS * DRAWINGS_PER_ROUND).all()
    np.testing.assert_array_equal(report.network_correct, straight.network_correct)
    np.testing.assert_array_equal(report.template_correct, straight.template_correct)


def test_the_shipped_network_does_not_mind_a_shift_and_whole_images_do() -> None:
    model = shipped_model("default")
    found = whole(RobustnessTest(model.network, model.parameters, CPU), 2)
    assert found.accuracy(found.network_correct)[0].min() > 0.95
    assert found.accuracy(found.template_correct)[0, 0] < 0.5
    assert found.accuracy(found.template_correct)[0, 5] > 0.9


@pytest.mark.parametrize(
    "network",
    [
        Network((1, 9, 9), (Flatten(), Dense(2)), classes=("cat", "dog")),
        Network((1, 9, 8), (Flatten(), Dense(2)), classes=("X", "O")),
        Network((2, 9, 9), (Flatten(), Dense(2)), classes=("X", "O")),
    ],
)
def test_a_network_for_other_pictures_cannot_be_tried(network: Network) -> None:
    assert not supports(network)
    with pytest.raises(ValueError, match="No varied inputs can be made for"):
        RobustnessTest(network, network.initial_parameters(0), CPU)


def test_parameters_that_diverged_read_nothing_rightly_and_give_no_warning() -> None:
    broken = {name: array * np.float32(1e30) for name, array in SUBJECT.parameters.items()}
    found = whole(RobustnessTest(SMALL, broken, CPU), 1)
    assert found.network_correct.max() == 0
    assert found.template_correct.max() == DRAWINGS_PER_ROUND


def test_one_score_that_is_no_number_is_enough_to_read_nothing() -> None:
    network = Network((1, SIDE, SIDE), (Flatten(), Dense(2)), classes=("X", "O"))
    values = {name: np.zeros_like(array) for name, array in network.initial_parameters(0).items()}
    weight = next(name for name in values if name.endswith("weight"))
    values[weight][0] = 3e38
    found = whole(RobustnessTest(network, values, CPU), 1)
    assert found.network_correct.max() == 0


def test_progress_is_the_share_of_the_tests_done() -> None:
    """The default value of all five properties is one test, and ten others of each are one each."""
    trial, seen = RobustnessTest(SMALL, SUBJECT.parameters, CPU), set()
    while trial.rounds_done < 1:
        trial.advance()
        cells = int((trial.result().counts > 0).sum())
        seen.add((round(trial.result().progress * ROUNDS * 51), max(cells - 4, 0)))
    assert seen == {(done, done) for done in range(52)}


# -- what a Runner does of it


def test_it_is_tried_only_while_somebody_looks() -> None:
    runner, request = Runner("cpu"), Request(1, Document.blank(SUBJECT))
    assert runner.compute(request).result(ROBUSTNESS) is None
    assert not runner.busy
    looking = replace(request, queries=LOOK)
    assert runner.compute(looking).result(ROBUSTNESS) is None
    while runner.busy:
        runner.run_for(0.01)
    found = runner.compute(looking).result(ROBUSTNESS)
    assert found.progress == 1
    assert runner.compute(looking).result(ROBUSTNESS) is found, "it is not tried again"
    assert not runner.busy
    other = Model("Other", SMALL, SMALL.initial_parameters(5))
    first = runner.compute(replace(looking, document=Document.blank(other))).result(ROBUSTNESS)
    assert first is found, "until something is known of the new one"
    while runner.busy:
        runner.run_for(0.01)
    later = runner.compute(replace(looking, document=Document.blank(other))).result(ROBUSTNESS)
    assert later.source is other
    assert not np.array_equal(later.network_correct, found.network_correct)
    np.testing.assert_array_equal(later.template_correct, found.template_correct)
    assert runner.compute(request).result(ROBUSTNESS) is None


def test_a_stroke_under_way_has_the_engine_to_itself() -> None:
    runner, request = Runner("cpu"), Request(1, Document.blank(SUBJECT), queries=LOOK)
    runner.compute(request)
    assert runner.busy
    before = runner.compute(replace(request, settled=False)).result(ROBUSTNESS)
    assert not runner.busy
    runner.run_for(0.05)
    assert runner.compute(replace(request, settled=False)).result(ROBUSTNESS) is before
    runner.compute(request)
    assert runner.busy


def test_while_it_trains_a_little_is_tried_and_all_of_it_when_training_stands() -> None:
    data = PoolSettings(XOSettings(side=SIDE, size=(0.6, 1.0)), 100, 20, seed=3)
    goal = TrainingRequest(
        1, SUBJECT, "fresh", "first", TrainingConfig(SGD(0.05), batch=10, epochs=400), data, running=True
    )
    request = Request(1, Document.blank(SUBJECT), training=goal, live=True, queries=LOOK)
    runner = Runner("cpu")
    snapshot = runner.compute(request)
    for _ in range(20_000):
        runner.run_for(0.002)
        snapshot = runner.compute(request)
        result = snapshot.result(ROBUSTNESS)
        is_done = result is not None and result.counts.min() >= COARSE_ROUNDS * DRAWINGS_PER_ROUND
        if is_done and snapshot.training.current_point.step > 5:
            break
    assert snapshot.training.state == "running"
    step = snapshot.training.current_point.step
    runner.run_for(0.01)
    runner.run_for(0.01)
    assert runner.compute(request).training.current_point.step > step, "training goes on"
    assert runner.compute(request).result(ROBUSTNESS).counts.max() == COARSE_ROUNDS * DRAWINGS_PER_ROUND
    paused = replace(request, training=replace(goal, running=False))
    snapshot = runner.compute(paused)
    while runner.busy:  # as the engine's thread does
        runner.run_for(0.01)
        if not runner.busy:
            snapshot = runner.compute(paused)
    assert snapshot.result(ROBUSTNESS).progress == 1
    assert snapshot.result(ROBUSTNESS).run_point == snapshot.training.current_point
    again = whole(RobustnessTest(SMALL, snapshot.predictions[0].model.parameters, CPU))
    np.testing.assert_array_equal(snapshot.result(ROBUSTNESS).network_correct, again.network_correct)


def test_what_cannot_be_tried_is_said_once_and_reading_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("There is no room for it.")

    monkeypatch.setattr(RobustnessTest, "advance", refuse)
    runner, request = Runner("cpu"), Request(1, Document.blank(SUBJECT), queries=LOOK)
    runner.compute(request)
    for _ in range(3):
        runner.run_for(0.01)
    snapshot = runner.compute(request)
    assert [notice.text for notice in snapshot.notices] == ["Robustness: not available. There is no room for it."]
    assert snapshot.result(ROBUSTNESS) is None
    assert len(snapshot.predictions) == 1
    assert not runner.busy
    runner.compute(replace(request, acknowledged=1))
    assert runner.compute(replace(request, acknowledged=1)).notices == ()


def test_the_same_moment_of_another_run_is_tried_anew() -> None:
    data = PoolSettings(XOSettings(side=SIDE, size=(0.6, 1.0)), 20, 20, seed=3)
    request = TrainingRequest(1, SUBJECT, "fresh", "first", TrainingConfig(SGD(0.05), batch=10, epochs=4), data)
    runner = Runner("cpu")
    runner.compute(Request(1, Document.blank(SUBJECT), training=request, live=True))
    while runner.busy:
        runner.run_for(0.01)
    training = runner.compute(Request(1, Document.blank(SUBJECT), training=request, live=True)).training
    trials, other = QueryDriver(), replace(SUBJECT, parameters=SMALL.initial_parameters(5))
    trials.set_model(ROBUSTNESS, SUBJECT, training)
    first = trials.finish()
    assert first.run_point == training.current_point
    trials.set_model(ROBUSTNESS, other, training)
    assert not trials.busy, "the same moment has the same parameters"
    trials.set_model(ROBUSTNESS, other, replace(training, run_id=2))
    second = trials.finish()
    assert second.run_point == training.current_point
    assert not np.array_equal(second.network_correct, first.network_correct)
