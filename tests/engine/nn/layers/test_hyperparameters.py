"""Invalid hyperparameters and shapes: each is one sentence that names the layer, before any memory is allocated."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from engine.nn import Network
from engine.nn.layers import (
    AvgPool2D,
    BatchNorm2D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Residual,
    ShapeError,
    Votes,
)

# One layer of each kind with hyperparameters; each of them is set to invalid values in turn.
SOUND: tuple[Layer, ...] = (
    Conv2D(3, 5, 2, padding="same"),
    MaxPool2D(),
    AvgPool2D(),
    LeakyReLU(),
    Dense(2),
    Dropout(),
    BatchNorm2D(),
    Residual((ReLU(),)),
    Votes(((0,), (1,))),
)
NAN, INF = float("nan"), float("inf")
NEVER = (
    NAN,
    INF,
    -INF,
    -1,
    10**9,
    10**400,
    "three",
    b"3",
    (),
    ("",),
    ((),),
    ((0, 0),),
    ((True,),),
    ((-1,),),
    object(),
)
# Without ids, a block gives its layers the default ones; padding is often -1, the background.
SPOILED = [
    (layer, setting.name, value)
    for layer in SOUND
    for setting in fields(layer)
    for value in NEVER
    if (setting.name, value) not in (("ids", ()), ("padding_value", -1))
]


def refusal(make: Callable[[], object], error: type[ValueError] = ValueError) -> str:
    """The message of the error that is raised."""
    with pytest.raises(error) as raised:
        make()
    sentence = str(raised.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 500
    return sentence


@pytest.mark.parametrize(
    ("layer", "setting", "value"), SPOILED, ids=[f"{type(layer).__name__}-{name}" for layer, name, _ in SPOILED]
)
def test_a_bad_setting_is_named_with_the_layer_s_kind(layer: Layer, setting: str, value: object) -> None:
    sentence = refusal(lambda: replace(layer, **{setting: value}))
    assert sentence.startswith(f"{type(layer).__name__}'s {setting} must be ")


@pytest.mark.parametrize(
    ("layer", "setting", "values"),
    [
        (Conv2D(3), "features", (0, 65_537, 1.0, True, None)),
        (Conv2D(3), "size", (0, 2.5, True, None)),
        (Conv2D(3), "stride", (0, False)),
        (Conv2D(3), "padding", (1.0, "valid", None)),
        (Conv2D(3), "mean", (0, 1, None)),
        (Conv2D(3), "bias", (0, 2, None)),
        (Conv2D(3), "spread", (-0.1, 1001, True)),
        (Conv2D(3), "padding_value", (-1000.1, 1001, True, None)),
        (Conv2D(3, 3, padding="same"), "size", (2, 4)),
        (MaxPool2D(), "size", (0, True, None)),
        (AvgPool2D(), "stride", (0, 1.5, None)),
        (AvgPool2D(), "edge", ("bend", "Keep", None)),
        (Dense(3), "units", (0, True, 2.0)),
        (Dense(3), "bias", (1, "yes")),
        (Dense(3), "spread", (-1, False)),
        (Dropout(), "rate", (-0.1, 1, 1.0, 0.9995, True, None)),
        (LeakyReLU(), "slope", (0, -0.1, 1.1, True, None)),
        (BatchNorm2D(), "momentum", (0, 1.01, True, None)),
        (BatchNorm2D(), "epsilon", (0, 1e-13, 2, True)),
        (Residual((ReLU(),)), "layers", ((), [], (ReLU,), (None,), ReLU())),
        (Votes(((0,), (1,))), "strong", ((), ((0,), ()), [[0], [1]], ((0,), (1.0,)), ((0,), ([0],)), (0, 1))),
    ],
)
def test_a_setting_just_outside_what_it_may_be_is_refused(layer: Layer, setting: str, values: tuple[Any]) -> None:
    for value in values:
        sentence = refusal(lambda value=value: replace(layer, **{setting: value}))
        assert sentence.startswith(f"{type(layer).__name__}'s {setting} must be ")


def test_settings_at_their_limits_are_accepted() -> None:
    for layer, settings in (
        (Conv2D(1), {"features": 65_536, "size": 1, "padding": 65_536, "spread": 0}),
        (Conv2D(1), {"size": 65_535, "padding": "same", "spread": 1000, "padding_value": -1000}),
        (MaxPool2D(), {"size": 65_536, "stride": 65_536, "edge": "drop"}),
        (Dropout(), {"rate": 0}),
        (Dropout(), {"rate": 0.999}),
        (LeakyReLU(), {"slope": 1}),
        (LeakyReLU(), {"slope": 1e-9}),
        (BatchNorm2D(), {"momentum": 1, "epsilon": 1}),
        (BatchNorm2D(), {"momentum": 1e-9, "epsilon": 1e-12}),
    ):
        made = replace(layer, **settings)
        assert {name: getattr(made, name) for name in settings} == settings


def nested(depth: int) -> Layer:
    layer: Layer = ReLU()
    for _ in range(depth):
        layer = Residual((layer,))
    return layer


def test_stacks_within_stacks_have_an_end() -> None:
    assert isinstance(nested(8), Residual)
    assert "at most 8 deep" in refusal(lambda: nested(9))
    described = {"layer": "ReLU"}
    for _ in range(400):
        described = {"layer": "Residual", "layers": [described]}
    data = Network((1, 2, 2), (Flatten(), Dense(2)), classes=("X", "O")).to_json() | {"layers": [described]}
    assert "at most 8 deep" in refusal(lambda: Network.from_json(data))


# -- in JSON ----------------------------------------------------------------------------------------------------


def described(*layers: object) -> dict[str, Any]:
    sound = Network((1, 8, 8), (Flatten(), Dense(2)), classes=("X", "O")).to_json()
    return json.loads(json.dumps(sound | {"layers": list(layers)}))


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({"layer": "Conv2D", "features": "many"}, ["Conv2D", "a whole number", "features"]),
        ({"layer": "Conv2D", "features": True}, ["Conv2D", "a whole number", "features"]),
        ({"layer": "Conv2D"}, ["Conv2D", "features"]),
        ({"layer": "Conv2D", "features": -3}, ["Conv2D's features", "-3"]),
        ({"layer": "Conv2D", "features": 3, "size": 10**9}, ["Conv2D's size", "65,536"]),
        ({"layer": "Conv2D", "features": 3, "wings": 2}, ["Conv2D", "'wings'"]),
        ({"layer": "Conv2D", "features": 3, "padding": "wide"}, ["Conv2D", "padding", "wide"]),
        ({"layer": "Dropout", "rate": 1}, ["Dropout's rate"]),
        ({"layer": "Dropout", "rate": True}, ["Dropout", "rate"]),
        ({"layer": "BatchNorm2D", "epsilon": None}, ["BatchNorm2D", "epsilon"]),
        ({"layer": "Votes", "strong": [[0], [0.5]]}, ["Votes", "strong"]),
        ({"layer": "Residual", "layers": []}, ["Residual's layers"]),
        ({"layer": "Residual", "layers": "ReLU"}, ["Residual"]),
        ({"layer": "Residual"}, ["Residual"]),
        (
            {"layer": "Residual", "layers": [{"layer": "ReLU"}, {"layer": "Dense", "units": 0}]},
            ["layer 2", "Dense's"],
        ),
        ({"layer": "Conv9D"}, ["'Conv9D'", "GlobalAvgPool"]),
        ({"layer": ["Conv2D"]}, ["['Conv2D']"]),
        ({}, ["None"]),
        ("ReLU", ["'ReLU'"]),
        (["ReLU"] * 1000, ["'ReLU'"]),
    ],
)
def test_a_layer_described_wrongly_is_named_with_its_place(layer: object, words: list[str]) -> None:
    sentence = refusal(lambda: Network.from_json(described({"layer": "ReLU"}, layer, {"layer": "ReLU"})))
    assert sentence.startswith("Layer 2 cannot be built: ")
    for word in words:
        assert word in sentence


def test_numbers_that_json_cannot_hold_are_refused_too() -> None:
    for rate in (NAN, INF, -INF):
        data = described({"layer": "Flatten"}, {"layer": "Dense", "units": 2}, {"layer": "Dropout"})
        data["layers"][2]["rate"] = rate
        assert "Layer 3 cannot be built: Dropout's rate must be a number" in refusal(
            lambda data=data: Network.from_json(data)
        )


# -- in a network ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ((Dense(2),), ["layer 1 (Dense)", "the input", "1 × 8 × 8", "Flatten"]),
        ((Conv2D(4, 9), Flatten(), Dense(2)), ["layer 1 (Conv2D)", "1 × 9 × 9", "1 × 8 × 8"]),
        ((Flatten(), Conv2D(4), Dense(2)), ["layer 2 (Conv2D)", "layer 1 (Flatten)", "64"]),
        ((Conv2D(4), MaxPool2D(7, 7, "drop"), Flatten(), Dense(2)), ["layer 2 (MaxPool2D)", "7 × 7", "4 × 6 × 6"]),
        ((Conv2D(4), AvgPool2D(7, 7, "drop"), Flatten(), Dense(2)), ["layer 2 (AvgPool2D)", "7 × 7", "4 × 6 × 6"]),
        ((Flatten(), MaxPool2D(), Dense(2)), ["layer 2 (MaxPool2D)", "64", "before Flatten"]),
        ((GlobalAvgPool(), GlobalAvgPool(), Dense(2)), ["layer 2 (GlobalAvgPool)", "layer 1 (GlobalAvgPool)"]),
        ((Flatten(), BatchNorm2D(), Dense(2)), ["layer 2 (BatchNorm2D)", "64"]),
        ((Flatten(), Dense(3)), ["layer 2 (Dense)", "3", "2 classes"]),
        ((ReLU(),), ["1 × 8 × 8", "2 classes"]),
        ((Flatten(), Votes(((0,), (64,)))), ["layer 2 (Votes)", "position 64", "vector of 64"]),
        ((Residual((Conv2D(2),)), Flatten(), Dense(2)), ["layer 1 (Residual)", "1 × 8 × 8", "2 × 6 × 6"]),
        (
            (Residual((ReLU(), Dense(2))), Dense(2)),
            ["layer 1 (Residual)", "layer 2 (Dense) of its stack", "vector"],
        ),
        (
            (Residual((ReLU(), Residual((ReLU(), ReLU(), Conv2D(1, 9))))), Dense(2)),
            ["layer 1 (Residual)", "layer 2 (Residual) of its stack", "layer 3 (Conv2D) of its stack", "9 × 9"],
        ),
    ],
)
def test_shapes_that_do_not_fit_are_named(layers: tuple[Layer, ...], words: list[str]) -> None:
    sentence = refusal(lambda: Network((1, 8, 8), layers, classes=("X", "O")), ShapeError)
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    "shape", [(1, 0, 5), (0, 5, 5), (1, 5), (1, 5, -1), (1, 5, 5.0), (1, True, 5), (1, NAN, 5)]
)
def test_an_input_without_pixels_is_refused(shape: Any) -> None:
    assert "input is channels × height × width" in refusal(
        lambda: Network(shape, (Flatten(), Dense(2)), classes=("X", "O")), ShapeError
    )


def test_a_vote_that_is_none_is_refused() -> None:
    wrong: Any = "shout"
    assert "'shout'" in refusal(lambda: Network((1, 2, 2), (Flatten(), Dense(2)), vote=wrong, classes=("X", "O")))


HEAD = (GlobalAvgPool(), Dense(2))


@pytest.mark.parametrize(
    ("shape", "layers", "words"),
    [
        ((1, 8, 8), (Conv2D(1, 65_535, padding="same"), *HEAD), ["8 GiB for one picture", "layer 1 (Conv2D)"]),
        ((1, 8, 8), (Conv2D(65_536, 1, padding=2_000), *HEAD), ["8 GiB for one picture", "layer 1 (Conv2D)"]),
        ((1, 8, 8), (ReLU(), Residual((Conv2D(65_536, 1, padding=500), Conv2D(1, 1001))), *HEAD), ["(Residual)"]),
        ((1, 10**9, 10**9), HEAD, ["8 GiB for one picture", "the input"]),
        # Wide padding that a wide stride reduces to nothing.
        ((1, 8, 8), (Conv2D(1, 1, 60_000, 60_000), *HEAD), ["8 GiB for one picture", "layer 1 (Conv2D)"]),
        ((1, 10**30, 1), (ReLU(), *HEAD), ["8 GiB for one picture", "layer 1 (ReLU)"]),
        ((1, 1000, 1000), (Flatten(), Dense(65_536), Dense(2)), ["1 GiB for its parameters", "layer 2 (Dense)"]),
        ((60_000, 1, 1), (Residual((Conv2D(60_000, 1),)), *HEAD), ["1 GiB for its parameters", "(Residual)"]),
    ],
)
def test_a_network_that_no_machine_could_hold_is_refused_before_memory_is_taken(
    shape: tuple[int, int, int], layers: tuple[Layer, ...], words: list[str]
) -> None:
    tracemalloc.start()
    try:
        sentence = refusal(lambda: Network(shape, layers, classes=("X", "O")))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    for word in words:
        assert word in sentence


def test_an_eight_megapixel_photograph_is_not_too_large() -> None:
    """Forward of 16 kernels of 5 × 5, ReLU and a pool."""
    layers = (Conv2D(16, 5, padding="same"), ReLU(), MaxPool2D(), GlobalAvgPool(), Dense(2))
    assert Network((1, 2448, 3264), layers, classes=("X", "O")).shapes[3] == (16, 1224, 1632)


def test_the_shapes_of_many_parameters_take_no_memory() -> None:
    network = Network((1, 1000, 1000), (Flatten(), Dense(200), Dense(2)), classes=("X", "O"))
    tracemalloc.start()
    try:
        assert network.parameter_shapes["dense-1.weight"] == (200, 1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
