"""Colour limits and number texts."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends.backend import choose_backend
from engine.documents.presets import DEFAULT
from engine.nn.inference import Outputs, Reader
from engine.nn.model import Subject
from xo_gui.app.theme import DARK
from xo_gui.views.network.colour_limits import Peaks, calm, end_of_colours
from xo_gui.views.network.layer_labels import stages_of
from xo_gui.widgets.map_images import maps_atlas
from xo_gui.widgets.number_text import count, duration, level, signed, span


def test_limits_are_shared_up_to_the_next_convolution() -> None:
    subject = Subject("default", DEFAULT.network, DEFAULT.network.initial(1))
    reading = Reader(subject, choose_backend("cpu")).read(np.ones((32, 32), np.float32))
    # The strongest response is negative, so that ReLU leaves much smaller values.
    outputs = (reading.outputs[0], reading.outputs[1] - 20, *reading.outputs[2:])
    peaks = Peaks.of(DEFAULT.network, Outputs.whole(outputs))
    stages = stages_of(DEFAULT.network)
    shared = [float(peaks.levels(stage, "shared")[0]) for stage in stages]
    rise = float(max(outputs[at].max() for at in (1, 2, 3)))
    assert shared[1] == shared[2] == shared[3] == calm(end_of_colours(rise, float(-outputs[1].min())))
    assert shared[4] == shared[5] == shared[6]
    assert len(peaks.levels(stages[1], "map")) == 8
    own = float(peaks.levels(stages[2], "layer")[0])
    assert own == calm(float(reading.outputs[2].max())) < shared[2]
    assert peaks.levels(stages[1], "map", 4.0).tolist() == (peaks.levels(stages[1], "map") / 4).tolist()


@pytest.mark.parametrize(
    ("rise", "fall", "end"), [(3, 0, 3), (3, 2, 3), (3, 5, 5), (3, 9, 6), (0, 9, 1.8), (0, 0, 0), (1, 100, 20)]
)
def test_negative_values_widen_the_scale_to_at_most_twice_the_positive_peak(
    rise: float, fall: float, end: float
) -> None:
    assert end_of_colours(rise, fall) == pytest.approx(end)


@pytest.mark.parametrize(
    ("value", "end"),
    [(0, 1), (1, 1), (1.01, 1.5), (4.61, 5.5), (0.0123, 0.015), (7.6, 10), (13, 15), (float("nan"), 1)],
)
def test_limits_are_rounded_numbers(value: float, end: float) -> None:
    assert calm(value) == pytest.approx(end)


def test_number_texts() -> None:
    assert [span(range(3, 4)), span(range(9, 14))] == ["4", "10–14"]
    assert [signed(value) for value in (0.2444, -5.5, 0.0, -0.001, 123.4)] == [
        "+0.24",
        "−5.50",
        "0.00",
        "0.00",
        "+123",
    ]
    assert [level(value) for value in (5.5, 13.0, -0.5, 0.0, 0.7071, 125.3)] == [
        "5.5",
        "13",
        "−0.5",
        "0",
        "0.71",
        "125",
    ]
    assert [count(value) for value in (64, 1280, 204_800, 1_200_000)] == [
        "64",
        "1.3\u202fk",
        "205\u202fk",
        "1.2\u202fM",
    ]
    assert [duration(value) for value in (11e-6, 1.24e-3, 2.0)] == ["11\u202fµs", "1.2\u202fms", "2.0\u202fs"]


def test_diverged_values_have_the_last_colours(qapp) -> None:
    """The rounded limit above the largest float32 exceeds float32."""
    largest = np.finfo(np.float32).max
    maps = np.array([[[largest, -largest, np.inf, -np.inf, 0.0]]], np.float32)
    picture = maps_atlas(maps, np.array([calm(float(largest))]), 1, DARK)
    seen = [picture.pixelColor(place, 0).name() for place in range(5)]
    first, middle, last = (DARK.value_table[place] for place in (0, 127, 254))
    assert [f"#{word & 0xFFFFFF:06x}" for word in (last, first, last, first, middle)] == seen
