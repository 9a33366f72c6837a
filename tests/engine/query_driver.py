"""QueryDriver: runs the job of one query at a time on a Scheduler, as the Runner does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from engine.backends import choose_backend
from engine.data import LabelledSample
from engine.documents import Document
from engine.drawings import Drawing
from engine.explain import AvailableExamples, Explainer
from engine.faults import Faults
from engine.nn import Model, Prediction, Predictor, RunPoint
from engine.runtime import AnyQuery
from engine.runtime.job_context import JobContext
from engine.runtime.jobs import make_job
from engine.runtime.scheduler import Scheduler
from tests.samples import drawing_sample

CPU = choose_backend("cpu")


def report(step: int, state: str = "running", run_id: int = 1) -> Any:
    """A training report with the fields that jobs read."""
    changing = state in ("preparing", "running")
    return SimpleNamespace(run_id=run_id, shown_point=RunPoint(0, step), is_changing=changing)


class QueryDriver:
    """said: the sentences for the user. result: of the current query so far."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._scheduler = Scheduler(Faults(self.said.append, (ValueError,)))
        self._query: AnyQuery | None = None
        self._explainers: list[Explainer] = []
        self._steps = 0
        self._model: Model | None = None

    def set_query(
        self,
        query: AnyQuery | None,
        predictions: tuple[Prediction, ...],
        settled: bool = True,
        is_training: bool = False,
        available: AvailableExamples | None = None,
        fitted: bool = False,
    ) -> None:
        """Ask for this query of these predictions. is_training: a training under way gives their parameters."""
        model = predictions[0].model
        self._steps += model is not self._model
        self._model = model
        document = Document(drawing_sample(Drawing()), tuple(one.model for one in predictions), fit_to_frame=fitted)
        training = report(self._steps) if is_training else None
        self._set(query, JobContext(document, predictions, training, CPU, available, self._explainers), settled)

    def set_model(
        self,
        query: AnyQuery,
        model: Model,
        training: Any = None,
        labelled: tuple[LabelledSample, ...] = (),
        settled: bool = True,
    ) -> None:
        """Ask for this query of a model. training: the report whose point has its parameters."""
        side = model.network.input_shape[1]
        prediction = Predictor(model, CPU).predict(np.full((side, side), -1, np.float32))
        document = Document(drawing_sample(Drawing()), (model,), labelled_samples=labelled)
        self._set(query, JobContext(document, (prediction,), training, CPU, None, self._explainers), settled)

    def _set(self, query: AnyQuery | None, context: JobContext, settled: bool) -> None:
        self._query = query
        job = None if query is None else make_job(query, context)
        jobs = {} if query is None or job is None else {query: job}
        self._scheduler.set_wanted(jobs, settled=settled, changing=context.is_changing)

    @property
    def result(self) -> Any:
        """The result so far; it counts as read only at the next query."""
        entry = None if self._query is None else self._scheduler._entries.get(self._query)
        return None if entry is None else entry.result

    @property
    def busy(self) -> bool:
        return self._scheduler.busy

    @property
    def seconds_until_busy(self) -> float | None:
        return self._scheduler.next_due

    @property
    def has_first_result(self) -> bool:
        return self._scheduler.has_first_result

    def read(self) -> None:
        """Read the results, as a Snapshot does."""
        self._scheduler.results()

    def run_for(self, seconds: float) -> None:
        self._scheduler.run_for(seconds)

    def finish(self) -> Any:
        """Run until nothing is left, and return the result."""
        while self.busy:
            self.run_for(0.01)
        return self.result
