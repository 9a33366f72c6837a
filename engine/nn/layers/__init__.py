"""The layers. `LAYERS` names them all."""

from engine.nn.layers.activations import Activation, LeakyReLU, ReLU, Sigmoid, Tanh
from engine.nn.layers.conv2d import Conv2D
from engine.nn.layers.dense import Dense, Flatten
from engine.nn.layers.description import LayerText, Phrase, Spelling, Traits
from engine.nn.layers.dropout import Dropout
from engine.nn.layers.identity import VALID_IDS, are_ids, default_ids, new_id
from engine.nn.layers.layer import (
    Arrays,
    Cost,
    Layer,
    LayerArrays,
    PaddedInput,
    Shape,
    ShapeError,
    derive_rng_key,
    group_by_layer,
    padding_memory,
    shape_text,
)
from engine.nn.layers.normalization import BatchNorm2D, Center
from engine.nn.layers.pooling import AvgPool2D, GlobalAvgPool, MaxPool2D
from engine.nn.layers.residual import MAX_NESTING, Residual
from engine.nn.layers.value_formulas import (
    OUTSIDE,
    CellIndex,
    Centered,
    ElementwiseFunction,
    GradientTerms,
    Identity,
    Maximum,
    Normalized,
    SkipSum,
    ValueFormula,
    WeightedSum,
)
from engine.nn.layers.votes import Votes

__all__ = [
    "MAX_NESTING",
    "OUTSIDE",
    "VALID_IDS",
    "Activation",
    "Arrays",
    "AvgPool2D",
    "BatchNorm2D",
    "CellIndex",
    "Center",
    "Centered",
    "Conv2D",
    "Cost",
    "Dense",
    "Dropout",
    "ElementwiseFunction",
    "Flatten",
    "GlobalAvgPool",
    "GradientTerms",
    "Identity",
    "Layer",
    "LayerArrays",
    "LayerText",
    "LeakyReLU",
    "MaxPool2D",
    "Maximum",
    "Normalized",
    "PaddedInput",
    "Phrase",
    "ReLU",
    "Residual",
    "Shape",
    "ShapeError",
    "Sigmoid",
    "SkipSum",
    "Spelling",
    "Tanh",
    "Traits",
    "ValueFormula",
    "Votes",
    "WeightedSum",
    "are_ids",
    "default_ids",
    "derive_rng_key",
    "group_by_layer",
    "new_id",
    "padding_memory",
    "shape_text",
]

LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer
    for layer in (
        Conv2D,
        MaxPool2D,
        AvgPool2D,
        GlobalAvgPool,
        ReLU,
        LeakyReLU,
        Tanh,
        Sigmoid,
        Dense,
        Flatten,
        Dropout,
        BatchNorm2D,
        Center,
        Residual,
        Votes,
    )
}
