"""Runner: computes one Snapshot for one Request, synchronously; the engine thread calls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from engine.backends import (
    Backend,
    ComputeDevice,
    DeviceChoice,
    DeviceUnavailable,
    HostArray,
    choose_backend,
    numpy_backend,
)
from engine.backends.cuda import DeviceFault
from engine.data import InputShape
from engine.documents import OpenRequest, OpenResult, open_file
from engine.explain import (
    AvailableExamples,
    Explainer,
    StepQuery,
    StepTracer,
    TemplateMatch,
    match_templates,
    templates,
)
from engine.faults import PLAIN, Faults
from engine.nn import Model, Prediction, Predictor
from engine.runtime.file_reader import POLL_SECONDS, FileReader
from engine.runtime.job_context import JobContext
from engine.runtime.jobs import RUN_QUERIES, make_job, title_of
from engine.runtime.protocol import DeviceReport, Notice, Request, Snapshot
from engine.runtime.scheduler import AnyQuery, Job, Policy, Scheduler
from engine.runtime.training_jobs import TrainingQuery
from engine.runtime.training_protocol import TrainingReport, TrainingRequest
from engine.runtime.training_run import TrainingRun
from engine.training import SAVE_INTERVAL, SavedRun, SaveThrottle

Outcome = TypeVar("Outcome")


@dataclass
class Runner:
    """Keeps the backend and a Predictor for each model from one Request to the next.

    Each stage of the work is guarded by `faults`: one that fails is reported, and the others go on. When the device
    fails, a stage is repeated on the next one.
    save_interval: seconds of training between two copies of the run for autosave.
    """

    device: DeviceChoice = "auto"
    save_interval: float = SAVE_INTERVAL
    _device: ComputeDevice | None = None
    _predictors: list[Predictor] = field(default_factory=list)
    _notices: list[Notice] = field(default_factory=list)
    _notice_count: int = 0
    _run: TrainingRun | None = None
    _runs: list[TrainingRun] = field(default_factory=list)
    _live: Predictor | None = None
    _opened: OpenResult | None = None
    _files: FileReader = field(default_factory=lambda: FileReader(lambda *of_file: open_file(*of_file)))
    _second: tuple[tuple[object, ...], Prediction] | None = None
    _explainers: list[Explainer] = field(default_factory=list)
    _tracers: list[StepTracer] = field(default_factory=list)
    faults: Faults = field(init=False)
    _scheduler: Scheduler = field(init=False)
    _computed: tuple[Request, Snapshot] | None = None

    def __post_init__(self) -> None:
        self.faults = Faults(self._notify, (ValueError, DeviceUnavailable), (DeviceFault,))
        self._scheduler = Scheduler(self.faults)

    def compute(self, request: Request) -> Snapshot:
        """The Snapshot for a Request. Never raises: an error becomes a notice, and what has failed is missing."""
        started = perf_counter()
        self._notices = [notice for notice in self._notices if notice.number > request.acknowledged]
        guard = self._guard
        self.faults.guard(
            "Opening a file", lambda: self._open(request.open_request), None, partial(self._fail_opening, request)
        )
        set_training = partial(self._set_training, request.training, request.queries)
        guard("Start of training", set_training, None, self._fail_training, refusal=PLAIN)
        none: tuple[Prediction, ...] = ()
        predictions = guard("Prediction", lambda: self._predict(request), none, refusal=PLAIN)
        report = partial(self._report_training, request)
        training = guard("Training report", report, None, self._fail_training)
        no_results: dict[AnyQuery, Any] = {}
        set_jobs = partial(self._set_jobs, request, predictions, training)
        results = guard("Jobs", set_jobs, no_results, lambda _: self._scheduler.drop_all())
        snapshot = replace(
            self._empty_snapshot(request),
            predictions=predictions,
            engine_seconds=perf_counter() - started,
            training=training,
            comparison=self.faults.guard("Template matching", lambda: _comparison(predictions), None),
            results=results,
            notices=tuple(self._notices),
        )
        self._computed = request, snapshot
        return snapshot

    def failure(self, request: Request) -> Snapshot:
        """The Snapshot for a Request after a fault elsewhere: what was computed for it, and the notices say why."""
        if self._computed is not None and self._computed[0] is request:
            return replace(self._computed[1], notices=tuple(self._notices))
        return self._empty_snapshot(request)

    def _empty_snapshot(self, request: Request) -> Snapshot:
        return Snapshot(
            request.generation,
            request.document.input,
            (),
            self._device_report(),
            tuple(self._notices),
            self._opened,
            request.settled,
            request.requested_at,
            0.0,
        )

    def saved_run(self) -> SavedRun | None:
        """The training run as it is now, to be saved. Never raises."""
        run = self._run
        return None if run is None else self._guard("Saving", lambda: run.saved_run(at_once=True), None)

    def close(self) -> None:
        """Give up what is read in the background."""
        self._files.close()

    @property
    def busy(self) -> bool:
        """Whether work is left. Never raises, like the three below."""
        return self._scheduler.busy or self._files.has_result

    @property
    def seconds_until_busy(self) -> float | None:
        """Seconds until there is work without a new Request; None for never."""
        due = self._scheduler.next_due
        if self._files.is_reading:
            return POLL_SECONDS if due is None else min(due, POLL_SECONDS)
        return due

    @property
    def has_first_result(self) -> bool:
        """Whether the first result of a query, or the file to be opened, has arrived."""
        return self._files.has_result or self._scheduler.has_first_result

    def run_for(self, seconds: float) -> None:
        """Continue for about `seconds` with training or a job, in turn."""
        self._get_device().run(lambda: self._scheduler.run_for(seconds))

    def _guard(
        self,
        stage: str,
        action: Callable[[], Outcome],
        otherwise: Outcome,
        then: Callable[[str], None] | None = None,
        refusal: str = "",
    ) -> Outcome:
        """As Faults.guard, and the action is repeated on another device if that in use fails."""
        guarded = partial(self.faults.guard, stage, lambda: self._get_device().run(action), otherwise, then)
        return guarded(refusal=refusal)

    def _report_training(self, request: Request) -> TrainingReport | None:
        return None if self._run is None or request.training is None else self._run.report()

    def _set_jobs(
        self, request: Request, predictions: tuple[Prediction, ...], training: TrainingReport | None
    ) -> dict[AnyQuery, Any]:
        """Set what is computed for the queries from now on, and return the results so far."""
        available = None
        if training is not None:
            available = AvailableExamples(training.request.training_data, training.examples, training.held_out)
        is_own = not predictions or predictions[0].model is request.document.models[0]
        context = JobContext(
            request.document,
            predictions,
            None if is_own else training,
            self._get_backend(),
            available,
            self._explainers,
            self._tracers,
            None if request.training is None else self._run,
        )
        jobs: dict[AnyQuery, tuple[Job, Policy]] = {}
        for query in RUN_QUERIES | request.queries:
            fail = self._fail_training if isinstance(query, TrainingQuery) else None
            job = self.faults.guard(title_of(query), partial(make_job, query, context), None, fail)
            if job is not None:
                jobs[query] = job
        self._scheduler.set_wanted(
            jobs, settled=request.settled, changing=training is not None and training.is_changing
        )
        if self._run is not None and not self._scheduler.training_waits:
            self._run.release()
        return self._scheduler.results()

    def _set_training(self, request: TrainingRequest | None, queries: frozenset[AnyQuery]) -> None:
        """Set what to train, None for nothing."""
        if request is None:
            return
        run = self._run_of(request)
        run.set_request(request)
        run.show_slow_steps(any(isinstance(query, StepQuery) for query in queries))

    def _run_of(self, request: TrainingRequest) -> TrainingRun:
        """The training run of a network and those made from it by edits, each of which keeps its own; that of
        another one stands still."""
        current = () if self._run is None else (self._run,)
        run = next((run for run in (*current, *self._runs) if run.trains(request.model.network)), None)
        if run is None and request.edited:
            run = self._run
        if run is None:
            throttle = SaveThrottle(self.save_interval)
            run = TrainingRun(self._get_backend(), save_throttle=throttle, faults=self.faults)
            self._runs.append(run)
        if self._run is not None and run is not self._run:
            self._run.set_aside()
        self._run = run
        return run

    def _fail_training(self, message: str) -> None:
        if self._run is not None:
            self._run.fail(message)

    def _get_device(self) -> ComputeDevice:
        if self._device is None:
            self._device = ComputeDevice(self._choose_backend(), self._notify, self._can_cut)
            self._device.moves.append(self._move_to)
        return self._device

    def _get_backend(self) -> Backend:
        return self._get_device().backend

    def _can_cut(self) -> bool:
        return self._run is None or self._run.can_cut

    def _move_to(self, backend: Backend) -> None:
        """Give up all that is on another device; predictors and jobs are made again when they are asked for."""
        self._live = None
        self._scheduler.drop_all()
        for idle in (self._predictors, self._explainers, self._tracers):
            idle.clear()
        for run in self._runs:
            run.move_to(backend)

    def _choose_backend(self) -> Backend:
        """Of a GPU that was not asked for, the report of the device says why it is not used; it is said once."""
        try:
            return choose_backend(self.device)
        except DeviceUnavailable as error:
            self._notify(f"The GPU cannot be used: {error}; the processor computes instead.")
            return numpy_backend("the GPU cannot be used")

    def _open(self, request: OpenRequest | None) -> None:
        """Use the file if it has been read, and start to read it if it is new."""
        if request is None or (self._opened is not None and self._opened.request == request):
            return
        opened = self._files.result(request)
        if opened is not None:
            self._opened = opened

    def _fail_opening(self, request: Request, message: str) -> None:
        if request.open_request is not None:
            self._opened = OpenResult(request.open_request, None, message)

    def _predict(self, request: Request) -> tuple[Prediction, ...]:
        document = request.document
        images: dict[InputShape, HostArray] = {}
        predictions = []
        for index, predictor in enumerate(self._update_predictors(document.models, self._live_model(request))):
            # While the first model trains, the second one's prediction is reused.
            channels = request.visible_channels_of(index)
            key = (predictor.model, document.kind, document.input.source, document.fit_to_frame, channels)
            if index and self._second is not None and self._second[0] == key:
                predictions.append(self._second[1])
                continue
            shape = predictor.model.network.input_shape
            if shape not in images:
                images[shape] = document.encoded(predictor.model)
            blank = document.kind.is_blank(images[shape])
            predictions.append(predictor.predict(images[shape], channels, blank))
            if index:
                self._second = key, predictions[-1]
        if len(predictions) == 1:
            self._second = None
        return tuple(predictions)

    def _live_model(self, request: Request) -> Model | None:
        """The first model with the network and the parameters of the training run, if it predicts with them."""
        run, first = self._run, request.document.models[0]
        if not request.live or request.training is None or run is None or not run.trains(first.network):
            return None
        return self.faults.guard("Trained weights", lambda: run.shown_model(first), None, self._fail_training)

    def _update_predictors(self, models: tuple[Model, ...], trained: Model | None) -> list[Predictor]:
        """The previous predictors where the model is the same object, new ones otherwise."""
        backend = self._get_backend()
        known = {id(predictor.model): predictor for predictor in self._predictors}
        if trained is None:
            self._live = None
            self._predictors = [known.get(id(model)) or self._predictor(model, models) for model in models]
            return self._predictors
        if self._live is None or self._live.model.network != trained.network:
            self._live = Predictor(trained, backend)
        self._live.set_model(trained)
        self._predictors = [known.get(id(model)) or self._predictor(model, models) for model in models[1:]]
        return [self._live, *self._predictors]

    def _predictor(self, model: Model, models: tuple[Model, ...]) -> Predictor:
        """An unused predictor of the same network, as while weights are edited, or a new one."""
        for predictor in self._predictors:
            unused = all(predictor.model is not other for other in models)
            if unused and predictor.model.network == model.network:
                predictor.set_model(model)
                return predictor
        return Predictor(model, self._get_backend())

    def _notify(self, text: str) -> None:
        """Add a notice, unless the same one is still unacknowledged."""
        if all(notice.text != text for notice in self._notices):
            self._notice_count += 1
            self._notices.append(Notice(self._notice_count, text))

    def _device_report(self) -> DeviceReport:
        if self._device is None:
            return DeviceReport()
        return DeviceReport(self._device.backend.title, self._device.backend.reason)


def _comparison(predictions: tuple[Prediction, ...]) -> TemplateMatch | None:
    """Template matching for the first model's input, where its kind of data has templates."""
    matching = templates(predictions[0].model.network) if predictions else None
    return None if matching is None else match_templates(matching, predictions[0].activations[0][0])
