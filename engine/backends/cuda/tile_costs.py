"""Tile costs: tiles of matrix products, and the cost model of a card that chooses among them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np
from platformdirs import user_cache_path

from engine.backends.cuda.arguments import real_option

# Steps along the inner axis loaded into shared memory at a time; the default limit of shared memory for a block.
DEPTHS = (32, 16, 8)
SHARED_BYTES = 48 * 1024
# The longest sum of one thread where possible: the rounding error grows with it.
MAX_SUM_LENGTH = 1024
# The shortest slice of a sum, in steps of DEPTH.
MIN_SLICE_STEPS = 2

VectorWidth: TypeAlias = Literal[1, 4]
Positive: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
PositiveCount: TypeAlias = Annotated[int, msgspec.Meta(gt=0, le=2**31)]


@dataclass(frozen=True)
class TileShape:
    """The rows x columns of a product computed by a block, of which each thread computes thread_rows x
    thread_columns."""

    rows: int
    columns: int
    thread_rows: int
    thread_columns: int

    @property
    def threads(self) -> int:
        """Threads of a tile."""
        return self.rows // self.thread_rows * (self.columns // self.thread_columns)

    @property
    def max_threads(self) -> int:
        """The most threads of a block: more values per thread need more registers."""
        values = self.thread_rows * self.thread_columns
        return 256 if values > 32 else 512 if values > 8 else 1024

    def grid(self, rows: int, columns: int) -> tuple[int, int]:
        """The number of blocks that cover rows x columns, as (horizontal, vertical)."""
        return -(-columns // self.columns), -(-rows // self.rows)


TILES = (
    TileShape(8, 32, 1, 4),
    TileShape(8, 64, 2, 4),
    TileShape(8, 128, 4, 4),
    TileShape(8, 256, 4, 8),
    TileShape(16, 64, 4, 4),
    TileShape(16, 128, 4, 8),
    TileShape(16, 256, 4, 16),
    TileShape(32, 32, 4, 4),
    TileShape(32, 64, 4, 8),
    TileShape(32, 128, 8, 8),
    TileShape(32, 256, 4, 16),
    TileShape(64, 64, 8, 4),
    TileShape(64, 128, 8, 8),
    TileShape(128, 64, 8, 8),
    TileShape(128, 128, 8, 8),
)


@dataclass(frozen=True)
class TilingConfig:
    """How a product is divided among blocks and threads.

    groups: thread groups of a block that share each sum.
    slices: blocks that share each sum (split-k).
    depth: steps along the inner axis loaded at a time.
    """

    tile: TileShape
    groups: int
    slices: int
    depth: int

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.tile.threads * self.groups

    @property
    def registers(self) -> int:
        """Estimated registers of a thread: its values, a row and a column of operands, and prefetched operands."""
        tile = self.tile
        fetched = self.depth * (tile.rows + tile.columns) / tile.threads
        return int(40 + tile.thread_rows * tile.thread_columns + tile.thread_rows + tile.thread_columns + fetched)

    def options(self, dtype: np.dtype[Any]) -> tuple[str, ...]:
        """Compiler options for this tiling and dtype."""
        tile = self.tile
        sides = {
            "TILE_M": tile.rows,
            "TILE_N": tile.columns,
            "THREAD_M": tile.thread_rows,
            "THREAD_N": tile.thread_columns,
        }
        sides |= {"GROUPS": self.groups, "DEPTH": self.depth}
        return (real_option(dtype), *(f"-D{name}={value}" for name, value in sides.items()))

    def shared_bytes(self, itemsize: int) -> int:
        """Shared memory of a block in bytes, as in tiles.cuh."""
        tile = self.tile
        operands = self.groups * 2 * self.depth * ((tile.rows + tile.columns) * itemsize + 32)
        return max(operands, (self.groups - 1) * tile.rows * tile.columns * itemsize)


class TileCosts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a card takes for the parts of a tiled product.

    clock: in MHz; the one at which the cycles below agree with the timings.
    max_resident, registers, shared_bytes: threads, registers and bytes of shared memory of a multiprocessor.
    value, side, inner, fetched, last: cycles for each value of a thread, each row or column of its values, each
        inner step, each fetch; at the end for each value.
    first_step, step: cycles until the first operands arrive, and for every further step of the depth.
    launch, second_launch, partial_sums: microseconds for a launch, for a second one, and for a million bytes of
        partial sums.
    """

    clock: Positive = 1750
    max_resident: PositiveCount = 2048
    registers: PositiveCount = 65536
    shared_bytes: PositiveCount = 228 * 1024
    value: Positive = 1.0
    side: Positive = 2.27
    inner: Positive = 2.24
    fetched: Positive = 33.5
    last: Positive = 41.5
    first_step: Positive = 900
    step: Positive = 483
    launch: Positive = 1.2
    second_launch: Positive = 1.4
    partial_sums: Positive = 0.41


# Fitted to timings of 500 products of the reference networks on an H200 (mean error 16 %; the model's choice takes
# 3 % longer than the best timed).
H200_COSTS = TileCosts()
# Schedulers of a multiprocessor; warps wasted by one that has few, and the exponent of that blend.
SCHEDULERS, WASTED, MIXED = 4, 0.82, 2.7


@dataclass(frozen=True)
class ProductShape:
    """The dimensions (m, n, k) of a product; vector_widths: values fetched at once, of the left and right
    operand."""

    rows: int
    columns: int
    inner: int
    vector_widths: tuple[VectorWidth, VectorWidth] = (1, 1)


@cache
def best_tiling(size: ProductShape, itemsize: int, processors: int, costs: TileCosts = H200_COSTS) -> TilingConfig:
    """The tiling with the lowest estimated time."""
    return ranked_tilings(size, itemsize, processors, costs)[0]


TilingChoice: TypeAlias = Callable[[ProductShape, int], TilingConfig]


def cheapest_tiling(processors: int, costs: TileCosts = H200_COSTS) -> TilingChoice:
    """Chooses the tiling with the lowest estimated time, for a product and the bytes of a value."""
    return lambda size, itemsize: best_tiling(size, itemsize, processors, costs)


def ranked_tilings(
    size: ProductShape, itemsize: int, processors: int, costs: TileCosts = H200_COSTS
) -> list[TilingConfig]:
    """The tilings of a product that are worth considering, the one with the lowest estimated time first."""
    candidates = list(_candidates(size, itemsize, processors))
    short = [tiling for tiling in candidates if size.inner <= MAX_SUM_LENGTH * tiling.groups * tiling.slices]
    return sorted(
        short or candidates, key=lambda tiling: estimate_microseconds(tiling, size, itemsize, processors, costs)
    )


def _candidates(size: ProductShape, itemsize: int, processors: int) -> Iterator[TilingConfig]:
    """All tilings that fit a block."""
    for tile in TILES:
        along, down = tile.grid(size.rows, size.columns)
        for groups in (1, 2, 4, 8, 16):
            if groups > 1 and (tile.threads * groups > tile.max_threads or size.inner < groups * 8):
                continue
            for depth in DEPTHS:
                if depth > 8 and size.inner <= depth // 2 * groups:
                    continue
                single = TilingConfig(tile, groups, 1, depth)
                if single.shared_bytes(itemsize) > SHARED_BYTES:
                    continue
                max_slices = size.inner // (MIN_SLICE_STEPS * depth * groups)
                counts = {1, *(times * processors // (along * down) for times in (1, 2, 3, 4, 6, 8))}
                for slices in counts:
                    if 1 <= slices <= max(1, max_slices):
                        yield TilingConfig(tile, groups, slices, depth)


def estimate_microseconds(
    tiling: TilingConfig, size: ProductShape, itemsize: int, processors: int, costs: TileCosts = H200_COSTS
) -> float:
    """Estimated time of a product in microseconds.

    A multiprocessor runs its share of the blocks in waves of as many as fit. A wave takes the longer of the issue
    time of all its threads and the latency of one, step by step.
    """
    tile, depth = tiling.tile, tiling.depth
    along, down = tile.grid(size.rows, size.columns)
    steps = -(-size.inner // (tiling.slices * tiling.groups * depth))
    fetches = depth * (tile.rows / size.vector_widths[0] + tile.columns / size.vector_widths[1]) / tile.threads
    step_cycles = (
        depth
        * (
            costs.value * tile.thread_rows * tile.thread_columns
            + costs.side * (tile.thread_rows + tile.thread_columns)
            + costs.inner
        )
        + costs.fetched * fetches
    )
    last = costs.last * tile.thread_rows * tile.thread_columns * (1 + 0.04 * tiling.groups) + 100
    resident = min(
        costs.max_resident // tiling.threads,
        costs.registers // (tiling.registers * tiling.threads),
        costs.shared_bytes // tiling.shared_bytes(itemsize),
    )

    def cycles(blocks: int) -> float:
        busy = blocks * tiling.threads / 32 / SCHEDULERS
        issued = (steps * step_cycles + last) * (busy**MIXED + WASTED**MIXED) ** (1 / MIXED) * (itemsize // 4)
        return costs.first_step + float(max(issued, steps * (costs.step + 0.95 * step_cycles) + 0.95 * last))

    share = -(-along * down * tiling.slices // processors)
    full, rest = divmod(share, max(1, resident))
    total = full * cycles(max(1, resident)) + (cycles(rest) if rest else 0)
    reduction = 0.0
    if tiling.slices > 1:
        reduction = (
            costs.second_launch + costs.partial_sums * tiling.slices * size.rows * size.columns * itemsize / 1e6
        )
    return costs.launch + total / costs.clock + reduction


class StoredTileCosts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of measured costs. card: the name of the card that they were measured on."""

    card: str
    costs: TileCosts


# The file is about 400 bytes.
LARGEST_FILE = 4096


def tile_costs_path(card: str) -> Path:
    """The file for the measured costs of the card of this name, in the user's cache folder."""
    name = re.sub(r"[^a-z0-9]+", "-", card.lower()).strip("-") or "unnamed"
    return user_cache_path("xo-gui", appauthor=False) / "tile-costs" / f"{name}.json"


def read_tile_costs(card: str, otherwise: TileCosts) -> tuple[TileCosts, str]:
    """The measured costs of a card, or `otherwise` where none were measured, and "" or a clause that says why the
    file is ignored."""
    path = tile_costs_path(card)
    try:
        with path.open("rb") as file:
            stored = msgspec.json.decode(file.read(LARGEST_FILE), type=StoredTileCosts)
    except FileNotFoundError:
        return otherwise, ""
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return otherwise, f"{path} is damaged and ignored; xo bench measures it anew"
    if stored.card != card:
        return otherwise, f"{path} is of another card and ignored; xo bench measures it anew"
    return stored.costs, ""
