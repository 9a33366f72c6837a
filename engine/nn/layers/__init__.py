"""The kinds of layer that a network can be built from."""

from engine.nn.layers.activations import LeakyReLU, ReLU, Sigmoid, Tanh
from engine.nn.layers.conv2d import Conv2D
from engine.nn.layers.dense import Dense, Flatten
from engine.nn.layers.dropout import Dropout
from engine.nn.layers.layer import Arrays, Cost, Layer, LayerArrays, PaddedInput, Shape, ShapeError, shape_text
from engine.nn.layers.normalization import BatchNorm2D, Center
from engine.nn.layers.pooling import AvgPool2D, GlobalAvgPool, MaxPool2D
from engine.nn.layers.residual import Residual
from engine.nn.layers.value_formulas import GradientTerms
from engine.nn.layers.votes import Votes

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

__all__ = [
    "LAYERS",
    "Arrays",
    "AvgPool2D",
    "BatchNorm2D",
    "Center",
    "Conv2D",
    "Cost",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "GradientTerms",
    "Layer",
    "LayerArrays",
    "LeakyReLU",
    "MaxPool2D",
    "PaddedInput",
    "ReLU",
    "Residual",
    "Shape",
    "ShapeError",
    "Sigmoid",
    "Tanh",
    "Votes",
    "shape_text",
]
