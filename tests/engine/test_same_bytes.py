"""A run in the window and `xo train --fixed` with the same settings give the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.backends import choose_backend, one_blas_thread
from engine.cli.main import main
from engine.data import PoolSettings
from engine.data.xo import XOSettings
from engine.documents import DEFAULT, load_model
from engine.nn import Model
from engine.runtime import TrainingRequest
from engine.runtime.training_run import TrainingRun
from engine.training import SGD, AdamW, Cosine, TrainingConfig
from engine.training.config import StepDecay

# Counts that a pool generates in several slices, the last one short, and a batch that does not divide them.
DATA = PoolSettings(XOSettings(side=48, neither=0.3), 230, 120, seed=4)
COUNTS = ("--examples", "230", "--hold-out", repr(120 / 230))
WORDS = ("--seed", "3", "--data-seed", "4", "--fixed", *COUNTS, "--device", "cpu")


def in_slices(config: TrainingConfig) -> dict[str, np.ndarray]:
    """The result of a training run of the window when its configuration ends it."""
    model = Model("Default", DEFAULT.network, DEFAULT.network.initial_parameters(8))
    run = TrainingRun(choose_backend("cpu"))
    with one_blas_thread():
        run.set_request(TrainingRequest(1, model, "fresh", "first", config, DATA, running=True))
        while run.busy:
            run.advance()
    report = run.report()
    assert report is not None
    assert report.state == "ended"
    parameters = run.shown_parameters()
    assert parameters is not None
    return dict(parameters)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            TrainingConfig(AdamW(0.003, decay=0.02), Cosine(0.05), epochs=120, steps=7, seed=3),
            ("--optimizer", "adamw:rate=0.003,decay=0.02", "--schedule", "cosine:final=0.05", "--steps", "7"),
        ),
        (
            TrainingConfig(SGD(0.05, 0.5, True), StepDecay(2), 50, 2, 0.01, 1.5, ("conv2d-1",), patience=9, seed=3),
            (
                *("--optimizer", "sgd:rate=0.05,momentum=0.5,nesterov=yes", "--schedule", "steps:parts=2"),
                *("--batch", "50", "--epochs", "2", "--l2", "0.01", "--clip", "1.5", "--freeze", "conv2d-1"),
                *("--patience", "9"),
            ),
        ),
    ],
    ids=["stopped after steps", "every setting"],
)
def test_in_slices_or_in_one_go(tmp_path: Path, config: TrainingConfig, words: tuple[str, ...]) -> None:
    out = tmp_path / "a.safetensors"
    assert main(["train", "--out", str(out), *WORDS, *words]) == 0
    written = load_model(out).parameters
    for name, values in in_slices(config).items():
        assert values.tobytes() == written[name].tobytes(), name
