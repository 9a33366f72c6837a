"""Colour limits and number texts."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.documents import shipped_model
from engine.nn import Activations, Model, Predictor
from tests.samples import DRAWINGS, drawing_sample
from tests.two_stages import TWO_STAGES
from xo_gui.app import DARK, Theme, colours, resolve_theme
from xo_gui.views.network import ColourLimits, DisplayColumn, Legend, display_columns, rounded_limit
from xo_gui.views.network.colour_limits import colour_limit
from xo_gui.widgets import count_text, duration_text, limit_text, maps_atlas, range_text, signed_text


def test_limits_are_shared_up_to_the_next_convolution() -> None:
    model = Model("two stages", TWO_STAGES, TWO_STAGES.initial_parameters(1))
    prediction = Predictor(model, choose_backend("cpu")).predict(np.ones((32, 32), np.float32))
    # The strongest response is negative, so that ReLU leaves much smaller values.
    outputs = (prediction.activations[0], prediction.activations[1] - 20, *prediction.activations[2:])
    peaks = ColourLimits.from_activations(TWO_STAGES, Activations.from_arrays(outputs))
    stages = display_columns(TWO_STAGES)
    shared = [float(peaks.limits(stage, "shared")[0]) for stage in stages]
    rise = float(max(outputs[at].max() for at in (1, 2, 3)))
    assert shared[1] == shared[2] == shared[3] == rounded_limit(colour_limit(rise, float(-outputs[1].min())))
    assert shared[4] == shared[5] == shared[6]
    assert len(peaks.limits(stages[1], "map")) == 8
    own = float(peaks.limits(stages[2], "layer")[0])
    assert own == rounded_limit(float(prediction.activations[2].max())) < shared[2]
    assert peaks.limits(stages[1], "map", 4.0).tolist() == (peaks.limits(stages[1], "map") / 4).tolist()


@pytest.mark.parametrize(
    ("rise", "fall", "end"),
    [(4, 0, 4), (4, 2, 4), (4, 4.5, 4.5), (4, 9, 5), (0, 9, 1.8), (0, 0, 0), (1, 100, 20)],
)
def test_negative_values_widen_the_scale_little_beyond_the_positive_peak(
    rise: float, fall: float, end: float
) -> None:
    assert colour_limit(rise, fall) == pytest.approx(end)


def test_a_legend_says_when_values_lie_beyond_its_ends() -> None:
    outputs = [np.zeros(shape, np.float32) for shape in TWO_STAGES.shapes]
    outputs[1][0, 0, :2], outputs[2][0, 0, 0], outputs[0][0, 0, 0] = (2, -7), 2, 1
    limits = ColourLimits.from_activations(TWO_STAGES, Activations.from_arrays(outputs))
    _, features, relu, *_ = display_columns(TWO_STAGES)

    def texts(column: DisplayColumn, gain: float) -> tuple[str, str]:
        limit = float(limits.limits(column, "shared", gain)[0])
        return Legend(limit, *limits.beyond(column, limit)).texts(column.signed)

    assert texts(features, 1.0) == ("≤−3", "3")
    assert texts(relu, 1.0) == ("0", "3")
    assert texts(features, 4.0) == ("≤−0.75", "≥0.75")
    assert Legend(3.0, below=True).shared_text == "≥±3"


def contrasts(pixels: np.ndarray, theme: Theme) -> np.ndarray:
    """The contrast of RGB32 words with the theme's colour of 0 (WCAG)."""

    def luminance(words: np.ndarray) -> np.ndarray:
        shares = np.stack([words >> 16 & 255, words >> 8 & 255, words & 255], -1) / 255
        linear = np.where(shares <= 0.03928, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
        return linear @ (0.2126, 0.7152, 0.0722)

    pair = np.stack([luminance(pixels), np.broadcast_to(luminance(theme.value_table[127]), pixels.shape)])
    return (pair.max(0) + 0.05) / (pair.min(0) + 0.05)


@pytest.mark.parametrize("name", ["dark", "light"])
def test_what_a_deep_pool_keeps_is_seen_without_the_gain_slider(name: str) -> None:
    theme = resolve_theme(name)
    model, rng = shipped_model("default"), np.random.default_rng(0)
    predictor, pool = Predictor(model, choose_backend("cpu")), display_columns(model.network)[6]
    best: list[float] = []
    for label in "XOXO":
        drawing = DRAWINGS.example(label, model.network.input_shape, rng, 0).source
        prediction = predictor.predict(drawing_sample(drawing).array(model.network.input_shape))
        maps = prediction.activations[pool.layer]
        limit = float(
            ColourLimits.from_activations(model.network, prediction.activations).limits(pool, "shared")[0]
        )
        brightest = contrasts(colours(maps.max((1, 2)), -limit, limit, theme.value_table), theme)
        assert np.median(brightest) > (3.0 if name == "dark" else 2.0), label
        best.append(brightest.max())
    assert max(best) > 3.0


@pytest.mark.parametrize(
    ("value", "end"),
    [(0, 1), (1, 1), (1.01, 1.5), (4.61, 5.5), (0.0123, 0.015), (7.6, 10), (13, 15), (float("nan"), 1)],
)
def test_limits_are_rounded_numbers(value: float, end: float) -> None:
    assert rounded_limit(value) == pytest.approx(end)


def test_number_texts() -> None:
    assert [range_text(range(3, 4)), range_text(range(9, 14))] == ["4", "10–14"]
    assert [signed_text(value) for value in (0.2444, -5.5, 0.0, -0.001, 123.4)] == [
        "+0.24",
        "−5.50",
        "0.00",
        "0.00",
        "+123",
    ]
    assert [limit_text(value) for value in (5.5, 13.0, -0.5, 0.0, 0.7071, 125.3)] == [
        "5.5",
        "13",
        "−0.5",
        "0",
        "0.71",
        "125",
    ]
    assert [count_text(value) for value in (64, 1280, 204_800, 1_200_000)] == [
        "64",
        "1.3\u202fk",
        "205\u202fk",
        "1.2\u202fM",
    ]
    assert [duration_text(value) for value in (11e-6, 1.24e-3, 2.0)] == ["11\u202fµs", "1.2\u202fms", "2.0\u202fs"]


def test_diverged_values_have_the_last_colours(qapp) -> None:
    """The rounded limit above the largest float32 exceeds float32."""
    largest = np.finfo(np.float32).max
    maps = np.array([[[largest, -largest, np.inf, -np.inf, 0.0]]], np.float32)
    picture = maps_atlas(maps, np.array([rounded_limit(float(largest))]), 1, DARK)
    seen = [picture.pixelColor(place, 0).name() for place in range(5)]
    first, middle, last = (DARK.value_table[place] for place in (0, 127, 254))
    assert [f"#{word & 0xFFFFFF:06x}" for word in (last, first, last, first, middle)] == seen
