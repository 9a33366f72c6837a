"""Runner: answers one Request with one Snapshot, synchronously. It knows no thread, no mailbox and no window."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, TypeAlias

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


@dataclass
class Runner:
    """Holds the backend and a Reader for each subject from one Request to the next. keep_every: seconds of training
    between two runs that are handed over to be kept."""

    device: Device = "auto"
    keep_every: float = EVERY
    _backend: Backend | None = None
    _readers: list[Reader] = field(default_factory=list)
    _notices: list[Notice] = field(default_factory=list)
    _raised: int = 0
    _run: Run | None = None
    _live: Reader | None = None
    _opened: Opened | None = None
    _second: tuple[tuple[object, ...], Reading] | None = None
    _samples: Samples | None = None
    _explainer: Explainer = field(default_factory=Explainer)
    _watching: Watching = field(init=False)
    _turn: int = 0
    _settled: bool = True

    def __post_init__(self) -> None:
        """What is watched says its troubles as notices."""
        self._watching = Watching(self._notify)

    def answer(self, request: Request) -> Snapshot:
        """Never raises: what goes wrong becomes a notice, and the Snapshot then has no readings."""
        begun, self._settled = perf_counter(), request.settled
        self._notices = [notice for notice in self._notices if notice.number > request.acknowledged]
        readings: tuple[Reading, ...] = ()
        try:
            self._open(request.opening)
            self._follow(request.goal)
            readings = self._read_surely(request)
            self._sample(request.sampled)
        except (ValueError, DeviceError) as error:
            self._notify(str(error))
        except Exception as error:
            log.exception("a request could not be answered")
            self._notify(f"The engine met an unexpected fault, {type(error).__name__}: {error}. The log has more.")
        training = None if self._run is None else self._run.report()
        watched = self._watched(request, readings, training)
        return Snapshot(
            request.generation,
            request.document.drawing,
            readings,
            self._report(),
            tuple(self._notices),
            self._opened,
            request.settled,
            request.asked_at,
            perf_counter() - begun,
            training,
            _compared(readings),
            watched.robustness,
            self._samples,
            self._explained(request, readings, training),
            watched.own,
            watched.held_out,
        )

    def kept(self) -> KeptRun | None:
        """The run as it is now, to be kept. Never raises."""
        try:
            return None if self._run is None else self._run.kept(at_once=True)
        except (ValueError, DeviceError) as error:
            log.warning("what training came to in the end is not kept: %s", error)
            return None

    @property
    def busy(self) -> bool:
        """Whether `work` would get anything done."""
        return self._training or self._looking_on or self._explainer.busy

    @property
    def idle(self) -> float | None:
        """Seconds until there is something to do without a new Request; None if there will not be."""
        return self._explainer.idle

    @property
    def news(self) -> bool:
        """Whether somebody waits for an answer that is there now."""
        return self._explainer.news

    def work(self, seconds: float) -> None:
        """Go on for about so long with what is asked for, in turn: train, make examples or go back to the moment
        looked at; compute what is watched; explain. Never raises."""
        jobs: list[Callable[[float], None]] = []
        if self._training:
            jobs.append(self._train)
        if self._looking_on:
            jobs.append(self._watching.work)
        if self._explainer.busy:
            jobs.append(self._explain)
        self._turn += 1
        if jobs:
            jobs[self._turn % len(jobs)](seconds)

    @property
    def _training(self) -> bool:
        return self._run is not None and self._run.busy

    @property
    def _looking_on(self) -> bool:
        """Whether there is something watched to compute; a stroke under way has the engine to itself."""
        return self._settled and self._watching.busy

    def _train(self, seconds: float) -> None:
        run = self._run
        assert run is not None
        try:
            run.work(seconds)
            for words in run.hear():
                self._notify(words)
        except (ValueError, DeviceError) as error:
            self._stop(str(error))
        except Exception as error:
            log.exception("training met an unexpected fault")
            self._stop(f"Training met an unexpected fault, {type(error).__name__}: {error}. The log has more.")

    def _watched(self, request: Request, readings: tuple[Reading, ...], training: Training | None) -> Watched:
        if not readings:
            return self._watching.rest()
        looks = Looks(request.robustness, request.own, request.held_out)
        return self._watching.follow(looks, request.document, readings[0].subject, training, self._chosen())

    def _explained(
        self, request: Request, readings: tuple[Reading, ...], training: Training | None
    ) -> Answer | None:
        """What is known of the request's question."""
        learnt = None
        if training is not None:
            learnt = Learnt(training.answers.lesson, training.examples, training.held_out)
        try:
            self._explainer.follow(request.question, readings, request.settled, self._training, learnt)
        except Exception as error:
            log.exception("a question could not be answered")
            self._leave_unexplained(error)
        return self._explainer.answer

    def _explain(self, seconds: float) -> None:
        try:
            self._explainer.work(seconds)
        except Exception as error:
            log.exception("a question could not be answered")
            self._leave_unexplained(error)

    def _leave_unexplained(self, error: Exception) -> None:
        self._notify(f"The explanation failed, {type(error).__name__}: {error}. The log has more.")
        self._explainer.give_up()

    def _follow(self, goal: Goal | None) -> None:
        """Make this the goal of training; without one it rests."""
        if goal is None:
            if self._run is not None:
                self._run.rest()
            return
        if self._run is None:
            self._run = Run(self._chosen(), hand_over=HandOver(self.keep_every))
        try:
            self._run.follow(goal)
        except (ValueError, DeviceError) as error:
            self._stop(str(error))

    def _stop(self, words: str) -> None:
        assert self._run is not None
        self._run.fail(words)
        self._notify(words)

    def _chosen(self) -> Backend:
        if self._backend is None:
            self._backend = self._choose()
        return self._backend

    def _sample(self, settings: XOSettings | None) -> None:
        """Draw by these settings, unless they are those drawn by last."""
        if settings is None:
            self._samples = None
        elif self._samples is None or self._samples.settings != settings:
            self._samples = samples(settings)

    def _open(self, opening: Opening | None) -> None:
        """Read the file unless it is the one read last."""
        if opening is not None and (self._opened is None or self._opened.opening != opening):
            self._opened = answer(opening)
            if isinstance(self._opened.found, np.ndarray):
                self._opened.found.flags.writeable = False

    def _read_surely(self, request: Request) -> tuple[Reading, ...]:
        """Read on the device there is; if it fails, with the processor from now on."""
        try:
            return self._read(request)
        except DeviceFault as fault:
            self._notify(f"{fault} The drawing is read by the processor from now on.")
            self._backend, self._live = numpy_backend("the GPU failed"), None
            self._readers.clear()
            return self._read(request)

    def _read(self, request: Request) -> tuple[Reading, ...]:
        document = request.document
        drawing = fitted(document.drawing) if document.fit else document.drawing
        pictures: dict[int, HostArray] = {}
        readings = []
        for subject, reader in enumerate(self._readers_for(document.subjects, self._trained(request))):
            # While the first one trains, the second reads the same drawing by the same weights.
            asked = (reader.subject, document.drawing, document.fit, request.wanted_of(subject))
            if subject and self._second is not None and self._second[0] == asked:
                readings.append(self._second[1])
                continue
            if reader.side not in pictures:
                pictures[reader.side] = render(drawing, reader.side)
            readings.append(reader.read(pictures[reader.side], asked[3]))
            if subject:
                self._second = asked, readings[-1]
        if len(readings) == 1:
            self._second = None
        return tuple(readings)

    def _trained(self, request: Request) -> Parameters | None:
        """The parameters by which the first subject is read, if training has them."""
        if not request.live or request.goal is None or self._run is None:
            return None
        same = request.goal.subject.network == request.document.subjects[0].network
        return self._run.parameters() if same else None

    def _readers_for(self, subjects: tuple[Subject, ...], trained: Parameters | None) -> list[Reader]:
        """The readers of last time where the subject is the same object, new ones otherwise."""
        backend = self._chosen()
        known = {id(reader.subject): reader for reader in self._readers}
        if trained is None:
            self._live = None
            self._readers = [known.get(id(subject)) or self._reader(subject, subjects) for subject in subjects]
            return self._readers
        first, *others = subjects
        if self._live is None or self._live.subject.network != first.network:
            self._live = Reader(first, backend)
        self._live.follow(replace(first, parameters=trained))
        self._readers = [known.get(id(subject)) or self._reader(subject, subjects) for subject in others]
        return [self._live, *self._readers]

    def _reader(self, subject: Subject, wanted: tuple[Subject, ...]) -> Reader:
        """A new reader; or one whose subject is no longer wanted, if its network is the same, as while weights are
        changed by hand."""
        for reader in self._readers:
            spare = all(reader.subject is not each for each in wanted)
            if spare and reader.subject.network == subject.network:
                reader.follow(subject)
                return reader
        return Reader(subject, self._chosen())

    def _choose(self) -> Backend:
        try:
            return choose_backend(self.device)
        except DeviceError as error:
            self._notify(f"The GPU cannot be used ({error}); the processor computes instead.")
            return choose_backend("cpu")

    def _notify(self, text: str) -> None:
        """Raise a notice, unless the same one is still waiting to be seen."""
        if all(notice.text != text for notice in self._notices):
            self._raised += 1
            self._notices.append(Notice(self._raised, text))

    def _report(self) -> DeviceReport:
        if self._backend is None:
            return DeviceReport()
        return DeviceReport(self._backend.title, self._backend.reason)


def _compared(readings: tuple[Reading, ...]) -> Comparison | None:
    """The picture that the first subject read, beside exemplars of its classes if there are any."""
    if not readings or readings[0].subject.network.classes != CLASSES:
        return None
    (picture,) = readings[0].outputs[0]
    return compare(exemplars(len(picture)), picture)
