"""Edits of a network: layers are inserted, removed, moved and replaced; the others keep ids and weights."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.documents import DEFAULT
from engine.nn import Network
from engine.nn.layers import (
    BatchNorm2D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPool2D,
    ReLU,
    Residual,
    Tanh,
)
from engine.training import SGD, Checkpoint, Trainer, TrainingConfig, carry_checkpoint
from tests.engine.small_runs import CPU, DATA, MIXED, SMALL, generated_source

CONFIG = TrainingConfig(SGD(0.05, 0.9), batch=8, epochs=2, examples=48, data=DATA, l2=0.001)

ANY_LAYER = st.sampled_from(
    [Conv2D(3, 3, padding="same"), Conv2D(2, 1), ReLU(), Tanh(), BatchNorm2D(), MaxPool2D(2, 1), Dropout(0.2),
     Residual((Conv2D(3, 1), ReLU())), Dense(2), Flatten()]
)  # fmt: skip


def names(network: Network) -> list[str]:
    """Every id, those in blocks with the block's."""

    def of(ids: tuple[str, ...], layers: tuple[Layer, ...]) -> list[str]:
        found = []
        for name, layer in zip(ids, layers, strict=True):
            inside = of(layer.ids, layer.layers) if isinstance(layer, Residual) else []
            found += [name, *(f"{name}.{inner}" for inner in inside)]
        return found

    return of(network.ids, network.layers)


def test_a_moved_layer_keeps_its_name() -> None:
    moved = DEFAULT.network.move_layer("relu-2", 3)
    assert moved.ids[2:5] == ("maxpool2d-1", "relu-2", "conv2d-2")
    assert moved.layers[3] == ReLU()
    assert moved.parameter_shapes == DEFAULT.network.parameter_shapes
    assert DEFAULT.network.move_layer("relu-1", 1) == DEFAULT.network


def test_a_new_layer_never_gets_the_name_of_a_removed_one() -> None:
    without = DEFAULT.network.insert_layer(4, Conv2D(8, 1)).remove_layer("conv2d-4")
    again = without.insert_layer(4, Conv2D(8, 1))
    assert "conv2d-4" not in without.ids
    assert again.ids[4] == "conv2d-5"
    assert Network.from_json(json.loads(json.dumps(without.to_json()))).insert_layer(4, Conv2D(8, 1)) == again
    for changed, name in (
        (again.replace_layer("conv2d-5", BatchNorm2D()), "batchnorm2d-1"),
        (again.replace_layer("conv2d-5", Conv2D(8, 3, padding="same")), "conv2d-5"),
    ):
        assert changed.ids[4] == name


def test_layers_in_blocks_are_edited_by_their_path() -> None:
    inside = MIXED.insert_layer(1, Conv2D(3, 1), "residual-1")
    assert names(inside)[3:9] == [
        "residual-1", "residual-1.conv2d-1", "residual-1.conv2d-2", "residual-1.batchnorm2d-1", "residual-1.tanh-1",
        "maxpool2d-1",
    ]  # fmt: skip
    assert "conv2d-3" in inside.insert_layer(1, Conv2D(3, 1)).insert_layer(1, Conv2D(3, 1)).ids
    moved = inside.move_layer("residual-1.conv2d-2", 3)
    assert names(moved)[4:8] == [f"residual-1.{own}" for own in ("conv2d-1", "batchnorm2d-1", "tanh-1", "conv2d-2")]
    removed = inside.remove_layer("residual-1.conv2d-2")
    assert names(removed) == names(MIXED)
    assert "residual-1.conv2d-3" in names(removed.insert_layer(0, Conv2D(3, 1), "residual-1"))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda: SMALL.remove_layer("conv2d-2"), ["no layer called conv2d-2", "conv2d-1, relu-1"]),
        (lambda: SMALL.remove_layer("relu-1.tanh-1"), ["relu-1 is no block"]),
        (lambda: SMALL.remove_layer("flatten-1"), ["layer 4 (Dense)"]),
        (lambda: SMALL.move_layer("dense-1", 0), ["layer 1 (Dense)"]),
        (lambda: SMALL.insert_layer(5, Dense(3)), ["layer 6 (Dense)"]),
        (
            lambda: Network((1, 2, 2), (Flatten(), Dense(2)), ids=("a", "a"), classes=("X", "O")),
            ["ids must be", "different"],
        ),
        (
            lambda: Network((1, 2, 2), (Flatten(), Dense(2)), ids=("a.b", "c"), classes=("X", "O")),
            ["ids must be", "letters"],
        ),
        (
            lambda: Network((1, 2, 2), (Flatten(), Dense(2)), ids=("a", "input"), classes=("X", "O")),
            ["ids must be", "input"],
        ),
    ],
)
def test_an_edit_that_does_not_fit_is_refused_in_words(edit, words: list[str]) -> None:
    with pytest.raises(ValueError, match=".*".join(map(re.escape, words))):
        edit()


def test_names_can_be_chosen_and_do_not_change_what_is_computed() -> None:
    named = Network(
        SMALL.input_shape, SMALL.layers, ids=("edges", "relu", "pool", "flat", "scores"), classes=("X", "O")
    )
    assert [*named.initial_parameters(3)] == ["edges.weight", "edges.bias", "scores.weight", "scores.bias"]
    pairs = zip(named.initial_parameters(3).values(), SMALL.initial_parameters(3).values(), strict=True)
    assert all(one.tobytes() == other.tobytes() for one, other in pairs)


@cache
def trained() -> Checkpoint:
    trainer = Trainer(MIXED, generated_source(CONFIG), CONFIG, CPU)
    for _ in islice(trainer.run(), 3):
        pass
    return trainer.checkpoint()


def edited(network: Network, data: st.DataObject) -> Network:
    """The network after a random edit, or unchanged if that does not fit."""
    name = data.draw(st.sampled_from(names(network)))
    index, layer = data.draw(st.integers(0, len(network.layers))), data.draw(ANY_LAYER)
    block = name.rpartition(".")[0]
    edits = (
        lambda: network.insert_layer(index, layer, block),
        lambda: network.remove_layer(name),
        lambda: network.move_layer(name, index),
        lambda: network.replace_layer(name, layer),
    )
    try:
        return data.draw(st.sampled_from(edits))()
    except ValueError:
        return network


@settings(max_examples=settings().max_examples // 2)
@given(st.data())
def test_whatever_is_edited_every_layer_that_stays_keeps_its_name_weights_and_training(data: st.DataObject) -> None:
    network = MIXED
    for _ in range(data.draw(st.integers(1, 5))):
        network = edited(network, data)
        assert len(set(names(network))) == len(names(network))
        assert not set(network.retired) & set(names(network))
        assert Network.from_json(json.loads(json.dumps(network.to_json()))) == network
    start = carry_checkpoint(trained(), network, 5)
    alike = set(names(network)) - {
        name.rpartition(".")[0]
        for name, shape in network.parameter_shapes.items()
        if MIXED.parameter_shapes.get(name) != shape
    }
    kept = [name for name in MIXED.parameter_shapes if name.rpartition(".")[0] in alike]
    config = replace(CONFIG, frozen=tuple({"conv2d-1", "residual-1"} & set(network.ids)))
    trainer = Trainer(network, generated_source(CONFIG), config, CPU, resume_from=start)
    resumed = trainer.checkpoint()
    for name in kept:
        assert resumed.parameters[name].tobytes() == trained().parameters[name].tobytes()
        if (vector := f"velocity.{name}") in resumed.optimizer_state:
            assert resumed.optimizer_state[vector].tobytes() == trained().optimizer_state[vector].tobytes()
    next(trainer.run())
    for name in kept:
        same = trainer.parameters()[name].tobytes() == trained().parameters[name].tobytes()
        assert same or name.partition(".")[0] not in config.frozen, name


def test_a_layer_that_no_longer_fits_its_weights_starts_afresh_and_the_others_do_not() -> None:
    wider = MIXED.replace_layer("conv2d-1", Conv2D(3, 5, padding="same"))
    start = carry_checkpoint(trained(), wider, 5)
    for name, values in start.parameters.items():
        kept = values.tobytes() == (MIXED.parameter_shapes.get(name) and trained().parameters[name].tobytes())
        assert kept is (name.partition(".")[0] != "conv2d-1"), name
    assert start.parameters["conv2d-1.weight"].tobytes() == wider.initial_parameters(5)["conv2d-1.weight"].tobytes()
    assert not start.optimizer_state["velocity.conv2d-1.weight"].any()
    assert start.optimizer_state["velocity.dense-1.weight"].any()
    assert start.steps == 3
