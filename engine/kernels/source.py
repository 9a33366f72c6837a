"""Source: the text of a kernel, put together from the files beside this one. It compiles nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent

# What any kernel may call, in an order in which nothing is used before it is written.
ELEMENTWISE = ("layout", "kept", "values", "activations", "pools", "dropout", "scores", "learning", "batch_norm")
# What shares a matrix product out among threads.
TILED = ("product", "convolution_forward", "convolution_input_gradient", "convolution_weight_gradient")


def source(kernel: str, glue: str) -> str:
    """The whole text of `kernel`, with no #include: `glue`, lines of #define, then all that it may call, then
    itself. #line tells a compiler's messages their file."""
    parts = [*(f"{name}.cuh" for name in ELEMENTWISE), *(["tiles.cuh"] if kernel in TILED else [])]
    texts = [f'#line 1 "{name}"\n{_read(name)}' for name in (*parts, f"{kernel}.cu")]
    return "\n".join((glue, *texts))


@cache
def _read(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")
