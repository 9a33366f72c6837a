"""Class editing: a model for other classes, of which the kept ones keep their rows of the last layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.nn.layers import Arrays
from engine.nn.model import Model


def with_classes(model: Model, classes: tuple[str, ...], kept: Sequence[int | None], seed: int) -> Model:
    """The model for these classes.

    kept: for each class the present one, counted from 0, whose weights and bias it keeps, None for a new class
    seed: of the initial weights of new classes, which the model lists as `fresh_classes`

    All other weights stay. The model is no point of a training run. Raises ValueError if the network cannot have
    these classes.
    """
    before = model.network
    network = before.with_classes(classes, kept)
    known = model.fresh_classes or ()
    fresh = [name for name, at in zip(classes, kept, strict=True) if at is None or before.classes[at] in known]
    layer = before.class_layer
    ablated = (
        {} if layer is None else {at: kernel for at, kernel in model.ablated_kernels.items() if at[0] <= layer}
    )
    return replace(
        model,
        network=network,
        parameters=_parameters(model, network.initial_parameters(seed), kept),
        run_point=None,
        fresh_classes=tuple(fresh),
        ablated_kernels=ablated,
    )


def _parameters(model: Model, initial: Arrays, kept: Sequence[int | None]) -> Arrays:
    """Those of the model, with the rows of the classes in the layer that has them."""
    layer = model.network.class_layer
    of_classes = "" if layer is None else f"{model.network.ids[layer]}."
    values: Arrays = {}
    for name, array in initial.items():
        if layer is None or not name.startswith(of_classes):
            values[name] = np.asarray(model.parameters[name])
            continue
        rows = array.copy()
        for row, at in enumerate(kept):
            if at is not None:
                rows[row] = model.parameters[name][at]
        values[name] = rows
    return values
