"""The recorded training of the shipped network: its last steps, made again, give the shipped weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.backends import choose_backend, one_blas_thread
from engine.data import GeneratedSource
from engine.documents import DEFAULT, ProjectState, shipped_model, shipped_run
from engine.formats import MEBIBYTE
from engine.installation import asset_path
from engine.nn import RunPoint
from engine.training import BranchRecord, Trainer, without_stop_conditions

TOLERANCE = 1e-4  # on another machine, whose sums are rounded otherwise


@pytest.fixture(scope="module")
def recorded() -> ProjectState:
    found = shipped_run("default")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def record(recorded: ProjectState) -> BranchRecord:
    assert recorded.run is not None
    (record,) = recorded.run.branches
    return record


def test_the_shipped_weights_are_its_last_point(recorded: ProjectState, record: BranchRecord) -> None:
    shipped, model = shipped_model("default"), recorded.document.models[0]
    assert recorded.run is not None
    assert (model.name, model.network, model.threshold) == (shipped.name, shipped.network, shipped.threshold)
    assert model.network == DEFAULT.network
    assert recorded.config == DEFAULT.config
    assert model.run_point == recorded.run.current_point == RunPoint(0, record.branch.end)
    for name, values in shipped.parameters.items():
        np.testing.assert_array_equal(model.parameters[name], values)
        np.testing.assert_array_equal(recorded.run.checkpoint.parameters[name], values)


def test_its_last_steps_made_again_give_the_shipped_weights(recorded: ProjectState, record: BranchRecord) -> None:
    assert recorded.run is not None
    data, end = recorded.run.branch_origins[0].training_data.generated, record.branch.end
    assert data.fresh
    start = record.keyframes[max(step for step in record.keyframes if step < end)]
    source = GeneratedSource(data.generator, data.count, data.seed)
    config = without_stop_conditions(recorded.config)
    trainer = Trainer(DEFAULT.network, source, config, choose_backend("cpu"), resume_from=start)
    with one_blas_thread():
        for _ in trainer.run():
            pass
    assert trainer.steps_made == end
    for name, values in shipped_model("default").parameters.items():
        np.testing.assert_allclose(trainer.parameters()[name], values, rtol=0, atol=TOLERANCE)


def test_its_curves_are_those_of_every_step_and_its_error_falls(record: BranchRecord) -> None:
    curves = record.branch.curves
    assert curves.steps.tolist() == list(range(1, record.branch.end + 1))
    assert DEFAULT.config is not None
    assert len(curves.held_out_steps) == DEFAULT.config.epochs
    assert curves.losses[-100:].mean() < 0.8 * curves.losses[:100].mean()
    assert curves.held_out_accuracies[-1] > 0.95


def test_all_assets_together_stay_small() -> None:
    folder = asset_path("default.safetensors").parent
    assert sum(each.stat().st_size for each in Path(folder).rglob("*") if each.is_file()) <= 8 * MEBIBYTE
    assert asset_path("default.session").stat().st_size <= 3 * MEBIBYTE


def test_a_network_without_a_recorded_training_has_none() -> None:
    assert shipped_run("walkthrough") is None


def test_a_recorded_training_of_other_weights_is_not_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(shipped_model("default"), parameters=DEFAULT.network.initial_parameters(1))
    monkeypatch.setattr("engine.documents.project_file.shipped_model", lambda _: other)
    assert shipped_run.__wrapped__("default") is None
