"""What the window asks of the engine, and what the engine answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.data.pool import PoolSettings
from engine.data.xo.generator import Samples
from engine.data.xo.settings import XOSettings
from engine.documents.document import Document
from engine.documents.open_file import Opened, Opening
from engine.drawings.drawing import Drawing
from engine.explain.queries import Answer, Question
from engine.explain.robustness import Robustness
from engine.explain.template_matching import Comparison
from engine.nn.inference import Reading, Wanted
from engine.runtime.jobs import Verdict
from engine.runtime.training_protocol import Goal, Training
from engine.training.evaluation import HeldOut


@dataclass(frozen=True, eq=False)
class Request:
    """What should be true now: complete, so that a dropped one loses nothing.

    generation: rises when a subject's parameters or architecture are replaced. settled: no stroke is under way.
    goal: what training should be doing, None if nobody has asked for any; live: whether the first subject is read
    by the parameters that training has, or looks back at, instead of its own. acknowledged: the number of the last
    notice the window has shown. opening: the file last wished for. asked_at: perf_counter() of the event behind it,
    in seconds, handed back in the Snapshot so that the window can tell its latency. robustness: whether somebody
    looks at how well varied drawings are read. sampled: the generator's settings that somebody looks at, None if
    nobody does. question: what somebody wants explained, None for nothing. own: whether somebody looks at how the
    person's own drawings are read. held_out: the examples whose held-out ones a network that does not train
    is judged by, None if nobody looks. wanted: for each subject, which maps of which layers are looked at; the
    picture and the scores come along always, and everything of a subject that has no entry, or None.
    """

    generation: int
    document: Document
    settled: bool = True
    acknowledged: int = 0
    opening: Opening | None = None
    asked_at: float = 0.0
    goal: Goal | None = None
    live: bool = False
    robustness: bool = False
    sampled: XOSettings | None = None
    question: Question | None = None
    own: bool = False
    held_out: PoolSettings | None = None
    wanted: tuple[Wanted | None, ...] = ()

    def wanted_of(self, subject: int) -> Wanted | None:
        """Which maps to bring along of the subject of this number; None for all of every layer."""
        return self.wanted[subject] if subject < len(self.wanted) else None


@dataclass(frozen=True)
class Notice:
    """One sentence for the person, numbered from 1, repeated in every Snapshot until it is acknowledged."""

    number: int
    text: str


@dataclass(frozen=True)
class DeviceReport:
    """What computes, and why: "CPU", "no CUDA driver"."""

    title: str = ""
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What was computed for one Request: complete, host arrays, read-only.

    readings: one for each subject, none if the Request failed; the first one's subject has the parameters it was
    read by. training: how training stands, None if nobody has asked for any. opened: what came of the file last
    wished for. drawing, settled, generation, asked_at: the Request's. engine_seconds: the Runner's own time for it.
    comparison: what the first subject read, beside an exemplar of each class; None for classes without exemplars.
    robustness: how well the first subject reads varied drawings, as far as it is known; None if nobody looks.
    samples: drawings by the settings looked at, None if nobody looks.
    answer: what is known of the question so far, None while nothing is.
    own: how the first subject reads the person's own drawings, as far as they are read; none if nobody looks.
    held_out: how it reads the held-out ones, where its parameters are not those that training has.
    """

    generation: int
    drawing: Drawing
    readings: tuple[Reading, ...]
    device: DeviceReport
    notices: tuple[Notice, ...]
    opened: Opened | None
    settled: bool
    asked_at: float
    engine_seconds: float
    training: Training | None = None
    comparison: Comparison | None = None
    robustness: Robustness | None = None
    samples: Samples | None = None
    answer: Answer | None = None
    own: Mapping[Drawing, Verdict] = field(default_factory=dict)
    held_out: HeldOut | None = None
