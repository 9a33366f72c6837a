"""A paused and resumed run gives the same bytes as one that never stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from engine.nn import Network
from engine.nn.layers import ShapeError
from engine.training import SGD, AdamW, Checkpoint, Cosine, Evaluated, StepDone, Trainer, TrainingConfig
from engine.training.optimizers import Adam
from tests.engine.small_runs import CPU, DATA, MIXED, SLICEABLE, SMALL, digest, generated_source

# Two epochs of three batches, the last of each shorter, each followed by a judgement: eight events.
BASE = TrainingConfig(Adam(0.01), Cosine(0.1), batch=16, epochs=2, examples=40, data=DATA, seed=4)
RUNS = {
    "everything": (MIXED, replace(BASE, clip=1.0, l2=0.01)),
    "momentum": (MIXED, replace(BASE, optimizer=SGD(0.05, 0.9, nesterov=True))),
    "frozen": (MIXED, replace(BASE, optimizer=AdamW(0.01, decay=0.1), frozen=("batchnorm2d-1", "residual-1"))),
    "cut into chunks": (SLICEABLE, replace(BASE, optimizer=SGD(0.05))),
    "patience": (SMALL, replace(BASE, optimizer=SGD(0.3), epochs=12, patience=2, seed=6)),
}


def begin(network: Network, config: TrainingConfig, checkpoint: Checkpoint | None = None) -> Trainer:
    source = generated_source(config)
    return Trainer(network, source, config, CPU, None, source.held_out(30), checkpoint)


def told(event: StepDone | Evaluated) -> tuple[object, ...]:
    """All fields of an event, to compare two runs."""
    if isinstance(event, StepDone):
        return "step", event.number, event.epoch, event.loss, event.mean_loss, event.rate
    judgement = event.evaluation
    return "judged", event.number, event.epoch, judgement.metrics.loss, judgement.scores.tobytes()


def state(trainer: Trainer) -> tuple[object, ...]:
    """The state of a run without its time."""
    at = trainer.checkpoint()
    best = None if at.best_parameters is None else digest(at.best_parameters)
    kept = (
        at.steps,
        at.loss_sum,
        at.evaluated_epochs,
        np.float64(at.accuracy).tobytes(),
        at.best_loss,
        at.epochs_since_best,
        best,
    )
    return (
        digest(at.parameters),
        digest(at.optimizer_state),
        digest(trainer.final_parameters()),
        trainer.stop_reason,
        *kept,
    )


@pytest.fixture(autouse=True)
def a_small_cache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "cut into chunks" in request.node.name:
        monkeypatch.setattr("engine.training.train_step.CACHE_BYTES", 30_000)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_goes_on_after_any_event_as_if_it_had_never_stopped(name: str) -> None:
    straight = begin(*RUNS[name])
    events = [told(event) for event in straight.run()]
    assert any(event[0] == "judged" for event in events)
    if name == "patience":
        assert straight.stop_reason == "patience"
    for pause in range(len(events) + 1):
        paused = begin(*RUNS[name])
        told_so_far = [told(event) for event in islice(paused.run(), pause)]
        resumed = begin(*RUNS[name], paused.checkpoint())
        assert told_so_far + [told(event) for event in resumed.run()] == events, pause
        assert state(resumed) == state(straight), pause


@pytest.mark.parametrize("name", RUNS)
def test_steps_may_be_left_and_asked_for_again(name: str) -> None:
    straight, events = begin(*RUNS[name]), []
    wanted = [told(event) for event in straight.run()]
    broken = begin(*RUNS[name])
    while broken.stop_reason is None:
        for event in broken.run():
            events.append(told(event))
            break
    assert events == wanted
    assert state(broken) == state(straight)


def test_a_judgement_left_halfway_is_made_again() -> None:
    network, config = RUNS["cut into chunks"]
    straight = [told(event) for event in begin(network, config).run()]
    trainer, events = begin(network, config), []
    for piece in trainer.iter_slices():
        if piece is not None:
            events.append(told(piece))
        elif trainer.is_evaluation_due:
            break
    resumed = begin(network, config, trainer.checkpoint())
    assert events + [told(event) for event in resumed.run()] == straight


def test_a_run_that_has_ended_stays_ended_until_its_condition_is_lifted() -> None:
    network, config = RUNS["patience"]
    ended = begin(network, config)
    wanted = len([None for _ in ended.run()])
    again = begin(network, config, ended.checkpoint())
    assert (list(again.run()), again.stop_reason) == ([], "patience")
    longer = begin(network, replace(config, patience=None), ended.checkpoint())
    assert wanted + len(list(longer.run())) == 12 * 4
    assert longer.stop_reason == "epochs"


@pytest.mark.parametrize("spoil", ["parameters", "optimizer_state"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_checkpoint_with_values_that_are_no_numbers_is_refused(spoil: str, value: float) -> None:
    network, config = RUNS["momentum"]
    at = begin(network, config).checkpoint()
    values = getattr(at, spoil)
    name = next(name for name in values if name.endswith("conv2d-1.weight"))
    spoilt = replace(at, **{spoil: values | {name: np.full_like(values[name], value)}})
    with pytest.raises(ValueError, match="not finite numbers"):
        begin(network, config, spoilt)


def test_a_checkpoint_of_another_network_or_optimizer_is_refused() -> None:
    at = begin(*RUNS["momentum"]).checkpoint()
    with pytest.raises(ShapeError, match="another network or optimizer"):
        begin(*RUNS["everything"], at)
    with pytest.raises(ShapeError, match=r"needs conv2d-1\.weight"):
        begin(*RUNS["patience"], at)


# --- the same seed, the same bytes

SAME_BYTES = """
import os
if {threads} == 1 and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, set(list(os.sched_getaffinity(0))[:1]))
import engine.training.train_step
from dataclasses import replace
from engine.backends.backend import one_blas_thread
from engine.training.optimizers import Adam
from tests.engine.small_runs import *
recipe = TrainingConfig(Adam(0.01), batch=16, epochs=1, examples=32, data=DATA, seed={seed})
wide = Network((1, 12, 12), (Flatten(), Dense(300), ReLU(), Dense(300), ReLU(), Dense(2)), ("X", "O"))
with one_blas_thread():
    print(*(digest(train_to_end(recipe, network).parameters()) for network in (MIXED, wide)))
    engine.training.train_step.CACHE_BYTES = 30_000
    print(digest(train_to_end(recipe, SLICEABLE).parameters()))
"""


def in_fresh_processes(seeds: Sequence[int], threads: Sequence[int]) -> list[str]:
    """The results of runs in new processes whose matrix products may use so many threads; with one, the process is
    restricted to one core too."""

    def run(seed: int, count: int) -> str:
        offered = {f"{library}_NUM_THREADS": str(count) for library in ("OPENBLAS", "MKL", "OMP", "VECLIB_MAXIMUM")}
        command = [sys.executable, "-c", SAME_BYTES.format(seed=seed, threads=count)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | offered)
        assert done.returncode == 0, done.stderr
        return done.stdout

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, seeds, threads))


def test_the_same_seed_gives_the_same_bytes_in_ten_fresh_processes() -> None:
    """With one core and thread, and with two."""
    found = in_fresh_processes([3] * 10 + [4], [1, 2] * 5 + [1])
    assert len(set(found[:10])) == 1
    assert not set(found[10].split()) & set(found[0].split())


@pytest.mark.parametrize("name", sorted(RUNS))
def test_a_run_left_between_any_two_calls_comes_to_the_same_bytes(name: str) -> None:
    network, config = RUNS[name]
    whole, sliced = begin(network, config), begin_in_slices(network, config)
    assert [told(event) for event in sliced.run()] == [told(event) for event in whole.run()]
    assert state(sliced) == state(whole)


def test_between_the_pieces_of_a_step_nothing_has_changed_and_it_may_be_begun_again() -> None:
    network, config = RUNS["momentum"]
    whole, sliced = begin(network, config), begin_in_slices(network, config)
    next(whole.run())
    before, pieces = state(sliced), 0
    for event in sliced.iter_slices():
        if event is not None:
            break
        pieces += 1
        assert state(sliced) == before
        if pieces == 5:
            break
    assert pieces == 5
    next(sliced.run())
    assert state(sliced) == state(whole)


def begin_in_slices(network: Network, config: TrainingConfig) -> Trainer:
    """A run that is interrupted after every slice."""
    source = generated_source(config)
    return Trainer(network, source, config, CPU, None, source.held_out(30), slice_seconds=0.0)
