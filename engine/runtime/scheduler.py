"""Scheduler: runs training and the jobs behind the queries of the visible panels, in slices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, Final, TypeAlias

import numpy as np

from engine.explain import Query
from engine.faults import NAMED, Faults

AnyQuery: TypeAlias = Query[Any]

# Seconds: a job that takes longer is not run during a stroke, only after it.
QUICK_SECONDS: Final = 0.010
# Seconds without movement of the pen after which a result that was skipped during a stroke is computed.
STILL_SECONDS: Final = 0.05
# Seconds of a slice of a job: the longest a frame of a drag, of a slider or on the timeline, waits.
JOB_SLICE_SECONDS: Final = 0.003


@dataclass(frozen=True)
class Policy:
    """How much of the engine's time the jobs of one kind of query get.

    title: what the job computes, for messages.
    while_drawing: whether it may run during a stroke, as long as it takes at most QUICK_SECONDS.
    share: of the time it may take during a stroke, or, to repeat a result, while training runs.
    min_interval: seconds from a result to the start of the next one during a stroke, or while training changes the
        weights.
    rest: seconds without another input before it starts.
    """

    title: str
    while_drawing: bool
    share: float
    min_interval: float
    rest: float = 0.0


class Job(ABC):
    """One computation. It is a function of what its constructor was given, and knows no clock.

    source: identifies the parameters that it reads.
    is_small: whether it is assumed to take at most QUICK_SECONDS until its time has been measured.
    knows_something: whether its first step gives what is known already, and is made at once.
    is_training: whether it is the training, which has its turns whatever else is computed.
    goes_first: whether training waits until it has ended.
    refusal: the sentence when it refuses its input.
    """

    source: object = None
    is_small = True
    knows_something = False
    is_training = False
    goes_first = False
    refusal = NAMED

    @abstractmethod
    def run(self) -> Iterator[Any]:
        """Yields None where it may stop, or a better result; the last one is complete."""

    @abstractmethod
    def has_same_inputs(self, previous: Any) -> bool:
        """Whether all but the parameters is as for the previous job of the same query."""

    def has_same_parameters(self, previous: Any) -> bool:
        """Whether it reads the parameters of the previous job."""
        return bool(self.source == previous.source)

    def may_show(self, previous: Any) -> bool:
        """Whether the result of the previous job may be shown until there is one of this."""
        return True

    def adopt(self, previous: Any) -> None:  # noqa: B027 - few need it
        """Take over from the previous job what need not be made again."""

    def close(self) -> None:  # noqa: B027 - few need it
        """Give up what others can use; the job is not run any more."""

    @property
    def is_waiting(self) -> bool:
        """Whether it can only go on after something else."""
        return False

    def fail(self, sentence: str) -> None:  # noqa: B027 - few need it
        """Note why it has failed, and stopped."""


@dataclass
class _Entry:
    """The job of one query. One that has failed is not tried again with other parameters alone.

    steps: of the job, None when it has ended. result: the latest. is_new: the first result has not been read yet.
    cost: seconds of a whole run, the least one measured. spent: of the current run.
    free_at: when the next run may start while something changes; still_at: when the pen counts as still; next_at:
        when the next slice may run beside training; rest_at: when its inputs have stood for long enough.
    """

    policy: Policy
    job: Job
    cost: float
    steps: Iterator[Any] | None = None
    result: Any = None
    is_new: bool = True
    spent: float = 0.0
    has_failed: bool = False
    free_at: float = 0.0
    still_at: float = 0.0
    next_at: float = 0.0
    rest_at: float = 0.0

    @property
    def has_turns(self) -> bool:
        """Whether it goes on in its turn during a stroke, and is never run at once."""
        return self.job.is_training or self.job.goes_first

    @property
    def is_slow(self) -> bool:
        """Whether it is more than can be run at once."""
        return self.has_turns or not self.policy.while_drawing or self.cost > QUICK_SECONDS


class Scheduler:
    """Gives the engine's time to the jobs of all queries, of which training is one, in turn, by their policies.

    A job that fails is reported and stops until it gets other inputs. After an error that `faults` passes on, the
    caller drops all jobs, to be made again.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._entries: dict[AnyQuery, _Entry] = {}
        self._settled, self._changing = True, False
        self._turn = 0

    def set_wanted(
        self, jobs: Mapping[AnyQuery, tuple[Job, Policy]], *, settled: bool = True, changing: bool = False
    ) -> None:
        """Set all that is to be computed; other jobs are dropped. A quick one is run before this returns.

        settled: False during a stroke.
        changing: whether training changes the weights continuously.
        """
        self._settled, self._changing = settled, changing
        for query in [query for query in self._entries if query not in jobs]:
            self._entries.pop(query).job.close()
        for query, (job, policy) in jobs.items():
            self._update(query, job, policy)

    def drop_all(self) -> None:
        """Drop all jobs; those still wanted are made again."""
        for entry in self._entries.values():
            entry.job.close()
        self._entries.clear()

    def results(self) -> dict[AnyQuery, Any]:
        """The results so far; from now on the first ones are not new."""
        found = {query: entry.result for query, entry in self._entries.items() if entry.result is not None}
        for query in found:
            self._entries[query].is_new = False
        return found

    @property
    def has_first_result(self) -> bool:
        """Whether the first result of a query has not been read yet."""
        return any(entry.is_new and entry.result is not None for entry in self._entries.values())

    @property
    def busy(self) -> bool:
        """Whether `run_for` would do any work now."""
        now = perf_counter()
        return any(self._is_ready(entry, now) for entry in self._entries.values())

    @property
    def training_waits(self) -> bool:
        """Whether a job has to end before training goes on."""
        return any(entry.job.goes_first and entry.steps is not None for entry in self._entries.values())

    @property
    def next_due(self) -> float | None:
        """Seconds until a job is ready without other inputs; None if none will be."""
        now = perf_counter()
        waits = [max(0.0, self._due(entry) - now) for entry in self._entries.values() if self._is_open(entry)]
        return min(waits, default=None)

    def run_for(self, seconds: float) -> None:
        """Continue one of the jobs that are ready, another at each call: training for about `seconds`, another one
        for at most JOB_SLICE_SECONDS. Raises no Exception but those that `faults` passes on."""
        now = perf_counter()
        ready = [entry for entry in self._entries.values() if self._is_ready(entry, now)]
        if not ready:
            return
        self._turn += 1
        entry = ready[self._turn % len(ready)]
        beside = any(other.job.is_training for other in ready)
        self._run_job(entry, seconds if entry.job.is_training else min(seconds, JOB_SLICE_SECONDS), beside=beside)

    def _run_job(self, entry: _Entry, seconds: float, *, beside: bool) -> None:
        started = now = perf_counter()
        while self._is_ready(entry, now):
            self._advance(entry)
            now = perf_counter()
            if now >= started + seconds:
                break
        # What has just been asked for has every turn until it is known; only what is repeated is held back.
        is_repeated = beside and entry.result is not None
        entry.next_at = now + (now - started) * (1 / entry.policy.share - 1) if is_repeated else 0.0

    def _update(self, query: AnyQuery, job: Job, policy: Policy) -> None:
        """Start the job, unless the one that runs has the same inputs, or may end first."""
        entry, now = self._entries.get(query), perf_counter()
        if entry is None:
            entry = self._entries[query] = _Entry(policy, job, 0.0 if job.is_small else 2 * QUICK_SECONDS)
        else:
            is_same = job.has_same_inputs(entry.job)
            if is_same and (job.has_same_parameters(entry.job) or entry.has_failed):
                return
            is_under_way = entry.steps is not None and entry.spent > 0
            if is_same and self._changing and entry.is_slow and is_under_way:
                return
            if not job.may_show(entry.job) or (not self._settled and policy.while_drawing and entry.is_slow):
                entry.result = None
            job.adopt(entry.job)
            entry.job = job
        entry.steps, entry.spent, entry.has_failed = job.run(), 0.0, False
        entry.still_at, entry.rest_at = now + STILL_SECONDS, now + policy.rest
        if entry.result is None and job.knows_something:
            self._advance(entry)
        # During a stroke a repeated result delays the maps only as often as numbers can be read.
        at_once = self._settled or entry.result is None or now >= entry.free_at
        while at_once and entry.steps is not None and not entry.is_slow:
            self._advance(entry)

    def _is_open(self, entry: _Entry) -> bool:
        """Whether work is left that need not wait for the end of the stroke, or for another job."""
        if entry.steps is None or entry.job.is_waiting or (entry.job.is_training and self.training_waits):
            return False
        return self._settled or entry.has_turns or not entry.is_slow

    def _due(self, entry: _Entry) -> float:
        """The time from which the entry is ready."""
        if entry.has_turns:
            return entry.rest_at
        if not self._settled:
            return max(entry.free_at, entry.still_at)
        is_repeated = self._changing and entry.result is not None and not entry.spent
        return max(entry.free_at if is_repeated else 0.0, entry.next_at, entry.rest_at)

    def _is_ready(self, entry: _Entry, now: float) -> bool:
        return self._is_open(entry) and now >= self._due(entry)

    def _advance(self, entry: _Entry) -> None:
        """One step of the job."""
        started, title, refusal = perf_counter(), entry.policy.title, entry.job.refusal
        self._faults.guard(title, partial(self._step, entry), None, partial(self._stop, entry), refusal=refusal)
        now = perf_counter()
        entry.spent += now - started
        if entry.steps is None:
            # The minimum: painting in another thread, or allocating memory, makes a run longer now and then.
            entry.cost = min(entry.cost or entry.spent, entry.spent)
            entry.free_at = now + max(entry.spent * (1 / entry.policy.share - 1), entry.policy.min_interval)

    def _step(self, entry: _Entry) -> None:
        assert entry.steps is not None
        with np.errstate(over="ignore", invalid="ignore"):  # weights of a diverged training overflow
            result = next(entry.steps, entry)
        if result is entry:
            entry.steps = None
        elif result is not None:
            entry.result = result

    def _stop(self, entry: _Entry, sentence: str) -> None:
        entry.steps, entry.result, entry.has_failed = None, None, True
        entry.job.fail(sentence)
