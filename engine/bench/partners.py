"""Partners: which others there are on this machine to be timed beside the engine, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from engine.backends.backend import Backend
from engine.backends.ops import HostArray
from engine.bench import onnx_contender, torch_contender
from engine.bench.contender import Entry
from engine.bench.nets import Net
from engine.layers import Layer, Values


def versions() -> dict[str, str]:
    """Of the partners that are installed."""
    found = {"PyTorch": torch_contender.torch_version(), "onnxruntime": onnx_contender.onnx_version()}
    return {name: version for name, version in found.items() if version is not None}


def missing(backend: Backend) -> list[str]:
    """A sentence for each partner that could be there."""
    notes = []
    if torch_contender.torch_version() is None:
        notes.append("PyTorch is not installed (pip install torch), so the engine stands beside a yardstick alone.")
    elif backend.name == "gpu" and not torch_contender.torch_sees_gpu():
        notes.append("PyTorch is installed but cannot use the GPU, so the engine stands beside a yardstick alone.")
    if backend.name == "cpu" and onnx_contender.onnx_version() is None:
        notes.append("onnxruntime is not measured: it needs pip install onnx onnxruntime.")
    return notes


def entries(work: Literal["live", "train"], net: Net, backend: Backend) -> list[Entry]:
    """Those that can do this work on the device."""
    if backend.name == "gpu":
        return torch_contender.on_gpu(work, net) if torch_contender.torch_sees_gpu() else []
    found = torch_contender.on_processor(work, net) if torch_contender.torch_version() is not None else []
    if work == "live" and onnx_contender.onnx_version() is not None:
        found.append(Entry("onnxruntime, 1 thread", lambda: onnx_contender.live(net)))
    return found


def photo_entries(backend: Backend, picture: HostArray, layers: Sequence[Layer], parameters: Values) -> list[Entry]:
    """Those that can pass a picture (C, H, W) through the layers on the device."""
    there = (
        torch_contender.torch_sees_gpu() if backend.name == "gpu" else torch_contender.torch_version() is not None
    )
    return torch_contender.photo(backend.name, picture, layers, parameters) if there else []
