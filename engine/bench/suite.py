"""Suite: the measurements of a benchmark, made one after the other into a report."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import Literal, TypeAlias

import numpy as np

from engine.backends.backend import Backend, numpy_backend
from engine.backends.ops import Calls, HostArray
from engine.bench import contender, large_picture, onnx_contender, torch_contender
from engine.bench.cases import REFERENCE_NETS, Net, hanuschkin_net
from engine.bench.contender import Contender, Entry, gathered, yardstick
from engine.bench.machine import machine
from engine.bench.parity import parity
from engine.bench.report import Curve, Floor, Parity, Report, Row
from engine.bench.timing import measure, spread, timings
from engine.nn.layers import Conv2D, Layer, Stage, Values
from engine.nn.network import Network

# Sizes of the probes, by device: calls in sequence, values copied, rows of the square matrices multiplied.
CALLS = 200
VALUES = {"cpu": 1 << 24, "gpu": 1 << 26}
ROWS = {"cpu": 1024, "gpu": 4096}
SECONDS = 0.5


@dataclass(frozen=True)
class Limits:
    """The best performance of a device: seconds to start a call, bytes read or written per second, multiplies per
    second."""

    call: float
    bytes: float
    multiplies: float


def limits(backend: Backend, seconds: float = SECONDS) -> Limits:
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
        ops.product(left, right, product),
    ]
    contenders = [
        Contender(str(place), "yardstick", backend.program(calls, 1), None, wait=backend.wait)
        for place, calls in enumerate(probes)
    ]
    calls, copied, multiplied = (min(samples) for samples in measure(contenders, seconds))
    return Limits(calls / CALLS, 8 * values / copied, rows**3 / multiplied)


def floor(of: Limits, calls: int, moved: int, multiplies: int) -> Floor:
    """Every call's start, then the longer of moving the bytes and multiplying (roofline model)."""
    seconds = calls * of.call + max(moved / of.bytes, multiplies / of.multiplies)
    return Floor(calls, moved, multiplies, seconds)


def live_bytes(network: Network) -> int:
    """Bytes of a live pass: the parameters read, the picture and every map written once and read once."""
    maps = sum(math.prod(shape) for shape in network.shapes)
    return 4 * (2 * maps + sum(cost.parameters for cost in network.costs))


def train_bytes(net: Net) -> int:
    """Bytes of a step: every map and its gradient written once and read once, for each picture of the batch; and
    every parameter's value, gradient and velocity read and written."""
    maps = sum(math.prod(shape) for shape in net.network.shapes)
    return 4 * (4 * maps * net.recipe.batch + 6 * sum(cost.parameters for cost in net.network.costs))


def train_multiplies(net: Net) -> int:
    """Multiplies of a step: those of the pass, as many for the parameters' gradient, and as many for the input's
    gradient, except in the lowest layer with parameters."""
    costs = net.network.costs
    lowest = next((cost.multiplies for cost in costs if cost.parameters), 0)
    return net.recipe.batch * (3 * sum(cost.multiplies for cost in costs) - lowest)


def versions() -> dict[str, str]:
    """Of the other contenders that are installed."""
    by_name = {"PyTorch": torch_contender.torch_version(), "onnxruntime": onnx_contender.onnx_version()}
    return {name: version for name, version in by_name.items() if version is not None}


def missing(backend: Backend) -> list[str]:
    """A sentence for each contender that is not available."""
    notes = []
    if torch_contender.torch_version() is None:
        notes.append(
            "PyTorch is not installed (pip install torch), so the engine is only compared with the reference work."
        )
    elif backend.name == "gpu" and not torch_contender.torch_sees_gpu():
        notes.append(
            "PyTorch is installed but cannot use the GPU, so the engine is only compared with the reference work."
        )
    if backend.name == "cpu" and onnx_contender.onnx_version() is None:
        notes.append("onnxruntime is not measured: it needs pip install onnx onnxruntime.")
    return notes


def available_contenders(work: Literal["live", "train"], net: Net, backend: Backend) -> list[Entry]:
    """The other contenders that can do this work on the device."""
    if backend.name == "gpu":
        return torch_contender.on_gpu(work, net) if torch_contender.torch_sees_gpu() else []
    contenders = torch_contender.on_processor(work, net) if torch_contender.torch_version() is not None else []
    if work == "live" and onnx_contender.onnx_version() is not None:
        contenders.append(Entry("onnxruntime, 1 thread", lambda: onnx_contender.live(net)))
    return contenders


def available_photo_contenders(
    backend: Backend, picture: HostArray, layers: Sequence[Layer], parameters: Values
) -> list[Entry]:
    """The other contenders that can pass a picture (C, H, W) through the layers on the device."""
    is_available = (
        torch_contender.torch_sees_gpu() if backend.name == "gpu" else torch_contender.torch_version() is not None
    )
    return torch_contender.photo(backend.name, picture, layers, parameters) if is_available else []


# Largest relative difference of a contender's values: of maps, and of the change in one step, which is the small
# difference of two larger numbers.
SAME_MAPS, SAME_STEP = 1e-4, 1e-2

Noted: TypeAlias = tuple[Row, list[str]]


def live(net: Net, backend: Backend, seconds: float, limits: Limits | None) -> Noted:
    """The row of a live pass, and a sentence for each contender that did not run.

    limits: of the device, for the roofline. Raises BenchError if a contender computes something else, as do the
        rows below.
    """
    engine, calls = contender.live(net, backend)
    contenders, notes = gathered(
        engine, _with_reference(available_contenders("live", net, backend), backend), SAME_MAPS
    )
    multiplies = sum(cost.multiplies for cost in net.network.costs)
    bound = None if limits is None else floor(limits, calls(), live_bytes(net.network), multiplies)
    return Row("live", net.name, 1, multiplies, tuple(timings(contenders, seconds)), floor=bound), notes


def train(net: Net, backend: Backend, seconds: float, limits: Limits | None) -> Noted:
    """The row of a training step."""
    engine, calls = contender.train(net, backend)
    contenders, notes = gathered(
        engine, _with_reference(available_contenders("train", net, backend), backend), SAME_STEP
    )
    multiplies = train_multiplies(net)
    bound = None if limits is None else floor(limits, calls(), train_bytes(net), multiplies)
    measured = tuple(timings(contenders, seconds))
    return Row("train", net.name, net.recipe.batch, multiplies, measured, net.epoch, floor=bound), notes


def photograph(backend: Backend, seconds: float, sides: tuple[int, int] = large_picture.SIDES) -> Noted:
    """The row of the photograph, with the memory growth of a process on it."""
    engine = large_picture.in_bands(backend, sides)
    others = available_photo_contenders(
        backend, large_picture.photograph(*sides), large_picture.LAYERS, large_picture.features()
    )
    contenders, notes = gathered(engine, _with_reference(others, backend), SAME_MAPS)
    measured = tuple(timings(contenders, seconds))
    return Row(
        "photo",
        f"{sides[1]} × {sides[0]}",
        1,
        large_picture.multiplies(sides),
        measured,
        growth=large_picture.growth(sides),
    ), notes


def _with_reference(entries: Sequence[Entry], backend: Backend) -> list[Entry]:
    """The reference work is what a row is compared with where there is no other contender."""
    return [*entries, Entry("reference work", lambda: yardstick(backend))]


CHANNELS = 8


@dataclass(frozen=True)
class Case:
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
        x = layer.buffer(ops, shape, self.batch, np.float32)
        ops.upload(rng.standard_normal((*shape, self.batch), np.float32), x.values)
        block = ops.from_host(rng.standard_normal(layer.block_shape(shape), np.float32))
        y = ops.zeros((*layer.output_shape(shape), self.batch), np.float32)
        return backend.program(layer.forward(ops, Stage(x, y, block)), 1)

    @property
    def _layer(self) -> Conv2D:
        return Conv2D(self.features, self.size, padding="same")

    @property
    def _shape(self) -> tuple[int, int, int]:
        return CHANNELS, self.side, self.side


BASE = Case()

# What is varied, in words; the number that the cost should be proportional to; and the cases.
CURVES: tuple[tuple[str, Callable[[Case], int], tuple[Case, ...]], ...] = (
    (
        "pixels of the picture",
        lambda case: case.side**2,
        tuple(replace(BASE, side=side) for side in (16, 24, 32, 48, 64, 96, 128, 192, 256)),
    ),
    (
        "pixels of a feature",
        lambda case: case.size**2,
        tuple(replace(BASE, size=size) for size in (1, 3, 5, 7, 9, 11, 13)),
    ),
    (
        "number of features",
        lambda case: case.features,
        tuple(replace(BASE, features=features) for features in (1, 2, 4, 8, 16, 32, 64, 128)),
    ),
    (
        "pictures in a batch",
        lambda case: case.batch,
        tuple(replace(BASE, batch=batch) for batch in (1, 2, 4, 8, 16, 32, 64)),
    ),
)


def curves(backend: Backend, seconds: float) -> list[Curve]:
    """All scaling curves, each measured for about `seconds`."""
    return [_curve(of, number, cases, backend, seconds) for of, number, cases in CURVES]


def _curve(
    of: str, number: Callable[[Case], int], cases: tuple[Case, ...], backend: Backend, seconds: float
) -> Curve:
    contenders = [
        Contender(str(number(case)), "engine", case.prepared(backend), None, wait=backend.wait) for case in cases
    ]
    spreads = [spread(samples) for samples in measure(contenders, seconds)]
    values, multiplies = [number(case) for case in cases], [case.multiplies for case in cases]
    medians = [summary.median for summary in spreads]
    return Curve(
        of,
        tuple(values),
        tuple(multiplies),
        tuple(medians),
        tuple(summary.low for summary in spreads),
        tuple(summary.high for summary in spreads),
        slope(values, multiplies),
        slope(values, medians),
    )


def slope(xs: list[int], ys: list[int] | list[float]) -> float:
    """The exponent p of y ~ x^p, by least squares on logarithmic axes."""
    return float(np.polyfit(np.log(xs), np.log(ys), 1)[0])


def described(case: Case = BASE) -> str:
    """The convolution that everything is varied from, in words."""
    return (
        f"{CHANNELS} maps of {case.side} × {case.side}, {case.features} features of {case.size} × {case.size}, "
        f"padding same, batch {case.batch}"
    )


KINDS = ("live", "train", "hanuschkin", "photo", "scale", "parity")

Progress = Callable[[str], None]


@dataclass
class Suite:
    """The measurements to make on `backend`.

    kinds: some of KINDS
    seconds: for each row and curve, about
    progress: called with what comes next
    """

    backend: Backend
    kinds: Collection[str]
    seconds: float
    progress: Progress
    _notes: list[str] = field(default_factory=list, init=False)

    def report(self) -> Report:
        """Measure everything. Raises BenchError if a contender computes something else."""
        where = machine(f"{self.backend.title} ({self.backend.reason})", versions())
        self._notes = missing(self.backend)
        rows, curves, compared = tuple(self._rows()), self._curves(), self._parity()
        return Report(date.today(), where, rows, curves, compared, tuple(dict.fromkeys(self._notes)))

    def _rows(self) -> Iterator[Row]:
        device_limits = self._limits()
        plans: list[tuple[str, Callable[[], Noted]]] = []
        for kind, timed in (("live", live), ("train", train)):
            if kind in self.kinds:
                plans += [
                    (f"{kind} {net.name}", partial(timed, net, self.backend, self.seconds, device_limits))
                    for net in REFERENCE_NETS
                ]
        if "hanuschkin" in self.kinds:
            plans.append(
                ("train hanuschkin", partial(train, hanuschkin_net(), self.backend, self.seconds, device_limits))
            )
        if "photo" in self.kinds:
            plans.append(("photo", partial(photograph, self.backend, self.seconds)))
        for number, (name, measured) in enumerate(plans, 1):
            self.progress(f"row {number} of {len(plans)}: {name}")
            row, notes = measured()
            self._notes += notes
            yield row

    def _limits(self) -> Limits | None:
        """On a GPU only: on a CPU, what one thread can do says little about what all of them can."""
        if self.backend.name == "cpu" or not {"live", "train", "hanuschkin"} & set(self.kinds):
            return None
        self.progress("limits of the device")
        return limits(self.backend)

    def _curves(self) -> tuple[Curve, ...]:
        if "scale" not in self.kinds:
            return ()
        self.progress("scaling of the cost")
        return tuple(curves(self.backend, self.seconds))

    def _parity(self) -> tuple[Parity, ...]:
        if "parity" not in self.kinds:
            return ()
        results: list[Parity] = []
        for result in parity(self.backend, numpy_backend("reference")):
            if not results or results[-1].subject != result.subject:
                self.progress(f"parity: {result.subject}")
            results.append(result)
        return tuple(results)
