"""Report: what a benchmark found, as values that are written to and read from JSON. Not how they are shown."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from engine.bench.contender import BenchError
from engine.bench.machine import Machine
from engine.bench.timing import Timing
from engine.storage.atomic import read_whole

VERSION = 1
LARGEST = 1 << 20

Kind: TypeAlias = Literal["live", "train", "photo"]


class Floor(msgspec.Struct, frozen=True):
    """The least time that work can take on a device: every call's start, then the longer of moving the bytes and
    making the multiplies. seconds: all of it for one unit of work."""

    calls: int
    bytes: int
    multiplies: int
    seconds: float


class Row(msgspec.Struct, frozen=True):
    """One net's work, and how long each contender takes for it, the engine first.

    kind: what the work is; net: its name. pictures: how many one unit of work goes through; multiplies: of
    one unit. epoch: how many pictures make an epoch, 0 if that is not asked for. growth: by how many bytes the
    engine's process grew doing the work, 0 if that is not asked for, None where the system does not say.
    """

    kind: Kind
    net: str
    pictures: int
    multiplies: int
    timings: tuple[Timing, ...]
    epoch: int = 0
    growth: int | None = 0
    floor: Floor | None = None

    @property
    def name(self) -> str:
        """Such as live default."""
        return f"{self.kind} {self.net}"

    @property
    def engine(self) -> Timing:
        """This engine's timing."""
        return self.timings[0]

    @property
    def best(self) -> Timing | None:
        """PyTorch's timing in whichever mode it is fastest; None without PyTorch."""
        found = [timing for timing in self.timings if timing.family == "pytorch"]
        return min(found, key=lambda timing: timing.seconds.median, default=None)

    @property
    def yardstick(self) -> Timing | None:
        """How long the fixed work took that was timed alongside."""
        return next((timing for timing in self.timings if timing.family == "yardstick"), None)


class Curve(msgspec.Struct, frozen=True):
    """How the cost of a convolution grows. of: what is varied, in words; at: its values.

    multiplies, and seconds with its quartiles low and high, at each. slopes: how steeply both grow on logarithmic
    axes, 1 for in proportion.
    """

    of: str
    at: tuple[int, ...]
    multiplies: tuple[int, ...]
    seconds: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    multiplies_slope: float
    seconds_slope: float


class Parity(msgspec.Struct, frozen=True):
    """How far one thing that is computed on both sides differs. share: the largest difference, as a share of
    what is allowed, so that at most 1 is fine."""

    subject: str
    what: str
    difference: float
    share: float

    @property
    def fine(self) -> bool:
        """Whether the difference is allowed; not if it is not a number."""
        return self.share <= 1


class Report(msgspec.Struct, frozen=True):
    """Everything that one run of the benchmark found. notes: sentences that a reader must know."""

    day: date
    machine: Machine
    rows: tuple[Row, ...] = ()
    curves: tuple[Curve, ...] = ()
    parity: tuple[Parity, ...] = ()
    notes: tuple[str, ...] = ()
    version: int = VERSION


def to_json(report: Report) -> bytes:
    """The report as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def read_report(path: Path) -> Report:
    """A report that was written before. Raises StorageError if there is none, BenchError if it is none."""
    try:
        report = msgspec.json.decode(read_whole(path, LARGEST), type=Report)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BenchError(f"{path} is no report of xo bench ({error}); give one that --json wrote.") from error
    if report.version != VERSION:
        raise BenchError(f"{path} is of another version of xo bench; measure it again with this one.")
    return report
