"""`xo train --project`: the run that is written is the one that was made, and the window's engine continues it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.cli.main import main
from engine.cli.recording import LAST_STEPS, keyframe_steps
from engine.documents import ProjectState, load_model
from engine.documents.project_file import load_project
from engine.nn import RunPoint
from engine.runtime import TrainingRequest
from engine.runtime.training_run import TrainingRun
from tests.engine.run_driver import following

SHORT = ("--examples", "60", "--epochs", "10", "--batch", "16", "--hold-out", "0.5", "--seed", "4")
STEPS, AN_EPOCH = 40, 4


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("recorded")
    model, project = folder / "a.safetensors", folder / "a.session"
    assert main(["train", *SHORT, "--out", str(model), "--project", str(project)]) == 0
    return model, project


@pytest.fixture(scope="module")
def project(files: tuple[Path, Path]) -> ProjectState:
    return load_project(files[1])


def kept(project: ProjectState) -> TrainingRequest:
    assert project.run is not None
    training_data = project.run.branch_origins[0].training_data
    model, at = project.document.models[0], project.shown_point
    return TrainingRequest(
        1, model, "kept", "", project.config, training_data.generated, shown_point=at, saved_run=project.run
    )


def test_the_model_of_the_project_is_the_one_that_was_written_and_the_last_point_of_its_run(
    files: tuple[Path, Path], project: ProjectState
) -> None:
    written, (model,) = load_model(files[0]), project.document.models
    assert project.run is not None
    assert project.live
    assert model.run_point == project.run.current_point == RunPoint(0, STEPS)
    for name, values in written.parameters.items():
        np.testing.assert_array_equal(model.parameters[name], values)
        np.testing.assert_array_equal(project.run.checkpoint.parameters[name], values)
    assert (model.threshold, dict(model.origin)) == (written.threshold, dict(written.origin))


def test_it_has_the_error_of_every_step_and_the_held_out_ones_of_every_epoch(project: ProjectState) -> None:
    assert project.run is not None
    curves = project.run.branches[0].branch.curves
    assert curves.steps.tolist() == list(range(1, STEPS + 1))
    assert curves.held_out_steps.tolist() == list(range(AN_EPOCH, STEPS + 1, AN_EPOCH))
    assert np.isfinite(curves.losses).all()


def test_the_last_steps_replayed_give_the_weights_that_were_written(project: ProjectState) -> None:
    assert project.run is not None
    (record,) = project.run.branches
    before = max(step for step in record.keyframes if step < STEPS)
    assert before == STEPS - LAST_STEPS
    # Without its last keyframe the end has to be made again.
    shorter = replace(record, keyframes={step: at for step, at in record.keyframes.items() if step < STEPS})
    run = replace(project.run, branches=(shorter,), current_point=RunPoint(0, before))
    request = replace(kept(project), saved_run=run, shown_point=RunPoint(0, STEPS))
    engine = TrainingRun(choose_backend("cpu"))
    assert following(engine, request).is_exact
    shown = engine.shown_parameters()
    assert shown is not None
    for name, values in project.document.models[0].parameters.items():
        np.testing.assert_array_equal(shown[name], values)


def test_training_continues_from_a_keyframe_on_the_drawings_of_the_run(project: ProjectState) -> None:
    engine, request = TrainingRun(choose_backend("cpu")), kept(project)
    report = following(engine, request)
    assert (report.state, report.stop_reason) == ("ended", "epochs")
    start = report.branches[0].keyframes[-2]
    more = replace(request, run_id=2, origin=RunPoint(0, start), running=True)
    after = following(engine, more)
    assert after.current_point == RunPoint(1, STEPS)
    shown = engine.shown_parameters()
    assert shown is not None
    np.testing.assert_array_equal(
        shown["conv2d-1.weight"], project.document.models[0].parameters["conv2d-1.weight"]
    )


def test_the_keyframes_are_dense_where_most_changes_and_fit_their_number() -> None:
    assert keyframe_steps(18_780, 7) == [94, 436, 2023, 9390, 18_760]
    assert keyframe_steps(5, 12)[0] >= 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--project", "a.safetensors"), "ends in .session"),
        (("--project", "missing/a.session"), "its folder does not exist"),
    ],
)
def test_a_project_that_cannot_be_written_is_said_before_training(
    words: tuple[str, ...], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["train", *SHORT, "--out", "a.safetensors", *words]) == 1
    assert sentence in capsys.readouterr().err


def test_the_whole_run_replayed_from_its_first_step_gives_the_weights_that_were_written(
    project: ProjectState,
) -> None:
    assert project.run is not None
    (record,) = project.run.branches
    shorter = replace(record, keyframes={0: record.keyframes[0]})
    run = replace(project.run, branches=(shorter,), current_point=RunPoint(0, 0))
    engine = TrainingRun(choose_backend("cpu"))
    assert following(engine, replace(kept(project), saved_run=run, shown_point=RunPoint(0, STEPS))).is_exact
    shown = engine.shown_parameters()
    assert shown is not None
    for name, values in project.document.models[0].parameters.items():
        np.testing.assert_array_equal(shown[name], values)
