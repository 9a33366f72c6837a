"""Tiles on the card at hand: which were chosen, which are fastest, and the cost model fitted to these timings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from engine.backends import Backend, Calls, HostArray
from engine.backends.cuda import (
    CudaOps,
    ProductShape,
    StoredTileCosts,
    TileCosts,
    TilingConfig,
    cheapest_tiling,
    described_costs,
    estimate_microseconds,
    ranked_tilings,
    read_tile_costs,
    tile_costs_path,
)
from engine.bench.card_parts import cupy_device
from engine.bench.cases import DEFAULT, LARGE, BenchNet
from engine.bench.contender import Contender
from engine.bench.report import PartResult
from engine.bench.timing import collect_samples, quartiles
from engine.formats import write_atomically
from engine.nn.layers import Conv2D, LayerArrays, Shape

TILED_NETS: tuple[BenchNet, ...] = (DEFAULT, LARGE)
# Tilings timed of each product, each of another tile; seconds for them; launches of a sample.
TILINGS, SECONDS, LAUNCHES = 7, 0.3, 20
ITEMSIZE = 4


@dataclass(frozen=True)
class TiledCase:
    """A product of a training step: of a convolution with inputs of `shape`, forward or one of its gradients."""

    name: str
    layer: Conv2D
    shape: Shape
    batch: int
    part: str

    def calls(self, operations: CudaOps) -> Calls:
        """The calls of the product alone."""
        ops, layer = operations, self.layer
        x = layer.allocate_input(ops, self.shape, self.batch, np.float32)
        y, dy = (ops.zeros((*layer.output_shape(self.shape), self.batch), np.float32) for _ in range(2))
        parameters, gradient = (ops.zeros(layer.parameter_shape(self.shape), np.float32) for _ in range(2))
        arrays = LayerArrays(x, y, parameters, dy=dy)
        forward = layer.forward(ops, arrays)
        if self.part == "forward":
            return forward
        if self.part == "weights":
            arrays.parameter_gradient = gradient
        else:
            arrays.dx = ops.zeros((*self.shape, self.batch), np.float32)
        return layer.backward(ops, arrays)


@dataclass(frozen=True)
class TilingTime:
    """A timed tiling of a product. microseconds: for one launch after another in a graph."""

    size: ProductShape
    tiling: TilingConfig
    microseconds: float


def tiled_cases() -> Iterator[TiledCase]:
    """The products of the convolutions of the networks' training steps."""
    for net in TILED_NETS:
        pairs = zip(net.network.names[1:], net.network.layers, net.network.shapes, strict=False)
        convolutions = [(name, layer, shape) for name, layer, shape in pairs if isinstance(layer, Conv2D)]
        for place, (name, layer, shape) in enumerate(convolutions):
            for part in ("forward", "weights", "input") if place else ("forward", "weights"):
                yield TiledCase(f"{net.name} {name} {part}", layer, shape, net.config.batch, part)


def time_tilings(case: TiledCase, backend: Backend, costs: TileCosts) -> list[TilingTime]:
    """The chosen tiling first, then the cheapest of each other tile."""
    device = cupy_device(backend)
    asked: list[ProductShape] = []
    choose = cheapest_tiling(device.processors, costs)

    def recorded(size: ProductShape, itemsize: int) -> TilingConfig:
        asked.append(size)
        return choose(size, itemsize)

    case.calls(CudaOps(device, recorded))
    # Of the calls of a gradient, the last product asked for is the gradient's.
    size = asked[-1]
    by_tile: dict[object, TilingConfig] = {}
    for tiling in ranked_tilings(size, ITEMSIZE, device.processors, costs):
        by_tile.setdefault(tiling.tile, tiling)
    tilings = list(by_tile.values())[:TILINGS]
    contenders = [_contender(case, backend, size, tiling) for tiling in tilings]
    samples = collect_samples(contenders, SECONDS)
    return [
        TilingTime(size, tiling, 1e6 * quartiles(own).median) for tiling, own in zip(tilings, samples, strict=True)
    ]


def _contender(case: TiledCase, backend: Backend, size: ProductShape, tiling: TilingConfig) -> Contender:
    device = cupy_device(backend)
    choose = cheapest_tiling(device.processors)
    ops = CudaOps(device, lambda asked, itemsize: tiling if asked == size else choose(asked, itemsize))
    run = backend.program(case.calls(ops), LAUNCHES)
    return Contender(str(tiling), "engine", run, None, LAUNCHES, backend.synchronize)


def tiles_results(backend: Backend, progress: Callable[[str], None]) -> list[PartResult]:
    """A line for each product; fits the costs to the timings and keeps them, if their choices are faster."""
    card = cupy_device(backend).card
    costs, _ = read_tile_costs(card.name, described_costs(card))
    results, timings = [], []
    for case in tiled_cases():
        progress(f"tiles: {case.name}")
        found = time_tilings(case, backend, costs)
        timings.append(found)
        fastest = min(found, key=lambda each: each.microseconds)
        chosen = f"{_tiling_text(found[0])}" + (
            "; fastest" if fastest is found[0] else f"; {_tiling_text(fastest)}"
        )
        results.append(PartResult(f"tiles, {case.name}: chosen; fastest", chosen))
    fitted = fit_tile_costs(timings, costs, card.processors)
    before, after = (excess(timings, each, card.processors) for each in (costs, fitted))
    text = f"the choice takes {before:.1%} longer than the fastest of {TILINGS}"
    if after < before:
        path = tile_costs_path(card.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, msgspec.json.format(msgspec.json.encode(StoredTileCosts(card.name, fitted))))
        text += f"; fitted to this card {after:.1%}, kept in {path} for the next start"
    else:
        text += "; fitted to this card it would not be faster, so the costs stay"
    return [*results, PartResult("tiles, all", text)]


def excess(timings: Sequence[Sequence[TilingTime]], costs: TileCosts, processors: int) -> float:
    """By how much the timed tilings that the costs choose take longer than the fastest: the geometric mean over the
    products, minus 1."""
    logs = []
    for found in timings:
        chosen = min(
            found, key=lambda each: estimate_microseconds(each.tiling, each.size, ITEMSIZE, processors, costs)
        )
        logs.append(math.log(chosen.microseconds / min(each.microseconds for each in found)))
    return math.exp(sum(logs) / len(logs)) - 1


# The costs that are fitted; the limits of a multiprocessor are known.
FITTED = (
    "clock", "value", "side", "inner", "fetched", "last", "first_step", "step", "launch", "second_launch",
    "partial_sums",
)  # fmt: skip
# Steps of the fit; the step in the logarithm of a cost for its derivative; the weight of staying near the start,
# which decides where the timings say nothing; how much a step is damped at first, and the most.
STEPS, DIFFERENCE, NEARNESS, DAMPING, MOST_DAMPING = 40, 1e-3, 0.02, 1e-2, 1e4


def fit_tile_costs(timings: Sequence[Sequence[TilingTime]], start: TileCosts, processors: int) -> TileCosts:
    """The costs whose estimates are nearest to the timings: least squares of logarithms, by Levenberg's and
    Marquardt's method, as the logarithms of the costs are changed."""
    every = [each for found in timings for each in found]
    measured = np.log([each.microseconds for each in every])

    def costs_at(point: HostArray) -> TileCosts:
        changed = {
            name: getattr(start, name) * math.exp(log) for name, log in zip(FITTED, point.tolist(), strict=True)
        }
        return msgspec.structs.replace(start, **changed)

    def residuals(point: HostArray) -> HostArray:
        costs = costs_at(point)
        estimates = [estimate_microseconds(each.tiling, each.size, ITEMSIZE, processors, costs) for each in every]
        return np.concatenate([np.log(estimates) - measured, NEARNESS * point])

    point, damping = np.zeros(len(FITTED)), DAMPING
    errors = residuals(point)
    for _ in range(STEPS):
        slopes = np.stack(
            [(residuals(point + move) - errors) / DIFFERENCE for move in DIFFERENCE * np.eye(len(FITTED))], axis=1
        )
        normal = slopes.T @ slopes
        move = np.linalg.solve(normal + damping * np.eye(len(FITTED)), -slopes.T @ errors)
        tried = residuals(point + np.clip(move, -1, 1))
        if tried @ tried < errors @ errors:
            point, errors, damping = point + np.clip(move, -1, 1), tried, damping / 3
        elif (damping := 4 * damping) > MOST_DAMPING:
            break
    return costs_at(point)


def _tiling_text(timed: TilingTime) -> str:
    tiling = timed.tiling
    parts = [f"{tiling.tile.rows}×{tiling.tile.columns}", f"depth {tiling.depth}"]
    parts += [f"{tiling.groups} groups"] if tiling.groups > 1 else []
    parts += [f"{tiling.slices} slices"] if tiling.slices > 1 else []
    return f"{', '.join(parts)}: {timed.microseconds:.1f} µs"
