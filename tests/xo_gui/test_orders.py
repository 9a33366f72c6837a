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
def test_an_undo_while_it_runs_gives_back_what_was_and_stays(bench, first: Order, then: Order, last: Order) -> None:
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
def test_run_and_pause_are_one_undo(bench, first: Order, then: Order) -> None:
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
def test_running_on_is_not_stopped_by_what_the_engine_said_before(bench, first: Order, then: Order) -> None:
    on = bench()
    on.wish(OneStep())
    on.until_step(1)
    happen(on, first)
    on.wish(OneEpoch())
    happen(on, then)
    assert on.settle().training.now.step == 4


def test_a_network_that_is_left_while_it_trains_stands_still_and_its_history_is_found_again(bench) -> None:
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


def test_what_it_came_to_while_one_looked_back_is_the_documents_once_one_looks_at_it(bench) -> None:
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


def test_work_is_told_while_a_branch_is_looked_at_that_was_not_handed_over_yet(bench) -> None:
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
