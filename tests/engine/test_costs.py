"""The cost of every layer equals the number of operations of its definition."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.bench.cases import LAYER_CASES, case_id, network_around
from engine.documents import PRESETS
from engine.nn import Network, Plan
from engine.nn.layers import Layer, Shape, shape_text
from tests.engine import reference


@dataclass(frozen=True)
class Counted:
    """A number that counts its multiplications and divisions, and each function of the math library as one."""

    value: float
    done: ClassVar[int] = 0

    def _result(self, value: float) -> Counted:
        Counted.done += 1
        return Counted(value)

    def __mul__(self, other: float | Counted) -> Counted:
        return self._result(self.value * _plain(other))

    def __truediv__(self, other: float | Counted) -> Counted:
        return self._result(self.value / _plain(other))

    def __float__(self) -> float:
        Counted.done += 1
        return self.value

    def __add__(self, other: float | Counted) -> Counted:
        return Counted(self.value + _plain(other))

    def __sub__(self, other: float | Counted) -> Counted:
        return Counted(self.value - _plain(other))

    def __gt__(self, other: float | Counted) -> bool:
        return self.value > _plain(other)

    def __lt__(self, other: float | Counted) -> bool:
        return self.value < _plain(other)

    def __neg__(self) -> Counted:
        return Counted(-self.value)

    __radd__ = __add__


def _plain(number: float | Counted) -> float:
    return number.value if isinstance(number, Counted) else float(number)


@pytest.mark.parametrize("case", LAYER_CASES, ids=case_id)
def test_multiplies_are_those_that_the_definition_does(case: tuple[Layer, Shape]) -> None:
    layer, shape = case
    rng = np.random.default_rng(2)
    values = {name: np.ones(array.shape) for name, array in layer.initial_parameters(shape, rng).items()}
    # All negative, so that LeakyReLU multiplies every one of them.
    picture = np.empty(shape, object)
    for place in np.ndindex(shape):
        picture[place] = Counted(-1 - rng.random())
    Counted.done = 0
    (made,) = reference.forward(layer, picture[None], values)
    assert Counted.done == layer.cost(shape).multiplies
    assert 4 * made.size == layer.cost(shape).bytes


@pytest.mark.parametrize("case", LAYER_CASES, ids=case_id)
def test_parameters_are_all_that_is_drawn_but_not_what_is_gathered(case: tuple[Layer, Shape]) -> None:
    layer, shape = case
    fresh = layer.initial_parameters(shape, np.random.default_rng(1))
    learnt = {name: array.size for name, array in fresh.items() if name.split(".")[-1] in ("weight", "bias")}
    assert layer.cost(shape).parameters == sum(learnt.values())
    gathered = layer.buffer_shape(shape)
    assert sum(array.size for array in fresh.values()) - sum(learnt.values()) == np.prod(gathered or (0,))


@pytest.mark.parametrize(
    "network",
    [*(network_around(*case) for case in LAYER_CASES), *(preset.network for preset in PRESETS.values())],
    ids=lambda network: shape_text(network.input_shape) + "-" + "-".join(layer.kind for layer in network.layers),
)
def test_a_plan_takes_about_the_memory_that_a_network_says(network: Network) -> None:
    """The estimate decides whether a file may be opened, and how many pictures are read at once."""
    batch = 1 + 200_000 // network.image_bytes
    values = network.initial_parameters(1)
    tracemalloc.start()
    try:
        plan = Plan(network, choose_backend("cpu"), batch)
        plan.load(values)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    held = 4 * sum(array.size for array in values.values())
    assert taken - held < 2 * batch * network.image_bytes + 100_000
