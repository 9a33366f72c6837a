"""Suite: the measurements of a benchmark, made one after the other into a report."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import Literal, TypeAlias, TypeVar

import numpy as np

from engine.backends import Backend, Calls, HostArray, numpy_backend
from engine.bench import contender, large_picture, onnx_contender, torch_contender
from engine.bench.card_parts import drill_results, memory_results, repeat_results
from engine.bench.cases import REFERENCE_NETS, BenchNet, hanuschkin_net
from engine.bench.contender import Contender, ContenderEntry, check_contenders, reference_work
from engine.bench.machine import gpu_driver_text, this_machine
from engine.bench.parity import parity
from engine.bench.report import BenchReport, BenchRow, ParityResult, PartResult, Roofline, ScalingCurve
from engine.bench.tiles import tiles_results
from engine.bench.timing import Clock, collect_samples, quartiles, time_contenders
from engine.nn import Network
from engine.nn.layers import Arrays, Conv2D, Layer, LayerArrays

log = logging.getLogger(__name__)

Outcome = TypeVar("Outcome")

# Sizes of the probes, by device: calls in sequence, values copied, rows of the square matrices multiplied.
CALLS = 200
VALUES = {"cpu": 1 << 24, "gpu": 1 << 26}
ROWS = {"cpu": 1024, "gpu": 4096}
SECONDS = 0.5


@dataclass(frozen=True)
class DeviceLimits:
    """The best performance of a device: seconds to start a call, bytes read or written per second, multiplies per
    second."""

    call_seconds: float
    bytes_per_second: float
    multiplies_per_second: float


def measure_limits(backend: Backend, seconds: float = SECONDS) -> DeviceLimits:
    """Measured with the backend's own operations: many tiny calls, one large copy, one large product."""
    ops, values, rows = backend.operations, VALUES[backend.name], ROWS[backend.name]
    # Each call needs the previous one's output elsewhere, so that no two can be fused.
    ring = ops.zeros((CALLS + 1,), np.float32)
    links = [(ring[place : place + 1], ring[place + 1 : place + 2]) for place in range(CALLS)]
    chain = [call for source, target in links for call in ops.copy(source, target)]
    source, target = ops.zeros((values,), np.float32), ops.zeros((values,), np.float32)
    left, right, product = (ops.full((rows, rows), 1, np.float32) for _ in range(3))
    probes: list[Calls] = [
        chain,
        ops.copy(source, target),
        ops.matmul(left, right, product),
    ]
    contenders = [
        Contender(str(place), "yardstick", backend.program(calls, 1), None, wait=backend.synchronize)
        for place, calls in enumerate(probes)
    ]
    calls, copied, multiplied = (min(samples) for samples in collect_samples(contenders, seconds))
    return DeviceLimits(calls / CALLS, 8 * values / copied, rows**3 / multiplied)


def roofline(of: DeviceLimits, calls: int, moved: int, multiplies: int) -> Roofline:
    """Every call's start, then the longer of moving the bytes and multiplying (roofline model)."""
    seconds = calls * of.call_seconds + max(moved / of.bytes_per_second, multiplies / of.multiplies_per_second)
    return Roofline(calls, moved, multiplies, seconds)


def live_bytes(network: Network) -> int:
    """Bytes of a live pass: the parameters read, the picture and every map written once and read once."""
    maps = sum(math.prod(shape) for shape in network.shapes)
    return 4 * (2 * maps + sum(cost.parameters for cost in network.costs))


def train_bytes(net: BenchNet) -> int:
    """Bytes of a step: every map and its gradient written once and read once, for each picture of the batch; and
    every parameter's value, gradient and velocity read and written."""
    maps = sum(math.prod(shape) for shape in net.network.shapes)
    return 4 * (4 * maps * net.config.batch + 6 * sum(cost.parameters for cost in net.network.costs))


def train_multiplies(net: BenchNet) -> int:
    """Multiplies of a step: those of the pass, as many for the parameters' gradient, and as many for the input's
    gradient, except in the lowest layer with parameters."""
    costs = net.network.costs
    lowest = next((cost.multiplies for cost in costs if cost.parameters), 0)
    return net.config.batch * (3 * sum(cost.multiplies for cost in costs) - lowest)


def contender_versions() -> dict[str, str]:
    """Of the other contenders that are installed."""
    by_name = {"PyTorch": torch_contender.torch_version(), "onnxruntime": onnx_contender.onnx_version()}
    return {name: version for name, version in by_name.items() if version is not None}


def missing_contenders(backend: Backend) -> list[str]:
    """A sentence for each contender that is not available."""
    notes = []
    if torch_contender.torch_version() is None:
        notes.append(
            "PyTorch is not installed (pip install torch), so the engine is only compared with the reference work."
        )
    elif backend.name == "gpu" and not torch_contender.torch_has_gpu():
        notes.append(
            "PyTorch is installed but cannot use the GPU, so the engine is only compared with the reference work."
        )
    if backend.name == "cpu" and onnx_contender.onnx_version() is None:
        notes.append("onnxruntime is not measured: it needs pip install onnx onnxruntime.")
    return notes


def available_contenders(work: Literal["live", "train"], net: BenchNet, backend: Backend) -> list[ContenderEntry]:
    """The other contenders that can do this work on the device."""
    if backend.name == "gpu":
        return torch_contender.gpu_contenders(work, net) if torch_contender.torch_has_gpu() else []
    contenders = torch_contender.cpu_contenders(work, net) if torch_contender.torch_version() is not None else []
    if work == "live" and onnx_contender.onnx_version() is not None:
        contenders.append(ContenderEntry("onnxruntime, 1 thread", lambda: onnx_contender.onnx_live_contender(net)))
    return contenders


def available_photo_contenders(
    backend: Backend, picture: HostArray, layers: Sequence[Layer], parameters: Arrays
) -> list[ContenderEntry]:
    """The other contenders that can pass a picture (C, H, W) through the layers on the device."""
    is_available = (
        torch_contender.torch_has_gpu() if backend.name == "gpu" else torch_contender.torch_version() is not None
    )
    return torch_contender.photo_contenders(backend.name, picture, layers, parameters) if is_available else []


# Largest relative difference of a contender's values: of maps, and of the change in one step, which is the small
# difference of two larger numbers.
SAME_MAPS, SAME_STEP = 1e-4, 1e-2

RowWithNotes: TypeAlias = tuple[BenchRow, list[str]]


def live_row(net: BenchNet, backend: Backend, seconds: float, limits: DeviceLimits | None) -> RowWithNotes:
    """The row of a live pass, and a sentence for each contender that did not run.

    limits: of the device, for the roofline. Raises BenchError if a contender computes something else, as do the
        rows below.
    """
    engine, calls = contender.live_contender(net, backend)
    contenders, notes = check_contenders(
        engine, _with_reference(available_contenders("live", net, backend), backend), SAME_MAPS
    )
    multiplies = sum(cost.multiplies for cost in net.network.costs)
    bound = None if limits is None else roofline(limits, calls(), live_bytes(net.network), multiplies)
    return BenchRow(
        "live", net.name, 1, multiplies, tuple(time_contenders(contenders, seconds)), roofline=bound
    ), notes


def train_row(net: BenchNet, backend: Backend, seconds: float, limits: DeviceLimits | None) -> RowWithNotes:
    """The row of a training step."""
    engine, calls = contender.train_contender(net, backend)
    contenders, notes = check_contenders(
        engine, _with_reference(available_contenders("train", net, backend), backend), SAME_STEP
    )
    multiplies = train_multiplies(net)
    bound = None if limits is None else roofline(limits, calls(), train_bytes(net), multiplies)
    measured = tuple(time_contenders(contenders, seconds))
    return BenchRow("train", net.name, net.config.batch, multiplies, measured, net.epoch, roofline=bound), notes


def photograph_row(
    backend: Backend, seconds: float, sides: tuple[int, int] = large_picture.PHOTO_SIZE
) -> RowWithNotes:
    """The row of the photograph, with the memory growth of a process on it."""
    engine = large_picture.band_contender(backend, sides)
    others = available_photo_contenders(
        backend, large_picture.make_photograph(*sides), large_picture.PHOTO_LAYERS, large_picture.photo_parameters()
    )
    contenders, notes = check_contenders(engine, _with_reference(others, backend), SAME_MAPS)
    measured = tuple(time_contenders(contenders, seconds))
    return BenchRow(
        "photo",
        f"{sides[1]} × {sides[0]}",
        1,
        large_picture.photo_multiplies(sides),
        measured,
        growth=large_picture.memory_growth(sides),
    ), notes


def _with_reference(entries: Sequence[ContenderEntry], backend: Backend) -> list[ContenderEntry]:
    """The reference work is what a row is compared with where there is no other contender."""
    return [*entries, ContenderEntry("reference work", lambda: reference_work(backend))]


CHANNELS = 8


@dataclass(frozen=True)
class ConvolutionCase:
    """A convolution of CHANNELS maps of side × side with `features` kernels of size × size, and a batch."""

    side: int = 64
    size: int = 5
    features: int = 16
    batch: int = 1

    @property
    def multiplies(self) -> int:
        return self.batch * self._layer.multiplies(self._shape)

    def prepared(self, backend: Backend) -> Callable[[], None]:
        """One pass over noise, ready to run."""
        ops, rng, layer, shape = backend.operations, np.random.default_rng(5), self._layer, self._shape
        x = layer.allocate_input(ops, shape, self.batch, np.float32)
        ops.upload(rng.standard_normal((*shape, self.batch), np.float32), x.values)
        block = ops.from_host(rng.standard_normal(layer.parameter_shape(shape), np.float32))
        y = ops.zeros((*layer.output_shape(shape), self.batch), np.float32)
        return backend.program(layer.forward(ops, LayerArrays(x, y, block)), 1)

    @property
    def _layer(self) -> Conv2D:
        return Conv2D(self.features, self.size, padding="same")

    @property
    def _shape(self) -> tuple[int, int, int]:
        return CHANNELS, self.side, self.side


BASE_CASE = ConvolutionCase()

# What is varied, in words; the number that the cost should be proportional to; and the cases.
CURVES: tuple[tuple[str, Callable[[ConvolutionCase], int], tuple[ConvolutionCase, ...]], ...] = (
    (
        "pixels of the picture",
        lambda case: case.side**2,
        tuple(replace(BASE_CASE, side=side) for side in (16, 24, 32, 48, 64, 96, 128, 192, 256)),
    ),
    (
        "pixels of a feature",
        lambda case: case.size**2,
        tuple(replace(BASE_CASE, size=size) for size in (1, 3, 5, 7, 9, 11, 13)),
    ),
    (
        "number of features",
        lambda case: case.features,
        tuple(replace(BASE_CASE, features=features) for features in (1, 2, 4, 8, 16, 32, 64, 128)),
    ),
    (
        "pictures in a batch",
        lambda case: case.batch,
        tuple(replace(BASE_CASE, batch=batch) for batch in (1, 2, 4, 8, 16, 32, 64)),
    ),
)


def scaling_curves(backend: Backend, seconds: float) -> list[ScalingCurve]:
    """All scaling curves, each measured for about `seconds`."""
    return [_curve(of, number, cases, backend, seconds) for of, number, cases in CURVES]


def _curve(
    of: str,
    number: Callable[[ConvolutionCase], int],
    cases: tuple[ConvolutionCase, ...],
    backend: Backend,
    seconds: float,
) -> ScalingCurve:
    contenders = [
        Contender(str(number(case)), "engine", case.prepared(backend), None, wait=backend.synchronize)
        for case in cases
    ]
    spreads = [quartiles(samples) for samples in collect_samples(contenders, seconds)]
    values, multiplies = [number(case) for case in cases], [case.multiplies for case in cases]
    medians = [summary.median for summary in spreads]
    return ScalingCurve(
        of,
        tuple(values),
        tuple(multiplies),
        tuple(medians),
        tuple(summary.low for summary in spreads),
        tuple(summary.high for summary in spreads),
        log_log_slope(values, multiplies),
        log_log_slope(values, medians),
    )


def log_log_slope(xs: list[int], ys: list[int] | list[float]) -> float:
    """The exponent p of y ~ x^p, by least squares on logarithmic axes."""
    return float(np.polyfit(np.log(xs), np.log(ys), 1)[0])


def case_text(case: ConvolutionCase = BASE_CASE) -> str:
    """The convolution that everything is varied from, in words."""
    return (
        f"{CHANNELS} maps of {case.side} × {case.side}, {case.features} features of {case.size} × {case.size}, "
        f"padding same, batch {case.batch}"
    )


# Those that every device has; those that are asked of a GPU unless they are named.
KINDS = ("live", "train", "hanuschkin", "photo", "scale", "parity", "repeat", "memory", "drill", "tiles")
GPU_KINDS = KINDS[KINDS.index("parity") :]
# No part is begun after these seconds on a GPU, so that its owner waits for six minutes at most.
GPU_SECONDS = 300.0
# The most for parity beside other parts: the first time it compiles hundreds of kernels.
PARITY_SECONDS = 120.0

Progress = Callable[[str], None]


@dataclass
class BenchSuite:
    """The measurements to make on `backend`.

    kinds: some of KINDS
    seconds: for each row and curve, about
    progress: called with what comes next
    """

    backend: Backend
    kinds: Collection[str]
    seconds: float
    progress: Progress
    clock: Clock = time.perf_counter
    _notes: list[str] = field(default_factory=list, init=False)
    _results: list[PartResult] = field(default_factory=list, init=False)
    _end: float = field(default=math.inf, init=False)

    def report(self) -> BenchReport:
        """Measure everything. What cannot be measured says why, and the rest goes on."""
        if self.backend.name == "gpu":
            self._end = self.clock() + GPU_SECONDS
        where = this_machine(_device_text(self.backend), contender_versions())
        self._notes = missing_contenders(self.backend)
        # What tells whether a card works comes before what tells how fast it is.
        compared = self._parity()
        self._asked("repeat", "two trainings", lambda: repeat_results(self.backend))
        self._asked("memory", "memory", lambda: memory_results(self.backend))
        self._asked("drill", "fault drill", drill_results)
        rows = tuple(self._rows())
        self._asked("tiles", "tiles", lambda: tiles_results(self.backend, self.progress))
        curves = self._curves()
        notes, parts = tuple(dict.fromkeys(self._notes)), tuple(self._results)
        return BenchReport(date.today(), where, rows, curves, compared, notes, parts)

    def _asked(self, kind: str, name: str, measured: Callable[[], list[PartResult]]) -> None:
        """Add the lines of a part, if it is one of the kinds."""
        if kind in self.kinds:
            self.progress(name)
            self._results += self._attempt(name, measured, [])

    def _attempt(self, name: str, measured: Callable[[], Outcome], otherwise: Outcome) -> Outcome:
        """What is measured, or `otherwise` and a line that says why it was not."""
        if self.clock() > self._end:
            late = f"not begun: {GPU_SECONDS / 60:.0f} minutes were over; --rows measures it alone"
            self._results.append(PartResult(name, late))
            return otherwise
        # Another library or a broken device may raise anything: the report says it, and the other parts go on.
        try:
            return measured()
        except Exception as error:  # noqa: BLE001
            log.debug("%s", name, exc_info=error)
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            self._results.append(PartResult(name, f"{reason}", failed=True))
            return otherwise

    def _rows(self) -> Iterator[BenchRow]:
        device_limits = self._limits()
        plans: list[tuple[str, Callable[[], RowWithNotes]]] = []
        for kind, timed in (("live", live_row), ("train", train_row)):
            if kind in self.kinds:
                plans += [
                    (f"{kind} {net.name}", partial(timed, net, self.backend, self.seconds, device_limits))
                    for net in REFERENCE_NETS
                ]
        if "hanuschkin" in self.kinds:
            plans.append(
                (
                    "train hanuschkin",
                    partial(train_row, hanuschkin_net(), self.backend, self.seconds, device_limits),
                )
            )
        if "photo" in self.kinds:
            plans.append(("photo", partial(photograph_row, self.backend, self.seconds)))
        for number, (name, measured) in enumerate(plans, 1):
            self.progress(f"row {number} of {len(plans)}: {name}")
            if (found := self._attempt(name, measured, None)) is not None:
                self._notes += found[1]
                yield found[0]

    def _limits(self) -> DeviceLimits | None:
        """On a GPU only: on a CPU, what one thread can do says little about what all of them can."""
        if self.backend.name == "cpu" or not {"live", "train", "hanuschkin"} & set(self.kinds):
            return None
        self.progress("limits of the device")
        return self._attempt("limits of the device", lambda: measure_limits(self.backend), None)

    def _curves(self) -> tuple[ScalingCurve, ...]:
        if "scale" not in self.kinds:
            return ()
        self.progress("scaling of the cost")
        none: list[ScalingCurve] = []
        measured = partial(scaling_curves, self.backend, self.seconds)
        return tuple(self._attempt("scaling of the cost", measured, none))

    def _parity(self) -> tuple[ParityResult, ...]:
        if "parity" not in self.kinds:
            return ()
        results: list[ParityResult] = []
        self._attempt("parity", lambda: self._compare(results), None)
        return tuple(results)

    def _compare(self, results: list[ParityResult]) -> None:
        """Add all comparisons with NumPy to `results`, as long as there is time."""
        end = self._end if len(self.kinds) == 1 else min(self._end, self.clock() + PARITY_SECONDS)
        for result in parity(self.backend, numpy_backend("reference")):
            if self.backend.name == "gpu" and self.clock() > end:
                late = f"stopped for time after {len(results)} comparisons; --rows parity makes all"
                self._results.append(PartResult("parity", late))
                return
            if not results or results[-1].subject != result.subject:
                self.progress(f"parity: {result.subject}")
            results.append(result)


def _device_text(backend: Backend) -> str:
    """The device, why it was chosen, and what a GPU says of itself."""
    text = f"{backend.title} ({backend.reason})"
    card = backend.card
    if card is None:
        return text
    return (
        f"{text}, compute capability {card.capability}, {card.processors} multiprocessors, "
        f"{card.memory / 1e9:.0f} GB, {gpu_driver_text()} for CUDA {card.driver}"
    )
