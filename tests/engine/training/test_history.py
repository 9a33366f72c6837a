"""The history: nothing is overwritten, the memory budget holds, and every point has a keyframe before it."""

from __future__ import annotations

import numpy as np
import pytest

from engine.nn import RunPoint
from engine.training import Checkpoint, History, SavedRun, TrainingConfig, ancestry, best_point, configs_up_to
from engine.training.history import GrowingArray, last_stable_point
from tests.engine.small_runs import SMALL

CONFIG = TrainingConfig()


def kept(step: int) -> Checkpoint:
    return Checkpoint({"w": np.full(25, step, np.float32)}, {}, step)


def trained(history: History, steps: int, start: int = 0, parent: RunPoint | None = None) -> int:
    branch = history.add_branch("a", SMALL, CONFIG, start, kept(start), parent)
    for step in range(start + 1, start + steps + 1):
        history.record_step(branch, step, 1 / step, 0.1, lambda step=step: kept(step))
    return branch


def test_a_column_grows_and_what_was_given_out_stays() -> None:
    column = GrowingArray(np.float32)
    column.append(1)
    first = column.view()
    for value in range(5_000):
        column.append(value)
    assert first.tolist() == [1]
    assert len(column.view()) == 5_001
    with pytest.raises(ValueError, match="read-only"):
        column.view()[0] = 2


@pytest.mark.parametrize("steps", [50, 1_000, 20_000])
def test_keyframes_keep_to_the_budget_and_reach_every_moment(steps: int) -> None:
    history = History(keyframe_bytes=100, budget=6_400)
    branch = trained(history, steps)
    assert history.keyframe_count <= 64
    for step in np.linspace(0, steps, 37).astype(int):
        at, checkpoint = history.nearest_keyframe(RunPoint(branch, int(step)))
        assert at.step == checkpoint.steps
        assert 0 <= step - at.step < history.spacing
    assert history.spacing < 4 * max(1, steps / 64)


def test_curves_are_whole_however_few_moments_are_kept() -> None:
    history = History(keyframe_bytes=100, budget=600)
    trained(history, 3_000)
    (branch,) = history.branches()
    np.testing.assert_array_equal(branch.curves.steps, np.arange(1, 3_001))
    np.testing.assert_allclose(branch.curves.losses, 1 / np.arange(1, 3_001), rtol=1e-6)


def test_a_moment_before_a_branch_is_looked_for_where_it_came_from() -> None:
    history = History(keyframe_bytes=100)
    trained(history, 10)
    branch = trained(history, 5, start=7, parent=RunPoint(0, 7))
    assert history.nearest_keyframe(RunPoint(branch, 3))[0] == RunPoint(0, 3)
    assert history.nearest_keyframe(RunPoint(branch, 9))[0] == RunPoint(branch, 9)
    assert [seen.end for seen in history.branches()] == [10, 12]


def test_what_is_pinned_stays_when_the_rest_is_thinned() -> None:
    history = History(keyframe_bytes=100, budget=600)
    branch = trained(history, 101)
    history.pin(RunPoint(branch, 101), kept(101))
    trained(history, 500)
    assert 101 in history.branches()[branch].keyframes
    assert 0 in history.branches()[branch].keyframes


def test_the_config_of_a_step_is_the_one_that_was_in_force() -> None:
    history = History(keyframe_bytes=100)
    branch = trained(history, 5)
    other = TrainingConfig(batch=7)
    history.change_config(branch, 5, other, "batch 7")
    assert history.config_at(RunPoint(branch, 4)) == (CONFIG, 5)
    assert history.config_at(RunPoint(branch, 5)) == (other, None)
    assert [(mark.step, mark.text) for mark in history.branches()[branch].marks] == [(5, "batch 7")]


def test_no_two_branches_get_one_name_and_runs_are_counted() -> None:
    history, names = History(), []
    for name, parent in (
        ("Run {run}", None),
        ("from", RunPoint(0, 0)),
        ("Run {run}", None),
        ("from", RunPoint(0, 0)),
    ):
        names.append(history.new_name(name))
        history.add_branch(names[-1], SMALL, CONFIG, 0, kept(0), parent)
    history.rename(0, "Run 3")
    assert [*names, history.new_name("Run {run}")] == ["Run 1", "from", "Run 2", "from (2)", "Run 3 (2)"]


def test_what_a_branch_came_from_is_told_with_it() -> None:
    """10 steps, the last 4 with batches of 7; a branch from step 8 has batches of 9 from step 11."""
    history = History(keyframe_bytes=100)
    trained(history, 10)
    history.change_config(0, 6, TrainingConfig(batch=7), "batch 7")
    branch = history.add_branch("b", SMALL, TrainingConfig(batch=7), 8, kept(8), RunPoint(0, 8))
    history.change_config(branch, 11, TrainingConfig(batch=9), "batch 9")
    for step in (9, 10, 11, 12):
        history.record_step(branch, step, 0.1, 0.1, lambda: kept(12))
    seen = history.branches()
    assert configs_up_to(seen, RunPoint(branch, 12)) == (
        (0, CONFIG),
        (6, TrainingConfig(batch=7)),
        (11, TrainingConfig(batch=9)),
    )
    assert configs_up_to(seen, RunPoint(branch, 11)) == ((0, CONFIG), (6, TrainingConfig(batch=7)))
    assert configs_up_to(seen, RunPoint(branch, 4)) == configs_up_to(seen, RunPoint(0, 4)) == ((0, CONFIG),)
    assert history.config_at(RunPoint(branch, 4)) == (CONFIG, 6)


@pytest.mark.parametrize(
    ("losses", "best"),
    [([], None), ([0.5, 0.3, 0.3, 0.4], 20), ([np.nan, 0.7, 0.6], 30), ([0.7, np.nan], 10), ([np.nan], None)],
)
def test_the_best_point_is_the_first_of_the_lowest_losses_that_are_numbers(
    losses: list[float], best: int | None
) -> None:
    history = History(keyframe_bytes=100)
    number = trained(history, 40)
    for at, loss in enumerate(losses, 1):
        history.record_evaluation(number, 10 * at, loss, 0.5)
    assert best_point(history.branches()[number]) == (None if best is None else RunPoint(number, best))


def test_the_last_stable_point_is_before_the_last_step_whose_loss_was_at_most_twice_that_of_uniform_votes() -> None:
    limit = float(np.float32(2 * np.log(2)))
    for losses, last in (([0.7, limit * 0.999, limit * 1.01], 1), ([0.7, 9.0, 0.7, np.nan], 2), ([9.0], 0)):
        history = History(keyframe_bytes=100)
        number = history.add_branch("a", SMALL, CONFIG, 0, kept(0))
        for step, loss in enumerate(losses, 1):
            history.record_step(number, step, loss, 0.1, lambda step=step: kept(step))
        assert last_stable_point(history.branches()[number], 2) == RunPoint(number, last)


def test_a_branch_begins_at_its_parents_point() -> None:
    history = History(keyframe_bytes=100)
    trained(history, 10)
    trained(history, 5, 4, RunPoint(0, 4))
    branches = history.branches()
    assert ancestry(branches, RunPoint(1, 4)) == (RunPoint(0, 4),)
    assert ancestry(branches, RunPoint(1, 5)) == (RunPoint(0, 4), RunPoint(1, 5))


def test_keyframes_that_just_fit_the_budget_are_all_kept() -> None:
    history = History(keyframe_bytes=100, budget=6_400)
    trained(history, 63)
    assert (history.keyframe_count, history.spacing) == (64, 1)
    history.record_step(0, 64, 0.1, 0.1, lambda: kept(64))
    assert history.spacing == 2


def test_a_config_that_made_no_step_is_replaced() -> None:
    history = History(keyframe_bytes=100)
    trained(history, 3)
    for seed in (2, 3):
        history.change_config(0, 3, TrainingConfig(seed=seed), f"seed {seed}")
    (branch,) = history.branches()
    assert [(step, config.seed) for step, config in branch.configs] == [(0, 1), (3, 3)]
    assert [mark.text for mark in branch.marks] == ["seed 2", "seed 3"]


def test_a_saved_run_has_the_points_up_to_its_last_step() -> None:
    history = History(keyframe_bytes=100)
    trained(history, 3)
    saved = SavedRun(history.records(), (), RunPoint(0, 3), history.spacing)
    assert [RunPoint(*at) in saved for at in ((0, 0), (0, 3), (0, 4), (1, 0), (-1, 0))] == [
        True,
        True,
        *[False] * 3,
    ]


def test_a_branch_that_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError):
        History(100).nearest_keyframe(RunPoint(3, 1))


def test_a_history_is_thinned_to_less_for_a_while_but_not_below_its_starts() -> None:
    history = History(keyframe_bytes=100, budget=6_400)
    for branch in range(6):
        trained(history, 40)
        history.pin(RunPoint(branch, 7), kept(7))
    history.thin_to(800)
    starts = [(branch, step) for branch in range(6) for step in (0, 7)]
    assert [(each.number, step) for each in history.branches() for step in each.keyframes] == starts
    trained(history, 64)
    assert history.spacing == 64, "no wider than it takes"
    assert history.keyframe_count == 14
