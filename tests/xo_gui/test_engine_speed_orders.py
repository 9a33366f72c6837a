"""The result of training does not depend on whether the window or the engine is faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.xo_gui.workbench import OTHER, Workbench, subject
from xo_gui.state import OneEpoch, OneStep, Pause, ShowPoint, Start

# Which part runs next: the engine reads a request, the engine works, or the window takes a snapshot.
Order = list[int]
orders = st.lists(st.integers(0, 2), max_size=12)


@pytest.fixture(scope="module")
def bench(qapp: object) -> Iterator[Callable[[], Workbench]]:
    """A function that makes a new workbench."""
    with pytest.MonkeyPatch.context() as patch:
        yield lambda: Workbench(patch)


def happen(bench: Workbench, order: Order) -> None:
    for act in order:
        (bench.answer, bench.work, bench.take)[act]()


@given(orders, orders, orders)
def test_an_undo_while_training_restores_the_model_for_good(
    bench: Callable[[], Workbench], first: Order, then: Order, last: Order
) -> None:
    on = bench()
    shipped = on.subject
    on.execute(OneStep())
    on.until_step(1)
    happen(on, first)
    adopted = on.session.undo_stack.count()
    on.execute(Start())
    happen(on, then)
    on.session.undo_stack.undo()
    if not adopted:  # there was nothing to undo yet
        return
    happen(on, last)
    assert on.settle().predictions[0].model is shipped
    assert on.subject is shipped


@given(orders, orders)
def test_run_and_pause_are_one_undo(bench: Callable[[], Workbench], first: Order, then: Order) -> None:
    on = bench()
    shipped = on.subject
    on.execute(Start())
    on.until_step(3)
    on.execute(Pause())
    happen(on, first)
    on.settle()
    assert on.session.undo_stack.count() == 1
    on.session.undo_stack.undo()
    happen(on, then)
    assert on.settle().predictions[0].model is shipped
    assert on.subject is shipped


@given(orders, orders)
def test_a_late_snapshot_does_not_stop_resumed_training(
    bench: Callable[[], Workbench], first: Order, then: Order
) -> None:
    on = bench()
    on.execute(OneStep())
    on.until_step(1)
    happen(on, first)
    on.execute(OneEpoch())
    happen(on, then)
    assert on.settle().training.current_point.step == 4


def test_a_network_replaced_while_training_is_paused_and_keeps_its_history(
    bench: Callable[[], Workbench],
) -> None:
    on = bench()
    on.execute(OneStep())
    on.settle()
    trained = on.subject
    on.execute(Start())
    on.until_step(3)
    on.session.edit(replace(on.session.document, models=(subject(OTHER),)), "other")
    last = on.settle()
    assert last.training is None
    assert not on.runner.busy
    on.session.undo_stack.undo()
    last = on.settle()
    assert on.subject is trained
    assert last.training.shown_point == trained.run_point
    assert last.training.branches[0].end >= 3


def test_weights_trained_while_an_earlier_step_is_shown_are_committed_once_shown(
    bench: Callable[[], Workbench],
) -> None:
    on = bench()
    on.execute(OneEpoch())
    on.settle()
    on.execute(OneEpoch())
    on.until_step(6)
    on.execute(ShowPoint(replace(on.subject.run_point, step=2)))
    on.settle()
    assert on.subject.run_point.step == 4
    on.execute(ShowPoint(None))
    on.settle()
    assert on.subject.run_point.step == 8


def test_a_project_is_saved_while_a_branch_is_shown_that_the_saved_run_lacks(
    bench: Callable[[], Workbench],
) -> None:
    on = bench()
    on.execute(OneStep())
    on.settle()
    older = on.control.saved_run
    on.execute(ShowPoint(replace(on.subject.run_point, step=0)))
    on.settle()
    on.execute(OneStep())
    on.settle()
    on.execute(ShowPoint(replace(on.subject.run_point, step=0)))
    on.settle()
    assert on.control.project_state().shown_point == replace(on.subject.run_point, step=0)
    assert on.subject.run_point.branch == 1
    assert on.control.project_state(older).shown_point is None
