"""Files saved by version 0.1 (commit 5ec0355) open, and training goes on from them.

The folder `saved_by_0_1` holds one file of each kind, written by that commit, and `continued.npz`: the weights that
the two interrupted runs reach when they go on, so that a change in the meaning of a format is noticed too. They
were those that the commit reached until the generator drew other pictures, with which they were made anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from engine.backends import choose_backend
from engine.data.xo import XOSettings
from engine.documents import load_checkpoint, load_model
from engine.documents.project_file import load_project
from engine.nn import RunPoint
from engine.runtime import TrainingRequest
from engine.runtime.training_run import TrainingRun
from engine.training import SGD, AdamW, Cosine, Trainer
from tests.engine.small_runs import MIXED, generated_source

SAVED = Path(__file__).with_name("saved_by_0_1")
CPU = choose_backend("cpu")


@pytest.fixture(scope="module")
def continued() -> Mapping[str, np.ndarray]:
    """Weights that the runs reach, `session.` or `checkpoint.` before each name."""
    with np.load(SAVED / "continued.npz") as archive:
        return dict(archive)


# Version 0.1 named layers by their position.
NAMES = {
    "01-conv2d": "conv2d-1", "02-batchnorm2d": "batchnorm2d-1", "04-residual.1-conv2d": "residual-1.conv2d-1",
    "04-residual.2-batchnorm2d": "residual-1.batchnorm2d-1", "07-dense": "dense-1", "08-dense": "dense-1",
}  # fmt: skip


def assert_close(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], run: str) -> None:
    """Equal within what another processor's order of additions may change."""
    wanted = {}
    for name, values in expected.items():
        if name.startswith(run):
            layer, _, part = name.removeprefix(run).rpartition(".")
            wanted[f"{NAMES[layer]}.{part}"] = values
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-3, atol=1e-5, err_msg=name)


def test_model_opens() -> None:
    model = load_model(SAVED / "model.safetensors")
    assert (model.name, model.network, model.threshold) == ("Mixed — 1", MIXED, 0.8)
    assert model.origin == {"command": "xo train --seed 4"}
    stored = {}
    for name, values in load_file(SAVED / "model.safetensors").items():
        layer, _, part = name.rpartition(".")
        stored[f"{NAMES[layer]}.{part}"] = values
    assert model.parameters.keys() == stored.keys()
    for name, values in stored.items():
        np.testing.assert_array_equal(model.parameters[name], values)


def test_checkpoint_opens_and_training_goes_on(continued: Mapping[str, np.ndarray]) -> None:
    run = load_checkpoint(SAVED / "run.checkpoint")
    config = run.config
    assert (run.network, run.commands) == (MIXED, ("xo train --seed 4",))
    assert (config.optimizer, config.schedule) == (AdamW(0.01, decay=0.1), Cosine(0.1, warmup=0.2))
    assert (config.batch, config.epochs, config.frozen, config.patience) == (16, 3, ("residual-1",), 5)
    assert isinstance(config.data, XOSettings)
    source = generated_source(config)
    trainer = Trainer(MIXED, source, config, CPU, None, source.held_out(config.held_out), run.checkpoint)
    for _ in trainer.run():
        pass
    assert_close(trainer.parameters(), continued, "checkpoint.")


def test_session_opens_and_training_goes_on(continued: Mapping[str, np.ndarray]) -> None:
    work = load_project(SAVED / "project.session")
    (model,) = work.document.models
    assert (model.name, model.run_point, work.branch_names) == ("Small", RunPoint(1, 17), {0: "mine"})
    assert [(own.label, own.weight) for own in work.document.labelled_samples] == [("X", 1), ("neither", 3)]
    assert len(work.document.input.source.strokes) == 3
    kept = work.run
    assert kept is not None
    assert [line.branch.name for line in kept.branches][-1] == "second"
    run = TrainingRun(CPU)
    config = replace(work.config, optimizer=SGD(0.05, 0.9), patience=50)
    run.set_request(
        TrainingRequest(
            1,
            model,
            "kept",
            "second",
            config,
            work.data,
            kept.branch_origins[1].training_data.labelled_samples,
            True,
            31,
            saved_run=kept,
        )
    )
    while run.busy:
        run.advance()
    assert_close(run.shown_parameters(), continued, "session.")


def test_a_session_whose_inputs_say_no_kind_holds_drawings() -> None:
    document = load_project(Path(__file__).with_name("saved_before_kinds") / "project.session").document
    samples = [document.input, *(labelled.sample for labelled in document.labelled_samples)]
    assert [sample.kind.name for sample in samples] == ["xo"] * 3
    assert [len(sample.source.strokes) for sample in samples] == [2, 1, 0]
    assert (document.input.source.transform.rotate, document.fit_to_frame) == (30, True)
    np.testing.assert_array_equal(document.input.source.image, np.linspace(-1, 1, 12).reshape(3, 4).astype("f4"))
    np.testing.assert_array_equal(samples[2].source.image, document.input.source.image)
