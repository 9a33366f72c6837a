"""Project files: round trips to the byte, error messages, and resumed training."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.backends.backend import choose_backend
from engine.data.labelled_drawings import OwnDrawing
from engine.data.pool import PoolSettings
from engine.data.xo.settings import XOSettings
from engine.documents.document import Document
from engine.documents.project_file import Work, load_session, save_session, session_digest
from engine.drawings.drawing import Drawing, Stroke, Transform
from engine.formats.atomic_file import StorageError
from engine.nn.layers import BatchNorm2D, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from engine.nn.model import Moment, Subject
from engine.nn.network import Network
from engine.runtime.training_protocol import Goal, Training
from engine.runtime.training_run import Run
from engine.training.history import HandOver, KeptRun
from engine.training.optimizers import SGD, Adam
from engine.training.recipe import Recipe
from tests.conftest import Effort
from tests.engine.formats.mutants import mutants

CPU = choose_backend("cpu")
NETWORK = Network(
    (1, 8, 8), (Conv2D(2, 3, padding=1), BatchNorm2D(), ReLU(), MaxPool2D(), Flatten(), Dropout(0.2), Dense(2))
)
RNG = np.random.default_rng(3)


def stroke(erase: bool = False, grid: int = 0) -> Stroke:
    return Stroke(RNG.random((5, 3)).astype(np.float32) * 0.5, erase, grid)


OWN = tuple(OwnDrawing(Drawing((stroke(),)), label, weight) for label, weight in (("X", 1), ("neither", 3)))
SUBJECT = Subject("Small", NETWORK, NETWORK.initial(9), 0.7, {"command": "xo train"})
DRAWING = Drawing(
    (stroke(), stroke(erase=True), stroke(grid=9)),
    np.clip(RNG.normal(size=(3, 5)), -1, 1).astype(np.float32),
    Transform(0.1, -0.2, 1.5, 30, 0.2, 0.01),
)
DATA = PoolSettings(XOSettings(side=8, size=(0.6, 1.0)), 40, 12, seed=3)
RECIPE = Recipe(Adam(0.01), batch=10, epochs=100, seed=5)
GOAL = Goal(1, SUBJECT, "fresh", "first", RECIPE, DATA, OWN[:1])


def following(run: Run, goal: Goal) -> Training:
    """Follows a request until the run is idle; returns its report."""
    run.follow(goal)
    while run.busy:
        run.work(0.01)
    report = run.report()
    assert report is not None
    return report


def trained(budget: int = 2**20) -> tuple[Run, Goal, KeptRun]:
    """A run with two branches, a recipe changed during training, other examples on the second, and patience."""
    run = Run(CPU, hand_over=HandOver(0.0, budget))
    following(run, replace(GOAL, running=True, until=9))
    faster = replace(RECIPE, optimizer=SGD(0.05, 0.9), patience=50)
    following(run, replace(GOAL, recipe=faster, running=True, until=14))
    goal = replace(
        GOAL, number=2, origin=Moment(0, 6), name="second", recipe=faster, own=OWN, running=True, until=17
    )
    kept = following(run, goal).kept
    assert kept is not None
    return run, goal, kept


def work_of(kept: KeptRun | None) -> Work:
    document = Document(DRAWING, (replace(SUBJECT, moment=Moment(1, 17)),), True, OWN)
    return Work(document, RECIPE, DATA, kept, 5.0, Moment(0, 3), {0: "mine"}, True, 1234.5, True)


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
    save_session(path, replace(work, look=None))
    found = load_session(path)
    assert_same_drawing(found.document.drawing, DRAWING)
    subject = found.document.subjects[0]
    assert (subject.name, subject.network, subject.threshold) == ("Small", NETWORK, 0.7)
    assert (subject.origin, subject.moment) == ({"command": "xo train"}, Moment(1, 17))
    for name, values in SUBJECT.parameters.items():
        np.testing.assert_array_equal(subject.parameters[name], values)
    assert [(each.label, each.weight) for each in found.document.own] == [("X", 1), ("neither", 3)]
    assert_same_drawing(found.document.own[1].drawing, OWN[1].drawing)
    assert (found.document.fit, found.recipe, found.data, found.pace) == (True, RECIPE, DATA, 5.0)
    assert (found.names, found.live, found.saved, found.running) == ({0: "mine"}, True, 1234.5, True)
    assert found.run is None


@pytest.mark.parametrize("budget", [1, 2**20])
def test_training_goes_on_to_the_same_bytes_and_every_moment_can_be_gone_back_to(
    tmp_path: Path, budget: int
) -> None:
    run, goal, kept = trained(budget)
    path = tmp_path / "a.session"
    save_session(path, work_of(kept))
    found = load_session(path).run
    assert found is not None
    frames = sum(len(line.keyframes) for line in found.lines)
    assert frames == (3 if budget == 1 else 15 + 12)
    again = Run(CPU)
    back = replace(goal, number=1, origin="kept", kept=found, own=found.origins[1].lesson.own, running=False)
    report = following(again, back)
    assert report.now == Moment(1, 17)
    was = run.report()
    assert was is not None
    for branch, expected in zip(report.branches, was.branches, strict=True):
        assert (branch.name, branch.parent, branch.start, branch.end, branch.marks) == (
            expected.name, expected.parent, expected.start, expected.end, expected.marks,
        )  # fmt: skip
        for one, other in zip(vars(branch.curves).values(), vars(expected.curves).values(), strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
    for look in (Moment(0, 3), Moment(0, 12), Moment(1, 2), Moment(1, 11)):
        for each, wish in ((run, replace(goal, look=look)), (again, replace(back, look=look))):
            assert following(each, wish).exact
        assert_same(again.parameters(), run.parameters())
    following(run, replace(goal, until=31))
    following(again, replace(back, running=True, until=31))
    assert_same(again.parameters(), run.parameters())
    # A branch wished for before the engine has heard of the restoring.
    later, branch = Run(CPU), {"number": 3, "origin": Moment(0, 8), "running": True, "until": 12}
    following(later, replace(back, **branch))
    following(run, replace(goal, **branch))
    assert_same(later.parameters(), run.parameters())


def assert_same(found: object, expected: object) -> None:
    assert isinstance(found, dict)
    assert isinstance(expected, dict)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_the_header_alone_says_what_it_is_about(tmp_path: Path) -> None:
    path = tmp_path / "a.session"
    save_session(path, work_of(trained()[2]))
    digest = session_digest(path)
    assert (digest.saved, digest.step, digest.running, digest.closed) == (1234.5, 17, True, False)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(StorageError, match=r"^[^\n]*a\.session cannot be restored: it [^\n]*\.$"):
        session_digest(path)


def test_the_same_work_is_the_same_bytes(tmp_path: Path) -> None:
    work = work_of(trained()[2])
    for name in ("a", "b"):
        save_session(tmp_path / name, work)
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
        load_session(path)
    except StorageError as error:
        return str(error)
    return ""


def test_a_damaged_file_is_one_sentence(tmp_path: Path, effort: Effort) -> None:
    path = tmp_path / "a.session"
    save_session(path, work_of(trained(1)[2]))
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
    save_session(path, replace(work_of(None), look=None))
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(StorageError, match="checksum"):
        load_session(path)
