"""Activations: the requested ones equal those of a whole prediction, others are not copied, and missing ones
raise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.backends.numpy import NumpyOps
from engine.documents import Document
from engine.explain import has_value_formula, value_formula
from engine.nn import Model, Network, Prediction, Predictor
from engine.nn.inference import NotComputed
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from engine.runtime import Request, Runner

NETWORK = Network(
    (1, 16, 16), (Conv2D(64, 3), ReLU(), MaxPool2D(), Conv2D(8, 3), Flatten(), Dense(2)), classes=("X", "O")
)
SUBJECT = Model("some", NETWORK, NETWORK.initial_parameters(1))
PICTURE = np.random.default_rng(1).uniform(-1, 1, (16, 16)).astype(np.float32)
WANTED = {1: range(24, 48), 3: range(64)}


def read(wanted: dict[int, range] | None) -> Prediction:
    reader = Predictor(SUBJECT, choose_backend("cpu"))
    reader.predict(-PICTURE, {})  # activations of an earlier picture must not be returned
    return reader.predict(PICTURE, wanted)


def test_what_is_wanted_is_what_a_whole_reading_says() -> None:
    some, whole = read(WANTED), read(None)
    np.testing.assert_array_equal(some.votes, whole.votes)
    np.testing.assert_array_equal(some.activations.channels(1, range(30, 40)), whole.activations[1][30:40])
    for layer in (0, 3, -1):
        np.testing.assert_array_equal(some.activations[layer], whole.activations[layer])
    told, whole_told = (
        value_formula(prediction, 4, (5, 1, 2)) for prediction in (read({**WANTED, 4: range(5, 6)}), whole)
    )
    assert told is not None
    assert whole_told is not None
    assert told.result == whole_told.result


def test_what_was_not_wanted_says_so() -> None:
    prediction = read(WANTED)
    assert len(prediction.activations) == len(NETWORK.shapes)
    assert prediction.activations.has(1, range(24, 48))
    for layer in (1, 2, 4, 5):
        assert not prediction.activations.has(layer)
        with pytest.raises(NotComputed, match=f"of layer {layer} were not requested"):
            prediction.activations[layer]
    with pytest.raises(NotComputed):
        prediction.activations.channels(1, range(23, 30))
    with pytest.raises(NotComputed):
        list(prediction.activations)
    with pytest.raises(NotComputed):
        prediction.named_activations()
    with pytest.raises(IndexError):
        prediction.activations[len(NETWORK.shapes)]
    assert has_value_formula(prediction, 4, 0) is False
    assert has_value_formula(prediction, 1, 30)


def test_what_is_wanted_beyond_what_there_is_is_nothing() -> None:
    outputs = read({1: range(60, 500), 4: range(90, 99), 77: range(3)}).activations
    assert outputs.available == {0: range(1), 1: range(60, 64), len(NETWORK.layers): range(2)}


def test_only_what_is_wanted_is_carried_over_from_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    carried: list[int] = []
    to_host = NumpyOps.to_host

    def count(self: NumpyOps, array: Any) -> np.ndarray[Any, Any]:
        made = to_host(self, array)
        carried.append(made.size)
        return made

    monkeypatch.setattr(NumpyOps, "to_host", count)
    runner, document = Runner("cpu"), Document.blank(SUBJECT)
    runner.compute(Request(1, document, visible_channels=({1: range(2)},)))
    assert sum(carried) == 16 * 16 + 2 * 14 * 14 + 2
    carried.clear()
    runner.compute(Request(1, document))
    assert sum(carried) > 64 * 14 * 14


def test_where_layers_are_not_timed_one_by_one_it_is_the_same() -> None:
    reader = Predictor(SUBJECT, choose_backend("cpu"))
    reader._is_cpu = False  # a GPU pass is one program
    for _ in range(3):  # the first is timed, too
        some, whole = reader.predict(PICTURE, WANTED), reader.predict(PICTURE)
        assert set(some.activations.available) == {0, *WANTED, len(NETWORK.layers)}
        np.testing.assert_array_equal(some.activations[3], whole.activations[3])
        np.testing.assert_array_equal(some.votes, whole.votes)
