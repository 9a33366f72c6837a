"""Labelled drawings: their labels and weights in the training data."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.data import (
    ExamplePool,
    FixedSource,
    LabelledSample,
    PoolCache,
    PoolSettings,
    TrainingData,
    encode_labelled,
)
from engine.data.xo import XOSettings
from engine.drawings import Drawing, Stroke, render
from engine.nn import softmax
from engine.training import StepDone, Trainer, TrainingConfig, evaluate
from tests.engine.small_runs import SMALL
from tests.samples import drawing_sample

DATA = PoolSettings(XOSettings(side=12, size=(0.6, 1.0)), 30, 10)


def line(x: float) -> Drawing:
    """A vertical line at a position."""
    return Drawing((Stroke(np.array([[x, 0.2, 0.1], [x, 0.8, 0.1]], np.float32)),))


OWN = (
    LabelledSample(drawing_sample(line(0.2)), "X", 3),
    LabelledSample(drawing_sample(line(0.5)), "O", 0),
    LabelledSample(drawing_sample(line(0.8)), "neither"),
)


def grown(pool: ExamplePool) -> ExamplePool:
    while pool.progress < 1:
        pool.generate_next()
    return pool


def test_each_is_the_picture_that_a_network_reads_with_its_label_as_often_as_it_weighs() -> None:
    made = encode_labelled(OWN, XOSettings(side=12))
    assert made.labels.tolist() == [0, 0, 0, -1]
    for image, drawing in zip(made.images, [OWN[0].sample.source] * 3 + [OWN[2].sample.source], strict=True):
        np.testing.assert_array_equal(image[0], render(drawing, 12))


def test_none_at_all_are_no_examples() -> None:
    assert len(encode_labelled((), XOSettings(side=12))) == 0
    assert encode_labelled(OWN[1:2], XOSettings(side=12)).images.shape == (0, 1, 12, 12)


@pytest.mark.parametrize("weight", [-1, 21])
def test_a_weight_that_is_none_is_refused(weight: int) -> None:
    with pytest.raises(ValueError, match=f"from 0 to 20, not {weight}"):
        replace(OWN[0], weight=weight)


def test_a_label_that_the_network_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match=r"labelled cat, but .* X and O; relabel"):
        encode_labelled([LabelledSample(drawing_sample(line(0.5)), "cat")], XOSettings(side=12))


def test_they_follow_the_generated_ones_and_are_never_held_out() -> None:
    plain, pool = grown(ExamplePool(DATA)), grown(ExamplePool(DATA, OWN))
    np.testing.assert_array_equal(pool.training.images[:30], plain.training.images)
    np.testing.assert_array_equal(pool.training.images[30:], encode_labelled(OWN, XOSettings(side=12)).images)
    np.testing.assert_array_equal(pool.held_out.images, plain.held_out.images)
    assert len(pool.training) == TrainingData(DATA, OWN).count == 34


def test_an_epoch_meets_each_as_often_as_it_weighs() -> None:
    pool = grown(ExamplePool(DATA, OWN))
    trainer = Trainer(SMALL, FixedSource(pool.training), TrainingConfig(batch=8, epochs=2), choose_backend("cpu"))
    met: list[Counter[bytes]] = [Counter(), Counter()]
    for event in trainer.run():
        assert isinstance(event, StepDone)
        met[event.epoch - 1].update(pool.training.images[place].tobytes() for place in trainer.last_batch)
    for epoch in met:
        assert [epoch[render(own.sample.source, 12).tobytes()] for own in OWN] == [3, 0, 1]
        assert epoch.total() == 34


def test_many_are_rendered_piece_by_piece() -> None:
    pool = ExamplePool(DATA, [LabelledSample(drawing_sample(line(0.5)), "X") for _ in range(250)])
    shares = [pool.progress]
    while pool.progress < 1:
        pool.generate_next()
        shares.append(pool.progress)
    assert shares == sorted(set(shares))
    assert len(shares) == 1 + 13 + 2
    assert len(pool.training) == 280


def test_a_lesson_asked_for_again_is_the_same_pool_and_one_let_go_the_same_bytes() -> None:
    lessons = [TrainingData(replace(DATA, seed=seed), OWN) for seed in range(1, 6)]
    pools = PoolCache(budget=3 * lessons[0].nbytes)
    made = [grown(pools.get(training_data)) for training_data in lessons]
    assert pools.get(TrainingData(replace(DATA, seed=1), OWN)) is made[0]
    pools.retain(lessons[1])
    kept = [pools.get(lesson) is pool for lesson, pool in zip(lessons, made, strict=True)]
    assert kept == [True, True, False, False, True]
    again = grown(pools.get(lessons[2]))
    np.testing.assert_array_equal(again.training.images, made[2].training.images)


def test_what_is_needed_is_kept_whatever_it_takes() -> None:
    lessons = [TrainingData(replace(DATA, seed=seed)) for seed in range(1, 5)]
    pools = PoolCache(budget=0)
    made = [pools.get(training_data) for training_data in lessons]
    pools.retain(lessons[0], lessons[2])
    assert [pools.get(lesson) is pool for lesson, pool in zip(lessons, made, strict=True)] == [
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(("share", "count"), [(0.155, 250), (0.0, 7), (1.0, 101), (0.15, 100)])
def test_how_many_of_each_there_are_is_known_before_any_is_drawn(share: float, count: int) -> None:
    data = replace(DATA, generator=replace(DATA.generator, neither=share), count=count)
    labels = grown(ExamplePool(data)).training.labels
    assert data.class_counts == tuple(int((labels == label).sum()) for label in (0, 1, -1))


def test_a_lesson_knows_what_its_pictures_take() -> None:
    pool = grown(ExamplePool(DATA, OWN))
    assert TrainingData(DATA, OWN).nbytes == pool.training.images.nbytes + pool.held_out.images.nbytes


def test_a_shape_kept_as_neither_is_read_as_neither_more_than_without() -> None:
    def surest(own: tuple[LabelledSample, ...]) -> float:
        """The larger vote that a line gets, moved a little, from a network that learnt no other "neither"."""
        data = PoolSettings(XOSettings(side=12, size=(0.6, 1.0), neither=0.0), 200, 10)
        source = FixedSource(grown(ExamplePool(data, own)).training)
        backend = choose_backend("cpu")
        trainer = Trainer(SMALL, source, TrainingConfig(batch=20, epochs=30, seed=1), backend)
        list(trainer.run())
        picture = encode_labelled([LabelledSample(drawing_sample(line(0.52)), "neither")], XOSettings(side=12))
        return float(softmax(evaluate(SMALL, trainer.parameters(), picture, backend).scores).max())

    kept = tuple(LabelledSample(drawing_sample(line(x)), "neither", 20) for x in (0.4, 0.5, 0.6))
    assert surest(kept) < surest(()) - 0.15
