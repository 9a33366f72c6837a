"""A configuration written as arguments of `xo train` and parsed again is the same, to the last digit."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli import command_arguments, train
from engine.cli.main import _parser
from engine.cli.train_options import train_job
from engine.data.xo import XOSettings
from engine.documents import DEFAULT
from engine.form_fields import form_fields_of
from engine.training import LEARNING, OPTIMIZERS, SCHEDULES, SGD, STOPPING, TrainingConfig

PRESET = ("--preset", "default")


def read_again(words: list[str]) -> TrainingConfig:
    """The configuration that the command would learn by."""
    args = _parser({"train": train}).parse_args(["train", "--out", "a.safetensors", *words])
    return train_job(args, lambda *told: None).config


shares = st.floats(0, 1, exclude_max=True)
sizes = st.floats(1e-30, 1e30)


def some(kinds: dict[str, type]) -> st.SearchStrategy:
    """One of the kinds, with any settings that it takes."""
    ways = {"int": st.integers(2, 50), "bool": st.booleans(), "float": shares}

    def made(kind: type) -> st.SearchStrategy:
        given = {each.name: ways[str(each.type)] for each in fields(kind)}
        given |= {name: sizes for name in ("rate", "epsilon") if name in given}
        if "nesterov" in given:
            given["momentum"] = st.floats(0.01, 0.99)
        return st.builds(kind, **given)

    return st.one_of(*map(made, kinds.values()))


@given(
    config=st.builds(
        TrainingConfig,
        optimizer=some(OPTIMIZERS),
        schedule=some(SCHEDULES),
        batch=st.integers(1, 10_000),
        epochs=st.integers(1, 10_000),
        l2=shares,
        clip=st.none() | sizes,
        frozen=st.sampled_from([(), ("conv2d-1",), ("conv2d-1", "dense-2")]),
        steps=st.none() | st.integers(1, 10**9),
        patience=st.none() | st.integers(1, 100),
        target=st.none() | st.floats(0, 1, exclude_min=True),
        seconds=st.none() | sizes,
        examples=st.integers(1, 9),
        held_out=st.integers(1, 40),
        data=st.builds(
            XOSettings, neither=shares, size=st.tuples(st.floats(0.3, 0.5), st.floats(0.5, 2)), side=st.just(48)
        ),
        fresh=st.booleans(),
        seed=st.integers(0, 2**40),
        data_seed=st.none() | st.integers(0, 2**40),
    )
)
def test_there_and_back(config: TrainingConfig) -> None:
    assert read_again(command_arguments(config, PRESET)) == config


@pytest.mark.parametrize(
    "name", [*form_fields_of(TrainingConfig, LEARNING), *form_fields_of(TrainingConfig, STOPPING)]
)
def test_whatever_may_be_set_in_the_window_has_a_word(name: str) -> None:
    before = TrainingConfig(data=DEFAULT.config.data, examples=5, held_out=5)
    after = replace(before, **{name: {"target": 0.5, "l2": 0.5, "clip": 0.5}.get(name, 7)})
    assert command_arguments(after, PRESET) != command_arguments(before, PRESET)


def test_what_is_as_usual_is_not_said() -> None:
    config = TrainingConfig(SGD(0.01), data=DEFAULT.config.data, examples=100, held_out=25, fresh=False)
    words = "--preset default --seed 1 --fixed --examples 100 --hold-out 0.25 --optimizer sgd --schedule constant"
    assert command_arguments(config, PRESET) == [*words.split(), "--batch", "64", "--epochs", "10"]


def test_what_cannot_be_trained_has_no_words() -> None:
    with pytest.raises(ValueError, match="made by hand"):
        command_arguments(TrainingConfig(), ("--preset", "walkthrough"))
