"""The kinds of layer; the files of this folder are the list of what a network can be built from."""

from engine.layers.conv2d import Conv2D
from engine.layers.dense import Dense
from engine.layers.flatten import Flatten
from engine.layers.layer import Buffer, Cost, Layer, Shape, ShapeError, Stage, Values, shape_text
from engine.layers.max_pool2d import MaxPool2D
from engine.layers.relu import ReLU
from engine.layers.votes import Votes

LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer for layer in (Conv2D, ReLU, MaxPool2D, Flatten, Dense, Votes)
}

__all__ = [
    "LAYERS",
    "Buffer",
    "Conv2D",
    "Cost",
    "Dense",
    "Flatten",
    "Layer",
    "MaxPool2D",
    "ReLU",
    "Shape",
    "ShapeError",
    "Stage",
    "Values",
    "Votes",
    "shape_text",
]
