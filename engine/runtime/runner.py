"""Runner: computes one Snapshot for one Request, synchronously; the engine thread calls it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Final, TypeAlias

import numpy as np

from engine.backends.backend import Backend, Device, DeviceError, choose_backend, numpy_backend
from engine.backends.cuda import DeviceFault
from engine.data.xo.generator import CLASSES, Samples, samples
from engine.data.xo.settings import XOSettings
from engine.documents.open_file import Opened, Opening, answer
from engine.drawings.raster import fitted, render
from engine.explain.explainer import Explainer, Learnt
from engine.explain.queries import Answer
from engine.explain.template_matching import Comparison, compare, exemplars
from engine.nn.inference import Reader, Reading
from engine.nn.model import Subject
from engine.nn.network import Parameters
from engine.runtime.jobs import Looks, Watched, Watching
from engine.runtime.protocol import DeviceReport, Notice, Request, Snapshot
from engine.runtime.training_protocol import Goal, Training
from engine.runtime.training_run import Run
from engine.training.history import EVERY, HandOver, KeptRun

HostArray: TypeAlias = "np.ndarray[Any, Any]"
log = logging.getLogger(__name__)

_SEE_LOG: Final = "See the log for details."


@dataclass
class Runner:
    """Keeps the backend and a Predictor for each model from one Request to the next.

    save_interval: seconds of training between two copies of the run for autosave.
    """

    device: Device = "auto"
    keep_every: float = EVERY
    _backend: Backend | None = None
    _predictors: list[Reader] = field(default_factory=list)
    _notices: list[Notice] = field(default_factory=list)
    _notice_count: int = 0
    _run: Run | None = None
    _live: Reader | None = None
    _opened: Opened | None = None
    _second: tuple[tuple[object, ...], Reading] | None = None
    _samples: Samples | None = None
    _explainer: Explainer = field(default_factory=Explainer)
    _jobs: Watching = field(init=False)
    _turn: int = 0
    _settled: bool = True

    def __post_init__(self) -> None:
        self._jobs = Watching(self._notify)

    def answer(self, request: Request) -> Snapshot:
        """The Snapshot for a Request. Never raises: an error becomes a notice, with no predictions."""
        started, self._settled = perf_counter(), request.settled
        self._notices = [notice for notice in self._notices if notice.number > request.acknowledged]
        predictions: tuple[Reading, ...] = ()
        try:
            self._open(request.opening)
            self._set_training(request.goal)
            predictions = self._predict_with_fallback(request)
            self._update_samples(request.sampled)
        except (ValueError, DeviceError) as error:
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
            request.asked_at,
            perf_counter() - started,
            training,
            _comparison(predictions),
            results.robustness,
            self._samples,
            self._update_query(request, predictions, training),
            results.own,
            results.held_out,
        )

    def kept(self) -> KeptRun | None:
        """The training run as it is now, to be saved. Never raises."""
        try:
            return None if self._run is None else self._run.kept(at_once=True)
        except (ValueError, DeviceError) as error:
            log.warning("the last state of the training run is not saved: %s", error)
            return None

    @property
    def busy(self) -> bool:
        """Whether work is left."""
        return self._training or self._jobs_are_due or self._explainer.busy

    @property
    def idle(self) -> float | None:
        """Seconds until there is work without a new Request; None for never."""
        return self._explainer.idle

    @property
    def news(self) -> bool:
        """Whether the first result of the visible query has arrived."""
        return self._explainer.news

    def work(self, seconds: float) -> None:
        """Continue for about `seconds` with training, the background jobs or the query, in turn. Never raises."""
        actions: list[Callable[[float], None]] = []
        if self._training:
            actions.append(self._train)
        if self._jobs_are_due:
            actions.append(self._jobs.work)
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
            run.work(seconds)
            for message in run.hear():
                self._notify(message)
        except (ValueError, DeviceError) as error:
            self._fail_training(str(error))
        except Exception as error:
            log.exception("training failed")
            self._fail_training(f"Unexpected error in training, {type(error).__name__}: {error}. {_SEE_LOG}")

    def _update_jobs(
        self, request: Request, predictions: tuple[Reading, ...], training: Training | None
    ) -> Watched:
        if not predictions:
            return self._jobs.rest()
        queries = Looks(request.robustness, request.own, request.held_out)
        return self._jobs.follow(queries, request.document, predictions[0].subject, training, self._get_backend())

    def _update_query(
        self, request: Request, predictions: tuple[Reading, ...], training: Training | None
    ) -> Answer | None:
        """The result of the request's query so far."""
        available = None
        if training is not None:
            available = Learnt(training.answers.lesson, training.examples, training.held_out)
        try:
            self._explainer.follow(request.question, predictions, request.settled, self._training, available)
        except Exception as error:
            log.exception("a query failed")
            self._cancel_query(error)
        return self._explainer.answer

    def _explain(self, seconds: float) -> None:
        try:
            self._explainer.work(seconds)
        except Exception as error:
            log.exception("a query failed")
            self._cancel_query(error)

    def _cancel_query(self, error: Exception) -> None:
        self._notify(f"The explanation failed, {type(error).__name__}: {error}. {_SEE_LOG}")
        self._explainer.give_up()

    def _set_training(self, request: Goal | None) -> None:
        """Set what to train; None suspends training."""
        if request is None:
            if self._run is not None:
                self._run.rest()
            return
        if self._run is None:
            self._run = Run(self._get_backend(), hand_over=HandOver(self.keep_every))
        try:
            self._run.follow(request)
        except (ValueError, DeviceError) as error:
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
        except DeviceError as error:
            self._notify(f"The GPU cannot be used ({error}); the processor computes instead.")
            return choose_backend("cpu")

    def _update_samples(self, settings: XOSettings | None) -> None:
        if settings is None:
            self._samples = None
        elif self._samples is None or self._samples.settings != settings:
            self._samples = samples(settings)

    def _open(self, request: Opening | None) -> None:
        """Open the file unless it is the last one opened."""
        if request is not None and (self._opened is None or self._opened.opening != request):
            self._opened = answer(request)
            if isinstance(self._opened.found, np.ndarray):
                self._opened.found.flags.writeable = False

    def _predict_with_fallback(self, request: Request) -> tuple[Reading, ...]:
        """Predict on the current device; if it fails, on the CPU from now on."""
        try:
            return self._predict(request)
        except DeviceFault as fault:
            self._notify(f"{fault} The processor computes the predictions from now on.")
            self._backend, self._live = numpy_backend("the GPU failed"), None
            self._predictors.clear()
            return self._predict(request)

    def _predict(self, request: Request) -> tuple[Reading, ...]:
        document = request.document
        drawing = fitted(document.drawing) if document.fit else document.drawing
        images: dict[int, HostArray] = {}
        predictions = []
        for index, predictor in enumerate(
            self._update_predictors(document.subjects, self._live_parameters(request))
        ):
            # While the first model trains, the second one's prediction is reused.
            key = (predictor.subject, document.drawing, document.fit, request.wanted_of(index))
            if index and self._second is not None and self._second[0] == key:
                predictions.append(self._second[1])
                continue
            if predictor.side not in images:
                images[predictor.side] = render(drawing, predictor.side)
            predictions.append(predictor.read(images[predictor.side], key[3]))
            if index:
                self._second = key, predictions[-1]
        if len(predictions) == 1:
            self._second = None
        return tuple(predictions)

    def _live_parameters(self, request: Request) -> Parameters | None:
        """The parameters of the training run, if the first model predicts with them."""
        if not request.live or request.goal is None or self._run is None:
            return None
        same = request.goal.subject.network == request.document.subjects[0].network
        return self._run.parameters() if same else None

    def _update_predictors(self, models: tuple[Subject, ...], trained: Parameters | None) -> list[Reader]:
        """The previous predictors where the model is the same object, new ones otherwise."""
        backend = self._get_backend()
        known = {id(predictor.subject): predictor for predictor in self._predictors}
        if trained is None:
            self._live = None
            self._predictors = [known.get(id(model)) or self._predictor(model, models) for model in models]
            return self._predictors
        first, *others = models
        if self._live is None or self._live.subject.network != first.network:
            self._live = Reader(first, backend)
        self._live.follow(replace(first, parameters=trained))
        self._predictors = [known.get(id(model)) or self._predictor(model, models) for model in others]
        return [self._live, *self._predictors]

    def _predictor(self, model: Subject, models: tuple[Subject, ...]) -> Reader:
        """An unused predictor of the same network, as while weights are edited, or a new one."""
        for predictor in self._predictors:
            unused = all(predictor.subject is not other for other in models)
            if unused and predictor.subject.network == model.network:
                predictor.follow(model)
                return predictor
        return Reader(model, self._get_backend())

    def _notify(self, text: str) -> None:
        """Add a notice, unless the same one is still unacknowledged."""
        if all(notice.text != text for notice in self._notices):
            self._notice_count += 1
            self._notices.append(Notice(self._notice_count, text))

    def _device_report(self) -> DeviceReport:
        if self._backend is None:
            return DeviceReport()
        return DeviceReport(self._backend.title, self._backend.reason)


def _comparison(predictions: tuple[Reading, ...]) -> Comparison | None:
    """Template matching for the first model's input, where its classes have templates."""
    if not predictions or predictions[0].subject.network.classes != CLASSES:
        return None
    (image,) = predictions[0].outputs[0]
    return compare(exemplars(len(image)), image)
