"""`xo info`: versions, the device, and the presets with their models."""

from __future__ import annotations

import argparse
import platform
import sys
from typing import Any

from engine.cli.json_text import json_text


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "info",
        help="show versions, the device and the networks",
        description="Show versions, the device and the networks of this program.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    report = _report()
    if args.json:
        print(json_text(report))
        return 0
    width = max(len(name) for name in report)
    for name, value in report.items():
        if name != "presets":
            print(f"{name:<{width}}  {value}")
    for preset in report["presets"]:
        numbers = f"input {preset['input']}, {preset['layers']} layers, {preset['parameters']:,} parameters"
        print(f"{'preset':<{width}}  {preset['name']}: {numbers}, {preset['model']}")
    return 0


def _report() -> dict[str, Any]:
    import numpy as np

    from engine.backends import choose_backend
    from engine.installation import blas_text, core_count, cupy_version, program_version

    backend = choose_backend("auto")
    return {
        "xo": program_version(),
        "python": f"{platform.python_version()} ({sys.executable})",
        "numpy": f"{np.__version__} ({blas_text()})",
        "cupy": cupy_version() or "not installed",
        "device": f"{backend.title} ({backend.reason})",
        "cores": core_count(),
        "platform": platform.platform(),
        "presets": _presets(),
    }


def _presets() -> list[dict[str, Any]]:
    from engine.documents import PRESETS
    from engine.nn.layers import shape_text

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
    """Where the preset's weights come from."""
    from engine.documents import WALKTHROUGH
    from engine.installation import asset_path

    if name == WALKTHROUGH.name:
        return "made by hand"
    try:
        asset_path(f"{name}.safetensors")
    except FileNotFoundError:
        return "trained model missing"
    return "trained model shipped"
