"""Checkpoint files: training resumed to the byte, and error messages."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from engine.data.xo import XOSettings
from engine.documents import FileData, InterruptedRun, load_checkpoint, load_model, save_checkpoint, save_model
from engine.formats import FileError
from engine.nn import Model, Network
from engine.training import SGD, AdamW, Checkpoint, Cosine, Evaluated, Schedule, StepDone, Trainer, TrainingConfig
from engine.training.config import Linear, StepDecay
from engine.training.optimizers import Adam
from tests.engine.small_runs import CPU, DATA, MIXED, digest, generated_source

KEY = "xo-gui"
CONFIG = TrainingConfig(
    AdamW(0.01, decay=0.1),
    Cosine(0.1, warmup=0.2),
    batch=16,
    epochs=3,
    l2=0.01,
    clip=1.0,
    frozen=("residual-1",),
    patience=5,
    examples=40,
    held_out=20,
    data=DATA,
    seed=4,
)


def trainer(config: TrainingConfig, saved: InterruptedRun | None = None) -> Trainer:
    source = generated_source(config)
    held_out = source.held_out(config.held_out)
    return Trainer(MIXED, source, config, CPU, None, held_out, saved and saved.checkpoint)


def run_after(events: int, config: TrainingConfig = CONFIG) -> InterruptedRun:
    paused = trainer(config)
    list(islice(paused.run(), events))
    return InterruptedRun("Mine — 1", MIXED, config, paused.checkpoint(), ("xo train --seed 4",))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A run that was interrupted in its second epoch, after one evaluation."""
    path = tmp_path / "a.checkpoint"
    save_checkpoint(path, run_after(6))
    return path


def refused(path: Path) -> str:
    """The error message for a file, without its path."""
    begun = time.perf_counter()
    with pytest.raises(FileError) as raised:
        load_checkpoint(path)
    assert time.perf_counter() - begun < 1
    sentence = str(raised.value)
    assert sentence.startswith(str(path))
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence.removeprefix(str(path))


def parts(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header["__metadata__"][KEY]), load(data)


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, np.ndarray]], object]) -> None:
    """Changes the description or the tensors, and repairs the file."""
    description, tensors = parts(path)
    change(description, tensors)
    path.write_bytes(save(tensors, {KEY: json.dumps(description)}))


def assert_same(back: InterruptedRun, run: InterruptedRun) -> None:
    assert (back.name, back.network, back.config) == (run.name, run.network, run.config)
    assert (back.commands, back.data) == (run.commands, run.data)
    for name, value in vars(run.checkpoint).items():
        other = getattr(back.checkpoint, name)
        if isinstance(value, dict):
            assert digest(other) == digest(value), name
            assert all(array.dtype == np.float32 for array in other.values())
        else:
            assert np.array_equal(other, value, equal_nan=True) if isinstance(value, float) else other == value, (
                name
            )


@pytest.mark.parametrize("events", [0, 2, 3, 4, 6, 12])
def test_comes_back_as_it_was_and_goes_on_as_if_it_had_never_stopped(tmp_path: Path, events: int) -> None:
    """Before the first step, within an epoch, before and after an evaluation, at the end."""

    def told(run: Trainer) -> list[tuple[object, ...]]:
        told = []
        for event in run.run():
            found = (
                (event.loss, event.mean_loss, event.rate)
                if isinstance(event, StepDone)
                else (event.evaluation.metrics.loss,)
            )
            told.append((event.number, event.epoch, *found))
        return told

    assert [type(event) for event in islice(trainer(CONFIG).run(), 4)] == [StepDone, StepDone, StepDone, Evaluated]
    straight, path = trainer(CONFIG), tmp_path / "a.checkpoint"
    run = run_after(events)
    save_checkpoint(path, run)
    back = load_checkpoint(path)
    assert_same(back, run)
    resumed = trainer(back.config, back)
    assert told(straight)[events:] == told(resumed)
    assert resumed.stop_reason == straight.stop_reason
    for before, after in zip(trainer_arrays(straight), trainer_arrays(resumed), strict=True):
        assert digest(after) == digest(before)


def test_nothing_of_a_run_is_forgotten(tmp_path: Path) -> None:
    """Each with a value of its own, that no new run has."""
    run = run_after(6)
    at = run.checkpoint
    best = {name: values + np.float32(1) for name, values in at.parameters.items()}
    at = Checkpoint(at.parameters, at.optimizer_state, 7, 12.5, 1.75, 3, 0.625, 0.375, 2, best)
    assert all(
        getattr(at, each.name) != each.default for each in fields(Checkpoint) if each.name != "best_parameters"
    )
    kept = replace(run, checkpoint=at, config=replace(run.config, patience=9))
    save_checkpoint(tmp_path / "a.checkpoint", kept)
    assert_same(load_checkpoint(tmp_path / "a.checkpoint"), kept)


def trainer_arrays(run: Trainer) -> tuple[dict[str, np.ndarray], ...]:
    at = run.checkpoint()
    assert at.best_parameters is not None
    return at.parameters, at.optimizer_state, at.best_parameters


@pytest.mark.parametrize(
    "config",
    [
        TrainingConfig(SGD(0.1, 0.5, nesterov=True), Linear(0.2), target=0.9, seconds=3.5, data=DATA),
        TrainingConfig(SGD(0.1, 0.0), StepDecay(4, 0.3, warmup=0.1), data=replace(DATA, neither=0.0)),
        TrainingConfig(Adam(1e-3, 0.8, 0.9, 1e-6), Schedule(warmup=0.5), data=XOSettings(side=12)),
    ],
    ids=lambda config: config.schedule.kind,
)
def test_every_kind_of_config_comes_back(tmp_path: Path, config: TrainingConfig) -> None:
    config = replace(config, examples=20, held_out=5)
    run = replace(run_after(0, config), data=FileData("/some/folder", 0.2, "abc"), commands=("xo train", "later"))
    save_checkpoint(tmp_path / "a", run)
    assert_same(load_checkpoint(tmp_path / "a"), run)


def test_the_same_run_gives_the_same_bytes(path: Path) -> None:
    first, run = path.read_bytes(), load_checkpoint(path)
    at = run.checkpoint
    turned = replace(at, parameters=dict(reversed(list(at.parameters.items()))))
    for again in (run, replace(run, checkpoint=turned)):
        save_checkpoint(path, again)
        assert path.read_bytes() == first


def test_a_model_is_no_run_and_a_run_no_model(path: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    save_model(model, Model("n", MIXED, MIXED.initial_parameters(1)))
    assert "it holds a model, not a training run" in refused(model)
    with pytest.raises(FileError, match="it holds a training run that was interrupted, not a model"):
        load_model(path)
    rewrite(path, lambda description, _: description.update(kind=["run"]))
    assert "it holds something else" in refused(path)


def test_truncated_anywhere(path: Path) -> None:
    data = path.read_bytes()
    for length in range(0, len(data), 997):
        path.write_bytes(data[:length])
        refused(path)


def test_a_newer_version(path: Path) -> None:
    rewrite(path, lambda description, _: description.update(version=3, config="of another kind"))
    assert "newer version" in refused(path)


def test_a_large_sparse_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(257 << 20)
    assert "257 MiB, more than the 256 MiB" in refused(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimizer": {"kind": "adamw", "rate": -1}}, "learning rate must be"),
        ({"optimizer": {"kind": "os.system"}}, "optimizer must be one of sgd, adam, adamw"),
        ({"optimizer": {"kind": ["adam"]}}, "optimizer must be one of"),
        ({"optimizer": "adam"}, "optimizer must be one of"),
        ({"optimizer": {"kind": "adam", "speed": 1}}, "no optimizer setting called 'speed'"),
        ({"schedule": {"kind": "steps", "parts": 1}}, "at least 2 parts"),
        ({"data": {"size": [0.9, 0.3]}}, "must not start above its end"),
        ({"data": {"size": 0.3}}, "settings are invalid"),
        ({"data": []}, "must have names"),
        ({"batch": 0}, "batch of at least 1"),
        ({"batch": 1.5}, "settings are invalid"),
        ({"epochs": True}, "settings are invalid"),
        ({"colour": 1}, "no training setting called 'colour'"),
        ({"seed": -1}, "seed"),
    ],
    ids=str,
)
def test_configs_that_cannot_be(path: Path, changes: dict[str, Any], words: str) -> None:
    rewrite(path, lambda description, _: description["recipe"].update(changes))
    assert words in refused(path)


@pytest.mark.parametrize("config", [None, [], "fast"])
def test_no_config(path: Path, config: object) -> None:
    rewrite(path, lambda description, _: description.update(recipe=config))
    assert "has no recipe" in refused(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": -1},
        {"steps": 1.5},
        {"steps": 10**30},
        {"steps": None},
        {"seconds": -1},
        {"accuracy": 1.1},
        {"stale": "2"},
        {"judged": True},
        {"more": 1},
    ],
    ids=str,
)
def test_standings_that_cannot_be(path: Path, changes: dict[str, Any]) -> None:
    rewrite(path, lambda description, _: description["standing"].update(changes))
    assert "has an invalid entry 'standing'" in refused(path)


@pytest.mark.parametrize("name", ["seconds", "loss_sum", "best"])
def test_standings_at_no_numbers(path: Path, name: str) -> None:
    description, tensors = parts(path)
    description["standing"][name] = 12345678
    text = json.dumps(description).replace("12345678", "1e400")
    path.write_bytes(save(tensors, {KEY: text}))
    assert "1e400 in its header" in refused(path)


@pytest.mark.parametrize(
    "changes",
    [{"commands": "xo"}, {"commands": [1]}, {"commands": ["x" * 20_001]}, {"data": 1}, {"data": {"path": "a"}}],
    ids=lambda changes: next(iter(changes)),
)
def test_what_belongs_to_it_in_another_form(path: Path, changes: dict[str, Any]) -> None:
    rewrite(path, lambda description, _: description.update(changes))
    assert "has an invalid entry" in refused(path)


@pytest.mark.parametrize("group", ["parameters", "memory", "best"])
def test_tensors_that_are_missing_or_of_something_else(path: Path, group: str) -> None:
    _, whole = parts(path)
    name = next(name for name in whole if name.startswith(group) and name.endswith("dense-1.weight"))
    rewrite(path, lambda _, tensors: tensors.pop(name))
    assert f"values called {group} where its network needs" in refused(path)
    stranger = name.replace("dense-1", "dense-9")
    rewrite(path, lambda _, tensors: tensors.update({stranger: whole[name]}))
    assert "that its optimizer does not have" in refused(path) or "which is missing" in refused(path)
    rewrite(path, lambda _, tensors: tensors.update({name: tensors.pop(stranger).T.copy()}))
    assert "that its optimizer does not have" in refused(path) or "but it is" in refused(path)
    rewrite(path, lambda _, tensors: tensors.update({name: np.full_like(whole[name], np.nan)}))
    assert "not finite numbers" in refused(path)
    rewrite(path, lambda _, tensors: tensors.update({name: whole[name], "other.weight": whole[name]}))
    assert "which belongs to no run" in refused(path)


def test_a_network_too_large_for_its_weights_is_refused_before_it_is_laid_out(path: Path) -> None:
    def change(description: dict[str, Any], _: object) -> None:
        description["network"]["layers"][0]["features"] = 60_000
        description["network"]["layers"][3:4] = []

    rewrite(path, change)
    refused(path)


def test_what_could_not_be_opened_again_is_not_saved(path: Path) -> None:
    before, run = path.read_bytes(), load_checkpoint(path)
    spoilt = {name: np.full_like(values, np.nan) for name, values in run.checkpoint.optimizer_state.items()}
    large = Network(run.network.input_shape, run.network.layers, classes=("X", "O"))
    for bad in (
        replace(run, name=""),
        replace(run, checkpoint=replace(run.checkpoint, optimizer_state=spoilt)),
        replace(run, checkpoint=replace(run.checkpoint, loss_sum=float("nan"))),
        replace(run, network=large, checkpoint=replace(run.checkpoint, parameters={})),
    ):
        with pytest.raises(FileError, match="was not saved"):
            save_checkpoint(path, bad)
    assert path.read_bytes() == before


def test_the_old_file_outlives_a_failed_save(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="no room left"):
        save_checkpoint(path, run_after(1))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
