"""`xo info`: what this program runs on and what it ships with. It changes nothing."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib import metadata
from typing import Any


def add(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "info",
        help="show versions, the device and the networks",
        description="Show what this program runs on and what it ships with.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    report = _report()
    if args.json:
        print(json.dumps(report))
        return 0
    width = max(len(name) for name in report)
    for name, value in report.items():
        if name != "presets":
            print(f"{name:<{width}}  {value}")
    for preset in report["presets"]:
        numbers = f"reads {preset['input']}, {preset['layers']} layers, {preset['parameters']:,} parameters"
        print(f"{'preset':<{width}}  {preset['name']}: {numbers}, {preset['model']}")
    return 0


def program_version() -> str:
    """The version that is installed, or a word for a checkout that is not."""
    return _installed("xo-gui") or "unknown (not installed)"


def _report() -> dict[str, Any]:
    import numpy as np

    from engine.backend import choose_backend

    backend = choose_backend("auto")
    return {
        "xo": program_version(),
        "python": f"{platform.python_version()} ({sys.executable})",
        "numpy": f"{np.__version__} ({_blas()})",
        "cupy": _cupy() or "not installed",
        "device": f"{backend.title} ({backend.reason})",
        "cores": _cores(),
        "platform": platform.platform(),
        "presets": _presets(),
    }


def _presets() -> list[dict[str, Any]]:
    from engine.layers import shape_text
    from engine.presets import PRESETS

    return [
        {
            "name": preset.name,
            "input": shape_text(preset.network.input_shape),
            "layers": len(preset.network.layers),
            "shapes": dict(zip(preset.network.names, map(list, preset.network.shapes), strict=True)),
            "parameters": sum(cost.parameters for cost in preset.network.costs),
            "model": _model(preset.name),
        }
        for preset in PRESETS.values()
    ]


def _model(name: str) -> str:
    """Whether the preset can be used without training it first."""
    from engine.assets import asset
    from engine.presets import WALKTHROUGH, preset

    if name == WALKTHROUGH.name:
        return "made by hand"
    if preset(name).untrained:
        return "fresh weights"
    try:
        asset(f"{name}.safetensors")
    except FileNotFoundError:
        return "trained model missing"
    return "trained model shipped"


def _blas() -> str:
    """The library that NumPy multiplies matrices with, and its threads."""
    from threadpoolctl import threadpool_info

    found = [pool for pool in threadpool_info() if pool.get("user_api") == "blas"]
    if not found:
        return "BLAS unknown"
    return ", ".join(f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} threads" for pool in found)


def _cupy() -> str | None:
    """CuPy's version. Not by importing it, which takes a second and may fail; that is the device's line."""
    names = ("cupy-cuda13x", "cupy-cuda12x", "cupy")
    found = [f"{version} ({name})" for name in names if (version := _installed(name))]
    return ", ".join(found) or None


def _installed(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _cores() -> int:
    """Those this process may use, where the system says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
