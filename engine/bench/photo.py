"""Photograph: one convolution, ReLU and pool on eight megapixels, in bands here and in one piece elsewhere."""

from __future__ import annotations

import re
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from engine.backends.backend import Backend, choose_backend, one_blas_thread
from engine.backends.ops import HostArray
from engine.bands import forward_in_bands
from engine.bench.contender import Contender
from engine.bench.engine_contender import title
from engine.layers import Conv2D, Layer, MaxPool2D, ReLU, Values

LAYERS: tuple[Layer, ...] = (Conv2D(16, 5, padding="same"), ReLU(), MaxPool2D())
SIDES = (2448, 3264)


def photograph(height: int, width: int) -> HostArray:
    """A picture (1, height, width) of float32 from -1 to 1: soft light, hard edges and grain, always the same.

    Made row by row, so that making it takes no more memory than it has.
    """
    rng = np.random.default_rng(11)
    picture: HostArray = np.empty((1, height, width), np.float32)
    across = np.linspace(0, 1, width, dtype=np.float32)
    for down, row in zip(np.linspace(0, 1, height, dtype=np.float32), picture[0], strict=True):
        light = 0.5 * np.sin(9 * down + 4 * np.sin(5 * across))
        edges = 0.3 * np.sign(np.sin(40 * down) * np.sin(60 * across))
        row[:] = light + edges + 0.05 * rng.standard_normal(width, np.float32)
    return picture


def features() -> Values:
    """Parameters of LAYERS, always the same."""
    layer, shape = LAYERS[0], (1, *SIDES)
    return {f"01-conv2d.{name}": values for name, values in layer.initial(shape, np.random.default_rng(1)).items()}


def multiplies(sides: tuple[int, int] = SIDES) -> int:
    """Multiplications for one picture."""
    return LAYERS[0].multiplies((1, *sides))


def in_bands(backend: Backend, sides: tuple[int, int] = SIDES) -> Contender:
    """This engine, a band after the other."""
    picture, parameters = photograph(*sides), features()

    def run() -> HostArray:
        return forward_in_bands(LAYERS, parameters, picture, backend)

    return Contender(title(backend), "engine", run, lambda: {"maps": run()})


def growth(sides: tuple[int, int] = SIDES) -> int | None:
    """By how many bytes a fresh process that holds the picture grows at most while it makes all its maps on the
    processor. None where the system does not say."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_growth, sides).result()


def _growth(sides: tuple[int, int]) -> int | None:
    run = in_bands(choose_backend("cpu"), sides).run
    before = _peak()
    with one_blas_thread():
        run()
    after = _peak()
    return None if before is None or after is None else after - before


def _peak() -> int | None:
    """The most bytes of memory that this process has had resident."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux's getrusage counts what the process was before it began to run this program, too.
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text("utf-8"), re.MULTILINE)
        return None if found is None else 1024 * int(found[1])
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None
