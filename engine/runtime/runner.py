"""Runner: computes one Snapshot for one Request, synchronously; the engine thread calls it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Final

import numpy as np

from engine.backends import Backend, DeviceChoice, DeviceUnavailable, HostArray, choose_backend, numpy_backend
from engine.backends.cuda import DeviceFault
from engine.data.xo import CLASSES, GeneratorSamples, XOSettings, generate_samples
from engine.documents import OpenRequest, OpenResult, open_file
from engine.drawings import fit_to_frame, render
from engine.explain import AvailableExamples, Explainer, Result, TemplateMatch, match_templates, templates
from engine.nn import Model, Parameters, Prediction, Predictor
from engine.runtime.jobs import ActiveQueries, QueryJobs, QueryResults
from engine.runtime.protocol import DeviceReport, Notice, Request, Snapshot
from engine.runtime.training_protocol import TrainingReport, TrainingRequest
from engine.runtime.training_run import TrainingRun
from engine.training import SAVE_INTERVAL, SavedRun, SaveThrottle

log = logging.getLogger(__name__)

_SEE_LOG: Final = "See the log for details."


@dataclass
class Runner:
    """Keeps the backend and a Predictor for each model from one Request to the next.

    save_interval: seconds of training between two copies of the run for autosave.
    """

    device: DeviceChoice = "auto"
    save_interval: float = SAVE_INTERVAL
    _backend: Backend | None = None
    _predictors: list[Predictor] = field(default_factory=list)
    _notices: list[Notice] = field(default_factory=list)
    _notice_count: int = 0
    _run: TrainingRun | None = None
    _live: Predictor | None = None
    _opened: OpenResult | None = None
    _second: tuple[tuple[object, ...], Prediction] | None = None
    _samples: GeneratorSamples | None = None
    _explainer: Explainer = field(default_factory=Explainer)
    _jobs: QueryJobs = field(init=False)
    _turn: int = 0
    _settled: bool = True

    def __post_init__(self) -> None:
        self._jobs = QueryJobs(self._notify)

    def compute(self, request: Request) -> Snapshot:
        """The Snapshot for a Request. Never raises: an error becomes a notice, with no predictions."""
        started, self._settled = perf_counter(), request.settled
        self._notices = [notice for notice in self._notices if notice.number > request.acknowledged]
        predictions: tuple[Prediction, ...] = ()
        try:
            self._open(request.open_request)
            self._set_training(request.training)
            predictions = self._predict_with_fallback(request)
            self._update_samples(request.sample_settings)
        except (ValueError, DeviceUnavailable) as error:
            self._notify(str(error))
        except Exception as error:
            log.exception("a request failed")
            self._notify(f"Unexpected error in the engine, {type(error).__name__}: {error}. {_SEE_LOG}")
        training = None if self._run is None else self._run.report()
        results = self._update_jobs(request, predictions, training)
        return Snapshot(
            request.generation,
            request.document.drawing,
            predictions,
            self._device_report(),
            tuple(self._notices),
            self._opened,
            request.settled,
            request.requested_at,
            perf_counter() - started,
            training,
            _comparison(predictions),
            results.robustness,
            self._samples,
            self._update_query(request, predictions, training),
            results.drawing_predictions,
            results.held_out,
        )

    def saved_run(self) -> SavedRun | None:
        """The training run as it is now, to be saved. Never raises."""
        try:
            return None if self._run is None else self._run.saved_run(at_once=True)
        except (ValueError, DeviceUnavailable) as error:
            log.warning("the last state of the training run is not saved: %s", error)
            return None

    @property
    def busy(self) -> bool:
        """Whether work is left."""
        return self._training or self._jobs_are_due or self._explainer.busy

    @property
    def seconds_until_busy(self) -> float | None:
        """Seconds until there is work without a new Request; None for never."""
        return self._explainer.seconds_until_busy

    @property
    def has_first_result(self) -> bool:
        """Whether the first result of the visible query has arrived."""
        return self._explainer.has_first_result

    def run_for(self, seconds: float) -> None:
        """Continue for about `seconds` with training, the background jobs or the query, in turn. Never raises."""
        actions: list[Callable[[float], None]] = []
        if self._training:
            actions.append(self._train)
        if self._jobs_are_due:
            actions.append(self._jobs.run_for)
        if self._explainer.busy:
            actions.append(self._explain)
        self._turn += 1
        if actions:
            actions[self._turn % len(actions)](seconds)

    @property
    def _training(self) -> bool:
        return self._run is not None and self._run.busy

    @property
    def _jobs_are_due(self) -> bool:
        """Whether background jobs have work; during a stroke they wait."""
        return self._settled and self._jobs.busy

    def _train(self, seconds: float) -> None:
        run = self._run
        assert run is not None
        try:
            run.run_for(seconds)
            for message in run.take_messages():
                self._notify(message)
        except (ValueError, DeviceUnavailable) as error:
            self._fail_training(str(error))
        except Exception as error:
            log.exception("training failed")
            self._fail_training(f"Unexpected error in training, {type(error).__name__}: {error}. {_SEE_LOG}")

    def _update_jobs(
        self, request: Request, predictions: tuple[Prediction, ...], training: TrainingReport | None
    ) -> QueryResults:
        if not predictions:
            return self._jobs.stop()
        queries = ActiveQueries(request.robustness, request.drawing_predictions, request.held_out)
        return self._jobs.update(queries, request.document, predictions[0].model, training, self._get_backend())

    def _update_query(
        self, request: Request, predictions: tuple[Prediction, ...], training: TrainingReport | None
    ) -> Result | None:
        """The result of the request's query so far."""
        available = None
        if training is not None:
            available = AvailableExamples(training.request.training_data, training.examples, training.held_out)
        try:
            self._explainer.set_query(request.query, predictions, request.settled, self._training, available)
        except Exception as error:
            log.exception("a query failed")
            self._cancel_query(error)
        return self._explainer.result

    def _explain(self, seconds: float) -> None:
        try:
            self._explainer.run_for(seconds)
        except Exception as error:
            log.exception("a query failed")
            self._cancel_query(error)

    def _cancel_query(self, error: Exception) -> None:
        self._notify(f"The explanation failed, {type(error).__name__}: {error}. {_SEE_LOG}")
        self._explainer.cancel()

    def _set_training(self, request: TrainingRequest | None) -> None:
        """Set what to train; None suspends training."""
        if request is None:
            if self._run is not None:
                self._run.suspend()
            return
        if self._run is None:
            self._run = TrainingRun(self._get_backend(), save_throttle=SaveThrottle(self.save_interval))
        try:
            self._run.set_request(request)
        except (ValueError, DeviceUnavailable) as error:
            self._fail_training(str(error))

    def _fail_training(self, message: str) -> None:
        assert self._run is not None
        self._run.fail(message)
        self._notify(message)

    def _get_backend(self) -> Backend:
        if self._backend is None:
            self._backend = self._choose_backend()
        return self._backend

    def _choose_backend(self) -> Backend:
        try:
            return choose_backend(self.device)
        except DeviceUnavailable as error:
            self._notify(f"The GPU cannot be used ({error}); the processor computes instead.")
            return choose_backend("cpu")

    def _update_samples(self, settings: XOSettings | None) -> None:
        if settings is None:
            self._samples = None
        elif self._samples is None or self._samples.settings != settings:
            self._samples = generate_samples(settings)

    def _open(self, request: OpenRequest | None) -> None:
        """Open the file unless it is the last one opened."""
        if request is not None and (self._opened is None or self._opened.request != request):
            self._opened = open_file(request)
            if isinstance(self._opened.content, np.ndarray):
                self._opened.content.flags.writeable = False

    def _predict_with_fallback(self, request: Request) -> tuple[Prediction, ...]:
        """Predict on the current device; if it fails, on the CPU from now on."""
        try:
            return self._predict(request)
        except DeviceFault as fault:
            self._notify(f"{fault} The processor computes the predictions from now on.")
            self._backend, self._live = numpy_backend("the GPU failed"), None
            self._predictors.clear()
            return self._predict(request)

    def _predict(self, request: Request) -> tuple[Prediction, ...]:
        document = request.document
        drawing = fit_to_frame(document.drawing) if document.fit_to_frame else document.drawing
        images: dict[int, HostArray] = {}
        predictions = []
        for index, predictor in enumerate(self._update_predictors(document.models, self._live_parameters(request))):
            # While the first model trains, the second one's prediction is reused.
            key = (predictor.model, document.drawing, document.fit_to_frame, request.visible_channels_of(index))
            if index and self._second is not None and self._second[0] == key:
                predictions.append(self._second[1])
                continue
            if predictor.side not in images:
                images[predictor.side] = render(drawing, predictor.side)
            predictions.append(predictor.predict(images[predictor.side], key[3]))
            if index:
                self._second = key, predictions[-1]
        if len(predictions) == 1:
            self._second = None
        return tuple(predictions)

    def _live_parameters(self, request: Request) -> Parameters | None:
        """The parameters of the training run, if the first model predicts with them."""
        if not request.live or request.training is None or self._run is None:
            return None
        same = request.training.model.network == request.document.models[0].network
        return self._run.shown_parameters() if same else None

    def _update_predictors(self, models: tuple[Model, ...], trained: Parameters | None) -> list[Predictor]:
        """The previous predictors where the model is the same object, new ones otherwise."""
        backend = self._get_backend()
        known = {id(predictor.model): predictor for predictor in self._predictors}
        if trained is None:
            self._live = None
            self._predictors = [known.get(id(model)) or self._predictor(model, models) for model in models]
            return self._predictors
        first, *others = models
        if self._live is None or self._live.model.network != first.network:
            self._live = Predictor(first, backend)
        self._live.set_model(replace(first, parameters=trained))
        self._predictors = [known.get(id(model)) or self._predictor(model, models) for model in others]
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
        if self._backend is None:
            return DeviceReport()
        return DeviceReport(self._backend.title, self._backend.reason)


def _comparison(predictions: tuple[Prediction, ...]) -> TemplateMatch | None:
    """Template matching for the first model's input, where its classes have templates."""
    if not predictions or predictions[0].model.network.classes != CLASSES:
        return None
    (image,) = predictions[0].activations[0]
    return match_templates(templates(len(image)), image)
