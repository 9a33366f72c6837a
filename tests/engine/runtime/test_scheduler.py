"""Scheduler: who has the next turn: training, jobs that it waits for, and jobs that wait for the pen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from engine.explain import Query
from engine.faults import PLAIN, Faults
from engine.runtime.scheduler import AnyQuery, Job, Policy, Scheduler

POLICY = Policy("Toy", while_drawing=False, share=1.0, min_interval=0.0)


@dataclass(frozen=True)
class ToyQuery(Query[str]):
    """A toy by name."""

    name: str


class ToyJob(Job):
    """Writes its name into the log at each step; the last one may raise."""

    is_small = False

    def __init__(self, query: ToyQuery, log: list[str], steps: int = 3, *, broken: bool = False) -> None:
        self.source = self
        self._name, self._log, self._steps, self._broken = query.name, log, steps, broken
        self.waits = False
        self.failure = ""

    @property
    def is_waiting(self) -> bool:
        return self.waits

    def has_same_inputs(self, previous: ToyJob) -> bool:
        return False

    def run(self) -> Iterator[str | None]:
        for _ in range(self._steps):
            self._log.append(self._name)
            yield None
        if self._broken:
            raise ValueError("There is no room for it.")
        yield self._name

    def fail(self, sentence: str) -> None:
        self.failure = sentence


class ToyTraining(ToyJob):
    """Training that is done after so many steps."""

    is_training = True
    refusal = PLAIN


class ToyReplay(ToyJob):
    """A job that training waits for."""

    goes_first = True


class Bench:
    """A scheduler, with a clock that stands still unless a test moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.said: list[str] = []
        self.now = 0.0
        monkeypatch.setattr("engine.runtime.scheduler.perf_counter", lambda: self.now)
        self.scheduler = Scheduler(Faults(self.said.append))

    def want(self, *jobs: ToyJob, policy: Policy = POLICY, settled: bool = True) -> None:
        wanted: dict[AnyQuery, tuple[Job, Policy]] = {ToyQuery(job._name): (job, policy) for job in jobs}
        self.scheduler.set_wanted(wanted, settled=settled, changing=True)

    def turn(self) -> None:
        """One turn of one step."""
        self.scheduler.run_for(0.0)

    def run(self) -> None:
        while self.scheduler.busy:
            self.turn()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def toy(kind: Callable[..., ToyJob], name: str, bench: Bench, steps: int = 3, *, broken: bool = False) -> ToyJob:
    return kind(ToyQuery(name), bench.log, steps, broken=broken)


def test_training_and_a_job_beside_it_take_turns(bench: Bench) -> None:
    bench.want(toy(ToyTraining, "training", bench), toy(ToyJob, "job", bench))
    bench.run()
    assert sorted(bench.log) == ["job"] * 3 + ["training"] * 3
    assert bench.log[:4].count("job") == 2
    assert bench.scheduler.results()[ToyQuery("job")] == "job"


def test_training_goes_on_during_a_stroke_while_a_slow_job_waits_for_its_end(bench: Bench) -> None:
    training, job = toy(ToyTraining, "training", bench), toy(ToyJob, "job", bench)
    bench.want(training, job, settled=False)
    assert bench.log == [], "training is never run before the Snapshot is made"
    bench.run()
    assert bench.log == ["training"] * 3
    bench.want(job)
    bench.run()
    assert bench.log == ["training"] * 3 + ["job"] * 3


@pytest.mark.parametrize("broken", [False, True])
def test_training_waits_for_a_replay_whether_it_arrives_or_fails(bench: Bench, *, broken: bool) -> None:
    replay = toy(ToyReplay, "replay", bench, broken=broken)
    bench.want(toy(ToyTraining, "training", bench), replay, settled=False)
    assert bench.scheduler.training_waits
    bench.run()
    assert bench.log == ["replay"] * 3 + ["training"] * 3
    assert not bench.scheduler.training_waits
    assert bench.said == (["Toy: not available. There is no room for it."] if broken else [])


def test_a_replay_begins_once_its_point_rests_and_training_waits_meanwhile(bench: Bench) -> None:
    resting = Policy("Replay", while_drawing=True, share=1.0, min_interval=0.0, rest=0.05)
    for now in (0.0, 0.03, 0.06):  # dragged
        bench.now = now
        bench.want(toy(ToyReplay, "replay", bench), policy=resting)
        bench.turn()
    assert bench.log == []
    assert bench.scheduler.next_due == pytest.approx(0.05)
    bench.now = 0.12
    bench.run()
    assert bench.log == ["replay"] * 3


def test_a_step_that_is_held_is_no_work_until_it_is_released(bench: Bench) -> None:
    training = toy(ToyTraining, "training", bench)
    bench.want(training)
    training.waits = True
    assert not bench.scheduler.busy
    assert bench.scheduler.next_due is None
    training.waits = False
    bench.run()
    assert bench.log == ["training"] * 3


def test_training_that_fails_says_its_own_sentence_and_the_others_go_on(bench: Bench) -> None:
    training = toy(ToyTraining, "training", bench, steps=1, broken=True)
    bench.want(training, toy(ToyJob, "job", bench))
    bench.run()
    assert training.failure == "There is no room for it."
    assert bench.said == ["There is no room for it."]
    assert bench.log.count("job") == 3
