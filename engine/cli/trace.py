"""`xo trace`: every layer's output for one picture, as an npz file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engine.cli.classify import add_model_arguments, chosen_model, print_note


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "trace",
        help="write every layer's output for a picture to an npz file",
        description="Write every layer's output for a picture to an npz file, the votes last.",
    )
    parser.add_argument("image", metavar="IMAGE", type=Path, help="any picture")
    add_model_arguments(parser)
    parser.add_argument("--out", metavar="FILE.npz", type=Path, required=True, help="the file to write")


def run(args: argparse.Namespace) -> int:
    """Write the arrays and list their shapes. Raises ValueError for a file name that does not end in .npz."""
    from engine.cli.device import ChosenDevice
    from engine.data import input_kind
    from engine.formats import npz_bytes, write_atomically
    from engine.nn import Predictor
    from engine.nn.layers import shape_text

    if args.out.suffix.lower() != ".npz":
        raise ValueError(f"{args.out} cannot hold the arrays: give --out a name that ends in .npz.")
    model = chosen_model(args)
    kind, network = input_kind(model.network), model.network
    kind.check_input(network, model.name)
    image = kind.encode(kind.read_source(args.image, print_note), network.input_shape)
    named = ChosenDevice(args.device).compute(
        lambda backend: Predictor(model, backend).predict(image).named_activations()
    )
    # Keys that say the order: 00-input, 01-conv2d, ..., the votes last.
    keys = (*network.numbered_names, f"{len(network.names):02d}-votes")
    trace = dict(zip(keys, named.values(), strict=False))
    write_atomically(args.out, npz_bytes(trace))
    width = max(map(len, trace))
    for key, array in trace.items():
        print(f"{key:<{width}}  {shape_text(array.shape)}")
    return 0
