"""Run driver: carries out a request for training as the engine thread does, until no work is left."""

from __future__ import annotations

from time import sleep

from engine.documents import Document
from engine.runtime import AnyQuery, Request, Runner, Snapshot, TrainingReport, TrainingRequest
from engine.runtime.training_run import TrainingRun


def runner_of(run: TrainingRun, request: TrainingRequest) -> Runner:
    """A Runner whose current training run is this one."""
    runner = Runner("cpu", _run=run, _runs=[run])
    if not run.trains(request.model.network):
        run.set_request(request)
    return runner


def answered(run: TrainingRun, request: TrainingRequest, *queries: AnyQuery) -> Snapshot:
    """The last Snapshot, once no work is left for this request and these queries."""
    runner = runner_of(run, request)
    wanted = Request(1, Document.blank(request.model), training=request, live=True, queries=frozenset(queries))
    snapshot = runner.compute(wanted)
    for _ in range(20_000):
        if runner.busy:
            runner.run_for(0.01)
        elif runner.seconds_until_busy is not None:
            sleep(runner.seconds_until_busy)
        if not runner.busy or runner.has_first_result:
            snapshot = runner.compute(wanted)
        if not runner.busy and runner.seconds_until_busy is None:
            break
    assert not snapshot.notices, snapshot.notices
    return snapshot


def following(run: TrainingRun, request: TrainingRequest, *queries: AnyQuery) -> TrainingReport:
    """The report of the last Snapshot."""
    report = answered(run, request, *queries).training
    assert report is not None
    return report
