"""Suite: everything that is asked for, measured one after the other into one report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import partial

from engine.backends.backend import Backend, numpy_backend
from engine.bench import partners, rows, scaling
from engine.bench.floor import Limits, limits
from engine.bench.machine import machine
from engine.bench.nets import REFERENCE, hanuschkin
from engine.bench.parity import parity
from engine.bench.report import Curve, Parity, Report, Row

KINDS = ("live", "train", "hanuschkin", "photo", "scale", "parity")

Progress = Callable[[str], None]


@dataclass
class Suite:
    """What is measured on `backend`: the `kinds` of KINDS, each row and curve for about `seconds`; `progress` is
    told what comes next."""

    backend: Backend
    kinds: Collection[str]
    seconds: float
    progress: Progress
    _notes: list[str] = field(default_factory=list, init=False)

    def report(self) -> Report:
        """Measure everything. Raises BenchError if a contender computes something else."""
        where = machine(f"{self.backend.title} ({self.backend.reason})", partners.versions())
        self._notes = partners.missing(self.backend)
        found, curves, compared = tuple(self._rows()), self._curves(), self._parity()
        return Report(date.today(), where, found, curves, compared, tuple(dict.fromkeys(self._notes)))

    def _rows(self) -> Iterator[Row]:
        least = self._limits()
        plans: list[tuple[str, Callable[[], rows.Noted]]] = []
        for kind, measure in (("live", rows.live), ("train", rows.train)):
            if kind in self.kinds:
                plans += [
                    (f"{kind} {net.name}", partial(measure, net, self.backend, self.seconds, least))
                    for net in REFERENCE
                ]
        if "hanuschkin" in self.kinds:
            plans.append(("train hanuschkin", partial(rows.train, hanuschkin(), self.backend, self.seconds, least)))
        if "photo" in self.kinds:
            plans.append(("photo", partial(rows.photograph, self.backend, self.seconds)))
        for place, (name, measured) in enumerate(plans, 1):
            self.progress(f"row {place} of {len(plans)}: {name}")
            row, notes = measured()
            self._notes += notes
            yield row

    def _limits(self) -> Limits | None:
        """Of a GPU alone: on a processor, how much a thread can do says little about what all of them can."""
        if self.backend.name == "cpu" or not {"live", "train", "hanuschkin"} & set(self.kinds):
            return None
        self.progress("what the device does at best")
        return limits(self.backend)

    def _curves(self) -> tuple[Curve, ...]:
        if "scale" not in self.kinds:
            return ()
        self.progress("how the cost grows")
        return tuple(scaling.curves(self.backend, self.seconds))

    def _parity(self) -> tuple[Parity, ...]:
        if "parity" not in self.kinds:
            return ()
        found: list[Parity] = []
        for compared in parity(self.backend, numpy_backend("reference")):
            if not found or found[-1].subject != compared.subject:
                self.progress(f"parity: {compared.subject}")
            found.append(compared)
        return tuple(found)
