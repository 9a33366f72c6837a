"""The result of training does not depend on whether the window or the engine is faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.xo_gui.workbench import OTHER, Workbench, subject
from xo_gui.state.commands import Look, OneEpoch, OneStep, Pause, Train

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
    on.wish(OneStep())
    on.until_step(1)
    happen(on, first)
    adopted = on.session.undo_stack.count()
    on.wish(Train())
    happen(on, then)
    on.session.undo_stack.undo()
    if not adopted:  # there was nothing to undo yet
        return
    happen(on, last)
    assert on.settle().readings[0].subject is shipped
    assert on.subject is shipped


@given(orders, orders)
def test_run_and_pause_are_one_undo(bench: Callable[[], Workbench], first: Order, then: Order) -> None:
    on = bench()
    shipped = on.subject
    on.wish(Train())
    on.until_step(3)
    on.wish(Pause())
    happen(on, first)
    on.settle()
    assert on.session.undo_stack.count() == 1
    on.session.undo_stack.undo()
    happen(on, then)
    assert on.settle().readings[0].subject is shipped
    assert on.subject is shipped


@given(orders, orders)
def test_a_late_snapshot_does_not_stop_resumed_training(
    bench: Callable[[], Workbench], first: Order, then: Order
) -> None:
    on = bench()
    on.wish(OneStep())
    on.until_step(1)
    happen(on, first)
    on.wish(OneEpoch())
    happen(on, then)
    assert on.settle().training.now.step == 4


def test_a_network_replaced_while_training_is_paused_and_keeps_its_history(
    bench: Callable[[], Workbench],
) -> None:
    on = bench()
    on.wish(OneStep())
    on.settle()
    trained = on.subject
    on.wish(Train())
    on.until_step(3)
    on.session.edit(replace(on.session.document, subjects=(subject(OTHER),)), "other")
    last = on.settle()
    assert last.training is None
    assert not on.runner.busy
    on.session.undo_stack.undo()
    last = on.settle()
    assert on.subject is trained
    assert last.training.shown == trained.moment
    assert last.training.branches[0].end >= 3


def test_weights_trained_while_an_earlier_step_is_shown_are_committed_once_shown(
    bench: Callable[[], Workbench],
) -> None:
    on = bench()
    on.wish(OneEpoch())
    on.settle()
    on.wish(OneEpoch())
    on.until_step(6)
    on.wish(Look(replace(on.subject.moment, step=2)))
    on.settle()
    assert on.subject.moment.step == 4
    on.wish(Look(None))
    on.settle()
    assert on.subject.moment.step == 8


def test_a_project_is_saved_while_a_branch_is_shown_that_the_saved_run_lacks(
    bench: Callable[[], Workbench],
) -> None:
    on = bench()
    on.wish(OneStep())
    on.settle()
    older = on.control.kept
    on.wish(Look(replace(on.subject.moment, step=0)))
    on.settle()
    on.wish(OneStep())
    on.settle()
    on.wish(Look(replace(on.subject.moment, step=0)))
    on.settle()
    assert on.control.work().look == replace(on.subject.moment, step=0)
    assert on.subject.moment.branch == 1
    assert on.control.work(older).look is None
