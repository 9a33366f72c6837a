"""Rows: each piece of work of the benchmark, put together with everyone who can do it and timed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from engine.backends.backend import Backend
from engine.bench import engine_contender, floor, partners, photo
from engine.bench.contender import Entry, gathered
from engine.bench.nets import Net
from engine.bench.report import Row
from engine.bench.timing import timings
from engine.bench.yardstick import yardstick

# How far a partner's values may be off, as a share of the largest: of maps; of what a step moves, which is the
# small difference of two larger numbers.
SAME_MAPS, SAME_STEP = 1e-4, 1e-2

Noted: TypeAlias = tuple[Row, list[str]]


def live(net: Net, backend: Backend, seconds: float, limits: floor.Limits | None) -> Noted:
    """A live pass. Returns the row and a sentence for each partner that did not run, as all of these do, and raises
    BenchError if one computes something else. limits: of the device, for the floor."""
    engine, calls = engine_contender.live(net, backend)
    found, notes = gathered(engine, _others(partners.entries("live", net, backend), backend), SAME_MAPS)
    multiplies = sum(cost.multiplies for cost in net.network.costs)
    least = None if limits is None else floor.floor(limits, calls(), floor.live_bytes(net.network), multiplies)
    return Row("live", net.name, 1, multiplies, tuple(timings(found, seconds)), floor=least), notes


def train(net: Net, backend: Backend, seconds: float, limits: floor.Limits | None) -> Noted:
    """A training step."""
    engine, calls = engine_contender.train(net, backend)
    found, notes = gathered(engine, _others(partners.entries("train", net, backend), backend), SAME_STEP)
    multiplies = floor.train_multiplies(net)
    least = None if limits is None else floor.floor(limits, calls(), floor.train_bytes(net), multiplies)
    measured = tuple(timings(found, seconds))
    return Row("train", net.name, net.recipe.batch, multiplies, measured, net.epoch, floor=least), notes


def photograph(backend: Backend, seconds: float, sides: tuple[int, int] = photo.SIDES) -> Noted:
    """The photograph, and by how much a process grows on it."""
    engine = photo.in_bands(backend, sides)
    others = partners.photo_entries(backend, photo.photograph(*sides), photo.LAYERS, photo.features())
    found, notes = gathered(engine, _others(others, backend), SAME_MAPS)
    measured = tuple(timings(found, seconds))
    return Row(
        "photo", f"{sides[1]} × {sides[0]}", 1, photo.multiplies(sides), measured, growth=photo.growth(sides)
    ), notes


def _others(entries: Sequence[Entry], backend: Backend) -> list[Entry]:
    """With the yardstick, by which a row is compared where there is no partner."""
    return [*entries, Entry("yardstick", lambda: yardstick(backend))]
