"""Labelled examples of every kind: generated, drawn, read from files; how they are augmented and pooled."""

from engine.data.augmentation import Augmentation, make_source
from engine.data.dataset import Dataset
from engine.data.files import read_dataset
from engine.data.folders import scan_folder
from engine.data.labelled_drawings import MAX_WEIGHT, NO_CLASS, LabelledDrawing, render_labelled, total_weight
from engine.data.pool import (
    CHUNK_SIZE,
    HELD_OUT_STREAM,
    LABELLED_CHUNK_SIZE,
    TRAINING_STREAM,
    DataSource,
    ExamplePool,
    FixedSource,
    GeneratedSource,
    PoolCache,
    PoolSettings,
    TrainingData,
    generate_chunk,
)

__all__ = [
    "CHUNK_SIZE",
    "HELD_OUT_STREAM",
    "LABELLED_CHUNK_SIZE",
    "MAX_WEIGHT",
    "NO_CLASS",
    "TRAINING_STREAM",
    "Augmentation",
    "DataSource",
    "Dataset",
    "ExamplePool",
    "FixedSource",
    "GeneratedSource",
    "LabelledDrawing",
    "PoolCache",
    "PoolSettings",
    "TrainingData",
    "generate_chunk",
    "make_source",
    "read_dataset",
    "render_labelled",
    "scan_folder",
    "total_weight",
]
