"""A new layer is one class, one entry per backend and its name in LAYERS: a softsign, added from here, is seen
wherever a layer is seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import engine
from engine.backends import ActivationFunction, Array, Calls
from engine.backends.numpy.ops import ACTIVATIONS
from engine.cli.main import main
from engine.data.xo import XOSettings
from engine.nn import Model, Network, Plan
from engine.nn.layers import (
    LAYERS,
    Activation,
    Conv2D,
    Dense,
    Flatten,
    LayerText,
    Phrase,
    Residual,
    Spelling,
    Traits,
)
from engine.nudging import central_difference_gradients
from engine.training import Adam, TrainingConfig
from xo_gui.state import CellRef
from xo_gui.views.inspector.value_text import ValueContext, value_blocks
from xo_gui.views.network import display_columns, layer_names
from xo_gui.views.network.toolbar import find_layers, layer_entries

CPU = engine.choose_backend("cpu")


@dataclass(frozen=True)
class Softsign(Activation):
    """y = x / (1 + |x|); dx = dy * (1 - |y|)^2."""

    kind: ClassVar[str] = "softsign"

    @cached_property
    def traits(self) -> Traits:
        return Traits(is_elementwise=True, changes_scale=True)

    @cached_property
    def text(self) -> LayerText:
        return LayerText("Softsign", Phrase("softly to −1 … 1"), "softsign. Every value is squashed, gently.")

    @property
    def function(self) -> ActivationFunction:
        return ActivationFunction("softsign")

    def evaluate(self, x: float) -> float:
        return x / (1 + abs(x))

    def spelling(self, x: float) -> Spelling:
        return Spelling(Phrase("x ÷ (1 + |x|)"), lambda x: x / (1 + abs(x)))


def softsign(x: Array, y: Array, slope: float) -> Calls:
    work = np.empty_like(x)
    return [(np.abs, (x,), {"out": work}), (np.add, (work, 1), {"out": work}), (np.divide, (x, work), {"out": y})]


def softsign_gradient(y: Array, dy: Array, dx: Array, slope: float) -> Calls:
    work = np.empty_like(y)
    return [
        (np.abs, (y,), {"out": work}),
        (np.subtract, (1, work), {"out": work}),
        (np.multiply, (work, work), {"out": work}),
        (np.multiply, (dy, work), {"out": dx}),
    ]


NETWORK = Network(
    (1, 16, 16),
    (Conv2D(3, 3), Softsign(), Residual((Conv2D(3, 1), Softsign())), Flatten(), Dense(2)),
    classes=("X", "O"),
)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LAYERS, "Softsign", Softsign)
    monkeypatch.setitem(ACTIVATIONS, "softsign", (softsign, softsign_gradient))


@pytest.fixture
def model() -> Model:
    return Model("Soft", NETWORK, NETWORK.initial_parameters(3))


def test_its_shapes_costs_and_gradients_follow() -> None:
    assert NETWORK.shapes[2] == (3, 14, 14)
    assert NETWORK.costs[1].multiplies == 3 * 14 * 14
    assert NETWORK.ids[1] == "softsign-1"
    assert NETWORK.scale_sources[2] == 2
    small = Network(
        (1, 5, 5),
        (Conv2D(2, 3), Softsign(), Residual((Softsign(), Conv2D(2, 1))), Flatten(), Dense(2)),
        classes=("X", "O"),
    )
    images, shares = np.random.default_rng(1).normal(0, 1, (3, 1, 5, 5)), np.full((3, 2), 0.5)
    values = {name: array.astype(np.float64) for name, array in small.initial_parameters(1).items()}
    plan = Plan(small, CPU, 3, dtype=np.float64, learn=True, training=False)
    plan.load(values)
    plan.forward(images)
    plan.backward(shares)
    gradients = plan.parameter_gradients()
    found = central_difference_gradients(small, values, images, shares)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, found.slopes[name], rtol=0, atol=1e-8, err_msg=name)


def test_it_is_trained_saved_read_and_run_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = engine.generate_dataset(XOSettings(side=16, size=(0.7, 1.0), noise=(0, 0.1)), 300, seed=1)
    trained = engine.train(NETWORK, data, TrainingConfig(Adam(0.01), batch=32, epochs=4))
    assert engine.evaluate(NETWORK, trained.parameters, data, CPU).metrics.accuracy > 0.9
    path = tmp_path / "soft.safetensors"
    engine.save_model(path, trained)
    assert engine.load_model(path).network == NETWORK
    assert main(["trace", "assets/samples/x.png", "--model", str(path), "--out", str(tmp_path / "x.npz")]) == 0
    assert "02-softsign" in capsys.readouterr().out
    more = ["--epochs", "1", "--examples", "64", "--out", str(tmp_path / "more.safetensors")]
    assert main(["train", "--model", str(path), *more]) == 0


def test_it_is_shown_named_found_and_spelled_out(model: Model, qapp: object) -> None:
    assert layer_names(NETWORK)[2] == "Softsign"
    column = display_columns(NETWORK)[2]
    assert (column.title, column.subtitle) == ("Softsign", ("softly to −1 … 1", "3 × 14 × 14"))
    assert find_layers(layer_entries(NETWORK), "softsign") == [2]
    (prediction,) = engine.predict(model, np.random.default_rng(2).uniform(-1, 1, (1, 1, 16, 16)))
    formula = engine.value_formula(prediction, 2, (0, 3, 3))
    assert formula is not None
    assert formula.result == pytest.approx(float(prediction.activations[2][0, 3, 3]), abs=1e-6)
    assert "x ÷ (1 + |x|)" in repr(value_blocks(ValueContext(prediction, CellRef(2, 0, 3, 3))))
