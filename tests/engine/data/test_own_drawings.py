"""Classes of one's own: their examples are variations of the labelled drawings, some of which are held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.data import (
    DATA_KINDS,
    ExamplePool,
    LabelledSample,
    OwnSettings,
    PoolSettings,
    TrainingData,
    data_settings_from_json,
    data_settings_to_json,
    encode_labelled,
    generated_kinds,
    generating_kind,
    kind_for,
)
from engine.nn import Network
from engine.nn.layers import Dense, Flatten
from tests.engine.data.test_labelled_samples import line
from tests.samples import drawing_sample

CLASSES = ("left", "middle", "right")
SETTINGS = OwnSettings(side=12, classes=CLASSES)
DATA = PoolSettings(SETTINGS, 230, 1)


def drawings(per_class: int, *, weight: int = 1) -> tuple[LabelledSample, ...]:
    """Lines at places that differ a little, the first of each class with this weight."""
    return tuple(
        LabelledSample(drawing_sample(line(x + 0.01 * number)), label, 1 if number else weight)
        for label, x in zip(CLASSES, (0.2, 0.5, 0.8), strict=True)
        for number in range(per_class)
    )


def made(labelled: tuple[LabelledSample, ...], data: PoolSettings = DATA) -> ExamplePool:
    pool = ExamplePool(data, labelled)
    pool.generate_all()
    return pool


def test_a_network_of_any_classes_that_reads_drawings_has_examples_and_only_x_and_o_are_generated() -> None:
    own = Network((1, 12, 12), (Flatten(), Dense(3)), classes=CLASSES)
    kind = kind_for(own)
    assert kind is not None
    assert (kind.name, kind.settings_for(own), generating_kind(own)) == ("own", SETTINGS, None)
    known = Network((1, 12, 12), (Flatten(), Dense(2)), classes=("X", "O"))
    assert kind_for(known) is generating_kind(known) is DATA_KINDS["xo"]
    assert kind_for(Network((1, 12, 8), (Flatten(), Dense(3)), classes=CLASSES)) is None
    assert "own" not in generated_kinds()


def test_an_epoch_has_as_many_of_each_class_however_many_are_drawn() -> None:
    labelled = (*drawings(10)[:10], *drawings(3)[3:])
    training = made(labelled).training
    assert len(training) == TrainingData(DATA, labelled).count == 230
    assert sorted(np.bincount(training.labels)) == [76, 77, 77]


def test_one_in_five_drawings_is_held_out_unvaried_and_no_variation_of_it_is_trained_on() -> None:
    labelled = drawings(5, weight=7)
    still = PoolSettings(replace(SETTINGS, shift=0.0, rotation=0.0, scale=0.0, shear=0.0), 230, 1)
    pool = made(labelled, still)
    encoded = encode_labelled([replace(each, weight=1) for each in labelled], SETTINGS)
    known = {image.tobytes() for image in encoded.images}
    held, trained = ({image.tobytes() for image in part.images} for part in (pool.held_out, pool.training))
    assert np.bincount(pool.held_out.labels).tolist() == [1, 1, 1]
    assert held | trained == known
    assert not held & trained


def test_a_heavy_drawing_occurs_more_often_than_the_others_of_its_class_and_a_weight_of_0_leaves_it_out() -> None:
    still = PoolSettings(replace(SETTINGS, shift=0.0, rotation=0.0, scale=0.0, shear=0.0), 3000, 1, seed=3)
    heavy = replace(drawings(3)[0], weight=4)
    labelled = (heavy, *drawings(3)[1:8], replace(drawings(3)[8], weight=0))
    pool = made(labelled, still)
    pictures = [image.tobytes() for image in pool.training.images]
    (its,) = encode_labelled([replace(heavy, weight=1)], SETTINGS).images
    assert 0.7 < pictures.count(its.tobytes()) / 1000 < 0.9
    (left_out,) = encode_labelled([drawings(3)[8]], SETTINGS).images
    assert left_out.tobytes() not in pictures
    assert left_out.tobytes() not in {image.tobytes() for image in pool.held_out.images}


def test_the_same_drawings_make_the_same_examples_and_they_are_varied() -> None:
    one, again = made(drawings(4)).training, made(drawings(4)).training
    assert one.images.tobytes() == again.images.tobytes()
    assert len({image.tobytes() for image in one.images}) > 200
    assert made(drawings(4), replace(DATA, seed=2)).training.images.tobytes() != one.images.tobytes()


@pytest.mark.parametrize("labelled", [(), drawings(1), drawings(5)[:6]])
def test_too_few_drawings_are_refused_in_a_sentence(labelled: tuple[LabelledSample, ...]) -> None:
    with pytest.raises(ValueError, match="left and middle and right takes drawings of yours, at least two of each"):
        TrainingData(DATA, labelled).check()
    TrainingData(DATA, drawings(2)[:4]).check()


def test_the_settings_with_their_classes_are_saved() -> None:
    assert data_settings_from_json(data_settings_to_json(SETTINGS)) == SETTINGS
    with pytest.raises(ValueError, match="two or more different classes"):
        replace(SETTINGS, classes=("one", "one"))
