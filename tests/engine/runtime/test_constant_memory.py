"""Memory during long training stays constant but for the curves: keyframes are thinned, reports are released."""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import replace

import pytest

from engine.data import PoolSettings
from engine.data.xo import XOSettings
from engine.documents import Document
from engine.nn import Model, Network
from engine.nn.layers import Dense, Flatten
from engine.runtime import Request, Runner, TrainingRequest
from engine.training import TrainingConfig
from engine.training.optimizers import Adam
from tests.conftest import Effort

NETWORK = Network((1, 8, 8), (Flatten(), Dense(2)), classes=("X", "O"))
DATA = PoolSettings(XOSettings(side=8, size=(0.6, 1.0)), 40, 12)
# Per step of the curves: its number, loss and rate, in arrays that double while the old one is still referenced.
CURVE_BYTES = 16 * 4
SLACK = 6 * 2**20


def resident() -> int:
    """The resident memory of this process, in bytes."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted otherwise there")
def test_memory_is_flat_while_it_trains(effort: Effort) -> None:
    model = Model("Tiny", NETWORK, NETWORK.initial_parameters(1))
    goal = TrainingRequest(
        1, model, "fresh", "start 1", TrainingConfig(Adam(1e-4), batch=20, epochs=10**6), DATA, running=True
    )
    request = Request(1, Document.blank(model), training=goal, live=True)
    runner = Runner("cpu", save_interval=0.1)

    def train_to(step: int) -> None:
        """As the engine thread does, with a picture now and then."""
        made, wanted = 0, replace(request, training=replace(goal, stop_at_step=step))
        while made < step:
            training = runner.compute(wanted).training
            assert training is not None
            made = training.current_point.step
            runner.run_for(0.02)

    train_to(effort(5_000, 20_000))
    before = resident()
    train_to(effort(10_000, 100_000))
    grown = resident() - before
    allowed = SLACK + effort(5_000, 80_000) * CURVE_BYTES
    print(f"{grown / 2**20:+.1f} MiB in {effort(5_000, 80_000):,} steps")
    assert grown < allowed
