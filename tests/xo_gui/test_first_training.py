"""What is seen of the first training: with the window's own settings the error falls from the first steps on."""

from __future__ import annotations

from dataclasses import replace

from engine.backends import choose_backend, one_blas_thread
from engine.data import FixedSource
from engine.data.xo import XOSettings, generate_dataset
from engine.documents import preset
from engine.training import StepDone, Trainer
from tests.conftest import Effort
from xo_gui.state.training_state import DEFAULT_CONFIG

BATCHES, STEPS, EPOCH = 52, 50, 250  # an epoch of the window has 250 steps


def first_losses(seed: int) -> list[float]:
    """The loss of each of the first steps on generated drawings."""
    config = replace(DEFAULT_CONFIG, seed=seed, epochs=DEFAULT_CONFIG.epochs * EPOCH // BATCHES)
    examples = generate_dataset(XOSettings(neither=0.25), BATCHES * config.batch, [seed, 1])
    trainer = Trainer(preset("default").network, FixedSource(examples), config, choose_backend("cpu"))
    losses: list[float] = []
    with one_blas_thread():
        for event in trainer.iter_slices():
            if isinstance(event, StepDone):
                losses.append(event.loss)
            if len(losses) == STEPS:
                break
    return losses


def test_the_error_never_shoots_up_in_the_first_steps(effort: Effort) -> None:
    for seed in range(1, 1 + effort(3, 20)):
        losses = first_losses(seed)
        assert max(losses) <= 1.5 * losses[0], f"seed {seed}"
        assert sum(losses[-10:]) / 10 < losses[0], f"seed {seed}"
