"""The kinds of layer; the files of this folder are the list of what a network can be built from."""

from engine.layers.arithmetic import Products
from engine.layers.avg_pool2d import AvgPool2D
from engine.layers.batch_norm2d import BatchNorm2D
from engine.layers.center import Center
from engine.layers.conv2d import Conv2D
from engine.layers.dense import Dense
from engine.layers.dropout import Dropout
from engine.layers.flatten import Flatten
from engine.layers.global_avg_pool import GlobalAvgPool
from engine.layers.layer import Buffer, Cost, Layer, Shape, ShapeError, Stage, Values, shape_text
from engine.layers.leaky_relu import LeakyReLU
from engine.layers.max_pool2d import MaxPool2D
from engine.layers.relu import ReLU
from engine.layers.residual import Residual
from engine.layers.sigmoid import Sigmoid
from engine.layers.tanh import Tanh
from engine.layers.votes import Votes

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
    "AvgPool2D",
    "BatchNorm2D",
    "Buffer",
    "Center",
    "Conv2D",
    "Cost",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "Layer",
    "LeakyReLU",
    "MaxPool2D",
    "Products",
    "ReLU",
    "Residual",
    "Shape",
    "ShapeError",
    "Sigmoid",
    "Stage",
    "Tanh",
    "Values",
    "Votes",
    "shape_text",
]
