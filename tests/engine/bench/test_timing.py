"""Contenders are timed in turn, and samples are summarized by medians and quartiles."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from engine.bench import timing
from engine.bench.contender import Contender
from engine.bench.timing import MAX_ROUNDS, MIN_ROUNDS, Quartiles, collect_samples, quartiles, time_contenders


@dataclass
class World:
    """A clock that only work advances, and a list of the contenders that worked."""

    now: float = 0.0
    worked: list[str] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def contender(
        self, name: str, length: float | Callable[[int], float], *, units: int = 1, behind: float = 0.0
    ) -> Contender:
        """A contender whose n-th run takes `length` or length(n), and which works `behind` more for each run when
        waited for."""
        owed, runs = 0.0, 0

        def run() -> None:
            nonlocal owed, runs
            self.now += length(runs) if callable(length) else length
            owed += behind
            runs += 1
            self.worked.append(name)

        def wait() -> None:
            nonlocal owed
            self.now += owed
            owed = 0.0

        return Contender(name, "engine", run, None, units, wait)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(timing, "SETTLE_SECONDS", 0)
    return World()


def test_a_sample_is_the_time_of_one_unit_of_work(world: World) -> None:
    pair = [world.contender("a", 0.25), world.contender("b", 2.0, units=16)]
    first, second = collect_samples(pair, 60, world.clock)
    assert set(first) == {0.25}
    assert set(second) == {0.125}


def test_what_is_done_behind_the_callers_back_is_waited_for(world: World) -> None:
    (samples,) = collect_samples([world.contender("gpu", 0.001, behind=0.01)], 2, world.clock)
    assert samples == pytest.approx([0.011] * len(samples))


def test_preparing_and_warming_up_are_not_timed(world: World) -> None:
    def prepare() -> None:
        world.now += 100

    quick = world.contender("a", lambda run: 0.01)
    # The first run after every preparation is slow.
    prepared = Contender("a", "engine", quick.run, None, before=prepare)
    (samples,) = collect_samples([prepared], 2, world.clock)
    assert samples == pytest.approx([0.01] * len(samples))


def test_the_first_run_of_a_sample_warms_up(world: World) -> None:
    state = {"cold": True}

    def run() -> None:
        world.now += 7.0 if state["cold"] else 0.01
        state["cold"] = False

    def cool() -> None:
        state["cold"] = True

    (samples,) = collect_samples([Contender("a", "engine", run, None, before=cool)], 2, world.clock)
    assert samples == pytest.approx([0.01] * len(samples))


def test_every_round_takes_each_once_and_begins_with_another(world: World) -> None:
    names = ("a", "b", "c")
    # So long that every sample is one run without a warm-up.
    samples = collect_samples([world.contender(name, 1.0) for name in names], 12, world.clock)
    rounds = len(samples[0])
    assert {len(own) for own in samples} == {rounds}
    order = world.worked[-3 * rounds :]
    turns = ["".join(order[3 * number : 3 * number + 3]) for number in range(rounds)]
    assert turns == ["abc", "bca", "cab", "abc"][:rounds]


@pytest.mark.parametrize(
    ("length", "seconds", "rounds"), [(10.0, 1, MIN_ROUNDS), (0.001, 100, MAX_ROUNDS), (1.0, 8, 8)]
)
def test_long_work_gets_few_rounds_and_short_work_no_end_of_them(
    world: World, length: float, seconds: float, rounds: int
) -> None:
    (samples,) = collect_samples([world.contender("a", length)], seconds, world.clock)
    assert len(samples) == rounds


def test_each_gets_the_same_time_not_the_same_number_of_runs(world: World) -> None:
    collect_samples([world.contender("short", 0.001), world.contender("long", 0.02)], 10, world.clock)
    runs = {name: world.worked.count(name) for name in ("short", "long")}
    assert runs["short"] / runs["long"] == pytest.approx(20, rel=0.1)


def test_the_ratio_is_taken_round_by_round(world: World) -> None:
    # Both meet the same slow half of the run: their ratio does not.
    def busy(run: int) -> float:
        return 1.0 if run % 2 else 3.0

    pair = [world.contender("engine", busy), world.contender("other", lambda run: 2 * busy(run))]
    engine, other = time_contenders(pair, 30, world.clock)
    assert engine.times == Quartiles(1, 1, 1)
    assert other.times == Quartiles(2, 2, 2)
    assert other.seconds.high > other.seconds.low


def test_quartiles() -> None:
    assert quartiles([5, 1, 2, 4, 3]) == Quartiles(3, 2, 4)


def test_no_garbage_is_collected_meanwhile_and_it_is_afterwards(world: World) -> None:
    seen = []

    def run() -> None:
        world.now += 1
        seen.append(gc.isenabled())

    collect_samples([Contender("a", "engine", run, None)], 3, world.clock)
    assert not any(seen[1:])  # the very first warms up, untimed
    assert gc.isenabled()
