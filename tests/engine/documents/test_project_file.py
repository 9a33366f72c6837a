"""Project files: round trips to the byte, error messages, and resumed training."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.data import LabelledSample, PoolSettings
from engine.data.xo import XOSettings
from engine.documents import Document, ProjectState, read_project_summary, save_project
from engine.documents.project_file import load_project
from engine.drawings import Drawing, DrawingTransform, Stroke
from engine.formats import FileError
from engine.nn import Model, Network, RunPoint
from engine.nn.layers import BatchNorm2D, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from engine.runtime import TrainingRequest
from engine.runtime.training_run import TrainingRun
from engine.training import SGD, Checkpoint, SavedRun, SaveThrottle, TrainingConfig
from engine.training.optimizers import Adam
from tests.conftest import Effort
from tests.engine.formats.mutants import mutants
from tests.engine.run_driver import following
from tests.samples import drawing_sample

CPU = choose_backend("cpu")
NETWORK = Network(
    (1, 8, 8),
    (Conv2D(2, 3, padding=1), BatchNorm2D(), ReLU(), MaxPool2D(), Flatten(), Dropout(0.2), Dense(2)),
    classes=("X", "O"),
)
RNG = np.random.default_rng(3)


def stroke(erase: bool = False, grid: int = 0) -> Stroke:
    return Stroke(RNG.random((5, 3)).astype(np.float32) * 0.5, erase, grid)


OWN = tuple(
    LabelledSample(drawing_sample(Drawing((stroke(),))), label, weight)
    for label, weight in (("X", 1), ("neither", 3))
)
SUBJECT = Model("Small", NETWORK, NETWORK.initial_parameters(9), 0.7, {"command": "xo train"})
DRAWING = Drawing(
    (stroke(), stroke(erase=True), stroke(grid=9)),
    np.clip(RNG.normal(size=(3, 5)), -1, 1).astype(np.float32),
    DrawingTransform(0.1, -0.2, 1.5, 30, 0.2, 0.01, invert=True, crop=(0.2, 0.25, 0.7, 0.5)),
)
DATA = PoolSettings(XOSettings(side=8, size=(0.6, 1.0)), 40, 12, seed=3)
CONFIG = TrainingConfig(Adam(0.01), batch=10, epochs=100, seed=5)
GOAL = TrainingRequest(1, SUBJECT, "fresh", "first", CONFIG, DATA, OWN[:1])


def trained(budget: int = 2**20) -> tuple[TrainingRun, TrainingRequest, SavedRun]:
    """A run with two branches, settings changed during training, other examples on the second, and patience."""
    run = TrainingRun(CPU, save_throttle=SaveThrottle(0.0, budget))
    following(run, replace(GOAL, running=True, stop_at_step=9))
    faster = replace(CONFIG, optimizer=SGD(0.05, 0.9), patience=50)
    following(run, replace(GOAL, config=faster, running=True, stop_at_step=14))
    request = replace(
        GOAL,
        run_id=2,
        origin=RunPoint(0, 6),
        branch_name="second",
        config=faster,
        labelled_samples=OWN,
        running=True,
        stop_at_step=17,
    )
    kept = following(run, request).saved_run
    assert kept is not None
    return run, request, kept


def work_of(kept: SavedRun | None) -> ProjectState:
    document = Document(drawing_sample(DRAWING), (replace(SUBJECT, run_point=RunPoint(1, 17)),), True, OWN)
    return ProjectState(document, CONFIG, DATA, kept, 5.0, RunPoint(0, 3), {0: "mine"}, True, 1234.5, True)


def assert_same_drawing(found: Drawing, expected: Drawing) -> None:
    assert found.transform == expected.transform
    assert [(each.erase, each.grid) for each in found.strokes] == [(e.erase, e.grid) for e in expected.strokes]
    for one, other in zip(found.strokes, expected.strokes, strict=True):
        np.testing.assert_array_equal(one.points, other.points)
    if expected.image is None:
        assert found.image is None
    else:
        np.testing.assert_array_equal(found.image, expected.image)


def test_the_document_comes_back(tmp_path: Path) -> None:
    path, work = tmp_path / "a.session", work_of(None)
    save_project(path, replace(work, shown_point=None))
    found = load_project(path)
    assert_same_drawing(found.document.input.source, DRAWING)
    model = found.document.models[0]
    assert (model.name, model.network, model.threshold) == ("Small", NETWORK, 0.7)
    assert (model.origin, model.run_point) == ({"command": "xo train"}, RunPoint(1, 17))
    for name, values in SUBJECT.parameters.items():
        np.testing.assert_array_equal(model.parameters[name], values)
    assert [(each.label, each.weight) for each in found.document.labelled_samples] == [("X", 1), ("neither", 3)]
    assert_same_drawing(found.document.labelled_samples[1].sample.source, OWN[1].sample.source)
    assert (found.document.fit_to_frame, found.config, found.data, found.speed_limit) == (True, CONFIG, DATA, 5.0)
    assert (found.branch_names, found.live, found.saved_at, found.was_running) == ({0: "mine"}, True, 1234.5, True)
    assert found.run is None


@pytest.mark.parametrize("budget", [1, 2**20])
def test_training_goes_on_to_the_same_bytes_and_every_moment_can_be_gone_back_to(
    tmp_path: Path, budget: int
) -> None:
    run, request, kept = trained(budget)
    path = tmp_path / "a.session"
    save_project(path, work_of(kept))
    found = load_project(path).run
    assert found is not None
    frames = sum(len(line.keyframes) for line in found.branches)
    assert frames == (3 if budget == 1 else 15 + 12)
    again = TrainingRun(CPU)
    back = replace(
        request,
        run_id=1,
        origin="kept",
        saved_run=found,
        labelled_samples=found.branch_origins[1].training_data.labelled_samples,
        running=False,
    )
    report = following(again, back)
    assert report.current_point == RunPoint(1, 17)
    was = run.report()
    assert was is not None
    for branch, expected in zip(report.branches, was.branches, strict=True):
        assert (branch.name, branch.parent, branch.start, branch.end, branch.marks) == (
            expected.name, expected.parent, expected.start, expected.end, expected.marks,
        )  # fmt: skip
        for one, other in zip(vars(branch.curves).values(), vars(expected.curves).values(), strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
    for look in (RunPoint(0, 3), RunPoint(0, 12), RunPoint(1, 2), RunPoint(1, 11)):
        for each, wish in ((run, replace(request, shown_point=look)), (again, replace(back, shown_point=look))):
            assert following(each, wish).is_exact
        assert_same(again.shown_parameters(), run.shown_parameters())
    following(run, replace(request, stop_at_step=31))
    following(again, replace(back, running=True, stop_at_step=31))
    assert_same(again.shown_parameters(), run.shown_parameters())
    # A branch wished for before the engine has heard of the restoring.
    later, branch = TrainingRun(CPU), {"run_id": 3, "origin": RunPoint(0, 8), "running": True, "stop_at_step": 12}
    following(later, replace(back, **branch))
    following(run, replace(request, **branch))
    assert_same(later.shown_parameters(), run.shown_parameters())


def test_nothing_of_a_keyframe_is_forgotten(tmp_path: Path) -> None:
    """Each with values of its own, that no new run has."""
    *_, kept = trained()
    branches = []
    for record in kept.branches:
        keyframes = {}
        for number, (step, at) in enumerate(record.keyframes.items(), 1):
            best = at.best_parameters and {name: values + number for name, values in at.parameters.items()}
            standing = (number / 4, number / 8, number, 1 / (number + 1), number / 16, number + 2)
            keyframes[step] = Checkpoint(at.parameters, at.optimizer_state, step, *standing, best)
        branches.append(replace(record, keyframes=keyframes))
    save_project(tmp_path / "a.session", work_of(replace(kept, branches=tuple(branches))))
    found = load_project(tmp_path / "a.session").run
    assert found is not None
    assert any(at.best_parameters for record in branches for at in record.keyframes.values())
    for record, expected in zip(found.branches, branches, strict=True):
        assert record.keyframes.keys() == expected.keyframes.keys()
        for step, at in expected.keyframes.items():
            for name, value in vars(at).items():
                other = getattr(record.keyframes[step], name)
                if isinstance(value, dict):
                    assert_same(other, {key: np.float32(array) for key, array in value.items()})
                else:
                    assert other == value, (step, name)


def assert_same(found: object, expected: object) -> None:
    assert isinstance(found, dict)
    assert isinstance(expected, dict)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_the_header_alone_says_what_it_is_about(tmp_path: Path) -> None:
    path = tmp_path / "a.session"
    save_project(path, work_of(trained()[2]))
    digest = read_project_summary(path)
    assert (digest.saved_at, digest.step, digest.was_running, digest.was_closed) == (1234.5, 17, True, False)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(FileError, match=r"^[^\n]*a\.session cannot be restored: it [^\n]*\.$"):
        read_project_summary(path)


def test_the_same_work_is_the_same_bytes(tmp_path: Path) -> None:
    work = work_of(trained()[2])
    for name in ("a", "b"):
        save_project(tmp_path / name, work)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def with_checksum(data: bytes) -> bytes:
    """Repairs the checksum in the header, if the header can be parsed."""
    try:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        told = json.loads(header["__metadata__"]["xo-gui"])
        told["checksum"] = zlib.crc32(data[8 + length :])
        header["__metadata__"]["xo-gui"] = json.dumps(told)
        text = json.dumps(header).encode()
    except (ValueError, LookupError, TypeError, AttributeError):
        return data
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def refused(path: Path) -> str:
    """The error message; "" if the file opens."""
    try:
        load_project(path)
    except FileError as error:
        return str(error)
    return ""


def test_a_damaged_file_is_one_sentence(tmp_path: Path, effort: Effort) -> None:
    path = tmp_path / "a.session"
    save_project(path, work_of(trained(1)[2]))
    data = path.read_bytes()
    opened = 0
    for mutant in mutants(data, effort(1_000, 100_000), 7, with_checksum):
        path.write_bytes(mutant)
        refusal = refused(path)
        opened += not refusal
        assert not refusal or ("\n" not in refusal and refusal.endswith("."))
    assert opened < effort(1_000, 100_000) // 2


def test_a_flipped_bit_of_a_weight_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.session"
    save_project(path, replace(work_of(None), shown_point=None))
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(FileError, match="checksum"):
        load_project(path)
